"""A server whose workers stand still is failed over like a dead one; one that is merely busy is not."""
import threading
import time

import pytest

from support import programs
from support.cluster import cluster_info, parse_nodes, slot_of
from support.programs import SLOWNESS, wait_until

pytestmark = pytest.mark.skipif(programs.testing_redis_itself(), reason="a redis-server that sleeps does look dead")
TIMEOUT = int(1000 * SLOWNESS)


def key_of(six, node):
    (entry,) = [entry for entry in six.view(node) if "myself" in entry["flags"]]
    return next(f"key{i}" for i in range(100000)
                if any(first <= slot_of(f"key{i}") <= last for first, last in entry["slots"]))


def complaints(six, node, seconds):
    """What the others say of the node meanwhile."""
    seen = set()
    clients = [other.client() for other in six.nodes if other is not node]
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for client in clients:
            for entry in parse_nodes(client.call("CLUSTER", "NODES")):
                if entry["port"] == node.port:
                    seen |= set(entry["flags"]) & {"fail", "fail?"}
        time.sleep(0.02)
    for client in clients:
        client.close()
    return seen


def test_workers_that_stand_still_are_failed_over(cluster):
    """DEBUG SLEEP on the only worker: when cluster-stall-timeout is over, the node is silent; the replica takes over; and
    when the worker goes on, it knows already that its slots are another's."""
    six = cluster(3, 1, cluster_node_timeout=TIMEOUT, cluster_stall_timeout=500, io_threads=1,
                  enable_debug_command="yes")
    old = six.masters()[0]
    (heir,) = six.replicas_of(old)
    key = key_of(six, old)
    old.call("SET", key, "before")
    assert old.client().call("WAIT", 1, 5000) >= 0
    sleep = 8 * SLOWNESS
    with old.client(timeout=60) as sleeper, old.client(timeout=60) as writer:
        sleeper.send("DEBUG", "SLEEP", sleep)
        start = time.monotonic()
        time.sleep(0.1)
        writer.send("SET", key, "too late")
        wait_until(lambda: heir.client().reply("SET", key, "after") == b"OK", 15, "the replica to take writes")
        assert time.monotonic() - start < sleep, "the failover came after the sleep"
        assert "No worker has finished a command for 500 milliseconds" in old.log()
        assert "The workers go on" not in old.log()
        assert sleeper.read() == b"OK"
        # It waited in the socket; it must not be taken, or it would be lost.
        assert writer.read() == f"MOVED {slot_of(key)} 127.0.0.1:{heir.port}"
    wait_until(lambda: "The workers go on" in old.log(), 5, "the node to speak again")
    six.wait_stable()
    assert old.call("ROLE")[0] == b"slave" and heir.client().reply("GET", key) == b"after"
    wait_until(lambda: not any("fail" in flag for node in six.nodes for entry in six.view(node)
                               for flag in entry["flags"]), 15, "FAIL to be taken back")


def test_a_busy_worker_gets_on(cluster):
    """Long commands one after the other, from several clients at once: each that ends shows that work is done."""
    six = cluster(3, 1, cluster_node_timeout=TIMEOUT, cluster_stall_timeout=int(1500 * SLOWNESS), io_threads=1,
                  enable_debug_command="yes")
    busy = six.masters()[0]
    epoch = cluster_info(busy.client())["cluster_current_epoch"]
    stop = threading.Event()

    def work():
        with busy.client(timeout=60) as client:
            while not stop.is_set():
                assert client.pipeline([["DEBUG", "SLEEP", SLOWNESS]] * 3) == [b"OK"] * 3
    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        assert complaints(six, busy, 8 * SLOWNESS) == set()
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert "No worker has finished" not in busy.log()
    assert cluster_info(busy.client())["cluster_current_epoch"] == epoch


@pytest.mark.slow
def test_long_commands_at_a_short_node_timeout(cluster):
    """The default leaves commands their ten seconds, however short the node timeout is."""
    six = cluster(3, 1, cluster_node_timeout=int(500 * SLOWNESS), io_threads=1, enable_debug_command="yes")
    busy = six.masters()[0]
    epoch = cluster_info(busy.client())["cluster_current_epoch"]
    with busy.client(timeout=60) as one, busy.client(timeout=60) as other:
        one.send("DEBUG", "SLEEP", 5.5)
        other.send("DEBUG", "SLEEP", 5.5)
        assert complaints(six, busy, 11.5) == set()
        assert one.read() == b"OK" and other.read() == b"OK"
    assert "No worker has finished" not in busy.log()
    assert cluster_info(busy.client())["cluster_current_epoch"] == epoch


def test_the_setting(cluster):
    """0, the default, stands for ten node timeouts, at least ten seconds; it can be changed while the server runs."""
    six = cluster(3, 1, cluster_node_timeout=TIMEOUT, io_threads=1, enable_debug_command="yes")
    node = six.masters()[0]
    assert node.call("CONFIG", "GET", "cluster-stall-timeout") == [b"cluster-stall-timeout", b"0"]
    with node.client(timeout=30) as client:
        assert client.call("DEBUG", "SLEEP", 2 * SLOWNESS) == b"OK"
        assert "No worker has finished" not in node.log()
        client.call("CONFIG", "SET", "cluster-stall-timeout", int(300 * SLOWNESS))
        assert client.call("DEBUG", "SLEEP", 0.8 * SLOWNESS) == b"OK"  # too short a silence for a failover
        wait_until(lambda: "The workers go on" in node.log(), 5, "both lines of the log")
        assert client.call("CONFIG", "SET", "cluster-stall-timeout", 0) == b"OK"
        assert "must be between" in client.reply("CONFIG", "SET", "cluster-stall-timeout", -1)
    assert node.call("ROLE")[0] == b"master"
