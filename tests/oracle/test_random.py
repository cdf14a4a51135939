"""Thousands of random commands over few keys, from a seed: every reply and all that is left must be the same.

Expiry uses absolute times far away, so that no reply depends on when it was asked. A failure prints its seed, and
SHOAL_RANDOM_SEED=<seed> runs that one alone.
"""
import os
import random

import pytest

from side_by_side import compare

KEYS = [f"k{i}" for i in range(8)]
FAR = 33177117420
SEEDS = [int(os.environ["SHOAL_RANDOM_SEED"])] if "SHOAL_RANDOM_SEED" in os.environ else list(range(12))
COMMANDS = 4000


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def key(self):
        return self.random.choice(KEYS)

    def integer(self):
        choose = self.random.random()
        if choose < 0.6:
            return self.random.randint(-20, 20)
        if choose < 0.8:
            return self.random.randint(-2**31, 2**31)
        return self.random.choice([0, -1, 2**63 - 1, -2**63, 2**63, 2**62, "abc", "", "1.5", " 1", "01", "+1", "-0"])

    def offset(self):
        return self.random.choice([0, 1, 2, 5, 10, 44, 45, 60, 100, -1, -2, -5, -100, "x"])

    def floating(self):
        return self.random.choice(["0.1", "-0.1", "1.5", "3", "1e3", "1e-5", "-2.5e2", "abc", "1e30", "inf", "0",
                                   "123456789.123456789", "nan"])

    def value(self):
        choose = self.random.random()
        if choose < 0.3:
            return str(self.integer())
        if choose < 0.4:
            return self.floating()
        length = self.random.choice([0, 1, 3, 10, 20, 21, 43, 44, 45, 46, 64, 100, 300])
        alphabet = self.random.choice([b"a", b"ab", bytes(range(256))])
        return bytes(self.random.choices(alphabet, k=length))

    def later(self):
        """An absolute time far away."""
        return self.random.choice([FAR, FAR, FAR + 1, FAR + self.random.randint(0, 1000)])

    def when(self):
        """An absolute time: mostly far away, sometimes gone by, which deletes the key at once."""
        return self.random.choice([self.later(), self.later(), self.later(), 1, 0, -5])

    def condition(self):
        return self.random.choice([[], [], [], ["NX"], ["XX"], ["GT"], ["LT"], ["XX", "GT"], ["NX", "LT"], ["bogus"]])

    def set_options(self):
        options = []
        if self.random.random() < 0.3:
            options.append(self.random.choice(["NX", "XX"]))
        if self.random.random() < 0.3:
            options.append("GET")
        choose = self.random.random()
        if choose < 0.15:
            options += ["EXAT", self.later()]
        elif choose < 0.3:
            options += ["PXAT", self.later() * 1000 + 7]
        elif choose < 0.4:
            options.append("KEEPTTL")
        self.random.shuffle(options) if all(isinstance(o, str) for o in options) else None
        return options

    def command(self):
        key, other = self.key(), self.key()
        many = self.random.sample(KEYS, self.random.randint(1, 4))
        commands = [
            (20, lambda: ["SET", key, self.value(), *self.set_options()]),
            (10, lambda: ["GET", key]),
            (3, lambda: ["GETDEL", key]),
            (3, lambda: ["GETSET", key, self.value()]),
            (3, lambda: ["GETEX", key, *self.random.choice([[], ["PERSIST"], ["EXAT", self.later()],
                                                            ["PXAT", FAR * 1000 + 3]])]),
            (8, lambda: ["APPEND", key, self.value()]),
            (5, lambda: ["STRLEN", key]),
            (6, lambda: ["SETRANGE", key, self.offset(), self.value()]),
            (5, lambda: [self.random.choice(["GETRANGE", "SUBSTR"]), key, self.offset(), self.offset()]),
            (6, lambda: [self.random.choice(["INCR", "DECR"]), key]),
            (6, lambda: [self.random.choice(["INCRBY", "DECRBY"]), key, self.integer()]),
            (5, lambda: ["INCRBYFLOAT", key, self.floating()]),
            (4, lambda: ["MGET", *many]),
            (4, lambda: ["MSET", *[word for name in many for word in (name, self.value())]]),
            (3, lambda: ["MSETNX", *[word for name in many for word in (name, self.value())]]),
            (3, lambda: ["SETNX", key, self.value()]),
            (2, lambda: ["LCS", key, other, *self.random.choice([[], ["LEN"], ["IDX"], ["IDX", "WITHMATCHLEN"]])]),
            (6, lambda: [self.random.choice(["DEL", "UNLINK", "EXISTS", "TOUCH"]), *many]),
            (2, lambda: ["TYPE", key]),
            (5, lambda: ["EXPIREAT", key, self.when(), *self.condition()]),
            (4, lambda: ["PEXPIREAT", key, self.when() * 1000, *self.condition()]),
            (4, lambda: [self.random.choice(["EXPIRETIME", "PEXPIRETIME"]), key]),
            (3, lambda: ["PERSIST", key]),
            (4, lambda: [self.random.choice(["RENAME", "RENAMENX"]), key, other]),
            (4, lambda: ["COPY", key, other, *self.random.choice([[], ["REPLACE"], ["DB", 1], ["DB", 1, "REPLACE"]])]),
            (2, lambda: ["MOVE", key, self.random.choice([0, 1])]),
            (3, lambda: ["DUMP", key]),
            (3, lambda: ["OBJECT", "ENCODING", key]),
            (2, lambda: ["DBSIZE"]),
            (1, lambda: ["SELECT", self.random.choice([0, 0, 1])]),
            (1, lambda: ["SWAPDB", 0, 1]),
            (2, lambda: [self.random.choice(["MULTI", "EXEC", "EXEC", "EXEC", "DISCARD"])]),
            (1, lambda: ["WATCH", key]),
            (1, lambda: [self.random.choice(["GET", "SET", "INCR", "nosuch"]), *many]),
        ]
        weights = [weight for weight, _ in commands]
        return self.random.choices([make for _, make in commands], weights)[0]()


def left(server):
    """All that is in the databases, with its bytes and its expiry."""
    found = {}
    with server.client() as client:
        for database in (0, 1):
            client.call("SELECT", database)
            for key in client.call("KEYS", "*"):
                found[database, key] = client.call("DUMP", key), client.call("PEXPIRETIME", key)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_random_commands(pair, seed):
    pair.reset()
    generator = Generator(seed)
    commands = [generator.command() for _ in range(COMMANDS)] + [["DISCARD"]]
    def touched_before(index):
        command = commands[index]
        return [c for c in commands[max(0, index - 400):index] if set(c[1:]) & set(command[1:])
                or c[0] in ("MULTI", "EXEC", "DISCARD", "SWAPDB", "SELECT")][-12:]
    compare(pair, seed, commands, touched_before)
    assert left(pair.ours) == left(pair.real)
