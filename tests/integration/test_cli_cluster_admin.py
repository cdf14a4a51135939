"""shoal-cli --cluster add-node, del-node, rebalance, fix, import, backup and set-timeout, beside Debian's redis-cli:
what only looks is asked of the same cluster, what changes one is done to twins."""
import difflib
import functools
import itertools
import json
import os
import pty
import re
import signal
import subprocess

import pytest

from support import programs
from support.cli import CLI, REDIS_CLI, assert_same, ours, program_of, run
from support.cluster import Cluster, ClusterClient, slot_of
from support.programs import SLOWNESS, wait_until
from support.resp import ReplyError
from support.threads import together

KINDS = ["redis", "shoal"]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module", params=KINDS)
def shared(request, module_yard):
    """Three primaries and three replicas that no test changes."""
    return Cluster(module_yard, 3, 1, program=program_of(request.param))


class Twins:
    """Two clusters alike: redis-cli works on one, shoal-cli on the other."""

    def __init__(self, make, kinds, spare=0, **options):
        self.tools = (REDIS_CLI, CLI)
        self.clusters = [make(kind, **options) for kind in kinds]
        self.each(Cluster.create)
        for cluster in self.clusters:
            for _ in range(spare):
                cluster.nodes.append(cluster.yard.server(
                    program=cluster.nodes[0].program, name=f"spare{len(cluster.yard.servers)}", cluster_enabled="yes",
                    cluster_node_timeout=int(2000 * SLOWNESS), repl_diskless_sync_delay=0))
            cluster.identities = [cluster.id_of(node) for node in cluster.nodes]

    def each(self, action):
        together([functools.partial(action, cluster) for cluster in self.clusters])

    def run(self, *arguments, stdin=b"", status=None):
        """Both tools with arguments that may be functions of the cluster. Their outputs must be the same but for ids,
        ports, and the order of the nodes, which is that of a hash table."""
        texts = [None, None]

        def ask(index):
            cluster = self.clusters[index]
            words = [argument(cluster) if callable(argument) else argument for argument in arguments]
            result = run(self.tools[index], "--cluster", *words, stdin=stdin)
            texts[index] = (normal(result.stdout.decode(), cluster), normal(result.stderr.decode(), cluster),
                            result.returncode)

        together([functools.partial(ask, index) for index in range(2)])
        for theirs, mine in zip(texts[0][:2], texts[1][:2]):
            assert mine == theirs, "\n".join(difflib.unified_diff(theirs.split("\n"), mine.split("\n"), "redis-cli", "shoal-cli"))
        assert texts[1][2] == texts[0][2]
        assert status is None or texts[1][2] == status, texts[1]
        return texts[1][0]

    def wait_good(self):
        self.each(lambda cluster: wait_until(lambda: ours("check", cluster.nodes[0].address).returncode == 0, 20,
                                             "a good cluster", step=0.2))


def normal(text, cluster):
    """Ids and ports by the place of their node, runs of lines of one kind sorted, dots of waiting left out."""
    for index, node in enumerate(cluster.nodes):
        text = text.replace(cluster.identities[index], f"<id {index}>")
        text = text.replace(cluster.identities[index][:8] + "...", f"<id {index}>")
        text = re.sub(rf"\b{node.port}\b", f"<port {index}>", text)
    text = re.sub(r"(Waiting for the cluster to join\n)\.*", r"\1", text)
    text = re.sub("\n   ", " | ", text)
    lines = []
    for _, group in itertools.groupby(enumerate(text.split("\n")), key=lambda item: run_of(*item)):
        lines += sorted(line for _, line in group)
    return "\n".join(lines)


def run_of(number, line):
    """Which lines about nodes may stand in any order among themselves; every other line stays where it is."""
    for kind, pattern in (("node", "[MS]: "), ("keys", ".* slots \\| "), ("timeout", r"\*\*\* New timeout|ERR setting"),
                          ("open", r"\[WARNING\] Node ")):
        if re.match(pattern, line):
            return kind
    return number


@pytest.fixture
def twins(kind, cluster):
    """twins(primaries, replicas, spare): clusters and as many nodes beside them. In those that fix repairs, redis-cli has
    one of redis-server's, whatever shoal-cli has: it sends its orders in transactions, which take more of a server than
    what is to be seen here."""
    def make(of, primaries=3, replicas=0, **directives):
        directives.setdefault("cluster_require_full_coverage", "no")
        directives.setdefault("enable_debug_command", "yes")
        return cluster(primaries, replicas, program=program_of(of), join=False, **directives)
    return lambda fix=False, **options: Twins(make, ["redis" if fix else kind, kind], **options)


