"""cluster-databases: several databases in cluster mode, each slot with a part of every one."""
import random
import socket
import subprocess
import threading
import time

import pytest

from support import programs
from support.cli import ours, run
from support.cluster import SLOTS, ClusterClient, cluster_info, slot_of
from support.programs import SANITIZED, SLOWNESS, wait_until
from support.resp import Error

DATABASES = 4


class InDatabase(ClusterClient):
    """A client that follows the cluster and works in one database."""

    def __init__(self, joined, db, **options):
        super().__init__([node.port for node in joined.alive()], **options)
        self.db = db

    def _client(self, port):
        is_new = port not in self.clients
        client = super()._client(port)
        if is_new:
            client.call("SELECT", self.db)
        return client


def own_all_slots(node):
    """A cluster of one."""
    node.call("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
    node.wait_for(lambda client: cluster_info(client)["cluster_state"] == "ok", 20, "the cluster to be up")
    return node


@pytest.fixture
def alone(server):
    return lambda count=DATABASES, **options: own_all_slots(
        server(cluster_enabled="yes", cluster_databases=count, **options))


@pytest.fixture
def trio(cluster):
    return cluster(3, 0, cluster_databases=DATABASES)


def in_database(node, db, *command):
    with node.client() as client:
        client.call("SELECT", db)
        return client.reply(*command)


def sizes(nodes, databases=DATABASES):
    """How many keys the nodes have together, database by database."""
    return [sum(in_database(node, db, "DBSIZE") for node in nodes) for db in range(databases)]


def fill(joined, count, databases=range(DATABASES)):
    """The same names in each database, with values that tell them apart."""
    for db in databases:
        with InDatabase(joined, db) as client:
            for i in range(count):
                assert client.call(f"key:{i}", "SET", f"key:{i}", f"{db}:{i}") == b"OK"


def everything_is_there(joined, count, databases=range(DATABASES)):
    for db in databases:
        with InDatabase(joined, db) as client:
            for i in range(count):
                assert client.call(f"key:{i}", "GET", f"key:{i}") == f"{db}:{i}".encode(), (db, i)


def reshard(tool, joined, source, target, slots, *options):
    command = [tool, "--cluster", "reshard", source.address, "--cluster-from", joined.id_of(source), "--cluster-to",
               joined.id_of(target), "--cluster-slots", str(slots), "--cluster-yes", *options]
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=120 * SLOWNESS)


# ---- the setting ----

def test_with_one_database_all_is_as_at_redis(alone, redis_server):
    """The default: what names another database gets Redis's error."""
    commands = [("SELECT", 1), ("SELECT", 20), ("SELECT", -1), ("SELECT", "x"), ("SELECT", 0), ("SET", "{a}", "1"),
                ("COPY", "{a}", "{a}b", "DB", 5), ("COPY", "{a}", "{a}b", "DB", 20), ("COPY", "{a}", "{a}b", "DB", -1),
                ("COPY", "{a}", "{a}b", "DB", "x"), ("COPY", "{a}", "{a}b", "DB", 0), ("COPY", "{a}", "{a}", "DB", 0),
                ("MOVE", "{a}", 1), ("MOVE", "{a}", 20), ("MOVE", "{a}", "x"), ("MOVE", "{a}", 0), ("SWAPDB", 0, 1),
                ("SWAPDB", 0, "x"), ("DBSIZE",), ("CONFIG", "GET", "databases")]
    shoal, redis = alone(1), own_all_slots(redis_server(cluster_enabled="yes"))
    with shoal.client() as ours_, redis.client() as theirs:
        for command in commands:
            assert ours_.raw(*command) == theirs.raw(*command), command


def test_the_setting(server, alone):
    node = alone()
    assert node.client().config("cluster-databases") == str(DATABASES)
    reply = node.client().reply("CONFIG", "SET", "cluster-databases", 2)
    assert reply == ("ERR CONFIG SET failed (possibly related to argument 'cluster-databases') - "
                     "can't set immutable config")
    assert server(cluster_enabled="yes").client().config("cluster-databases") == "1"
    for wrong in (0, -1, "x", 1 << 40):
        refused = server(start=False, cluster_enabled="yes", cluster_databases=wrong)
        refused.spawn()
        assert refused.wait_end() == 1
        assert "cluster-databases" in refused.log()


