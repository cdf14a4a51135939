"""The process: signals, limits of clients, protected mode, workers, and the everyday programs of Debian's redis-tools."""
import functools
import os
import random
import re
import resource
import signal
import socket
import subprocess
import time

import pytest

from support import programs
from support.programs import SLOWNESS, cpu_seconds, wait_until
from support.resp import Client
from support.threads import beside, together


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_shuts_down_in_order(server, number):
    shoal = server(pidfile="pid")
    shoal.call("SET", "k", "v")
    assert shoal.stop(number) == 0
    log = shoal.log()
    assert "User requested shutdown" in log
    assert "bye bye" in log
    assert not (shoal.directory / "pid").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_saves_when_save_points_are_set(server, number):
    shoal = server(save="3600 1000")
    shoal.call("SET", "k", "v")
    assert shoal.stop(number) == 0
    assert (shoal.directory / "dump.rdb").exists()
    shoal.start()
    assert shoal.call("GET", "k") == b"v"


def test_sighup_and_sigpipe_are_nothing(server):
    shoal = server()
    shoal.send_signal(signal.SIGPIPE)
    shoal.send_signal(signal.SIGHUP)
    assert shoal.call("PING") == b"PONG"


def test_a_crash_leaves_a_backtrace(server):
    if programs.SANITIZED:
        pytest.skip("a sanitizer has its own handler")
    shoal = server()
    shoal.crash_is_the_point = True
    shoal.send_signal(signal.SIGSEGV)
    assert shoal.wait_end() not in (0, 1)
    log = shoal.log()
    assert re.search(r"signal|SIGSEGV", log, re.I), log
    assert re.search(r"backtrace|stack trace", log, re.I), log
    assert len(re.findall(r"\[?0x[0-9a-f]+\]?", log)) >= 3, log


@pytest.mark.parametrize("command", [["SHUTDOWN"], ["SHUTDOWN", "NOSAVE"], ["SHUTDOWN", "NOW"], ["SHUTDOWN", "FORCE"],
                                     ["SHUTDOWN", "SAVE"]])
def test_shutdown(server, command):
    shoal = server()
    with shoal.client() as client, shoal.client() as other:
        client.call("SET", "k", "v")
        client.send(*command)
        assert shoal.wait_end() == 0
        assert client.closed_by_peer() and other.closed_by_peer()
    assert (shoal.directory / "dump.rdb").exists() == (command[-1] == "SAVE")


def test_maxclients(server):
    shoal = server(maxclients=10)
    clients = [shoal.client() for _ in range(10)]
    assert all(client.call("PING") == b"PONG" for client in clients)
    with Client(shoal.port) as extra:
        assert extra.read() == "ERR max number of clients reached"
        assert extra.closed_by_peer()
    clients.pop().close()

    def connect():
        with Client(shoal.port) as client:
            return client.reply("PING") == b"PONG"
    wait_until(connect, 5, "room for one more")
    assert int(clients[0].info("stats")["rejected_connections"]) >= 1
    assert clients[0].call("CONFIG", "SET", "maxclients", 20) == b"OK"
    more = [shoal.client() for _ in range(8)]
    assert all(client.call("PING") == b"PONG" for client in more)


def test_out_of_descriptors(server):
    """It says so now and then and goes on with the clients that it has; it takes the others when some of these end."""
    shoal = server()
    some = len(os.listdir(f"/proc/{shoal.pid}/fd")) + 10
    resource.prlimit(shoal.pid, resource.RLIMIT_NOFILE, (some, some))
    clients = [Client(shoal.port) for _ in range(30)]
    served = clients[0]
    assert served.call("PING") == b"PONG"
    before = cpu_seconds(shoal.pid)
    time.sleep(1.5)
    assert cpu_seconds(shoal.pid) - before < 0.5 * SLOWNESS, "it spins"
    assert served.call("SET", "k", "v") == b"OK"
    complaints = shoal.log().count("Accepting client connection: Too many open files")
    assert 1 <= complaints <= 10 * SLOWNESS, complaints
    for client in clients[:20]:
        client.close()
    assert all(client.call("PING") == b"PONG" for client in clients[20:])
    for client in clients[20:]:
        client.close()


