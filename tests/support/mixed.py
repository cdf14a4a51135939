"""A cluster of both kinds: our servers and Debian's redis-server, and a writer that knows what was acknowledged to it."""
import subprocess
import threading
import time

from . import programs
from .cluster import Cluster, cluster_info, parse_nodes, slot_of
from .programs import SLOWNESS, wait_until
from .resp import Error, ReplyError

OURS, REDIS = "ours", "redis"
TIMEOUT = int(1000 * SLOWNESS)
TOOLS = ["redis", "shoal"]


def tool(name):
    """A command line: Debian's or ours."""
    return programs.redis("cli") if name == "redis" else programs.shoal("cli")


def run(*command, seconds=60, status=0):
    """Runs a command line to its end and returns what it said; `status` None: any."""
    result = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, timeout=seconds * SLOWNESS)
    output = result.stdout.decode(errors="replace")
    assert status is None or result.returncode == status, f"{command} ended with {result.returncode}:\n{output[-4000:]}"
    return output


class MixedCluster(Cluster):
    """Nodes in the order of `kinds`; the first three become primaries, and each one's replica is of the other kind."""

    def __init__(self, yard, kinds, create_with="redis", replicas=1, join=True, **directives):
        directives.setdefault("cluster_node_timeout", TIMEOUT)
        self.kinds = list(kinds)
        self.creator = create_with
        self.elected = {}
        paths = [self.program_of(kind) for kind in kinds]
        super().__init__(yard, primaries=len(kinds) // (1 + replicas), replicas=replicas, programs_by_index=paths,
                         join=join, **directives)

    def create(self):
        run(tool(self.creator), "--cluster", "create", *[node.address for node in self.nodes], "--cluster-replicas",
            self.replicas, "--cluster-yes")
        self.wait_stable()
        if self.replicas:
            self.pair_across_kinds()

    timeout = TIMEOUT

    @staticmethod
    def program_of(kind):
        return programs.shoal("server") if kind == OURS else programs.redis("server")

    def kind(self, node):
        return OURS if node.program == programs.shoal("server") else REDIS

    def of_kind(self, kind):
        return [node for node in self.alive() if self.kind(node) == kind]

    def pair_across_kinds(self):
        """Each primary's replica is of the other kind, wherever the counts allow it."""
        replicas = [node for node in self.nodes if node not in self.masters()]
        for primary in self.masters():
            wanted = next((node for node in replicas if self.kind(node) != self.kind(primary)), None)
            if wanted is None:
                continue
            replicas.remove(wanted)
            identity = self.id_of(primary)
            if self.own_entry(wanted)["primary"] != identity:
                wait_until(lambda: wanted.call("CLUSTER", "REPLICATE", identity) == b"OK", 10, "REPLICATE")
        self.wait_stable()

    def own_entry(self, node):
        return next(entry for entry in self.view(node) if "myself" in entry["flags"])

    def primary_of_kind(self, kind):
        """A primary of this kind whose replica is of the other kind, with that replica: of the shards that fit, the one
        that has been left in peace for longest."""
        for node in sorted(self.masters(), key=self.last_election):
            if self.kind(node) == kind:
                for replica in self.replicas_of(node):
                    if self.kind(replica) != kind:
                        return node, replica
        raise AssertionError(f"no primary of {kind} with a replica of the other kind")

    def last_election(self, node):
        """When a node of this one's shard was last elected, as far as the tests know."""
        mine = self.own_entry(node)
        head = mine["id"] if mine["primary"] == "-" else mine["primary"]
        shard = [entry["port"] for entry in self.view(node) if head in (entry["id"], entry["primary"])]
        return max(self.elected.get(port, 0) for port in shard)

    def rest(self, heir):
        """A redis-server that was elected keeps the votes for a while: asked again too soon, it takes them for new
        ones, or calls the attempt expired. And voters don't vote twice for one shard within two node timeouts."""
        pause = 4.2 * max(TIMEOUT, 1000) / 1000 if self.kind(heir) == REDIS else 2.2 * TIMEOUT / 1000
        time.sleep(max(0, self.last_election(heir) + pause - time.monotonic()))

    def won(self, heir):
        self.elected[heir.port] = time.monotonic()

    def failover(self, heir, *how):
        """CLUSTER FAILOVER on the replica, until it is the primary of its shard and all know it."""
        self.rest(heir)
        assert heir.call("CLUSTER", "FAILOVER", *how) == b"OK"
        wait_until(lambda: heir.call("ROLE")[0] == b"master", 20, f"the failover to {heir}", step=0.01)
        self.won(heir)
        self.wait_stable()

    def arrange(self, *kinds):
        """Has shards, in any order, led by these kinds; returns the primary and the replica of the first."""
        wanted = list(kinds)
        led = {kind: [node for node in self.masters() if self.kind(node) == kind] for kind in (OURS, REDIS)}
        for kind, other in ((OURS, REDIS), (REDIS, OURS)):
            while len(led[kind]) < wanted.count(kind):
                heir = next(replica for node in sorted(led[other], key=self.last_election)
                            for replica in self.replicas_of(node) if self.kind(replica) == kind)
                self.failover(heir)
                led = {kind: [node for node in self.masters() if self.kind(node) == kind] for kind in (OURS, REDIS)}
        return self.primary_of_kind(wanted[0])

    def key_of(self, node, stem="key"):
        """The name of a key that the node owns."""
        mine = self.own_entry(node)["slots"]
        for i in range(10000):
            if any(first <= slot_of(f"{stem}{i}") <= last for first, last in mine):
                return f"{stem}{i}"
        raise AssertionError(f"{node} owns no slot of the names")

    def saw(self, observer, node, flags):
        """The observer shows one of the flags for the node."""
        return any(entry["port"] == node.port and set(entry["flags"]) & set(flags) for entry in self.view(observer))


