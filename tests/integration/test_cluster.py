"""A cluster of nodes: creation, redirection, nodes.conf, MIGRATE, and Debian's nodes in the same cluster."""
import re
import subprocess
import time

import pytest

from support import ports, programs
from support.cluster import SLOTS, Cluster, cluster_info, parse_nodes, slot_of
from support.programs import SLOWNESS, wait_until
from support.resp import Error

TOOLS = ["redis", "shoal"]


def tool(name):
    return programs.redis("cli") if name == "redis" else programs.shoal("cli")


def run(*command, **options):
    options.setdefault("timeout", 60 * SLOWNESS)
    result = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    return result.returncode, result.stdout.decode(errors="replace")


@pytest.fixture(scope="module")
def six(module_yard):
    """Three primaries and three replicas, shared by the tests that leave them as they are."""
    return Cluster(module_yard, 3, 1)


@pytest.mark.parametrize("name", TOOLS)
def test_create(cluster, name):
    """`--cluster create` says what it does, covers all slots, and puts a replica to each primary."""
    nodes = cluster(primaries=3, replicas=1, join=False)
    status, output = run(tool(name), "--cluster", "create", *[node.address for node in nodes.nodes], "--cluster-replicas",
                         1, "--cluster-yes")
    assert status == 0, output
    for text in (">>> Performing hash slots allocation on 6 nodes...", "[OK] All nodes agree about slots configuration.",
                 "[OK] All 16384 slots covered."):
        assert text in output, output
    nodes.wait_stable()
    entries = nodes.view(nodes.nodes[0])
    primaries = [entry for entry in entries if "master" in entry["flags"]]
    replicas = [entry for entry in entries if "slave" in entry["flags"]]
    assert sorted(entry["slots"][0] for entry in primaries) == [(0, 5460), (5461, 10922), (10923, 16383)]
    assert sorted(entry["primary"] for entry in replicas) == sorted(entry["id"] for entry in primaries)
    assert len({entry["epoch"] for entry in primaries}) == 3


@pytest.mark.parametrize("name", TOOLS)
def test_create_refuses_what_is_not_empty(cluster, name):
    nodes = cluster(primaries=3, replicas=0, join=False)
    node = nodes.nodes[1]
    node.call("CONFIG", "SET", "cluster-require-full-coverage", "no")
    node.call("CLUSTER", "ADDSLOTS", slot_of("k"))
    wait_until(lambda: node.client().reply("SET", "k", "v") == b"OK", 10)
    status, output = run(tool(name), "--cluster", "create", *[node.address for node in nodes.nodes], "--cluster-yes")
    assert status != 0
    assert "is not empty" in output


@pytest.mark.parametrize("name", TOOLS)
def test_check_and_info(six, name):
    status, output = run(tool(name), "--cluster", "check", six.nodes[0].address)
    assert status == 0 and "[OK] All 16384 slots covered." in output, output
    assert output.count("M: ") == 3 and output.count("S: ") == 3
    status, output = run(tool(name), "--cluster", "info", six.nodes[5].address)
    assert status == 0, output
    assert re.search(r"\[OK\] \d+ keys in 3 masters\.", output), output
    assert output.count("slots |") == 3 and "| 1 slaves." in output
    status, output = run(tool(name), "--cluster", "call", six.nodes[0].address, "PING")
    assert status == 0 and output.count("PONG") == 6, output


@pytest.mark.parametrize("name", TOOLS)
def test_command_line_follows_redirections(six, name):
    keys = [f"cli-{name}-{i}" for i in range(12)]
    for key in keys:
        status, output = run(tool(name), "-c", "-p", six.nodes[0].port, "SET", key, "v")
        assert status == 0 and output.endswith("OK\n"), output
    script = "".join(f"GET {key}\n" for key in keys)
    status, output = run(tool(name), "-c", "-p", six.nodes[1].port, input=script.encode())
    assert output.split().count("v") == 12 or output.count('"v"') == 12, output
    status, output = run(tool(name), "-p", six.nodes[0].port, "MGET", "a", "b")
    assert "CROSSSLOT" in output


def test_every_slot_is_served_by_its_owner(six):
    """One key for each of 500 slots at each node: the owner serves it, all others say MOVED to the owner."""
    owners = {}
    for entry in six.view(six.nodes[0]):
        for first, last in entry["slots"]:
            owners.update({slot: entry["port"] for slot in range(first, last + 1)})
    assert len(owners) == SLOTS
    for node in six.nodes:
        with node.client() as client:
            keys = [f"k{i}" for i in range(500)]
            for key, reply in zip(keys, client.pipeline(["GET", key] for key in keys)):
                slot = slot_of(key)
                if owners[slot] == node.port:
                    assert reply is None
                else:
                    assert reply == f"MOVED {slot} 127.0.0.1:{owners[slot]}"