def test_out_of_cluster_mode_it_is_databases_that_counts(server):
    with server(databases=3, cluster_databases=9).client() as client:
        assert client.call("SELECT", 2) == b"OK"
        assert client.reply("SELECT", 3) == "ERR DB index is out of range"


def test_in_cluster_mode_databases_does_not_count(alone):
    with alone(20, databases=3).client() as client:
        assert client.call("SELECT", 19) == b"OK"
        assert client.reply("SELECT", 20) == "ERR DB index is out of range"


# ---- the commands ----

def test_databases_are_apart(alone):
    node = alone()
    with node.client() as client:
        for db in range(DATABASES):
            assert client.call("SELECT", db) == b"OK"
            client.pipeline(["SET", f"k{i}", f"{db}"] for i in range(10 + db))
        for wrong in (DATABASES, 16, -1, 1 << 31):
            assert isinstance(client.reply("SELECT", wrong), Error)
        assert client.reply("SELECT", DATABASES) == "ERR DB index is out of range"
        assert client.call("DBSIZE") == 13  # it is still in the last one
        assert client.call("GET", "k12") == b"3"
        client.call("SELECT", 1)
        assert client.call("GET", "k12") is None
        assert sorted(client.call("KEYS", "k*")) == sorted(b"k%d" % i for i in range(11))
        found, cursor = set(), b"0"
        while True:
            cursor, page = client.call("SCAN", cursor, "COUNT", 3)
            found.update(page)
            if cursor == b"0":
                break
        assert found == {b"k%d" % i for i in range(11)}
        assert client.call("RANDOMKEY") in found
        assert client.info("keyspace") == {f"db{db}": f"keys={10 + db},expires=0,avg_ttl=0" for db in range(DATABASES)}
        assert client.call("RESET") == b"RESET"
        assert client.call("GET", "k1") == b"0"


def test_flush(alone):
    with alone().client() as client:
        for db in range(DATABASES):
            client.call("SELECT", db)
            client.call("MSET", "{x}1", db, "{x}2", db)
        assert client.call("FLUSHDB") == b"OK"
        assert set(client.info("keyspace")) == {"db0", "db1", "db2"}
        client.call("SELECT", 1)
        assert client.call("FLUSHDB", "ASYNC") == b"OK"
        assert set(client.info("keyspace")) == {"db0", "db2"}
        assert client.call("FLUSHALL") == b"OK"
        assert client.info("keyspace") == {}


def test_move_and_copy(alone):
    with alone().client() as client:
        client.call("SET", "k", "v", "PXAT", 33177117420123)
        assert client.call("MOVE", "k", 2) == 1
        assert client.call("MOVE", "k", 2) == 0
        assert client.reply("MOVE", "k", 0) == "ERR source and destination objects are the same"
        assert client.reply("MOVE", "k", DATABASES) == "ERR DB index is out of range"
        assert client.reply("MOVE", "k", "x") == "ERR value is not an integer or out of range"
        client.call("SELECT", 2)
        assert client.call("GET", "k") == b"v"
        assert client.call("PEXPIRETIME", "k") == 33177117420123
        assert client.call("COPY", "k", "k", "DB", 3) == 1
        assert client.call("COPY", "k", "k", "DB", 3) == 0
        client.call("SET", "k", "w")
        assert client.call("COPY", "k", "k", "DB", 3, "REPLACE") == 1
        assert client.call("COPY", "k", "{k}2") == 1
        assert client.reply("COPY", "k", "k", "DB", DATABASES) == "ERR DB index is out of range"
        assert client.reply("COPY", "k", "other", "DB", 3).code == "CROSSSLOT"
        client.call("SELECT", 3)
        assert client.call("GET", "k") == b"w"
        assert client.call("EXISTS", "{k}2") == 0


def test_swapdb_is_refused(alone):
    """It would exchange one node's share of the two databases only."""
    with alone().client() as client:
        for pair in ((0, 1), (0, 99), ("x", 1)):
            assert client.reply("SWAPDB", *pair) == "ERR SWAPDB is not allowed in cluster mode"


