"""The rows about clusters: failover, a busy primary, a reshard under load."""

import os
import random
import statistics
import subprocess
import threading
import time

from resp import ClusterClient, Connection, ReplyError, encode, slot_of
from servers import SLOTS_OF_A_CLUSTER, Cluster, NoMeasure, wait_until

NODE_TIMEOUT_MS = 1000
ROUND_SECONDS = 30
SETTLE_SECONDS = 60


def directives(**more):
    return dict(cluster_node_timeout=NODE_TIMEOUT_MS, **more)


class Writers:
    """A thread for each primary that writes, without pause, to keys of its slots, as long as it lives."""

    def __init__(self, ports_and_slots):
        self.over = threading.Event()
        self.written = 0
        self.threads = [threading.Thread(target=self.write, args=pair, daemon=True) for pair in ports_and_slots]
        for thread in self.threads:
            thread.start()

    def write(self, port, slots):
        keys = keys_of(slots, 64)
        batch = b"".join(encode("SET", key, "x" * 64) for key in keys)
        try:
            with Connection(port, timeout=2) as connection:
                while not self.over.is_set():
                    connection.send(batch)
                    for _ in keys:
                        connection.read()
                    self.written += len(keys)
                    time.sleep(0.002)
        except (OSError, ConnectionError):
            return

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(5)


def keys_of(slots, count):
    """`count` keys that hash into `slots` (a container)."""
    keys, number = [], 0
    while len(keys) < count:
        key = b"w:%d" % number
        number += 1
        if slot_of(key) in slots:
            keys.append(key)
    return keys


def own_slots(cluster, node):
    """The slots that a primary serves, by its own word."""
    row = next(row for row in cluster.rows(node) if "myself" in row[2])
    slots = set()
    for word in row[8:]:
        if not word.startswith("["):
            first, _, last = word.partition("-")
            slots.update(range(int(first), int(last or first) + 1))
    return slots


def replicas_of(cluster, primary):
    own_id = primary.call("CLUSTER", "MYID").decode()
    return [node for node in cluster.nodes
            if next(row for row in cluster.rows(node) if "myself" in row[2])[3] == own_id]


def seconds_until_written(candidates, key):
    """Tries to write the key on each candidate every few milliseconds; seconds until one took it."""
    start = time.monotonic()
    connections = [Connection(node.port, timeout=5) for node in candidates]
    try:
        while time.monotonic() - start < ROUND_SECONDS:
            for connection in connections:
                connection.send(encode("SET", key, "after"))
                if connection.read() == b"OK":
                    return time.monotonic() - start
            time.sleep(0.005)
    finally:
        for connection in connections:
            connection.close()
    raise NoMeasure("the slots took no write for %d s" % ROUND_SECONDS)


def failover_rounds(binary, rounds):
    cluster = Cluster(binary, 3, 1, **directives())
    taken = []
    for number in range(rounds):
        primaries = cluster.primaries()
        victim = primaries[number % len(primaries)]
        slots, candidates = own_slots(cluster, victim), replicas_of(cluster, victim)
        if not candidates:
            raise NoMeasure("round %d: the primary has no replica" % (number + 1))
        writers = Writers([(node.port, own_slots(cluster, node)) for node in primaries])
        time.sleep(0.5 + random.random() * 0.5)
        victim.kill()
        taken.append(seconds_until_written(candidates, keys_of(slots, 1)[0]))
        writers.stop()
        victim.start()
        wait_until(cluster.settled, SETTLE_SECONDS, "the cluster to settle after round %d" % (number + 1))
    cluster.stop()
    return taken


def row_failover(setup):
    rounds = 3 if setup.quick else 10
    what = "kill -9 of a primary under writes, node timeout 1000 ms: writable again"
    taken = failover_rounds(setup.shoal, rounds)
    setup.row(what, "<= 2.2 s in each of %d (Redis: median 2.5 s)" % rounds,
              "median %.2f s, worst %.2f s" % (statistics.median(taken), max(taken)), max(taken) <= 2.2)
    if setup.with_redis:
        taken = failover_rounds(setup.redis, rounds)
        setup.row("  the same, Redis", "", "median %.2f s, worst %.2f s" % (statistics.median(taken), max(taken)), None)


def watch_views(cluster, others, seconds):
    """Looks at CLUSTER NODES of the `others` for so long; the flags of trouble that any of them showed."""
    seen, end = set(), time.monotonic() + seconds
    connections = [Connection(node.port, timeout=5) for node in others]
    while time.monotonic() < end:
        for connection in connections:
            for line in connection.call("CLUSTER", "NODES").decode().splitlines():
                seen.update(flag for flag in line.split()[2].split(",") if flag.startswith("fail"))
        time.sleep(0.03)
    for connection in connections:
        connection.close()
    return seen


def busy(binary):
    """(flags of trouble seen, whether the primary is still one) around DEBUG SLEEP 5."""
    cluster = Cluster(binary, 3, 1, **directives(enable_debug_command="yes"))
    primary = cluster.primaries()[0]
    sleeper = Connection(primary.port, timeout=20)
    sleeper.send(encode("DEBUG", "SLEEP", "5"))
    seen = watch_views(cluster, [node for node in cluster.nodes if node is not primary], 7)
    reply = sleeper.read()
    sleeper.close()
    if isinstance(reply, ReplyError):
        raise NoMeasure("DEBUG SLEEP: %s" % reply)
    stayed = not cluster.is_replica(primary)
    cluster.stop()
    return seen, stayed


