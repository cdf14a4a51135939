"""Clients and workers: a slow command holds up nobody else, little work gathers on one worker, and clients that are handed
from worker to worker all the time lose nothing."""
import contextlib
import functools
import os
import random
import time

import pytest

from support.programs import SLOWNESS, wait_until
from support.resp import Error, Push
from support.threads import beside, together


def switches(server):
    """{thread's name: how often it has gone to sleep}"""
    found = {}
    for task in os.listdir(f"/proc/{server.pid}/task"):
        with open(f"/proc/{server.pid}/task/{task}/status") as status:
            fields = dict(line.split(":\t", 1) for line in status.read().splitlines() if ":\t" in line)
        found[fields["Name"]] = int(fields["voluntary_ctxt_switches"])
    return found


@pytest.mark.parametrize("workers, always", [(2, "no"), (2, "yes"), (3, "no")])
def test_a_sleeping_command_holds_up_nobody_else(server, workers, always):
    shoal = server(io_threads=workers, io_threads_always_active=always, enable_debug_command="yes")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(shoal.client(timeout=60)) for _ in range(12)]
        for number in range(3):
            sleeper, others = clients[number], clients[:number] + clients[number + 1:]
            sleeper.send("DEBUG", "SLEEP", SLOWNESS)
            for round_ in range(3):
                for other in others:
                    other.send("INCR", f"n{number}")
                assert sorted(other.read() for other in others) == [*range(round_ * 11 + 1, round_ * 11 + 12)]
            assert shoal.call("PING") == b"PONG"  # somebody new is let in, too
            assert others[0].info("server")["process_id"] == str(shoal.pid)  # for which all workers stand still
            assert b" cmd=debug " in others[1].call("CLIENT", "LIST")
            others[2].call("FLUSHALL")
            assert sleeper.silent_for(0.001), "the others had to wait for it"
            assert sleeper.read() == b"OK"


def test_all_workers_but_one_may_sleep(server):
    shoal = server(io_threads=3, enable_debug_command="yes")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(shoal.client(timeout=60)) for _ in range(9)]
        for sleeper in clients[:2]:
            sleeper.send("DEBUG", "SLEEP", SLOWNESS)
            assert [client.call("PING") for client in clients[2:]] == [b"PONG"] * 7
            assert shoal.call("PING") == b"PONG"
        assert clients[0].silent_for(0.001) and clients[1].silent_for(0.001)
        assert [clients[0].read(), clients[1].read()] == [b"OK", b"OK"]


def test_keys_over_many_holds_up_nobody_else(server):
    shoal = server(io_threads=2, enable_debug_command="yes")
    walks = 12
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(shoal.client(timeout=60)) for _ in range(8)]
        clients[0].call("DEBUG", "POPULATE", 400000)
        clients[0].send_bytes(b"KEYS *nobody*\r\n" * walks)
        for client in clients[1:]:
            client.send("ECHO", "here")
        assert [client.read() for client in clients[1:]] == [b"here"] * 7
        while not clients[0].silent_for(0.001):
            pass
        assert bytes(clients[0].buffer).count(b"*0\r\n") < walks, "the others had to wait for all of it"
        assert [clients[0].read() for _ in range(walks)] == [[]] * walks


def test_what_was_asked_before_a_slow_command_is_answered_before_it(server):
    """Commands of one turn: those before the slow one have their answers while it runs, and the replica has them, too."""
    shoal = server(io_threads=2, enable_debug_command="yes", repl_diskless_sync_delay=0)
    replica = server(replicaof=("127.0.0.1", shoal.port))
    replica.wait_for(lambda client: client.info("replication")["master_link_status"] == "up")
    with contextlib.ExitStack() as stack:
        slow = stack.enter_context(shoal.client(timeout=60))
        watching = stack.enter_context(replica.client())
        for number in range(2):
            slow.send_bytes(b"SET k %d\r\nDEBUG SLEEP %.1f\r\n" % (number, SLOWNESS))
            wait_until(lambda: watching.call("GET", "k") == b"%d" % number, 20, "the replica's copy")
            assert slow.read() == b"OK"
            assert slow.read() == b"OK"


def test_little_work_gathers_on_the_last_worker(server):
    shoal = server(io_threads=3, io_threads_always_active="no")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(shoal.client()) for _ in range(12)]

        def play(rounds):
            for _ in range(rounds):
                time.sleep(0.01)
                for client in clients:
                    assert client.call("PING") == b"PONG"

        def is_gathered():
            play(20)
            before = switches(shoal)
            play(20)
            grown = {name: count - before[name] for name, count in switches(shoal).items()}
            # (How often who serves them sleeps depends on which is slower, client or server.)
            return grown["worker-1"] < 40 and grown["worker-2"] > 4 * grown["worker-1"]
        wait_until(is_gathered, 10, "all clients on one worker")
        assert shoal.info("server")["io_threads_active"] == "0"


def test_clients_stay_where_all_workers_are_always_at_work(server):
    shoal = server(io_threads=3, io_threads_always_active="yes")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(shoal.client()) for _ in range(12)]
        before = switches(shoal)
        for _ in range(100):
            for client in clients:
                client.call("PING")
        grown = {name: count - before[name] for name, count in switches(shoal).items()}
        assert grown["worker-1"] >= 200 and grown["worker-2"] >= 200
        assert shoal.info("server")["io_threads_active"] == "1"