def test_watches_and_transactions(alone):
    node = alone()
    with node.client() as client, node.client() as other:
        client.call("SELECT", 1)
        client.call("WATCH", "k")
        other.call("SET", "k", "in 0")  # another key, whatever its name
        assert client.pipeline([["MULTI"], ["SET", "k", "in 1"], ["SELECT", 2], ["SET", "k", "in 2"], ["EXEC"]])[-1] == [
            b"OK", b"OK", b"OK"]
        assert client.call("GET", "k") == b"in 2"  # SELECT stays in force
        client.call("WATCH", "k")
        other.call("SELECT", 2)
        other.call("SET", "k", "changed")
        assert client.pipeline([["MULTI"], ["SET", "k", "late"], ["EXEC"]])[-1] is None
        client.call("WATCH", "k")
        other.call("FLUSHDB")
        assert client.pipeline([["MULTI"], ["SET", "k", "late"], ["EXEC"]])[-1] is None
        assert [in_database(node, db, "GET", "k") for db in range(3)] == [b"in 0", b"in 1", None]


@pytest.mark.parametrize("active", [True, False])
def test_expiry_in_every_database(alone, active):
    node = alone(enable_debug_command="yes")
    with node.client() as client:
        client.call("DEBUG", "SET-ACTIVE-EXPIRE", int(active))
        for db in range(DATABASES):
            client.call("SELECT", db)
            client.pipeline([["SET", f"gone{i}", "v", "PX", 1] for i in range(50)] + [["SET", "stays", "v"]])
        if active:
            wait_until(lambda: sizes([node]) == [1] * DATABASES, 20, "the expiry cycle to go through all databases")
        for db in range(DATABASES):
            client.call("SELECT", db)
            wait_until(lambda: client.pipeline(["GET", f"gone{i}"] for i in range(50)) == [None] * 50, 5, "expiry")
        assert sizes([node]) == [1] * DATABASES


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random"])
def test_eviction_in_every_database(alone, policy):
    node = alone(maxmemory_policy=policy)
    value = "v" * 1000
    with node.client(timeout=60) as client:
        for first in range(0, 2000, 100):  # in turns: none of the databases is older than the others
            for db in range(DATABASES):
                client.pipeline([["SELECT", db], *[["SET", f"k{i}", value] for i in range(first, first + 100)]])
        used = int(client.info("memory")["used_memory"])
        client.call("CONFIG", "SET", "maxmemory", used - 4_000_000)

        def squeezed():
            client.pipeline([["SET", "one more", value]] * 50)  # each makes some room
            return int(client.info("memory")["used_memory"]) <= used - 4_000_000
        wait_until(squeezed, 20, "eviction to make room")
        assert all(size < 2000 for size in sizes([node])), sizes([node])


# ---- what lasts ----

def test_a_snapshot_holds_every_database(alone, server):
    node = alone()
    with node.client() as client:
        for db in (0, 2, 3):
            client.call("SELECT", db)
            client.pipeline(["SET", f"k{i}", f"{db}"] for i in range(300))
        client.call("SAVE")
    node.kill()
    node.start()
    node.wait_for(lambda client: cluster_info(client)["cluster_state"] == "ok", 20, "the cluster to be up")
    assert sizes([node]) == [300, 0, 300, 300]
    assert in_database(node, 3, "GET", "k7") == b"3"
    # With fewer databases there is no place for some of it: better no server than one that has lost it.
    node.stop()
    node.directives["cluster_databases"] = 3
    node.spawn()
    assert node.wait_end() == 1
    assert "in a database that is not configured" in node.log()


def test_restart_with_the_slots_of_others(trio):
    """Keys that lie in other databases than 0 say as well that a slot is in use."""
    node = trio.nodes[0]
    slot = next(entry for entry in trio.view(node) if "myself" in entry["flags"])["slots"][0][0]
    name = next(f"k{i}" for i in range(200000) if slot_of(f"k{i}") == slot)
    assert in_database(node, 2, "SET", name, "v") == b"OK"
    node.call("SAVE")
    target = trio.nodes[1]
    node.kill()
    for other in trio.nodes[1:]:  # while it is away the slot is given to somebody else
        other.call("CLUSTER", "SETSLOT", slot, "NODE", trio.id_of(target))
    node.start()
    trio.wait_stable()
    wait_until(lambda: in_database(node, 2, "DBSIZE") == 0, 10, "the keys of the lost slot to go")


