"""RDB files: written, read again, read by Debian's redis-server and written by it."""
import os
import random
import re
import subprocess
import time

import pytest

from support import programs
from support.programs import SLOWNESS, wait_until
from support.resp import Error

FAR = 33177117420


def fill(client, count=500):
    """Strings of every encoding, with and without expiry, in three databases; returns what is there."""
    choose = random.Random(11)
    for database in (0, 3, 9):
        client.call("SELECT", database)
        commands = []
        for i in range(count):
            value = choose.choice([str(choose.randint(-2**40, 2**40)), "", "x" * choose.randint(0, 200),
                                   choose.randbytes(choose.choice([1, 20, 21, 63, 64, 100, 3000])), "127", "128", "-129",
                                   "32768", "2147483648", "007", "ab" * 500])
            commands.append(["SET", f"key:{database}:{i}", value])
            if i % 7 == 0:
                commands.append(["PEXPIREAT", f"key:{database}:{i}", FAR * 1000 + i])
        commands += [["SET", b"\x00\xff\r\n binary", "v"], ["SET", "", "empty name"], ["SET", "n" * 20000, "long name"],
                     ["SET", "huge", choose.randbytes(1 << 20)]]
        replies = client.pipeline(commands)
        assert not any(isinstance(reply, Error) for reply in replies)
    client.call("SELECT", 0)
    return everything(client)


def everything(client):
    found = {}
    for database in range(16):
        client.call("SELECT", database)
        for key in client.call("KEYS", "*"):
            found[database, key] = client.call("GET", key), client.call("PEXPIRETIME", key)
    client.call("SELECT", 0)
    return found


