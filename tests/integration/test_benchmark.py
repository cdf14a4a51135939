"""shoal-benchmark, measured against Debian's redis-server: what it sends, counts, prints and survives."""
import csv
import io
import re
import socket
import subprocess
import threading
import time

import pytest

from support import programs
from support.cluster import slot_of
from support.programs import SLOWNESS, wait_until

CSV_HEADING = ["test", "rps", "avg_latency_ms", "min_latency_ms", "p50_latency_ms", "p95_latency_ms",
               "p99_latency_ms", "max_latency_ms"]


def benchmark(*arguments, port=None, text=None, seconds=60):
    """Runs it; the finished process, with text output."""
    command = [programs.shoal("benchmark"), *(["-p", str(port)] if port else []), *map(str, arguments)]
    return subprocess.run(command, input=text if text is not None else "", capture_output=True, text=True,
                          timeout=seconds * SLOWNESS)


def succeed(*arguments, **options):
    done = benchmark(*arguments, **options)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def calls(server, command):
    stats = server.info("commandstats").get(f"cmdstat_{command}", "calls=0")
    return int(re.search(r"calls=(\d+)", str(stats)).group(1))


@pytest.fixture(scope="module")
def shared(module_yard):
    return module_yard.redis()


@pytest.fixture
def redis(shared):
    shared.call("FLUSHALL")
    shared.call("CONFIG", "RESETSTAT")
    return shared


def redis_cluster(yard, primaries=3, replicas=0):
    """A cluster of Debian's servers, made by its own redis-cli."""
    nodes = [yard.redis(cluster_enabled="yes", cluster_node_timeout=int(1000 * SLOWNESS), repl_diskless_sync_delay=0)
             for _ in range(primaries * (1 + replicas))]
    made = subprocess.run([programs.redis("cli"), "--cluster", "create", *[node.address for node in nodes],
                           "--cluster-replicas", str(replicas), "--cluster-yes"], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60 * SLOWNESS)
    assert made.returncode == 0, made.stdout
    for node in nodes:
        wait_until(lambda: b"cluster_state:ok" in node.call("CLUSTER", "INFO"), 30, "the cluster's state")
    return nodes


@pytest.mark.parametrize("arguments, requests", [
    (["-n", 1000], 1000),
    (["-n", 1000, "-c", 1], 1000),
    (["-n", 1000, "-P", 7, "-c", 3], 1001),  # whole pipelines
    (["-n", 1000, "-P", 100, "-c", 20, "--threads", 4], 1000),
    (["-n", 300, "-k", 0, "-c", 5], 300),
    (["-n", 10, "-c", 50], 10),
])
def test_sends_as_many_requests_as_asked(redis, arguments, requests):
    out = succeed("-t", "set,get", *arguments, port=redis.port)
    assert calls(redis, "set") == calls(redis, "get") == requests
    assert re.findall(r"(\d+) requests completed", out) == [str(requests)] * 2


def test_default_tests_are_those_of_strings(redis):
    out = succeed("-n", 100, "-q", port=redis.port)
    assert re.findall(r"^(.*): [\d.]+ requests per second, p50=[\d.]+ msec$", out, re.M) == [
        "PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"]
    assert calls(redis, "ping") == 200 and calls(redis, "mset") == 100


def test_tests_of_other_types_run_by_name(redis):
    succeed("-n", 50, "-q", "-r", 1000, "-t", "lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange_100",
            port=redis.port)
    assert calls(redis, "lpush") == 100  # its own test, and the one that LRANGE needs
    for command in ("rpush", "lpop", "rpop", "sadd", "hset", "spop", "zadd", "zpopmin", "lrange"):
        assert calls(redis, command) == 50, command


def test_unknown_test_is_named(redis):
    done = benchmark("-n", 10, "-q", "-t", "get,nosuch", port=redis.port)
    assert done.returncode == 0 and "nosuch" in done.stderr and calls(redis, "get") == 10


def test_csv(redis):
    rows = list(csv.reader(io.StringIO(succeed("-n", 500, "--csv", port=redis.port))))
    assert rows[0] == CSV_HEADING
    assert [row[0] for row in rows[1:]] == ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"]
    for row in rows[1:]:
        rate, average, least, p50, p95, p99, most = map(float, row[1:])
        assert rate > 0
        assert 0 <= least <= p50 <= p95 <= p99 <= most
        assert least <= average <= most