def test_timeout_closes_idle_clients(server):
    shoal = server(timeout=1)
    with shoal.client() as idle, shoal.client() as busy:
        idle.call("PING")
        deadline = time.monotonic() + 10 * SLOWNESS
        closed = False
        while not closed and time.monotonic() < deadline:
            busy.call("PING")
            closed = idle.closed_by_peer(0.2 / SLOWNESS)
        assert closed
        assert busy.call("PING") == b"PONG"


def test_timeout_spares_clients_whose_commands_do_not_run(server):
    """What is queued, and what is refused, is activity as well."""
    shoal = server(timeout=1)
    with shoal.client() as client:
        client.call("MULTI")
        for _ in range(6):
            time.sleep(0.4)
            assert client.call("PING") == b"QUEUED"
        client.call("DISCARD")
        for _ in range(6):
            time.sleep(0.4)
            assert client.reply("nosuch").startswith("ERR unknown command")


def test_timeout_spares_clients_that_send_slowly(server):
    shoal = server(timeout=1)
    with shoal.client() as client:
        client.send_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$8\r\n")
        for _ in range(8):
            time.sleep(0.35)
            client.send_bytes(b"x")
        client.send_bytes(b"\r\n")
        assert client.read() == b"OK"


def test_timeout_spares_blocked_and_monitoring_clients(server):
    shoal = server(timeout=1)
    with shoal.client() as waiting, shoal.client() as busy:
        waiting.send("WAIT", 1, 0)
        for _ in range(15):
            busy.call("PING")
            time.sleep(0.2)
        assert waiting.silent_for(0.01)


def test_protected_mode(server):
    """Without a password only 127.0.0.1 (and ::1, and Unix sockets) are served: 127.0.0.2 is a stranger, as in Redis."""
    shoal = server(protected_mode="yes")
    assert shoal.call("PING") == b"PONG"

    def from_elsewhere():
        client = Client.__new__(Client)
        client.timeout, client.buffer, client.position = 5, bytearray(), 0
        client.socket = socket.create_connection(("127.0.0.1", shoal.port), 5 * SLOWNESS, ("127.0.0.2", 0))
        return client
    with from_elsewhere() as stranger:
        assert stranger.read().startswith("DENIED Redis is running in protected mode")
        assert stranger.closed_by_peer()
    shoal.call("CONFIG", "SET", "protected-mode", "no")
    with from_elsewhere() as stranger:
        assert stranger.call("PING") == b"PONG"
    shoal.call("CONFIG", "SET", "protected-mode", "yes", "requirepass", "secret")
    with from_elsewhere() as stranger:
        assert stranger.reply("PING").code == "NOAUTH"


