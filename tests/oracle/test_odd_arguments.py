"""Commands with arguments that nobody would give them, from a seed: both servers must refuse, or understand, the same.

test_random.py looks for values that go wrong in long sequences; this looks at the edges of each argument: bounds of
integers and floats, options twice, in odd places, cut off, of other commands; bad values of CONFIG SET; all of it in and
out of MULTI, and as the argument of COMMAND GETKEYS. Times are long gone or far away, so that no reply depends on when it
was asked. SHOAL_RANDOM_SEED=<seed> runs one alone.
"""
import os
import random

import pytest

from side_by_side import compare

SEEDS = [int(os.environ["SHOAL_RANDOM_SEED"])] if "SHOAL_RANDOM_SEED" in os.environ else list(range(6))
COMMANDS = 4000

KEYS = [b"a", b"b", b"{t}c", b"", b"k\x00z", b"1"]
VALUES = [b"", b"x", b"hello", b"123", b"-5", b"1.5", b"\x00\xff", b"y" * 44, b"y" * 45, b"9223372036854775807", b"z" * 2000,
          b" 12"]
INTEGERS = ["0", "1", "-1", "2", "5", "100", "-100", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
            "18446744073709551615", "4294967296", "2147483648", "9999999999", "1.5", "abc", "", " 1", "1 ", "+1", "01", "-0",
            "0x10", "1e3", "\x001"]
FLOATS = ["0.1", "-1.5", "1e3", "nan", "inf", "-inf", "1e308", "1e4932", "0x1p3", "1e-400", "5e-324", "1.", " 1", "1 ", ".5",
          "-.5", "1e", "infinity", "", "12345678901234567890.123456789", "0.00000000000000000001", "1e17", "1e18"]
BAD_TIMES = ["0", "-1", "abc", "", "9223372036854775807", "9223372036854775", "1.5", "99999999999999999999"]
FAR, FAR_MS = ["33177117420", "33177117421"], ["33177117420123", "33177117420124"]
DUMPED = b"\x00\x01v\x0a\x00\x8bC\xd5\x5b\xd8\xee\x7f\xf7"
BAD_NUMBERS = ["abc", "", "-1", "99999999999999999999", "1.5", "0x10", "1 ", " 5", "-"]
BAD_SIZES = ["abc", "-1", "5zb", "0.5mb", "10 mb", "1kk", "-"]
NUMBERS_SET = ["hz", "timeout", "tcp-keepalive", "repl-timeout", "slowlog-max-len", "lfu-decay-time", "lfu-log-factor",
               "active-expire-effort", "repl-backlog-ttl", "maxmemory-eviction-tenacity", "min-replicas-max-lag",
               "latency-monitor-threshold", "cluster-node-timeout", "replica-priority", "shutdown-timeout",
               "repl-ping-replica-period", "cluster-announce-port", "cluster-migration-barrier"]
