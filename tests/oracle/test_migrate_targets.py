"""MIGRATE to targets that refuse, hang up or say nothing: the same errors as Redis's, and the key stays."""
import socket
import threading

import pytest


class Target:
    """Takes connections, and says `words` once to whoever has sent something; then hangs up, or says nothing more."""

    def __init__(self, words, hangs_up):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.words, self.hangs_up, self.taken = words, hangs_up, []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            connection.settimeout(10)
            connection.recv(1 << 16)
            connection.sendall(self.words)
            if self.hangs_up:
                connection.close()
            else:
                self.taken.append(connection)

    def close(self):
        self.socket.close()
        for connection in self.taken:
            connection.close()


@pytest.mark.parametrize("words, hangs_up", [
    (b"", False), (b"", True), (b"+OK\r\n", False), (b"+OK\r\n", True), (b"-ERR no\r\n-ERR no\r\n", False),
    (b"+OK\r\n-BUSYKEY Target key name already exists.\r\n", False), (b"-NOAUTH Authentication required.\r\n" * 2, False),
], ids=repr)
def test_targets(pair, words, hangs_up):
    pair.reset()
    replies = []
    for server in (pair.ours, pair.real):
        target = Target(words, hangs_up)
        with server.client(timeout=15) as client:
            client.call("SET", "k", "v")
            replies.append([client.reply("MIGRATE", "127.0.0.1", target.port, "k", 3, 300), client.call("EXISTS", "k")])
        target.close()
    assert replies[0] == replies[1]


def test_inside_exec(pair, yard):
    """A transaction waits for the target, and its later commands find the key gone."""
    pair.reset()
    target = yard.redis()
    replies = []
    for server in (pair.ours, pair.real):
        with server.client(timeout=15) as client, target.client() as there:
            there.call("FLUSHALL")

            def move(*words):
                return ["MIGRATE", "127.0.0.1", target.port, *words]
            client.pipeline([["MSET", "{t}a", 1, "{t}b", 2, "{t}c", 3], ["PEXPIRE", "{t}b", 5000000]])
            seen = client.pipeline([
                ["MULTI"], ["INCR", "{t}a"], move("{t}a", 0, 5000), ["GET", "{t}a"], move("{t}a", 0, 5000),
                move("", 2, 5000, "COPY", "KEYS", "{t}b", "{t}none", "{t}c"), ["MGET", "{t}b", "{t}c"],
                move("{t}c", 0, 5000, "SPEED"), ["SET", "{t}a", 9], move("{t}a", 0, 5000),
                move("{t}a", 0, 5000, "REPLACE"), ["EXEC"]])
            seen += client.pipeline([["WATCH", "{t}c"], ["MULTI"], ["MIGRATE", "127.0.0.1", 1, "{t}c", 0, 200],
                                     ["GET", "{t}c"], ["EXEC"], ["DBSIZE"]])
            seen += there.pipeline([["GET", "{t}a"], ["SELECT", 2], ["MGET", "{t}b", "{t}c"]])
            seen.append(there.call("PTTL", "{t}b") > 4000000)
            replies.append(seen)
    assert replies[0] == replies[1]


def test_inside_exec_a_silent_target_costs_the_timeout(pair):
    pair.reset()
    replies = []
    for server in (pair.ours, pair.real):
        target = Target(b"", False)
        with server.client(timeout=15) as client:
            client.call("SET", "k", "v")
            replies.append(client.pipeline([["MULTI"], ["MIGRATE", "127.0.0.1", target.port, "k", 0, 300], ["GET", "k"],
                                            ["EXEC"]]))
        target.close()
    assert replies[0] == replies[1]