def first(cluster):
    return cluster.nodes[0].address


def address_of(index):
    return lambda cluster: cluster.nodes[index].address


def id_at(index):
    return lambda cluster: cluster.identities[index]


def keys_in(slot, count=1):
    return list(itertools.islice((f"k{i}" for i in itertools.count() if slot_of(f"k{i}") == slot), count))


def put(node, key, value, asking=False):
    with node.client() as client:
        if asking:
            client.call("ASKING")
        client.call("SET", key, value)


def set_slot(node, slot, *words):
    node.call("CLUSTER", "SETSLOT", slot, *words)


def fill(cluster, count):
    with ClusterClient([node.port for node in cluster.nodes[:3]]) as client:
        for i in range(count):
            client.call(f"key:{i}", "SET", f"key:{i}", i)


# ---- What only looks ----

def test_wrong_arguments(shared):
    address = shared.nodes[0].address
    for words in (["help"], ["fix"], ["add-node", address], ["add-node", address, address, address], ["del-node", address],
                  ["del-node", "127.0.0.1", shared.nodes[0].port], ["set-timeout", address], ["set-timeout", address, 5],
                  ["set-timeout", address, "x"], ["backup", address], ["import", address], ["import", address, address],
                  ["import", address, "--cluster-from", "nonsense"], ["add-node", "nonsense", address],
                  ["add-node", "127.0.0.1:1", "nonsense"], ["rebalance", "nonsense"], ["fix", "127.0.0.1:1"]):
        assert_same(*words)


def test_refusals(shared, redis_server, tmp_path):
    address = shared.nodes[0].address
    same = functools.partial(assert_same, TERM="xterm")  # with colours
    owner = shared.id_of(shared.masters()[1])
    same("del-node", address, "nonsense")
    same("del-node", address, owner)
    same("add-node", shared.nodes[1].address, address)
    same("add-node", "127.0.0.1:1", address)
    same("add-node", redis_server().address, address)
    same("add-node", redis_server(requirepass="secret").address, address)
    same("check", redis_server(requirepass="secret").address)
    same("add-node", "127.0.0.1:1", address, "--cluster-slave", "--cluster-master-id", "nonsense")
    same("import", address, "--cluster-from", "127.0.0.1:1")
    same("import", address, "--cluster-from", shared.nodes[1].address)
    same("rebalance", address)
    same("rebalance", address, "--cluster-weight", "nonsense=3")
    same("fix", address)
    same("fix", "127.0.0.1", shared.nodes[0].port)
    same("backup", address, tmp_path / "missing")


def test_rebalance_plans_like_redis_cli(kind, cluster):
    joined = cluster(4, 0, program=program_of(kind))
    address = joined.nodes[0].address
    ids = [joined.id_of(node) for node in joined.nodes]
    ours("rebalance", address, "--cluster-weight", f"{ids[3]}=0")
    wait_until(lambda: ours("check", address).returncode == 0, 20, "agreement", step=0.2)
    joined.wait_stable()  # who has no slots left becomes a replica, and answers LOADING for a moment
    for weights in ([], [f"{ids[0]}=2"], [f"{ids[0]}=0"], [f"{ids[0]}=x"], [f"{ids[0]}=1.5", f"{ids[1]}=3.7"],
                    [f"{ids[2][:7]}=0.1", f"{ids[1]}=100"], [f"{ids[0]}=0", f"{ids[1]}=0"], [f"{ids[3]}=5"], ["nonsense"]):
        for more in ([], ["--cluster-use-empty-masters"], ["--cluster-use-empty-masters", "--cluster-threshold", 60],
                     ["--cluster-threshold", 0], ["--cluster-threshold", 0.01]):
            words = ["--cluster-weight", *weights] if weights else []
            assert_same("rebalance", address, "--cluster-simulate", *words, *more)


# ---- Nodes come and go ----

