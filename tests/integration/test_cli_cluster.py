"""shoal-cli --cluster, beside Debian's redis-cli where the same question can be asked twice."""
import concurrent.futures
import os
import pty
import re
import signal
import subprocess
import threading
import time

import pytest

from support import programs
from support.cli import CLI, REDIS_CLI, REFUSES_COLOURS, assert_same, ours, program_of, run
from support.cluster import Cluster, slot_of
from support.programs import SLOWNESS, wait_until

NODES = [pytest.param("redis", id="redis-nodes"), pytest.param("shoal", id="shoal-nodes")]


@pytest.fixture(scope="module", params=NODES)
def shared(request, module_yard):
    """Three primaries and three replicas, joined by shoal-cli."""
    return Cluster(module_yard, 3, 1, program=program_of(request.param))


@pytest.fixture(params=NODES)
def nodes(request, cluster):
    """Makes clusters, or nodes that are not joined."""
    program = program_of(request.param)
    return lambda primaries=3, replicas=0, **options: cluster(primaries, replicas, program=program, **options)


@pytest.fixture(scope="module", autouse=True)
def in_vain(request, module_yard):
    """A create that needs half a minute to give up, which the other tests do not wait for."""
    if not any(getattr(item, "originalname", "") == "test_create_explains_when_nodes_do_not_join"
               for item in request.session.items):
        yield None
        return
    apart = Cluster(module_yard, 3, 0, program=programs.redis("server"), join=False)
    apart.nodes[0].call("CONFIG", "SET", "cluster-announce-bus-port", 1)

    def create():
        started = time.monotonic()
        got = ours("create", *[node.address for node in apart.nodes], "--cluster-yes")
        return got, time.monotonic() - started

    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        yield executor.submit(create)


def ids_of(joined):
    return [joined.id_of(node) for node in joined.nodes]


def fill(joined, count, value=b"v" * 20):
    """`count` keys, written where they live."""
    by_node = {}
    owners = {}
    for entry in joined.view(joined.nodes[0]):
        for first, last in entry["slots"]:
            for slot in range(first, last + 1):
                owners[slot] = entry["port"]
    for i in range(count):
        key = f"key:{i}"
        by_node.setdefault(owners[slot_of(key)], []).append(("SET", key, value + b"%d" % i))
    for port, commands in by_node.items():
        with joined.node_at(port).client() as client:
            client.pipeline(commands)


def keys_of(joined):
    return sum(node.call("DBSIZE") for node in joined.masters())


# ---- create ----

def test_create_joins_a_cluster(nodes):
    apart = nodes(3, 1, join=False)
    addresses = [node.address for node in apart.nodes]
    got = ours("create", *addresses, "--cluster-replicas", 1, stdin=b"yes\n")
    text = got.stdout.decode()
    assert got.returncode == 0, text + got.stderr.decode()
    assert text.startswith(">>> Performing hash slots allocation on 6 nodes...\nMaster[0] -> Slots 0 - 5460\n"
                           "Master[1] -> Slots 5461 - 10922\nMaster[2] -> Slots 10923 - 16383\n")
    assert "Can I set the above configuration? (type 'yes' to accept): " in text
    assert text.endswith("[OK] All 16384 slots covered.\n")
    apart.wait_stable()
    epochs = [entry["epoch"] for entry in apart.view(apart.nodes[0]) if "master" in entry["flags"]]
    assert len(set(epochs)) == len(epochs) == 3
    assert all(len(apart.replicas_of(node)) == 1 for node in apart.masters())


