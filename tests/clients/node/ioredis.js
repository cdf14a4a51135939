'use strict'
const { Cluster } = require('ioredis')
const { seeds, run } = require('./workload')

const client = new Cluster(seeds)
client.on('error', () => {}) // the commands tell what fails
run('ioredis', client)
