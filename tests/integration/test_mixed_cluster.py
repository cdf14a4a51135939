"""One cluster of our servers and Debian's redis-server: each kind sees, votes, follows and fails over for the other."""
import re
import time

import pytest

from support import programs
from support.cluster import cluster_info, parse_nodes, slot_of
from support.mixed import OURS, REDIS, TOOLS, MixedCluster, Writer, run, tool
from support.programs import SLOWNESS, wait_until
from support.resp import Client, Error

pytestmark = pytest.mark.skipif(programs.testing_redis_itself(), reason="both kinds would be the same")
BOTH = [OURS, REDIS]
# What a writer may meet while its primary changes; anything else is a failure.
HEALING = {"MOVED", "ASK", "CLUSTERDOWN", "READONLY", "ConnectionRefusedError", "ConnectionResetError", "Closed",
           "BrokenPipeError", "TimeoutError", "timeout"}


@pytest.fixture(scope="module")
def six(module_yard):
    """Three of each kind; every primary's replica is of the other kind."""
    return MixedCluster(module_yard, [OURS, REDIS, OURS, REDIS, OURS, REDIS], create_with="shoal",
                        repl_ping_replica_period=1)


def other(kind):
    return REDIS if kind == OURS else OURS


# ---- One cluster, one view ----

def test_created_by_redis_cli_and_judged_by_both(yard):
    """The other command line's create is the module's fixture."""
    mixed = MixedCluster(yard, [REDIS, OURS, REDIS, OURS, REDIS, OURS], create_with="redis")
    mixed.wait_agreed()
    for name in TOOLS:
        for node in mixed.nodes[:2]:
            output = run(tool(name), "--cluster", "check", node.address)
            assert "[OK] All nodes agree about slots configuration." in output
            assert "[OK] All 16384 slots covered." in output


def slots_of(node):
    """CLUSTER SLOTS with the replicas of each range sorted: their order is nobody's promise."""
    return sorted((first, last, tuple(primary[:3]), tuple(sorted(tuple(replica[:3]) for replica in replicas)))
                  for first, last, primary, *replicas in node.call("CLUSTER", "SLOTS"))


def shards_of(node):
    """CLUSTER SHARDS without the order of shards and nodes, and without offsets."""
    shards = []
    for shard in node.call("CLUSTER", "SHARDS"):
        fields = dict(zip(shard[::2], shard[1::2]))
        nodes = [dict(zip(one[::2], one[1::2])) for one in fields[b"nodes"]]
        for one in nodes:
            del one[b"replication-offset"]
        shards.append((tuple(fields[b"slots"]), tuple(sorted(tuple(sorted(one.items())) for one in nodes))))
    return sorted(shards)


def test_all_views_are_equal(six):
    six.wait_agreed()
    for views in (slots_of, shards_of):
        def equal():
            first, *rest = [views(node) for node in six.nodes]
            assert all(one == first for one in rest), (first, rest)
            # A replica without an offset is not shown yet; here each has one soon, as its primary pings it.
            return views is shards_of or all(len(replicas) == 1 for *_, replicas in first)
        wait_until(equal, 20, "equal CLUSTER SLOTS and SHARDS")


def shape(value):
    """Field names in their order, and the types of what they name."""
    if isinstance(value, list):
        if value and len(value) % 2 == 0 and all(isinstance(name, bytes) and name.isalpha() for name in value[::4]):
            return [(name, shape(inner)) for name, inner in zip(value[::2], value[1::2])]
        return [shape(inner) for inner in value[:1]]
    return type(value)


