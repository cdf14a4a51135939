'use strict'
// What the three clients of this folder share; README.md beside this folder tells what a client program does and prints.
// usage: node CLIENT.js HOST:PORT,HOST:PORT,... NAME LANES PAUSE_MS

const KEYS = 60
const [addresses, name, lanes, pause] = process.argv.slice(2)
let stopped = false

exports.seeds = addresses.split(',').map((address) => {
  const [host, port] = address.split(':')
  return { host, port: Number(port) }
})

const now = () => performance.timeOrigin + performance.now()
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

async function attempt (lane, op, key, argument, call) {
  const start = now()
  let text
  try {
    const result = await call()
    text = result === null || result === undefined ? 'nil' : result === 'OK' ? 'OK' : `=${result}`
  } catch (error) {
    text = '!' + `${error.name}: ${error.message}`.split(/\s+/).join(' ')
  }
  process.stdout.write(`${start.toFixed(3)}\t${now().toFixed(3)}\t${lane}\t${op}\t${key}\t${argument}\t${text}\n`)
}

async function work (client, lane) {
  for (let turn = 0; !stopped; turn++) {
    const one = `${name}:${lane}:${turn % KEYS}`
    const other = `${name}:${lane}:${turn * 7 % KEYS}`
    const value = `${one}#${turn}`
    await attempt(lane, 'SET', one, value, () => client.set(one, value))
    await attempt(lane, 'GET', other, '', () => client.get(other))
    await attempt(lane, 'INCR', one + ':n', '', () => client.incr(one + ':n'))
    await attempt(lane, 'GET', other + ':n', '', () => client.get(other + ':n'))
    await wait(Number(pause))
  }
}

// Runs the lanes on `client`, which has set, get and incr that return promises, until standard input ends.
exports.run = async (library, client) => {
  process.stdout.write(`# ${require(library + '/package.json').version}\n`)
  process.stdin.resume()
  process.stdin.on('end', () => { stopped = true })
  await Promise.all(Array.from({ length: Number(lanes) }, (_, lane) => work(client, lane)))
  // What the library still holds open (sockets, timers) is not what is tried here.
  process.stdout.write('', () => process.exit(0))
}