def test_nodes_by_host_name(nodes):
    """MEET takes addresses only; all that is done by name is done."""
    apart = nodes(4, 0, join=False)
    names = [f"localhost:{node.port}" for node in apart.nodes]
    got = ours("create", *names[:3], "--cluster-yes")
    assert got.returncode == 0, got.stdout[-500:]
    got = ours("add-node", names[3], names[0])
    assert got.returncode == 0, got.stdout[-500:]
    wait_until(lambda: all(len(apart.view(node)) == 4 for node in apart.nodes), 20)
    wait_until(lambda: all(ours("check", name).returncode == 0 for name in names), 20)
    assert {entry["host"] for entry in apart.view(apart.nodes[0])} == {"127.0.0.1"}
    fill(apart, 300)
    ids = ids_of(apart)
    for source, target in ((0, 3), (1, 0)):  # the node that was named is the source, then the target
        got = ours("reshard", names[0], "--cluster-from", ids[source], "--cluster-to", ids[target], "--cluster-slots", 300,
                   "--cluster-yes")
        assert got.returncode == 0, got.stdout[-500:]
        wait_until(lambda: ours("check", names[0]).returncode == 0, 20)
    assert keys_of(apart) == 300 and apart.nodes[3].call("DBSIZE") > 0


def test_create_plans_like_redis_cli(nodes):
    apart = nodes(7, 0, join=False)
    addresses = [node.address for node in apart.nodes]
    for count in range(1, 8):
        for replicas in (0, 1, 2):
            expected = run(REDIS_CLI, "--cluster", "create", *addresses[:count], "--cluster-replicas", replicas,
                           stdin=b"no\n")
            got = ours("create", *addresses[:count], "--cluster-replicas", replicas, stdin=b"no\n")
            head = [line for line in expected.stdout.decode().splitlines() if not re.match("[MS]: |   ", line)]
            assert head == [line for line in got.stdout.decode().splitlines() if not re.match("[MS]: |   ", line)]
            assert got.returncode == expected.returncode


def test_create_refuses(nodes, redis_server):
    apart = nodes(3, 0, join=False)
    addresses = [node.address for node in apart.nodes]
    plain = redis_server()
    assert_same("create", addresses[0], "nonsense", addresses[1])
    assert_same("create", addresses[0], plain.address, addresses[1])
    assert_same("create", addresses[0], "127.0.0.1:1", addresses[1])
    assert_same("create", addresses[0])
    got = ours("create", addresses[0], addresses[1], addresses[0])
    assert got.returncode == 1 and b"is named twice" in got.stdout
    got = ours("create", *addresses)
    assert got.returncode == 0 and b"Can I set the above configuration?" in got.stdout
    assert len(apart.view(apart.nodes[0])) == 1, "no answer is no permission"
    apart.nodes[1].call("CLUSTER", "ADDSLOTS", 1)
    got = ours("create", *addresses)
    assert got.returncode == 1 and f"[ERR] Node {addresses[1]} is not empty." in got.stdout.decode()
    apart.nodes[1].call("CLUSTER", "DELSLOTS", 1)
    apart.nodes[0].call("CLUSTER", "MEET", "127.0.0.1", apart.nodes[1].port)
    wait_until(lambda: len(apart.view(apart.nodes[1])) == 2)
    assert_same("create", *addresses)


@pytest.mark.slow


# ---- check, info, call ----

def test_check_info_and_call_look_like_redis_cli(shared):
    first, last = shared.nodes[0], shared.nodes[-1]
    for address in (first.address, last.address):
        assert_same("check", address)
        assert_same("info", address)
    assert_same("info", "127.0.0.1", first.port)
    assert_same("check", first.address, "--cluster-search-multiple-owners")
    assert_same("check", first.address, TERM="xterm")
    assert_same("call", first.address, "get", "a")
    assert_same("call", first.address, "dbsize", "--cluster-only-masters")
    assert_same("call", first.address, "config", "get", "port", "--cluster-only-replicas")
    assert_same("call", first.address, "nosuch", TERM="xterm")
    for arguments in (["call", first.address], ["check"], ["info", "127.0.0.1"], ["info", "127.0.0.1:"], ["bogus"],
                      ["check", "127.0.0.1:1"]):
        assert_same(*arguments)
    for command in ("check", "info", "fix", "reshard", "rebalance"):
        assert_same(command, first.address, "more", "words")
        assert_same(command, first.address, first.port)
        assert_same(command, "127.0.0.1", "more", first.port)
        assert_same(command, "nonsense")
    assert_same("check", "127.0.0.1", first.port, "more")
    assert_same("import", "nonsense")


