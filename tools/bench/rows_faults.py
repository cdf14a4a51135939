"""The rows about what a cluster does when nodes die, hang, end, hand over, or are merely busy."""

import contextlib
import os
import re
import shutil
import signal
import statistics
import subprocess
import threading
import time

from resp import Connection, ReplyError
from rows_cluster import Writers, keys_of, own_slots, replicas_of, seconds_until_written
from servers import BUS_OFFSET, Cluster, NoMeasure, Server, wait_until
from support.writers import Writer, tags_in

SETTLE_SECONDS = 60
HANG_TIMEOUT_MS = 1000
CALM_TIMEOUT_MS = 500
CALM_MINUTES = 10
BUS_SECONDS = 30
BUS_TRIES = 3
BUS_NODES = (6, 10)
BUS_TIMEOUTS_MS = (15000, 1000)


class Shards:
    """A cluster of three primaries with a replica each, and who of them may be hurt next: voters don't vote twice for
    one primary within two node timeouts, so the one that has been left in peace for longest, once that is over."""

    def __init__(self, binary, timeout_ms=None, **directives):
        if timeout_ms is not None:
            directives["cluster_node_timeout"] = timeout_ms
        self.cluster = Cluster(binary, 3, 1, **directives)
        self.peace = 2.1 * (timeout_ms or 15000) / 1000
        self.hurt = {node: 0.0 for node in self.cluster.nodes}

    def next(self):
        """(the primary to hurt, its slots, its replica)"""
        victim = min(self.cluster.primaries(), key=self.hurt.get)
        time.sleep(max(0.0, self.hurt[victim] + self.peace - time.monotonic()))
        replicas = replicas_of(self.cluster, victim)
        if len(replicas) != 1:
            raise NoMeasure("the primary has %d replicas" % len(replicas))
        return victim, own_slots(self.cluster, victim), replicas[0]

    @contextlib.contextmanager
    def load(self):
        """All primaries take writes meanwhile; the block is entered when they do."""
        writers = Writers([(node.port, own_slots(self.cluster, node)) for node in self.cluster.primaries()])
        wait_until(lambda: writers.written > 5000, 20, "the load to begin")
        try:
            yield
        finally:
            writers.stop()

    def settle(self, victim, number):
        self.hurt[victim] = time.monotonic()
        wait_until(self.settled, SETTLE_SECONDS, "the cluster to settle after round %d" % (number + 1))

    def settled(self):
        try:
            return self.cluster.settled()
        except ReplyError:  # one is loading
            return False


def hurt_rounds(binary, rounds, timeout_ms, hurt, mend):
    """Seconds until the slots of a primary that was hurt under load take writes again, of each round."""
    shards = Shards(binary, timeout_ms)
    taken = []
    for number in range(rounds):
        victim, slots, heir = shards.next()
        with shards.load():
            hurt(victim)
            taken.append(seconds_until_written([heir], keys_of(slots, 1)[0]))
        mend(victim)
        shards.settle(victim, number)
    shards.cluster.stop()
    return taken


def describe(taken):
    return "median %.2f s, worst %.2f s" % (statistics.median(taken), max(taken))


def row_crash(setup):
    rounds = 4 if setup.quick else 20

    def measure(binary):
        return hurt_rounds(binary, rounds, None, Server.kill, Server.start)
    taken = measure(setup.shoal)
    setup.row("kill -9 of a primary under writes, default node timeout 15 s: writable again",
              "median <= 0.3 s, worst <= 1 s of %d (Redis: 17.6 s)" % rounds, describe(taken),
              statistics.median(taken) <= 0.3 and max(taken) <= 1)
    if setup.with_redis:
        setup.row("  the same, Redis", "", describe(measure(setup.redis)), None)


def row_hang(setup):
    rounds = 3 if setup.quick else 10

    def measure(binary):
        return hurt_rounds(binary, rounds, HANG_TIMEOUT_MS, lambda node: node.process.send_signal(signal.SIGSTOP),
                           lambda node: node.process.send_signal(signal.SIGCONT))
    taken = measure(setup.shoal)
    setup.row("SIGSTOP of a primary under writes, node timeout 1000 ms: writable again",
              "<= 1.9 s in each of %d (Redis: 2.5 s)" % rounds, describe(taken), max(taken) <= 1.9)
    if setup.with_redis:
        setup.row("  the same, Redis", "", describe(measure(setup.redis)), None)


