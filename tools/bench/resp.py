"""A small RESP2 client, and a client of a cluster that follows MOVED and ASK. Standard library only."""

import binascii
import socket

SLOTS = 16384


def slot_of(key):
    """The hash slot of a key (bytes)."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1:end]
    return binascii.crc_hqx(key, 0) % SLOTS


class ReplyError(Exception):
    """An error reply of the server."""


def encode(*arguments):
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        if not isinstance(argument, bytes):
            argument = str(argument).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(argument), argument))
    return b"".join(parts)


class Connection:
    """One blocking connection. An error reply is raised by call() and returned by read()."""

    def __init__(self, port, host="127.0.0.1", timeout=10.0):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = self.socket.makefile("rb", buffering=1 << 16)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.input.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read(self):
        line = self.input.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return ReplyError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            if size < 0:
                return None
            body = self.input.read(size + 2)
            if len(body) != size + 2:
                raise ConnectionError("the server closed the connection")
            return body[:-2]
        if kind == b"*":
            size = int(rest)
            return None if size < 0 else [self.read() for _ in range(size)]
        raise ConnectionError("not RESP: %r" % line)

    def call(self, *arguments):
        self.send(encode(*arguments))
        reply = self.read()
        if isinstance(reply, ReplyError):
            raise reply
        return reply


def call(port, *arguments, timeout=10.0):
    """One command over a connection of its own."""
    with Connection(port, timeout=timeout) as connection:
        return connection.call(*arguments)


class ClusterClient:
    """Keeps a map of the slots, follows MOVED and ASK, and counts what it met: .moved, .asked, .errors."""

    REDIRECTIONS_MAX = 16

    def __init__(self, port):
        self.connections = {}
        self.owner = [port] * SLOTS
        self.moved = self.asked = 0
        self.errors = []
        self.refresh(port)

    def refresh(self, port):
        for first, last, primary, *_ in self.at(port).call("CLUSTER", "SLOTS"):
            self.owner[first:last + 1] = [primary[1]] * (last - first + 1)

    def at(self, port):
        if port not in self.connections:
            self.connections[port] = Connection(port)
        return self.connections[port]

    def close(self):
        for connection in self.connections.values():
            connection.close()

    def call(self, command, key, *more):
        """The reply; an error that is no redirection is kept in .errors and raised."""
        slot = slot_of(key)
        port, asking = self.owner[slot], False
        for _ in range(self.REDIRECTIONS_MAX):
            connection = self.at(port)
            if asking:
                connection.call("ASKING")
            connection.send(encode(command, key, *more))
            reply = connection.read()
            if not isinstance(reply, ReplyError):
                return reply
            words = str(reply).split()
            if words[0] == "MOVED":
                self.moved += 1
                port, asking = int(words[2].rsplit(":", 1)[1]), False
                self.owner[slot] = port
            elif words[0] == "ASK":
                self.asked += 1
                port, asking = int(words[2].rsplit(":", 1)[1]), True
            else:
                self.errors.append(str(reply))
                raise reply
        self.errors.append("too many redirections")
        raise ReplyError("too many redirections")
