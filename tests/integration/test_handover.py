"""A primary that is told to end hands its slots over to a replica first: writes wait for a moment, none is refused for
long, and none that was acknowledged is lost."""
import signal
import time

import pytest

from support import programs
from support.cluster import cluster_info
from support.mixed import OURS, REDIS, MixedCluster
from support.programs import SLOWNESS, wait_until
from support.resp import Client
from support.writers import HARMLESS, Writer, tags_in

pytestmark = pytest.mark.skipif(programs.testing_redis_itself(), reason="a redis-server hands nothing over")
TIMEOUT = int(2000 * SLOWNESS)
REFUSAL_MAX = 0.2 * SLOWNESS  # seconds, of the issue


def tags_of(six, node, count, stem="key"):
    (entry,) = [entry for entry in six.view(node) if "myself" in entry["flags"]]
    return tags_in({slot for first, last in entry["slots"] for slot in range(first, last + 1)}, count, stem)


def writer_to(nodes, tags):
    return Writer([node.port for node in nodes], tags)


def end(node, how):
    """Tells it to end, waits for that, and returns how long it took."""
    start = time.monotonic()
    if how == "SIGTERM":
        node.send_signal(signal.SIGTERM)
    else:
        with node.client(timeout=30) as client:
            client.send("SHUTDOWN", *how.split()[1:])
            assert node.wait_end() == 0
    assert node.wait_end() == 0
    return time.monotonic() - start


@pytest.mark.alone
@pytest.mark.parametrize("how", ["SIGTERM", "SHUTDOWN FAILOVER"])
def test_a_primary_that_ends_hands_over(cluster, how):
    """Five rounds: the replica takes over before the primary is gone, which comes back as its replica."""
    six = cluster(3, 1, cluster_node_timeout=TIMEOUT, io_threads=2)
    old = six.masters()[0]
    (heir,) = six.replicas_of(old)
    for turn in range(5):
        tags = tags_of(six, old, 4, f"turn{turn}:")
        epoch = int(cluster_info(heir.client())["cluster_current_epoch"])
        with writer_to(six.nodes, tags) as writer:
            end(old, how)
            writer.more()
            longest = writer.longest_gap()
        writer.check(lambda _: heir.port)
        print(f"{how} {turn}: longest refusal {longest * 1000:.0f} ms, met {writer.errors}")
        assert longest <= REFUSAL_MAX, (turn, writer.longest, writer.errors)
        assert set(writer.errors) <= HARMLESS, writer.errors
        assert int(cluster_info(heir.client())["cluster_current_epoch"]) == epoch + 1
        log = old.log()
        assert "Handing my slots over to replica" in log and "My slots are handed over." in log
        old.start()
        six.wait_stable()
        assert old.call("ROLE")[0] == b"slave" and heir.call("ROLE")[0] == b"master"
        old, heir = heir, old


def test_the_replica_of_another_make_takes_over(yard):
    """A redis-server is asked in the same way."""
    six = MixedCluster(yard, [OURS, REDIS, OURS, REDIS, OURS, REDIS], cluster_node_timeout=TIMEOUT)
    old, heir = six.arrange(OURS, OURS, OURS)
    tags = tags_of(six, old, 2)
    six.rest(heir)
    with writer_to(six.nodes, tags) as writer:
        end(old, "SIGTERM")
        writer.more()
    writer.check(lambda _: heir.port)
    assert "My slots are handed over." in old.log()
    assert heir.call("ROLE")[0] == b"master"
    # It looks at its elections ten times a second, and we have no say in that.
    assert writer.longest_gap() < 2 * SLOWNESS, writer.longest