def test_add_node_and_del_node(twins):
    pair = twins(replicas=1, spare=3)
    pair.run("add-node", address_of(6), first, status=0)
    pair.each(lambda cluster: wait_until(lambda: all(len(cluster.view(node)) == 7 for node in cluster.nodes[:7])))
    # The new one is the only primary without a replica.
    text = pair.run("add-node", address_of(7), first, "--cluster-slave", status=0)
    assert "Automatically selected master 127.0.0.1:<port 6>\n" in text
    pair.each(lambda cluster: wait_until(lambda: all(len(cluster.view(node)) == 8 for node in cluster.nodes[:8])))
    pair.run("add-node", address_of(8), first, "--cluster-slave", "--cluster-master-id", id_at(1), status=0)
    for cluster in pair.clusters:
        cluster.wait_stable()
        view = {entry["id"]: entry for entry in cluster.view(cluster.nodes[0])}
        assert view[cluster.identities[7]]["primary"] == cluster.identities[6]
        assert view[cluster.identities[8]]["primary"] == cluster.identities[1]
    pair.run("del-node", first, id_at(8), status=0)
    left = list(range(8))
    pair.each(lambda cluster: wait_until(lambda: all(len(cluster.view(cluster.nodes[i])) == 8 for i in left)))
    got = [run(tool, "--cluster", "del-node", first(cluster), cluster.identities[6])
           for tool, cluster in zip(pair.tools, pair.clusters)]
    for cluster, result in zip(pair.clusters, got):
        text = normal(result.stdout.decode(), cluster)
        assert result.returncode == 0, text
        assert ">>> 127.0.0.1:<port 7> as replica of 127.0.0.1:<port" in text, "its replica is given to another primary"
        assert len(cluster.view(cluster.nodes[0])) == 7
        assert len(cluster.view(cluster.nodes[6])) == 1


def test_a_removed_node_comes_back_as_a_replica(kind, cluster):
    """Those who removed it keep it out for a minute, but its primary knows it, and that is enough."""
    joined = cluster(3, 1, program=program_of(kind))
    address = joined.nodes[0].address
    replica = next(node for node in joined.nodes if node.call("ROLE")[0] == b"slave")
    primary = next(node for node in joined.masters() if replica in joined.replicas_of(node))
    assert ours("del-node", address, joined.id_of(replica)).returncode == 0
    wait_until(lambda: ours("check", address).returncode == 0, 20)
    got = ours("add-node", replica.address, primary.address, "--cluster-slave", "--cluster-master-id", joined.id_of(primary))
    assert got.returncode == 0, got.stdout[-500:]
    wait_until(lambda: replica.info("replication").get("master_link_status") == "up", 20, "the replica's link")
    assert int(replica.info("replication")["master_port"]) == primary.port


def test_add_node_copies_functions(twins, kind):
    pair = twins(spare=2)
    code = "#!lua name=lib\nredis.register_function('f', function() return 1 end)"
    try:
        pair.each(lambda cluster: [node.call("FUNCTION", "LOAD", code) for node in cluster.nodes[:3] + cluster.nodes[4:]])
    except ReplyError:
        assert kind == "shoal"
        pytest.skip("this server has no functions")
    pair.run("add-node", address_of(3), first, status=0)
    pair.each(lambda cluster: wait_until(lambda: all(len(cluster.view(node)) == 4 for node in cluster.nodes[:4])))
    pair.wait_good()
    pair.run("add-node", address_of(4), first, status=1)
    pair.each(lambda cluster: cluster.nodes[3].call("FCALL", "f", 0))


def test_set_timeout(twins):
    pair = twins()
    text = pair.run("set-timeout", first, 3210, status=0)
    assert ">>> New node timeout set. 3 OK, 0 ERR." in text
    for node in pair.clusters[1].nodes:
        assert node.call("CONFIG", "GET", "cluster-node-timeout")[1] == b"3210"
        assert "cluster-node-timeout 3210" in node.config_file.read_text()


# ---- rebalance ----