def test_slots_and_shards_with_replicas(six):
    with six.nodes[0].client() as client:
        # Redis leaves out replicas whose offset it has not heard yet.
        wait_until(lambda: all(len(entry) == 4 for entry in client.call("CLUSTER", "SLOTS")), 15, "the replicas")
        entries = client.call("CLUSTER", "SLOTS")
        assert [entry[:2] for entry in entries] == [[0, 5460], [5461, 10922], [10923, 16383]]
        ports = {node.port for node in six.nodes}
        for entry in entries:
            assert len(entry) == 4
            for node in entry[2:]:
                assert node[0] == b"127.0.0.1" and node[1] in ports and len(node[2]) == 40 and node[3] == []
        shards = client.call("CLUSTER", "SHARDS")
        assert len(shards) == 3
        for shard in shards:
            fields = dict(zip(shard[::2], shard[1::2]))
            roles = [dict(zip(node[::2], node[1::2]))[b"role"] for node in fields[b"nodes"]]
            assert sorted(roles) == [b"master", b"replica"]
            healths = {dict(zip(node[::2], node[1::2]))[b"health"] for node in fields[b"nodes"]}
            assert healths == {b"online"}


def test_replicas_serve_reads_after_readonly(six):
    with six.client() as writer:
        writer.call("readable", "SET", "readable", "v")
    owner = six.owner(slot_of("readable"))
    (replica,) = six.replicas_of(owner)
    with replica.client() as client:
        assert client.reply("GET", "readable") == f"MOVED {slot_of('readable')} 127.0.0.1:{owner.port}"
        assert client.call("READONLY") == b"OK"
        wait_until(lambda: client.reply("GET", "readable") == b"v", 5, "the replica to have it")
        assert client.reply("SET", "readable", "w").code == "MOVED"
        replies = client.pipeline([["MULTI"], ["GET", "readable"], ["EXEC"]])
        assert replies[-1] == [b"v"]
        assert client.call("READWRITE") == b"OK"
        assert client.reply("GET", "readable").code == "MOVED"


def test_cluster_replicas_and_role(six):
    for node in six.masters():
        (replica,) = six.replicas_of(node)
        assert replica.call("ROLE")[:4] == [b"slave", b"127.0.0.1", node.port, b"connected"]
        assert replica.call("CLUSTER", "MYID") != node.call("CLUSTER", "MYID")
        assert "ERR REPLICAOF not allowed in cluster mode." == node.client().reply("REPLICAOF", "NO", "ONE")


def test_many_keys_over_the_cluster(six):
    with six.client() as client:
        for i in range(600):
            assert client.call(f"m{i}", "SET", f"m{i}", i) == b"OK"
        for i in range(600):
            assert client.call(f"m{i}", "GET", f"m{i}") == str(i).encode()
        assert set(client.met) <= {"MOVED"}
        total = sum(node.call("DBSIZE") for node in six.masters())
        assert total >= 600
        for i in range(600):
            client.call(f"m{i}", "DEL", f"m{i}")


def test_a_restart_keeps_identity_epoch_and_slots(cluster):
    trio = cluster(primaries=3, replicas=0)
    node = trio.nodes[1]

    def own():
        (entry,) = [entry for entry in trio.view(node) if "myself" in entry["flags"]]
        return entry["id"], entry["epoch"], entry["slots"]
    before = own()

    def knows_all():
        # What it has heard of others is on disk a moment later than what it has promised.
        text = (node.directory / "nodes.conf").read_text()
        return all(trio.id_of(other) in text for other in trio.nodes) and text
    file_before = wait_until(knows_all, 10, "nodes.conf to tell of all")
    assert re.fullmatch(r"vars currentEpoch \d+ lastVoteEpoch \d+", file_before.strip().splitlines()[-1])
    node.kill()
    time.sleep(0.2)
    node.start()
    assert own() == before
    trio.wait_stable()
    with trio.client() as client:
        for i in range(30):
            client.insist(f"k{i}", "SET", f"k{i}", i)