def check_rdb(path):
    result = subprocess.run([programs.redis("check-rdb"), str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            timeout=30 * SLOWNESS)
    assert result.returncode == 0 and b"RDB looks OK" in result.stdout, result.stdout
    return result.stdout.decode()


def background_save(client):
    assert client.call("BGSAVE") == b"Background saving started"
    wait_until(lambda: client.info("persistence")["rdb_bgsave_in_progress"] == "0", 30, "the end of BGSAVE")
    assert client.info("persistence")["rdb_last_bgsave_status"] == "ok"


@pytest.mark.parametrize("how", ["SAVE", "BGSAVE", "SHUTDOWN SAVE", "DEBUG RELOAD", "save on SIGTERM"])
def test_everything_comes_back(server, how):
    shoal = server(enable_debug_command="yes")
    with shoal.client(timeout=30) as client:
        before = fill(client)
        if how == "SAVE":
            assert client.call("SAVE") == b"OK"
        elif how == "BGSAVE":
            background_save(client)
        elif how == "DEBUG RELOAD":
            assert client.call("DEBUG", "RELOAD") == b"OK"
            assert everything(client) == before
            return
        elif how == "SHUTDOWN SAVE":
            client.send("SHUTDOWN", "SAVE")
            assert shoal.wait_end() == 0
        else:
            client.call("CONFIG", "SET", "save", "3600 100000")
    shoal.stop()
    shoal.start()
    with shoal.client(timeout=30) as client:
        assert everything(client) == before
        assert client.info("persistence")["loading"] == "0"


def test_nothing_is_saved_unasked(server):
    shoal = server()
    shoal.call("SET", "k", "v")
    shoal.stop()
    assert not (shoal.directory / "dump.rdb").exists()


def test_redis_reads_what_we_write(server, redis_server):
    shoal = server()
    with shoal.client(timeout=30) as client:
        before = fill(client)
        client.call("SAVE")
    report = check_rdb(shoal.directory / "dump.rdb")
    assert int(re.search(r"(\d+) keys read", report).group(1)) == len(before)
    assert int(re.search(r"(\d+) expires", report).group(1)) == sum(expiry >= 0 for _, expiry in before.values())
    shoal.stop()
    real = redis_server(dir=shoal.directory)
    with real.client(timeout=30) as client:
        assert everything(client) == before


def test_we_read_what_redis_writes(server, redis_server):
    real = redis_server()
    with real.client(timeout=30) as client:
        before = fill(client)
        client.call("SAVE")
    real.stop()
    shoal = server(dir=real.directory)
    with shoal.client(timeout=30) as client:
        assert everything(client) == before


def test_we_read_uncompressed_and_without_checksum(server, redis_server):
    real = redis_server(rdbcompression="no", rdbchecksum="no")
    with real.client() as client:
        before = fill(client, 50)
        client.call("SAVE")
    real.stop()
    assert everything(server(dir=real.directory).client()) == before


def test_we_write_uncompressed_and_without_checksum(server, redis_server):
    sizes = {}
    for compression in ("yes", "no"):
        shoal = server(rdbcompression=compression, rdbchecksum=compression)
        with shoal.client() as client:
            client.pipeline(["SET", f"k{i}", "abc" * 300] for i in range(200))
            before = everything(client)
            client.call("SAVE")
        path = shoal.directory / "dump.rdb"
        check_rdb(path)
        sizes[compression] = path.stat().st_size
        if compression == "no":
            assert path.read_bytes()[-8:] == b"\0" * 8
        shoal.stop()
        assert everything(redis_server(dir=shoal.directory).client()) == before
    assert sizes["yes"] * 5 < sizes["no"]


def test_types_that_we_lack_refuse_the_start(server, redis_server):
    """A Redis file with a list in it: the server says what it can't read and ends; the file stays."""
    real = redis_server()
    with real.client() as client:
        client.call("SET", "k", "v")
        client.call("RPUSH", "list", "a", "b")
        client.call("SAVE")
    real.stop()
    before = (real.directory / "dump.rdb").read_bytes()
    shoal = server(start=False, dir=real.directory)
    shoal.spawn()
    if programs.testing_redis_itself():
        shoal.wait_ready()
        return
    assert shoal.wait_end() == 1
    assert "type" in shoal.log().lower()
    assert (real.directory / "dump.rdb").read_bytes() == before


def test_expired_keys_are_not_loaded(server):
    shoal = server()
    with shoal.client() as client:
        client.call("SET", "stays", "v")
        client.call("SET", "goes", "v", "PX", int(300 * SLOWNESS))
        client.call("SAVE")
        shoal.kill()
    time.sleep(0.4 * SLOWNESS)
    shoal.start()
    with shoal.client() as client:
        assert client.call("DBSIZE") == 1
        assert client.call("GET", "stays") == b"v"


def test_save_points(server):
    """`save 1 10`: ten changes in a second start a save in the background."""
    shoal = server(save="1 10")
    with shoal.client() as client:
        client.call("SET", "k", "v")
        time.sleep(1.5)
        assert not (shoal.directory / "dump.rdb").exists()
        client.pipeline(["SET", f"k{i}", "v"] for i in range(20))
        assert int(client.info("persistence")["rdb_changes_since_last_save"]) >= 20
        wait_until((shoal.directory / "dump.rdb").exists, 15, "the save")
        wait_until(lambda: client.info("persistence")["rdb_changes_since_last_save"] == "0", 5, "the count of changes")
        assert client.call("LASTSAVE") >= time.time() - 30


def test_writes_go_on_during_a_background_save(server):
    """What BGSAVE writes is the moment it began: a counter's value lies between those before and after its reply."""
    shoal = server(io_threads=2)
    with shoal.client(timeout=30) as client, shoal.client(timeout=30) as writer:
        client.pipeline(["SET", f"k{i}", "x" * 100] for i in range(50000))
        client.pipeline([["SET", "a", 0], ["SET", "b", 0]])
        low = writer.pipeline([["MULTI"], ["INCR", "a"], ["INCR", "b"], ["EXEC"]])[-1][0]
        client.send("BGSAVE")
        highest = low
        for _ in range(500):
            highest = writer.pipeline([["MULTI"], ["INCR", "a"], ["INCR", "b"], ["EXEC"]])[-1][0]
        assert client.read() == b"Background saving started"
        wait_until(lambda: client.info("persistence")["rdb_bgsave_in_progress"] == "0", 30, "the end of BGSAVE")
    shoal.kill()
    shoal.start()
    a, b = map(int, shoal.call("MGET", "a", "b"))
    assert a == b and low <= a <= highest
    assert shoal.call("DBSIZE") == 50002


def test_two_saves_at_once(server):
    with server().client(timeout=60) as client:
        client.pipeline(["SET", f"k{i}", "x" * 1000] for i in range(60000))
        first, second = client.pipeline([["BGSAVE"], ["BGSAVE"]])
        assert first == b"Background saving started"
        assert second == "ERR Background save already in progress"
        assert client.reply("SAVE") in ("ERR Background save already in progress", b"OK")
        wait_until(lambda: client.info("persistence")["rdb_bgsave_in_progress"] == "0", 60, "the end of BGSAVE")
        assert client.info("persistence")["rdb_last_bgsave_status"] == "ok"
        assert client.call("SAVE") == b"OK"


def test_a_kill_in_the_middle_of_a_save_keeps_the_old_file(server):
    shoal = server()
    with shoal.client(timeout=30) as client:
        client.call("SET", "generation", 1)
        client.call("SAVE")
        client.pipeline(["SET", f"k{i}", os.urandom(1000)] for i in range(30000))
        client.call("SET", "generation", 2)
        client.call("BGSAVE")
    shoal.kill()
    shoal.start()
    generation = shoal.call("GET", "generation")
    assert generation in (b"1", b"2")
    assert shoal.call("DBSIZE") == (1 if generation == b"1" else 30001)


def test_clients_are_told_while_it_loads(server):
    """Commands meet LOADING, or wait; nobody sees half a database."""
    shoal = server()
    with shoal.client(timeout=30) as client:
        for start in range(0, 300000, 30000):
            client.pipeline(["SET", f"k{i}", "x" * 50] for i in range(start, start + 30000))
        client.call("SAVE")
    shoal.stop()
    shoal.spawn()
    deadline = time.monotonic() + 30 * SLOWNESS
    sizes = set()
    while time.monotonic() < deadline:
        try:
            with shoal.client() as client:
                reply = client.reply("DBSIZE")
                if not isinstance(reply, Error):
                    sizes.add(reply)
                    break
                assert reply.code == "LOADING", reply
        except OSError:
            pass
        time.sleep(0.005)
    assert sizes == {300000}
    assert re.search(r"DB loaded from disk|keys loaded", shoal.log())


def test_what_is_half_loaded_is_not_saved(server):
    """DEBUG RELOAD, which is let in while it loads, would put half of the keys in the place of all."""
    shoal = server(enable_debug_command="yes")
    with shoal.client(timeout=30) as client:
        client.call("DEBUG", "POPULATE", 1000000)
        client.call("SAVE")
    shoal.stop()
    shoal.spawn()

    def loads():
        with shoal.client() as client:
            return client.info("persistence")["loading"] == "1" and client.reply("DEBUG", "RELOAD")
    reply = wait_until(loads, 10, "it to load", step=0.001)
    assert reply == "LOADING Redis is loading the dataset in memory"
    shoal.wait_ready()
    wait_until(lambda: shoal.info("persistence")["loading"] == "0", 30, "the keys")
    assert shoal.call("DBSIZE") == 1000000


def test_a_word_does_not_pause_the_cron(server):
    """DEBUG PAUSE-CRON takes a number, and what is none for 0: the end of a background save is noticed."""
    shoal = server(enable_debug_command="yes")
    assert shoal.call("DEBUG", "PAUSE-CRON", "x") == b"OK"
    shoal.call("BGSAVE")
    wait_until(lambda: shoal.info("persistence")["rdb_bgsave_in_progress"] == "0", 10, "the save to end")


def test_lastsave_and_info(server):
    with server().client() as client:
        client.call("SET", "k", "v")
        assert client.info("persistence")["rdb_changes_since_last_save"] == "1"
        before = client.call("LASTSAVE")
        time.sleep(1.1)
        client.call("SAVE")
        assert client.call("LASTSAVE") > before
        assert client.info("persistence")["rdb_changes_since_last_save"] == "0"