def test_rebalance_moves(twins):
    pair = twins(spare=1)
    pair.each(lambda cluster: fill(cluster, 500))
    pair.run("add-node", address_of(3), first, status=0)
    pair.each(lambda cluster: wait_until(lambda: all(len(cluster.view(node)) == 4 for node in cluster.nodes)))
    pair.wait_good()
    got = ours("rebalance", first(pair.clusters[1]), "--cluster-use-empty-masters")
    assert got.returncode == 0, got.stdout[-300:]
    assert re.search(rb"\nMoving 136[56] slots from \S+ to \S+\n#{1365,1366}\n", got.stdout), got.stdout[-300:]
    cluster = pair.clusters[1]
    wait_until(lambda: ours("check", first(cluster)).returncode == 0, 20, "agreement", step=0.2)
    counts = [sum(last - start + 1 for start, last in entry["slots"]) for entry in cluster.view(cluster.nodes[0])]
    assert counts == [4096] * 4
    assert sum(node.call("DBSIZE") for node in cluster.nodes) == 500
    assert_same("rebalance", first(cluster), "--cluster-use-empty-masters")
    # Redis's tool finds nothing to do in what ours did, and empties a node by its weight.
    got = ours("rebalance", first(cluster), "--cluster-weight", f"{cluster.identities[3]}=0", "--json")
    events = [json.loads(line) for line in got.stdout.splitlines()]
    assert sum(event["slots"] for event in events if event["event"] == "transfer") == 4096
    assert sum(event["event"] == "slot" for event in events) == 4096
    assert events[-1] == {"event": "end", "command": "rebalance", "status": 0, "interrupted": False}
    assert any(event["event"] == "progress" and event["share"] == 1 for event in events)


def test_rebalance_goes_on_after_an_interrupt(twins):
    cluster = twins().clusters[1]
    fill(cluster, 3000)
    words = [CLI, "--cluster", "rebalance", first(cluster), "--cluster-weight", f"{cluster.identities[0]}=0", "--cluster-pipeline", "1"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "TERM": "dumb"})
    seen = b""
    while b"\n#" not in seen:
        seen += process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    seen += process.stdout.read()
    process.stdout.close()
    assert process.wait(30 * SLOWNESS) == 1 and b"Interrupted: no slot is left open." in seen, seen[-300:]
    wait_until(lambda: ours("check", first(cluster)).returncode == 0, 20, "agreement", step=0.2)
    assert run(*words).returncode == 0
    own = next(entry for entry in cluster.view(cluster.nodes[0]) if "myself" in entry["flags"])
    assert own["slots"] == []
    assert sum(node.call("DBSIZE") for node in cluster.masters()) == 3000


# ---- fix ----

def test_fix_of_open_slots(twins):
    pair = twins(fix=True)

    def open_them(cluster):
        a, b, c = cluster.nodes
        ida, idb, _ = cluster.identities
        set_slot(a, 0, "MIGRATING", idb)  # migrating alone
        set_slot(b, 1, "IMPORTING", ida)  # importing alone
        put(a, keys_in(2)[0], "x")  # a move that was begun
        set_slot(b, 2, "IMPORTING", ida)
        set_slot(a, 2, "MIGRATING", idb)
        for key in keys_in(3, 3):  # a move that is half done
            put(a, key, "x")
        set_slot(b, 3, "IMPORTING", ida)
        set_slot(a, 3, "MIGRATING", idb)
        a.call("MIGRATE", "127.0.0.1", b.port, "", 0, 5000, "KEYS", *keys_in(3, 2))
        set_slot(b, 4, "IMPORTING", ida)  # two importing, one of them the target
        set_slot(c, 4, "IMPORTING", ida)
        set_slot(a, 4, "MIGRATING", idb)
        set_slot(b, 5, "IMPORTING", ida)  # two importing, one of them with a key, nobody migrating
        set_slot(c, 5, "IMPORTING", ida)
        put(b, keys_in(5)[0], "x", asking=True)

    pair.each(open_them)
    shown = []
    for tool, cluster in zip(pair.tools, pair.clusters):
        result = run(tool, "--cluster", "fix", first(cluster))
        assert result.returncode == 0, result.stdout.decode()
        # redis-cli takes the slots in the order of a hash table.
        text = normal(result.stdout.decode().split("are open: ")[1].split(">>> Check slots")[0], cluster)
        parts = {}
        for part in re.split("(?m)^>>> Fixing open slot ", text.split("\n", 1)[1])[1:]:
            number, lines = part.split("\n", 1)
            # Which of two importing nodes comes first, and which of them is the target when keys don't say it, is
            # chance as well.
            lines = re.sub(r"(importing in: )(.*)", lambda found: found[1] + ",".join(sorted(found[2].split(","))), lines)
            parts[int(number)] = sorted(lines.split("\n"))
        shown.append(parts)
    assert shown[1].keys() == shown[0].keys() == set(range(6))
    for slot in shown[0]:
        assert shown[1][slot] == shown[0][slot], f"slot {slot}"
    pair.wait_good()
    for cluster in pair.clusters:
        assert sorted(key.decode() for node in cluster.nodes for key in node.call("KEYS", "*")) == sorted(
            keys_in(2) + keys_in(3, 3) + keys_in(5))
        for slot, index in ((0, 0), (1, 0), (2, 1), (3, 1), (4, 1), (5, 1)):
            assert cluster.owner(slot) is cluster.nodes[index], f"slot {slot}"


