"""CLUSTER SLOT-STATS: what slots hold and cost."""
import pytest

from support.cluster import SLOTS, cluster_info, slot_of
from support.programs import wait_until
from support.resp import Error, Map, encode
from support.threads import together

METRICS = [b"key-count", b"cpu-usec", b"network-bytes-in", b"network-bytes-out"]


@pytest.fixture
def alone(server):
    """A cluster of one that owns all slots."""
    def make(**options):
        node = server(cluster_enabled="yes", **options)
        node.call("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
        node.wait_for(lambda client: cluster_info(client)["cluster_state"] == "ok", 20, "the cluster to be up")
        return node
    return make


def rows(reply):
    """{slot: {metric: value}} of a RESP2 reply, in its order."""
    assert not isinstance(reply, Error), reply
    found = {}
    for slot, flat in reply:
        assert slot not in found
        found[slot] = dict(zip(flat[::2], flat[1::2]))
    return found


def stats(client, key):
    slot = slot_of(key)
    return rows(client.call("CLUSTER", "SLOT-STATS", "SLOTSRANGE", slot, slot))[slot]


def size(*arguments):
    return len(encode(arguments))


# ---- shapes ----

def test_without_the_setting_keys_are_counted(alone):
    with alone().client() as client:
        client.pipeline([["SET", "{a}1", "v"], ["SET", "{a}2", "v"], ["SET", "b", "v"]])
        assert client.config("cluster-slot-stats-enabled") == "no"
        slot = slot_of("a")
        assert client.call("CLUSTER", "SLOT-STATS", "SLOTSRANGE", slot, slot + 1) == [
            [slot, [b"key-count", 2]], [slot + 1, [b"key-count", 0]]]
        assert client.call("cluster", "slot-stats", "orderby", "Key-Count", "limit", 2) == [
            [slot, [b"key-count", 2]], [slot_of("b"), [b"key-count", 1]]]
        for metric in METRICS[1:]:
            assert client.reply("CLUSTER", "SLOT-STATS", "ORDERBY", metric) == "ERR Unrecognized sort metric for ORDERBY."


def test_shapes_with_the_setting(alone):
    node = alone(cluster_slot_stats_enabled="yes")
    with node.client() as client, node.client(protocol=3) as third:
        client.call("SET", "a", "v")
        slot = slot_of("a")
        ((got, flat),) = client.call("CLUSTER", "SLOT-STATS", "SLOTSRANGE", slot, slot)
        assert got == slot and flat[::2] == METRICS
        ((got, values),) = third.call("CLUSTER", "SLOT-STATS", "SLOTSRANGE", slot, slot)
        assert got == slot and isinstance(values, Map)
        assert values[b"key-count"] == 1 and values[b"network-bytes-in"] == size("SET", "a", "v")


def test_order(alone):
    with alone().client() as client:
        for i in range(40):
            client.pipeline(["SET", f"{{{i}}}{n}", "v"] for n in range(i % 5))
        counts = {slot: 0 for slot in range(SLOTS)}
        for i in range(40):
            counts[slot_of(str(i))] += i % 5
        down = sorted(counts, key=lambda slot: (-counts[slot], slot))
        up = sorted(counts, key=lambda slot: (counts[slot], slot))
        everything = rows(client.call("CLUSTER", "SLOT-STATS", "ORDERBY", "key-count"))
        assert list(everything) == down
        assert {slot: row[b"key-count"] for slot, row in everything.items()} == counts
        for words, expected in ((["DESC"], down), (["ASC"], up), (["LIMIT", 7], down[:7]), (["LIMIT", 7, "ASC"], up[:7]),
                                (["asc", "limit", 7], up[:7]), (["LIMIT", SLOTS], down), (["LIMIT", 1, "DESC"], down[:1])):
            assert list(rows(client.call("CLUSTER", "SLOT-STATS", "ORDERBY", "key-count", *words))) == expected


def test_misuse(alone, server):
    with alone().client() as client:
        usage = "ERR unknown subcommand or wrong number of arguments for '{}'. Try CLUSTER HELP."
        arity = "ERR wrong number of arguments for 'cluster|slot-stats' command"
        slot = "ERR Invalid or out of range slot"
        limit = "ERR Limit has to lie in between 1 and 16384 (maximum number of slots)."
        cases = [((), arity), (("SLOTSRANGE",), arity), (("SLOTSRANGE", 1), usage.format("SLOT-STATS")),
                 (("SLOTSRANGE", 1, 2, 3), usage.format("SLOT-STATS")), (("WHATEVER", 1, 2), usage.format("SLOT-STATS")),
                 (("SLOTSRANGE", -1, 2), slot), (("SLOTSRANGE", 1, SLOTS), slot), (("SLOTSRANGE", "x", 2), slot),
                 (("SLOTSRANGE", 1, "2x"), slot), (("SLOTSRANGE", 1, 1 << 70), slot),
                 (("SLOTSRANGE", 7, 6), "ERR Start slot number 7 is greater than end slot number 6"),
                 (("ORDERBY", "memory"), "ERR Unrecognized sort metric for ORDERBY."),
                 (("ORDERBY", "key-count", "LIMIT", 0), limit), (("ORDERBY", "key-count", "LIMIT", SLOTS + 1), limit),
                 (("ORDERBY", "key-count", "LIMIT", "x"), limit), (("ORDERBY", "key-count", "LIMIT", -1), limit)]
        cases += [(("ORDERBY", "key-count", *words), "ERR syntax error") for words in
                  (["LIMIT"], ["UP"], ["ASC", "DESC"], ["ASC", "ASC"], ["LIMIT", 1, "LIMIT", 2], ["LIMIT", 1, "ASC", "x"])]
        for words, error in cases:
            assert client.reply("CLUSTER", "SLOT-STATS", *words) == error, words
        assert isinstance(client.reply("CONFIG", "SET", "cluster-slot-stats-enabled", "perhaps"), Error)
        assert b"SLOT-STATS" in b" ".join(client.call("CLUSTER", "HELP"))
    with server().client() as client:
        assert client.reply("CLUSTER", "SLOT-STATS", "SLOTSRANGE", 0, 1) == (
            "ERR This instance has cluster support disabled")


def test_command_table(alone):
    with alone().client() as client:
        (row,) = client.call("COMMAND", "INFO", "cluster|slot-stats")
        assert row[0] == b"cluster|slot-stats" and row[1] == -4
        assert set(row[2]) == {b"loading", b"stale"} and set(row[6]) == {b"@slow"}
        assert set(row[7]) == {b"nondeterministic_output", b"request_policy:all_shards"}
        name, docs = client.call("COMMAND", "DOCS", "cluster|slot-stats")
        assert name == b"cluster|slot-stats" and docs[docs.index(b"since") + 1] == b"8.0.0"


# ---- what is counted ----

def test_bytes_are_those_of_the_slot(alone):
    node = alone(cluster_slot_stats_enabled="yes")
    with node.client() as client:
        commands = [("SET", "a", "v" * 100), ("GET", "a"), ("GET", "nothing there {a}"), ("STRLEN", "a"),
                    ("MSET", "{a}1", "x", "{a}2", "y")]
        answered = [len(client.raw(*command)) for command in commands]
        # An unknown command and one that is refused are nobody's, as are those without a key.
        for nobodys in (("NOSUCH", "a"), ("SET", "a"), ("MGET", "a", "b"), ("PING",), ("DBSIZE",)):
            client.raw(*nobodys)
        got = stats(client, "a")
        assert got[b"network-bytes-in"] == sum(size(*command) for command in commands)
        assert got[b"network-bytes-out"] == sum(answered)
        other = stats(client, "b")
        assert [other[name] for name in METRICS] == [0, 0, 0, 0]


def test_large_values_count_whole(alone):
    """They leave by reference, and are part of the output all the same."""
    with alone(cluster_slot_stats_enabled="yes").client() as client:
        client.call("SET", "a", "v" * 100000)
        before = stats(client, "a")[b"network-bytes-out"]
        reply = client.raw("GET", "a")
        assert stats(client, "a")[b"network-bytes-out"] - before == len(reply) > 100000


def test_transactions_and_silent_clients(alone):
    with alone(cluster_slot_stats_enabled="yes").client() as client:
        commands = [("MULTI",), ("SET", "{a}1", "x"), ("INCR", "{a}2"), ("EXEC",)]
        answers = [client.raw(*command) for command in commands]
        got = stats(client, "a")
        assert got[b"network-bytes-in"] == sum(size(*command) for command in commands[1:])
        assert got[b"network-bytes-out"] == sum(map(len, answers[1:]))
        client.send("CLIENT", "REPLY", "SKIP")
        client.send("SET", "b", "v")
        client.call("PING")
        assert [stats(client, "b")[name] for name in (b"network-bytes-in", b"network-bytes-out")] == [size("SET", "b", "v"), 0]


def test_time(alone):
    node = alone(cluster_slot_stats_enabled="yes")
    with node.client(timeout=60) as client:
        client.call("SETRANGE", "long", 50_000_000, "x")
        client.pipeline([["SET", f"k{i}", "x"] for i in range(50)])
        assert stats(client, "long")[b"cpu-usec"] > 500  # it writes fifty million bytes
        assert stats(client, "nobody")[b"cpu-usec"] == 0
        values = [row[b"cpu-usec"] for row in rows(client.call("CLUSTER", "SLOT-STATS", "ORDERBY", "cpu-usec")).values()]
        assert values == sorted(values, reverse=True)
        assert len(values) == SLOTS


def test_order_by_costs(alone):
    with alone(cluster_slot_stats_enabled="yes").client() as client:
        client.call("SET", "a", "v" * 50)
        client.call("SET", "b", "v" * 5000)
        client.pipeline([["GET", "a"]] * 300)
        for metric, first in (("network-bytes-in", "a"), ("network-bytes-out", "a"), ("key-count", None)):
            found = rows(client.call("CLUSTER", "SLOT-STATS", "ORDERBY", metric, "LIMIT", 2))
            assert set(found) == {slot_of("a"), slot_of("b")}
            values = [row[metric.encode()] for row in found.values()]
            assert values == sorted(values, reverse=True)
            if first:
                assert next(iter(found)) == slot_of(first)
        assert list(rows(client.call("CLUSTER", "SLOT-STATS", "ORDERBY", "network-bytes-in", "LIMIT", 3, "ASC"))) == [0, 1, 2]


def test_changed_at_run_time(alone):
    with alone().client() as client:
        client.call("SET", "a", "v")
        client.call("CONFIG", "SET", "cluster-slot-stats-enabled", "yes")
        assert [stats(client, "a")[name] for name in METRICS] == [1, 0, 0, 0]
        client.call("GET", "a")
        assert stats(client, "a")[b"network-bytes-in"] == size("GET", "a")
        client.call("CONFIG", "SET", "cluster-slot-stats-enabled", "no")
        client.call("GET", "a")
        assert stats(client, "a") == {b"key-count": 1}
        client.call("CONFIG", "SET", "cluster-slot-stats-enabled", "yes")
        assert stats(client, "a")[b"network-bytes-in"] == size("GET", "a")  # what was off is not in it


def test_resetstat(alone):
    with alone(cluster_slot_stats_enabled="yes").client() as client:
        client.pipeline([["SET", "a", "v"]] * 100)
        assert stats(client, "a")[b"network-bytes-in"]
        client.call("CONFIG", "RESETSTAT")
        assert [stats(client, "a")[name] for name in METRICS] == [1, 0, 0, 0]
        client.call("GET", "a")
        assert stats(client, "a")[b"network-bytes-in"] == size("GET", "a")


def test_keys_of_all_databases(alone):
    with alone(cluster_databases=3).client() as client:
        for db in range(3):
            client.call("SELECT", db)
            client.call("MSET", "{a}1", "x", "{a}2", "y")
        assert stats(client, "a") == {b"key-count": 6}


@pytest.mark.parametrize("workers", [1, 4])
def test_many_clients_at_one_slot(alone, workers):
    """Nothing is lost between workers that count in the same slot."""
    node = alone(cluster_slot_stats_enabled="yes", io_threads=workers)

    def work():
        with node.client(timeout=60) as client:
            for _ in range(10):
                client.pipeline([["SET", "{a}", "v"], ["GET", "{a}"]] * 100)
    together([work] * 6)
    with node.client() as client:
        got = stats(client, "a")
        assert got[b"network-bytes-in"] == 6 * 1000 * (size("SET", "{a}", "v") + size("GET", "{a}"))
        assert got[b"network-bytes-out"] == 6 * 1000 * (len(b"+OK\r\n") + len(b"$1\r\nv\r\n"))


# ---- slots of others ----

def test_only_the_slots_of_this_shard(cluster):
    pair = cluster(3, 1, cluster_slot_stats_enabled="yes")
    seen = set()
    for node in pair.masters():
        (entry,) = [entry for entry in pair.view(node) if "myself" in entry["flags"]]
        own = {slot for first, last in entry["slots"] for slot in range(first, last + 1)}
        assert set(rows(node.call("CLUSTER", "SLOT-STATS", "SLOTSRANGE", 0, SLOTS - 1))) == own
        assert set(rows(node.call("CLUSTER", "SLOT-STATS", "ORDERBY", "key-count"))) == own
        (replica,) = pair.replicas_of(node)
        assert set(rows(replica.call("CLUSTER", "SLOT-STATS", "SLOTSRANGE", 0, SLOTS - 1))) == own
        seen |= own
    assert len(seen) == SLOTS
    # What a replica is sent costs it something, too, but it answers nobody.
    node = pair.owner(slot_of("a"))
    (replica,) = pair.replicas_of(node)
    with node.client() as client, replica.client() as other:
        client.call("SET", "a", "v")
        wait_until(lambda: stats(other, "a")[b"key-count"] == 1, 10, "the key at the replica")
        got = stats(other, "a")
        assert got[b"network-bytes-in"] == size("SET", "a", "v") and got[b"network-bytes-out"] == 0


def test_a_slot_that_leaves_begins_anew(cluster):
    trio = cluster(3, 0, cluster_slot_stats_enabled="yes")
    slot = slot_of("a")
    source = trio.owner(slot)
    target = next(node for node in trio.nodes if node is not source)
    with source.client() as one, target.client() as two:
        one.pipeline([["GET", "a"]] * 50)
        assert stats(one, "a")[b"network-bytes-in"] == 50 * size("GET", "a")
        for owner, first, second in ((target, two, one), (source, one, two)):
            first.call("CLUSTER", "SETSLOT", slot, "NODE", trio.id_of(owner))
            second.call("CLUSTER", "SETSLOT", slot, "NODE", trio.id_of(owner))
            wait_until(lambda: not rows(second.call("CLUSTER", "SLOT-STATS", "SLOTSRANGE", slot, slot)), 10,  # noqa: B023
                       "the slot to be another's")
            assert [stats(first, "a")[name] for name in METRICS] == [0, 0, 0, 0]
        # A command that is sent elsewhere costs the slot nothing.
        assert two.reply("GET", "a").code == "MOVED"
        assert [stats(one, "a")[name] for name in METRICS] == [0, 0, 0, 0]
