'use strict'
const { createCluster } = require('redis')
const { seeds, run } = require('./workload')

// Commands for a node that is gone wait for it until the cluster is looked at anew: after 5 s unless told otherwise.
const client = createCluster({
  rootNodes: seeds.map((socket) => ({ socket })),
  topologyRefreshOnReconnectionAttemptStrategy: 500
})
client.on('error', () => {}) // the commands tell what fails
client.on('node-error', () => {})
client.connect().then(() => run('redis', client))