# ---- A primary that hands over: by SIGTERM, or because the administrator wants it ----

def pauses_of(binary, rounds, hand_over, mend):
    """(longest pause that a writer felt, in seconds, of each round; acknowledged writes; how many of them are lost)"""
    shards = Shards(binary, 2000)
    pauses, acknowledged, lost = [], 0, 0
    for number in range(rounds):
        victim, slots, heir = shards.next()
        tags = tags_in(slots, 4, "round%d:" % number)
        with shards.load(), Writer([node.port for node in shards.cluster.nodes], tags) as writer:
            hand_over(shards.cluster, victim, heir)
            writer.more()
        if writer.failures:
            raise NoMeasure(writer.failures[0])
        pauses.append(writer.longest_gap())
        acknowledged += sum(writer.acknowledged.values())
        lost += sum(map(len, writer.lost(lambda _: heir.port).values()))
        mend(victim)
        shards.settle(victim, number)
    shards.cluster.stop()
    return pauses, acknowledged, lost


def terminate(cluster, victim, heir):
    victim.process.terminate()
    if victim.process.wait(20) != 0:
        raise NoMeasure("the primary ended with %d" % victim.process.returncode)


def order_failover(cluster, victim, heir):
    heir.call("CLUSTER", "FAILOVER")
    wait_until(lambda: not cluster.is_replica(heir), 20, "the failover")


def row_pauses(setup, what, limit, rounds, hand_over, mend, ours_alone):
    def measure(binary):
        pauses, acknowledged, lost = pauses_of(binary, rounds, hand_over, mend)
        text = "median %.0f ms, worst %.0f ms; %d of %d acknowledged writes lost" % (
            statistics.median(pauses) * 1000, max(pauses) * 1000, lost, acknowledged)
        return text, max(pauses) <= limit and not lost
    text, well = measure(setup.shoal)
    setup.row(what, "none longer than %.0f ms in %d, no acknowledged write lost" % (limit * 1000, rounds), text, well)
    if setup.with_redis and not ours_alone:
        setup.row("  the same, Redis", "", measure(setup.redis)[0], None)


def row_end(setup):
    row_pauses(setup, "SIGTERM of a primary under writes: longest pause", 0.2, 3 if setup.quick else 10, terminate,
               Server.start, True)


def row_manual(setup):
    row_pauses(setup, "CLUSTER FAILOVER under writes: longest pause", 0.1, 4 if setup.quick else 20, order_failover,
               lambda node: None, False)


# ---- Busy, and nothing else ----

class Floods:
    """Keeps the workers of a cluster at work, with shoal-benchmark, for as long as the block lasts. They read: writes
    without end would measure the replicas' memory."""

    def __init__(self, setup, cluster):
        common = [setup.benchmark, "-n", "1000000000", "-q", "-c", "4", "-P", "16", "-r", "100000"]
        replicas = [node for node in cluster.nodes if cluster.is_replica(node)]
        self.commands = [common + ["--cluster", "-p", str(cluster.primaries()[0].port), "-t", "get"]]
        self.commands += [common + ["-p", str(node.port), "-t", "ping_mbulk"] for node in replicas]
        self.processes = []

    def __enter__(self):
        for command in self.commands:
            self.processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                                   stderr=subprocess.DEVNULL))
        return self

    def all_run(self):
        return all(process.poll() is None for process in self.processes)

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()


class Sleeper(threading.Thread):
    """Runs DEBUG SLEEP 5 on a node, one after the other."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.over, self.done, self.failure = node, threading.Event(), 0, None
        self.start()

    def run(self):
        try:
            with Connection(self.node.port, timeout=60) as connection:
                while not self.over.is_set():
                    connection.call("DEBUG", "SLEEP", "5")
                    self.done += 1
        except (OSError, ReplyError) as error:
            self.failure = error


def epochs_of(cluster):
    """What each node says of the epochs: its own, the current one, and everybody's."""
    return {node.port: (re.findall(r"cluster_(?:current|my)_epoch:(\d+)", node.call("CLUSTER", "INFO", timeout=60).decode()),
                        sorted((row[0], row[6]) for row in cluster.rows(node)))
            for node in cluster.nodes}