SIZES_SET = ["repl-backlog-size", "client-query-buffer-limit", "proto-max-bulk-len", "maxmemory"]
WORDS_SET = ["maxmemory-policy", "appendfsync", "sanitize-dump-payload", "rdbcompression", "lazyfree-lazy-expire",
             "protected-mode", "dynamic-hz", "replica-read-only", "save", "client-output-buffer-limit"]


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def one(self, choices):
        return self.random.choice(choices)

    def key(self):
        return self.one(KEYS)

    def keys(self):
        return [self.key() for _ in range(self.random.randint(0, 3))]

    def options(self, *names):
        """Some of the options in any order and number. A tuple has the values to choose from for each word after it."""
        words = []
        for _ in range(self.one([0, 0, 1, 1, 2, 3])):
            chosen = self.one(names)
            if isinstance(chosen, str):
                words.append(self.one([str.lower, str.upper])(chosen))
                continue
            words += [chosen[0], *(self.one(values) for values in chosen[1:])]
            if self.random.random() < 0.05:
                words.pop()
        return words

    def expiry(self, *more):
        return self.options(*more, ("EXAT", FAR), ("PXAT", FAR_MS), ("EX", BAD_TIMES), ("PX", BAD_TIMES), ("EXAT", BAD_TIMES))

    def conditions(self):
        return self.options("NX", "XX", "GT", "LT", "Q")

    def command(self):
        key, value, integer = self.key(), self.one(VALUES), self.one(INTEGERS)
        makers = [
            lambda: ["SET", key, value, *self.expiry("NX", "XX", "GET", "KEEPTTL", "PERSIST", "CH")],
            lambda: ["SET", key, self.one(INTEGERS + FLOATS)],
            lambda: ["GETEX", key, *self.expiry("PERSIST", "KEEPTTL", "GET")],
            lambda: [self.one(["GET", "GETDEL", "STRLEN", "INCR", "DECR", "TYPE", "DUMP", "TTL", "PERSIST", "EXPIRETIME",
                               "PEXPIRETIME"]), key, *self.one([[], [], [], ["x"]])],
            lambda: [self.one(["APPEND", "GETSET", "SETNX"]), key, value],
            lambda: [self.one(["GETRANGE", "SUBSTR"]), key, integer, self.one(INTEGERS)],
            lambda: ["SETRANGE", key, self.one(["0", "1", "5", "-1", "abc", "100", "4294967296", "9223372036854775807",
                                                "536870912", "536870911", ""]), value],
            lambda: [self.one(["INCRBY", "DECRBY"]), key, integer],
            lambda: ["INCRBYFLOAT", key, self.one(FLOATS)],
            lambda: ["MGET", *self.keys()],
            lambda: [self.one(["MSET", "MSETNX"]), *[word for name in self.keys() for word in (name, value)],
                     *self.one([[], [], [], [key]])],
            lambda: [self.one(["SETEX", "PSETEX"]), key, self.one(BAD_TIMES), value],
            lambda: ["LCS", key, self.key(), *self.options("LEN", "IDX", ("MINMATCHLEN", INTEGERS), "WITHMATCHLEN", "X")],
            lambda: [self.one(["DEL", "UNLINK", "EXISTS", "TOUCH", "WATCH"]), *self.keys()],
            lambda: ["EXPIREAT", key, self.one(FAR + BAD_TIMES), *self.conditions()],
            lambda: ["PEXPIREAT", key, self.one(FAR_MS + BAD_TIMES), *self.conditions()],
            lambda: [self.one(["EXPIRE", "PEXPIRE"]), key, self.one(["-1", "0", "abc", "", "1.5", "9223372036854775807"]),
                     *self.conditions()],
            lambda: [self.one(["RENAME", "RENAMENX"]), key, self.key()],
            lambda: ["COPY", key, self.key(), *self.options("REPLACE", ("DB", ["0", "1", "16", "-1", "x", "9999999999"]), "X")],
            lambda: [self.one(["MOVE", "OBJECT"]), self.one([key, "ENCODING", "FREQ", "X"]), self.one(["0", "1", "x", key])],
            lambda: ["SELECT", self.one(["0", "0", "1", "16", "x", "-1", "", "9999999999"])],
            lambda: ["RESTORE", key, self.one(["0", "33177117420123", "-1", "x"]), DUMPED,
                     *self.options("REPLACE", "ABSTTL", ("IDLETIME", INTEGERS), ("FREQ", INTEGERS), "X")],
            lambda: ["SCAN", self.one(["0", " 0", "abc", "-1", "+0", "00", ""]),
                     *self.options(("MATCH", ["nosuch*"]), ("COUNT", ["1000", "0", "-1", "x"]), ("TYPE", ["string", "zset"])),
                     "MATCH", "nosuch"],
            lambda: ["SWAPDB", self.one(["0", "1", "x", "16"]), self.one(["0", "1", "x", "-1"])],
            lambda: [self.one(["MULTI", "EXEC", "EXEC", "DISCARD", "UNWATCH", "DBSIZE", "ASKING", "READONLY"])],
            lambda: [self.one(["PING", "ECHO", "AUTH"]), *[value for _ in range(self.one([0, 1, 2, 3]))]],
            lambda: ["COMMAND", self.one(["GETKEYS", "GETKEYSANDFLAGS"]), *self.command()],
            lambda: ["CLIENT", self.one(["GETNAME", "SETNAME", "NO-EVICT", "CACHING", "KILL", "UNBLOCK", "REPLY", "GETREDIR"]),
                     *self.one([["x", "y"], ["x y"], ["on", "x"], ["YES"], []])],
            lambda: ["CONFIG", "SET", self.one(NUMBERS_SET), self.one(BAD_NUMBERS)],
            lambda: ["CONFIG", "SET", self.one(SIZES_SET), self.one(BAD_SIZES)],
            lambda: ["CONFIG", "SET", self.one(WORDS_SET), self.one(["bogus", "ye s", "1", "true"])],
            lambda: ["MEMORY", self.one(["USAGE", "DOCTOR", "STATS"]), key, *self.options(("SAMPLES", BAD_TIMES), "X"), "X"],
            lambda: ["LATENCY", self.one(["HISTORY", "RESET", "GRAPH", "HISTOGRAM", "LATEST"]), "nosuch"],
            lambda: ["SLOWLOG", self.one(["GET", "LEN", "RESET", "X"]), self.one(["x", "-2", "1.5"])],
            lambda: ["WAIT", self.one(["0", "x", "-1"]), self.one(["1", "x", "-1", "99999999999999999999"])],
            lambda: ["MIGRATE", "127.0.0.1", "1", self.one(["", "missing"]), self.one(["0", "x"]), self.one(["5", "x"]),
                     *self.options("COPY", "REPLACE", ("AUTH", ["x"]), ("AUTH2", ["x"], ["y"]), ("KEYS", ["nokey"]), "X")],
            lambda: ["HELLO", *self.one([["x"], ["9"], ["1"], ["3", "AUTH"], ["2", "SETNAME"], ["3", "SETNAME", " "],
                                         ["3", "X"], ["3", "AUTH", "a", "b"]])],
            lambda: [self.one(["TIME", "LASTSAVE", "ROLE", "RANDOMKEY", "FLUSHALL", "FLUSHDB", "SAVE", "BGSAVE", "MONITOR",
                               "SHUTDOWN", "SYNC", "REPLICAOF", "RESET", "QUITX"]), "x", "y", "z", "q"],
        ]
        return self.one(makers)()


@pytest.mark.parametrize("seed", SEEDS)
def test_odd_arguments(pair, seed):
    pair.reset()
    generator = Generator(seed)
    commands = [generator.command() for _ in range(COMMANDS)] + [["DISCARD"]]
    compare(pair, seed, commands, lambda index: commands[max(0, index - 10):index])
