"""CLIENT TRACKING beside the real one: random conversations of three clients, the pushes and their places included."""
import random
import re

import pytest

from support.resp import Push, encode

from conftest import Pair

NAMES = "abc"
STEPS = 400
PONG = b"$3\r\nend\r\n"


@pytest.fixture(scope="module")
def tracked_pair(module_yard):
    return Pair(module_yard, io_threads=1)


class Talk:
    """Three connections to one server."""

    def __init__(self, server):
        self.clients = {name: server.client(protocol=3) for name in NAMES}
        self.ids = {name: client.call("CLIENT", "ID") for name, client in self.clients.items()}

    def close(self):
        for client in self.clients.values():
            client.close()

    def _until_end(self, client):
        frames = []
        client.send("ECHO", "end")
        while not frames or frames[-1] != PONG:
            frames.append(client.read_raw())
        return frames[:-1]

    def _without_ids(self, frame):
        if b"redirect" not in frame and b"tracking-redir" not in frame:
            return frame
        names = {identity: name for name, identity in self.ids.items()}
        return re.sub(rb":(\d+)\r\n", lambda match: b":%s\r\n" % names.get(int(match[1]), match[1].decode()).encode(), frame)

    def step(self, name, commands):
        """What each client gets when one of them sends these commands at once."""
        words = [[self.ids[word[1:]] if str(word).startswith("@") else word for word in command] for command in commands]
        client = self.clients[name]
        client.send_bytes(b"".join(map(encode, words)))
        frames, replies = [], 0
        while replies < len(commands):
            frames.append(client.read_raw())
            replies += not frames[-1].startswith(b">")
        got = {name: frames + self._until_end(client)}
        for other in NAMES:
            if other != name:
                got[other] = self._until_end(self.clients[other])
        return {who: [self._without_ids(frame) for frame in frames] for who, frames in got.items()}


class Generator:
    def __init__(self, seed, redirects):
        self.random = random.Random(seed)
        self.redirects = redirects

    def key(self):
        return self.random.choice(["k", "l", "key", "kl", "", "m"])

    def keys(self):
        return [self.key() for _ in range(self.random.randint(1, 3))]

    def tracking(self):
        choose = self.random.choice
        if self.random.random() < 0.3:
            return ["CLIENT", "TRACKING", "OFF"]
        options = []
        for _ in range(self.random.choice([0, 0, 1, 1, 2, 3])):
            option = choose(["BCAST", "OPTIN", "OPTOUT", "NOLOOP", "PREFIX", "REDIRECT" if self.redirects else "NOLOOP"])
            options.append(option)
            if option == "PREFIX":
                options += [choose(["k", "l", "ke", "", "x"])] + choose([[], ["BCAST"], ["BCAST"]])
            elif option == "REDIRECT":
                options.append("@" + choose(NAMES))
        return ["CLIENT", "TRACKING", choose(["ON", "ON", "ON", "on", "FOO"])] + options

    def command(self):
        kind = self.random.random()
        choose = self.random.choice
        if kind < 0.2:
            return ["CLIENT", "CACHING", choose(["YES", "NO", "maybe"])]
        if kind < 0.24:
            return ["CLIENT", "TRACKINGINFO"]
        if kind < 0.55:
            return choose([["GET", self.key()], ["MGET", *self.keys()], ["EXISTS", *self.keys()], ["TTL", self.key()],
                           ["STRLEN", self.key()], ["TYPE", self.key()], ["GET"], ["GETEX", self.key()]])
        if kind < 0.57:
            return choose([["FLUSHALL"], ["FLUSHDB"], ["SWAPDB", 0, 1], ["NOSUCH"], ["PING"]])
        key = self.key()
        return choose([["SET", key, 1], ["DEL", *self.keys()], ["INCR", key], ["EXPIRE", key, 100], ["PERSIST", key],
                       ["MSET", key, 1, self.key(), 2], ["SETNX", key, 5], ["GETDEL", key], ["APPEND", key, "1"],
                       ["EXPIRE", key, -1], ["SET", key, 2, "GET"], ["GETEX", key, "EX", 50]])

    def batch(self):
        """Commands that are sent at once. A transaction begins and ends in one, so that what marks the end of a step is
        none of it. Modes change at the start of one: we tell what changed by the modes at the end of the command or
        turn, not by those at the moment of the change."""
        if self.random.random() < 0.25:
            return [self.tracking()]
        commands = [self.command() for _ in range(self.random.choice([1, 1, 2, 3, 5]))]
        if self.random.random() < 0.2:
            at = self.random.randrange(len(commands))
            commands = commands[:at] + [["MULTI"]] + commands[at:] + [[self.random.choice(["EXEC", "EXEC", "DISCARD"])]]
        return commands


def told_apart(frames):
    return [frame for frame in frames if not frame.startswith(b">")], [frame for frame in frames if frame.startswith(b">")]


@pytest.mark.parametrize("seed", range(8))
def test_random_conversations(tracked_pair, seed):
    """With redirections, replies and pushes are compared apart: 7.2 holds back what a redirection brings to a client
    in the middle of a command until after the reply, which 7.0 does only for the client's own tracking."""
    tracked_pair.reset()
    redirects = seed % 2 == 1
    generator = Generator(seed, redirects)
    ours, theirs = Talk(tracked_pair.ours), Talk(tracked_pair.real)
    try:
        for number in range(STEPS):
            name = generator.random.choice(NAMES)
            commands = generator.batch()
            mine, other = ours.step(name, commands), theirs.step(name, commands)
            if redirects:
                mine, other = ({who: told_apart(frames) for who, frames in got.items()} for got in (mine, other))
            assert mine == other, f"seed {seed}, step {number}: {name} sends {commands}"
    finally:
        ours.close()
        theirs.close()
    tracked_pair.still_up()


def test_push_is_a_push(tracked_pair):
    """What the comparison above rests on: there are pushes."""
    tracked_pair.reset()
    for server in (tracked_pair.ours, tracked_pair.real):
        with server.client(protocol=3) as client:
            client.call("CLIENT", "TRACKING", "ON")
            client.call("GET", "k")
            assert client.call("SET", "k", 1) == b"OK"
            assert client.read() == Push([b"invalidate", [b"k"]])