def test_csv_quotes_the_command(redis):
    rows = list(csv.reader(io.StringIO(succeed("-n", 10, "--csv", "set", 'a"b', "x,y", port=redis.port))))
    assert rows[1][0] == 'set a"b x,y'


def test_human_output(redis):
    out = succeed("-n", 2000, "-t", "get", "-d", 10, port=redis.port)
    assert "====== GET ======\n  2000 requests completed in " in out
    for line in ("  50 parallel clients", "  10 bytes payload", "  keep alive: 1", '  host configuration "save": ',
                 '  host configuration "appendonly": no', "  multi-thread: no", "Summary:",
                 "  latency summary (msec):"):
        assert line in out.splitlines(), line
    percentiles = re.findall(r"^([\d.]+)% <= ([\d.]+) milliseconds \(cumulative count (\d+)\)$", out, re.M)
    assert percentiles[0][0] == "0.000" and ("50.000" in [row[0] for row in percentiles])
    assert percentiles[-1][0] == "100.000" and percentiles[-1][2] == "2000"
    first_table = [(float(a), float(b), int(c)) for a, b, c in percentiles[:[r[0] for r in percentiles].index("100.000")]]
    assert first_table == sorted(first_table)
    for percent, _, count in first_table:
        assert count >= 2000 * percent / 100 - 1e-6


def test_random_keys_are_random_and_within_range(redis):
    succeed("-n", 5000, "-q", "-r", 100000, "-t", "set", "-P", 10, port=redis.port)
    keys = redis.call("KEYS", "*")
    assert all(re.fullmatch(rb"key:0000000\d{5}", key) for key in keys)
    # 5000 draws out of 100000 leave about 4877 different ones.
    assert 4700 < len(keys) <= 5000
    numbers = sorted(int(key[4:]) for key in keys)
    assert numbers[0] < 1000 and numbers[-1] > 99000


def test_a_seed_repeats_the_keys(redis):
    def drawn():
        redis.call("FLUSHALL")
        succeed("-n", 200, "-q", "-c", 1, "-r", 1000000, "--seed", 42, "-t", "set", port=redis.port)
        return sorted(redis.call("KEYS", "*"))

    assert drawn() == drawn()


def test_without_r_all_requests_use_one_key(redis):
    succeed("-n", 100, "-q", "-t", "set,incr", "-d", 33, port=redis.port)
    assert sorted(redis.call("KEYS", "*")) == [b"counter:__rand_int__", b"key:__rand_int__"]
    assert len(redis.call("GET", "key:__rand_int__")) == 33
    assert redis.call("GET", "counter:__rand_int__") == b"100"


def test_command_with_places_to_fill(redis):
    succeed("-n", 50, "-q", "-r", 10, "-d", 8, "append", "list:__rand_int__", "<__data__>", port=redis.port)
    assert calls(redis, "append") == 50
    keys = redis.call("KEYS", "list:*")
    assert 5 <= len(keys) <= 10
    assert re.fullmatch(rb"(<[A-Z]{8}>)+", redis.call("GET", keys[0]))


def test_last_argument_from_standard_input(redis):
    succeed("-n", 5, "-q", "-x", "set", "k", port=redis.port, text="some\ntext\n")
    assert redis.call("GET", "k") == b"some\ntext\n"


def test_large_values_both_ways(redis):
    succeed("-n", 40, "-q", "-c", 4, "-P", 3, "-d", 1000000, "-t", "set,get", port=redis.port)
    assert redis.call("STRLEN", "key:__rand_int__") == 1000000


def test_error_reply_ends_the_run(redis):
    redis.call("LPUSH", "l", "x")
    done = benchmark("-n", 100000, "-q", "incr", "l", port=redis.port)
    assert done.returncode == 1
    assert done.stderr.startswith("Error from server: WRONGTYPE ")
    assert calls(redis, "incr") < 1000


def test_moved_without_cluster_mode_ends_the_run(yard):
    node = yard.redis(cluster_enabled="yes")
    done = benchmark("-n", 100, "-q", "-t", "get", port=node.port)
    assert done.returncode == 1 and "CLUSTERDOWN" in done.stderr