def test_replication_and_failover(cluster):
    pair = cluster(3, 1, cluster_databases=DATABASES, enable_debug_command="yes")
    fill(pair, 100)
    primaries = pair.masters()
    for node in primaries:
        (replica,) = pair.replicas_of(node)
        wait_until(lambda: sizes([node]) == sizes([replica]), 10, "the replica to have the same keys")  # noqa: B023
    node = primaries[0]
    (replica,) = pair.replicas_of(node)
    with replica.client() as client:
        client.call("READONLY")
        client.call("SELECT", 3)
        name = node.client().pipeline([["SELECT", 3], ["RANDOMKEY"]])[1]
        assert client.call("GET", name) == b"3:" + name.split(b":")[1]
    # The link breaks in the middle of a stream that changes databases all the time.
    before = int(node.info("stats")["sync_partial_ok"])
    names = [key.decode() for key in in_database(node, 0, "KEYS", "*")]
    with node.client() as client:
        for turn in range(4):
            for db in range(DATABASES):
                client.pipeline([["SELECT", db], *[["SET", name, f"{db}:{name[4:]}"] for name in names], ["SET", names[0], "*"],
                                 ["SET", names[0], f"{db}:{names[0][4:]}"]])
            client.call("CLIENT", "KILL", "TYPE", "replica")
    wait_until(lambda: int(node.info("stats")["sync_partial_ok"]) > before, 20, "a partial synchronisation")
    pair.wait_stable()
    wait_until(lambda: node.call("DEBUG", "DIGEST") == replica.call("DEBUG", "DIGEST"), 10, "the replica to have it all")
    assert replica.call("CLUSTER", "FAILOVER") == b"OK"
    wait_until(lambda: replica.call("ROLE")[0] == b"master", 15, "the failover")
    pair.wait_stable()
    everything_is_there(pair, 100)
    fill(pair, 100)  # the new primary's stream begins in whatever database
    wait_until(lambda: node.call("DEBUG", "DIGEST") == replica.call("DEBUG", "DIGEST"), 10, "the replica to have it all")
    replica.kill()
    wait_until(lambda: node.call("ROLE")[0] == b"master", 30, "the failover back")
    pair.wait_stable()
    everything_is_there(pair, 100)


def test_a_replica_with_fewer_databases_takes_nothing_into_the_wrong_one(cluster):
    trio = cluster(3, 0, cluster_databases=2)
    node = trio.nodes[0]
    small = trio.yard.server(cluster_enabled="yes", name="small", cluster_node_timeout=2000)
    small.call("CLUSTER", "MEET", "127.0.0.1", node.port)
    wait_until(lambda: len(trio.view(small)) == 4, 15, "the nodes to know each other")
    wait_until(lambda: small.client().reply("CLUSTER", "REPLICATE", trio.id_of(node)) == b"OK", 15, "REPLICATE")
    wait_until(lambda: small.info("replication")["master_link_status"] == "up", 20, "the link")
    name = next(f"k{i}" for i in range(1000) if trio.owner(slot_of(f"k{i}")) is node)
    assert in_database(node, 1, "SET", name, "in 1") == b"OK"
    wait_until(lambda: "SELECT' can't be applied" in small.log(), 15, "the replica to notice")
    wait_until(lambda: "in a database that is not configured" in small.log(), 30, "the snapshot to be refused")
    assert small.call("DBSIZE") == 0
    assert small.info("replication")["master_link_status"] == "down"


# ---- slots ----

def test_questions_about_a_slot_mean_the_selected_database(alone):
    node = alone()
    slot = slot_of("{t}")
    with node.client() as client:
        for db, count in ((0, 3), (2, 5)):
            client.call("SELECT", db)
            client.pipeline(["SET", f"{{t}}{i}", "v"] for i in range(count))
        for db, count in ((0, 3), (1, 0), (2, 5), (3, 0)):
            client.call("SELECT", db)
            assert client.call("CLUSTER", "COUNTKEYSINSLOT", slot) == count
            assert sorted(client.call("CLUSTER", "GETKEYSINSLOT", slot, 10)) == [b"{t}%d" % i for i in range(count)]
            assert len(client.call("CLUSTER", "GETKEYSINSLOT", slot, 2)) == min(2, count)


