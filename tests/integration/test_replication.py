"""Primary and replicas: full and partial synchronisation, chains, WAIT, and Debian's redis-server on either side."""
import functools
import re
import socket
import threading
import time

import pytest

from support.programs import SLOWNESS, wait_until
from support.resp import Client, Error, encode
from support.threads import beside, together

FAST = {"repl_diskless_sync_delay": 0, "repl_ping_replica_period": 1}


def linked(replica, seconds=20):
    replica.wait_for(lambda client: client.info("replication")["master_link_status"] == "up", seconds,
                     f"{replica} to be linked")


def attach(replica, primary, port=None):
    assert replica.call("REPLICAOF", "127.0.0.1", port or primary.port) == b"OK"
    linked(replica)


def contents(server):
    found = {}
    with server.client(timeout=30) as client:
        for name in client.info("keyspace"):
            client.call("SELECT", name[2:])
            keys = client.call("KEYS", "*")
            for key, value, moment in zip(keys, client.pipeline(["GET", key] for key in keys),
                                          client.pipeline(["PEXPIRETIME", key] for key in keys)):
                found[name, key] = value, moment
    return found


def settled(primary, *replicas):
    """Waits until every replica has all of the primary's stream."""
    def equal():
        offset = primary.info("replication")["master_repl_offset"]
        return all(replica.info("replication")["slave_repl_offset"] == offset for replica in replicas)
    wait_until(equal, 15, "the replicas to have everything")


def every_kind_of_write(client):
    """All write commands that exist, in two databases, in and out of transactions."""
    far = 33177117420
    client.pipeline([
        ["SET", "a", "1"], ["SET", "b", "2", "EX", 1000], ["SETEX", "c", 1000, "3"], ["PSETEX", "d", 1000000, "4"],
        ["SETNX", "e", "5"], ["MSET", "f", "6", "g", "7"], ["MSETNX", "h", "8", "i", "9"], ["APPEND", "a", "x"],
        ["INCR", "n"], ["INCRBY", "n", 10], ["DECR", "n"], ["DECRBY", "n", 2], ["INCRBYFLOAT", "fl", "1.5"],
        ["INCRBYFLOAT", "fl", "0.1"], ["GETSET", "b", "new"], ["SETRANGE", "s", 5, "hello"], ["GETDEL", "h"],
        ["GETEX", "c", "PERSIST"], ["GETEX", "g", "EXAT", far], ["EXPIRE", "e", 5000], ["PEXPIRE", "f", 5000000],
        ["EXPIREAT", "i", far], ["PEXPIREAT", "i", far * 1000 + 1], ["PERSIST", "f"], ["RENAME", "i", "j"],
        ["RENAMENX", "j", "k"], ["COPY", "k", "l"], ["COPY", "k", "m", "DB", 1], ["MOVE", "l", 1], ["DEL", "nothing"],
        ["SET", "gone", 1], ["UNLINK", "gone"], ["MULTI"], ["SET", "t1", 1], ["INCR", "t1"], ["DEL", "missing"], ["EXEC"],
        ["SELECT", 2], ["SET", "other", "db"], ["SWAPDB", 2, 3], ["SELECT", 0], ["SET", "bin", bytes(range(256))],
        ["SET", "past", "v"], ["EXPIREAT", "past", 1], ["SET", "k2", "v", "PXAT", far * 1000], ["SET", "k2", "w", "KEEPTTL"],
        ["SET", "k3", "v", "GET"], ["SETRANGE", "empty", 0, ""], ["RESTORE", "bad", 0, "x"],
        ["SELECT", 5], ["SET", "flush", "me"], ["FLUSHDB"], ["SET", "stays", "here"], ["SELECT", 0]])
    dump = client.call("DUMP", "bin")
    client.call("RESTORE", "restored", 100000, dump, "REPLACE")
    client.call("RESTORE", "restored2", far * 1000, dump, "ABSTTL", "REPLACE")


