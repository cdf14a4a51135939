"""Bytes that are no well-formed array of bulk strings: inline commands and protocol errors."""
import pytest

from support.resp import Closed

LINES = [
    b"PING\r\n", b"PING\n", b"ping hello\r\n", b"SET k v\r\nGET k\r\n", b"\r\nPING\r\n", b"\n\n\nPING\n", b"   PING   \r\n",
    b"SET k \"a b\"\r\nGET k\r\n", b"SET k 'a b'\r\nGET k\r\n", b"SET k \"\\x41\\n\\\\\\\"\"\r\nGET k\r\n",
    b"SET k 'it\\'s'\r\nGET k\r\n", b"SET k \"\"\r\nGET k\r\n", b"SET k ''\r\nSTRLEN k\r\n", b"PING\tx\r\n",
    b"SET k \"unbalanced\r\nPING\r\n", b"SET k 'unbalanced\r\n", b"SET k \"a\"b\r\n", b"GET\r\n", b"nosuch a b\r\n",
    b"*0\r\nPING\r\n", b"*-1\r\nPING\r\n", b"*1\r\n$4\r\nPING\r\n", b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
    b"*1\r\n$4\r\nPING\r\nPING\r\n*1\r\n$4\r\nPING\r\n", b"PING \xff\xfe\r\n",
]

# After each of these, Redis says what is wrong and closes the connection.
FATAL = [
    b"*1\r\nPING\r\n", b"*1\r\n:4\r\nPING\r\n", b"*abc\r\n", b"*2147483648\r\n", b"*1\r\n$-1\r\n",
    b"*1\r\n$abc\r\n", b"*1\r\n$536870913\r\n", b"*1\r\n$9999999999999999999999\r\n", b"*1\r\n$\r\n", b"*\r\n",
    b"*1\r\n$4 \r\nPING\r\n", b"*1 \r\n", b"*+1\r\n$4\r\nPING\r\n", b"*1\r\n\r\n", b"*1\r\n$+4\r\nPING\r\n",
    b"*01\r\n$4\r\nPING\r\n", b"*1\r\n$04\r\nPING\r\n", b"*" + b"1" * 70000, b"*1\r\n$" + b"1" * 70000, b"A" * 70000,
    b"SET k \"open\r\n",
]


def conversation(server, data, marker=b"ECHO the-end\r\n"):
    """All bytes that come back, and whether the server closed."""
    with server.client(timeout=3) as client:
        client.send_bytes(data)
        try:
            client.send_bytes(marker)
        except OSError:
            pass
        closed = False
        try:
            while b"the-end" not in client.buffer:
                client._fill()
        except (Closed, ConnectionError):
            closed = True
        except TimeoutError:
            pass
        return bytes(client.buffer), closed


@pytest.mark.parametrize("data", LINES, ids=repr)
def test_inline(pair, data):
    pair.reset()
    assert conversation(pair.ours, data) == conversation(pair.real, data)


@pytest.mark.parametrize("data", FATAL, ids=lambda data: repr(data[:30]))
def test_protocol_error(pair, data):
    mine, other = conversation(pair.ours, data, b""), conversation(pair.real, data, b"")
    if not other[1]:
        mine, other = conversation(pair.ours, data), conversation(pair.real, data)
    # A reset connection may swallow the last words; the error must be the same when it arrives at both.
    assert mine[1] == other[1]
    if mine[0] and other[0]:
        assert mine[0] == other[0]
    assert mine[0] or not other[0], f"closed without a word; Redis says {other[0]!r}"
    assert pair.ours.call("PING") == b"PONG"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_commands_in_pieces(pair, size):
    """However the bytes are cut into packets, the replies are the same."""
    pair.reset()
    data = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$11\r\nhello\r\nworl\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\nECHO the-end\r\n"
    replies = []
    for server in (pair.ours, pair.real):
        with server.client() as client:
            for start in range(0, len(data), size):
                client.send_bytes(data[start:start + size])
            replies.append([client.read_raw() for _ in range(4)])
    assert replies[0] == replies[1]
