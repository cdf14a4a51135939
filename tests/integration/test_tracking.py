"""CLIENT TRACKING: who is told of which change, across workers."""
import functools
import socket
import time

import pytest

from support.programs import SLOWNESS, wait_until
from support.resp import Push
from support.threads import beside, together

WORKERS = pytest.mark.parametrize("workers", [1, 4])


def invalidate(*keys):
    return Push([b"invalidate", [key.encode() for key in keys]])


FLUSHED = Push([b"invalidate", None])


def readers(shoal, count, *words, protocol=3):
    """Clients on all workers in turn, all of them tracking."""
    clients = [shoal.client(protocol=protocol) for _ in range(count)]
    for client in clients:
        client.call("CLIENT", "TRACKING", "ON", *words)
    return clients


def is_silent(client):
    """A reply comes, and no push before it."""
    assert client.call("PING") == b"PONG"
    client.socket.settimeout(0.05)
    try:
        push = client.read()
    except (socket.timeout, BlockingIOError):
        push = None
    client.socket.settimeout(10 * SLOWNESS)
    assert push is None, push


@WORKERS
def test_every_reader_is_told_once(server, workers):
    shoal = server(io_threads=workers)
    clients = readers(shoal, 8)
    with shoal.client() as writer:
        for client in clients:
            assert client.call("MGET", "a", "b") == [None, None]
        writer.call("SET", "a", 1)
        writer.call("SET", "a", 2)
        for client in clients:
            assert client.read() == invalidate("a")
        writer.call("DEL", "a")
        for client in clients:
            is_silent(client)
        stats = writer.info("stats")
        assert stats["tracking_total_keys"] == "1" and stats["tracking_total_items"] == "8"
        assert writer.info("clients")["tracking_clients"] == "8"


@WORKERS
def test_the_own_change_is_told_after_its_reply(server, workers):
    shoal = server(io_threads=workers)
    for client in readers(shoal, 4):
        client.call("GET", "k")
        client.send_bytes(b"SET k 1\r\nPING\r\nMULTI\r\nGET k\r\nSET k 2\r\nPING\r\nEXEC\r\n")
        replies = [client.read() for _ in range(9)]
        assert replies[0] == b"OK" and replies[1] == invalidate("k") and replies[2] == b"PONG"
        assert replies[7] == [b"1", b"OK", b"PONG"] and replies[8] == invalidate("k")


@WORKERS
def test_broadcast_by_prefix(server, workers):
    shoal = server(io_threads=workers)
    users = readers(shoal, 4, "BCAST", "PREFIX", "user:", "PREFIX", "u2:")
    everything = readers(shoal, 4, "BCAST", "NOLOOP")
    with shoal.client() as writer:
        assert writer.info("stats")["tracking_total_prefixes"] == "3"
        writer.call("MSET", "user:2", 1, "other", 1, "user:1", 1, "u2:1", 1)
        for client in users:
            assert [client.read(), client.read()] == [invalidate("u2:1"), invalidate("user:1", "user:2")]
        for client in everything:
            assert client.read() == invalidate("other", "u2:1", "user:1", "user:2")
        assert everything[0].call("SET", "user:3", 1) == b"OK"
        for client in users + everything[1:]:
            assert client.read() == invalidate("user:3")
        is_silent(everything[0])
        users[0].call("CLIENT", "TRACKING", "OFF")
        for client in users[1:] + everything:
            client.close()
        wait_until(lambda: writer.info("stats")["tracking_total_prefixes"] == "0", 5, "the prefixes to be forgotten")
        writer.call("SET", "user:4", 1)
        is_silent(users[0])


@WORKERS
def test_redirection_and_its_end(server, workers):
    shoal = server(io_threads=workers)
    sources = readers(shoal, 4)
    targets = [shoal.client(protocol=3) for _ in range(4)]
    with shoal.client() as writer:
        for source, target in zip(sources, targets):
            source.call("CLIENT", "TRACKING", "ON", "REDIRECT", target.call("CLIENT", "ID"))
            source.call("GET", "k")
        writer.call("SET", "k", 1)
        for target in targets:
            assert target.read() == invalidate("k")
        for source in sources:
            is_silent(source)
            source.call("GET", "k")
        identities = [target.call("CLIENT", "ID") for target in targets]
        for target in targets:
            target.close()
        wait_until(lambda: writer.info("clients")["connected_clients"] == "5", 5, "the targets to be gone")
        writer.call("SET", "k", 2)
        for source, identity in zip(sources, identities):
            assert source.read() == Push([b"tracking-redir-broken", identity])
            assert b"broken_redirect" in source.call("CLIENT", "TRACKINGINFO")[b"flags"]
            assert b" flags=tR " in source.call("CLIENT", "INFO")


@WORKERS
def test_a_target_that_speaks_resp2_is_told_nothing(server, workers):
    shoal = server(io_threads=workers)
    with shoal.client() as target, shoal.client(protocol=3) as source, shoal.client() as writer:
        source.call("CLIENT", "TRACKING", "ON", "REDIRECT", target.call("CLIENT", "ID"))
        source.call("GET", "k")
        writer.call("SET", "k", 1)
        is_silent(target)
        is_silent(source)


