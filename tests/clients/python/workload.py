"""redis-py's RedisCluster at work; README.md beside this folder tells what a client program does and prints.

usage: workload.py HOST:PORT,HOST:PORT,... NAME LANES PAUSE_MS
"""
import sys
import threading
import time

import redis
from redis.cluster import ClusterNode, RedisCluster

KEYS = 60
stop = threading.Event()
printing = threading.Lock()


def tell(line):
    with printing:
        sys.stdout.write(line + "\n")


def attempt(lane, op, key, argument, call):
    start = time.time()
    try:
        result = call()
        if isinstance(result, bytes):
            result = result.decode()
        text = "nil" if result is None else "OK" if result is True else f"={result}"
    except Exception as error:  # every error is an answer here: the runner judges it
        text = "!" + " ".join(f"{type(error).__name__}: {error}".split())
    tell(f"{start * 1000:.3f}\t{time.time() * 1000:.3f}\t{lane}\t{op}\t{key}\t{argument}\t{text}")


def work(client, name, lane, pause):
    turn = 0
    while not stop.is_set():
        one, other = f"{name}:{lane}:{turn % KEYS}", f"{name}:{lane}:{turn * 7 % KEYS}"
        value = f"{one}#{turn}"
        attempt(lane, "SET", one, value, lambda: client.set(one, value))
        attempt(lane, "GET", other, "", lambda: client.get(other))
        attempt(lane, "INCR", one + ":n", "", lambda: client.incr(one + ":n"))
        attempt(lane, "GET", other + ":n", "", lambda: client.get(other + ":n"))
        turn += 1
        stop.wait(pause)


def main():
    addresses, name, lanes, pause = sys.argv[1:]
    nodes = [ClusterNode(*address.split(":")) for address in addresses.split(",")]
    client = RedisCluster(startup_nodes=nodes, socket_timeout=5, socket_connect_timeout=5)
    tell(f"# {redis.__version__}")
    threads = [threading.Thread(target=work, args=(client, name, lane, int(pause) / 1000))
               for lane in range(int(lanes))]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()


main()