def has_digests(cluster):
    try:
        cluster.nodes[0].call("DEBUG", "DIGEST-VALUE", "nothing")
        return True
    except ReplyError:
        return False


def test_fix_of_keys_at_both_nodes(twins):
    pair = twins(fix=True)
    keys = keys_in(7, 3)

    def make(cluster):
        for key in keys:
            put(cluster.nodes[0], key, "right")
        set_slot(cluster.nodes[1], 7, "IMPORTING", cluster.identities[0])
        put(cluster.nodes[1], keys[0], "wrong", asking=True)
        put(cluster.nodes[1], keys[1], "right", asking=True)

    pair.each(make)
    text = pair.run("fix", first, status=1)
    assert "*** Target key exists" in text
    if has_digests(pair.clusters[1]):
        assert "*** Found 1 key(s) in both source node and target node having different values." in text
    else:
        assert "*** Value check failed!" in text
    assert pair.clusters[1].nodes[0].call("GET", keys[0]) == b"right", "nothing is overwritten without --cluster-replace"
    if has_digests(pair.clusters[1]):
        pair.each(lambda cluster: put(cluster.nodes[1], keys[0], "right", asking=True))
        assert "*** Replacing target keys..." in pair.run("fix", first, status=0)
    else:
        assert "*** Replacing target keys..." in pair.run("fix", first, "--cluster-replace", status=0)
    pair.wait_good()
    for cluster in pair.clusters:
        assert cluster.nodes[0].call("DBSIZE") == 3 and cluster.nodes[1].call("DBSIZE") == 0


def give_up(cluster, *slots):
    """Nobody owns the slots any more. A node that lets go of one before its owner does may hear the owner's claim once
    more, and keeps to it then, as redis-server does: it is told again."""
    def known_to(node):
        ranges = [one for entry in cluster.view(node) for one in entry["slots"]]
        return [slot for slot in slots if any(start <= slot <= last for start, last in ranges)]

    def let_go():
        left = [(node, known) for node in cluster.nodes if (known := known_to(node))]
        for node, known in left:
            node.call("CLUSTER", "DELSLOTS", *known)
        return not left
    wait_until(let_go, 10, "nobody to know an owner")


def test_fix_of_coverage_asks(twins):
    pair = twins(fix=True)
    one, both = keys_in(21)[0], keys_in(22, 2)

    def make(cluster):
        a, b, _ = cluster.nodes
        put(a, one, "x")
        put(a, both[0], "x")
        set_slot(b, 22, "IMPORTING", cluster.identities[0])
        put(b, both[1], "x", asking=True)
        set_slot(b, 22, "STABLE")
        give_up(cluster, 21, 22, 5461)

    pair.each(make)
    for answers in (b"", b"no\n"):
        text = pair.run("fix", first, stdin=answers, status=1)
        assert "Fix these slots by covering with a random node? (type 'yes' to accept): " in text
    texts = []
    for tool, cluster in zip(pair.tools, pair.clusters):
        result = run(tool, "--cluster", "fix", first(cluster), stdin=b"yes\nyes\nyes\n")
        assert result.returncode == 0, result.stdout.decode()
        # Who covers a slot without keys is chance, with redis-cli.
        text = re.sub(r"(Covering slot 5461 with) \S+", r"\1", result.stdout.decode().split("Fixing slots coverage")[1])
        texts.append(re.sub(r"(?<=:)\d+", lambda found: str([n.port for n in cluster.nodes].index(int(found[0]))), text))
    pair.wait_good()
    assert texts[1] == texts[0]
    for cluster in pair.clusters:
        assert sorted(key.decode() for key in cluster.nodes[0].call("KEYS", "*")) == sorted([one, *both])
        assert cluster.nodes[1].call("DBSIZE") == 0


