"""Orders that make no sense get Redis's error, and change nothing: beside two clusters of three nodes laid out the same.

Node 0 owns 0-8191 and holds a key in slot 866, node 1 owns 8192-16000, node 2 replicates node 1; 16001-16383 are nobody's.
"""
import pytest

from support.cluster import parse_nodes
from support.programs import wait_until
from support.resp import Error
from test_cluster_replies import CLUSTER, Twins

UNKNOWN = "0123456789012345678901234567890123456789"


class Trio(Twins):
    def __init__(self, start):
        directives = {**CLUSTER, "cluster_require_full_coverage": "no"}
        self.nodes = [start(**directives) for _ in range(3)]
        self.clients = [node.client() for node in self.nodes]
        for epoch, client in enumerate(self.clients):
            client.call("CLUSTER", "SET-CONFIG-EPOCH", epoch + 1)
        self.clients[0].call("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        self.clients[1].call("CLUSTER", "ADDSLOTSRANGE", 8192, 16000)
        for node in self.nodes[1:]:
            self.clients[0].call("CLUSTER", "MEET", "127.0.0.1", node.port)
        self.ids = [client.call("CLUSTER", "MYID").decode() for client in self.clients]
        wait_until(lambda: all(len(view) == 3 for view in self.views()), 20, "three nodes to join")
        self.clients[2].call("CLUSTER", "REPLICATE", self.ids[1])
        wait_until(lambda: all("slave" in view[self.ids[2]][0] for view in self.views()), 20, "the replica to be known as one")
        wait_until(lambda: self.nodes[2].info("replication")["master_link_status"] == "up", 20, "the replica's link")
        wait_until(lambda: all(b"cluster_state:ok" in client.call("CLUSTER", "INFO") for client in self.clients), 20, "ok")
        self.clients[0].call("SET", "hello", "kept")
        self.before = self.views()

    def views(self):
        """What each node thinks of all that are no strangers: roles, slots, slots on the move, epochs."""
        return [{entry["id"]: (entry["flags"], entry["primary"], entry["host"], entry["port"], entry["epoch"], entry["words"])
                 for entry in parse_nodes(client.call("CLUSTER", "NODES")) if "handshake" not in entry["flags"]}
                for client in self.clients]

    def words(self, line):
        named = {"ID0": self.ids[0], "ID1": self.ids[1], "ID2": self.ids[2], "UNKNOWN": UNKNOWN, "EMPTY": ""}
        return ["CLUSTER", *(named.get(word, word) for word in line.split())]


@pytest.fixture(scope="module")
def trios(module_yard):
    return Trio(module_yard.server), Trio(module_yard.redis)


NONSENSE = {
    "setslot": """
        0: SETSLOT
        0: SETSLOT 5
        0: SETSLOT 5 NODE
        0: SETSLOT 5 NODE UNKNOWN
        0: SETSLOT 5 NODE short
        0: SETSLOT 5 NODE EMPTY
        0: SETSLOT 5 NODE ID2
        0: SETSLOT 5 NODE ID1 more
        0: SETSLOT 866 NODE ID1
        0: SETSLOT 9000 NODE UNKNOWN
        0: SETSLOT 5 MIGRATING UNKNOWN
        0: SETSLOT 5 MIGRATING ID2
        0: SETSLOT 5 MIGRATING
        0: SETSLOT 9000 MIGRATING ID1
        0: SETSLOT 16100 MIGRATING ID1
        0: SETSLOT 5 IMPORTING ID1
        0: SETSLOT 9000 IMPORTING UNKNOWN
        0: SETSLOT 9000 IMPORTING ID2
        0: SETSLOT 5 STABLE more
        0: SETSLOT 5 BOGUS
        0: SETSLOT 5 BOGUS ID1
        0: SETSLOT 5 EMPTY EMPTY
        0: SETSLOT 16384 STABLE
        0: SETSLOT -1 STABLE
        0: SETSLOT 1.5 STABLE
        0: SETSLOT EMPTY STABLE
        0: SETSLOT 99999999999999999999 NODE ID0
        2: SETSLOT 5 STABLE
        2: SETSLOT 9000 NODE ID1
        2: SETSLOT 9000 MIGRATING ID0
        2: SETSLOT abc BOGUS
        """,
    "failover": """
        0: FAILOVER
        0: FAILOVER FORCE
        0: FAILOVER TAKEOVER
        0: FAILOVER BOGUS
        0: FAILOVER EMPTY
        0: FAILOVER FORCE TAKEOVER
        2: FAILOVER BOGUS
        2: FAILOVER FORCE FORCE
        """,
    "replicate": """
        0: REPLICATE
        0: REPLICATE ID0
        0: REPLICATE ID1
        0: REPLICATE ID2
        0: REPLICATE UNKNOWN
        0: REPLICATE EMPTY
        0: REPLICATE ID1 more
        1: REPLICATE ID2
        2: REPLICATE ID2
        2: REPLICATE UNKNOWN
        """,
    "meet and forget": """
        0: MEET
        0: MEET 127.0.0.1
        0: MEET 127.0.0.1 0
        0: MEET 127.0.0.1 -1
        0: MEET 127.0.0.1 65536
        0: MEET 127.0.0.1 60000
        0: MEET 127.0.0.1 abc
        0: MEET 127.0.0.1 EMPTY
        0: MEET 127.0.0.1 7000 0
        0: MEET 127.0.0.1 7000 -1
        0: MEET 127.0.0.1 7000 65536
        0: MEET 127.0.0.1 7000 abc
        0: MEET 127.0.0.1 7000 17000 more
        0: MEET 999.1.1.1 7000
        0: MEET localhost 7000
        0: MEET ::g 7000
        0: MEET EMPTY 7000
        0: MEET 127.0.0.1,x 7000
        0: FORGET
        0: FORGET ID0
        0: FORGET UNKNOWN
        0: FORGET EMPTY
        0: FORGET ID1 ID2
        2: FORGET ID2
        2: FORGET ID1
        """,
    "slots": """
        0: ADDSLOTS 5
        0: ADDSLOTS 9000
        0: ADDSLOTS 16100 16100
        0: ADDSLOTS 16100 5
        0: ADDSLOTS 16100 16384
        0: ADDSLOTS 5 16384
        0: ADDSLOTSRANGE 5 6 9 8
        0: DELSLOTS 16100 abc
        0: ADDSLOTS -1
        0: ADDSLOTS EMPTY
        0: ADDSLOTS 16100 abc
        0: ADDSLOTSRANGE 16100
        0: ADDSLOTSRANGE 16100 16110 16120
        0: ADDSLOTSRANGE 16100 16090
        0: ADDSLOTSRANGE 16100 16110 16105 16120
        0: ADDSLOTSRANGE 16100 16110 5 6
        0: ADDSLOTSRANGE 16100 16384
        0: ADDSLOTSRANGE -1 5
        0: ADDSLOTSRANGE 15990 16010
        0: DELSLOTS 16100
        0: DELSLOTS 5 5
        0: DELSLOTS 5 16100
        0: DELSLOTS 5 16384
        0: DELSLOTS 5 abc
        0: DELSLOTSRANGE 5
        0: DELSLOTSRANGE 5 4
        0: DELSLOTSRANGE 0 10 5 20
        0: DELSLOTSRANGE 16100 16110
        0: DELSLOTSRANGE 0 abc
        0: FLUSHSLOTS
        0: FLUSHSLOTS more
        """,
    "the rest": """
        0: RESET
        0: RESET HARD
        0: RESET SOFT
        0: RESET BOGUS
        0: RESET EMPTY
        0: RESET HARD more
        0: SET-CONFIG-EPOCH
        0: SET-CONFIG-EPOCH 9
        0: SET-CONFIG-EPOCH -1
        0: SET-CONFIG-EPOCH abc
        0: SET-CONFIG-EPOCH 99999999999999999999
        0: SET-CONFIG-EPOCH 9 9
        0: BUMPEPOCH more
        0: SAVECONFIG more
        0: COUNT-FAILURE-REPORTS
        0: COUNT-FAILURE-REPORTS UNKNOWN
        0: COUNT-FAILURE-REPORTS short
        0: COUNT-FAILURE-REPORTS EMPTY
        0: COUNT-FAILURE-REPORTS ID1 more
        0: REPLICAS
        0: REPLICAS UNKNOWN
        0: REPLICAS ID2
        0: SLAVES EMPTY
        0: EMPTY
        0: BOGUS ID1
        """,
}


@pytest.mark.parametrize("which", NONSENSE)
def test_nonsense_is_refused_and_changes_nothing(trios, which):
    differences = []
    for line in NONSENSE[which].strip().splitlines():
        at, line = line.strip().split(": ", 1)
        ours, theirs = (each.plain(each.clients[int(at)].raw(*each.words(line))) for each in trios)
        assert theirs.startswith(b"-"), f"{line} at {at} is not refused by Redis: {theirs!r}"
        if ours != theirs:
            differences.append(f"{line} at {at}\n  expected {theirs!r}\n       got {ours!r}")
        changed = [name for name, each in zip(("ours", "Redis"), trios) if each.views() != each.before]
        if changed:
            differences.append(f"{line} at {at} changed {changed}")
    assert not differences, "\n".join(differences)


def test_a_replica_takes_no_slots(trios):
    """Redis lets it, although nobody would believe it; we refuse."""
    ours = trios[0]
    for line in ("ADDSLOTS 16100", "ADDSLOTSRANGE 16100 16110"):
        reply = ours.clients[2].reply(*ours.words(line))
        assert reply == Error("ERR Please use ADDSLOTS only with masters.")
    assert ours.views() == ours.before
