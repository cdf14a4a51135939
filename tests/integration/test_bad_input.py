"""Bad input: a clear error, the process lives (or refuses to start), and nothing that was there is lost."""
import os
import random
import re
import select
import socket
import subprocess
import sys
import time

import pytest

from support import programs
from support.programs import SANITIZED, SLOWNESS, wait_until
from support.resp import Error, encode


def still_well(shoal):
    """It answers, and what was there is there."""
    with shoal.client() as client:
        assert client.call("PING") == b"PONG"
        assert client.call("GET", "precious") == b"kept"


@pytest.fixture
def precious(server):
    shoal = server()
    shoal.call("SET", "precious", "kept")
    return shoal


HALVES = [b"*", b"*3", b"*3\r", b"*3\r\n", b"*3\r\n$3", b"*3\r\n$3\r\nSE", b"*3\r\n$3\r\nSET\r\n$8\r\nprec", b"GET prec",
          b"*3\r\n$3\r\nSET\r\n$8\r\nprecious\r\n$4\r\ngone", b"*3\r\n$3\r\nSET\r\n$8\r\nprecious\r\n$4\r\ngone\r"]


@pytest.mark.parametrize("half", HALVES, ids=repr)
def test_half_a_request(precious, half):
    """It stays half: nothing runs, then or when the client goes away; and others are served."""
    with precious.client() as client:
        client.send_bytes(half)
        assert client.silent_for(0.05)
        still_well(precious)
    still_well(precious)
    wait_until(lambda: precious.info("clients")["connected_clients"] == "1", 5, "the half request's end")


@pytest.mark.parametrize("lie", [
    b"*2\r\n$3\r\nGET\r\n$4\r\nprecious\r\n", b"*2\r\n$3\r\nGET\r\n$100\r\nprecious\r\n", b"*1\r\n$2\r\nPING\r\n",
    b"*2\r\n$3\r\nGET\r\n$0\r\nprecious\r\n", b"*2\r\n$300\r\nGET\r\n$8\r\nprecious\r\n", b"*2\r\n$-7\r\nGET\r\n",
    b"*2\r\n$9223372036854775807\r\nGET\r\n", b"*9223372036854775807\r\n", b"*2\r\n$18446744073709551615\r\n"], ids=repr)
def test_a_length_that_lies(precious, lie):
    with precious.client() as client:
        client.send_bytes(lie)
        try:
            client.socket.settimeout(0.2)
            client.read()
        except (socket.timeout, ConnectionError, AssertionError):
            pass
    still_well(precious)


def test_an_argument_over_proto_max_bulk_len(precious):
    """The default is 512 MB; the length alone is refused, before anything is sent or allocated."""
    with precious.client() as client:
        client.send_bytes(b"*3\r\n$3\r\nSET\r\n$8\r\nprecious\r\n$536870913\r\n")
        assert client.read() == "ERR Protocol error: invalid bulk length"
        assert client.closed_by_peer()
    still_well(precious)


def test_a_promise_of_much_takes_no_memory(precious):
    """Fifty clients that promise 512 MB each and send nothing."""
    with precious.client() as watcher:
        before = int(watcher.info("memory")["used_memory_rss"])
        clients = []
        for _ in range(50):
            client = precious.client()
            client.send_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nx")
            clients.append(client)
        time.sleep(0.2)
        assert int(watcher.info("memory")["used_memory_rss"]) - before < 200 << 20
        for client in clients:
            client.close()
    still_well(precious)