def test_full_synchronisation(server):
    primary, replica = server(**FAST), server()
    with primary.client() as client:
        every_kind_of_write(client)
        client.pipeline(["SET", f"k{i}", f"value{i}" * 10] for i in range(20000))
    replica.call("SET", "mine", "is replaced")
    attach(replica, primary)
    settled(primary, replica)
    assert contents(replica) == contents(primary)
    assert replica.call("GET", "mine") is None
    info, other = primary.info("replication"), replica.info("replication")
    assert info["role"] == "master" and info["connected_slaves"] == "1"
    assert re.fullmatch(rf"ip=127\.0\.0\.1,port={replica.port},state=online,offset=\d+,lag=\d+", info["slave0"])
    assert other["role"] == "slave" and other["master_host"] == "127.0.0.1" and other["master_port"] == str(primary.port)
    assert other["master_replid"] == info["master_replid"]
    assert primary.call("ROLE")[0] == b"master"
    assert primary.call("ROLE")[2][0][:2] == [b"127.0.0.1", str(replica.port).encode()]
    assert replica.call("ROLE")[:4] == [b"slave", b"127.0.0.1", primary.port, b"connected"]


def test_a_short_load_is_a_short_wait(server):
    """As in Redis, which serves nobody while it loads a small snapshot, no client is told LOADING then."""
    primary, replica = server(**FAST), server(**FAST, io_threads=3, enable_debug_command="local")
    primary.call("SET", "k", "v")

    def ask(stop):
        with replica.client() as client:
            while not stop.is_set():
                assert all(reply in (b"PONG", b"v", None) for reply in client.pipeline([["PING"], ["GET", "k"]]))

    with beside([ask] * 3):
        for _ in range(10):
            attach(replica, primary)
            assert replica.call("REPLICAOF", "NO", "ONE") == b"OK"
            replica.call("DEBUG", "CHANGE-REPL-ID")  # so that the next synchronisation is a full one


def test_the_stream(server):
    primary, replica = server(**FAST), server()
    attach(replica, primary)
    with primary.client() as client:
        every_kind_of_write(client)
    settled(primary, replica)
    assert contents(replica) == contents(primary)
    primary.call("FLUSHALL")
    settled(primary, replica)
    assert contents(replica) == {}
    assert primary.info("stats")["sync_full"] == "1"


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_order_of_the_stream_is_the_order_of_execution(server, workers):
    """Many clients append to the same keys at once; the replica's strings are the primary's, byte for byte."""
    primary, replica = server(io_threads=workers, **FAST), server(io_threads=workers)
    attach(replica, primary)

    def write(number):
        with primary.client(timeout=30) as client:
            for turn in range(40):
                client.pipeline([["APPEND", f"log{turn % 3}", f"{number}:{turn}:{i},"] for i in range(10)]
                                + [["MULTI"], ["APPEND", "log0", "<"], ["APPEND", "log1", ">"], ["EXEC"],
                                   ["RENAME", "log2", "log3"], ["RENAME", "log3", "log2"], ["COPY", "log0", "copy", "REPLACE"]])
    together([functools.partial(write, number) for number in range(6)])
    settled(primary, replica)
    assert contents(replica) == contents(primary)
    assert len(primary.call("GET", "log0")) > 1000


def test_full_synchronisation_under_load(server):
    """Writes go on while the replica synchronises; at the end both are the same."""
    primary = server(io_threads=2, **FAST)
    with primary.client(timeout=30) as client:
        client.pipeline(["SET", f"k{i}", "x" * 200] for i in range(50000))

    def write(number, stop):
        with primary.client(timeout=30) as client:
            turn = 0
            while not stop.is_set():
                client.pipeline([["APPEND", f"k{number * 100 + turn % 100}", f"{turn}"], ["INCR", "n"],
                                 ["DEL", f"k{1000 + turn}"], ["SET", f"new{turn}", turn]])
                turn += 1
                # A load, not a flood: the two processes share a machine with everything else.
                time.sleep(0.001)
    with beside([functools.partial(write, number) for number in range(2)]):
        replicas = [server(), server()]
        for replica in replicas:
            attach(replica, primary)
        time.sleep(0.3)
    settled(primary, *replicas)
    expected = contents(primary)
    for replica in replicas:
        assert contents(replica) == expected


