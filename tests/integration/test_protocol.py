"""Connections: pipelines, RESP3, big arguments, Unix socket, passwords, limits of the buffers."""
import os
import socket
import stat
import time

import pytest

from support.programs import wait_until
from support.resp import Client, Closed, encode


def test_pipeline_keeps_order(server):
    with server().client() as client:
        replies = client.pipeline((["SET", f"k{i}", i] if i % 2 == 0 else ["GET", f"k{i - 1}"] for i in range(20000)),
                                  chunk=20000)
        assert replies[0::2] == [b"OK"] * 10000
        assert replies[1::2] == [str(i).encode() for i in range(0, 20000, 2)]


def test_pipeline_of_many_connections_at_once(server):
    shoal = server()
    clients = [shoal.client() for _ in range(50)]
    for number, client in enumerate(clients):
        client.send_bytes(b"".join(encode(["INCRBY", f"n{number % 5}", 1]) for _ in range(200)))
    for client in clients:
        last = 0
        for _ in range(200):
            value = client.read()
            assert value > last
            last = value
    assert [shoal.call("GET", f"n{i}") for i in range(5)] == [b"2000"] * 5


@pytest.mark.parametrize("size", [16 * 1024 - 1, 16 * 1024, 64 * 1024 + 1, 1 << 20, 20 << 20])
def test_big_values(server, size):
    value = os.urandom(4096) * (size // 4096) + b"x" * (size % 4096)
    with server().client() as client:
        assert client.call("SET", "big", value) == b"OK"
        assert client.call("GET", "big") == value
        assert client.call("STRLEN", "big") == size
        assert client.call("GETRANGE", "big", size - 10, -1) == value[-10:]
        assert client.call("APPEND", "big", "end") == size + 3
        assert client.pipeline([["GET", "big"]] * 3) == [value + b"end"] * 3


def test_many_arguments(server):
    with server().client() as client:
        words = [word for i in range(100000) for word in (f"k{i}", i)]
        assert client.call("MSET", *words) == b"OK"
        assert client.call("DBSIZE") == 100000
        assert client.call("MGET", *words[::2]) == [str(i).encode() for i in range(100000)]
        assert client.call("DEL", *words[::2]) == 100000


def test_slow_reader_does_not_stop_others(server):
    """A client that doesn't read its 64 MB of replies costs the others nothing."""
    shoal = server()
    with shoal.client() as lazy, shoal.client() as other:
        other.call("SET", "big", b"x" * (1 << 20))
        for _ in range(64):
            lazy.send("GET", "big")
        for _ in range(100):
            assert other.call("PING") == b"PONG"
        for _ in range(64):
            assert len(lazy.read()) == 1 << 20


def test_half_closed_client_gets_its_replies(server):
    with server().client() as client:
        client.send_bytes(encode(["PING"]) * 100)
        client.socket.shutdown(socket.SHUT_WR)
        got = b""
        try:
            while True:
                data = client.socket.recv(4096)
                if not data:
                    break
                got += data
        except ConnectionError:
            pass
        assert got == b"+PONG\r\n" * 100


def test_unix_socket(server):
    shoal = server(unixsocket="shoal.sock", unixsocketperm=700)
    path = shoal.directory / "shoal.sock"
    with Client(path=path) as client, shoal.client() as tcp:
        assert client.call("SET", "k", "v") == b"OK"
        assert tcp.call("GET", "k") == b"v"
        assert b"addr=" + str(path).encode() in client.call("CLIENT", "INFO") or \
            b"shoal.sock:0" in client.call("CLIENT", "INFO")
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    shoal.stop()
    assert not path.exists(), "the socket is left behind"


def test_unix_socket_alone(server):
    shoal = server(start=False, port=0, unixsocket="only.sock")
    shoal.spawn()
    path = shoal.directory / "only.sock"
    wait_until(path.exists, 10, "the socket")

    def ping():
        with Client(path=path) as client:
            return client.call("PING") == b"PONG"
    wait_until(ping, 10, "an answer over the socket")


def test_requirepass(server):
    shoal = server(requirepass="open sesame")
    with Client(shoal.port) as client:
        assert client.reply("GET", "k").code == "NOAUTH"
        assert client.reply("SET", "k", "v").code == "NOAUTH"
        assert client.reply("AUTH", "wrong").code == "WRONGPASS"
        assert client.reply("GET", "k").code == "NOAUTH"
        assert client.call("AUTH", "open sesame") == b"OK"
        assert client.call("SET", "k", "v") == b"OK"
        assert client.call("RESET") == b"RESET"
        assert client.reply("GET", "k").code == "NOAUTH"
        assert client.call("AUTH", "default", "open sesame") == b"OK"
        assert client.call("CONFIG", "SET", "requirepass", "") == b"OK"
    assert Client(shoal.port).call("GET", "k") == b"v"


def test_unauthenticated_clients_may_not_send_much(server):
    """Before AUTH a request has at most 10 arguments of at most 16 KB each."""
    shoal = server(requirepass="secret")
    with Client(shoal.port) as client:
        client.send_bytes(b"*11\r\n")
        assert "unauthenticated multibulk length" in client.read()
        assert client.closed_by_peer()
    with Client(shoal.port) as client:
        client.send_bytes(b"*2\r\n$4\r\nPING\r\n$16385\r\n")
        assert "unauthenticated bulk length" in client.read()
        assert client.closed_by_peer()
    assert shoal.call("PING") == b"PONG"


def test_query_buffer_limit(server):
    shoal = server(client_query_buffer_limit="1mb")
    with shoal.client() as client:
        with pytest.raises((Closed, ConnectionError)):
            client.send_bytes(b"*2\r\n$4\r\nECHO\r\n$200000000\r\n" + b"x" * (4 << 20))
            client.read()
    assert shoal.call("PING") == b"PONG"
    with shoal.client() as client:
        assert len(client.call("ECHO", b"x" * 500000)) == 500000


def test_output_buffer_hard_limit(server):
    shoal = server(client_output_buffer_limit=("normal", "4mb", 0, 0))
    shoal.call("SET", "big", b"x" * (1 << 20))
    with shoal.client() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            for _ in range(100):
                client.send("GET", "big")
        except ConnectionError:
            pass
        wait_until(lambda: int(shoal.info("clients")["connected_clients"]) == 1, 10, "the greedy client's end")
    assert "output buffer limits" in shoal.log()
    assert shoal.call("PING") == b"PONG"


def test_output_buffer_soft_limit(server):
    shoal = server(client_output_buffer_limit=("normal", 0, "2mb", 1))
    shoal.call("SET", "big", b"x" * (1 << 20))
    with shoal.client() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(20):
            client.send("GET", "big")
        assert int(shoal.info("clients")["connected_clients"]) == 2
        wait_until(lambda: int(shoal.info("clients")["connected_clients"]) == 1, 10, "the soft limit to be over")


def test_argument_over_proto_max_bulk_len(server):
    shoal = server(proto_max_bulk_len="1mb")
    with shoal.client() as client:
        assert client.call("SET", "k", b"x" * (1 << 20)) == b"OK"
        client.send_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048577\r\n")
        assert client.read() == "ERR Protocol error: invalid bulk length"
        assert client.closed_by_peer()
    with shoal.client() as client:
        assert "maximum allowed size" in client.reply("SETRANGE", "k", 1 << 20, "x")
        assert "maximum allowed size" in client.reply("APPEND", "k", "x")
        assert client.call("STRLEN", "k") == 1 << 20


def test_resp3_is_each_connections_own(server):
    shoal = server()
    with shoal.client(protocol=3) as three, shoal.client() as two:
        assert three.raw("GET", "missing") == b"_\r\n"
        assert two.raw("GET", "missing") == b"$-1\r\n"
        assert three.raw("CONFIG", "GET", "maxmemory") == b"%1\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n"
        assert two.raw("CONFIG", "GET", "maxmemory") == b"*2\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n"


def test_client_kill_and_unblock_across_connections(server):
    shoal = server(io_threads=2)
    with shoal.client() as one, shoal.client() as two, shoal.client() as three:
        identity = two.call("CLIENT", "ID")
        assert one.call("CLIENT", "KILL", "ID", identity) == 1
        assert two.closed_by_peer()
        three.send("WAIT", 1, 0)
        blocked = None

        def find():
            for line in one.call("CLIENT", "LIST").decode().splitlines():
                if " cmd=wait " in line and " flags=b " in line:
                    return line.split()[0].split("=")[1]
        blocked = wait_until(find, 5, "the blocked client")
        assert one.call("INFO", "clients").decode().count("blocked_clients:1") == 1
        assert one.call("CLIENT", "UNBLOCK", blocked) == 1
        assert three.read() == 0
        three.send("WAIT", 1, 0)
        wait_until(find, 5, "the blocked client")
        assert one.call("CLIENT", "UNBLOCK", blocked, "ERROR") == 1
        assert three.read().code == "UNBLOCKED"
        assert one.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") == 1
        assert three.closed_by_peer()
        assert one.call("CLIENT", "KILL", "ID", one.call("CLIENT", "ID"), "SKIPME", "no") == 1
        assert one.closed_by_peer()


def test_monitor(server):
    shoal = server()
    with shoal.client() as monitor, shoal.client() as client:
        assert monitor.call("MONITOR") == b"OK"
        client.call("SELECT", 3)
        client.call("SET", "k", b"a\r\n\"\x00\xff")
        client.pipeline([["GET", "k"], ["MULTI"], ["INCR", "n"], ["EXEC"]])
        port = client.socket.getsockname()[1]
        lines = [monitor.read().decode() for _ in range(5)]
        head = lines[0].split(" ", 1)
        assert abs(float(head[0]) - time.time()) < 60 and len(head[0].split(".")[1]) == 6
        rests = [line.split(" ", 1)[1] for line in lines]
        assert rests[0] in (f'[0 127.0.0.1:{port}] "SELECT" "3"', f'[3 127.0.0.1:{port}] "SELECT" "3"')
        assert rests[1] == f'[3 127.0.0.1:{port}] "SET" "k" "a\\r\\n\\"\\x00\\xff"'
        assert rests[2] == f'[3 127.0.0.1:{port}] "GET" "k"'
        assert rests[3] == f'[3 127.0.0.1:{port}] "MULTI"'
        assert rests[4].endswith('"INCR" "n"')
        assert monitor.read().decode().endswith('"EXEC"')
        client.reply("AUTH", "topsecret")
        client.call("ECHO", "end")
        seen = b""
        while b'"ECHO" "end"' not in seen:
            seen = monitor.read()
            assert b"topsecret" not in seen
        assert monitor.call("RESET") == b"RESET"
        client.call("PING")
        assert monitor.call("PING") == b"PONG"


def test_client_pause_holds_writes_of_all_workers(server):
    shoal = server(io_threads=2)
    clients = [shoal.client() for _ in range(8)]
    clients[0].call("CLIENT", "PAUSE", 60000, "WRITE")
    for number, client in enumerate(clients[1:]):
        client.send("INCR", "n")
    time.sleep(0.2)
    assert clients[0].call("GET", "n") is None
    clients[0].call("CLIENT", "UNPAUSE")
    assert sorted(client.read() for client in clients[1:]) == list(range(1, 8))


def test_tracking_of_idle_and_age(server):
    shoal = server()
    with shoal.client() as client, shoal.client() as other:
        time.sleep(1.2)
        other.call("PING")
        fields = dict(word.split("=", 1) for word in other.call("CLIENT", "INFO").decode().split())
        assert int(fields["age"]) >= 1 and fields["cmd"] == "client|info"
        lines = [line for line in other.call("CLIENT", "LIST").decode().splitlines() if "laddr=" in line]
        assert len(lines) == 2
        assert any(int(dict(word.split("=", 1) for word in line.split())["idle"]) >= 1 for line in lines)
        client.call("PING")