def test_the_best_replica_is_asked(cluster):
    """One of two replicas hangs: it has not acknowledged, so the other one takes over."""
    nine = cluster(3, 2, cluster_node_timeout=int(10000 * SLOWNESS))
    old = nine.masters()[0]
    hanging, heir = nine.replicas_of(old)
    tags = tags_of(nine, old, 2)
    with writer_to([node for node in nine.nodes if node is not hanging], tags) as writer:
        hanging.pause()
        writer.more()
        writer.forget_times()
        end(old, "SIGTERM")
        writer.more()
    hanging.resume()
    writer.check(lambda _: heir.port)
    # Right after nine nodes were made the disk may be slow to take the winner's new epoch; a failover would take longer.
    assert writer.longest_gap() <= 10 * REFUSAL_MAX, writer.longest
    nine.wait_stable()


def test_a_replica_that_may_not_is_not_asked(cluster):
    six = cluster(3, 1, cluster_node_timeout=TIMEOUT)
    old = six.masters()[0]
    (heir,) = six.replicas_of(old)
    heir.call("CONFIG", "SET", "cluster-replica-no-failover", "yes")

    def all_know():
        return all("nofailover" in entry["flags"] for entry in six.view(old) if entry["port"] == heir.port)
    wait_until(all_know, 10, "the primary to know it")
    end(old, "SIGTERM")
    assert "No replica could take my slots over." in old.log()
    assert heir.call("ROLE")[0] == b"slave"


def test_with_passwords(cluster):
    """The primary logs in at its replica as it would if it were the replica; a wrong password is told, and the end comes."""
    six = cluster(3, 1, cluster_node_timeout=TIMEOUT, join=False)
    six.create()
    for node in six.nodes:
        for name in ("masterauth", "requirepass"):
            with Client(node.port, password=node.password) as client:
                client.call("CONFIG", "SET", name, "secret word")
            if name == "requirepass":
                node.password = "secret word"
    old = six.masters()[0]
    (heir,) = six.replicas_of(old)
    end(old, "SHUTDOWN")
    assert "My slots are handed over." in old.log()
    other = next(node for node in six.masters() if node is not heir)
    (second,) = six.replicas_of(other)
    second.call("CONFIG", "SET", "requirepass", "another")
    second.password = "another"
    assert end(other, "SHUTDOWN") < 8 * SLOWNESS
    assert "failed: it answers -NOAUTH" in other.log() and "handed over." not in other.log().replace("not handed", "")
    wait_until(lambda: second.call("ROLE")[0] == b"master", 15, "the failover that comes all the same")


def test_words_of_the_setting(cluster, server):
    """What the administrator says instead of `default` is done and no more; SHUTDOWN NOW waits for nothing."""
    six = cluster(3, 1, cluster_node_timeout=TIMEOUT)
    first, second, third = six.masters()
    for value in ("failover", "nosave failover", "save now failover", "default"):
        first.call("CONFIG", "SET", "shutdown-on-sigterm", value)
        shown = first.call("CONFIG", "GET", "shutdown-on-sigterm")[1].decode()
        assert sorted(shown.split()) == sorted(value.split())
    with first.client() as client:
        assert "must be one of" in client.reply("CONFIG", "SET", "shutdown-on-sigterm", "sometime")
        for words in (["NOW", "FAILOVER"], ["FAILOVER", "ABORT"], ["SAVE", "NOSAVE", "FAILOVER"]):
            assert client.reply("SHUTDOWN", *words) == "ERR syntax error"
    first.call("CONFIG", "SET", "shutdown-on-sigterm", "nosave")
    heir = six.replicas_of(first)[0]
    end(first, "SIGTERM")
    assert "Handing my slots over" not in first.log()
    wait_until(lambda: heir.call("ROLE")[0] == b"master", 15, "the failover")
    end(second, "SHUTDOWN NOW")
    assert "Handing my slots over" not in second.log()
    third.call("CONFIG", "SET", "shutdown-on-sigint", "failover nosave")
    six.wait_stable()
    third.send_signal(signal.SIGINT)
    assert third.wait_end() == 0
    assert "My slots are handed over." in third.log()
    with server().client() as alone:
        assert alone.reply("SHUTDOWN", "FAILOVER") == "ERR SHUTDOWN FAILOVER is only supported in cluster mode"