def test_nodes_that_must_not_fail_over(shared):
    told = [shared.nodes[0], shared.nodes[-1]]
    for node in told:
        node.call("CONFIG", "SET", "cluster-replica-no-failover", "yes")
    try:
        text = assert_same("check", shared.nodes[0].address).stdout.decode()
        assert text.count(",nofailover\n") == 2 and " master,nofailover\n" in text
    finally:
        for node in told:
            node.call("CONFIG", "SET", "cluster-replica-no-failover", "no")


def test_check_sees_what_is_wrong(shared):
    node, other = shared.nodes[0], shared.nodes[1]
    node.call("CLUSTER", "SETSLOT", 0, "MIGRATING", shared.id_of(other))
    other.call("CLUSTER", "SETSLOT", 5, "IMPORTING", shared.id_of(node))
    try:
        got = ours("check", node.address)
        assert got.returncode == 1
        assert f"[WARNING] Node {node.address} has slots in migrating state 0.\n" in got.stdout.decode()
        assert f"[WARNING] Node {other.address} has slots in importing state 5.\n" in got.stdout.decode()
        assert b"[WARNING] The following slots are open: 0,5.\n" in got.stdout
        refused = ours("reshard", node.address)
        assert refused.returncode == 1 and b"*** Please fix your cluster problems before resharding" in refused.stderr
    finally:
        node.call("CLUSTER", "SETSLOT", 0, "STABLE")
        other.call("CLUSTER", "SETSLOT", 5, "STABLE")


def test_check_of_a_lonely_node(nodes, redis_server):
    apart = nodes(1, 0, join=False)
    for command in ("check", "info", "reshard"):
        assert_same(command, apart.nodes[0].address)
    assert_same("check", redis_server().address)


# ---- reshard ----

def test_reshard_refuses_like_redis_cli(shared):
    address = shared.nodes[0].address
    masters = [shared.id_of(node) for node in shared.masters()]
    replica = next(entry["id"] for entry in shared.view(shared.nodes[0]) if "slave" in entry["flags"])
    slots = ["--cluster-slots", 3, "--cluster-yes"]
    assert_same("reshard", address, *slots, "--cluster-to", "nonsense")
    assert_same("reshard", address, *slots, "--cluster-to", replica, "--cluster-from", masters[0])
    assert_same("reshard", address, *slots, "--cluster-to", masters[0], "--cluster-from", "nonsense")
    assert_same("reshard", address, *slots, "--cluster-to", masters[0], "--cluster-from", masters[0])
    for end in (b"", b"12\n", b"12\n" + masters[0].encode() + b"\n"):
        assert ours("reshard", address, stdin=end).returncode == 1
    # More than there are is all that there are.
    for count in (16385, 99999):
        assert_same("reshard", address, "--cluster-slots", count, "--cluster-to", masters[0], "--cluster-from", masters[1],
                    stdin=b"no\n")


