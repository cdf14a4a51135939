"""How a server ends: what it acknowledged is saved, what it can't save it keeps serving, and nobody waits for long."""
import socket
import threading
import time

import pytest

from support.programs import SLOWNESS, wait_until
from support.resp import Error


def count_until_the_end(server, key, counts):
    """INCR after INCR, one at a time; notes the last answer."""
    try:
        with server.client() as client:
            while True:
                answer = client.reply("INCR", key)
                if isinstance(answer, Error):
                    raise AssertionError(answer)
                counts[key] = answer
    except OSError:
        pass


def empty_until_the_end(server, said):
    """SET and FLUSHDB in turn, which needs the server for itself; notes what was said last."""
    try:
        with server.client() as client:
            client.call("SELECT", 5)
            for i in range(10**9):
                client.call("SET", "k", i)
                said[:] = [("set", i)]
                client.call("FLUSHDB")
                said[:] = [("empty", i)]
    except OSError:
        pass


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("how", ["SHUTDOWN", "SIGTERM"])
def test_what_was_acknowledged_is_saved(server, threads, how):
    """Nothing is acknowledged after the moment of the last snapshot."""
    shoal = server(io_threads=threads, save="3600 1000000")
    for _ in range(3):
        counts, said = {}, []
        shoal.call("FLUSHALL")
        writers = [threading.Thread(target=count_until_the_end, args=(shoal, f"k{i}", counts)) for i in range(6)]
        writers += [threading.Thread(target=empty_until_the_end, args=(shoal, said))]
        for writer in writers:
            writer.start()
        wait_until(lambda: len(counts) == 6 and said, 10, "the writers to be at work")
        time.sleep(0.05)
        if how == "SHUTDOWN":
            with shoal.client() as client:
                client.send("SHUTDOWN")
                assert shoal.wait_end() == 0
        else:
            assert shoal.stop() == 0
        for writer in writers:
            writer.join()
        shoal.start()
        with shoal.client() as client:
            for key, count in counts.items():
                assert count <= int(client.call("GET", key)) <= count + 1, key
            client.call("SELECT", 5)
            (what, number), found = said[0], client.call("GET", "k")
            allowed = [None, b"%d" % number] if what == "set" else [None, b"%d" % (number + 1)]
            assert found in allowed, (what, number, found)


def test_a_last_save_that_fails_is_not_the_end(server, tmp_path):
    """It is said to whoever asked, and clients that were held meanwhile go on."""
    gone = tmp_path / "gone"
    gone.mkdir()
    shoal = server(save="3600 1000000", io_threads=2, enable_protected_configs="yes")
    shoal.call("CONFIG", "SET", "dir", gone)
    gone.rmdir()
    with shoal.client() as client, shoal.client() as other:
        assert client.reply("SHUTDOWN") == "ERR Errors trying to SHUTDOWN. Check logs."
        assert other.call("SET", "k", "v") == b"OK" and client.call("GET", "k") == b"v"
        shoal.send_signal(15)
        wait_until(lambda: "Errors trying to shut down the server" in shoal.log(), 10, "the signal to be refused")
        assert other.call("SET", "k", "w") == b"OK"
        assert "shutdown_in_milliseconds" not in client.info("server")
        client.send("SHUTDOWN", "NOSAVE")
        assert shoal.wait_end() == 0
        assert client.closed_by_peer() and other.closed_by_peer()


def test_waiting_for_a_replica_can_be_taken_back(server):
    """While replicas catch up, writes wait and reads go on; CLIENT UNPAUSE is none of its business; ABORT ends it."""
    primary, replica = server(), server()
    replica.call("REPLICAOF", "127.0.0.1", primary.port)
    replica.wait_for(lambda client: client.info("replication")["master_link_status"] == "up", 20)
    replica.pause()
    with primary.client() as client, primary.client() as asker, primary.client() as writer:
        client.call("SET", "k", "v")
        asker.send("SHUTDOWN")
        wait_until(lambda: "shutdown_in_milliseconds" in client.info("server"), 10, "the shutdown to begin")
        writer.send("SET", "k", "w")
        assert client.call("CLIENT", "UNPAUSE") == b"OK"
        assert writer.silent_for(0.3) and client.call("GET", "k") == b"v"
        assert client.call("SHUTDOWN", "ABORT") == b"OK"
        assert asker.read() == "ERR Errors trying to SHUTDOWN. Check logs."
        assert writer.read() == b"OK" and client.call("GET", "k") == b"w"
        client.send("SHUTDOWN")
        time.sleep(0.2)
        replica.resume()
        assert primary.wait_end() == 0
    assert replica.call("GET", "k") == b"w"


@pytest.mark.parametrize("listens", [True, False])
def test_a_migration_that_hangs_does_not_hold_up_the_end(server, listens):
    """A target that says nothing, or whose connection never comes up: MIGRATE would wait for a minute, the end does not."""
    shoal = server()
    target = socket.socket()
    target.bind(("127.0.0.1", 0))
    target.listen(0)
    taken = []
    if not listens:  # its queue of connections is full: ours stays in the handshake
        for _ in range(3):
            taken.append(socket.socket())
            taken[-1].setblocking(False)
            taken[-1].connect_ex(target.getsockname())
    with shoal.client() as client:
        client.call("SET", "k", "v")
        client.send("MIGRATE", "127.0.0.1", target.getsockname()[1], "k", 0, 60000)
        assert client.silent_for(0.3)
        start = time.monotonic()
        assert shoal.stop() == 0
        assert time.monotonic() - start < 10 * SLOWNESS
        assert client.closed_by_peer()
    for one in [target, *taken]:
        one.close()


def test_an_end_in_the_middle_of_loading(server):
    """SIGTERM while the snapshot of the start is read: the file stays as it is, and is read the next time."""
    shoal = server(save="3600 1000000", enable_debug_command="yes")
    with shoal.client() as client:
        client.call("DEBUG", "POPULATE", 200000)
        client.call("SAVE")
        before = (shoal.directory / "dump.rdb").read_bytes()
        client.send("SHUTDOWN", "NOSAVE")
        assert shoal.wait_end() == 0
    for wait in (0, 0.05, 0.2):
        shoal.spawn()
        time.sleep(wait * SLOWNESS)
        shoal.stop()
        assert (shoal.directory / "dump.rdb").read_bytes()[:9] == before[:9]
    shoal.start()
    wait_until(lambda: shoal.call("DBSIZE") == 200000, 20, "all keys to be there")
