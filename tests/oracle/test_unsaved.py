"""What is answered while the last snapshot could not be written, beside Redis."""
import pytest

from conftest import Pair
from support.programs import wait_until

COMMANDS = [
    ["SET", "k", "w"], ["GET", "k"], ["DEL", "missing"], ["PING"], ["PING", "x"], ["ECHO", "x"], ["EXPIRE", "k", "10"],
    ["MULTI"], ["GET", "k"], ["SET", "k", "w"], ["EXEC"], ["MULTI"], ["PING"], ["EXEC"], ["FLUSHALL"], ["TYPE", "k"],
    ["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"], ["PING"], ["SET", "k", "x"],
    ["CONFIG", "SET", "stop-writes-on-bgsave-error", "yes"], ["PING"], ["SET", "k", "y"],
    ["CONFIG", "SET", "save", ""], ["PING"], ["SET", "k", "z"], ["CONFIG", "SET", "save", "900 1"], ["SET", "k", "z"],
]


@pytest.fixture(scope="module")
def unsaved(module_yard):
    """Both servers with save points, and with a folder where their snapshot would have to be."""
    pair = Pair(module_yard, enable_protected_configs="yes", save=["900 1"])
    for server in (pair.ours, pair.real):
        (server.directory / "folder" / "full").mkdir(parents=True)
        with server.client() as client:
            client.call("SET", "k", "v")
            client.call("CONFIG", "SET", "dbfilename", "folder")
            client.call("BGSAVE")
        wait_until(lambda: server.info("persistence")["rdb_last_bgsave_status"] == "err", 10, "the save to fail")
    yield pair
    for server in (pair.ours, pair.real):
        server.call("CONFIG", "SET", "save", "")  # or they would not end


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_while_nothing_can_be_saved(unsaved, protocol):
    with unsaved.ours.client(protocol=protocol) as ours, unsaved.real.client(protocol=protocol) as theirs:
        for command in COMMANDS:
            replies = []
            for client in (ours, theirs):
                client.send(*command)
                replies.append(client.read_raw())
            assert replies[0] == replies[1], command