def test_texts_have_one_shape(six):
    """What scripts parse: the fields of NODES, INFO, SLOTS, SHARDS and LINKS, in their order."""
    ours, real = six.of_kind(OURS)[0], six.of_kind(REDIS)[0]
    for one, two in zip(six.view(ours), six.view(real)):
        assert one.keys() == two.keys()
    pattern = re.compile(r"[0-9a-f]{40} 127\.0\.0\.1:\d+@\d+ (myself,)?(master|slave) (-|[0-9a-f]{40}) \d+ \d+ \d+ "
                         r"connected( \d+(-\d+)?)*")
    for node in (ours, real):
        text = node.call("CLUSTER", "NODES").decode()
        assert text.endswith("\n") and all(pattern.fullmatch(line) for line in text.splitlines()), text
        for line in node.call("CLUSTER", "REPLICAS", six.id_of(six.masters()[0])):
            assert pattern.fullmatch(line.decode())
        assert all(len(word) == 4 for entry in node.call("CLUSTER", "SLOTS") for word in entry[2:])
    names = [[line.split(":")[0] for line in node.call("CLUSTER", "INFO").decode().split("\r\n")
              if "cluster_stats_messages_" not in line] for node in (ours, real)]
    assert names[0] == names[1]
    counted = [set(re.findall(r"cluster_stats_messages_\w+", node.call("CLUSTER", "INFO").decode()))
               for node in (ours, real)]
    always = {f"cluster_stats_messages_{kind}{way}" for kind in ("ping_", "pong_", "") for way in ("sent", "received")}
    assert all(always <= one for one in counted)
    assert shape(ours.call("CLUSTER", "SHARDS")[0][3]) == shape(real.call("CLUSTER", "SHARDS")[0][3])
    assert shape(ours.call("CLUSTER", "LINKS")) == shape(real.call("CLUSTER", "LINKS"))
    # Two links for each peer, one each way.
    for node in (ours, real):
        wait_until(lambda: len(node.call("CLUSTER", "LINKS")) == 10, 10, "all links")
        ends = {(link[1], link[3]) for link in node.call("CLUSTER", "LINKS")}
        assert len(ends) == 10


# ---- Failure and failover ----

@pytest.mark.parametrize("kind", BOTH)
def test_a_silent_node_is_seen_by_both_kinds(six, kind):
    """SIGSTOP of a replica: both kinds suspect it, agree on FAIL, and pardon it when it is back."""
    _, silent = six.arrange(other(kind))
    assert six.kind(silent) == kind
    watchers = [six.of_kind(OURS), six.of_kind(REDIS)]
    watchers = [next(node for node in nodes if node is not silent) for nodes in watchers]
    silent.pause()
    try:
        for watcher in watchers:
            wait_until(lambda: six.saw(watcher, silent, ["fail"]), 20, f"{watcher} to call it failed", step=0.05)
    finally:
        silent.resume()
    six.wait_agreed()


@pytest.mark.parametrize("kind", BOTH)
def test_kill_of_a_primary(six, kind):
    """kill -9 of a primary of one kind. Its replica, of the other kind, needs two votes of two: one of each kind."""
    old, heir = six.arrange(kind, OURS, REDIS)
    voters = [node for node in six.masters() if node is not old]
    assert {six.kind(node) for node in voters} == set(BOTH) and six.kind(heir) != kind
    key = six.key_of(old)
    with old.client() as client:
        client.call("SET", key, "before")
        assert client.call("WAIT", 1, 5000) == 1
    old.kill()
    for voter in voters:
        wait_until(lambda: six.saw(voter, old, ["fail"]), 20, f"{voter} to call it failed")
    wait_until(lambda: heir.call("ROLE")[0] == b"master", 25, "the election")
    six.won(heir)
    with six.client(patience=30) as client:
        assert client.insist(key, "GET", key) == b"before"
        client.insist(key, "SET", key, "after")
    six.wait_stable()
    old.start()
    six.wait_agreed()
    assert old.call("ROLE")[0] == b"slave" and six.replicas_of(heir) == [old]
    with old.client() as client:
        client.call("READONLY")
        wait_until(lambda: client.call("GET", key) == b"after", 10, "the returned one to catch up")


@pytest.mark.parametrize("how", [(), ("FORCE",), ("TAKEOVER",)], ids=["plain", "force", "takeover"])
def test_manual_failover_there_and_back(six, how):
    """A replica of ours takes over from a Redis primary and gives it back, under writers. The plain one loses no write
    that was acknowledged; FORCE and TAKEOVER none that a replica had confirmed."""
    old, heir = six.arrange(REDIS)
    keys = [six.key_of(old, f"w{number}:") for number in range(4)]
    fulls = [int(node.info("stats")["sync_full"]) for node in (old, heir)]
    with Writer(six, keys, confirmed=bool(how)) as writer:
        for one in (heir, old):
            six.failover(one, *how)
            writer.more()
    writer.check(HEALING)
    assert old.call("ROLE")[0] == b"master" and six.replicas_of(old) == [heir]
    if not how:
        assert [int(node.info("stats")["sync_full"]) for node in (old, heir)] == fulls, "went on by PSYNC each time"