def test_partial_resynchronisation_after_a_cut(server, proxy):
    primary, replica = server(repl_backlog_size="1mb", **FAST), server(repl_timeout=5)
    link = proxy(primary.port)
    attach(replica, primary, link.port)
    with primary.client() as client:
        for turn in range(3):
            client.pipeline(["SET", f"k{turn}:{i}", "x"] for i in range(100))
            link.cut(refuse=True)
            client.pipeline(["SET", f"missed{turn}:{i}", "x"] for i in range(100))
            wait_until(lambda: replica.info("replication")["master_link_status"] == "down", 10, "the link to be down")
            link.mend()
            linked(replica)
            settled(primary, replica)
            assert contents(replica) == contents(primary)
        stats = client.info("stats")
        assert stats["sync_full"] == "1"
        assert stats["sync_partial_ok"] == "3"


def test_too_much_missed_means_a_full_synchronisation(server, proxy):
    primary, replica = server(repl_backlog_size="16kb", **FAST), server()
    link = proxy(primary.port)
    attach(replica, primary, link.port)
    link.cut(refuse=True)
    with primary.client() as client:
        client.pipeline(["SET", f"k{i}", "x" * 1000] for i in range(3000))
        link.mend()
        linked(replica)
        settled(primary, replica)
        stats = client.info("stats")
        assert stats["sync_full"] == "2"
        assert int(stats["sync_partial_err"]) >= 1
    assert contents(replica) == contents(primary)


def test_a_link_that_is_silent_is_given_up(server, proxy):
    """Held bytes, open connections: both sides notice after repl-timeout."""
    primary = server(repl_timeout=2, **FAST)
    replica = server(repl_timeout=2)
    link = proxy(primary.port)
    attach(replica, primary, link.port)
    link.hold()
    wait_until(lambda: replica.info("replication")["master_link_status"] == "down", 15, "the replica to notice")
    wait_until(lambda: primary.info("replication")["connected_slaves"] == "0", 15, "the primary to notice")
    primary.call("SET", "k", "v")
    link.cut()
    link.mend()
    linked(replica)
    settled(primary, replica)
    assert replica.call("GET", "k") == b"v"
    assert primary.info("stats")["sync_full"] == "1"


def test_cut_in_the_middle_of_a_full_synchronisation(server, proxy):
    primary, replica = server(**FAST), server()
    with primary.client(timeout=30) as client:
        client.pipeline(["SET", f"k{i}", "x" * 1000] for i in range(20000))
    replica.call("SET", "old", "data")
    link = proxy(primary.port)
    replica.call("REPLICAOF", "127.0.0.1", link.port)
    wait_until(lambda: link.carried > 200000, 15, "the transfer to begin", step=0.0005)
    link.cut(refuse=True)
    time.sleep(0.1)
    assert replica.info("replication")["role"] == "slave"
    link.mend()
    linked(replica)
    settled(primary, replica)
    assert contents(replica) == contents(primary)


def test_a_replica_of_a_replica(server):
    first, second, third = server(**FAST), server(**FAST), server(**FAST)
    attach(second, first)
    attach(third, second)
    with first.client() as client:
        every_kind_of_write(client)
    settled(first, second, third)
    assert contents(third) == contents(second) == contents(first)
    assert third.call("ROLE")[2] == second.port
    assert third.info("replication")["master_replid"] == first.info("replication")["master_replid"]


def test_promotion_keeps_the_history(server):
    """After a replica is promoted, its sister and the old primary go on with partial resynchronisations."""
    old, new, sister = server(**FAST), server(**FAST), server(**FAST)
    attach(new, old)
    attach(sister, old)
    old.call("SET", "k", "v")
    settled(old, new, sister)
    old_id = old.info("replication")["master_replid"]
    assert new.call("REPLICAOF", "NO", "ONE") == b"OK"
    info = new.info("replication")
    assert info["role"] == "master" and info["master_replid"] != old_id and info["master_replid2"] == old_id
    attach(sister, new)
    assert new.call("SET", "k", "w") == b"OK"
    settled(new, sister)
    assert sister.call("GET", "k") == b"w"
    assert new.info("stats")["sync_full"] == "0" and new.info("stats")["sync_partial_ok"] == "1"
    attach(old, new)
    settled(new, old)
    assert contents(old) == contents(new)
    assert new.info("stats")["sync_full"] == "0"


