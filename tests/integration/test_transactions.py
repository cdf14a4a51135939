"""MULTI, WATCH and several workers: what one connection sees while others write."""
import pytest

from support.programs import wait_until
from support.resp import Error
from support.threads import beside, together


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_watched_counters_lose_nothing(server, workers):
    """Optimistic increments: as many EXECs succeed as the counter says."""
    shoal = server(io_threads=workers)
    done = []

    def increment():
        with shoal.client(timeout=30) as client:
            succeeded = 0
            while succeeded < 60:
                client.call("WATCH", "n")
                value = int(client.call("GET", "n") or 0)
                replies = client.pipeline([["MULTI"], ["SET", "n", value + 1], ["EXEC"]])
                succeeded += replies[-1] is not None
            done.append(succeeded)
    together([increment] * 5)
    assert int(shoal.call("GET", "n")) == sum(done) == 300


@pytest.mark.parametrize("workers", [2, 4])
def test_a_transaction_is_seen_whole_or_not_at_all(server, workers):
    shoal = server(io_threads=workers)
    keys = [f"part{i}" for i in range(8)]
    shoal.call("MSET", *[word for key in keys for word in (key, 0)])

    def write(number):
        with shoal.client(timeout=30) as client:
            for turn in range(150):
                value = f"{number}:{turn}"
                client.pipeline([["MULTI"], *[["SET", key, value] for key in keys], ["EXEC"]])

    def read(command, stop):
        with shoal.client(timeout=30) as client:
            while not stop.is_set():
                if command == "MGET":
                    values = client.call("MGET", *keys)
                else:
                    values = client.pipeline([["MULTI"], *[["GET", key] for key in keys], ["EXEC"]])[-1]
                assert len(set(values)) == 1, values
    with beside([lambda stop: read("MGET", stop), lambda stop: read("MULTI", stop)]):
        together([lambda: write(1), lambda: write(2)])


@pytest.mark.parametrize("workers", [2, 4])
def test_opposite_orders_do_not_deadlock(server, workers):
    """Multi-key commands that name the same keys in opposite orders, from many connections."""
    shoal = server(io_threads=workers)
    keys = [f"key{i}" for i in range(20)]

    def run(order):
        with shoal.client(timeout=30) as client:
            words = [word for key in order for word in (key, "v")]
            for _ in range(80):
                replies = client.pipeline([["MSET", *words], ["MGET", *order], ["DEL", *order[:3]], ["EXISTS", *order],
                                           ["RENAME", order[5], order[6]], ["COPY", order[6], order[7], "REPLACE"],
                                           ["MULTI"], ["SET", order[0], 1], ["SET", order[-1], 2], ["EXEC"],
                                           ["LCS", order[0], order[-1]], ["MSETNX", *words]])
                assert not any(isinstance(reply, Error) and reply.code not in ("ERR",) for reply in replies)
    together([lambda: run(keys), lambda: run(keys[::-1])] * 3)


def test_watch_survives_what_does_not_touch_its_keys(server):
    shoal = server(io_threads=2)
    with shoal.client() as client, shoal.client() as other:
        client.call("WATCH", "a", "b")
        other.pipeline(["SET", f"other{i}", i] for i in range(2000))
        assert client.pipeline([["MULTI"], ["PING"], ["EXEC"]])[-1] == [b"PONG"]


def test_a_connection_that_ends_forgets_its_watches(server):
    shoal = server()
    for _ in range(50):
        client = shoal.client()
        client.call("WATCH", "a", "b", "c")
        client.call("MULTI")
        client.call("SET", "a", 1)
        client.close()
    shoal.call("SET", "a", 2)
    assert shoal.call("GET", "a") == b"2"


def test_long_transactions(server):
    with server().client(timeout=30) as client:
        count = 20000
        replies = client.pipeline([["MULTI"], *[["INCR", "n"]] * count, ["EXEC"]], chunk=count + 2)
        assert replies[1] == b"QUEUED"
        assert replies[-1] == list(range(1, count + 1))


def test_exec_with_big_arguments_counts_for_the_connection(server):
    """Queued arguments are kept; a client that goes away gives their memory back."""
    shoal = server()
    with shoal.client() as watcher:
        before = int(watcher.info("memory")["used_memory"])
        with shoal.client() as client:
            client.call("MULTI")
            for _ in range(20):
                assert client.call("SET", "k", b"x" * (1 << 20)) == b"QUEUED"
            assert int(watcher.info("memory")["used_memory"]) - before > 15 << 20
        wait_until(lambda: int(watcher.info("memory")["used_memory"]) - before < 4 << 20, 10, "the memory to be back")


def test_a_transaction_and_its_replication_are_one(server):
    """The replica never shows half a transaction."""
    primary = server(io_threads=2, repl_diskless_sync_delay=0)
    replica = server(io_threads=2, replicaof=("127.0.0.1", primary.port))
    replica.wait_for(lambda client: client.info("replication")["master_link_status"] == "up", 15)

    def read(stop):
        with replica.client(timeout=30) as client:
            while not stop.is_set():
                a, b = client.call("MGET", "a", "b")
                assert a == b
    with beside([read, read]), primary.client(timeout=30) as client:
        for turn in range(400):
            client.pipeline([["MULTI"], ["SET", "a", turn], ["SET", "b", turn], ["EXEC"]])
    assert primary.call("WAIT", 1, 10000) == 1


def test_keys_that_a_transaction_moves_leave_the_replica_too(server):
    primary = server(io_threads=2, repl_diskless_sync_delay=0)
    replica = server(io_threads=2, replicaof=("127.0.0.1", primary.port))
    target = server()
    replica.wait_for(lambda client: client.info("replication")["master_link_status"] == "up", 15)
    with primary.client(timeout=30) as client, replica.client() as copy:
        client.call("MSET", "a", 1, "b", 2, "c", 3)
        move = ["MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", "a", "b"]
        assert client.pipeline([["MULTI"], ["INCR", "a"], move, ["INCR", "c"], ["EXEC"]])[-1] == [2, b"OK", 4]
        assert client.pipeline([["MULTI"], ["MIGRATE", "127.0.0.1", 1, "c", 0, 100], ["INCR", "c"], ["EXEC"]])[-1][1] == 5
        assert client.call("WAIT", 1, 10000) == 1
        assert copy.call("MGET", "a", "b", "c") == [None, None, b"5"]
        assert target.call("MGET", "a", "b") == [b"2", b"2"]