def test_nobody_listens():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        done = benchmark("-n", 100, "-q", "-t", "get", port=unused.getsockname()[1])
    assert done.returncode == 1 and "Connection refused" in done.stderr


@pytest.mark.parametrize("arguments", [["--nosuch"], ["-n"], ["-n", "x"], ["-n", "0"], ["-p", "70000"],
                                       ["--user", "me"], ["-u", "http://x"], ["--tls"], ["-x"]])
def test_bad_options(arguments):
    done = benchmark(*arguments)
    assert done.returncode == 1 and done.stderr and not done.stdout


def test_help_and_version():
    assert "-P <numreq>" in succeed("--help")
    assert re.fullmatch(r"shoal-benchmark \d+\.\d+\.\d+\n", succeed("--version"))


def test_password_user_database_resp3_and_uri(yard):
    server = yard.redis(requirepass="pw")
    assert benchmark("-n", 10, "-q", "-t", "get", port=server.port).stderr.count("NOAUTH") == 1
    succeed("-n", 10, "-q", "-a", "pw", "--dbnum", 3, "-3", "-t", "set", port=server.port)
    succeed("-n", 10, "-q", "-u", f"redis://default:pw@127.0.0.1:{server.port}/4", "-t", "set")
    done = benchmark("-n", 10, "-q", "-a", "wrong", "--user", "default", "-t", "get", port=server.port)
    assert done.returncode == 1 and "WRONGPASS" in done.stderr
    assert {"db3", "db4"} <= set(server.info("keyspace"))


def test_unix_socket(yard):
    path = yard.directory / "s.sock"
    server = yard.redis(unixsocket=path)
    succeed("-s", path, "-n", 500, "-q", "-t", "incr")
    assert server.call("GET", "counter:__rand_int__") == b"500"
    done = benchmark("-s", "/nonexistent/socket", "-n", 10, "-q")
    assert done.returncode == 1 and "No such file" in done.stderr


def test_idle_mode_opens_connections(redis):
    process = subprocess.Popen([programs.shoal("benchmark"), "-p", str(redis.port), "-I", "-c", "7"],
                               stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: int(redis.info("clients")["connected_clients"]) >= 8, 10, "seven idle connections")
    finally:
        process.terminate()
        process.wait(10)


class Scripted:
    """A server that answers each connection's first bytes with the given ones, a byte a packet."""

    def __init__(self, answer, at_once=False):
        self.step = len(answer) if at_once else 1
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer_on, args=(connection,), daemon=True).start()

    def answer_on(self, connection):
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                while True:
                    if not connection.recv(65536):
                        return
                    for i in range(0, len(self.answer), self.step):
                        connection.sendall(self.answer[i:i + self.step])
            except OSError:
                return

    def close(self):
        self.listener.close()


REPLIES = [b"+OK\r\n", b":-12\r\n", b"$-1\r\n", b"$0\r\n\r\n", b"$5\r\na\r\nbc\r\n", b"*-1\r\n", b"*0\r\n",
           b"*2\r\n*1\r\n:1\r\n$1\r\nx\r\n", b"*1\r\n-ERR inside\r\n", b"%1\r\n+k\r\n*2\r\n:1\r\n:2\r\n", b"~1\r\n+k\r\n",
           b"_\r\n", b",1.5\r\n", b"#t\r\n", b"(123456789012345678901234567890\r\n", b"=7\r\ntxt:abc\r\n",
           b"|1\r\n+a\r\n*1\r\n:1\r\n+described\r\n", b">2\r\n+invalidate\r\n*1\r\n+k\r\n+OK\r\n"]


@pytest.mark.parametrize("reply", REPLIES, ids=[repr(reply)[2:14] for reply in REPLIES])
def test_every_reply_is_counted_however_it_arrives(yard, reply):
    """Three replies to a pipeline of three, in single bytes: no more and no less are awaited."""
    server = yard.add(Scripted(reply * 3))
    out = succeed("-n", 6, "-P", 3, "-c", 1, "PING", port=server.port)
    assert "6 requests completed" in out


@pytest.mark.parametrize("answer, word", [(b"-ERR no\r\n", "ERR no"), (b"!6\r\nERR no\r\n", "ERR no"),
                                          (b"HTTP/1.1 400\r\n", "RESP"), (b"+OK\r\n+OK\r\n", "more replies"),
                                          (b"$99999999999\r\n", "RESP")])
