"""Free ports for servers. A port is handed out together with its bus port (+10000) and stays reserved, also against
other test runs on this machine, by a lock on a file, until it is given back.

Ports come from below the kernel's ephemeral range, so that no outgoing connection sits on them by chance.
"""
import fcntl
import os
import pathlib
import random
import socket
import tempfile

FIRST, LAST, BUS = 11000, 20999, 10000
_directory = pathlib.Path(tempfile.gettempdir()) / f"shoal-test-ports.{os.getuid()}"
_held = {}
_random = random.Random(os.urandom(8))


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _reserve(port):
    handle = os.open(_directory / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return False
    if port in _held or not (_is_free(port) and _is_free(port + BUS)):
        os.close(handle)
        return False
    _held[port] = handle
    return True


def take(count=1):
    """Returns a port that is free and whose bus port is free as well; the first of `count` such ports in a row."""
    _directory.mkdir(mode=0o700, exist_ok=True)
    for _ in range(2000):
        first = _random.randrange(FIRST, LAST + 1 - count)
        row = range(first, first + count)
        got = [port for port in row if port not in _held and _reserve(port)]
        if len(got) == count:
            return first
        give_back(*got)
    raise RuntimeError("no free port for a test server")


def give_back(*ports):
    for port in ports:
        handle = _held.pop(port, None)
        if handle is not None:
            os.close(handle)
