'use strict'
const { createClient } = require('thunk-redis')
const { seeds, run } = require('./workload')

// Commands for a node that is gone wait for it until maxAttempts to reach it have failed: 27 s unless told otherwise.
const client = createClient(seeds.map(({ host, port }) => `${host}:${port}`), { usePromise: true, maxAttempts: 0 })
client.on('error', () => {}) // the commands tell what fails
client.on('warn', () => {})
run('thunk-redis', client)