def test_nodes_conf_of_redis_and_ours(module_yard, cluster):
    """A node started by Redis goes on as ours with its nodes.conf and dump, and the other way round."""
    directory = module_yard.directory / "either"
    directory.mkdir()
    first = module_yard.redis(dir=directory, cluster_enabled="yes")
    first.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    first.wait_for(lambda client: cluster_info(client)["cluster_state"] == "ok", 10)
    first.call("SET", "k", "v")
    first.call("SAVE")
    identity = first.call("CLUSTER", "MYID")
    port = first.port
    first.stop()
    for start, value in ((module_yard.server, "by ours"), (module_yard.redis, "by redis")):
        node = start(dir=directory, cluster_enabled="yes", port=port)
        node.wait_for(lambda client: cluster_info(client)["cluster_state"] == "ok", 10)
        assert node.call("CLUSTER", "MYID") == identity
        assert node.call("GET", "k") is not None
        node.call("SET", "k", value)
        assert node.call("SAVE") == b"OK"
        node.stop()


def test_meet_and_forget(server):
    nodes = [server(cluster_enabled="yes", cluster_node_timeout=2000) for _ in range(3)]
    first = nodes[0]
    for other in nodes[1:]:
        assert first.call("CLUSTER", "MEET", "127.0.0.1", other.port) == b"OK"
    for node in nodes:
        node.wait_for(lambda client: len(parse_nodes(client.call("CLUSTER", "NODES"))) == 3
                      and b"handshake" not in client.call("CLUSTER", "NODES"), 15, "three to know each other")
    gone = nodes[2].call("CLUSTER", "MYID")
    nodes[2].stop()
    for node in nodes[:2]:
        assert node.call("CLUSTER", "FORGET", gone) == b"OK"
    time.sleep(1)
    for node in nodes[:2]:
        assert gone not in node.call("CLUSTER", "NODES")


def test_meeting_nobody_leaves_nothing(server):
    node = server(cluster_enabled="yes", cluster_node_timeout=1000)
    assert node.call("CLUSTER", "MEET", "127.0.0.1", 9) == b"OK"
    wait_until(lambda: node.call("CLUSTER", "NODES").count(b"\n") == 1, 15, "the handshake to be given up")


def test_announced_addresses(server):
    node = server(cluster_enabled="yes", cluster_announce_ip="10.1.2.3", cluster_announce_port=7777,
                  cluster_announce_bus_port=17777)
    assert b" 10.1.2.3:7777@17777" in node.call("CLUSTER", "NODES")
    node.call("CONFIG", "SET", "cluster-announce-ip", "10.9.9.9")
    wait_until(lambda: b" 10.9.9.9:7777@17777" in node.call("CLUSTER", "NODES"), 5, "the new address")


def test_cluster_port(yard):
    bus = ports.take()
    try:
        node = yard.server(cluster_enabled="yes", cluster_port=bus)
        assert b"@%d " % bus in node.call("CLUSTER", "NODES").replace(b",", b" ")
    finally:
        ports.give_back(bus)


def test_coverage_is_required_or_not(cluster):
    trio = cluster(primaries=3, replicas=0, cluster_node_timeout=int(1000 * SLOWNESS))
    lost = trio.nodes[2]
    first = trio.nodes[0]
    key = next(f"k{i}" for i in range(1000) if first.client().reply("EXISTS", f"k{i}") == 0)
    lost.kill()
    first.wait_for(lambda client: cluster_info(client)["cluster_state"] == "fail", 15, "the state to be fail")
    with first.client() as client:
        assert client.reply("SET", key, "v") == "CLUSTERDOWN The cluster is down"
        assert cluster_info(client)["cluster_slots_fail"] == "5461"
        client.call("CONFIG", "SET", "cluster-require-full-coverage", "no")
        wait_until(lambda: client.reply("SET", key, "v") == b"OK", 10, "what is covered to be served")
    lost.start()
    trio.wait_stable()


