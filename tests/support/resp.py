"""A client that hides nothing: it sends what it is told and keeps every reply's type, and its bytes if asked.

Types of replies: Simple (bytes), Error (str), int, bytes, None, list, and in RESP3 Map, Set, Push (lists), float,
bool, Big (int), Verbatim (bytes with .format).
"""
import socket
import time

from .programs import SLOWNESS


class Simple(bytes):
    def __repr__(self):
        return "+" + super().__repr__()


class Error(str):
    """An error reply as a value."""

    def __repr__(self):
        return f"-{str(self)!r}"

    @property
    def code(self):
        return self.split(" ", 1)[0]


class ReplyError(AssertionError):
    """An error reply as an exception, from Client.call(): that there is none is what call() asserts."""

    @property
    def code(self):
        return str(self).split(" ", 1)[0]


class Map(list):
    """A RESP3 map: a list of (key, value) in the order they came."""

    def __getitem__(self, key):
        if isinstance(key, (int, slice)) and not isinstance(key, bool):
            return super().__getitem__(key)
        for name, value in self:
            if name == key:
                return value
        raise KeyError(key)


class Set(list):
    pass


class Push(list):
    pass


class Big(int):
    pass


class Verbatim(bytes):
    format = b""


class Closed(ConnectionError):
    """The server closed the connection."""


def encode(arguments):
    """One command as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        if not isinstance(argument, (bytes, bytearray)):
            argument = str(argument).encode("utf-8", "surrogateescape")
        parts.append(b"$%d\r\n%s\r\n" % (len(argument), argument))
    return b"".join(parts)


class Client:
    def __init__(self, port=None, host="127.0.0.1", path=None, protocol=2, timeout=10, password=None):
        if path is not None:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(timeout * SLOWNESS)
            self.socket.connect(str(path))
        else:
            self.socket = socket.create_connection((host, port), timeout * SLOWNESS)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout = timeout
        self.buffer = bytearray()
        self.position = 0
        self.pushed = []
        if password is not None:
            self.call("AUTH", password)
        if protocol != 2:
            self.call("HELLO", protocol)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # ---- sending ----

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send(self, *arguments):
        self.socket.sendall(encode(arguments))

    # ---- receiving ----

    def _fill(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise Closed("the server closed the connection")
        self.buffer += data

    def _line(self):
        while True:
            end = self.buffer.find(b"\r\n", self.position)
            if end >= 0:
                line = bytes(self.buffer[self.position:end])
                self.position = end + 2
                return line
            self._fill()

    def _exactly(self, count):
        while len(self.buffer) - self.position < count + 2:
            self._fill()
        data = bytes(self.buffer[self.position:self.position + count])
        assert self.buffer[self.position + count:self.position + count + 2] == b"\r\n", "a bulk without its end"
        self.position += count + 2
        return data

    def _items(self, count):
        return [self._parse() for _ in range(count)]

    def _parse(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return Simple(rest)
        if kind == b"-":
            return Error(rest.decode("utf-8", "surrogateescape"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._exactly(int(rest))
        if kind == b"*":
            return None if rest == b"-1" else self._items(int(rest))
        if kind == b"_":
            return None
        if kind == b"#":
            return {b"t": True, b"f": False}[rest]
        if kind == b",":
            return float(rest)
        if kind == b"(":
            return Big(rest)
        if kind == b"%":
            flat = self._items(2 * int(rest))
            return Map(zip(flat[::2], flat[1::2]))
        if kind == b"~":
            return Set(self._items(int(rest)))
        if kind == b">":
            return Push(self._items(int(rest)))
        if kind == b"=":
            data = self._exactly(int(rest))
            value = Verbatim(data[4:])
            value.format = data[:3]
            return value
        if kind == b"!":
            return Error(self._exactly(int(rest)).decode("utf-8", "surrogateescape"))
        raise AssertionError(f"no reply starts with {line[:80]!r}")

    def read(self):
        """One reply as a value; errors are values too. A timeout leaves what has come for the next call."""
        start = self.position
        try:
            value = self._parse()
        except socket.timeout:
            self.position = start
            raise
        if self.position == len(self.buffer):
            self.buffer.clear()
            self.position = 0
        elif self.position > 1 << 20:
            del self.buffer[:self.position]
            self.position = 0
        return value

    def read_raw(self):
        """The bytes of one whole reply."""
        if self.position:
            del self.buffer[:self.position]
            self.position = 0
        try:
            self._parse()
        except socket.timeout:
            self.position = 0
            raise
        raw = bytes(self.buffer[:self.position])
        del self.buffer[:self.position]
        self.position = 0
        return raw

    def reply(self, *arguments):
        """Sends a command and returns its reply; an error is a value."""
        self.send(*arguments)
        return self.read()

    def raw(self, *arguments):
        self.send(*arguments)
        return self.read_raw()

    def call(self, *arguments):
        """Sends a command and returns its reply; an error is raised as ReplyError."""
        value = self.reply(*arguments)
        if isinstance(value, Error):
            raise ReplyError(value)
        return value

    def pipeline(self, commands, chunk=2000):
        """Sends many commands, reading between the chunks; returns all replies."""
        replies = []
        commands = list(commands)
        for start in range(0, len(commands), chunk):
            part = commands[start:start + chunk]
            self.send_bytes(b"".join(encode(command) for command in part))
            replies += [self.read() for _ in part]
        return replies

    def info(self, section=None):
        """INFO as a dictionary of strings."""
        text = self.call("INFO", section) if section else self.call("INFO")
        pairs = (line.split(":", 1) for line in text.decode().splitlines() if ":" in line and line[0] != "#")
        return dict(pairs)

    def config(self, name):
        reply = self.call("CONFIG", "GET", name)
        if isinstance(reply, Map):
            return reply[name.encode()].decode()
        return reply[1].decode()

    def silent_for(self, seconds):
        """True when nothing comes within `seconds`."""
        self.socket.settimeout(seconds)
        try:
            self._fill()
            return False
        except socket.timeout:
            return True
        finally:
            self.socket.settimeout(self.timeout * SLOWNESS)

    def closed_by_peer(self, seconds=5):
        """True when the server closes within `seconds`; what it still sends is kept in the buffer."""
        deadline = time.monotonic() + seconds * SLOWNESS
        try:
            while time.monotonic() < deadline:
                self.socket.settimeout(max(0.01, deadline - time.monotonic()))
                self._fill()
            return False
        except Closed:
            return True
        except socket.timeout:
            return False
        except ConnectionError:
            return True