def test_io_threads_are_shown(server):
    shoal = server(io_threads=4)
    assert shoal.call("CONFIG", "GET", "io-threads") == [b"io-threads", b"4"]
    assert "can't set immutable config" in shoal.client().reply("CONFIG", "SET", "io-threads", 2)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_counters_are_linearizable(server, workers):
    """Every INCR's reply is unique, grows for each client, and none is lost; a read sees what was answered before."""
    shoal = server(io_threads=workers)
    clients, rounds, depth = 8, 60, 25
    seen = [[] for _ in range(clients)]
    finished = [0]

    def run(mine):
        with shoal.client(timeout=30) as client:
            for _ in range(rounds):
                floor = finished[0]
                replies = client.pipeline([["INCR", "n"]] * depth + [["GET", "n"]])
                assert int(replies[-1]) >= replies[-2] and replies[0] > floor
                finished[0] = max(finished[0], int(replies[-1]))
                mine += replies[:-1]

    together([functools.partial(run, mine) for mine in seen])
    for values in seen:
        assert values == sorted(values)
    assert sorted(value for values in seen for value in values) == list(range(1, clients * rounds * depth + 1))


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_several_keys_change_as_one(server, workers):
    """Transfers between accounts by MULTI and by MSET never show a wrong sum to MGET."""
    shoal = server(io_threads=workers)
    names = [f"account:{i}" for i in range(6)]
    with shoal.client() as client:
        client.call("MSET", *[word for name in names for word in (name, 1000)])

    def transfer(number, stop):
        choose = random.Random(number)
        with shoal.client(timeout=30) as client:
            while not stop.is_set():
                one, other = choose.sample(names, 2)
                client.pipeline([["MULTI"], ["DECRBY", one, 5], ["INCRBY", other, 5], ["EXEC"]])

    def audit():
        with shoal.client(timeout=30) as client:
            for _ in range(400):
                total = sum(map(int, client.call("MGET", *names)))
                assert total == 6000, total

    with beside([functools.partial(transfer, number) for number in range(4)]):
        together([audit, audit])


def test_exclusive_commands_under_load(server):
    """What stops all workers (CONFIG SET, CLIENT LIST, FLUSHALL, KEYS...) goes on beside a load, on four workers."""
    shoal = server(io_threads=4)

    def load(number, stop):
        with shoal.client(timeout=30) as client:
            while not stop.is_set():
                client.pipeline([["SET", f"k{number}:{i}", i] for i in range(50)]
                                + [["GET", f"k{number}:{i}"] for i in range(50)])

    with beside([functools.partial(load, number) for number in range(6)]), shoal.client(timeout=30) as client:
        for turn in range(40):
            client.call("CONFIG", "SET", "maxmemory-samples", 3 + turn % 5)
            client.call("CLIENT", "LIST")
            client.call("INFO", "everything")
            client.call("KEYS", "*")
            client.call("DBSIZE")
            client.call("RANDOMKEY")
            if turn % 10 == 9:
                client.call("FLUSHALL")
                client.call("SWAPDB", 0, 1)
            client.call("CONFIG", "RESETSTAT")


def test_connections_come_and_go(server):
    """Hundreds of short connections, some dropped in the middle of a request, leak none."""
    shoal = server(io_threads=2)
    for turn in range(300):
        client = shoal.client()
        if turn % 3 == 0:
            client.send_bytes(b"*3\r\n$3\r\nSET\r\n$1")
        elif turn % 3 == 1:
            client.send("GET", "k")
        else:
            client.call("PING")
        client.close()
    wait_until(lambda: shoal.info("clients")["connected_clients"] == "1", 10, "the connections to be gone")


@pytest.mark.parametrize("threads", [1, 2])
def test_clients_are_killed_while_they_are_busy(server, threads):
    """What a client sent just before it was killed is nobody's any more."""
    shoal = server(io_threads=threads)

    def ping_on(stop):
        while not stop.is_set():
            try:
                with shoal.client() as client:
                    while not stop.is_set():
                        client.call("PING")
            except OSError:
                pass
    killed = 0
    with beside([ping_on] * 8):
        ends = time.monotonic() + 2
        while time.monotonic() < ends:
            with shoal.client() as killer:
                for _ in range(20):
                    killed += killer.call("CLIENT", "KILL", "TYPE", "normal")
                    time.sleep(0.002)
    assert killed > 20
    assert shoal.call("PING") == b"PONG"


def test_slowlog_and_latency(server):
    shoal = server(slowlog_log_slower_than=5000, latency_monitor_threshold=5, enable_debug_command="yes")
    with shoal.client() as client:
        client.call("CLIENT", "SETNAME", "slow")
        client.call("DEBUG", "SLEEP", "0.03")
        entry = client.call("SLOWLOG", "GET")[0]
        assert entry[2] >= 25000
        assert entry[3] == [b"DEBUG", b"SLEEP", b"0.03"]
        assert entry[5] == b"slow" and entry[4].startswith(b"127.0.0.1:")
        assert client.call("LATENCY", "LATEST")[0][0] == b"command"
        assert client.call("LATENCY", "HISTORY", "command")[0][1] >= 25
        client.call("SLOWLOG", "RESET")
        assert client.call("SLOWLOG", "LEN") == 0