def test_fix_with_an_unreachable_primary(twins):
    pair = twins(fix=True, cluster_node_timeout=int(1000 * SLOWNESS))
    pair.each(lambda cluster: cluster.nodes[2].kill())
    for cluster in pair.clusters:
        wait_until(lambda: any("fail" in entry["flags"] for entry in cluster.view(cluster.nodes[0])), 30, "the death to be noticed")
    text = pair.run("fix", first, status=1)
    assert "with 1 unreachable masters is dangerous" in text
    cluster = pair.clusters[1]
    got = ours("fix", first(cluster), "--cluster-fix-with-unreachable-masters", stdin=b"yes\n")
    assert got.returncode == 0, got.stdout[-300:]
    assert b"The following uncovered slots have no keys across the cluster:\n[10923-16383]\n" in got.stdout
    counts = [len(re.findall(rf"(?m)>>> Covering slot \d+ with {node.address}$", got.stdout.decode())) for node in cluster.nodes]
    assert counts == [2731, 2730, 0] or counts == [2730, 2731, 0], "they are spread evenly"
    wait_until(lambda: ours("check", first(cluster)).stdout.endswith(b"[OK] All 16384 slots covered.\n"), 20, "coverage", step=0.3)


def test_fix_of_several_owners(twins):
    pair = twins(fix=True)
    keys = keys_in(31, 3)

    def make(cluster):
        for key in keys:
            put(cluster.nodes[0], key, "x")
        # With the highest epoch the first one keeps the slot, whenever the bus settles it.
        cluster.nodes[0].call("CLUSTER", "BUMPEPOCH")

    pair.each(make)
    for tool, cluster in zip(pair.tools, pair.clusters):
        a, b, _ = cluster.nodes
        for _ in range(20):  # until we are faster than the bus
            b.call("CLUSTER", "DELSLOTS", 31)
            b.call("CLUSTER", "ADDSLOTS", 31)
            result = run(tool, "--cluster", "fix", first(cluster), "--cluster-search-multiple-owners")
            text = result.stdout.decode()
            assert result.returncode == 0, text
            if "[WARNING] Slot 31 has 2 owners:" in text:
                break
        assert "[WARNING] Slot 31 has 2 owners:" in text
        assert f">>> Fixing multiple owners for slot 31...\n>>> Setting slot 31 owner: {a.address}\n" in text
        assert text.endswith("[OK] No multiple owners found.\n")
    pair.wait_good()
    for cluster in pair.clusters:
        assert cluster.owner(31) is cluster.nodes[0]
        assert sorted(key.decode() for key in cluster.nodes[0].call("KEYS", "*")) == sorted(keys)


# ---- import ----

def test_import(twins, redis_server):
    pair = twins()
    sources = [redis_server(), redis_server()]

    def load():
        for source in sources:
            source.call("FLUSHALL")
            for i in range(50):
                source.call("SET", f"k{i}", f"v{i}")
            source.call("RPUSH", "list", "a", "b") if pair.clusters[1].nodes[0].program == programs.redis("server") else None

    def words(*more):
        ports = {id(cluster): source.address for cluster, source in zip(pair.clusters, sources)}
        return ["import", first, "--cluster-from", lambda cluster: ports[id(cluster)], *more]

    def tidy(text):
        return re.sub(r"127\.0\.0\.1:\d+", "source", text)

    load()
    for more, keys_left, status in ((["--cluster-copy"], True, 0), ([], True, 1), (["--cluster-replace"], False, 0), ([], False, 0)):
        results = []
        for tool, cluster in zip(pair.tools, pair.clusters):
            done = run(tool, "--cluster", *[word(cluster) if callable(word) else word for word in words(*more)])
            text = done.stdout.decode()
            head, _, keys = text.partition("*** Importing ")
            lines = keys.splitlines()
            results.append((tidy(normal(head, cluster)), sorted(tidy(normal(line, cluster)) for line in lines) if status == 0 else lines[-1:],
                            done.stderr, done.returncode))
        assert results[1] == results[0]
        assert results[1][3] == status
        assert all(bool(source.call("DBSIZE")) == keys_left for source in sources)
    with pair.clusters[1].client() as client:
        for i in range(50):
            assert client.call(f"k{i}", "GET", f"k{i}") == b"v%d" % i