def test_a_replica_restarts_and_goes_on(server):
    """The RDB that a replica saves tells where it was; after a restart it needs no full synchronisation."""
    primary = server(**FAST)
    replica = server(replicaof=("127.0.0.1", primary.port))
    linked(replica)
    primary.call("SET", "k", "v")
    settled(primary, replica)
    replica.call("SAVE")
    replica.stop()
    primary.call("SET", "k", "w")
    replica.start()
    linked(replica)
    settled(primary, replica)
    assert replica.call("GET", "k") == b"w"
    assert primary.info("stats")["sync_full"] == "1"


def test_read_only(server):
    primary, replica = server(**FAST), server()
    attach(replica, primary)
    primary.call("SET", "k", "v")
    settled(primary, replica)
    with replica.client() as client:
        for command in (["SET", "k", "x"], ["DEL", "k"], ["INCR", "n"], ["EXPIRE", "k", 1], ["FLUSHALL"], ["GETDEL", "k"],
                        ["SWAPDB", 0, 1], ["RENAME", "k", "l"], ["GETEX", "k", "PERSIST"]):
            assert client.reply(*command) == "READONLY You can't write against a read only replica.", command
        assert client.call("GET", "k") == b"v"
        client.call("MULTI")
        assert client.reply("SET", "k", "x").code == "READONLY"
        assert client.reply("EXEC").code == "EXECABORT"
        client.call("CONFIG", "SET", "replica-read-only", "no")
        assert client.call("SET", "local", "x") == b"OK"


def test_stale_data(server, proxy):
    primary, replica = server(**FAST), server()
    link = proxy(primary.port)
    attach(replica, primary, link.port)
    primary.call("SET", "k", "v")
    settled(primary, replica)
    link.cut(refuse=True)
    wait_until(lambda: replica.info("replication")["master_link_status"] == "down", 10)
    with replica.client() as client:
        assert client.call("GET", "k") == b"v"
        client.call("CONFIG", "SET", "replica-serve-stale-data", "no")
        assert client.reply("GET", "k").startswith("MASTERDOWN Link with MASTER is down")
        assert client.call("CONFIG", "GET", "port")
        assert client.info("replication")["role"] == "slave"
        client.call("CONFIG", "SET", "replica-serve-stale-data", "yes")


def test_wait(server, proxy):
    primary, one, two = server(**FAST), server(), server()
    attach(one, primary)
    link = proxy(primary.port)
    attach(two, primary, link.port)
    with primary.client() as client:
        client.call("SET", "k", "v")
        assert client.call("WAIT", 2, 5000) == 2
        assert client.call("WAIT", 0, 0) == 2
        link.hold()
        client.call("SET", "k", "w")
        start = time.monotonic()
        assert client.call("WAIT", 2, 300) == 1
        assert 0.25 < time.monotonic() - start < 3 * SLOWNESS
        assert client.call("WAIT", 1, 5000) == 1
        client.send("WAIT", 2, 0)
        assert client.silent_for(0.1)
        link.mend()
        assert client.read() == 2
        replies = client.pipeline([["MULTI"], ["SET", "k", "x"], ["WAIT", 2, 1000], ["EXEC"]])
        assert replies[-1][0] == b"OK"
    with primary.client() as fresh:
        # A client that wrote nothing waits for nothing.
        assert fresh.call("WAIT", 2, 1000) == 2
    assert one.client().reply("WAIT", 1, 10).startswith("ERR WAIT cannot be used with replica instances")


def test_min_replicas_to_write(server):
    primary, replica = server(min_replicas_to_write=1, min_replicas_max_lag=5, **FAST), server()
    assert primary.client().reply("SET", "k", "v").startswith("NOREPLICAS Not enough good replicas to write.")
    assert primary.call("GET", "k") is None
    attach(replica, primary)
    wait_until(lambda: primary.client().reply("SET", "k", "v") == b"OK", 10, "the replica to count")


