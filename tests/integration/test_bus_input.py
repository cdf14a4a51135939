"""Bad input on the bus port of a live cluster: whoever speaks there, and however much, the nodes stay what they are."""
import os
import random
import resource
import select
import socket
import threading
import time

import pytest

from support import bus
from support.cluster import Cluster, cluster_info, parse_nodes
from support.programs import SANITIZED, SLOWNESS, cpu_seconds, wait_until
from support.resp import Client

STRANGER = b"5" * 40
MIB = 1 << 20
STRANGERS_MAX = 1024  # handshakes, and links, of nobody that the node knows


@pytest.fixture(scope="module")
def three(module_yard):
    return Cluster(module_yard, 3, 0)


def identities(nodes):
    """What nothing from outside may change: who is there, what it owns, and with which epoch."""
    return [sorted((entry["id"], entry["port"], entry["epoch"], tuple(entry["slots"]), tuple(entry["flags"]))
                   for entry in nodes.view(node) if "handshake" not in entry["flags"]) for node in nodes.nodes]


@pytest.fixture(autouse=True)
def unshaken(three):
    """Each test leaves the cluster as it was, and nobody was suspected meanwhile."""
    before = identities(three)
    yield
    three.wait_stable()
    assert identities(three) == before
    for node in three.nodes:
        for words in ("possibly failing", "Marking node"):
            assert words not in node.log(), f"{node} suspected somebody"