def test_import_with_passwords(twins, redis_server):
    cluster = twins().clusters[1]
    source = redis_server(requirepass="secret")
    words = ["import", first(cluster), "--cluster-from", source.address]
    assert_same(*words)
    assert_same(*words, "--cluster-from-pass", "wrong")
    assert_same(*words, "--cluster-from-user", "default")
    for more, stdin in ((["--cluster-from-pass", "secret"], b""), (["--cluster-from-user", "default", "--cluster-from-pass", "secret"], b""),
                        (["--cluster-from-askpass"], b"secret\n")):
        source.call("SET", "key", "value")
        got = ours(*words, *more, "--cluster-replace", stdin=stdin)
        assert got.returncode == 0 and b"*** Importing 1 keys from DB 0\nMigrating key to " in got.stdout
        assert source.call("DBSIZE") == 0


def test_import_goes_on_after_an_interrupt(twins, redis_server):
    cluster = twins().clusters[1]
    source = redis_server()
    with source.client() as client:
        client.pipeline([("SET", f"key:{i}", i) for i in range(6000)])
    words = [CLI, "--cluster", "import", first(cluster), "--cluster-from", source.address]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "TERM": "dumb"})
    seen = b""
    while b"Migrating" not in seen:
        seen += process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    seen += process.stdout.read()
    process.stdout.close()
    assert process.wait(30 * SLOWNESS) == 1
    imported = int(re.search(rb"Interrupted: (\d+) keys are imported", seen).group(1))
    assert 0 < imported < 6000 and source.call("DBSIZE") == 6000 - imported
    assert run(*words).returncode == 0
    assert source.call("DBSIZE") == 0 and sum(node.call("DBSIZE") for node in cluster.nodes) == 6000


# ---- backup ----

def test_backup(shared, tmp_path, redis_server):
    fill(shared, 100)
    theirs, mine = tmp_path / "theirs", tmp_path / "mine"
    theirs.mkdir()
    mine.mkdir()
    address = shared.nodes[0].address
    expected = run(REDIS_CLI, "--cluster", "backup", address, theirs)
    got = ours("backup", address, mine)
    assert got.returncode == expected.returncode == 0, got.stderr
    assert got.stdout.replace(b"/mine", b"/theirs") == expected.stdout
    cut = re.compile(rb"writing \d+ bytes")  # the file names the moment and the memory in use
    assert cut.sub(b"", got.stderr.replace(b"/mine", b"/theirs")) == cut.sub(b"", expected.stderr)
    assert sorted(path.name for path in mine.iterdir()) == sorted(path.name for path in theirs.iterdir())
    assert (mine / "nodes.json").read_bytes() == (theirs / "nodes.json").read_bytes()
    assert len(json.loads((mine / "nodes.json").read_text())) == 6
    keys = 0
    for file in mine.glob("*.rdb"):
        restored = redis_server(dir=str(mine), dbfilename=file.name)
        keys += restored.call("DBSIZE")
    assert keys == 100


def test_backup_of_a_cluster_in_trouble(shared, tmp_path):
    node, other = shared.nodes[0], shared.nodes[1]
    set_slot(node, 0, "MIGRATING", shared.id_of(other))
    set_slot(other, 1, "IMPORTING", shared.id_of(node))
    set_slot(other, 2, "IMPORTING", shared.id_of(node))
    try:
        texts = []
        for tool in (REDIS_CLI, CLI):
            directory = tmp_path / os.path.basename(tool)
            directory.mkdir()
            done = run(tool, "--cluster", "backup", node.address, directory)
            assert done.returncode == 0
            assert b"*** Cluster seems to have some problems" in done.stdout
            texts.append(json.loads((directory / "nodes.json").read_text()))
        assert texts[1] == texts[0]
    finally:
        for at, slot in ((node, 0), (other, 1), (other, 2)):
            set_slot(at, slot, "STABLE")


# ---- How far it is ----

