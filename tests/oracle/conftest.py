"""The oracle: a real redis-server 7.0.15 beside the server under test; both must answer the same."""
import pytest

from support import programs

LIMITS = {"databases": 16, "enable_debug_command": "yes", "hz": 50}


class Pair:
    def __init__(self, yard, **directives):
        self.ours = yard.server(name="ours", **{**LIMITS, **directives})
        self.real = yard.redis(name="real", **{**LIMITS, **directives})
        self.first = self.ours.client()
        self.second = self.real.client()

    def reset(self):
        """Both empty, with the configuration that sections may change as it was at the start."""
        for client in (self.first, self.second):
            client.call("FLUSHALL")
            client.call("CONFIG", "RESETSTAT")
            client.call("SLOWLOG", "RESET")


@pytest.fixture(scope="module")
def pair(module_yard):
    return Pair(module_yard)


@pytest.fixture(scope="session")
def lenient():
    return programs.testing_redis_itself()