def describe_busy(seen, stayed):
    return "%s, %s" % ("no failover" if stayed else "failover", "saw " + " ".join(sorted(seen)) if seen else "no PFAIL")


def row_busy(setup):
    seen, stayed = busy(setup.shoal)
    setup.row("a primary busy for 5 s (DEBUG SLEEP), node timeout 1000 ms", "no failover, no PFAIL",
              describe_busy(seen, stayed), stayed and not seen)
    if setup.with_redis:
        setup.row("  the same, Redis", "", describe_busy(*busy(setup.redis)), None)


KEY = b"key:%012d"


def fill_cluster(cluster, count):
    """Sets key:0 .. key:count-1 to themselves, on the primaries that own them."""
    client = ClusterClient(cluster.nodes[0].port)
    exchange(client, count, lambda key: encode("SET", key, key), lambda key, reply: reply == b"OK")
    client.close()


def exchange(client, count, make, accept, chunk=1000):
    """Sends make(key) for all keys in chunks to their owners; the number of replies that accept() refused."""
    refused = 0
    for start in range(0, count, chunk):
        keys = {}
        for number in range(start, min(start + chunk, count)):
            key = KEY % number
            keys.setdefault(client.owner[slot_of(key)], []).append(key)
        for port, own in keys.items():
            client.at(port).send(b"".join([make(key) for key in own]))
        for port, own in keys.items():
            connection = client.at(port)
            refused += sum(not accept(key, connection.read()) for key in own)
    return refused


class Reader(threading.Thread):
    """Reads random keys and checks them, writes others anew, about 3000 a second, until told to stop."""

    def __init__(self, port, count):
        super().__init__(daemon=True)
        self.client = ClusterClient(port)
        self.count = count
        self.over = threading.Event()
        self.newer = {}  # key -> the value written last
        self.wrong = []
        self.done = 0

    def run(self):
        chance = random.Random(1)
        try:
            while not self.over.is_set():
                key = KEY % chance.randrange(self.count)
                if chance.random() < 0.5:
                    value = key + b":%d" % self.done
                    self.newer[key] = value
                    self.client.call("SET", key, value)
                elif self.client.call("GET", key) != self.newer.get(key, key):
                    self.wrong.append(key)
                self.done += 1
                time.sleep(0.0002)
        except (ReplyError, OSError) as error:
            self.wrong.append(str(error))


def reshard(setup, binary, command_line, count):
    """(keys a second, the reader, keys lost, slots moved)."""
    cluster = Cluster(binary, 3, 0, cluster_node_timeout=5000, io_threads=1)
    fill_cluster(cluster, count)
    target = cluster.nodes[0]
    held = target.call("DBSIZE")
    reader = Reader(target.port, count)
    reader.start()
    time.sleep(0.5)
    start = time.monotonic()
    done = subprocess.run(
        [command_line, "--cluster", "reshard", "127.0.0.1:%d" % target.port, "--cluster-from", "all", "--cluster-to",
         target.call("CLUSTER", "MYID").decode(), "--cluster-slots", "1000", "--cluster-yes"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    elapsed = time.monotonic() - start
    time.sleep(0.5)
    reader.over.set()
    reader.join(10)
    if done.returncode != 0:
        raise NoMeasure("%s: %s" % (os.path.basename(command_line), (done.stderr or done.stdout).strip()[-200:]))
    moved = target.call("DBSIZE") - held
    slots = len(own_slots(cluster, target)) - SLOTS_OF_A_CLUSTER // 3
    client = ClusterClient(target.port)
    lost = exchange(client, count, lambda key: encode("GET", key),
                    lambda key, reply: reply == reader.newer.get(key, key))
    lost += abs(sum(node.call("DBSIZE") for node in cluster.nodes) - count)
    client.close()
    cluster.stop()
    return moved / elapsed, reader, lost, slots


def describe_reshard(rate, reader, lost):
    errors = len(reader.client.errors) + len(reader.wrong)
    return "%d keys/s; client: %d done, %d MOVED, %d ASK, %d other; %d lost" % (
        rate, reader.done, reader.client.moved, reader.client.asked, errors, lost)


def row_reshard(setup):
    count = 200000 if setup.quick else 1000000
    if not os.path.exists(setup.cli):
        raise NoMeasure("there is no %s" % setup.cli)
    rate, reader, lost, slots = reshard(setup, setup.shoal, setup.cli, count)
    if slots != 1000:
        raise NoMeasure("%d slots moved instead of 1000" % slots)
    well = rate >= 80000 and not lost and not reader.wrong and not reader.client.errors
    setup.row("1000 slots of 3 primaries with %g million keys, under reads and writes" % (count / 1e6),
              ">= 80000 keys/s (Redis: 27000), only MOVED and ASK, none lost", describe_reshard(rate, reader, lost), well)
    if setup.with_redis:
        rate, reader, lost, _ = reshard(setup, setup.redis, setup.redis_cli, count)
        setup.row("  the same, Redis", "", describe_reshard(rate, reader, lost), None)
