"""Replies in cluster mode: two nodes under test beside two of Redis's, laid out the same.

Node 0 owns 0-8191, node 1 owns 8192-16383. Identities, addresses and times are replaced by names before comparing.
"""
import re
import time

import pytest

from support.cluster import parse_nodes, slot_of
from support.programs import wait_until
from support.resp import Error, Map

CLUSTER = {"cluster_enabled": "yes", "cluster_node_timeout": 5000, "cluster_require_full_coverage": "yes"}


class Twins:
    """Two joined nodes of one kind."""

    def __init__(self, start):
        self.nodes = [start(**CLUSTER), start(**CLUSTER)]
        self.clients = [node.client() for node in self.nodes]
        first, second = self.clients
        first.call("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        second.call("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
        first.call("CLUSTER", "SET-CONFIG-EPOCH", 1)
        second.call("CLUSTER", "SET-CONFIG-EPOCH", 2)
        first.call("CLUSTER", "MEET", "127.0.0.1", self.nodes[1].port)
        self.ids = [client.call("CLUSTER", "MYID").decode() for client in self.clients]
        for client in self.clients:
            wait_until(lambda: b"cluster_state:ok" in client.call("CLUSTER", "INFO")
                       and b"cluster_known_nodes:2" in client.call("CLUSTER", "INFO"), 15, "two nodes to join")
            wait_until(lambda: b"handshake" not in client.call("CLUSTER", "NODES"), 15, "the handshake to end")

    def plain(self, raw):
        """The reply with identities and ports named, so that two clusters can be compared."""
        for index, node in enumerate(self.nodes):
            raw = raw.replace(self.ids[index].encode(), b"<id%d>" % index)
            raw = raw.replace(b"%d@%d" % (node.port, node.port + 10000), b"<port%d>@<bus%d>" % (index, index))
            raw = re.sub(rb"(127\.0\.0\.1)?:%d\b" % node.port, b"\\1:<port%d>" % index, raw)
        return raw


@pytest.fixture(scope="module")
def twins(module_yard):
    return Twins(module_yard.server), Twins(module_yard.redis)


def compare(twins, *command, node=0):
    ours, theirs = (each.plain(each.clients[node].raw(*command)) for each in twins)
    assert ours == theirs, f"{command} at node {node}"
    return ours


def all_replies(twins, lines, node=0):
    """Sends each line to both and asserts all replies at once, so that one run shows every difference."""
    differences = []
    for line in lines.strip().splitlines():
        words = [word.strip('"') for word in line.split()]
        if line.startswith("1: "):
            words, at = words[1:], 1
        else:
            at = node
        ours, theirs = (each.plain(each.clients[at].raw(*words)) for each in twins)
        if ours != theirs:
            differences.append(f"{line}\n  expected {theirs[:800]!r}\n       got {ours[:800]!r}")
    assert not differences, "\n".join(differences)


@pytest.fixture(autouse=True)
def clean(twins):
    yield
    for each in twins:
        for client in each.clients:
            client.reply("DISCARD")
            client.reply("READWRITE")
            client.call("FLUSHALL")
            for slot in (0, 10000, slot_of("foo"), slot_of("{a}1")):
                client.reply("CLUSTER", "SETSLOT", slot, "STABLE")


def test_redirections(twins):
    """foo (12182) and hello (866): the first is node 1's, the second node 0's."""
    assert slot_of("foo") == 12182 and slot_of("hello") == 866
    all_replies(twins, """
        SET hello v
        GET hello
        SET foo v
        GET foo
        1: SET foo v
        1: GET foo
        1: GET hello
        MGET hello foo
        MGET foo hello
        MGET foo foo
        MGET {hello}1 {hello}2
        MSET {hello}1 1 {hello}2 2
        MGET {hello}1 {hello}2
        MGET {foo}1 {foo}2
        DEL hello foo
        RENAME hello foo
        RENAME foo hello
        RENAME hello {hello}x
        COPY {hello}x {hello}y
        COPY {hello}x {hello}y DB 1
        COPY {hello}x {hello}y DB 0
        EXISTS {hello}y
        EXISTS {}hello {}foo
        GET {}
        GET {hello
        GET hello}
        GET {}{hello}
        GET {{hello}}
        SET foo
        SET foo v BOGUS
        SET hello v BOGUS
        OBJECT ENCODING foo
        OBJECT ENCODING hello
        DUMP foo
        RESTORE foo 0 x
        EXPIRE foo 10
        LCS hello foo
        WATCH foo
        WATCH hello
        WATCH hello foo
        UNWATCH
        PING
        DBSIZE
        SELECT 0
        SELECT 1
        SWAPDB 0 1
        MOVE hello 1
        MOVE foo 1
        READONLY
        GET foo
        READWRITE
        READONLY x
        ASKING
        GET foo
        ASKING x
        MEMORY USAGE foo
        nosuch foo
        WAIT 0 10
        TOUCH hello foo
        UNLINK foo
        """)


def test_transactions(twins):
    all_replies(twins, """
        MULTI
        SET hello v
        GET hello
        EXEC
        MULTI
        SET foo v
        GET hello
        EXEC
        MULTI
        GET hello
        GET foo
        EXEC
        MULTI
        MGET hello foo
        EXEC
        MULTI
        SET {hello}1 a
        SET {hello}2 b
        MGET {hello}1 {hello}2
        EXEC
        MULTI
        SET {a}1 1
        SET hello 2
        EXEC
        """)


def test_cluster_subcommands(twins):
    all_replies(twins, """
        CLUSTER KEYSLOT foo
        CLUSTER KEYSLOT {foo}bar
        CLUSTER KEYSLOT {}foo
        CLUSTER KEYSLOT foo{}{bar}
        CLUSTER KEYSLOT foo{{bar}}zap
        CLUSTER KEYSLOT foo{bar}{zap}
        CLUSTER KEYSLOT
        CLUSTER KEYSLOT a b
        CLUSTER KEYSLOT ""
        CLUSTER COUNTKEYSINSLOT 0
        CLUSTER COUNTKEYSINSLOT 16384
        CLUSTER COUNTKEYSINSLOT -1
        CLUSTER COUNTKEYSINSLOT abc
        CLUSTER COUNTKEYSINSLOT
        CLUSTER GETKEYSINSLOT 0 10
        CLUSTER GETKEYSINSLOT 0 -1
        CLUSTER GETKEYSINSLOT 0 abc
        CLUSTER GETKEYSINSLOT 16384 10
        CLUSTER GETKEYSINSLOT 0
        CLUSTER MYID
        CLUSTER MYID x
        CLUSTER SETSLOT
        CLUSTER SETSLOT 0
        CLUSTER SETSLOT 16384 STABLE
        CLUSTER SETSLOT abc STABLE
        CLUSTER SETSLOT 0 BOGUS
        CLUSTER SETSLOT 0 BOGUS x
        CLUSTER SETSLOT 0 NODE
        CLUSTER SETSLOT 0 NODE nobody
        CLUSTER SETSLOT 0 NODE 0123456789012345678901234567890123456789
        CLUSTER SETSLOT 0 MIGRATING nobody
        CLUSTER SETSLOT 0 IMPORTING nobody
        CLUSTER SETSLOT 10000 MIGRATING nobody
        CLUSTER SETSLOT 10000 IMPORTING nobody
        CLUSTER SETSLOT 0 STABLE
        CLUSTER ADDSLOTS
        CLUSTER ADDSLOTS 0
        CLUSTER ADDSLOTS 16384
        CLUSTER ADDSLOTS abc
        CLUSTER ADDSLOTS 10000
        CLUSTER ADDSLOTSRANGE 0
        CLUSTER ADDSLOTSRANGE 0 1
        CLUSTER ADDSLOTSRANGE 5 1
        CLUSTER ADDSLOTSRANGE 0 99999
        CLUSTER DELSLOTS
        CLUSTER DELSLOTS 10000 10000
        CLUSTER DELSLOTS abc
        CLUSTER DELSLOTSRANGE 1
        CLUSTER DELSLOTSRANGE 5 1
        CLUSTER MEET
        CLUSTER MEET 127.0.0.1
        CLUSTER MEET bogus 1234
        CLUSTER MEET 127.0.0.1 abc
        CLUSTER MEET 127.0.0.1 99999
        CLUSTER MEET 127.0.0.1 1 abc
        CLUSTER FORGET
        CLUSTER FORGET nobody
        CLUSTER REPLICATE
        CLUSTER REPLICATE nobody
        CLUSTER SET-CONFIG-EPOCH
        CLUSTER SET-CONFIG-EPOCH abc
        CLUSTER SET-CONFIG-EPOCH -1
        CLUSTER SET-CONFIG-EPOCH 5
        CLUSTER RESET BOGUS
        CLUSTER RESET HARD SOFT
        CLUSTER INFO x
        CLUSTER NODES x
        CLUSTER SLOTS x
        CLUSTER SHARDS x
        CLUSTER NOSUCH
        CLUSTER NOSUCH a b
        CLUSTER
        """)


def test_own_identity_in_admin_commands(twins):
    differences = []
    for words in (["SETSLOT", "0", "MIGRATING", 0], ["SETSLOT", "10000", "IMPORTING", 0], ["FORGET", 0], ["REPLICATE", 0],
                  ["SETSLOT", "0", "IMPORTING", 1], ["SETSLOT", "10000", "MIGRATING", 1], ["REPLICATE", 1],
                  ["SETSLOT", "0", "NODE", 0], ["SETSLOT", "10000", "NODE", 1]):
        ours, theirs = (each.plain(each.clients[0].raw("CLUSTER", *words[:-1], each.ids[words[-1]])) for each in twins)
        if ours != theirs:
            differences.append((words, theirs, ours))
    assert not differences, differences


def test_keys_in_slot(twins):
    for each in twins:
        client = each.clients[0]
        client.call("MSET", *[word for i in range(20) for word in (f"{{hello}}{i}", i)])
        assert client.call("CLUSTER", "COUNTKEYSINSLOT", 866) == 20
        keys = client.call("CLUSTER", "GETKEYSINSLOT", 866, 100)
        assert sorted(keys) == sorted(f"{{hello}}{i}".encode() for i in range(20))
        assert len(client.call("CLUSTER", "GETKEYSINSLOT", 866, 7)) == 7
        assert client.call("CLUSTER", "GETKEYSINSLOT", 866, 0) == []
        client.call("DEL", "{hello}3")
        assert client.call("CLUSTER", "COUNTKEYSINSLOT", 866) == 19
        client.call("FLUSHALL")
        assert client.call("CLUSTER", "COUNTKEYSINSLOT", 866) == 0


def test_slots(twins):
    for protocol in (2, 3):
        ours, theirs = ([each.plain(node.client(protocol=protocol).raw("CLUSTER", "SLOTS")) for node in each.nodes]
                        for each in twins)
        for mine, other in zip(ours, theirs):
            assert mine == other


def flat(value):
    """Map or flat array as a dictionary."""
    pairs = value if isinstance(value, Map) else list(zip(value[::2], value[1::2]))
    return {bytes(key): item for key, item in pairs}


def named(each, value):
    """A reply with ids and ports by the place of their node."""
    if isinstance(value, list):
        return [named(each, item) for item in value]
    ports = [node.port for node in each.nodes]
    if isinstance(value, int) and value in ports:
        return f"<port{ports.index(value)}>"
    return each.plain(value) if isinstance(value, bytes) else value


@pytest.mark.parametrize("kind", ["ip", "hostname", "unknown-endpoint"])
def test_endpoints(twins, kind):
    """Where clients are sent: in MOVED, ASK, SLOTS and SHARDS, by nodes with a name and without."""
    def announce(names):
        for each in twins:
            for client, name, port in zip(each.clients, names, each.nodes):
                client.call("CONFIG", "SET", "cluster-preferred-endpoint-type", kind, "cluster-announce-hostname", name)
            for client in each.clients:
                wait_until(lambda: all((b"," + name.encode() in client.call("CLUSTER", "NODES")) if name else True
                                       for name in names), 10, "the names to be known")
                wait_until(lambda: client.call("CLUSTER", "NODES").count(b",h") == sum(map(bool, names)), 10)

    def shards(each, client):
        replies = named(each, client.call("CLUSTER", "SHARDS"))
        return [(shard[1], [[item for item in node if not isinstance(item, int)] for node in shard[3]])
                for shard in sorted(replies, key=lambda shard: shard[1])]

    def compare_all():
        for place in range(2):
            for words in (["GET", "hello"], ["GET", "foo"], ["CLUSTER", "SLOTS"]):
                compare(twins, *words, node=place)
            ours, theirs = (shards(each, each.clients[place]) for each in twins)
            assert ours == theirs

    try:
        for names in (["", ""], ["h0.example.org", "h1"], ["", "h1"]):
            announce(names)
            compare_all()
        for each in twins:
            each.clients[1].call("CLUSTER", "SETSLOT", slot_of("foo"), "MIGRATING", each.ids[0])
        assert compare(twins, "GET", "foo", node=1).startswith(b"-ASK 12182 ")
    finally:
        for each in twins:
            for client in each.clients:
                client.call("CONFIG", "SET", "cluster-preferred-endpoint-type", "ip", "cluster-announce-hostname", "")


def test_an_announced_address_that_is_taken_back(twins):
    """The node learns its address from the next packet that reaches it."""
    for each in twins:
        first, second = each.clients
        first.call("CONFIG", "SET", "cluster-announce-ip", "localhost")
        wait_until(lambda: all(b" localhost:" in client.call("CLUSTER", "NODES") for client in each.clients), 10,
                   "the announced address")
        first.call("CONFIG", "SET", "cluster-announce-ip", "")
        for client in each.clients:
            wait_until(lambda: client.call("CLUSTER", "NODES").count(b" 127.0.0.1:") == 2, 10, "the real one")
        wait_until(lambda: all(client.call("CLUSTER", "NODES").count(b" connected") == 2 for client in each.clients), 10)


@pytest.mark.parametrize("protocol", [2, 3])
def test_shards(twins, protocol):
    results = []
    for each in twins:
        shards = each.nodes[0].client(protocol=protocol).call("CLUSTER", "SHARDS")
        seen = []
        for shard in shards:
            assert isinstance(shard, Map) == (protocol == 3)
            fields = flat(shard)
            assert list(fields) == [b"slots", b"nodes"]
            nodes = []
            for node in fields[b"nodes"]:
                values = flat(node)
                index = each.ids.index(values.pop(b"id").decode())
                assert values.pop(b"port") == each.nodes[index].port
                assert isinstance(values.pop(b"replication-offset"), int)
                nodes.append((index, list(values.items())))
            seen.append((fields[b"slots"], nodes))
        results.append(sorted(seen, key=repr))
    assert results[0] == results[1]


def test_info_fields(twins):
    def fields(each):
        lines = each.clients[0].call("CLUSTER", "INFO").decode().split("\r\n")
        assert lines[-1] == ""
        return dict(line.split(":") for line in lines[:-1])
    ours, theirs = map(fields, twins)
    steady = [name for name in theirs if "messages" not in name]
    assert {name: ours.get(name) for name in steady} == {name: theirs[name] for name in steady}
    for name in ("messages_sent", "messages_received", "messages_ping_sent", "messages_pong_sent",
                 "messages_ping_received", "messages_pong_received"):
        assert int(ours[f"cluster_stats_{name}"]) > 0
    order = [name for name in ours if name in steady]
    assert order == steady


def test_nodes_lines(twins):
    pattern = (r"[0-9a-f]{40} 127\.0\.0\.1:\d+@\d+(,\S*)? (myself,)?master - \d+ \d+ \d+ (connected|disconnected)"
               r"( \d+(-\d+)?)+")
    for each in twins:
        for client in each.clients:
            text = client.call("CLUSTER", "NODES").decode()
            assert text.endswith("\n")
            lines = text.splitlines()
            assert len(lines) == 2
            for line in lines:
                assert re.fullmatch(pattern, line), line
            nodes = parse_nodes(text)
            assert sorted(tuple(node["slots"]) for node in nodes) == [((0, 8191),), ((8192, 16383),)]
            assert {node["epoch"] for node in nodes} == {1, 2}
            (myself,) = [node for node in nodes if "myself" in node["flags"]]
            assert myself["link"] == "connected"
    # The comma that says "no hostname" must be Redis's too.
    ours, theirs = (re.sub(rb" \d+ \d+ (?=\d+ connected)", b" 0 0 ", each.plain(each.clients[0].call("CLUSTER", "NODES")))
                    for each in twins)
    assert sorted(ours.splitlines()) == sorted(theirs.splitlines())


def test_ask_and_tryagain(twins):
    """Slot of {a} moves from one node to the other, key by key."""
    slot = slot_of("{a}1")
    for each in twins:
        source, target = (1, 0) if slot >= 8192 else (0, 1)
        each.clients[source].call("SET", "{a}1", "there")
        each.clients[target].call("CLUSTER", "SETSLOT", slot, "IMPORTING", each.ids[source])
        each.clients[source].call("CLUSTER", "SETSLOT", slot, "MIGRATING", each.ids[target])
    differences = []
    steps = [
        (source, "GET {a}1"), (source, "GET {a}2"), (source, "SET {a}2 x"), (source, "MGET {a}1 {a}2"),
        (source, "MGET {a}2 {a}3"), (source, "MGET {a}1 {a}1"), (source, "DEL {a}1 {a}2"), (source, "EXISTS {a}2"),
        (target, "GET {a}1"), (target, "ASKING"), (target, "GET {a}2"), (target, "ASKING"), (target, "SET {a}2 new"),
        (target, "GET {a}2"), (target, "ASKING"), (target, "GET {a}2"), (target, "ASKING"), (target, "MGET {a}2 {a}3"),
        (target, "ASKING"), (target, "MGET {a}2 {a}2"), (target, "ASKING"), (target, "MULTI"), (target, "GET {a}2"),
        (target, "DISCARD"), (source, "MULTI"), (source, "GET {a}1"), (source, "GET {a}9"), (source, "EXEC"),
        (target, "ASKING"), (target, "RENAME {a}2 {a}4"), (target, "ASKING"), (target, "PING"), (target, "GET {a}4"),
        (source, f"CLUSTER COUNTKEYSINSLOT {slot}"), (target, f"CLUSTER COUNTKEYSINSLOT {slot}"),
        (source, "OBJECT ENCODING {a}2"), (source, "RENAME {a}1 {a}5"),
        (source, "MIGRATE 127.0.0.1 PORT {a}1 0 5000"), (source, "GET {a}1"), (target, "ASKING"), (target, "GET {a}1"),
        (source, "MIGRATE 127.0.0.1 PORT {a}1 0 5000"),
        (target, f"CLUSTER SETSLOT {slot} NODE SELF"), (source, f"CLUSTER SETSLOT {slot} NODE OTHER"),
        (target, "GET {a}1"), (source, "GET {a}1"), (target, "MGET {a}1 {a}4"),
    ]
    for at, line in steps:
        replies = []
        for each in twins:
            words = [{"PORT": str(each.nodes[target].port), "SELF": each.ids[at], "OTHER": each.ids[1 - at]}.get(word, word)
                     for word in line.split()]
            replies.append(each.plain(each.clients[at].raw(*words)))
        if replies[0] != replies[1]:
            differences.append(f"{line} at {at}: expected {replies[1]!r}, got {replies[0]!r}")
    # Back as it was, for the tests that come after this one.
    for each in twins:
        each.clients[target].call("FLUSHALL")
        for client in (each.clients[source], each.clients[target]):
            client.call("CLUSTER", "SETSLOT", slot, "NODE", each.ids[source])
        wait_until(lambda: all(each.clients[at].reply("GET", "{a}1") is None or
                               isinstance(each.clients[at].reply("GET", "{a}1"), Error) for at in (0, 1)), 5)
    assert not differences, "\n".join(differences)


def test_migrating_slot_is_shown(twins):
    slot = slot_of("{a}1")
    source, target = (1, 0) if slot >= 8192 else (0, 1)
    words = []
    for each in twins:
        each.clients[target].call("CLUSTER", "SETSLOT", slot, "IMPORTING", each.ids[source])
        each.clients[source].call("CLUSTER", "SETSLOT", slot, "MIGRATING", each.ids[target])
        for client in each.clients:
            (myself,) = [node for node in parse_nodes(client.call("CLUSTER", "NODES")) if "myself" in node["flags"]]
            words.append([each.plain(word.encode()) for word in myself["words"] if word.startswith("[")])
    assert words[:2] == words[2:]
    assert words[source] == [b"[%d->-<id%d>]" % (slot, target)]
    assert words[target] == [b"[%d-<-<id%d>]" % (slot, source)]


def test_without_cluster_mode(module_yard):
    ours, theirs = (start().client() for start in (module_yard.server, module_yard.redis))
    for name in ("ADDSLOTS 1", "COUNTKEYSINSLOT 1", "FAILOVER", "HELP", "INFO", "KEYSLOT a", "LINKS", "MYID", "NODES",
                 "RESET", "SHARDS", "SLOTS", "BOGUS", "HELP more", "INFO more", "KEYSLOT", ""):
        assert ours.raw("CLUSTER", *name.split(" ")) == theirs.raw("CLUSTER", *name.split(" ")), name
    for words in (["READONLY"], ["READWRITE"], ["ASKING"], ["INFO", "cluster"]):
        assert ours.raw(*words) == theirs.raw(*words), words


def test_one_node_of_its_own(module_yard):
    """Before and after it owns slots: CLUSTERDOWN, then served."""
    pairs = [start(cluster_enabled="yes").client() for start in (module_yard.server, module_yard.redis)]
    differences = []

    def both(*words):
        ours, theirs = (client.raw(*words) for client in pairs)
        if ours != theirs:
            differences.append((words, theirs, ours))

    both("GET", "foo")
    both("SET", "foo", "v")
    both("MGET", "foo", "hello")
    both("PING")
    both("CLUSTER", "SLOTS")
    both("CLUSTER", "ADDSLOTS", 12182)
    both("GET", "hello")
    both("MULTI")
    both("GET", "hello")
    both("EXEC")
    both("CLUSTER", "ADDSLOTS", 12182)
    both("CLUSTER", "ADDSLOTS", 1, 1)
    both("CLUSTER", "DELSLOTS", 2)
    both("CLUSTER", "DELSLOTS", 12182)
    both("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    for client in pairs:
        wait_until(lambda: b"cluster_state:ok" in client.call("CLUSTER", "INFO"), 10, "a node with all slots to be ok")
    both("SET", "foo", "v")
    both("GET", "foo")
    both("MGET", "foo", "hello")
    both("CLUSTER", "RESET")
    both("CLUSTER", "FLUSHSLOTS")
    both("FLUSHALL")
    both("CLUSTER", "RESET")
    both("CLUSTER", "SLOTS")
    both("GET", "foo")
    both("CLUSTER", "SET-CONFIG-EPOCH", 7)
    both("CLUSTER", "SET-CONFIG-EPOCH", 8)
    both("REPLICAOF", "NO", "ONE")
    both("REPLICAOF", "127.0.0.1", "1234")
    both("SELECT", "1")
    both("MOVE", "foo", "1")
    both("SWAPDB", "0", "1")
    both("INFO", "cluster")
    both("INFO", "keyspace")
    assert not differences, differences
    for client in pairs:
        text = client.call("CLUSTER", "NODES").decode()
        assert re.fullmatch(r"[0-9a-f]{40} :\d+@\d+(,\S*)? myself,master - 0 0 \d+ connected\n", text), text


def test_state_after_a_peer_is_gone(module_yard):
    """With a third of the slots without an owner alive: CLUSTERDOWN; with full coverage not required: served."""
    for start in (module_yard.server, module_yard.redis):
        pair = Twins(lambda **directives: start(**{**directives, "cluster_node_timeout": 1000}))
        pair.nodes[1].kill()
        first = pair.clients[0]
        wait_until(lambda: b"cluster_state:fail" in first.call("CLUSTER", "INFO"), 10, "state fail")
        reply = first.reply("GET", "hello")
        assert isinstance(reply, Error) and reply.code == "CLUSTERDOWN", reply
        assert first.call("PING") == b"PONG"


def test_pongs_are_recent(twins):
    """Times of the bus go on: pong-recv in CLUSTER NODES is recent."""
    for each in twins:
        now = time.time() * 1000
        others = [line.split() for line in each.clients[0].call("CLUSTER", "NODES").decode().splitlines()
                  if "myself" not in line]
        assert all(now - 60000 < int(fields[5]) <= now + 1000 for fields in others)


def test_a_full_node_still_says_where_keys_are(twins):
    """foo is at node 1, hello at node 0; who is at the wrong node has to go there, however little memory is left."""
    all_replies(twins, """
        SET hello x
        CONFIG SET maxmemory 1
        SET foo x
        SET hello x
        GET foo
        MSET hello x foo x
        MULTI
        SET foo x
        PING
        EXEC
        CONFIG SET maxmemory 0
        """)


def test_a_transaction_that_has_failed_keeps_nothing_more(twins):
    """So its keys may be anywhere: EXEC tells of the first error, and not of the last command's slot."""
    all_replies(twins, """
        MULTI
        SET hello x
        nosuch
        SET b x
        EXEC
        SET b x
        """)