def test_a_million_pipelined_commands(precious):
    """A million requests are sent before the first reply is read; all are answered, in order."""
    count = 100000 if SANITIZED else 1000000
    with precious.client(timeout=60) as client, precious.client() as other:
        block = encode(["INCR", "n"]) * 1000
        client.socket.setblocking(False)
        sent = 0
        total = len(block) * (count // 1000)
        got = bytearray()
        # The replies are read as they come only once the kernel's buffers are full; the server must bear with both.
        while sent < total:
            ready, writable, _ = select.select([client.socket], [client.socket], [], 60 * SLOWNESS)
            assert ready or writable, "the server stands still"
            if writable:
                start = sent % len(block)
                sent += client.socket.send(block[start:start + (1 << 18)])
            else:
                got += client.socket.recv(1 << 20)
        client.socket.setblocking(True)
        client.socket.settimeout(60 * SLOWNESS)
        expected = sum(len(str(i)) + 3 for i in range(1, count + 1))
        while len(got) < expected:
            data = client.socket.recv(1 << 20)
            assert data
            got += data
        replies = bytes(got).split(b"\r\n")
        assert replies[:-1] == [b":%d" % i for i in range(1, count + 1)]
        assert other.call("GET", "n") == str(count).encode()
    still_well(precious)


def garbage(seed, size):
    choose = random.Random(seed)
    if seed % 3 == 0:
        return choose.randbytes(size)
    if seed % 3 == 1:
        return bytes(choose.choices(b"*$:+-\r\n0123456789 \"'abcGET", k=size))
    good = bytearray(encode(["SET", "other", "x" * 50]) * (size // 70))
    for _ in range(size // 40):
        good[choose.randrange(len(good))] = choose.randrange(256)
    return bytes(good)


@pytest.mark.parametrize("seed", range(12))
def test_garbage_on_the_client_port(server, seed):
    shoal = server()
    shoal.call("SET", "precious", "kept")
    # Commands that garbage might spell by chance could touch the key; it can't: none of them names it.
    for size in (1, 10, 1000, 100000):
        with shoal.client() as client:
            try:
                client.send_bytes(garbage(seed, size))
                client.socket.shutdown(socket.SHUT_WR)
                client.closed_by_peer(1)
            except OSError:
                pass
    still_well(shoal)


def test_other_protocols_on_the_client_port(precious):
    """HTTP is refused as a cross-protocol attack; a TLS hello is no request."""
    for data in (b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nFLUSHALL\r\n"):
        with precious.client() as client:
            client.send_bytes(data)
            assert client.closed_by_peer()
        still_well(precious)
    assert "SECURITY ATTACK" in precious.log()
    with precious.client() as client:
        client.send_bytes(bytes.fromhex("16030100a5010000a10303") + os.urandom(160))
        client.closed_by_peer(0.3)
    still_well(precious)


def bus_header(kind, total, version=1, signature=b"RCmb", count=0, sender=b"0" * 40):
    """The first bytes of a packet of the cluster bus; the rest is zero."""
    packet = bytearray(2256)
    packet[0:4] = signature
    packet[4:8] = total.to_bytes(4, "big")
    packet[8:10] = version.to_bytes(2, "big")
    packet[12:14] = kind.to_bytes(2, "big")
    packet[14:16] = count.to_bytes(2, "big")
    packet[40:80] = sender
    return bytes(packet)


def bus_packets():
    choose = random.Random(7)
    yield "random", choose.randbytes(100000)
    yield "text", b"GET / HTTP/1.1\r\n\r\n" * 200
    yield "short", b"RCmb"
    yield "zero length", bus_header(0, 0)
    yield "length 8", bus_header(0, 8)
    yield "huge length", bus_header(0, 0xFFFFFFFF)
    yield "wrong signature", bus_header(0, 2256, signature=b"RCMB")
    yield "wrong version", bus_header(0, 2256, version=9)
    yield "gossip that is not there", bus_header(0, 2256, count=65535)
    yield "meet cut short", bus_header(2, 2256)[:1000]
    yield "unknown type", bus_header(99, 2256)
    for kind in range(11):
        yield f"type {kind} from nobody", bus_header(kind, 2256) * 3
        yield f"type {kind} with noise", bus_header(kind, 2256 + 500, count=4) + choose.randbytes(500)
        yield f"type {kind} that lies", bus_header(kind, 2300, count=3) + choose.randbytes(44)


def test_garbage_on_the_bus_port(cluster):
    """A node of a cluster gets garbage on its bus port: it stays, keeps its view, and admits nobody."""
    trio = cluster(primaries=3, replicas=0)
    node = trio.nodes[0]
    with trio.client() as client:
        client.call("precious", "SET", "precious", "kept")
    for name, data in bus_packets():
        with socket.create_connection(("127.0.0.1", node.port + 10000), 5) as link:
            try:
                link.sendall(data)
                link.settimeout(0.02)
                link.recv(4096)
            except OSError:
                pass
        assert node.process.poll() is None, f"{name} ended the node"
    time.sleep(0.3)
    known = [entry for entry in trio.view(node) if "handshake" not in entry["flags"]]
    assert {entry["port"] for entry in known} == {other.port for other in trio.nodes}
    trio.wait_stable()
    with trio.client() as client:
        assert client.call("precious", "GET", "precious") == b"kept"


GOOD_LINE = "0123456789012345678901234567890123456789 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-100\n"


@pytest.mark.parametrize("content", [
    "complete nonsense\n", GOOD_LINE[:60], GOOD_LINE + GOOD_LINE.replace("0123456789", "9876543210", 1)[:50],
    GOOD_LINE.replace("0-100", "0-99999") + "vars currentEpoch 1 lastVoteEpoch 0\n",
    GOOD_LINE.replace("0-100", "abc") + "vars currentEpoch 1 lastVoteEpoch 0\n",
    GOOD_LINE.replace("myself,master", "myself,emperor") + "vars currentEpoch 1 lastVoteEpoch 0\n",
    GOOD_LINE.replace("7000@17000", "no@port") + "vars currentEpoch 1 lastVoteEpoch 0\n",
    GOOD_LINE.replace("myself,", "") + "vars currentEpoch 1 lastVoteEpoch 0\n",
    "REDIS0011\xfa\x09redis-ver\x057.2.4", "\x00" * 1000,
], ids=range(10))
def test_a_nodes_conf_that_is_none(server, content):
    """Truncated or foreign: the node refuses to start and leaves the file as it is."""
    if programs.testing_redis_itself() and any(word in content for word in ("abc", "emperor", "no@port")):
        pytest.skip("Redis crashes on these or takes them for zero")
    shoal = server(start=False, cluster_enabled="yes")
    path = shoal.directory / "nodes.conf"
    path.write_text(content, encoding="latin-1")
    before = path.read_bytes()
    shoal.spawn()
    assert shoal.wait_end() == 1
    log = shoal.log()
    assert "nodes.conf" in log or "cluster config file" in log, log
    assert path.read_bytes() == before


def test_every_truncation_of_a_nodes_conf(cluster, server):
    """Cut anywhere but at a line's end, a real nodes.conf must not start a node that knows less without a word."""
    if programs.testing_redis_itself():
        pytest.skip("Redis takes some of them")
    pair = cluster(primaries=3, replicas=0)
    node = pair.nodes[0]
    identity = pair.id_of(node)
    node.stop()
    path = node.directory / "nodes.conf"
    whole = path.read_bytes()
    choose = random.Random(3)
    cuts = sorted(choose.sample(range(20, len(whole) - 60), 5))
    for cut in cuts:
        path.write_bytes(whole[:cut])
        node.spawn()
        assert node.wait_end() == 1, f"started with the first {cut} bytes:\n{whole[:cut].decode()}"
        assert path.read_bytes() == whole[:cut]
    path.write_bytes(whole)
    node.start()
    assert pair.id_of(node) == identity
    pair.wait_stable()


def saved_rdb(server):
    """A server, stopped, and its dump.rdb."""
    shoal = server(dbfilename="dump.rdb")
    with shoal.client() as client:
        client.pipeline(["SET", f"key:{i}", f"value-{i}-" * 5] for i in range(500))
        client.call("SET", "precious", "kept")
        client.call("SAVE")
    shoal.stop()
    return shoal, shoal.directory / "dump.rdb"


def test_a_truncated_rdb(server):
    """The server refuses to start, names the file's trouble, and leaves the file for rescue."""
    shoal, path = saved_rdb(server)
    whole = path.read_bytes()
    for keep in (0, 3, 9, 12, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        path.write_bytes(whole[:keep])
        mark = len(shoal.log())
        shoal.spawn()
        assert shoal.wait_end() == 1, f"started with {keep} of {len(whole)} bytes"
        assert re.search(r"RDB|dump\.rdb|end of file|loading the DB", shoal.log()[mark:], re.I)
        assert path.read_bytes() == whole[:keep]
    path.write_bytes(whole)
    shoal.start()
    still_well(shoal)


def test_an_rdb_with_a_flipped_byte(server):
    shoal, path = saved_rdb(server)
    whole = path.read_bytes()
    choose = random.Random(5)
    for place in [5, len(whole) - 4, *choose.sample(range(200, len(whole) - 20), 4)]:
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        shoal.spawn()
        assert shoal.wait_end() == 1, f"started with a wrong byte at {place}"
        assert path.read_bytes() == bytes(damaged)
    path.write_bytes(b"This is not the file that you are looking for\n" * 10)
    shoal.spawn()
    assert shoal.wait_end() == 1
    path.write_bytes(whole.replace(b"REDIS00", b"REDIS99", 1))
    shoal.spawn()
    assert shoal.wait_end() == 1
    assert "version" in shoal.log().lower()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB, or None where one can't be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], stderr=subprocess.DEVNULL).returncode == 0
    yield place if mounted else None
    if mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


def full_disk_server(yard, small_disk):
    """A server whose dump.rdb can't grow over 1 MB, and which has saved a small one."""
    if small_disk is not None:
        shoal = yard.server(start=False, dir=small_disk)
        place = small_disk
    else:
        limit = (f"import resource, signal, sys, os; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
                 f"resource.setrlimit(resource.RLIMIT_FSIZE, ({1 << 20}, {1 << 20}));"
                 f"os.execv(sys.argv[1], sys.argv[1:])")
        shoal = yard.server(start=False, wrapper=[sys.executable, "-c", limit])
        place = shoal.directory
    shoal.start()
    shoal.call("SET", "precious", "kept")
    shoal.call("SAVE")
    return shoal, place


def test_a_full_disk_at_save(yard, small_disk):
    """SAVE and BGSAVE say so, the old file stays whole, writes stop if told to, and all is well with room again."""
    shoal, place = full_disk_server(yard, small_disk)
    path = place / "dump.rdb"
    good = path.read_bytes()
    with shoal.client() as client:
        client.call("CONFIG", "SET", "save", "3600 1000000")
        for i in range(40):
            client.call("SET", f"big:{i}", os.urandom(100000))
        assert isinstance(client.reply("SAVE"), Error)
        assert path.read_bytes() == good
        reply = client.reply("BGSAVE")
        assert not isinstance(reply, Error)
        wait_until(lambda: client.info("persistence")["rdb_bgsave_in_progress"] == "0", 20, "the end of BGSAVE")
        assert client.info("persistence")["rdb_last_bgsave_status"] == "err"
        assert path.read_bytes() == good
        assert sorted(os.listdir(place)) == ["dump.rdb"] or small_disk is None, "a half-written file is left"
        assert client.reply("SET", "k", "v").code == "MISCONF"
        assert client.call("GET", "precious") == b"kept"
        client.call("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
        assert client.call("SET", "k", "v") == b"OK"
        # Room again: the flag goes off with the next save that succeeds.
        client.pipeline(["DEL", f"big:{i}"] for i in range(40))
        assert client.call("SAVE") == b"OK"
        client.call("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
        assert client.call("SET", "k", "w") == b"OK"
        assert client.info("persistence")["rdb_last_bgsave_status"] == "ok"
    assert path.read_bytes() != good
    shoal.stop()


def test_a_full_disk_at_shutdown(yard, small_disk):
    """SHUTDOWN SAVE that can't save is refused; with FORCE it ends."""
    shoal, place = full_disk_server(yard, small_disk)
    with shoal.client() as client:
        for i in range(40):
            client.call("SET", f"big:{i}", os.urandom(100000))
        assert "Errors trying to SHUTDOWN" in client.reply("SHUTDOWN", "SAVE")
        assert client.call("GET", "precious") == b"kept"
        client.send("SHUTDOWN", "SAVE", "FORCE")
        assert shoal.wait_end() in (0, 1)


def test_a_save_into_a_directory_that_is_gone(server):
    precious = server(enable_protected_configs="yes")
    precious.call("SET", "precious", "kept")
    place = precious.directory / "gone"
    place.mkdir()
    with precious.client() as client:
        client.call("CONFIG", "SET", "dir", place)
        place.rmdir()
        assert isinstance(client.reply("SAVE"), Error)
        assert client.call("CONFIG", "SET", "dir", precious.directory) == b"OK"
        assert client.call("SAVE") == b"OK"
    still_well(precious)


def test_a_port_that_is_taken(server):
    first = server(pidfile="it.pid")
    pidfile = first.directory / "it.pid"
    second = server(start=False, pidfile=pidfile)
    second.directives["port"] = first.port
    second.spawn()
    assert second.wait_end() == 1
    assert int(pidfile.read_text()) == first.pid
    assert str(first.port) in second.log() and "ddress already in use" in second.log()
    assert first.call("PING") == b"PONG"


def test_a_bus_port_that_is_taken(server):
    shoal = server(start=False, cluster_enabled="yes")
    with socket.create_server(("127.0.0.1", shoal.port + 10000)):
        shoal.spawn()
        assert shoal.wait_end() == 1
        assert str(shoal.port + 10000) in shoal.log() or "ddress already in use" in shoal.log()


def test_a_directory_that_is_not_there(server):
    shoal = server(start=False, dir="/nosuchdirectory/at/all")
    shoal.spawn()
    assert shoal.wait_end() == 1
    assert "nosuchdirectory" in shoal.log()


def test_nodes_conf_is_locked_against_a_second_process(server):
    first = server(cluster_enabled="yes")
    second = server(start=False, cluster_enabled="yes", dir=first.directory)
    second.spawn()
    assert second.wait_end() == 1
    assert "nodes.conf" in second.log() and re.search("lock|already used", second.log())
    assert first.call("PING") == b"PONG"


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x00\x01v", b"\x00\x01v\x0a\x00" + b"\x00" * 7, os.urandom(50), b"\xff" * 100],
                         ids=len)
def test_restore_of_what_is_no_dump(precious, payload):
    with precious.client() as client:
        assert client.reply("RESTORE", "k", 0, payload) == "ERR DUMP payload version or checksum are wrong"
    still_well(precious)


def test_restore_with_a_good_checksum_and_a_bad_body(server, redis_server):
    """The checksum is right, the length inside is not; a value type that we lack; a version from the future."""
    shoal = server()
    shoal.call("SET", "precious", "kept")

    def crc64(data):
        crc = 0
        for byte in data:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
        return crc.to_bytes(8, "little")

    def sealed(body, version=10):
        data = body + version.to_bytes(2, "little")
        return data + crc64(data)
    with shoal.client() as client:
        client.call("SET", "k", "v")
        assert sealed(b"\x00\x01v", 10) in (client.call("DUMP", "k"), sealed(b"\x00\x01v", 10))
        assert client.call("RESTORE", "good", 0, sealed(b"\x00\x01v")) == b"OK"
        for body in (b"\x00\x40", b"\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff", b"\x00\x10short", b"\x63\x01v", b"\x00",
                     b"\x00\xc3\x05\x40\x64ab", b"\x00\xc9x", b"\x00\xc3\x01\x81\x00\x00\x00\xff\x00\x00\x00\x00a"):
            reply = client.reply("RESTORE", "bad", 0, sealed(body))
            assert isinstance(reply, Error) and reply.startswith("ERR Bad data format"), (body, reply)
        assert "version or checksum" in client.reply("RESTORE", "bad", 0, sealed(b"\x00\x01v", 999))
        assert client.call("EXISTS", "bad") == 0
    still_well(shoal)