def test_who_knows_no_databases_is_not_told_that_a_slot_is_empty(alone):
    node = alone()
    slot = slot_of("{t}")
    with node.client() as knowing, node.client() as client:
        for db, count in ((0, 3), (2, 5)):
            knowing.call("SELECT", db)
            knowing.pipeline(["SET", f"{{t}}{i}", "v"] for i in range(count))
        assert client.call("CLUSTER", "COUNTKEYSINSLOT", slot) == 8
        assert len(client.call("CLUSTER", "GETKEYSINSLOT", slot, 10)) == 3
        client.call("DEL", *[f"{{t}}{i}" for i in range(3)])
        assert client.call("CLUSTER", "COUNTKEYSINSLOT", slot) == 5
        refusal = f"ERR Hash slot {slot} has no keys in database 0, but in others: SELECT one first"
        assert client.reply("CLUSTER", "GETKEYSINSLOT", slot, 10) == refusal
        assert client.call("CLUSTER", "GETKEYSINSLOT", slot + 1, 10) == []
        assert client.call("SELECT", 0) == b"OK"
        assert client.call("CLUSTER", "GETKEYSINSLOT", slot, 10) == []
        assert client.call("CLUSTER", "COUNTKEYSINSLOT", slot) == 0
        client.call("RESET")
        assert client.reply("CLUSTER", "GETKEYSINSLOT", slot, 10) == refusal


def test_orders_look_at_the_keys_of_all_databases(trio):
    node, other = trio.nodes[:2]
    name = next(f"k{i}" for i in range(1000) if trio.owner(slot_of(f"k{i}")) is node)
    slot = slot_of(name)
    with node.client() as client:
        client.call("SELECT", 3)
        client.call("SET", name, "v")
        assert client.reply("CLUSTER", "SETSLOT", slot, "NODE", trio.id_of(other)) == (
            f"ERR Can't assign hashslot {slot} to a different node while I still hold keys for this hash slot.")
        assert client.reply("CLUSTER", "RESET").startswith("ERR CLUSTER RESET can't be called with master nodes containing")
        assert client.reply("CLUSTER", "FLUSHSLOTS") == "ERR DB must be empty to perform CLUSTER FLUSHSLOTS."
        assert client.reply("CLUSTER", "REPLICATE", trio.id_of(other)).startswith("ERR To set a master the node must be empty")
        # As in Redis the keys stay when their slot is only forgotten here: whoever serves it again finds them.
        assert client.call("CLUSTER", "DELSLOTS", slot) == b"OK"
        assert client.call("DBSIZE") == 1
        assert client.call("CLUSTER", "ADDSLOTS", slot) == b"OK"
        wait_until(lambda: client.call("GET", name) == b"v", 10, "the slot to be served again")


def test_a_lost_slot_loses_its_keys_in_all_databases(trio):
    node, other = trio.nodes[:2]
    name = next(f"k{i}" for i in range(1000) if trio.owner(slot_of(f"k{i}")) is node)
    for db in range(DATABASES):
        assert in_database(node, db, "SET", name, "v") == b"OK"
    # The other one takes it without asking: it has the newer epoch.
    other.call("CLUSTER", "SETSLOT", slot_of(name), "IMPORTING", trio.id_of(node))
    other.call("CLUSTER", "SETSLOT", slot_of(name), "NODE", trio.id_of(other))
    wait_until(lambda: sizes([node]) == [0] * DATABASES, 15, "the keys to go")
    assert in_database(node, 2, "GET", name) == f"MOVED {slot_of(name)} {other.address}"


