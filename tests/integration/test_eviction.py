"""maxmemory with its eight policies."""
import time

import pytest

from support.programs import wait_until
from support.resp import Error, encode

POLICIES = ["noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu",
            "volatile-random", "volatile-ttl"]
VALUE = "x" * 1000


def limited(server, policy, room=3 << 20, **directives):
    """A server that may use `room` bytes more than it does now."""
    shoal = server(maxmemory_policy=policy, maxmemory_samples=10, **directives)
    with shoal.client() as client:
        used = int(client.info("memory")["used_memory"])
        client.call("CONFIG", "SET", "maxmemory", used + room)
    return shoal


def test_noeviction_refuses_what_may_grow(server):
    shoal = limited(server, "noeviction")
    with shoal.client() as client:
        replies = client.pipeline(["SET", f"k{i}", VALUE] for i in range(6000))
        refused = [reply for reply in replies if isinstance(reply, Error)]
        assert refused and set(refused) == {"OOM command not allowed when used memory > 'maxmemory'."}
        kept = sum(reply == b"OK" for reply in replies)
        assert kept > 1000
        assert client.call("DBSIZE") == kept
        assert client.info("stats")["evicted_keys"] == "0"
        assert client.call("GET", "k0") == VALUE.encode()
        assert client.call("EXPIRE", "k0", 100) == 1
        assert client.reply("APPEND", "k0", "x").code == "OOM"
        assert client.reply("INCR", "n").code == "OOM"
        client.call("MULTI")
        assert client.reply("SET", "k", "v").code == "OOM"
        assert client.reply("EXEC").code == "EXECABORT"
        assert client.call("DEL", *[f"k{i}" for i in range(kept)]) == kept
        wait_until(lambda: client.reply("SET", "k", "v") == b"OK", 5, "room again")


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "noeviction"])
def test_memory_stays_below_the_limit(server, policy):
    shoal = limited(server, policy)
    volatile = policy.startswith("volatile")
    with shoal.client() as client:
        for start in range(0, 20000, 500):
            replies = client.pipeline(["SET", f"k{i}", VALUE, *(["EX", 1000 + i] if volatile else [])]
                                      for i in range(start, start + 500))
            assert all(reply == b"OK" for reply in replies), [reply for reply in replies if reply != b"OK"][:3]
        info = client.info("memory")
        assert int(info["used_memory"]) <= int(info["maxmemory"]) * 1.05
        # Asking may evict once more; what one transaction says is of one moment.
        left, stats = client.pipeline([["MULTI"], ["DBSIZE"], ["INFO", "stats"], ["EXEC"]])[-1]
        evicted = int(stats.split(b"evicted_keys:")[1].split(b"\r\n")[0])
        assert 500 < left < 4000
        assert left + evicted == 20000


@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"])
def test_volatile_policies_spare_keys_without_expiry(server, policy):
    shoal = limited(server, policy)
    with shoal.client() as client:
        client.pipeline(["SET", f"keep{i}", VALUE] for i in range(1000))
        replies = client.pipeline(["SET", f"temp{i}", VALUE, "EX", 5000] for i in range(8000))
        assert all(reply == b"OK" for reply in replies)
        assert client.call("EXISTS", *[f"keep{i}" for i in range(1000)]) == 1000
        assert int(client.info("stats")["evicted_keys"]) > 3000
        # With nothing left that may go, writes are refused.
        replies = client.pipeline(["SET", f"more{i}", VALUE] for i in range(6000))
        assert any(isinstance(reply, Error) and reply.code == "OOM" for reply in replies)
        assert client.call("EXISTS", *[f"keep{i}" for i in range(1000)]) == 1000


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru"])
def test_lru_keeps_what_was_read(server, policy):
    shoal = limited(server, policy)
    expiry = ["EX", 5000] if policy == "volatile-lru" else []
    with shoal.client() as client:
        client.pipeline(["SET", f"hot{i}", VALUE, *expiry] for i in range(300))
        client.pipeline(["SET", f"cold{i}", VALUE, *expiry] for i in range(1500))
        # Redis's clock of LRU counts seconds.
        time.sleep(2.1)
        client.pipeline(["GET", f"hot{i}"] for i in range(300))
        client.pipeline(["SET", f"new{i}", VALUE, *expiry] for i in range(1200))
        hot = client.call("EXISTS", *[f"hot{i}" for i in range(300)])
        cold = client.call("EXISTS", *[f"cold{i}" for i in range(1500)])
        new = client.call("EXISTS", *[f"new{i}" for i in range(1200)])
        assert cold < 1400 and hot >= 285 and new >= 1150, (hot, cold, new)