@pytest.mark.parametrize("kind", BOTH)
def test_one_that_returns_with_old_slots_is_told(six, kind):
    """While a primary was away its slots went to a replica, which now sleeps: the others, of both kinds, answer its old
    claim with UPDATE, and it follows the new owner."""
    old, heir = six.arrange(kind, OURS, REDIS)
    others = [node for node in six.masters() if node is not old]

    def updates(node, way):
        with node.client() as client:
            return int(cluster_info(client).get(f"cluster_stats_messages_update_{way}", 0))
    sent = {node.port: updates(node, "sent") for node in others}
    old.kill()
    wait_until(lambda: heir.call("ROLE")[0] == b"master", 25, "the election")
    six.won(heir)
    for node in others:
        wait_until(lambda: any(entry["port"] == heir.port and entry["slots"] for entry in six.view(node)), 10, "the news")
    heir.pause()
    try:
        old.start()
        wait_until(lambda: old.call("ROLE")[0] == b"slave", 20, "the old owner to be told")
        assert updates(old, "received") >= 1
        assert any(updates(node, "sent") > sent[node.port] for node in others)
    finally:
        heir.resume()
    six.wait_agreed()
    assert six.replicas_of(heir) == [old]


# ---- Slots on the move ----

def reshard(name, six, source, target, slots):
    return run(tool(name), "--cluster", "reshard", source.address, "--cluster-from", six.id_of(source), "--cluster-to",
               six.id_of(target), "--cluster-slots", slots, "--cluster-yes")


def slots_owned(six, node):
    return [slot for first, last in six.own_entry(node)["slots"] for slot in range(first, last + 1)]


def owned(six, node):
    return len(slots_owned(six, node))


def tag_in(slots, stem):
    """A hash tag of one of these slots."""
    return next(f"{stem}{i}" for i in range(1000000) if slot_of(f"{stem}{i}") in slots)


FAR = 33177117420123
VALUES = {"text": b"plain", "empty": b"", "binary": bytes(range(256)) * 5, "integer": b"42", "negative": b"-9223372036854775808",
          "nearly": b"007", "long": b"abc" * 30000, "large": bytes(range(251)) * 13000}


def fill(client, name):
    """Values of every shape that both kinds have, in one slot, half of them with an expiry."""
    for i, (kind, value) in enumerate(VALUES.items()):
        client.call("SET", f"{{{name}}}{kind}", value)
        if i % 2:
            client.call("PEXPIREAT", f"{{{name}}}{kind}", FAR + i)
    client.call("SET", f"{{{name}}}counted", 0)
    client.call("INCR", f"{{{name}}}counted")


def verify(client, name, moves):
    for i, (kind, value) in enumerate(VALUES.items()):
        key = f"{{{name}}}{kind}"
        assert client.call(key, "GET", key) == value, key
        expiry = client.call(key, "PEXPIRETIME", key)
        # MIGRATE carries the time that is left, so each journey may add its length.
        assert abs(expiry - FAR - i) < 3000 * SLOWNESS * moves if i % 2 else expiry == -1, (key, expiry)
    key = f"{{{name}}}counted"
    assert client.call(key, "INCRBY", key, 0) == 1
    assert client.call(f"{{{name}}}integer", "OBJECT", "ENCODING", f"{{{name}}}integer") == b"int"


@pytest.mark.parametrize("name", TOOLS)
def test_slots_move_both_ways(six, name):
    """From a Redis primary to ours and back, by either command line, with values of every shape and under writers."""
    six.arrange(OURS, REDIS)
    (ours, *_), (real, *_) = [[node for node in six.masters() if six.kind(node) == kind] for kind in BOTH]
    names = []
    for source in (ours, real):
        # The lowest slots go first.
        tag = tag_in(slots_owned(six, source)[:40], "t")
        with source.client() as client:
            fill(client, tag)
        names.append(tag)
    counts = [owned(six, ours), owned(six, real)]
    with Writer(six, [f"{{{tag}}}w{i}" for tag in names for i in range(2)]) as writer:
        reshard(name, six, real, ours, 40)
        six.wait_stable()
        assert [owned(six, ours), owned(six, real)] == [counts[0] + 40, counts[1] - 40]
        writer.more(5)
        with six.client() as client:
            verify(client, names[1], 1)
        reshard(name, six, ours, real, 80)
        six.wait_stable()
        writer.more(5)
    writer.check({"MOVED", "ASK"})
    assert [owned(six, ours), owned(six, real)] == [counts[0] - 40, counts[1] + 40]
    with six.client() as client:
        for tag in names:
            verify(client, tag, 2)
    for one in TOOLS:
        assert "[OK] All 16384 slots covered." in run(tool(one), "--cluster", "check", ours.address)
    reshard(name, six, real, ours, 40)
    six.wait_agreed()