def test_a_fork_is_a_latency_event(server):
    shoal = server(latency_monitor_threshold=1, enable_debug_command="yes")
    with shoal.client(timeout=30) as client:
        client.call("DEBUG", "POPULATE", 500000, "k", 200)  # so that it takes its time
        client.call("LATENCY", "RESET")
        client.call("BGSAVE")
        if int(client.info("stats")["latest_fork_usec"]) < 1000:
            pytest.skip("this machine forks too fast")
        wait_until(lambda: b"fork" in [event[0] for event in client.call("LATENCY", "LATEST")], 5, "the event")


def test_latency_histogram(server):
    with server().client() as client:
        client.pipeline([["SET", "k", "v"]] * 100)
        reply = client.call("LATENCY", "HISTOGRAM", "set")
        assert reply[0] == b"set"
        assert reply[1][0] == b"calls" and reply[1][1] == 100
        assert reply[1][2] == b"histogram_usec" and reply[1][3][-1] == 100


def test_stats_count(server):
    with server().client() as client:
        before = client.info("stats")
        client.call("SET", "k", "v")
        client.pipeline([["GET", "k"]] * 5 + [["GET", "missing"]] * 3)
        after = client.info("stats")
        assert int(after["keyspace_hits"]) - int(before["keyspace_hits"]) == 5
        assert int(after["keyspace_misses"]) - int(before["keyspace_misses"]) == 3
        assert int(after["total_commands_processed"]) - int(before["total_commands_processed"]) == 10
        assert int(after["total_net_input_bytes"]) > int(before["total_net_input_bytes"])


def run(*command, **options):
    options.setdefault("timeout", 60 * SLOWNESS)
    return subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


def test_redis_benchmark(server):
    shoal = server()
    result = run(programs.redis("benchmark"), "-p", shoal.port, "-n", 2000, "-c", 20, "-P", 4, "-q", "-t",
                 "ping,set,get,incr,mset")
    assert result.returncode == 0, result.stdout
    assert result.stdout.count(b"requests per second") == 6, result.stdout
    assert b"rror" not in result.stdout, result.stdout


def test_redis_cli(server):
    shoal = server()
    cli = [programs.redis("cli"), "-p", shoal.port]
    assert run(*cli, "SET", "k", "v").stdout == b"OK\n"
    assert run(*cli, "--no-raw", "GET", "k").stdout == b'"v"\n'
    assert run(*cli, "-3", "--no-raw", "CONFIG", "GET", "maxmemory").stdout.startswith(b'1# "maxmemory" => "0"')
    data = b"".join(b"*3\r\n$3\r\nSET\r\n$%d\r\nk%d\r\n$1\r\nv\r\n" % (len(str(i)) + 1, i) for i in range(5000))
    output = run(*cli, "--pipe", input=data).stdout
    assert b"errors: 0, replies: 5000" in output, output
    assert len(run(*cli, "--scan", "--pattern", "k1*").stdout.split()) == 1111
    assert run(*cli, "--bigkeys").returncode == 0
    assert b"PONG" in run(*cli, "-r", 3, "PING").stdout


def test_redis_cli_fetches_an_rdb(server):
    shoal = server(repl_diskless_sync_delay=0)
    shoal.call("SET", "k", "v")
    rdb = shoal.directory / "fetched.rdb"
    result = run(programs.redis("cli"), "-p", shoal.port, "--rdb", rdb)
    assert result.returncode == 0, result.stdout
    assert rdb.read_bytes().startswith(b"REDIS00")
    assert b"RDB looks OK" in run(programs.redis("check-rdb"), rdb).stdout
