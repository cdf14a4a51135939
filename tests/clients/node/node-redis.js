'use strict'
const { createCluster } = require('redis')
const { seeds, run } = require('./workload')

const client = createCluster({ rootNodes: seeds.map((socket) => ({ socket })) })
client.on('error', () => {}) // the commands tell what fails
client.on('node-error', () => {})
client.connect().then(() => run('redis', client))