def test_a_type_that_we_lack_stays_where_it_is(six, operator):
    """A list on its way from Redis to us: either command line, Redis's reply and our log say why it does not go; it stays,
    and what went before it comes back, as the guide says."""
    six.arrange(OURS, REDIS)
    (ours, *_), (real, *_) = [[node for node in six.masters() if six.kind(node) == kind] for kind in BOTH]
    first = slots_owned(six, real)[0]
    tag = tag_in([first], "l")
    key = f"{{{tag}}}list"
    with real.client() as client, ours.client() as target:
        client.call("RPUSH", key, "a", "b", "c")
        client.call("SET", f"{{{tag}}}string", "s")
        for name in TOOLS:
            output = run(tool(name), "--cluster", "reshard", ours.address, "--cluster-from", six.id_of(real),
                         "--cluster-to", six.id_of(ours), "--cluster-slots", 1, "--cluster-yes", status=None)
            assert "Bad data format" in output, output
            reply = client.reply("MIGRATE", "127.0.0.1", ours.port, key, 0, 5000)
            assert isinstance(reply, Error) and "Bad data format: a value of a type" in reply, reply
            assert f"RESTORE of key '{key}' refused: Bad data format" in ours.log()
            assert client.call("LRANGE", key, 0, -1) == [b"a", b"b", b"c"]
            assert target.call("CLUSTER", "GETKEYSINSLOT", first, 100) in ([], [f"{{{tag}}}string".encode()])
            operator.run(guide() + f"put_back {first} {real.address} {ours.address}\n", six.nodes, [], "true")
            assert client.call("GET", f"{{{tag}}}string") == b"s"
            assert "[OK] All 16384 slots covered." in run(tool(name), "--cluster", "check", real.address)
        client.call("DEL", key, f"{{{tag}}}string")
    six.wait_agreed()


# ---- Names, and who belongs ----

def test_hostnames_are_told_both_ways(six):
    """Pings carry names as extensions: given, changed and taken away at run time, they arrive at both kinds, in NODES
    and SLOTS; and no redis-server finds an extension that it does not know."""
    named = [six.of_kind(OURS)[0], six.of_kind(REDIS)[0]]

    def known(name):
        def everywhere():
            for node in six.nodes:
                lines = node.call("CLUSTER", "NODES").decode().splitlines()
                for one in named:
                    wanted = f"127.0.0.1:{one.port}@{one.port + 10000}" + (f",{name}{one.port}" if name else "")
                    assert any(line.split(" ")[1] == wanted for line in lines), (node, wanted, lines)
            return True
        return everywhere
    for name in ("first", "second", ""):
        for one in named:
            value = f"{name}{one.port}" if name else ""
            assert one.call("CONFIG", "SET", "cluster-announce-hostname", value) == b"OK"
        wait_until(known(name), 15, f"the names {name!r} to be everywhere", step=0.1)
        if name:
            for node in six.nodes:
                texts = str(node.call("CLUSTER", "SLOTS"))
                assert all(f"b'hostname', b'{name}{one.port}'" in texts for one in named), texts
    for node in six.of_kind(REDIS):
        assert "unknown extension" not in node.log()
        assert "Received unknown" not in node.log()


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("kind", BOTH)
def test_one_more_and_one_less(six, yard, kind, name):
    """add-node as a replica of the other kind's primary, then del-node: it is forgotten by everyone, and alone. After
    RESET HARD it is somebody else, and may come again."""
    primary, _ = six.arrange(other(kind))
    fresh = yard.server(program=six.program_of(kind), cluster_enabled="yes", repl_diskless_sync_delay=0,
                        cluster_node_timeout=six.timeout)
    run(tool(name), "--cluster", "add-node", fresh.address, primary.address, "--cluster-slave", "--cluster-master-id",
        six.id_of(primary))
    six.nodes.append(fresh)
    try:
        six.wait_agreed()
        assert fresh in six.replicas_of(primary)
        identity = six.id_of(fresh)
        run(tool(name), "--cluster", "del-node", primary.address, identity)
    finally:
        six.nodes.remove(fresh)
    # del-node asks every node to forget; those that are told may hear of it from nobody for a minute.
    for node in six.nodes:
        assert identity not in node.call("CLUSTER", "NODES").decode()
    time.sleep(0.3)
    for node in six.nodes:
        assert identity not in node.call("CLUSTER", "NODES").decode()
    six.wait_agreed()
    with fresh.client() as client:
        wait_until(lambda: len(parse_nodes(client.call("CLUSTER", "NODES"))) == 1, 10, "it to be alone")
        assert client.call("CLUSTER", "RESET", "HARD") == b"OK"
        assert client.call("CLUSTER", "MYID").decode() != identity
        assert client.call("ROLE")[0] == b"master" and client.call("DBSIZE") == 0