def on_terminal(*words):
    """What the command writes to a terminal, and its exit status."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(CLI, [CLI, "--cluster", *map(str, words)], {**os.environ, "TERM": "dumb"})
    seen = b""
    try:
        while chunk := os.read(fd, 65536):
            seen += chunk
    except OSError:
        pass
    os.close(fd)
    return seen, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_bars_on_a_terminal(cluster, redis_server, tmp_path):
    joined = cluster(3, 0, program=programs.redis("server"))
    address = joined.nodes[0].address
    source = redis_server()
    with source.client() as client:
        client.pipeline([("SET", f"key:{i}", i) for i in range(2000)])
    seen, status = on_terminal("import", address, "--cluster-from", source.address)
    assert status == 0 and re.search(rb"\r\[#{30}\] 100%  2000 keys  \d+ keys/s  0:00 left\x1b\[K\r\n$", seen), seen[-200:]
    assert b"Migrating" not in seen
    seen, status = on_terminal("backup", address, tmp_path)
    assert status == 0 and len(re.findall(rb"\r\[#{30}\] 100%  \d+ bytes  \d+ bytes/s", seen)) == 3, seen[-300:]
    seen, status = on_terminal("rebalance", address, "--cluster-weight", f"{joined.id_of(joined.nodes[0])}=2")
    assert status == 0 and re.search(rb"\r\[#{30}\] 100%  slot \d+/\d+  \d+ keys  \d+ keys/s", seen), seen[-300:]
    assert re.search(rb"\r\nMoved \d+ slots with \d+ keys in [\d.]+ s", seen)
    slot = slot_of("{fix}")
    owner = joined.owner(slot)
    other = next(node for node in joined.nodes if node is not owner)
    with owner.client() as client:
        client.pipeline([("SET", f"{{fix}}{i}", i) for i in range(95)])
    set_slot(other, slot, "IMPORTING", joined.id_of(owner))
    set_slot(owner, slot, "MIGRATING", joined.id_of(other))
    seen, status = on_terminal("fix", address)
    assert status == 0 and re.search(rb"\r\[#{30}\] 100%  95 keys  \d+ keys/s  0:00 left\x1b\[K\r\n", seen), seen[-500:]


def test_events_of_json(cluster, redis_server, tmp_path):
    joined = cluster(3, 0, program=programs.redis("server"), cluster_require_full_coverage="no")
    address = joined.nodes[0].address
    ids = [joined.id_of(node) for node in joined.nodes]
    source = redis_server()
    with source.client() as client:
        client.pipeline([("SET", f"key:{i}", i) for i in range(300)])

    def events(*words, status=0, **options):
        got = ours(*words, "--json", **options)
        assert got.returncode == status, got
        lines = [json.loads(line) for line in got.stdout.splitlines()]
        assert lines[-1] == {"event": "end", "command": words[0], "status": status, "interrupted": False}
        return lines, got.stderr.decode()

    def only(lines, kind):
        return [line for line in lines if line["event"] == kind]

    lines, words = events("import", address, "--cluster-from", source.address)
    assert "Migrating key:7 to " in words
    assert only(lines, "progress")[-1]["keys"] == 300 and only(lines, "progress")[-1]["share"] == 1
    lines, _ = events("info", address)
    assert sum(line["keys"] for line in only(lines, "keys")) == 300
    lines, _ = events("call", address, "config", "get", "port")
    assert sorted((line["id"], line["host"], line["port"], line["reply"]) for line in only(lines, "reply")) == sorted(
        (ids[i], "127.0.0.1", node.port, ["port", str(node.port)]) for i, node in enumerate(joined.nodes))
    lines, _ = events("call", address, "get")
    assert [line["error"] for line in only(lines, "reply")] == ["ERR wrong number of arguments for 'get' command"] * 3
    lines, _ = events("backup", address, tmp_path)
    files = only(lines, "file")
    assert sorted(line["id"] for line in files) == sorted(ids)
    assert all(os.path.getsize(line["path"]) == line["bytes"] for line in files)
    lines, _ = events("reshard", address, "--cluster-from", ids[0], "--cluster-to", ids[1], "--cluster-slots", 20, "--cluster-yes")
    assert [(line["slot"], line["from"], line["to"]) for line in only(lines, "slot")] == [(slot, ids[0], ids[1]) for slot in range(20)]
    wait_until(lambda: ours("check", address).returncode == 0, 20, "agreement", step=0.2)
    set_slot(joined.nodes[0], 100, "MIGRATING", ids[1])
    give_up(joined, 5462, 5463, 5465)
    lines, _ = events("check", address, status=1)
    assert only(lines, "check") == [{"event": "check", "good": False, "agree": True, "open": [[100]],
                                     "uncovered": [[5462, 5463], [5465]], "contested": []}]
    assert {line["id"]: line["slots"] for line in only(lines, "node")}[ids[0]] == [[20, 5460]]
    lines, _ = events("fix", address, stdin=b"yes\n")
    assert only(lines, "open") == [{"event": "open", "slot": 100, "fixed": True}]
    assert events("check", address)[0][-2]["good"]
