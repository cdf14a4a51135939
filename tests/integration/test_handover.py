"""A primary that is told to end hands its slots over to a replica first: writes wait for a moment, none is refused for
long, and none that was acknowledged is lost."""
import signal
import threading
import time

import pytest

from support import programs
from support.cluster import cluster_info, slot_of
from support.mixed import OURS, REDIS, MixedCluster
from support.mixed import Writer as MixedWriter
from support.programs import SLOWNESS, wait_until
from support.resp import Client, Error

TIMEOUT = int(2000 * SLOWNESS)
REFUSAL_MAX = 0.2 * SLOWNESS  # seconds, of the issue


class Writer:
    """Counts up one key after the other as a cluster client does: follows MOVED, and asks another node when one does not
    answer. Notes what was acknowledged, and the longest time for which a key's writes were not taken."""

    def __init__(self, ports, keys):
        self.ports = list(ports)
        self.acknowledged = {key: 0 for key in keys}
        self.longest = {key: 0.0 for key in keys}
        self.errors = {}
        self.failures = []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(key,)) for key in keys]

    def note(self, word):
        self.errors[word] = self.errors.get(word, 0) + 1

    def write(self, clients, port, key):
        """One try: (it was acknowledged, where to try next)."""
        others = [other for other in self.ports if other != port]
        elsewhere = others[int(time.monotonic() * 1e6) % len(others)]
        try:
            if port not in clients:
                clients[port] = Client(port, timeout=10)
            reply = clients[port].reply("SET", key, self.acknowledged[key] + 1)
        except OSError as error:
            self.note(type(error).__name__)
            lost = clients.pop(port, None)
            if lost:
                lost.close()
            return False, elsewhere
        if isinstance(reply, Error):
            self.note(reply.code)
            return False, int(reply.rsplit(":", 1)[1]) if reply.code == "MOVED" else elsewhere
        return True, port

    def run(self, key):
        clients, port, last = {}, self.ports[0], time.monotonic()
        try:
            while not self.stop.is_set():
                taken, port = self.write(clients, port, key)
                if taken:
                    now = time.monotonic()
                    self.longest[key] = max(self.longest[key], now - last)
                    last = now
                    self.acknowledged[key] += 1
                time.sleep(0.001)
        except BaseException as error:  # noqa: BLE001
            self.failures.append(repr(error))
        for client in clients.values():
            client.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.more()
        self.forget_times()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def forget_times(self):
        for key in self.longest:
            self.longest[key] = 0.0

    def more(self, count=20):
        marks = dict(self.acknowledged)
        wait_until(lambda: self.failures or all(self.acknowledged[key] >= marks[key] + count for key in marks), 20,
                   "more writes")

    def check(self, six, owner):
        """Nothing is missing at the new owner."""
        assert not self.failures, self.failures
        with owner.client() as client:
            for key, count in self.acknowledged.items():
                assert int(client.reply("GET", key)) in (count, count + 1), (key, count)


def keys_of(six, node, count):
    entry = next(entry for entry in six.view(node) if "myself" in entry["flags"])
    mine = entry["slots"]
    names = (f"key{i}" for i in range(100000))
    return [name for _, name in zip(range(count), (name for name in names
            if any(first <= slot_of(name) <= last for first, last in mine)))]


def end(node, how):
    """Tells it to end, waits for that, and returns how long it took."""
    start = time.monotonic()
    if how == "SIGTERM":
        node.send_signal(signal.SIGTERM)
    else:
        with node.client(timeout=30) as client:
            client.send("SHUTDOWN", *how.split()[1:])
            assert node.wait_end() == 0
    assert node.wait_end() == 0
    return time.monotonic() - start


@pytest.mark.parametrize("how", ["SIGTERM", "SHUTDOWN FAILOVER"])
def test_a_primary_that_ends_hands_over(cluster, how):
    """Five rounds: the replica takes over before the primary is gone, which comes back as its replica."""
    if programs.testing_redis_itself():
        pytest.skip("a redis-server hands nothing over")
    six = cluster(3, 1, cluster_node_timeout=TIMEOUT, io_threads=2)
    old = six.masters()[0]
    (heir,) = six.replicas_of(old)
    keys = keys_of(six, old, 4)
    for turn in range(5):
        epoch = int(cluster_info(heir.client())["cluster_current_epoch"])
        with Writer([node.port for node in six.nodes], keys) as writer:
            end(old, how)
            writer.more()
            longest = max(writer.longest.values())
        writer.check(six, heir)
        print(f"{how} {turn}: longest refusal {longest * 1000:.0f} ms, met {writer.errors}")
        assert longest <= REFUSAL_MAX, (turn, writer.longest, writer.errors)
        assert set(writer.errors) <= {"MOVED", "ConnectionError", "ConnectionResetError", "ConnectionRefusedError",
                                      "BrokenPipeError", "EOFError"}, writer.errors
        assert int(cluster_info(heir.client())["cluster_current_epoch"]) == epoch + 1
        log = old.log()
        assert "Handing my slots over to replica" in log and "My slots are handed over." in log
        old.start()
        six.wait_stable()
        assert old.call("ROLE")[0] == b"slave" and heir.call("ROLE")[0] == b"master"
        old, heir = heir, old