@pytest.mark.parametrize("kind", BOTH)
def test_forget_keeps_gossip_out(six, kind):
    """CLUSTER FORGET by hand on every node; what one of the other kind still says of the forgotten one brings nobody back."""
    lonely, gone = six.arrange(other(kind))
    assert six.kind(gone) == kind
    identity = six.id_of(gone)
    others = [node for node in six.nodes if node is not gone]
    gone.kill()
    for node in others[1:]:
        assert node.call("CLUSTER", "FORGET", identity) == b"OK"
    # The first still knows it, and gossips about it; the others don't listen.
    for _ in range(5):
        time.sleep(0.2)
        assert all(identity not in node.call("CLUSTER", "NODES").decode() for node in others[1:])
    if six.kind(others[0]) == OURS:  # those of our kind tell each other
        wait_until(lambda: identity not in others[0].call("CLUSTER", "NODES").decode(), 10, "the news")
    assert others[0].call("CLUSTER", "FORGET", identity) == b"OK"
    for node in others:
        assert identity not in node.call("CLUSTER", "NODES").decode()
        assert node.client().reply("CLUSTER", "FORGET", "0" * 40).startswith("ERR Unknown node")
        assert "forget myself" in node.client().reply("CLUSTER", "FORGET", six.id_of(node))
    # It comes back by MEET, with a new name, and takes its place again.
    (gone.directory / "nodes.conf").unlink()
    gone.start()
    assert lonely.call("CLUSTER", "MEET", "127.0.0.1", gone.port) == b"OK"

    def met():
        entries = six.view(gone)
        assert len(entries) == 6 and not any("handshake" in entry["flags"] for entry in entries), (entries, six.view(lonely))
        return True
    wait_until(met, 20, "it to be met")
    wait_until(lambda: gone.client().reply("CLUSTER", "REPLICATE", six.id_of(lonely)) == b"OK", 10, "REPLICATE")
    six.wait_agreed()


# ---- Replication ----

def test_what_cannot_be_applied_is_not_passed_over(six):
    """A Redis primary writes a list: its replica of ours says so, drops out and stands for no election; when the list
    is gone it is a copy again."""
    primary, replica = six.arrange(REDIS)
    key = six.key_of(primary, "list")
    with primary.client() as client, replica.client() as follower:
        client.call("SET", six.key_of(primary), "before")
        assert client.call("WAIT", 1, 5000) == 1
        client.call("RPUSH", key, "a", "b")
        wait_until(lambda: "The PRIMARY's command 'RPUSH' can't be applied" in replica.log(), 10, "the complaint")
        wait_until(lambda: follower.info("replication")["master_link_status"] == "down", 5, "the link's end")
        wait_until(lambda: "Failed loading the PRIMARY's snapshot: value type" in replica.log(), 20, "the next complaint")
        wait_until(lambda: client.reply("SAVE") == b"OK", 10, "a snapshot that holds the list")
        primary.kill()
        wait_until(lambda: six.saw(replica, primary, ["fail"]), 20, "FAIL")
        wait_until(lambda: "Currently unable to failover" in replica.log(), 10, "it to know that it must not")
        time.sleep(2 * six.timeout / 1000)
        assert follower.call("ROLE")[0] == b"slave"
    primary.start()
    with primary.client() as client, replica.client() as follower:
        assert client.call("ROLE")[0] == b"master"
        wait_until(lambda: client.reply("LRANGE", key, 0, -1) == [b"a", b"b"], 20, "the cluster to be well again")
        assert client.call("DEL", key) == 1
        wait_until(lambda: follower.info("replication")["master_link_status"] == "up", 20, "a copy again")
        assert follower.call("DBSIZE") == client.call("DBSIZE")
    six.wait_agreed()