def test_redirections_depend_on_the_database_of_the_key(trio):
    slot = slot_of("{tag}")
    source = trio.owner(slot)
    target = next(node for node in trio.nodes if node is not source)
    ask, moved = f"ASK {slot} {target.address}", f"MOVED {slot} {source.address}"
    with source.client() as one, target.client() as two:
        for db in (0, 1):
            one.call("SELECT", db)
            one.call("MSET", "{tag}a", db, "{tag}b", db)
        two.call("CLUSTER", "SETSLOT", slot, "IMPORTING", trio.id_of(source))
        one.call("CLUSTER", "SETSLOT", slot, "MIGRATING", trio.id_of(target))
        assert one.call("MIGRATE", "127.0.0.1", target.port, "{tag}a", 1, 5000) == b"OK"
        assert one.reply("GET", "{tag}a") == ask
        assert one.call("GET", "{tag}b") == b"1"
        assert one.reply("MGET", "{tag}a", "{tag}b").code == "TRYAGAIN"
        assert two.reply("GET", "{tag}a") == moved
        assert two.pipeline([["ASKING"], ["GET", "{tag}a"]])[1] is None  # in 0 it has not come
        two.call("SELECT", 1)
        assert two.pipeline([["ASKING"], ["GET", "{tag}a"]])[1] == b"1"
        assert two.pipeline([["ASKING"], ["MGET", "{tag}a", "{tag}b"]])[1].code == "TRYAGAIN"
        # Between two databases, which may be on two nodes now, nothing goes.
        for command in (["MOVE", "{tag}b", 0], ["MOVE", "{tag}a", 2], ["COPY", "{tag}b", "{tag}c", "DB", 2]):
            assert one.reply(*command).code == "TRYAGAIN", command
            assert two.pipeline([["ASKING"], command])[1].code == "TRYAGAIN", command
        assert one.pipeline([["MULTI"], ["MOVE", "{tag}b", 2], ["EXEC"]])[-1].code in ("TRYAGAIN", "EXECABORT")
        assert one.reply("COPY", "{tag}b", "{tag}b", "DB", 1) == "ERR source and destination objects are the same"
        # In a transaction it is SELECT that says where the keys are.
        replies = one.pipeline([["SELECT", 0], ["MULTI"], ["GET", "{tag}a"], ["SELECT", 1], ["GET", "{tag}b"], ["EXEC"]])
        assert replies[-1] == [b"0", b"OK", b"1"]
        replies = one.pipeline([["SELECT", 1], ["MULTI"], ["SELECT", 0], ["GET", "{tag}a"], ["EXEC"]])
        assert replies[-1] == [b"OK", b"0"]
        replies = one.pipeline([["SELECT", 0], ["MULTI"], ["GET", "{tag}a"], ["SELECT", 1], ["GET", "{tag}a"]])
        assert replies[-1] == ask
        one.call("DISCARD")


def test_migrate_names_the_database_it_goes_to(trio):
    slot = slot_of("{tag}")
    source = trio.owner(slot)
    target = next(node for node in trio.nodes if node is not source)
    assert in_database(source, 1, "MSET", "{tag}a", "1", "{tag}b", "2") == b"OK"
    target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", trio.id_of(source))
    source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", trio.id_of(target))
    with source.client() as client:
        client.call("SELECT", 1)
        reply = client.reply("MIGRATE", "127.0.0.1", target.port, "{tag}a", DATABASES, 5000)
        assert reply == "ERR Target instance replied with error: ERR DB index is out of range"
        assert client.call("GET", "{tag}a") == b"1"
        assert client.reply("MIGRATE", "127.0.0.1", target.port, "{tag}a", "x", 5000).startswith("ERR value is not an integer")
        client.call("SELECT", 0)
        assert client.call("MIGRATE", "127.0.0.1", target.port, "{tag}a", 0, 5000) == b"NOKEY"  # it is in 1
        client.call("SELECT", 1)
        assert client.call("MIGRATE", "127.0.0.1", target.port, "", 3, 5000, "KEYS", "{tag}a", "{tag}b") == b"OK"
        assert sizes([source]) == [0] * DATABASES
    assert sizes([target]) == [0, 0, 0, 2]


def test_swapdb_while_keys_are_under_way(server):
    """Out of cluster mode: MIGRATE waits for its target, and meanwhile the database's name means another one."""
    node = server()
    with socket.create_server(("127.0.0.1", 0)) as listener, node.client(timeout=30) as client, node.client() as other:
        listener.settimeout(20 * SLOWNESS)
        client.call("SET", "k", "goes")
        other.call("SELECT", 1)
        other.call("SET", "k", "stays")
        client.send("MIGRATE", "127.0.0.1", listener.getsockname()[1], "k", 0, 20000)
        target, _ = listener.accept()
        with target:
            target.settimeout(20 * SLOWNESS)
            assert b"RESTORE" in target.recv(1000)
            assert other.call("SWAPDB", 0, 1) == b"OK"
            target.sendall(b"+OK\r\n")
            assert client.read() == "ERR SWAPDB came in between: the keys were copied, not moved"
        assert client.call("GET", "k") == b"stays"
        assert other.call("GET", "k") == b"goes"