def suspicions(node):
    """The lines of the log that speak of a suspicion, or of more."""
    with open(os.path.join(node.folder, "log"), errors="replace") as log:
        return [line.strip() for line in log if re.search("possibly failing|as failing|FAIL message|election|No worker", line)]


def row_calm(setup):
    minutes = setup.minutes or (0.5 if setup.quick else CALM_MINUTES)
    cluster = Cluster(setup.shoal, 3, 1, cluster_node_timeout=CALM_TIMEOUT_MS, loglevel="verbose", io_threads=2,
                      enable_debug_command="yes", repl_timeout=600)
    before, said = epochs_of(cluster), {node: len(suspicions(node)) for node in cluster.nodes}
    used, start = sum(node.cpu_seconds() for node in cluster.nodes), time.monotonic()
    with Floods(setup, cluster) as floods:
        sleepers = [Sleeper(node) for node in cluster.nodes]
        while time.monotonic() < start + 60 * minutes:
            time.sleep(1)
            if not floods.all_run():
                raise NoMeasure("a load ended early")
        for sleeper in sleepers:
            sleeper.over.set()
            sleeper.join(60)
        used, taken = sum(node.cpu_seconds() for node in cluster.nodes) - used, time.monotonic() - start
    failure = next((sleeper.failure for sleeper in sleepers if sleeper.failure), None)
    if failure:
        raise NoMeasure("DEBUG SLEEP: %s" % failure)
    lines = [line for node in cluster.nodes for line in suspicions(node)[said[node]:]]
    changed = epochs_of(cluster) != before
    for line in lines[:10]:
        print("    " + line, flush=True)
    setup.row("%g minutes at node timeout 500 ms, workers at work, 5 s commands on every node" % minutes,
              "no PFAIL, no epoch change",
              "%s, %s; %d commands of 5 s, servers at %.0f %% of a core each" % (
                  "%d suspicions" % len(lines) if lines else "no PFAIL", "epochs changed" if changed else "no epoch change",
                  sum(sleeper.done for sleeper in sleepers), 100 * used / taken / len(cluster.nodes)),
              not lines and not changed)
    cluster.stop()


# ---- What the bus carries ----

def bytes_on_the_bus(cluster):
    """Bytes that were sent so far over the bus connections that stand, by the kernel's count, by connection."""
    ports = " or ".join("sport = :%d or dport = :%d" % (node.port + BUS_OFFSET, node.port + BUS_OFFSET)
                        for node in cluster.nodes)
    text = subprocess.run(["ss", "-tinOH", "state", "established", "( %s )" % ports], capture_output=True, text=True,
                          check=True).stdout
    sent = {}
    for line in text.splitlines():
        ends = re.findall(r"127\.0\.0\.1:(\d+)", line)
        count = re.search(r"bytes_sent:(\d+)", line)
        sent[tuple(ends[:2])] = int(count.group(1)) if count else 0
    return sent


def bus_rate(binary, nodes, timeout_ms):
    """Bytes that a node sends on the bus in a second, in an idle cluster."""
    cluster = Cluster(binary, nodes // 2, 1, cluster_node_timeout=timeout_ms)
    for _ in range(BUS_TRIES):
        time.sleep(BUS_SECONDS / 6)  # what the nodes had to tell each other at first is told
        first, start = bytes_on_the_bus(cluster), time.monotonic()
        time.sleep(BUS_SECONDS)
        second, taken = bytes_on_the_bus(cluster), time.monotonic() - start
        if set(first) == set(second):
            cluster.stop()
            return sum(second[pair] - first[pair] for pair in second) / taken / nodes
    raise NoMeasure("the bus's connections change all the time")


def row_bus(setup):
    if not shutil.which("ss"):
        raise NoMeasure("there is no ss (Debian's package iproute2)")
    for nodes in BUS_NODES[:1] if setup.quick else BUS_NODES:
        for timeout_ms in BUS_TIMEOUTS_MS[:1] if setup.quick else BUS_TIMEOUTS_MS:
            ours, theirs = (bus_rate(binary, nodes, timeout_ms) for binary in (setup.shoal, setup.redis))
            # Told, not judged: a small cluster pings twice as often as Redis's, to notice sooner that a node hangs.
            setup.row("bus traffic of a node, %d idle nodes, node timeout %d ms" % (nodes, timeout_ms), "",
                      "%.0f bytes/s (Redis: %.0f)" % (ours, theirs), None)