@pytest.mark.parametrize("kinds", [(REDIS, OURS, REDIS), (OURS, REDIS, OURS)], ids="-".join)
def test_a_chain_and_its_head_removed(yard, proxy, kinds):
    """Replica of a replica across kinds: full synchronisation down the chain; a cut in the middle and the loss of the
    head are made good with what the backlog has."""
    top, middle, bottom = [yard.server(program=MixedCluster.program_of(kind), repl_diskless_sync_delay=0,
                                       repl_ping_replica_period=1) for kind in kinds]
    link = proxy(middle.port)
    with top.client() as one, middle.client() as two, bottom.client() as three:
        one.pipeline(["SET", f"k{i}", "v" * (i % 500)] for i in range(2000))
        one.call("SET", "large", b"x" * 3000000, "PXAT", FAR)
        two.call("REPLICAOF", "127.0.0.1", top.port)
        three.call("REPLICAOF", "127.0.0.1", link.port)

        def equal(first, last):
            assert last.info("replication")["master_link_status"] == "up"
            offsets = {client.info("replication")["master_repl_offset"] for client in (first, last)}
            return len(offsets) == 1 and first.call("DBSIZE") == last.call("DBSIZE")
        wait_until(lambda: equal(one, three), 30, "the bottom to have all", step=0.1)
        assert three.call("PEXPIRETIME", "large") == FAR and three.call("STRLEN", "large") == 3000000
        fulls = int(two.info("stats")["sync_full"])
        link.cut(refuse=True)
        one.pipeline(["SET", f"cut{i}", i] for i in range(500))
        link.mend()
        wait_until(lambda: equal(one, three), 30, "the cut to be made good", step=0.1)
        assert three.call("GET", "cut499") == b"499"
        # The head goes, the middle leads: the bottom goes on without a snapshot, and the old head as its replica too.
        two.call("REPLICAOF", "NO", "ONE")
        two.call("SET", "after", "1")
        wait_until(lambda: three.call("GET", "after") == b"1", 20, "the bottom to follow the middle")
        partials = int(two.info("stats")["sync_partial_ok"])
        one.call("REPLICAOF", "127.0.0.1", middle.port)
        wait_until(lambda: one.call("GET", "after") == b"1" and equal(two, one), 20, "the old head to follow")
        assert int(two.info("stats")["sync_partial_ok"]) == partials + 1
        assert int(two.info("stats")["sync_full"]) == fulls
        assert two.call("DBSIZE") == one.call("DBSIZE") == three.call("DBSIZE")


@pytest.mark.parametrize("kind", BOTH)
def test_a_primary_restarts_and_its_replica_goes_on(yard, kind):
    """Ended in order, with a snapshot, and started again: the replica of the other kind needs no snapshot."""
    primary, replica = [yard.server(program=MixedCluster.program_of(one), repl_diskless_sync_delay=0, save="3600 1",
                                    repl_ping_replica_period=1, repl_backlog_ttl=5) for one in (kind, other(kind))]
    replica.call("REPLICAOF", "127.0.0.1", primary.port)
    replica.wait_for(lambda client: client.info("replication")["master_link_status"] == "up", 20)
    primary.call("SET", "k", "before")
    primary.stop()
    primary.start()
    with replica.client() as client:
        wait_until(lambda: client.info("replication")["master_link_status"] == "up", 20, "the link to be there again")
        primary.call("SET", "k", "after")
        wait_until(lambda: client.call("GET", "k") == b"after", 10, "the stream to go on")
    assert primary.info("stats")["sync_full"] == "0" and primary.info("stats")["sync_partial_ok"] == "1"