def test_password_between_servers(server):
    primary = server(requirepass="secret", **FAST)
    replica = server(masterauth="wrong", replicaof=("127.0.0.1", primary.port))
    time.sleep(0.5)
    assert replica.info("replication")["master_link_status"] == "down"
    replica.call("CONFIG", "SET", "masterauth", "secret")
    linked(replica)


def test_a_primary_that_is_not_there(server):
    replica = server(replicaof=("127.0.0.1", 1))
    with replica.client() as client:
        time.sleep(0.5)
        assert client.call("PING") == b"PONG"
        assert client.info("replication")["master_link_status"] == "down"
        assert client.call("ROLE")[3] in (b"connect", b"connecting")
        assert client.call("REPLICAOF", "NO", "ONE") == b"OK"
        assert client.call("SET", "k", "v") == b"OK"


def test_change_of_primaries(server):
    one, two, replica = server(**FAST), server(**FAST), server()
    one.call("SET", "from", "one")
    two.call("SET", "from", "two")
    for primary in (one, two, one):
        attach(replica, primary)
        settled(primary, replica)
        assert contents(replica) == contents(primary)


def test_a_primary_that_restarts(server):
    """Its history is gone (nothing was saved): the replica takes the new one, whole."""
    primary, replica = server(**FAST), server()
    primary.call("SET", "k", "v")
    attach(replica, primary)
    settled(primary, replica)
    primary.kill()
    wait_until(lambda: replica.info("replication")["master_link_status"] == "down", 10)
    assert replica.call("GET", "k") == b"v"
    primary.start()
    primary.call("SET", "other", "w")
    linked(replica)
    settled(primary, replica)
    assert contents(replica) == contents(primary) and ("db0", b"k") not in contents(replica)


@pytest.mark.parametrize("roles", ["redis is the primary", "redis is the replica"])
@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_with_redis(server, redis_server, roles, diskless, proxy):
    """Full synchronisation, stream and partial resynchronisation with a real redis-server on one side."""
    options = {**FAST, "repl_diskless_sync": diskless}
    makers = (redis_server, server) if roles == "redis is the primary" else (server, redis_server)
    primary, replica = makers[0](**options), makers[1](**options)
    with primary.client(timeout=30) as client:
        client.pipeline(["SET", f"k{i}", f"value{i}" * (i % 50)] for i in range(5000))
        every_kind_of_write(client)
    link = proxy(primary.port)
    attach(replica, primary, link.port)
    settled(primary, replica)
    assert contents(replica) == contents(primary)
    with primary.client() as client:
        every_kind_of_write(client)
        assert client.call("WAIT", 1, 5000) == 1
        settled(primary, replica)
        assert contents(replica) == contents(primary)
        link.cut(refuse=True)
        client.pipeline(["SET", f"missed{i}", "x"] for i in range(1000))
        link.mend()
        linked(replica)
        settled(primary, replica)
        assert contents(replica) == contents(primary)
        assert client.info("stats")["sync_full"] == "1" and client.info("stats")["sync_partial_ok"] == "1"
        client.call("FLUSHALL")
        settled(primary, replica)
    assert contents(replica) == {}


def test_redis_follows_us_follows_redis(server, redis_server):
    """A chain with us in the middle: the offsets and the history's name are one for all three."""
    top, middle, bottom = redis_server(**FAST), server(**FAST), redis_server(**FAST)
    attach(middle, top)
    attach(bottom, middle)
    with top.client() as client:
        every_kind_of_write(client)
    settled(top, middle, bottom)
    assert contents(bottom) == contents(top)
    # The one in the middle is passed over: the last goes on with the first, without a full synchronisation.
    full = top.info("stats")["sync_full"]
    attach(bottom, top)
    settled(top, bottom)
    assert top.info("stats")["sync_full"] == full


