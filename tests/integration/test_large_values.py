"""Large values are replied by reference: whatever happens to the key meanwhile, the reply says what was asked for."""
import re

import pytest

from support.programs import wait_until
from support.resp import encode

SIZES = [16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 300000, 5000000]


def value_of(size, seed=0):
    block = bytes((seed + i * 7) % 251 for i in range(2008))
    return (block * (size // len(block) + 1))[:size]


@pytest.mark.parametrize("workers", [1, 3])
def test_every_command_gives_the_bytes_that_are_there(server, workers):
    shoal = server(io_threads=workers)
    with shoal.client(timeout=30) as client:
        for size in SIZES:
            value = value_of(size)
            client.call("SET", "k", value)
            replies = client.pipeline([
                ["GET", "k"], ["STRLEN", "k"], ["MGET", "k", "none", "k"], ["GETRANGE", "k", 1, -2], ["PING"],
                ["SET", "k", "new", "GET"], ["GET", "k"], ["SET", "k", value], ["GETEX", "k", "EX", 100],
                ["GETSET", "k", "newer"], ["SET", "k", value], ["GETDEL", "k"], ["GET", "k"]])
            assert replies == [value, size, [value, None, value], value[1:-1], b"PONG", value, b"new", b"OK", value,
                               value, b"OK", value, None]


def test_a_value_changed_behind_its_reply_is_not_seen_in_it(server):
    shoal = server()
    value = value_of(3000000)
    with shoal.client(timeout=30) as client, shoal.client(timeout=30) as other:
        client.call("SET", "k", value)
        # More than the sockets hold, so that the reply waits in the server while the key changes.
        slow = [["GET", "k"]] * 12
        client.send_bytes(encode(["GET", "k"]) * len(slow))
        wait_until(lambda: b"omem=0" not in line_of(other, client), what="replies that wait")
        assert other.call("SETRANGE", "k", 1000, "changed") == len(value)
        assert other.call("APPEND", "k", "more") == len(value) + 4
        assert other.call("SET", "k", "short") == b"OK"
        assert [client.read() for _ in slow] == [value] * 12
        assert client.call("GET", "k") == b"short"


def line_of(asker, client):
    identity = b" addr=%s:%d " % (client.socket.getsockname()[0].encode(), client.socket.getsockname()[1])
    return next(line for line in asker.call("CLIENT", "LIST").splitlines() if identity in line)


def test_queued_and_silenced_replies(server):
    shoal = server()
    value = value_of(200000)
    with shoal.client(timeout=30) as client:
        client.call("SET", "k", value)
        replies = client.pipeline([["MULTI"], ["GET", "k"], ["SETRANGE", "k", 0, "xyz"], ["GET", "k"], ["EXEC"]])
        assert replies[-1] == [value, len(value), b"xyz" + value[3:]]
        silenced = [["CLIENT", "REPLY", "SKIP"], ["GET", "k"], ["PING"], ["CLIENT", "REPLY", "OFF"],
                    ["GET", "k"], ["GET", "k"], ["CLIENT", "REPLY", "ON"], ["GETRANGE", "k", 0, 2]]
        client.send_bytes(b"".join(encode(command) for command in silenced))
        assert [client.read() for _ in range(3)] == [b"PONG", b"OK", b"xyz"]


@pytest.mark.parametrize("size", [10 * 1024, 40 * 1024])
def test_a_client_that_stays_behind_keeps_only_what_it_has_not_taken(server, size):
    shoal = server(client_output_buffer_limit=("normal", 0, 0, 0))
    value = value_of(size)
    reply = b"$%d\r\n%s\r\n" % (size, value)
    behind = 16 * 1024 * 1024 // size  # replies, far more than the sockets hold
    step = behind // 8
    with shoal.client(timeout=30) as client, shoal.client(timeout=30) as other:
        client.call("SET", "k", value)
        client.send_bytes(encode(["GET", "k"]) * behind)
        wait_until(lambda: commands_run(other, "get") == behind, what="all replies to wait")
        assert re.search(rb" (obl|omem)=[1-9]", line_of(other, client)), "the sockets hold them all"
        before = used_memory(other)
        for _ in range(64):
            client.send_bytes(encode(["GET", "k"]) * step)
            assert [client.read() for _ in range(step)] == [value] * step
        assert used_memory(other) < before + 2 * behind * len(reply), "what was sent is kept"
        assert [client.read() for _ in range(behind)] == [value] * behind


def commands_run(client, name):
    found = re.search(rb"cmdstat_%s:calls=(\d+)" % name.encode(), client.call("INFO", "commandstats"))
    return int(found[1]) if found else 0


def used_memory(client):
    return int(client.call("INFO", "memory").split(b"used_memory:")[1].split(b"\r\n")[0])


def test_a_client_that_never_reads_is_ended_and_its_values_are_freed(server):
    shoal = server(client_output_buffer_limit=("normal", "20mb", 0, 0))
    value = value_of(4000000)
    with shoal.client(timeout=30) as other:
        other.call("SET", "k", value)
        deaf = shoal.client(timeout=30)
        deaf.send_bytes(encode(["GET", "k"]) * 20)
        wait_until(lambda: other.call("CLIENT", "LIST").count(b"id=") == 1, seconds=20, what="the end of the deaf client")
        deaf.close()
        other.call("DEL", "k")
        wait_until(lambda: int(other.info("memory")["used_memory"]) < 8000000, seconds=20, what="the memory")


def test_renaming_moving_and_copying_share_the_value(server):
    """No bytes are copied until one of the keys is changed, and the other keeps its own then."""
    shoal = server()
    size = 32 << 20
    with shoal.client(timeout=30) as client:
        def used():
            return int(client.info("memory")["used_memory"])
        client.call("SETRANGE", "a", size - 1, "z")
        before = used()
        assert client.call("COPY", "a", "b") == 1 and client.call("COPY", "a", "b", "DB", 1) == 1
        assert client.call("RENAME", "b", "c") == b"OK" and client.call("RENAMENX", "c", "d") == 1
        assert client.call("MOVE", "d", 2) == 1
        assert used() - before < 8 << 20
        assert client.call("SETRANGE", "a", 0, "first") == size
        assert used() - before > 16 << 20
        client.call("SELECT", 2)
        assert client.call("APPEND", "d", "more") == size + 4
        assert client.call("GETRANGE", "d", 0, 4) == bytes(5) and client.call("GETRANGE", "d", -5, -1) == b"zmore"
        client.call("SELECT", 1)
        assert client.call("GETRANGE", "b", 0, 4) == bytes(5) and client.call("STRLEN", "b") == size
        client.call("FLUSHALL")
        wait_until(lambda: used() < before - (16 << 20), what="the memory to be free")


def test_a_value_renamed_over_a_value_that_it_shares(server):
    shoal = server()
    value = value_of(300000)
    with shoal.client() as client:
        client.call("SET", "a", value)
        client.call("PEXPIRE", "a", 1000000)
        client.call("COPY", "a", "b")
        client.call("RENAME", "a", "b")
        assert client.call("MGET", "a", "b") == [None, value]
        assert client.call("PTTL", "b") > 0
        client.call("COPY", "b", "b2", "REPLACE")
        client.call("COPY", "b2", "b", "REPLACE")
        client.call("DEL", "b2")
        assert client.call("GET", "b") == value
