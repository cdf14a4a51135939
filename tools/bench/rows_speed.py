"""The rows about CPU time, memory and threads."""

import os
import re
import statistics
import subprocess
import time

from servers import NoMeasure, Server, fill, own_all_slots

SERVER_CORE, CLIENT_CORE = 0, 1
KEY_BYTES, VALUE_BYTES = 16, 32
RUN_SECONDS = 300
KEYS_OF_THREADS = 100000


def cores():
    """(server's core, client's core), or (None, None) where the process may not use two."""
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else (None, None)


def load(client, server, requests, pipeline, arguments, core, seconds=RUN_SECONDS):
    """Runs the load generator; returns (requests a second, server CPU in us a request)."""
    command = [client, "-h", "127.0.0.1", "-p", str(server.port), "-c", "50", "-n", str(requests), "-P",
               str(pipeline), "-q"] + arguments
    pin = (lambda: os.sched_setaffinity(0, {core})) if core is not None else None
    before, start = server.cpu_seconds(), time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds,
                          preexec_fn=pin)
    elapsed, spent = time.monotonic() - start, server.cpu_seconds() - before
    rate = re.findall(r": ([0-9.]+) requests per second", done.stdout)
    if done.returncode != 0 or not rate:
        raise NoMeasure("%s: %s" % (os.path.basename(client), done.stderr.strip() or "no result"))
    return (float(rate[-1]) if elapsed else 0.0), spent / requests * 1e6


def compare(setup, shoal, redis, requests, pipeline, arguments):
    """Alternating pairs of runs; (median ratio, median us of Shoal, median us of Redis)."""
    _, core = cores()
    ours, theirs = [], []
    load(setup.client, shoal, requests // 10, pipeline, arguments, core)
    load(setup.client, redis, requests // 10, pipeline, arguments, core)
    for _ in range(setup.pairs):
        ours.append(load(setup.client, shoal, requests, pipeline, arguments, core)[1])
        theirs.append(load(setup.client, redis, requests, pipeline, arguments, core)[1])
    ratio = statistics.median(a / b for a, b in zip(ours, theirs))
    return ratio, statistics.median(ours), statistics.median(theirs)


def ratio_row(setup, what, limit, measured):
    ratio, ours, theirs = measured
    setup.row(what, "<= %.2f x Redis" % limit, "%.2f x (%.2f us : %.2f us)" % (ratio, ours, theirs), ratio <= limit)


def small(setup, pipeline, limit, requests, keys=1):
    core, _ = cores()
    shoal = Server(setup.shoal, core=core, io_threads=1)
    redis = Server(setup.redis, core=core, io_threads=1)
    where = "pipeline %d" % pipeline if pipeline > 1 else "no pipeline"
    drawn = []
    if keys > 1:
        where += ", %d keys" % keys
        drawn = ["-r", str(keys)]
        for server in (shoal, redis):
            fill(server.port, keys, key=b"key:%012d", value=b"v" * 64)
    for test in ("set", "get"):
        arguments = ["-t", test, "-d", "64"] + drawn
        ratio_row(setup, "%s 64 B, 50 connections, %s: CPU a request" % (test.upper(), where), limit,
                  compare(setup, shoal, redis, requests, pipeline, arguments))
    shoal.stop()
    redis.stop()


def row_plain(setup):
    small(setup, 1, 0.86, 40000 if setup.quick else 200000)


def row_pipeline(setup):
    small(setup, 16, 0.55, 320000 if setup.quick else 1600000)


def row_random(setup):
    small(setup, 16, 0.55, 320000 if setup.quick else 1600000, keys=100000 if setup.quick else 1000000)


def row_floor(setup):
    """A server that only receives and sends: no better ratio than its can be had with these system calls."""
    core, _ = cores()
    floor = Server(setup.floor, core=core)
    redis = Server(setup.redis, core=core, io_threads=1)
    for pipeline, requests in ((1, 200000), (16, 1600000)):
        if setup.quick:
            requests //= 5
        ratio, bare, theirs = compare(setup, floor, redis, requests, pipeline, ["-t", "get", "-d", "64"])
        setup.row("only recv and send, GET 64 B, 50 connections, pipeline %d" % pipeline, "",
                  "%.2f x (%.2f us : %.2f us)" % (ratio, bare, theirs), None)
    floor.stop()
    redis.stop()


def overhead(server, count):
    """Loads `count` keys; resident bytes a key beyond the key and the value."""
    before = server.resident_bytes()
    fill(server.port, count, value=b"v" * VALUE_BYTES)
    if server.call("DBSIZE") != count:
        raise NoMeasure("%s holds %d keys instead of %d" % (server.name, server.call("DBSIZE"), count))
    time.sleep(2)  # let it finish what it does behind the load
    return (server.resident_bytes() - before) / count - KEY_BYTES - VALUE_BYTES


def large(setup, wants_memory, wants_get):
    core, client_core = cores()
    count = setup.keys
    shoal = Server(setup.shoal, core=core, io_threads=1, cluster_enabled="yes")
    own_all_slots(shoal)
    redis = Server(setup.redis, core=core, io_threads=1)
    if client_core is not None:
        os.sched_setaffinity(0, {client_core})
    ours, theirs = overhead(shoal, count), overhead(redis, count)
    if client_core is not None:
        os.sched_setaffinity(0, setup.affinity)
    millions = "%g million keys" % (count / 1e6)
    if wants_memory:
        setup.row("%s: resident bytes a key beyond key and value" % millions, "<= 40 (Redis: 104)",
                  "%.1f (Redis here: %.1f)" % (ours, theirs), ours <= 40)
    if wants_get:
        arguments = ["-r", str(count), "GET", "0000__rand_int__"]
        ratio_row(setup, "GET over %s, pipeline 16, in cluster mode: CPU a request" % millions, 0.60,
                  compare(setup, shoal, redis, 320000 if setup.quick else 1600000, 16, arguments))
    shoal.stop()
    redis.stop()


def row_memory(setup):
    large(setup, True, False)


def row_large(setup):
    large(setup, False, True)


def row_memory_and_large(setup):
    large(setup, True, True)


def row_threads(setup):
    """Neither side is pinned; the lightest client there is, so that the server may be the limit."""
    requests = 400000 if setup.quick else 2000000
    client = setup.benchmark if os.path.exists(setup.benchmark) else setup.client
    arguments = ["-t", "get", "-d", "64", "-r", str(KEYS_OF_THREADS)]
    one = Server(setup.shoal, io_threads=1)
    two = Server(setup.shoal, io_threads=2)
    for server in (one, two):
        fill(server.port, KEYS_OF_THREADS, key=b"key:%012d", value=b"v" * 64)
        load(client, server, requests // 10, 16, arguments, None)
    rates, costs = [], []
    for _ in range(setup.pairs):
        rate_one, cost_one = load(client, one, requests, 16, arguments, None)
        rate_two, cost_two = load(client, two, requests, 16, arguments, None)
        rates.append(rate_two / rate_one)
        costs.append(cost_two / cost_one)
    rate, cost = statistics.median(rates), statistics.median(costs)
    setup.row("io-threads 2 against 1, GET, pipeline 16", ">= 1.5 x requests/s or CPU <= 1.15 x",
              "%.2f x requests/s, %.2f x CPU" % (rate, cost), rate >= 1.5 or cost <= 1.15)
    one.stop()
    two.stop()