def test_psync_by_hand(server):
    """What a replica's first words get: PING, REPLCONF, PSYNC; then an RDB and the stream."""
    primary = server(**FAST)
    primary.call("SET", "k", "v")
    with primary.client() as client:
        assert client.call("REPLCONF", "listening-port", 1234) == b"OK"
        assert client.call("REPLCONF", "capa", "eof", "capa", "psync2") == b"OK"
        client.send("PSYNC", "?", -1)
        word, identity, offset = wait_until(client.read, 10).split()
        assert word == b"FULLRESYNC" and re.fullmatch(rb"[0-9a-f]{40}", identity) and int(offset) >= 0
        # Bare newlines keep the link alive while the RDB is made.
        line = client._line().lstrip(b"\n")
        # Its length is told before, or a mark of 40 bytes that comes after it.
        mark = line[5:] if line.startswith(b"$EOF:") else b""
        while True:
            rest = client.buffer[client.position:]
            size = rest.find(mark) if mark else int(line[1:])
            if 0 <= size <= len(rest) - len(mark):
                break
            client._fill()
        assert rest[:5] == b"REDIS"
        client.position += size + len(mark)
        client.send("REPLCONF", "ACK", offset)
        primary.call("SET", "k", "w")
        seen = []
        while [b"SET", b"k", b"w"] not in seen:
            seen.append(client.read())
        assert [b"SELECT", b"0"] in seen
    with primary.client() as client:
        client.send("PSYNC", identity, int(offset) + 1)
        assert client.read().startswith(b"CONTINUE")
        assert client.read() in ([b"SELECT", b"0"], [b"PING"])
    with primary.client() as client:
        client.send("PSYNC", identity, 10**9)
        assert wait_until(client.read, 10).startswith(b"FULLRESYNC")


class FakePrimary:
    """Answers the handshake and gives each replica that comes the next of its snapshots; notes what PSYNC asked."""

    def __init__(self, snapshots):
        self.snapshots = list(snapshots)
        self.asked = []
        self.connection = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        if self.connection:
            self.connection.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()

    def _serve(self):
        for snapshot in self.snapshots:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connection = connection
            with connection, connection.makefile("rb") as lines:
                try:
                    self._shake_hands(connection, lines, snapshot)
                except OSError:
                    pass
                self.connection = None

    def _shake_hands(self, connection, lines, snapshot):
        for line in lines:
            if not line.startswith(b"*"):
                continue
            words = [(lines.readline(), lines.readline())[1].strip() for _ in range(int(line[1:]))]
            if words[0] == b"PING":
                connection.sendall(b"+PONG\r\n")
            elif words[0] == b"PSYNC":
                self.asked.append(words[1:])
                connection.sendall(b"+FULLRESYNC %s 1000\r\n$%d\r\n%s" % (b"a" * 40, len(snapshot), snapshot))
            elif words[:2] != [b"REPLCONF", b"ACK"]:
                connection.sendall(b"+OK\r\n")


def test_a_snapshot_that_cannot_be_loaded_leaves_nothing(server, yard):
    """Half a snapshot is served to nobody, the link is tried anew, and the next one is taken whole."""
    source, replica = server(save="3600 100000"), server()
    with source.client() as client:
        client.pipeline(["SET", f"k{i}", i] for i in range(5000))
        client.call("SAVE")
    whole = (source.directory / "dump.rdb").read_bytes()
    broken = whole[:-8] + bytes(byte ^ 255 for byte in whole[-8:])  # its checksum, the last that is read
    primary = yard.add(FakePrimary([broken, broken, whole]))
    replica.call("SET", "mine", "v")
    replica.call("REPLICAOF", "127.0.0.1", primary.port)
    wait_until(lambda: replica.log().count("Failed loading the PRIMARY's snapshot") == 1, 20, "the first to fail")
    with replica.client() as client:
        seen = set()

        def is_whole():
            size = client.reply("DBSIZE")
            if not isinstance(size, Error):  # LOADING
                seen.add(size)
            return size == 5000
        wait_until(is_whole, 20, "the third to be there")
        assert seen <= {0, 5000}, seen
        assert client.call("GET", "k4999") == b"4999" and client.call("GET", "mine") is None
    assert replica.log().count("Failed loading the PRIMARY's snapshot") == 2
    assert [words[0] for words in primary.asked[1:]] == [b"?"] * 2  # what was lost is not said to be known
    assert not list(replica.directory.glob("temp-*"))


