"""What a client program told, judged: is every value right, and did errors come only when they may?

A client's lanes each work for themselves, one operation after the other, on keys that nobody else touches. So at any
moment it is known what a key may hold: what was written last, or, if writes failed since, what one of those would have
written: a failed write may have been carried out or not.

Two things are forgiven, because a cluster whose replicas follow asynchronously does not promise more, and are counted:
- a write that was acknowledged shortly before the kill -9 of a primary may be *lost*;
- an INCR under way while a primary is down may be *counted twice*: the library sends it again, by itself, after its
  connection broke, and the first one may have been carried out.
Everything else is *wrong*.
"""
import collections
import dataclasses

# How long before a kill an acknowledged write may lie that gets lost (the replica's distance), in milliseconds.
LOSS = 1000.0
# How long after the slots take writes again a library may take to look at the cluster anew and get there.
GRACE = 1500.0


@dataclasses.dataclass
class Operation:
    start: float  # milliseconds of the epoch
    end: float
    lane: int
    op: str
    key: str
    argument: str
    result: str

    @property
    def failed(self):
        return self.result.startswith("!")


@dataclasses.dataclass
class Outage:
    """A primary was killed; its slots took no writes from `start` to `end`."""
    start: float
    end: float

    def excuses(self, operation):
        return operation.end >= self.start and operation.start <= self.end + GRACE

    def may_lose(self, written, seen):
        return self.start - LOSS <= written <= self.end + GRACE and seen >= self.start


def parse(line):
    start, end, lane, op, key, argument, result = line.split("\t")
    return Operation(float(start), float(end), int(lane), op, key, argument, result)


@dataclasses.dataclass
class Verdict:
    counts: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    wrong: list = dataclasses.field(default_factory=list)
    errors: list = dataclasses.field(default_factory=list)        # while a primary was down
    bad_errors: list = dataclasses.field(default_factory=list)    # at any other time
    lost: int = 0
    twice: int = 0
    slowest: float = 0.0          # outside outages
    last_error_after: float = 0.0  # milliseconds after the slots took writes again

    @property
    def good(self):
        return not self.wrong and not self.bad_errors and all(self.counts[op] for op in ("SET", "GET", "INCR"))


class Text:
    """A key that is SET: which values it may hold. `history` has what was acknowledged, with its time."""

    def __init__(self):
        self.last = None
        self.maybe = []  # in the order of the attempts
        self.history = [(0.0, None)]

    def write(self, operation):
        if operation.failed:
            self.maybe.append(operation.argument)
        else:
            self.last, self.maybe = operation.argument, []
            self.history.append((operation.end, operation.argument))

    def read(self, value, time, outages):
        """'right', 'lost' or 'wrong'; afterwards the key is taken to hold the value."""
        if value == self.last:
            return "right"
        if value in self.maybe:
            self.last, self.maybe = value, self.maybe[self.maybe.index(value) + 1:]
            self.history.append((time, value))
            return "right"
        for index, (_, known) in enumerate(self.history):
            if known == value:
                after = self.history[index + 1:]
                if any(all(outage.may_lose(written, time) for written, _ in after) for outage in outages):
                    self.last = value
                    return "lost"
        return "wrong"


class Count:
    """A key that is counted: the range that its number may lie in. `history` has the times of acknowledged INCRs."""

    def __init__(self):
        self.low = self.high = 0
        self.history = []

    def attempt_failed(self):
        self.high += 1

    def see(self, number, time, outages):
        """A number that was read; returns 'right', 'lost' or 'wrong'."""
        low, high = self.low, self.high
        self.low = self.high = number
        if low <= number <= high:
            return "right"
        if number < low:
            losable = sum(any(outage.may_lose(written, time) for outage in outages) for written in self.history)
            if number >= low - losable:
                return "lost"
        return "wrong"

    def increment(self, operation, outages):
        """An acknowledged INCR; returns 'right', 'lost', 'twice' or 'wrong'."""
        self.low, self.high = self.low + 1, self.high + 1
        number, high = int(operation.result[1:]), self.high
        found = self.see(number, operation.end, outages)
        self.history.append(operation.end)
        if found == "wrong" and number > high and any(outage.excuses(operation) for outage in outages):
            return "twice"
        return found


def judge(operations, outages):
    verdict = Verdict()
    texts, counts = collections.defaultdict(Text), collections.defaultdict(Count)
    for operation in operations:
        excused = [outage for outage in outages if outage.excuses(operation)]
        if not excused:
            verdict.slowest = max(verdict.slowest, operation.end - operation.start)
        if operation.failed:
            (verdict.errors if excused else verdict.bad_errors).append(operation)
            if excused:
                verdict.last_error_after = max(verdict.last_error_after, operation.end - excused[0].end)
            if operation.op == "SET":
                texts[operation.key].write(operation)
            if operation.op == "INCR":
                counts[operation.key].attempt_failed()
            continue
        verdict.counts[operation.op] += 1
        found = _value(operation, texts, counts, outages)
        if found == "wrong":
            verdict.wrong.append(operation)
        verdict.lost += found == "lost"
        verdict.twice += found == "twice"
    return verdict


def _value(operation, texts, counts, outages):
    if operation.op == "SET":
        texts[operation.key].write(operation)
        return "right" if operation.result == "OK" else "wrong"
    if operation.op == "INCR":
        return counts[operation.key].increment(operation, outages)
    value = None if operation.result == "nil" else operation.result[1:]
    if not operation.key.endswith(":n"):
        return texts[operation.key].read(value, operation.end, outages)
    if value is not None and not value.isdigit():
        return "wrong"
    return counts[operation.key].see(int(value or 0), operation.end, outages)
