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
