"""The oracle: a real redis-server 7.0.15 beside the server under test; both must answer the same."""
import pytest

from support import programs

LIMITS = {"databases": 16, "enable_debug_command": "yes", "hz": 50}


class Pair:
    def __init__(self, yard, **directives):
        self.ours = yard.server(name="ours", **{**LIMITS, **directives})
        self.real = yard.redis(name="real", **{**LIMITS, **directives})

    def reset(self):
        """Both empty and as configured at the start, whatever the test before this one left."""
        if self.ours.process.poll() is not None:
            self.ours.start()
        for server in (self.ours, self.real):
            with server.client() as client:
                if client.reply("PING") != b"PONG":
                    client.call("AUTH", "secret")
                    client.call("CONFIG", "SET", "requirepass", "")
                client.reply("CLIENT", "UNPAUSE")
                client.reply("REPLICAOF", "NO", "ONE")
                client.call("FLUSHALL")
                client.call("CONFIG", "RESETSTAT")
                client.reply("SLOWLOG", "RESET")

    def still_up(self):
        """Fails the test in which the server under test ended."""
        if self.ours.process.poll() is not None:
            trouble = self.ours.tail(60)
            raise AssertionError(f"the server ended with {self.ours.process.returncode}:\n{trouble}")


@pytest.fixture(scope="module")
def pair(module_yard):
    return Pair(module_yard)


@pytest.fixture(scope="session")
def lenient():
    return programs.testing_redis_itself()
