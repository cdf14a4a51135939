"""Servers that a measurement starts, looks at and stops: each in a folder of its own, on a free port of the loopback."""

import os
import shutil
import signal
import subprocess
import tempfile
import time

from resp import Connection, ReplyError, call
from support import ports

START_SECONDS = 20
STOP_SECONDS = 10
BUS_OFFSET = ports.BUS
SLOTS_OF_A_CLUSTER = 16384


class NoMeasure(Exception):
    """A row could not be measured; the text says why."""


def wait_until(condition, seconds, what):
    """Waits until condition() holds; raises NoMeasure when it does not in time."""
    end = time.monotonic() + seconds
    while True:
        if condition():
            return
        if time.monotonic() > end:
            raise NoMeasure("waited %d s in vain for %s" % (seconds, what))
        time.sleep(0.02)


class Server:
    """One server process. Stopped, and its folder removed, by stop_all at the latest."""

    all = []

    def __init__(self, binary, core=None, **directives):
        self.binary = binary
        self.core = core
        self.port = ports.take()
        self.folder = tempfile.mkdtemp(prefix="shoal-bench-")
        self.directives = {"save": "", "appendonly": "no", "bind": "127.0.0.1", "port": self.port}
        self.directives.update({name.replace("_", "-"): value for name, value in directives.items()})
        self.process = None
        Server.all.append(self)
        self.start()

    @property
    def name(self):
        return os.path.basename(self.binary)

    def start(self):
        command = [self.binary]
        for name, value in self.directives.items():
            command += ["--" + name, str(value)]
        pin = (lambda: os.sched_setaffinity(0, {self.core})) if self.core is not None else None
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, preexec_fn=pin)
        try:
            wait_until(self.answers, START_SECONDS, self.name + " to answer")
        except NoMeasure:
            raise NoMeasure("%s did not start: %s" % (self.binary, self.log_end())) from None

    def log_end(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as log:
            return " / ".join(line.strip() for line in log.readlines()[-3:])

    def answers(self):
        if self.process.poll() is not None:
            raise NoMeasure("it ended")
        try:
            return call(self.port, "PING", timeout=2) == b"PONG"
        except (OSError, ReplyError):
            return False

    def call(self, *arguments, timeout=10.0):
        return call(self.port, *arguments, timeout=timeout)

    def info(self, section):
        text = self.call("INFO", section).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def cpu_seconds(self):
        """User and system time of all threads so far."""
        tasks = "/proc/%d/task" % self.process.pid
        total = 0
        for task in os.listdir(tasks):
            try:
                with open("%s/%s/schedstat" % (tasks, task)) as stat:
                    total += int(stat.read().split()[0])
            except FileNotFoundError:  # the thread ended meanwhile
                continue
        return total / 1e9

    def resident_bytes(self):
        with open("/proc/%d/status" % self.process.pid) as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise NoMeasure("no VmRSS")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self in Server.all:
            Server.all.remove(self)
            ports.give_back(self.port)


def stop_all():
    for server in list(Server.all):
        server.stop()


def own_all_slots(server):
    """A cluster of one node."""
    server.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    wait_until(lambda: state_of(server) == "ok", 15, "the cluster's state ok")


def state_of(server):
    text = server.call("CLUSTER", "INFO").decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)["cluster_state"].strip()


class Cluster:
    """`primaries` primaries with `replicas` replicas each."""

    def __init__(self, binary, primaries, replicas, **directives):
        count = primaries * (1 + replicas)
        self.nodes = [Server(binary, cluster_enabled="yes", **directives) for _ in range(count)]
        for epoch, node in enumerate(self.nodes, 1):
            node.call("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        for i in range(primaries):
            first, last = i * 16384 // primaries, (i + 1) * 16384 // primaries - 1
            self.nodes[i].call("CLUSTER", "ADDSLOTSRANGE", first, last)
        for node in self.nodes[1:]:
            node.call("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port)
        wait_until(lambda: all(self.knows(node) == count for node in self.nodes), 30, "the nodes to meet")
        ids = [node.call("CLUSTER", "MYID") for node in self.nodes]
        for i in range(primaries, count):
            wait_until(lambda: self.replicate(self.nodes[i], ids[i % primaries]), 15, "CLUSTER REPLICATE")
        wait_until(self.settled, 40, "the cluster to settle")

    @staticmethod
    def replicate(node, primary_id):
        try:
            return node.call("CLUSTER", "REPLICATE", primary_id) == b"OK"
        except ReplyError:
            return False

    @staticmethod
    def rows(node):
        """CLUSTER NODES of a node: a list of lists of words."""
        return [line.split() for line in node.call("CLUSTER", "NODES").decode().splitlines() if line]

    def knows(self, node):
        rows = self.rows(node)
        return sum("handshake" not in row[2] for row in rows) if all("handshake" not in r[2] for r in rows) else 0

    def settled(self):
        """All nodes see each other well, the state is ok, and replicas are in step with their primary."""
        for node in self.nodes:
            rows = self.rows(node)
            if len(rows) != len(self.nodes) or state_of(node) != "ok":
                return False
            if any("fail" in row[2] or (row[7] != "connected" and "myself" not in row[2]) for row in rows):
                return False
            info = node.info("replication")
            if info["role"] == "slave" and info["master_link_status"].strip() != "up":
                return False
        return True

    def role(self, node):
        return "slave" if self.is_replica(node) else "master"

    @staticmethod
    def is_replica(node):
        return node.info("replication")["role"].strip() == "slave"

    def primaries(self):
        return [node for node in self.nodes if not self.is_replica(node)]

    def stop(self):
        for node in self.nodes:
            node.stop()


def fill(port, count, key=b"%016d", value=b"v" * 32, chunk=1000, window=4, first=0):
    """Sets `count` keys, key % first .. key % (first + count - 1), one after the other, and checks each reply."""
    key_size = len(key % 0)
    template = b"*3\r\n$3\r\nSET\r\n$%d\r\n" % key_size + key + b"\r\n$%d\r\n%s\r\n" % (len(value), value)
    with Connection(port, timeout=120) as connection:
        waiting = []

        def check():
            wanted = b"+OK\r\n" * waiting.pop(0)
            got = connection.input.read(len(wanted))
            if got != wanted:
                raise NoMeasure("a SET was answered by %r" % got[:80])

        for start in range(first, first + count, chunk):
            size = min(chunk, first + count - start)
            connection.send(b"".join([template % number for number in range(start, start + size)]))
            waiting.append(size)
            if len(waiting) == window:
                check()
        while waiting:
            check()