def test_bad_answers_end_the_run(yard, answer, word):
    server = yard.add(Scripted(answer, at_once=True))  # what comes after the last reply is no longer looked at
    done = benchmark("-n", 1, "-c", 1, "-q", "PING", port=server.port)
    assert done.returncode == 1 and word in done.stderr


def test_cluster_spreads_over_primaries_and_slots(yard):
    nodes = redis_cluster(yard)
    for node in nodes:
        node.call("CONFIG", "RESETSTAT")
    out = succeed("--cluster", "-n", 6000, "-r", 1000000, "-t", "set,mset", "-c", 30, port=nodes[0].port)
    assert "Cluster has 3 master nodes:" in out and "cluster mode: yes (3 masters)" in out
    assert "followed" not in out  # nothing was sent to the wrong node
    assert sum(calls(node, "set") for node in nodes) == 6000
    slots = set()
    for node in nodes:
        assert calls(node, "set") > 500 and calls(node, "mset") > 500
        keys = node.call("KEYS", "key:*")
        assert all(re.fullmatch(rb"key:\{...\}:\d{12}", key) for key in keys)
        slots.update(slot_of(key) for key in keys)
    assert len(slots) > 5000
    rows = list(csv.reader(io.StringIO(succeed("--cluster", "-n", 100, "--csv", "-t", "get", port=nodes[0].port))))
    assert rows[0] == CSV_HEADING and len(rows) == 2
    out = succeed("--cluster", "-n", 300, "-q", "set", "own:{tag}", "1", port=nodes[0].port)
    assert re.search(r"^set own:\{tag\} 1: ", out, re.M)


def test_cluster_mode_needs_a_cluster(redis):
    done = benchmark("--cluster", "-n", 10, "-q", port=redis.port)
    assert done.returncode == 1 and "cluster support disabled" in done.stderr


def start_load(*arguments):
    return subprocess.Popen([programs.shoal("benchmark"), *map(str, arguments)], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def followed(out, what):
    return int(re.search(rf"followed: .*?(\d+) {what}", out).group(1))


def test_cluster_follows_slots_that_move(yard):
    nodes = redis_cluster(yard)
    process = start_load("-p", nodes[0].port, "--cluster", "-n", 200000, "-t", "get")
    new_owner = nodes[1].call("CLUSTER", "MYID")
    time.sleep(0.3)
    with nodes[1].client() as first, nodes[0].client() as second, nodes[2].client() as third:
        for slot in range(1000):  # empty ones of the first node
            for client in (first, second, third):
                client.call("CLUSTER", "SETSLOT", slot, "NODE", new_owner)
    out, error = process.communicate(timeout=60 * SLOWNESS)
    assert process.returncode == 0, error
    assert "200000 requests completed" in out
    assert followed(out, "MOVED") > 0


def test_cluster_survives_the_death_of_a_primary(yard):
    nodes = redis_cluster(yard, replicas=1)
    primary = next(node for node in nodes if node.call("ROLE")[0] == b"master")
    seed = next(node for node in nodes if node is not primary)
    process = start_load("-p", seed.port, "--cluster", "-n", 300000, "-t", "set", "-r", 100000)
    time.sleep(0.5)
    primary.kill()
    out, error = process.communicate(timeout=90 * SLOWNESS)
    assert process.returncode == 0, error
    assert followed(out, "connections made anew") > 0
    assert int(re.search(r"(\d+) requests completed", out).group(1)) >= 300000


@pytest.mark.slow
def test_key_that_its_node_never_serves_ends_the_run(yard):
    nodes = redis_cluster(yard)
    out = succeed("--cluster", "-n", 10, "-q", "-t", "get", port=nodes[0].port)
    port = int(re.search(r"^Master 0: \S+ 127\.0\.0\.1:(\d+)$", out, re.M).group(1))
    with nodes[0].client() as client:
        homes = {slot: home[1] for first, last, home, *_ in client.call("CLUSTER", "SLOTS")
                 for slot in range(first, last + 1)}
    key = next(key for key in map("k{}".format, range(100)) if homes[slot_of(key)] != port)
    done = benchmark("--cluster", "-n", 10, "-q", "-c", 1, "set", key, "1", port=nodes[0].port)
    assert done.returncode == 1 and "{tag}" in done.stderr