# ---- The guide ----

GUIDE = programs.ROOT / "docs" / "replace-a-redis-cluster.md"


def guide(*ways):
    """The guide's commands: its plain blocks of shell, and those of the chosen ways, in their order."""
    blocks = re.findall(r"^```sh *([\w-]*)\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)
    assert {name for name, _ in blocks} == {"", "settings", "look", "in-place", "side-by-side"}
    settings = next(text for name, text in blocks if name == "settings")
    assert set(re.findall(r"^(\w+)(?:=|\(\))", settings, re.M)) == {"OLD", "NEW", "start"}, "what the tests set instead"
    return "".join(text for name, text in blocks if name in ("", *ways))


class Operator:
    """Runs the guide's commands, and ends the servers that they started."""

    def __init__(self, yard):
        self.yard = yard
        self.ports = []

    def run(self, script, old, new, program):
        """`start` starts the program as a daemon with the configuration file of the node at that address."""
        self.ports += [node.port for node in [*old, *new] if node in self.yard.servers]
        head = "\n".join([
            "set -euo pipefail",
            f"OLD='{' '.join(node.address for node in old)}'",
            f"NEW='{' '.join(node.address for node in new)}'",
            "conf_of() { case $1 in",
            *[f"{node.address}) echo '{node.config_file}';;" for node in [*old, *new]],
            "esac; }",
            f"start() {{ '{program}' \"$(conf_of \"$1\")\" --daemonize yes --logfile server.log; }}", ""])
        path = self.yard.directory / "guide.sh"
        path.write_text(head + script)
        return run("bash", path, seconds=120)

    def close(self):
        for port in self.ports:
            try:
                with Client(port, timeout=2) as client:
                    client.send("SHUTDOWN", "NOSAVE", "NOW", "FORCE")
                    client.closed_by_peer(5)
            except OSError:
                pass


@pytest.fixture
def operator(yard):
    return yard.add(Operator(yard))


def redis_cluster(yard):
    cluster = MixedCluster(yard, [REDIS] * 6, create_with="redis", repl_ping_replica_period=1)
    for node in cluster.nodes:
        node.expected_to_die = True
    with cluster.client() as client:
        for i in range(300):
            client.call(f"k{i}", "SET", f"k{i}", i, *(["PXAT", FAR] if i % 3 == 0 else []))
    return cluster


def all_there(cluster):
    with cluster.client(patience=20) as client:
        for i in range(300):
            assert client.insist(f"k{i}", "GET", f"k{i}") == str(i).encode()
            assert client.insist(f"k{i}", "PEXPIRETIME", f"k{i}") == (FAR if i % 3 == 0 else -1)


def writers(cluster):
    return Writer(cluster, [cluster.key_of(node, f"w{number}:") for node in cluster.masters() for number in range(2)])


def kinds_at(nodes):
    return {dict(node.info("server")).get("server_name", "redis") for node in nodes}


class Moved(MixedCluster):
    """The same cluster, whose processes are others now: they are asked, not looked at."""

    def __init__(self, nodes):
        self.nodes, self.elected = nodes, {}

    def alive(self):
        return self.nodes


def test_the_guide_in_place_there_and_back(yard, operator):
    before = redis_cluster(yard)
    cluster = Moved(before.nodes)
    names = sorted(entry["id"] for entry in before.view(before.nodes[0]))
    with writers(cluster) as writer:
        output = operator.run(guide("look", "in-place"), cluster.nodes, [], programs.shoal("server"))
        assert output.count("is replaced") == 6, output
        writer.more(10)
    assert kinds_at(cluster.nodes) == {"shoal"}
    cluster.wait_agreed()
    assert sorted(entry["id"] for entry in cluster.view(cluster.nodes[0])) == names
    all_there(cluster)
    writer.check(HEALING)
    with writers(cluster) as writer:
        output = operator.run(guide("in-place"), cluster.nodes, [], programs.redis("server"))
        assert output.count("is replaced") == 6, output
        writer.more(10)
    assert kinds_at(cluster.nodes) == {"redis"}
    cluster.wait_agreed()
    all_there(cluster)
    writer.check(HEALING)


def test_the_guide_side_by_side(yard, operator):
    before = redis_cluster(yard)
    fresh = [yard.server(start=False, cluster_enabled="yes", cluster_node_timeout=before.timeout,
                         repl_diskless_sync_delay=0) for _ in before.nodes]
    for node in fresh:
        node.write_configuration()
    everyone = Moved([*before.nodes, *fresh])
    with Writer(before, [before.key_of(node, "w") for node in before.masters()]) as writer:
        writer_ports = [node.port for node in everyone.nodes]
        writer.know(writer_ports)
        output = operator.run(guide("look", "side-by-side"), before.nodes, fresh, programs.shoal("server"))
        assert output.count("has succeeded") == 6, output
        writer.more(10)
    cluster = Moved(fresh)
    cluster.wait_agreed()
    assert len(cluster.view(fresh[0])) == 6 and kinds_at(fresh) == {"shoal"}
    all_there(cluster)
    writer.cluster = cluster
    writer.check(HEALING)


def test_the_guide_finds_what_cannot_come(yard, operator):
    before = redis_cluster(yard)
    script = guide("look")
    assert " has a " not in operator.run(script, before.nodes, [], "true")
    with before.client() as client:
        client.call("{x}l", "RPUSH", "{x}l", 1)
        client.call("{y}h", "HSET", "{y}h", 1, 2)
    before.masters()[0].call("FUNCTION", "LOAD", "#!lua name=f\nredis.register_function('g', function() return 1 end)")
    output = operator.run(script, before.nodes, [], "true")
    assert re.search("has a list: .*{x}l", output) and re.search("has a hash: .*{y}h", output) and "has functions" in output, output


# ---- What redis-cli --cluster fix needs ----

def test_orders_inside_a_transaction(yard):
    """redis-cli --cluster fix gives a slot a new owner inside MULTI: our replies are Redis's."""
    replies = []
    for kind in BOTH:
        node = yard.server(program=MixedCluster.program_of(kind), cluster_enabled="yes")
        with node.client() as client:
            client.call("CLUSTER", "ADDSLOTS", 1, 2)
            answers = client.pipeline([["MULTI"], ["CLUSTER", "DELSLOTS", 1], ["CLUSTER", "DELSLOTS", 1],
                                       ["CLUSTER", "ADDSLOTS", 1], ["CLUSTER", "SETSLOT", 1, "STABLE"], ["CLUSTER", "BUMPEPOCH"],
                                       ["CLUSTER", "COUNTKEYSINSLOT", 1], ["CLUSTER", "KEYSLOT", "k"],
                                       ["CLUSTER", "SLOTS"], ["EXEC"]])
            *queued, slots = answers[-1]
            replies.append([answers[:-1], queued, [entry[:2] for entry in slots]])
            assert client.pipeline([["MULTI"], ["CLUSTER", "MYID"], ["EXEC"]])[-1] == [client.call("CLUSTER", "MYID")]
        node.kill()
        node.start()
        assert [entry[:2] for entry in node.call("CLUSTER", "SLOTS")] == [[1, 2]]
    assert replies[0] == replies[1]
    assert isinstance(replies[0][1][1], Error) and replies[0][2] == [[1, 2]]


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("kind", BOTH)
def test_a_slot_left_open_is_mended(six, name, kind):
    """A move that ended half way, with keys on both sides: `--cluster fix` of either command line brings them together."""
    six.arrange(OURS, REDIS)
    target, source = [next(node for node in six.masters() if six.kind(node) == one) for one in (kind, other(kind))]
    slot = slots_owned(six, source)[0]
    tag = tag_in([slot], "o")
    keys = [f"{{{tag}}}{i}" for i in range(20)]
    with source.client() as one, target.client() as two:
        one.pipeline(["SET", key, key] for key in keys)
        assert two.call("CLUSTER", "SETSLOT", slot, "IMPORTING", six.id_of(source)) == b"OK"
        assert one.call("CLUSTER", "SETSLOT", slot, "MIGRATING", six.id_of(target)) == b"OK"
        assert one.call("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys[:12]) == b"OK"
    output = run(tool(name), "--cluster", "fix", source.address, status=None)
    six.wait_agreed()
    assert "[OK] All 16384 slots covered." in run(tool(name), "--cluster", "check", source.address), output
    with six.client() as client:
        for key in keys:
            assert client.call(key, "GET", key) == key.encode(), output
            client.call(key, "DEL", key)