@pytest.mark.parametrize("policy", ["allkeys-lfu", "volatile-lfu"])
def test_lfu_keeps_what_is_read_often(server, policy):
    shoal = limited(server, policy)
    expiry = ["EX", 5000] if policy == "volatile-lfu" else []
    with shoal.client() as client:
        client.pipeline(["SET", f"hot{i}", VALUE, *expiry] for i in range(300))
        for _ in range(60):
            client.pipeline(["GET", f"hot{i}"] for i in range(300))
        assert client.call("OBJECT", "FREQ", "hot0") > 5
        client.pipeline(["SET", f"cold{i}", VALUE, *expiry] for i in range(9000))
        hot = client.call("EXISTS", *[f"hot{i}" for i in range(300)])
        assert hot >= 0.9 * 300, hot


def test_ttl_takes_the_soonest_first(server):
    shoal = limited(server, "volatile-ttl")
    with shoal.client() as client:
        client.pipeline(["SET", f"late{i}", VALUE, "EX", 100000 + i] for i in range(500))
        client.pipeline(["SET", f"soon{i}", VALUE, "EX", 500 + i] for i in range(8000))
        assert client.call("EXISTS", *[f"late{i}" for i in range(500)]) >= 475


def test_evictions_reach_replicas(server):
    primary = limited(server, "allkeys-lru", repl_diskless_sync_delay=0)
    replica = server(replicaof=("127.0.0.1", primary.port))
    replica.wait_for(lambda client: client.info("replication")["master_link_status"] == "up")
    with primary.client() as one, replica.client() as two:
        one.pipeline(["SET", f"k{i}", VALUE] for i in range(8000))
        assert int(one.info("stats")["evicted_keys"]) > 1000
        assert one.call("WAIT", 1, 10000) == 1
        assert sorted(one.call("KEYS", "*")) == sorted(two.call("KEYS", "*"))


def test_a_limit_set_later_evicts_now_or_with_the_next_write(server):
    shoal = server(maxmemory_policy="allkeys-random")
    with shoal.client() as client:
        base = int(client.info("memory")["used_memory"])
        client.pipeline(["SET", f"k{i}", VALUE] for i in range(5000))
        client.call("CONFIG", "SET", "maxmemory", base + (2 << 20))
        client.call("SET", "one", "more")

        def below():
            client.call("SET", "one", "more")
            info = client.info("memory")
            return int(info["used_memory"]) <= int(info["maxmemory"]) * 1.05
        wait_until(below, 10, "the memory to be below the limit")


@pytest.mark.parametrize("workers", [2])
def test_eviction_with_several_workers(server, workers):
    shoal = limited(server, "allkeys-lru", io_threads=workers, room=6 << 20)
    clients = [shoal.client() for _ in range(4)]
    for number, client in enumerate(clients):
        client.send_bytes(b"".join(encode(["SET", f"k{number}:{i}", VALUE]) for i in range(4000)))
    for client in clients:
        assert all(client.read() == b"OK" for _ in range(4000))
    with shoal.client() as client:
        info = client.info("memory")
        assert int(info["used_memory"]) <= int(info["maxmemory"]) * 1.05