# ---- the tools ----

class Load:
    """Clients that read and write in one database each while slots move; nothing may be lost."""

    def __init__(self, joined, count=DATABASES, keys=200):
        self.joined, self.keys = joined, keys
        self.stop = threading.Event()
        self.failures = []
        self.expected = {}
        self.threads = [threading.Thread(target=self.run, args=(db,)) for db in range(count)]

    def run(self, db):
        expected, turn = {}, 0
        try:
            with InDatabase(self.joined, db, timeout=20) as client:
                while not self.stop.is_set():
                    key = f"load:{turn % self.keys}"
                    assert client.call(key, "GET", key) == expected.get(key), key
                    expected[key] = f"{db}/{turn}".encode()
                    assert client.call(key, "SET", key, expected[key]) == b"OK"
                    turn += 1
                    time.sleep(0.0005)
                assert set(client.met) <= {"MOVED", "ASK"}, client.met
        except BaseException as error:  # noqa: BLE001
            self.failures.append(f"database {db}, turn {turn}: {error!r}")
        self.expected[db] = expected

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def check(self):
        assert not self.failures, self.failures
        for db, expected in self.expected.items():
            with InDatabase(self.joined, db) as client:
                for key, value in expected.items():
                    assert client.call(key, "GET", key) == value, (db, key)


def test_reshard_under_load(trio):
    """shoal-cli moves the keys of all databases while clients work in each."""
    count = 300 if SANITIZED else 1500
    fill(trio, count)
    one, two, three = trio.nodes
    with Load(trio) as load:
        for source, target in ((one, two), (two, three), (three, one)):
            result = reshard(programs.shoal("cli"), trio, source, target, 100 if SANITIZED else 600)
            assert result.returncode == 0, result.stdout.decode()[-3000:]
    load.check()
    trio.wait_stable()
    everything_is_there(trio, count)
    assert sizes(trio.nodes) == [count + len(load.expected[db]) for db in range(DATABASES)]


def test_rebalance_and_failover(cluster):
    pair = cluster(3, 1, cluster_databases=DATABASES)
    fill(pair, 200)
    first = pair.masters()[0]
    result = ours("rebalance", first.address, "--cluster-weight", f"{pair.id_of(first)}=3")
    assert result.returncode == 0, result.stdout[-3000:]
    pair.wait_stable()
    (heir,) = pair.replicas_of(first)
    # The replica has heard of every key that came and went.
    wait_until(lambda: sizes([first]) == sizes([heir]), 10, "the replica to have the same keys")
    assert heir.call("CLUSTER", "FAILOVER") == b"OK"
    wait_until(lambda: heir.call("ROLE")[0] == b"master", 15, "the failover")
    pair.wait_stable()
    everything_is_there(pair, 200)


def test_a_tool_that_knows_no_databases_loses_nothing(trio):
    """redis-cli moves the keys of database 0, and then is stopped by the source: the slot stays open."""
    slot = slot_of("{tag}")
    source = trio.owner(slot)
    target = next(node for node in trio.nodes if node is not source)
    (entry,) = [entry for entry in trio.view(source) if "myself" in entry["flags"]]
    first = entry["slots"][0][0]
    names = {}
    for i in range(300000):
        names.setdefault(slot_of(f"k{i}"), f"k{i}")
        if first in names:
            break
    for db in (0, 2):
        assert in_database(source, db, "SET", names[first], f"in {db}") == b"OK"
    result = reshard(programs.redis("cli"), trio, source, target, 2)
    assert result.returncode != 0
    assert b"has no keys in database 0, but in others" in result.stdout
    assert in_database(source, 2, "GET", names[first]) == b"in 2"
    # Ours finishes what it began.
    result = ours("fix", source.address)
    assert result.returncode == 0, result.stdout
    trio.wait_stable()
    for db in (0, 2):
        with InDatabase(trio, db) as client:
            assert client.call(names[first], "GET", names[first]) == f"in {db}".encode()
    assert sizes(trio.nodes) == [1, 0, 1, 0]