@WORKERS
def test_whole_databases(server, workers):
    shoal = server(io_threads=workers)
    clients = readers(shoal, 4) + readers(shoal, 4, "BCAST")
    with shoal.client() as writer:
        for command in (["FLUSHALL"], ["FLUSHDB", "ASYNC"], ["FLUSHDB", "SYNC"]):
            writer.call(*command)
            for client in clients:
                assert client.read() == FLUSHED
        clients[0].call("GET", "k")
        writer.call("SWAPDB", 0, 1)
        for client in clients:
            is_silent(client)


@WORKERS
def test_expiry_eviction_and_the_limit(server, workers):
    shoal = server(io_threads=workers, maxmemory_policy="allkeys-random")
    clients = readers(shoal, 4)
    with shoal.client() as writer:
        writer.call("SET", "k", 1, "PX", int(300 * SLOWNESS))
        for client in clients:
            assert client.call("GET", "k") == b"1"
        for client in clients:
            assert client.read() == invalidate("k")
        writer.call("SET", "k", 1)
        clients[0].call("GET", "k")
        writer.call("CONFIG", "SET", "maxmemory", 1)
        writer.call("GET", "k")
        writer.call("CONFIG", "SET", "maxmemory", 0)
        assert clients[0].read() == invalidate("k")
        writer.call("CONFIG", "SET", "tracking-table-max-keys", 10)
        clients[0].call("MGET", *range(100))
        told = [clients[0].read()[1][0] for _ in range(90)]
        assert len(set(told)) == 90
        assert writer.info("stats")["tracking_total_keys"] == "10"
        writer.call("CONFIG", "SET", "tracking-table-max-keys", 4)
        assert len({clients[0].read()[1][0] for _ in range(6)} | set(told)) == 96


@WORKERS
def test_off_reset_and_hello(server, workers):
    shoal = server(io_threads=workers)
    with shoal.client(protocol=3) as client, shoal.client() as writer:
        for end in (["CLIENT", "TRACKING", "OFF"], ["RESET"], ["HELLO", 2]):
            client.call("HELLO", 3)
            client.call("CLIENT", "TRACKING", "ON")
            client.call("GET", "k")
            client.call(*end)
            writer.call("SET", "k", 1)
            is_silent(client)
        assert writer.info("clients")["tracking_clients"] == "1"  # HELLO 2 leaves it on
        client.call("HELLO", 3)
        client.call("GET", "k")
        writer.call("SET", "k", 1)
        assert client.read() == invalidate("k")


@WORKERS
def test_a_cache_is_never_stale_for_long(server, workers):
    """Clients that cache what they read and drop what they are told of end up with what is there."""
    shoal = server(io_threads=workers)
    keys = [f"key{i}" for i in range(20)]

    def write(seed):
        with shoal.client(timeout=30) as client:
            for i in range(int(1500 / SLOWNESS)):
                client.call("SET", keys[(i * seed + seed) % len(keys)], f"{seed}:{i}")

    def cache(words, number, stop):
        client = readers(shoal, 1, *words)[0]
        cached = {}

        def take(push):
            assert isinstance(push, Push) and push[0] == b"invalidate", push
            for key in push[1]:
                cached.pop(key.decode(), None)

        def read_one(key):
            client.send("GET", key)
            value = client.read()
            while isinstance(value, Push):
                take(value)
                value = client.read()
            cached[key] = value

        turn = number
        while not stop.is_set():
            turn += 1
            read_one(keys[turn % len(keys)])
        for key in keys:
            if key not in cached:
                read_one(key)
        client.socket.settimeout(0.3 * SLOWNESS)
        try:
            while True:
                take(client.read())
        except (socket.timeout, BlockingIOError):
            pass
        with shoal.client() as plain:
            for key, value in cached.items():
                assert plain.call("GET", key) == value, (words, key)
        assert cached, "all was dropped"

    caches = [functools.partial(cache, words, i)
              for i, words in enumerate([(), (), ("NOLOOP",), ("BCAST",), ("BCAST", "PREFIX", "key")])]
    with beside(caches):
        together([functools.partial(write, seed) for seed in (1, 3, 7)])


@WORKERS
def test_connections_come_and_go_while_keys_change(server, workers):
    """Sessions that end, flush, redirect and turn tracking off beside writers: nobody is told what is not theirs."""
    shoal = server(io_threads=workers)
    end = time.monotonic() + 1.5 * SLOWNESS

    def again_and_again(function):
        while time.monotonic() < end:
            function()

    def come_and_go():
        with shoal.client(protocol=3, timeout=30) as target, shoal.client(protocol=3, timeout=30) as client:
            client.send_bytes(b"CLIENT TRACKING ON BCAST PREFIX k\r\nCLIENT TRACKING OFF\r\nCLIENT TRACKING ON REDIRECT "
                              b"%d\r\nGET k1\r\nGET k2\r\nGET k1\r\n" % target.call("CLIENT", "ID"))
            replies = [reply for reply in (client.read() for _ in range(6))]
            for reply in replies:
                assert not isinstance(reply, Push) or reply[1] is None or reply[1][0] in (b"k1", b"k2"), reply

    writer = shoal.client(timeout=30)
    flusher = shoal.client(timeout=30)
    jobs = [come_and_go, come_and_go, lambda: writer.pipeline([["SET", "k1", 1], ["DEL", "k2"], ["SET", "k2", 2]] * 10),
            lambda: flusher.call("FLUSHALL")]
    together([functools.partial(again_and_again, job) for job in jobs])
    wait_until(lambda: writer.info("clients")["tracking_clients"] == "0", 5, "all trackers to be gone")
