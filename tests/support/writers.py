"""Clients of a cluster that write while something happens to it, and know afterwards what was acknowledged to them.

Standard library only, so that tools/bench can use it too.
"""
import functools
import time

from .cluster import slot_of
from .programs import wait_until
from .resp import Client, Error
from .threads import beside

# What a client meets while its primary ends in order or dies; who asks another node then, loses no more than time.
HARMLESS = {"MOVED", "ASK", "Closed", "ConnectionResetError", "ConnectionRefusedError", "BrokenPipeError"}
CONFIRM_MS = 500


class _Hand:
    """One thread's connections, and the node where it believes its slot to be."""

    def __init__(self, writer, tag):
        self.writer = writer
        self.tag = tag
        self.clients = {}
        self.port = writer.ports[0]
        self.asking = False

    def close(self):
        for client in self.clients.values():
            client.close()

    def elsewhere(self):
        others = [port for port in self.writer.ports if port != self.port]
        self.port, self.asking = others[int(time.monotonic() * 1e6) % len(others)], False

    def send(self, *command):
        """The reply; None when there was none, and another node is to be asked."""
        try:
            if self.port not in self.clients:
                self.clients[self.port] = Client(self.port, timeout=self.writer.timeout)
            client = self.clients[self.port]
            if self.asking:
                client.send("ASKING")
                client.send(*command)
                client.read()
                return client.read()
            return client.reply(*command)
        except OSError as error:
            self.writer.note(type(error).__name__)
            lost = self.clients.pop(self.port, None)
            if lost:
                lost.close()
            self.elsewhere()
            return None

    def write(self, key, value):
        """True when the write was acknowledged."""
        reply = self.send("SET", key, value)
        if not isinstance(reply, Error):
            return reply is not None
        self.writer.note(reply.code)
        if reply.code in ("MOVED", "ASK"):
            self.port, self.asking = int(reply.rsplit(":", 1)[1]), reply.code == "ASK"
        else:
            self.elsewhere()
        return False

    def confirm(self):
        """True when a replica has what was written last."""
        reply = self.send("WAIT", 1, CONFIRM_MS)
        return isinstance(reply, int) and reply >= 1


class Writer:
    """A thread for each tag writes {tag}:0, {tag}:1 and so on, each until it is acknowledged: as no key is written again,
    no later write hides the loss of an earlier one. It follows MOVED and ASK, and asks another node when one does not
    answer. With `confirm` it asks after each write whether a replica has it.

    acknowledged[tag] is how many were; confirmed[tag] the numbers of those that a replica had; longest[tag] the longest
    time between two acknowledgements, in seconds."""

    def __init__(self, ports, tags, confirm=False, pause=0.001, timeout=10):
        self.ports = list(ports)
        self.confirm, self.pause, self.timeout = confirm, pause, timeout
        self.acknowledged = {tag: 0 for tag in tags}
        self.confirmed = {tag: set() for tag in tags}
        self.forgiven = {tag: set() for tag in tags}
        self.longest = {tag: 0.0 for tag in tags}
        self.errors = {}
        self.failures = []
        self.threads = beside([functools.partial(self._run, tag) for tag in tags])

    def note(self, word):
        self.errors[word] = self.errors.get(word, 0) + 1

    @staticmethod
    def key(tag, number):
        return f"{{{tag}}}:{number}"

    def _run(self, tag, stop):
        hand, last = _Hand(self, tag), time.monotonic()
        try:
            while not stop.is_set():
                number = self.acknowledged[tag]
                if hand.write(self.key(tag, number), number):
                    now = time.monotonic()
                    self.longest[tag] = max(self.longest[tag], now - last)
                    last = now
                    self.acknowledged[tag] = number + 1
                    if self.confirm and hand.confirm():
                        self.confirmed[tag].add(number)
                time.sleep(self.pause)
        except BaseException as error:  # noqa: BLE001 - check() tells it
            self.failures.append(f"{tag}: {error!r}")
        hand.close()

    def __enter__(self):
        self.threads.__enter__()
        try:
            self.more()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self.forget_times()
        return self

    def __exit__(self, *error):
        return self.threads.__exit__(*error)

    def forget_times(self):
        for tag in self.longest:
            self.longest[tag] = 0.0

    def more(self, count=20, seconds=20):
        """Waits until every thread has written so many more."""
        marks = dict(self.acknowledged)
        wait_until(lambda: self.failures or all(self.acknowledged[tag] >= marks[tag] + count for tag in marks), seconds,
                   "more writes")

    def longest_gap(self):
        return max(self.longest.values())

    def lost(self, owner_of, since=None):
        """What was acknowledged and is not there, as {tag: numbers}; owner_of(slot) is the port to ask. `since` {tag: n}
        leaves out the first n of each."""
        lost = {}
        for tag, count in list(self.acknowledged.items()):
            numbers = range(since[tag] if since else 0, count)
            with Client(owner_of(slot_of(tag)), timeout=30) as client:
                values = client.pipeline(["GET", self.key(tag, number)] for number in numbers)
            errors = [value for value in values if isinstance(value, Error)]
            if errors:
                raise AssertionError(f"{len(errors)} keys of {tag} can't be read: {errors[0]}")
            missing = {number for number, value in zip(numbers, values) if value != b"%d" % number} - self.forgiven[tag]
            if missing:
                lost[tag] = missing
        return lost

    def forgive(self, tag, numbers):
        """Whoever asks again what is lost is not told of these."""
        self.forgiven[tag] |= numbers

    def check(self, owner_of):
        """No thread failed, and nothing that was acknowledged is lost."""
        assert not self.failures, self.failures
        lost = self.lost(owner_of)
        assert not lost, {tag: (len(numbers), min(numbers), max(numbers), self.acknowledged[tag])
                          for tag, numbers in lost.items()}


def tags_in(slots, count, stem="key"):
    """The first `count` names that hash into `slots`, a container of slots."""
    found, number = [], 0
    while len(found) < count:
        if slot_of(f"{stem}{number}") in slots:
            found.append(f"{stem}{number}")
        number += 1
    return found