class Writer:
    """Threads that set their own keys to rising numbers, following the cluster through whatever happens to it. What
    was acknowledged is remembered; `confirmed` waits for a replica too, so that it holds for FORCE and TAKEOVER."""

    def __init__(self, cluster, keys, confirmed=False, pause=0.002):
        self.cluster, self.confirmed, self.pause = cluster, confirmed, pause
        self.keys = list(keys)
        self.acknowledged = {}
        self.errors = {}
        self.longest_gap = 0.0
        self.writes = self.turn = 0
        self.failures = []
        self.stop = threading.Event()
        self.ports = [node.port for node in cluster.alive()]
        self.threads = [threading.Thread(target=self._run, args=(key,)) for key in self.keys]

    def _note(self, word):
        self.errors[word] = self.errors.get(word, 0) + 1

    def _write(self, client, key, value):
        """True when the write was acknowledged."""
        try:
            reply = client.once(key, "SET", key, value)
            if isinstance(reply, Error):
                self._note(reply.code)
                client.routes.pop(slot_of(key), None)
                return False
            return not self.confirmed or client._client(client.routes.get(
                slot_of(key), client.ports[slot_of(key) % len(client.ports)])).reply("WAIT", 1, 500) == 1
        except (OSError, ReplyError, AssertionError) as error:
            self._note(type(error).__name__)
            self.turn += 1
            client.routes[slot_of(key)] = self.ports[self.turn % len(self.ports)]
            return False

    def _run(self, key):
        from .cluster import ClusterClient
        value, last = 0, time.monotonic()
        try:
            with ClusterClient(self.ports, timeout=5) as client:
                while not self.stop.is_set():
                    value += 1
                    if self._write(client, key, value):
                        self.acknowledged[key] = value
                        self.writes += 1
                        now = time.monotonic()
                        self.longest_gap = max(self.longest_gap, now - last)
                        last = now
                    else:
                        time.sleep(0.01)
                    time.sleep(self.pause)
        except BaseException as error:  # noqa: BLE001
            self.failures.append(f"{key}: {error!r}")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        wait_until(lambda: self.failures or len(self.acknowledged) == len(self.keys), 10, "the first writes")
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def know(self, ports):
        """Where else the cluster may be met when a node is gone."""
        self.ports += [port for port in ports if port not in self.ports]

    def more(self, count=20, seconds=20):
        """Waits until every key was written some more."""
        marks = {key: self.acknowledged[key] for key in self.keys}
        wait_until(lambda: self.failures or all(self.acknowledged[key] >= marks[key] + count for key in self.keys),
                   seconds, "more writes")

    def check(self, allowed=()):
        """Nothing acknowledged is missing, and no error came but those allowed."""
        assert not self.failures, self.failures
        assert set(self.errors) <= set(allowed), self.errors
        with self.cluster.client(patience=20) as client:
            for key, value in self.acknowledged.items():
                found = int(client.insist(key, "GET", key) or 0)
                assert found >= value, f"{key} is {found}, acknowledged was {value}"


__all__ = ["OURS", "REDIS", "TOOLS", "MixedCluster", "Writer", "cluster_info", "parse_nodes", "run", "tool"]
