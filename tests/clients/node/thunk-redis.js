'use strict'
const { createClient } = require('thunk-redis')
const { seeds, run } = require('./workload')

const client = createClient(seeds.map(({ host, port }) => `${host}:${port}`), { usePromise: true })
client.on('error', () => {}) // the commands tell what fails
client.on('warn', () => {})
run('thunk-redis', client)