def start_reshard(entry, source, target, *more):
    return subprocess.Popen([CLI, "--cluster", "reshard", entry.address, "--cluster-from", source, "--cluster-to", target,
                             "--cluster-slots", "10", *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, env={**os.environ, "TERM": "dumb"})


def read_until(stream, words):
    seen = b""
    while words not in seen:
        more = stream.read1()
        assert more, f"ended without {words!r}: {seen[-1000:]!r}"
        seen += more
    return seen


def test_reshard_to_one_that_the_source_does_not_know_yet(nodes):
    """A node that has just joined is waited for."""
    joined = nodes(3, 0)
    source = joined.nodes[0]
    fresh = joined.yard.server(program=source.program, cluster_enabled="yes", cluster_node_timeout=int(2000 * SLOWNESS))
    assert ours("add-node", fresh.address, source.address).returncode == 0
    joined.nodes.append(fresh)
    wait_until(lambda: all(len(joined.view(node)) == 4 for node in joined.nodes), 20)
    wait_until(lambda: ours("check", fresh.address).returncode == 0, 20)
    ids = ids_of(joined)
    source.call("CLUSTER", "FORGET", ids[3])
    with start_reshard(fresh, ids[0], ids[3], "--cluster-yes") as process:
        seen = read_until(process.stdout, b"Moving slot 9 from")
        for node in joined.nodes[:3]:  # ours have told each other
            node.call("CLUSTER", "MEET", "127.0.0.1", fresh.port)
        seen += process.stdout.read()
    assert process.returncode == 0, seen[-500:]
    assert seen.count(b"\nMoving slot ") == 10


def test_a_refused_move_leaves_no_slot_open(nodes):
    joined = nodes(3, 0)
    ids = ids_of(joined)
    with start_reshard(joined.nodes[1], ids[0], ids[1]) as process:
        read_until(process.stdout, b"(yes/no)? ")
        for node in joined.nodes:
            node.call("CLUSTER", "DELSLOTS", 7)
        process.stdin.write(b"yes\n")
        process.stdin.flush()
        seen = process.stdout.read()
    assert process.returncode == 1 and b"ERR I'm not the owner of hash slot 7\n" in seen, seen[-500:]
    for node in joined.nodes:
        assert not [entry for entry in joined.view(node) if any(word.startswith("[") for word in entry["words"])]


def test_reshard_moves_slots_and_keys(nodes):
    joined = nodes(3, 1)
    fill(joined, 3000)
    ids = ids_of(joined)
    got = ours("reshard", joined.nodes[0].address, "--cluster-from", f"{ids[1]},{ids[2]}", "--cluster-to", ids[0],
               "--cluster-slots", 301, "--cluster-yes")
    text = got.stdout.decode()
    assert got.returncode == 0, text[-2000:] + got.stderr.decode()
    assert "\nReady to move 301 slots.\n  Source nodes:\n    M: " in text
    lines = re.findall(r"^Moving slot (\d+) from (\S+) to (\S+): (\.*)$", text, re.M)
    planned = re.findall(r"^    Moving slot (\d+) from (\w+)$", text, re.M)
    assert [slot for slot, *_ in lines] == [slot for slot, _ in planned] and len(lines) == 301
    # Sources give in proportion to what they have, the larger one rounded up.
    assert [int(slot) for slot, _ in planned] == [*range(5461, 5612), *range(10923, 11073)]
    joined.wait_stable()
    own = next(entry for entry in joined.view(joined.nodes[0]) if "myself" in entry["flags"])
    assert own["slots"] == [(0, 5460), (5461, 5611), (10923, 11072)] or own["slots"] == [(0, 5611), (10923, 11072)]
    moved = sum(1 for i in range(3000) if 5461 <= slot_of(f"key:{i}") <= 5611 or 10923 <= slot_of(f"key:{i}") <= 11072)
    assert sum(len(dots) for *_, dots in lines) == moved
    assert keys_of(joined) == 3000
    with joined.client() as client:
        for i in range(0, 3000, 7):
            assert client.call(f"key:{i}", "GET", f"key:{i}") == b"v" * 20 + b"%d" % i
    # What redis-cli says of the result.
    assert run(REDIS_CLI, "--cluster", "check", joined.nodes[1].address).returncode == 0


def test_reshard_asks(nodes):
    joined = nodes(3, 0)
    ids = ids_of(joined)
    answers = ["0", "99999", "x", "4", ids[0], ids[0], ids[2], "done", "yes"]
    got = ours("reshard", joined.nodes[0].address, stdin="\n".join(answers).encode() + b"\n")
    text = got.stdout.decode()
    assert got.returncode == 0, text
    question = "How many slots do you want to move (from 1 to 16384)? "
    assert question * 4 + "What is the receiving node ID? Please enter all the source node IDs.\n" in text
    assert "Source node #1: *** It is not possible to use the target node as source node.\nSource node #1: Source node " \
           "#2: \nReady to move 4 slots.\n" in text
    assert "Do you want to proceed with the proposed reshard plan (yes/no)? Moving slot 10923" in text
    joined.wait_stable()
    refused = ours("reshard", joined.nodes[0].address, stdin=f"4\n{ids[0]}\nall\nno\n".encode())
    assert refused.returncode == 1 and refused.stdout.endswith(b"(yes/no)? ")
    assert joined.owner(5461) is joined.nodes[1], "nothing moves without a yes"


def test_reshard_under_load_loses_nothing(nodes):
    joined = nodes(3, 0)
    ids = ids_of(joined)
    fill(joined, 20000)
    stop = threading.Event()
    written = {}
    trouble = []

    def write():
        with joined.client() as client:
            number = 0
            try:
                while not stop.is_set():
                    key = f"key:{number * 7 % 20000}"
                    client.call(key, "SET", key, f"new{number}")
                    written[key] = f"new{number}".encode()
                    assert client.call(key, "GET", key) == written[key]
                    number += 1
            except Exception as error:  # the test's own thread reports it
                trouble.append(repr(error))
            trouble.extend(code for code in client.met if code not in ("MOVED", "ASK"))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for source, target in ((0, 1), (1, 2)):
            got = ours("reshard", joined.nodes[0].address, "--cluster-from", ids[source], "--cluster-to", ids[target],
                       "--cluster-slots", 1000, "--cluster-yes")
            assert got.returncode == 0, got.stdout[-2000:].decode() + got.stderr.decode()
            wait_until(lambda: ours("check", joined.nodes[0].address).returncode == 0, 20, "the nodes to agree", step=0.3)
    finally:
        stop.set()
        writer.join()
    assert not trouble, trouble
    assert len(written) > 100
    assert keys_of(joined) == 20000
    with joined.client() as client:
        for key, value in written.items():
            assert client.call(key, "GET", key) == value


def test_reshard_stops_at_a_key_that_is_there_already(nodes):
    joined = nodes(3, 0)
    ids = ids_of(joined)
    source, target = joined.nodes[0], joined.nodes[1]
    key = next(f"key:{i}" for i in range(10 ** 6) if slot_of(f"key:{i}") == 0)
    source.call("SET", key, "right")
    target.call("CLUSTER", "SETSLOT", 0, "IMPORTING", ids[0])
    with target.client() as client:
        client.call("ASKING")
        client.call("SET", key, "wrong")
    target.call("CLUSTER", "SETSLOT", 0, "STABLE")
    move = ["reshard", source.address, "--cluster-from", ids[0], "--cluster-to", ids[1], "--cluster-slots", 2, "--cluster-yes"]
    got = ours(*move)
    assert got.returncode == 1
    assert b"BUSYKEY" in got.stdout and b"--cluster-replace" in got.stdout
    assert b"Moving slot 1 from" in got.stdout, "the other slot of the batch is finished"
    check = ours("check", source.address)
    assert b"[WARNING] The following slots are open: 0.\n" in check.stdout
    source.call("CLUSTER", "SETSLOT", 0, "STABLE")
    target.call("CLUSTER", "SETSLOT", 0, "STABLE")
    wait_until(lambda: ours("check", source.address).returncode == 0, 20, "the nodes to agree", step=0.3)
    got = ours(*move, "--cluster-replace")
    assert got.returncode == 0, got.stdout.decode()
    assert target.call("GET", key) == b"right"


def test_an_interrupt_finishes_the_batch(nodes):
    joined = nodes(3, 0)
    ids = ids_of(joined)
    fill(joined, 40000)
    process = subprocess.Popen(
        [CLI, "--cluster", "reshard", joined.nodes[0].address, "--cluster-from", ids[0], "--cluster-to", ids[1],
         "--cluster-slots", "4000", "--cluster-yes", "--cluster-pipeline", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **REFUSES_COLOURS})
    seen = b""
    while b"\nMoving slot 0 " not in seen:
        seen += process.stdout.readline()
    process.send_signal(signal.SIGINT)
    text = (seen + process.stdout.read()).decode()
    assert process.wait(10 * SLOWNESS) == 1
    process.stdout.close()
    moved = len(re.findall("^Moving slot", text, re.M))
    assert 0 < moved < 4000 and f"Interrupted: {moved} of 4000 slots have moved, none is left open." in text
    command = re.search(r"^  shoal-cli (--cluster reshard .*)$", text, re.M).group(1)
    assert f"--cluster-slots {4000 - moved}" in command
    wait_until(lambda: ours("check", joined.nodes[0].address).returncode == 0, 20, "the nodes to agree", step=0.3)
    rest = run(CLI, *command.split(), "--cluster-yes")
    assert rest.returncode == 0, rest.stdout[-1000:].decode()
    joined.wait_stable()
    own = next(entry for entry in joined.view(joined.nodes[0]) if "myself" in entry["flags"])
    assert own["slots"] == [(4000, 5460)]
    assert keys_of(joined) == 40000


def test_a_terminal_gets_a_bar(nodes):
    joined = nodes(3, 0)
    ids = ids_of(joined)
    fill(joined, 5000)
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(CLI, [CLI, "--cluster", "reshard", joined.nodes[0].address, "--cluster-from", ids[0], "--cluster-to",
                        ids[1], "--cluster-slots", "500", "--cluster-yes"], {**os.environ, "TERM": "xterm"})
    seen = b""
    try:
        while chunk := os.read(fd, 65536):
            seen += chunk
    except OSError:
        pass
    os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, seen[-2000:]
    assert re.search(rb"\r\[#{30}\] 100%  slot 500/500  \d+ keys  \d+ keys/s", seen)
    assert re.search(rb"Moved 500 slots with \d+ keys in [\d.]+ s \(\d+ keys/s\)\.", seen)
    assert b"\r\nMoving slot 0 from" not in seen


def test_passwords(cluster):
    program = programs.redis("server")
    apart = cluster(3, 0, program=program, join=False, requirepass="secret", masterauth="secret")
    addresses = [node.address for node in apart.nodes]
    for wrong in (["-a", "wrong"], ["--user", "nobody", "--pass", "wrong", "--no-auth-warning"], ["-a", ""]):
        for words in (["create", *addresses, "--cluster-yes"], ["check", addresses[0]]):
            expected, got = (run(tool, *wrong, "--cluster", *words) for tool in (REDIS_CLI, CLI))
            assert (got.stdout, got.stderr, got.returncode) == (expected.stdout, expected.stderr, expected.returncode)
    got = run(CLI, "--cluster", "create", *addresses, "--cluster-yes", REDISCLI_AUTH="secret")
    assert got.returncode == 0, got.stdout.decode() + got.stderr.decode()
    ids = ids_of(apart)
    apart.nodes[0].call("SET", next(f"k{i}" for i in range(10 ** 6) if slot_of(f"k{i}") == 0), "v")
    wait_until(lambda: run(CLI, "--cluster", "check", addresses[0], REDISCLI_AUTH="secret").returncode == 0, 20)
    got = run(CLI, "-a", "secret", "--no-auth-warning", "--cluster", "reshard", addresses[0], "--cluster-from", ids[0],
              "--cluster-to", ids[1], "--cluster-slots", 3, "--cluster-yes")
    assert got.returncode == 0, got.stdout.decode() + got.stderr.decode()
    assert apart.nodes[1].call("DBSIZE") == 1


# ---- create that gives up; the last, since it was under way all the time ----

def test_create_explains_when_nodes_do_not_join(in_vain):
    """A node whose bus port is announced wrongly is never reached."""
    got, seconds = in_vain.result(100 * SLOWNESS)
    text = got.stdout.decode()
    assert got.returncode == 1, text
    assert seconds < 60 * SLOWNESS
    assert "Cluster bus ports must be reachable by every node." in text
    assert "[ERR] The cluster did not join within 31 seconds." in text