def test_what_was_changed_before_a_slow_command_is_told_while_it_runs(server):
    """Those who listen to a prefix are told when a turn ends, and this turn is long."""
    shoal = server(io_threads=2, io_threads_always_active="yes", enable_debug_command="yes")
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(shoal.client(protocol=3, timeout=60)) for _ in range(4)]
        slow = stack.enter_context(shoal.client(timeout=60))
        for listener in listeners:
            listener.call("CLIENT", "TRACKING", "ON", "BCAST")
        slow.send_bytes(b"SET k v\r\nDEBUG SLEEP %.1f\r\n" % (2 * SLOWNESS))
        wait_until(lambda: any(not listener.silent_for(0.001) for listener in listeners), 1, "the push")
        assert slow.silent_for(0.001), "it came when all was over"
        assert [listener.read() for listener in listeners] == [Push([b"invalidate", [b"k"]])] * 4


@pytest.mark.parametrize("pings", [12, 13, 14, 15, 16])
def test_a_client_on_its_way_is_told_what_is_redirected_to_it(server, pings):
    """It has left its worker; its new one is busy just then, and knows of it only when it looks into its inbox."""
    shoal = server(io_threads=2, io_threads_always_active="no")
    with contextlib.ExitStack() as stack:
        tracking = stack.enter_context(shoal.client(timeout=60))
        tracking.pipeline([["SET", "one", "ab" * 1000], ["SET", "other", "ba" * 1000]])
        tracking.pipeline([["PING"]] * 20, chunk=1)  # so it is where all gather
        targets = [stack.enter_context(shoal.client(protocol=3, timeout=60)) for _ in range(2)]
        identities = [target.call("CLIENT", "ID") for target in targets]
        for target, identity in zip(targets, identities):
            target.pipeline([["PING"]] * pings, chunk=1)
            tracking.send_bytes(b"LCS one other LEN\r\n" * 10 + b"CLIENT TRACKING ON REDIRECT %d\r\n" % identity +
                                b"GET k\r\nSET k v\r\n")
            target.send("PING")
            assert [tracking.read() for _ in range(13)][10] == b"OK"
            told = [target.read(), target.read()]
            assert b"PONG" in told and Push([b"invalidate", [b"k"]]) in told
            tracking.call("CLIENT", "TRACKING", "OFF")


def test_workers_find_at_the_same_time_that_memory_is_short(server):
    shoal = server(io_threads=2, maxmemory_policy="noeviction")

    def ask(number):
        with shoal.client() as client:
            while not isinstance(client.reply("SET", number, "v"), Error):
                client.pipeline([["GET", number]] * 10)
    together([functools.partial(ask, number) for number in range(4)] +
             [lambda: shoal.call("CONFIG", "SET", "maxmemory", 1)])


def test_who_accepts_clients_changes_all_the_time(server):
    """Those who are asked to are held up before they begin, so that the next is asked."""
    shoal = server(io_threads=3, io_threads_always_active="yes", enable_debug_command="yes")

    def doze(number, stop):
        choose = random.Random(number)
        with shoal.client(timeout=60) as client:
            while not stop.is_set():
                client.pipeline([["DEBUG", "SLEEP", choose.choice([0.0009, 0.003, 0.004])] for _ in range(3)])

    def come():
        for _ in range(100):
            assert shoal.call("PING", timeout=60) == b"PONG"
    with beside([functools.partial(doze, number) for number in range(5)]):
        together([come, come])
    assert int(shoal.info("stats")["total_connections_received"]) >= 200
    assert "Accepting client connection" not in shoal.log()


@pytest.mark.parametrize("workers", [2, 4])
def test_clients_on_the_move_lose_nothing(server, workers):
    """Some clients doze all the time, so that workers are detained and free again, and everybody moves; counters stay
    linearizable, transactions whole, invalidations come, and who is killed is gone."""
    shoal = server(io_threads=workers, io_threads_always_active="no", enable_debug_command="yes")
    clients, rounds, depth = 6, 40, 10
    seen = [[] for _ in range(clients)]

    def count(mine):
        with shoal.client(timeout=60) as client:
            for _ in range(rounds):
                mine += client.pipeline([["INCR", "n"]] * depth)
                client.pipeline([["WATCH", "n", "w"], ["MULTI"], ["INCR", "a"], ["INCR", "b"], ["EXEC"]])
                a, b = client.call("MGET", "a", "b")
                assert a == b

    def doze(number, stop):
        choose = random.Random(number)
        with shoal.client(timeout=60) as client:
            while not stop.is_set():
                client.call("DEBUG", "SLEEP", choose.choice([0, 0.004, 0.01]))
                client.call("CONFIG", "GET", "hz")

    def come_and_go(stop):
        with shoal.client(timeout=60) as killer:
            while not stop.is_set():
                with shoal.client(timeout=60) as victim:
                    identity = victim.call("CLIENT", "ID")
                    victim.pipeline([["PING"]] * 20, chunk=1)
                    assert killer.call("CLIENT", "KILL", "ID", identity) == 1
                    assert victim.closed_by_peer()

    def track(stop):
        with shoal.client(protocol=3, timeout=60) as reader, shoal.client(timeout=60) as writer:
            reader.pipeline([["PING"]] * 20, chunk=1)
            reader.call("CLIENT", "TRACKING", "ON")
            while not stop.is_set():
                reader.call("GET", "tracked")
                writer.call("SET", "tracked", "x")
                assert reader.read() == Push([b"invalidate", [b"tracked"]])

    with beside([functools.partial(doze, 1), functools.partial(doze, 2), come_and_go, track]):
        together([functools.partial(count, mine) for mine in seen])
    for values in seen:
        assert values == sorted(values)
    assert sorted(value for values in seen for value in values) == list(range(1, clients * rounds * depth + 1))
    wait_until(lambda: shoal.info("clients")["connected_clients"] == "1", 5, "all others gone")