def test_a_stream_with_slow_commands_is_applied(server, yard):
    """No primary sends what only reads; whoever does must not bring down the worker, which has no client of it."""
    source, replica = server(save="3600 100000"), server(io_threads=2, io_threads_always_active="no",
                                                         enable_debug_command="yes")
    source.call("SET", "k", "v")
    source.call("SAVE")
    primary = yard.add(FakePrimary([(source.directory / "dump.rdb").read_bytes()]))
    replica.call("REPLICAOF", "127.0.0.1", primary.port)
    linked(replica)
    slow = encode(["DEBUG", "SLEEP", "0.005"]) + encode(["KEYS", "*"]) + encode(["SCAN", "0"])
    primary.connection.sendall(slow * 3 + encode(["SET", "k", "new"]))
    wait_until(lambda: replica.call("GET", "k") == b"new", 10, "what follows them")


def test_what_a_scan_removes_and_another_sets_again_is_there(server):
    """The effects on a slot are in the stream in the order in which they happened, while SCAN walks on."""
    primary, replica = server(**FAST, io_threads=2, enable_debug_command="yes"), server(enable_debug_command="yes")
    attach(replica, primary)
    count = 3000
    with primary.client(timeout=60) as walker, primary.client(timeout=60) as writer:
        walker.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        for round_ in range(5):
            walker.pipeline([["SET", f"k{i}", "old", "PX", 1] for i in range(count)])
            time.sleep(0.01)
            walker.send("SCAN", 0, "COUNT", 10 * count)
            writer.pipeline([["SET", f"k{i}", round_] for i in range(count)], chunk=100)
            walker.read()
            settled(primary, replica)
            assert replica.call("DBSIZE") == count


def test_the_stream_goes_on_in_its_database(server):
    """A replica that comes back from its own snapshot, and a replica's replica: both go on where no SELECT is repeated."""
    primary, replica, second = server(**FAST, repl_backlog_size="10mb"), server(save="3600 100000"), server()
    attach(replica, primary)
    with primary.client() as client:
        client.call("SELECT", 5)
        client.call("SET", "first", "v")
        settled(primary, replica)
        replica.stop()
        client.call("SET", "while-away", "v")
        replica.directives["replicaof"] = ("127.0.0.1", primary.port)
        replica.start()
        linked(replica)
        client.call("SET", "back", "v")
        settled(primary, replica)
        assert primary.info("stats")["sync_partial_ok"] == "1"
        attach(second, replica)
        client.call("SET", "later", "v")
        settled(primary, replica, second)
        expected = {b"first", b"while-away", b"back", b"later"}
        for one in (primary, replica, second):
            with one.client() as reader:
                assert reader.call("DBSIZE") == 0, one
                reader.call("SELECT", 5)
                assert set(reader.call("KEYS", "*")) == expected, one


def test_redis_gives_its_place_to_us(server, redis_server):
    """FAILOVER at the primary: its replica goes on as the primary, and it follows without a full synchronisation."""
    old, new = redis_server(**FAST), server(**FAST)
    attach(new, old)
    with old.client() as client:
        every_kind_of_write(client)
        assert client.call("FAILOVER") == b"OK"
    wait_until(lambda: new.info("replication")["role"] == "master", 10, "the replica to be the primary")
    linked(old)
    with new.client() as client:
        client.call("SET", "after", "x")
    settled(new, old)
    assert contents(old) == contents(new)
    assert new.info("stats")["sync_full"] == "0"


def test_a_place_is_given_only_to_a_replica(server):
    primary, replica = server(**FAST), server(**FAST)
    with primary.client() as client:
        assert client.reply("PSYNC", "?", -1, "FAILOVER") == "ERR PSYNC FAILOVER can't be sent to a master."
    attach(replica, primary)
    with replica.client() as client:
        assert client.reply("PSYNC", "0" * 40, 1, "FAILOVER") == "ERR PSYNC FAILOVER replid must match my replid."
    assert replica.info("replication")["role"] == "slave"