@pytest.mark.parametrize("direction", ["to redis", "from redis"])
def test_migrate_between_redis_and_us(server, redis_server, direction):
    source, target = (server, redis_server) if direction == "to redis" else (redis_server, server)
    source, target = source(), target()
    far = 33177117420123
    with source.client() as one, target.client() as two:
        values = {f"k{i}": bytes([i % 256]) * (i * 7) for i in range(200)}
        one.pipeline([["SET", key, value] for key, value in values.items()] + [["PEXPIREAT", "k7", far]])
        address = ["127.0.0.1", target.port]
        assert one.call("MIGRATE", *address, "k7", 0, 5000) == b"OK"
        assert one.call("EXISTS", "k7") == 0
        # What is left to live is what travels: the moment may shift by the time of the journey.
        assert abs(two.call("PEXPIRETIME", "k7") - far) < 2000 * SLOWNESS and two.call("GET", "k7") == values["k7"]
        assert one.call("MIGRATE", *address, "k7", 0, 5000) == b"NOKEY"
        assert one.call("MIGRATE", *address, "k8", 3, 5000, "COPY") == b"OK"
        assert one.call("GET", "k8") == values["k8"]
        two.call("SELECT", 3)
        assert two.call("GET", "k8") == values["k8"]
        two.call("SELECT", 0)
        two.call("SET", "k9", "busy")
        assert "BUSYKEY" in one.reply("MIGRATE", *address, "k9", 0, 5000)
        assert one.call("GET", "k9") == values["k9"]
        assert one.call("MIGRATE", *address, "k9", 0, 5000, "REPLACE") == b"OK"
        assert two.call("GET", "k9") == values["k9"]
        keys = [key for key in values if key not in ("k7", "k9")]
        assert one.call("MIGRATE", *address, "", 0, 5000, "REPLACE", "KEYS", *keys, "missing") == b"OK"
        assert one.call("DBSIZE") == 0
        assert two.call("MGET", *values) == list(values.values())
        # Connections that were kept from before need no password; without them, a new one does.
        two.call("CONFIG", "SET", "requirepass", "secret")
        two.call("CLIENT", "KILL", "TYPE", "normal")
        one.call("SET", "k", "v")
        assert "NOAUTH" in one.reply("MIGRATE", *address, "k", 0, 5000)
        assert "WRONGPASS" in one.reply("MIGRATE", *address, "k", 0, 5000, "AUTH", "wrong")
        assert one.call("MIGRATE", *address, "k", 0, 5000, "AUTH", "secret") == b"OK"
        one.call("SET", "k2", "v")
        assert one.call("MIGRATE", *address, "k2", 0, 5000, "REPLACE", "AUTH2", "default", "secret") == b"OK"
        two.call("CONFIG", "SET", "requirepass", "")
        target.stop()
        one.call("SET", "k", "v")
        assert one.reply("MIGRATE", *address, "k", 0, 1000).startswith("IOERR error or timeout")
        assert one.call("GET", "k") == b"v"


def test_migrate_to_one_that_does_not_answer(server, proxy):
    """The timeout is kept, the key stays, and other clients are served as far as the command allows."""
    source, target = server(), server()
    link = proxy(target.port)
    link.hold()
    with source.client() as client:
        client.call("SET", "k", "v")
        start = time.monotonic()
        assert client.reply("MIGRATE", "127.0.0.1", link.port, "k", 0, 500).startswith("IOERR error or timeout")
        assert time.monotonic() - start < 5 * SLOWNESS
        assert client.call("GET", "k") == b"v"


@pytest.mark.slow
@pytest.mark.parametrize("mixture", ["one redis among ours", "one of ours among redis"])
def test_one_cluster_of_both_kinds(cluster, mixture):
    """Our nodes and Debian's speak one bus: joined, they agree, serve, and fail over for each other."""
    real, ours = programs.redis("server"), programs.shoal("server")
    odd, rest = (real, ours) if mixture == "one redis among ours" else (ours, real)
    # The odd one is a primary and its replica is of the other kind, so that it is both followed and voted for.
    six = cluster(primaries=3, replicas=1, programs_by_index=[odd, rest, rest, rest, rest, rest],
                  cluster_node_timeout=int(1500 * SLOWNESS))
    with six.client() as client:
        for i in range(200):
            client.call(f"k{i}", "SET", f"k{i}", i)
        for node in six.masters():
            with node.client() as direct:
                direct.call("SET", next(f"k{i}" for i in range(200) if six_owner(direct, f"k{i}")), "w")
                assert direct.call("WAIT", 1, 5000) >= 0
        odd_node = six.nodes[0]
        if odd_node.call("ROLE")[0] != b"master":
            odd_node = six.masters()[0]
        settled = {f"k{i}": client.insist(f"k{i}", "GET", f"k{i}") for i in range(200)}
        time.sleep(0.5)
        odd_node.kill()
        wait_until(lambda: six.is_stable(), 30, "the failover", step=0.1)
        for key, value in settled.items():
            assert client.insist(key, "GET", key) == value
        odd_node.start()
        six.wait_stable()
        assert odd_node.call("ROLE")[0] == b"slave"


def six_owner(client, key):
    return not isinstance(client.reply("EXISTS", key), Error)


def test_slots_of_loaded_keys_are_taken(server, redis_server):
    """A dump with keys of slots that nobody owns yet: the node takes those slots, so that the keys can be reached."""
    plain = redis_server()
    plain.client().pipeline(["SET", f"k{i}", i] for i in range(100))
    plain.call("SAVE")
    plain.stop()
    node = server(dir=plain.directory, cluster_enabled="yes")
    slots = parse_nodes(node.call("CLUSTER", "NODES"))[0]["slots"]
    owned = {slot for first, last in slots for slot in range(first, last + 1)}
    assert owned == {slot_of(f"k{i}") for i in range(100)}