def test_check_counts_all_databases(trio):
    fill(trio, 50)
    result = ours("check", trio.nodes[0].address)
    assert result.returncode == 0, result.stdout
    assert b"[OK] 200 keys in 3 masters." in result.stdout


def test_fix_gives_uncovered_slots_to_whom_has_their_keys(trio):
    """The keys are in database 3 only."""
    node = trio.nodes[1]
    name = next(f"k{i}" for i in range(1000) if trio.owner(slot_of(f"k{i}")) is node)
    assert in_database(node, 3, "SET", name, "v") == b"OK"
    for other in trio.nodes:
        other.call("CLUSTER", "DELSLOTS", slot_of(name))
    result = ours("fix", trio.nodes[0].address, stdin=b"yes\n")
    assert result.returncode == 0, result.stdout
    trio.wait_stable()
    assert trio.owner(slot_of(name)) is node
    assert in_database(node, 3, "GET", name) == b"v"


@pytest.mark.parametrize("debug", ("yes", "no"))
def test_fix_gathers_keys_of_all_databases(cluster, debug):
    """The same slot's keys lie on two nodes, in different databases; some are on both, with equal values. Whether they
    are equal is told by digests, or where DEBUG is not permitted, by what DUMP gives."""
    trio = cluster(3, 0, cluster_databases=DATABASES, enable_debug_command=debug)
    slot = slot_of("{tag}")
    source = trio.owner(slot)
    target = next(node for node in trio.nodes if node is not source)
    for db in (1, 2):
        assert in_database(source, db, "MSET", "{tag}a", f"{db}", "{tag}b", f"{db}") == b"OK"
    target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", trio.id_of(source))
    source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", trio.id_of(target))
    with source.client() as client:
        client.call("SELECT", 2)
        assert client.call("MIGRATE", "127.0.0.1", target.port, "", 2, 5000, "COPY", "KEYS", "{tag}a", "{tag}b") == b"OK"
    result = ours("fix", source.address)
    assert result.returncode == 0, result.stdout
    assert b"Target key exists" in result.stdout
    trio.wait_stable()
    assert trio.owner(slot) is source  # it has the most keys
    assert sizes([source]) == [0, 2, 2, 0]
    assert sizes([target]) == [0] * DATABASES
    assert [in_database(source, db, "GET", "{tag}b") for db in (1, 2)] == [b"1", b"2"]


def test_a_node_with_keys_in_any_database_is_not_taken_in(trio):
    stranger = trio.yard.server(cluster_enabled="yes", cluster_databases=DATABASES, name="stranger")
    own_all_slots(stranger)
    assert in_database(stranger, 2, "SET", "k", "v") == b"OK"
    stranger.call("CLUSTER", "DELSLOTSRANGE", 0, SLOTS - 1)
    result = ours("add-node", stranger.address, trio.nodes[0].address)
    assert result.returncode == 1
    assert b"is not empty" in result.stdout


def test_import_brings_the_databases_that_the_cluster_has(trio, server):
    origin = server(databases=8)
    choose = random.Random(3)
    values = {(db, f"k{i}"): str(choose.random()).encode() for db in (0, 1, 3, 6) for i in range(40)}
    with origin.client() as client:
        for (db, name), value in values.items():
            client.pipeline([["SELECT", db], ["SET", name, value]])
    result = ours("import", trio.nodes[0].address, "--cluster-from", origin.address)
    assert result.returncode == 0, result.stdout + result.stderr
    for db in (0, 1, 3):
        assert f"*** Importing 40 keys from DB {db}".encode() in result.stdout
    assert sizes(trio.nodes) == [40, 40, 0, 40]
    for db in (0, 1, 3):
        with InDatabase(trio, db) as client:
            for i in range(40):
                assert client.call(f"k{i}", "GET", f"k{i}") == values[db, f"k{i}"]
    assert in_database(origin, 6, "DBSIZE") == 40  # the cluster has no place for these
    assert [in_database(origin, db, "DBSIZE") for db in (0, 1, 3)] == [0, 0, 0]


def test_the_command_line_follows_redirections_in_its_database(trio):
    fill(trio, 20, databases=(2,))
    for i in range(20):
        result = run(programs.shoal("cli"), "-c", "-p", trio.nodes[0].port, "-n", 2, "GET", f"key:{i}")
        assert result.stdout == f"2:{i}\n".encode(), result