def test_no_replica_no_handover(cluster):
    """A primary without a replica ends at once; so does one whose replica hangs, once it was given its time."""
    six = cluster(3, 1, cluster_node_timeout=int(10000 * SLOWNESS), shutdown_timeout=3,
                  cluster_require_full_coverage="no")
    first, second, _ = six.masters()
    six.replicas_of(first)[0].kill()
    wait_until(lambda: first.call("ROLE")[2] == [], 10, "the primary to miss its replica")
    assert end(first, "SIGTERM") < 2 * SLOWNESS
    assert "no replica is connected" in first.log()
    hanging = six.replicas_of(second)[0]
    hanging.pause()
    key = tags_of(six, second, 1)[0]
    second.call("SET", key, "1")
    assert 2.5 < end(second, "SIGTERM") < 3 + 3 * SLOWNESS
    log = second.log()
    assert "no replica is in sync" in log and "Waiting for replicas before shutting down" in log
    hanging.resume()


def test_a_handover_can_be_taken_back(cluster):
    """SHUTDOWN ABORT while the replica is waited for: the primary stays what it is, and writes were never held."""
    six = cluster(3, 1, cluster_node_timeout=int(10000 * SLOWNESS))
    old = six.masters()[0]
    (heir,) = six.replicas_of(old)
    key = tags_of(six, old, 1)[0]
    heir.pause()
    with old.client() as client, old.client() as asker:
        client.call("SET", key, "1")
        asker.send("SHUTDOWN", "FAILOVER")
        wait_until(lambda: "shutdown_in_milliseconds" in client.info("server"), 10, "the shutdown to begin")
        assert client.call("SET", key, "2") == b"OK"
        old.send_signal(signal.SIGTERM)  # asked twice is asked once
        assert client.call("SHUTDOWN", "ABORT") == b"OK"
        assert asker.read() == "ERR Errors trying to SHUTDOWN. Check logs."
        assert client.reply("SHUTDOWN", "ABORT") == "ERR No shutdown in progress."
        heir.resume()
        assert client.call("SET", key, "3") == b"OK"
        time.sleep(1.5)
        assert old.call("ROLE")[0] == b"master" and "shutdown_in_milliseconds" not in client.info("server")
    end(old, "SHUTDOWN FAILOVER")
    assert heir.client().reply("GET", key) == b"3"


def test_all_nodes_end_at_once(cluster):
    """Whoever would take over is ending, too: nobody waits long for anybody."""
    six = cluster(3, 1, cluster_node_timeout=TIMEOUT)
    start = time.monotonic()
    for node in six.nodes:
        node.send_signal(signal.SIGTERM)
    for node in six.nodes:
        assert node.wait_end() == 0
    assert time.monotonic() - start < 3 * SLOWNESS
    for node in six.nodes:
        node.start()
    six.wait_stable(60)


def test_without_crash_detection_the_timeout_counts(cluster):
    """cluster-crash-detection no: a process that is gone is suspected when it was silent for the node timeout."""
    timeout = int(3000 * SLOWNESS)
    six = cluster(3, 1, cluster_node_timeout=timeout)
    first, second, _ = six.masters()
    assert first.call("CONFIG", "GET", "cluster-crash-detection")[1] == b"yes"
    heir = six.replicas_of(first)[0]

    def time_failover(victim, heir):
        start = time.monotonic()
        victim.kill()
        wait_until(lambda: heir.call("ROLE")[0] == b"master", 30, "the failover", step=0.005)
        return time.monotonic() - start
    at_once = time_failover(first, heir)
    first.start()
    six.wait_stable()
    for node in six.nodes:
        node.call("CONFIG", "SET", "cluster-crash-detection", "no")
    waited = time_failover(second, six.replicas_of(second)[0])
    print(f"with crash detection {at_once:.2f} s, without {waited:.2f} s")
    assert at_once < 0.6 * timeout / 1000
    assert 0.7 * timeout / 1000 < waited < 3 * timeout / 1000
