"""Keys that expire: when touched, by themselves, on replicas, and what their going tells others."""
import time

import pytest

from support.programs import SLOWNESS, wait_until
from support.resp import Error


def test_lazy_expiry_of_every_reader(server):
    """With the active cycle off, an expired key is not there for any command."""
    shoal = server(enable_debug_command="yes")
    with shoal.client() as client:
        client.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        commands = [
            (["GET", "k"], None), (["EXISTS", "k"], 0), (["TYPE", "k"], b"none"), (["TTL", "k"], -2), (["PTTL", "k"], -2),
            (["EXPIRETIME", "k"], -2), (["STRLEN", "k"], 0), (["GETRANGE", "k", 0, -1], b""), (["MGET", "k"], [None]),
            (["DEL", "k"], 0), (["UNLINK", "k"], 0), (["TOUCH", "k"], 0), (["PERSIST", "k"], 0), (["EXPIRE", "k", 10], 0),
            (["GETDEL", "k"], None), (["GETEX", "k", "PERSIST"], None), (["DUMP", "k"], None), (["APPEND", "k", "x"], 1),
            (["INCR", "k"], 1), (["SETRANGE", "k", 0, "ab"], 2), (["SETNX", "k", "v"], 1), (["SET", "k", "v", "XX"], None),
            (["SET", "k", "v", "NX"], b"OK"), (["GETSET", "k", "v"], None), (["SET", "k", "v", "GET"], None),
            (["MSETNX", "k", 1], 1), (["COPY", "k", "other"], 0), (["MOVE", "k", 1], 0), (["KEYS", "*"], []),
            (["RANDOMKEY"], None), (["OBJECT", "ENCODING", "k"], None), (["LCS", "k", "k"], b""),
        ]
        for command, expected in commands:
            client.call("FLUSHALL")
            client.call("SET", "k", "5", "PX", 1)
            time.sleep(0.004)
            assert client.reply(*command) == expected, command
        for command, text in ((["RENAME", "k", "other"], "ERR no such key"), (["RENAMENX", "k", "o"], "ERR no such key")):
            client.call("SET", "k", "5", "PX", 1)
            time.sleep(0.004)
            assert client.reply(*command) == text


def test_active_expiry_frees_untouched_keys(server):
    with server().client() as client:
        client.pipeline(["SET", f"k{i}", "x" * 50, "PX", 100 + i % 400] for i in range(50000))
        client.call("SET", "stays", "v")
        client.call("SET", "later", "v", "EX", 1000)
        wait_until(lambda: client.call("DBSIZE") == 2, 20, "the expired keys to be gone", step=0.1)
        info = client.info("stats")
        assert int(info["expired_keys"]) == 50000
        assert client.info("keyspace")["db0"].startswith("keys=2,expires=1,avg_ttl=")


def test_active_expiry_in_other_databases(server):
    with server().client() as client:
        for database in (1, 7, 15):
            client.call("SELECT", database)
            client.pipeline(["SET", f"k{i}", "x", "PX", 50] for i in range(200))
        wait_until(lambda: not any(name.startswith("db") for name in client.info("keyspace")), 10, "all to expire")


def test_active_expiry_does_not_starve_commands(server):
    """A mass that expires at once is removed in slices: a ping in between is answered in time."""
    shoal = server()
    with shoal.client() as client:
        moment = int((time.time() + 1.5 * SLOWNESS) * 1000)
        for start in range(0, 100000, 20000):
            client.pipeline(["SET", f"k{i}", "x", "PXAT", moment] for i in range(start, start + 20000))
        worst, ends = 0, time.monotonic() + 20 * SLOWNESS
        while client.call("DBSIZE") and time.monotonic() < ends:
            start = time.monotonic()
            client.call("PING")
            worst = max(worst, time.monotonic() - start)
        assert client.call("DBSIZE") == 0
        assert worst < 1 * SLOWNESS


def test_overwriting_and_persist_cancel_expiry(server):
    with server().client() as client:
        client.pipeline([["SET", "a", 1, "PX", 100], ["SET", "a", 2], ["SET", "b", 1, "PX", 100], ["PERSIST", "b"],
                         ["SET", "c", 1, "PX", 100], ["GETSET", "c", 2], ["SET", "d", 1, "PX", 100],
                         ["RENAME", "d", "e"], ["SET", "f", 1, "PX", 100], ["INCR", "f"]])
        time.sleep(0.15)
        assert client.call("MGET", "a", "b", "c", "d", "e", "f") == [b"2", b"1", b"2", None, None, None]


def test_time_stands_still_inside_a_transaction(server):
    """A key that would expire in the middle of EXEC is there to its end."""
    shoal = server(enable_debug_command="yes")
    with shoal.client() as client:
        client.call("SET", "k", "v", "PX", 100)
        replies = client.pipeline([["MULTI"], ["GET", "k"], ["DEBUG", "SLEEP", "0.2"], ["GET", "k"], ["EXEC"]])
        assert replies[-1] == [b"v", b"OK", b"v"]
        assert client.call("GET", "k") is None


@pytest.fixture
def pair(server):
    primary = server(enable_debug_command="yes", repl_diskless_sync_delay=0)
    replica = server(enable_debug_command="yes", replicaof=("127.0.0.1", primary.port))
    replica.wait_for(lambda client: client.info("replication")["master_link_status"] == "up")
    return primary, replica


def test_a_replica_hides_but_does_not_delete(pair):
    """An expired key that the primary has not deleted yet is not read on the replica, and not deleted by it."""
    primary, replica = pair
    with primary.client() as one, replica.client() as two:
        one.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        one.call("SET", "k", "v", "PX", 200)
        one.call("WAIT", 1, 5000)
        assert two.call("GET", "k") == b"v"
        time.sleep(0.25)
        assert two.call("GET", "k") is None
        assert two.call("EXISTS", "k") == 0
        assert two.call("TTL", "k") == -2
        assert two.call("DBSIZE") == 1
        assert one.call("GET", "k") is None
        wait_until(lambda: two.call("DBSIZE") == 0, 5, "the primary's DEL")


def test_active_expiry_reaches_replicas(pair):
    primary, replica = pair
    with primary.client() as one, replica.client() as two:
        one.pipeline(["SET", f"k{i}", "v", "PX", 300] for i in range(1000))
        one.call("WAIT", 1, 5000)
        wait_until(lambda: one.call("DBSIZE") == 0, 10, "expiry on the primary")
        wait_until(lambda: two.call("DBSIZE") == 0, 10, "the same on the replica")
        assert two.info("stats")["expired_keys"] == "0"


def test_relative_expiry_is_sent_as_absolute(pair):
    primary, replica = pair
    with primary.client() as one, replica.client() as two:
        one.pipeline([["SET", "a", "v", "EX", 1000], ["SETEX", "b", 1000, "v"], ["PSETEX", "c", 1000000, "v"],
                      ["SET", "d", "v"], ["EXPIRE", "d", 1000], ["SET", "e", "v"], ["GETEX", "e", "EX", 1000]])
        one.call("WAIT", 1, 5000)
        for key in "abcde":
            moment = one.call("PEXPIRETIME", key)
            assert moment > 0
            assert two.call("PEXPIRETIME", key) == moment