def connect(node, timeout=10):
    connection = socket.create_connection(("127.0.0.1", node.port + 10000), timeout=timeout * SLOWNESS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def is_closed(connection):
    """Has the other end closed it? What it said before is read away."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            pass
        return True
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def read_packet(connection):
    data = b""
    while len(data) < bus.HEADER or len(data) < int.from_bytes(data[4:8], "big"):
        more = connection.recv(65536)
        assert more, "closed before the answer"
        data += more
    return data


def answers(node):
    """A ping of a stranger is answered, whatever went on before."""
    with connect(node) as connection:
        connection.sendall(bus.packet(bus.PING, STRANGER))
        reply = read_packet(connection)
        assert int.from_bytes(reply[12:14], "big") == bus.PONG
        assert reply[40:80].decode() == node.call("CLUSTER", "MYID").decode()


def memory(node):
    with open(f"/proc/{node.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def has_grown_less_than(node, before, limit):
    """A sanitizer keeps what was freed for a while: there this says nothing."""
    return SANITIZED or memory(node) - before < limit


RUBBISH = {
    "zeros": bytes(4096),
    "no signature": b"RCmc" + bytes(4096),
    "a request": b"*1\r\n$4\r\nPING\r\n" * 100,
    "too short to be true": bus.packet(bus.PING, STRANGER, size=8),
    "shorter than a header": bus.packet(bus.PING, STRANGER, size=2000)[:2000],
    "too long to be true": bus.packet(bus.PING, STRANGER, size=0xFFFFFFFF),
    "longer than its gossip": bus.packet(bus.PING, STRANGER, bytes(7)),
    "more gossip than there is": bus.packet(bus.PING, STRANGER, bus.gossip(STRANGER), count=65535),
    "extensions that are not there": bus.packet(bus.PING, STRANGER, extensions=3, message_flags=bus.HAS_EXTENSIONS),
    "an extension of no length": bus.packet(bus.PING, STRANGER, bytes(8), extensions=1, message_flags=bus.HAS_EXTENSIONS),
    "an extension that is too long": bus.packet(bus.PING, STRANGER, b"\xff" * 16, extensions=1,
                                                message_flags=bus.HAS_EXTENSIONS),
    "half a failure": bus.packet(bus.FAIL, STRANGER, bytes(20)),
    "a vote with a body": bus.packet(bus.AUTH_ACK, STRANGER, bytes(1)),
    "half an update": bus.packet(bus.UPDATE, STRANGER, bytes(48)),
    "a message that lies": bus.packet(bus.PUBLISH, STRANGER, b"\xff" * 8),
    "an epoch at the end of time": bus.packet(bus.PING, STRANGER, current_epoch=(1 << 64) - 1),
}


@pytest.mark.parametrize("what", RUBBISH)
def test_rubbish_closes_the_link(three, what):
    with connect(three.nodes[0]) as connection:
        connection.sendall(RUBBISH[what])
        wait_until(lambda: is_closed(connection), 5, "the link's end")
    answers(three.nodes[0])


UNKNOWN = {
    "a type": bus.packet(11, STRANGER),
    "a far type": bus.packet(0x7FFF, STRANGER),
    "a light header": bus.packet(0x8004, STRANGER, size=16)[:16],
    "a version": bus.packet(bus.PING, STRANGER, version=2),
    "an extension": bus.packet(bus.PONG, STRANGER, bus.extension(77, b"?" * 11), extensions=1,
                               message_flags=bus.HAS_EXTENSIONS),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_is_unknown_is_skipped(three, what):
    """It is whole: the link goes on with what comes next."""
    with connect(three.nodes[0]) as connection:
        connection.sendall(UNKNOWN[what] + bus.packet(bus.PING, STRANGER))
        assert int.from_bytes(read_packet(connection)[12:14], "big") == bus.PONG


def spoilt(chance):
    """A packet of any kind from a stranger, with some bytes that are others."""
    kind = chance.randrange(12)
    bodies = {bus.FAIL: STRANGER, bus.UPDATE: bytes(8) + STRANGER + b"\xff" * 2048, bus.PUBLISH: bytes(8),
              bus.PUBLISHSHARD: bytes(8), bus.MODULE: bytes(13)}
    body, count, extensions = bodies.get(kind, b""), 0, 0
    if kind <= bus.MEET:
        count = chance.randrange(4)
        body = b"".join(bus.gossip(chance.randbytes(40), chance.randbytes(46)) for _ in range(count))
        extensions = chance.randrange(3)
        body += b"".join(bus.extension(chance.randrange(6), chance.randbytes(chance.randrange(60))) for _ in range(extensions))
    data = bytearray(bus.packet(kind, chance.choice([STRANGER, bytes(40), chance.randbytes(40)]), body, count=count,
                                port=chance.randrange(65536), bus_port=1, flags=chance.randrange(65536),
                                slots=b"\xff" * 2048, primary=STRANGER, ip=chance.choice([b"", chance.randbytes(46)]),
                                current_epoch=chance.choice([0, 1 << 40, 1 << 63]), config_epoch=1 << 40,
                                extensions=extensions, message_flags=4 | chance.randrange(8)))
    for _ in range(chance.choice([0, 0, 1, 5])):
        data[chance.randrange(4, len(data))] = chance.randrange(256)
    if chance.random() < 0.2:
        del data[chance.randrange(len(data)):]
    return bytes(data)


@pytest.mark.parametrize("seed", [1, 2])
def test_spoilt_packets_of_a_stranger(three, seed):
    chance = random.Random(seed)
    for _ in range(300):
        with connect(three.nodes[seed % 3]) as connection:
            try:
                for _ in range(10):
                    connection.sendall(spoilt(chance))
            except ConnectionError:
                pass  # it was one of those that close the link
    answers(three.nodes[seed % 3])
    wait_until(lambda: cluster_info(three.nodes[seed % 3])["cluster_known_nodes"] == "3", 30,
               "those who were to be met to be given up")


def pour(connection, data, total, idle=1.0):
    """Sends `data` again and again until `total` bytes have gone or nothing goes for a while. Returns how much went."""
    connection.setblocking(False)
    sent = 0
    view = memoryview(data)
    while sent < total and select.select([], [connection], [], idle)[1]:
        try:
            sent += connection.send(view[sent % len(data):])
        except BlockingIOError:
            pass
    return sent


def test_a_flood_of_pings_without_reading(three):
    """The node takes no more once a MiB of answers waits, and goes on when they are read."""
    node = three.nodes[0]
    before = memory(node)
    ping = bus.packet(bus.PING, STRANGER)
    with connect(node) as connection:
        sent = pour(connection, ping * 100, 512 * MIB)
        assert sent < 256 * MIB, "the node went on listening"
        assert has_grown_less_than(node, before, 64 * MIB)
        answers(node)
        three.is_stable()
        # Whoever reads after all gets all its answers.
        connection.settimeout(10 * SLOWNESS)
        got, pings = 0, sent // len(ping)
        while got < pings * bus.HEADER:
            more = connection.recv(1 << 20)
            assert more, "closed instead of answered"
            got += len(more)


def test_a_flood_beyond_the_buffer_limit_frees_the_link(three):
    node = three.nodes[1]
    node.call("CONFIG", "SET", "cluster-link-sendbuf-limit", 100000)
    try:
        with connect(node) as connection:
            try:
                pour(connection, bus.packet(bus.PING, STRANGER) * 100, 512 * MIB)
            except ConnectionError:
                pass
            wait_until(lambda: int(cluster_info(node)["total_cluster_links_buffer_limit_exceeded"]) > 0, 10, "the link's end")
    finally:
        node.call("CONFIG", "SET", "cluster-link-sendbuf-limit", 0)
    answers(node)


def drain(connection):
    try:
        while connection.recv(1 << 20):
            pass
    except OSError:
        pass  # the end of the test


def test_a_flood_of_strangers_to_meet(three):
    """100,000 want to be met, each at another address: only so many are, and the others hear nothing of it."""
    node = three.nodes[2]
    before = memory(node)
    connection = connect(node)
    reader = threading.Thread(target=drain, args=(connection,), daemon=True)
    reader.start()
    known = 0
    for first in range(0, 100000 // (10 if SANITIZED else 1), 1000):
        connection.sendall(b"".join(bus.packet(bus.MEET, STRANGER, ip=b"127.%d.%d.%d" % (1 + i // 60000, i // 250 % 240, 1 + i % 250),
                                               bus_port=1) for i in range(first, first + 1000)))
        known = max(known, int(cluster_info(node)["cluster_known_nodes"]))
        three.is_stable(three.nodes[:2])
    assert 100 < known <= 3 + STRANGERS_MAX
    assert has_grown_less_than(node, before, 128 * MIB)
    connection.shutdown(socket.SHUT_RDWR)
    reader.join(10)
    connection.close()
    for other in three.nodes[:2]:
        assert cluster_info(other)["cluster_known_nodes"] == "3"
    wait_until(lambda: cluster_info(node)["cluster_known_nodes"] == "3", 30, "the strangers to be given up")


def test_many_large_packets_that_never_end(three):
    """Each announces 60 MiB and sends 16: all together get no more than a bound."""
    node = three.nodes[0]
    before = memory(node)
    start = bus.packet(bus.PING, STRANGER, size=60 * MIB)
    connections = [connect(node) for _ in range(30)]
    for connection in connections:
        try:
            connection.sendall(start + bytes(16 * MIB))
        except OSError:
            pass  # closed meanwhile
    assert has_grown_less_than(node, before, 256 * MIB)
    answers(node)
    closed = sum(map(is_closed, connections))
    assert 10 < closed < 30
    for connection in connections:
        connection.close()


def test_idle_connections(three):
    """Thousands of them, silent or with half a packet: the newest are kept, and those not for ever."""
    node = three.nodes[1]
    count = 3000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 200:
        pytest.skip("too few files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 200), hard))
    connections = []
    try:
        for i in range(count):
            connections.append(connect(node))
            if i % 2:
                connections[-1].sendall(bus.packet(bus.PING, STRANGER)[:i % bus.HEADER])
        began = time.monotonic()
        answers(node)
        wait_until(lambda: sum(not is_closed(connection) for connection in connections) <= STRANGERS_MAX, 10, "the first to go")
        assert len(os.listdir(f"/proc/{node.pid}/fd")) < STRANGERS_MAX + 200
        three.is_stable()
        assert not is_closed(connections[-1]), "the newest may speak"
        wait_until(lambda: all(map(is_closed, connections)), 60, "the silent to go", step=0.5)
        assert time.monotonic() - began > 5, "they had time to speak"
    finally:
        for connection in connections:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_addresses_and_names_full_of_rubbish(three):
    """A stranger's words get into no reply and no file."""
    node = three.nodes[0]
    rubbish = b"\r\n\x1b[2J ,=@[]" + b"x" * 34
    with connect(node) as connection:
        for ip in (rubbish, b"256.1.1.1", b"host name", b"::1::", b"\xff" * 46):
            body = bus.gossip(rubbish[:40], ip) + bus.extension(0, rubbish * 10) + bus.extension(1, b"\xff" * 300)
            connection.sendall(bus.packet(bus.MEET, rubbish[:40], body, count=1, extensions=2, ip=ip,
                                          message_flags=bus.HAS_EXTENSIONS))
            read_packet(connection)
    assert len(parse_nodes(node.call("CLUSTER", "NODES"))) == 3
    assert cluster_info(node)["cluster_known_nodes"] == "3"


def test_out_of_descriptors(three):
    """Who can't be accepted waits, and the bus does not spin over it; the links that there are go on."""
    node = three.nodes[0]
    before = resource.prlimit(node.pid, resource.RLIMIT_NOFILE)
    some = max(int(fd) for fd in os.listdir(f"/proc/{node.pid}/fd")) + 5
    strangers, client = [], node.client()
    try:
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (some, before[1]))
        strangers = [connect(node) for _ in range(20)]
        said = "Accepting cluster node connection: Too many open files"
        wait_until(lambda: said in node.log(), 10 * SLOWNESS, "the node to say that it is out of descriptors")
        spent = cpu_seconds(node.pid)
        time.sleep(1)
        assert cpu_seconds(node.pid) - spent < 0.2 * SLOWNESS, "it spins"
        assert node.log().count(said) <= 10 * SLOWNESS
        assert cluster_info(client)["cluster_state"] == "ok"
    finally:
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, before)
        for connection in [client, *strangers]:
            connection.close()
    with connect(node) as late:
        late.sendall(b"nonsense" * 10)
        wait_until(lambda: is_closed(late), 10 * SLOWNESS, "it to be heard again")


def test_links_count_as_clients(three):
    """maxclients is for both, as in Redis: a node full of clients keeps room for the bus."""
    node = three.nodes[0]
    wait_until(lambda: node.info("clients")["cluster_connections"] == "4", 10 * SLOWNESS, "two links to each other node")
    with node.client() as first, node.client() as second:
        assert first.call("CONFIG", "SET", "maxclients", 6) == b"OK"
        try:
            assert second.call("PING") == b"PONG"
            with Client(node.port) as extra:
                assert extra.read() == "ERR max number of clients reached"
        finally:
            first.call("CONFIG", "SET", "maxclients", 10000)
