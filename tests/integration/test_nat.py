"""A cluster whose nodes are behind address translation, all with the same private address: what clients and peers read are
the announced addresses and ports, and everything works by them."""
import re
import subprocess

import pytest

from support import programs
from support.cluster import cluster_info, parse_nodes, slot_of
from support.nat import BUS, INSIDE, OUTSIDE, PORT, PUBLIC_BUS, PUBLIC_PORT, HouseServer, build_street, entered
from support.programs import SLOWNESS, wait_until
from support.resp import Client
from support.writers import tags_in

TIMEOUT = int(2000 * SLOWNESS)
HOUSES = 4
# Nothing that anybody reads may have these in it.
PRIVATE = re.compile(rf"{re.escape(INSIDE)}|\b{PORT}\b|\b{BUS}\b|127\.0\.0\.1")


@pytest.fixture
def street():
    street = build_street(HOUSES)
    yield street
    street.close()


@pytest.fixture(params=["shoal", "mixed"])
def four(request, street, yard):
    """Three primaries and a replica of the first; of a mixed cluster two nodes are redis-server's."""
    if request.param == "mixed" and programs.testing_redis_itself():
        pytest.skip("both kinds would be the same")
    return Houses(street, yard, [2, 4] if request.param == "mixed" else [])


class Houses:
    def __init__(self, street, yard, of_redis):
        self.street = street
        self.nodes = []
        for number in range(1, HOUSES + 1):
            node = HouseServer(street, number, yard.directory / f"house{number}", cluster_node_timeout=TIMEOUT,
                               repl_diskless_sync_delay=0, repl_ping_replica_period=1)
            if number in of_redis:
                node.program = programs.redis("server")
            yard.servers.append(node)
            self.nodes.append(node)
        for node in self.nodes:
            node.spawn()
        for node in self.nodes:
            node.wait_ready()
        *primaries, replica = self.nodes
        self.tool("create", *[node.address for node in primaries], "--cluster-yes")
        self.settled(self.nodes[:3])
        self.tool("add-node", replica.address, primaries[0].address, "--cluster-slave", "--cluster-master-id",
                  primaries[0].call("CLUSTER", "MYID").decode())
        self.settled()

    def tool(self, *words):
        """shoal-cli, from outside."""
        result = subprocess.run(["ip", "netns", "exec", self.street.outside, programs.cluster_tool(), "--cluster", *words],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                timeout=60 * SLOWNESS)
        output = result.stdout.decode(errors="replace")
        assert result.returncode == 0, output
        return output

    def settled(self, nodes=None, seconds=40):
        nodes = nodes or self.nodes

        def is_settled():
            for node in nodes:
                with node.client() as client:
                    assert cluster_info(client)["cluster_state"] == "ok", node
                    seen = parse_nodes(client.call("CLUSTER", "NODES"))
                    assert len(seen) == len(nodes), (node, seen)
                    assert all(entry["link"] == "connected" and not set(entry["flags"]) & {"fail", "fail?", "handshake"}
                               for entry in seen), (node, seen)
                    info = client.info("replication")
                    assert info["role"] == "master" or info["master_link_status"] == "up", (node, info)
            return True
        wait_until(is_settled, seconds, "the houses to agree", step=0.1)

    def at(self, address):
        """A connection from outside to what a server or a redirection named."""
        host, port = address.rsplit(":", 1)
        with entered(self.street.outside):
            return Client(int(port), host=host)

    def owner(self, slot):
        return next(node for node in self.nodes for entry in parse_nodes(node.call("CLUSTER", "NODES"))
                    if "myself" in entry["flags"] and any(first <= slot <= last for first, last in entry["slots"]))

    def write(self, key, value):
        """As a cluster client that begins at the last node: goes where it is sent."""
        address, asking = self.nodes[1].address, False
        for _ in range(5):
            with self.at(address) as client:
                if asking:
                    client.call("ASKING")
                reply = client.reply("SET", key, value)
            if reply == b"OK":
                return address
            assert reply.code in ("MOVED", "ASK"), reply
            address, asking = reply.split()[2], reply.code == "ASK"
        raise AssertionError(f"redirected without end, to {address}")


def flat(reply):
    """All words of a reply, however deep."""
    if isinstance(reply, (list, tuple)):
        return " ".join(flat(part) for part in reply)
    return reply.decode() if isinstance(reply, bytes) else str(reply)


def announced(node, public):
    return f"{public}:{PUBLIC_PORT}@{PUBLIC_BUS}"


def all_read_announced(four):
    """Every answer in which a node is named names it as it wants to be."""
    want = sorted(announced(node, node.public) for node in four.nodes)
    for node in four.nodes:
        with node.client() as client:
            text = client.call("CLUSTER", "NODES").decode()
            assert sorted(line.split()[1].split(",")[0] for line in text.splitlines()) == want, (node, text)
            for command in (["SLOTS"], ["SHARDS"], ["LINKS"], ["REPLICAS", four.nodes[0].call("CLUSTER", "MYID")]):
                answer = client.reply("CLUSTER", *command)
                if isinstance(answer, list):
                    assert not PRIVATE.search(flat(answer)), (node, command, answer)
            # A replica is in there once it has received something.
            wait_until(lambda: {(entry[0].decode(), entry[1]) for one in client.call("CLUSTER", "SLOTS")
                                for entry in one[2:]} == {(other.public, PUBLIC_PORT) for other in four.nodes}, 10,
                       f"all nodes in CLUSTER SLOTS of {node}")
            assert not PRIVATE.search(flat(client.call("ROLE"))), client.call("ROLE")
            info = client.info("replication")
            assert not PRIVATE.search(" ".join(f"{name}={value}" for name, value in info.items())), info

    def is_written(node):
        text = (node.directory / "nodes.conf").read_text()
        assert not PRIVATE.search(text) and all(address in text for address in want), text
        return True
    for node in four.nodes:
        wait_until(lambda: is_written(node), 10, f"nodes.conf of {node} to have all addresses")


def test_everybody_reads_announced_addresses_and_all_works_by_them(four):
    all_read_announced(four)
    first, _, third, replica = four.nodes
    # Clients are sent to announced addresses.
    for number in range(20):
        slot = slot_of(f"k{number}")
        assert four.write(f"k{number}", number) == four.owner(slot).address
    moved = third.client().reply("SET", "{1}", "x") if four.owner(slot_of("{1}")) is not third else \
        first.client().reply("SET", "{1}", "x")
    assert moved == f"MOVED {slot_of('{1}')} {four.owner(slot_of('{1}')).address}"
    # A slot moves between houses, by MIGRATE to an announced address; ASK names it.
    slot = slot_of("{ask}")
    source = four.owner(slot)
    target = next(node for node in four.nodes[:3] if node is not source)
    with source.client() as one, target.client() as two:
        one.call("SET", "{ask}1", "1")
        two.call("CLUSTER", "SETSLOT", slot, "IMPORTING", one.call("CLUSTER", "MYID"))
        one.call("CLUSTER", "SETSLOT", slot, "MIGRATING", two.call("CLUSTER", "MYID"))
        assert one.reply("GET", "{ask}2") == f"ASK {slot} {target.address}"
        assert one.call("MIGRATE", target.public, PUBLIC_PORT, "", 0, 5000, "KEYS", "{ask}1") == b"OK"
        for client in (two, one):
            assert client.call("CLUSTER", "SETSLOT", slot, "NODE", two.call("CLUSTER", "MYID")) == b"OK"
        assert two.call("GET", "{ask}1") == b"1"
    four.settled()
    four.tool("reshard", first.address, "--cluster-from", source.call("CLUSTER", "MYID").decode(), "--cluster-to",
              target.call("CLUSTER", "MYID").decode(), "--cluster-slots", "50", "--cluster-yes")
    assert "[OK] All 16384 slots covered." in four.tool("check", target.address)
    # Primary and replica know each other by what they announce.
    assert replica.call("ROLE")[1:3] == [first.public.encode(), PUBLIC_PORT]
    assert [entry[:2] for entry in first.call("ROLE")[2]] == [[replica.public.encode(), b"%d" % PUBLIC_PORT]]
    assert first.info("replication")["slave0"].startswith(f"ip={replica.public},port={PUBLIC_PORT},state=online")
    assert replica.info("replication")["master_host"] == first.public
    all_read_announced(four)


def test_failover_there_and_back(four):
    first, _, _, replica = four.nodes
    key = next(f"k{number}" for number in range(1000) if four.owner(slot_of(f"k{number}")) is first)
    four.write(key, "before")
    assert first.client().call("WAIT", 0, 100) >= 0
    wait_until(lambda: first.info("replication")["slave0"].split("lag=")[0].split("offset=")[1].strip(",") ==
               first.info("replication")["master_repl_offset"], 10, "the replica to have it")
    first.kill()
    wait_until(lambda: replica.call("ROLE")[0] == b"master", 30, "the replica to take over")
    wait_until(lambda: four.write(key, "during") == replica.address, 10, "clients to be sent to it")
    first.start()
    four.settled()
    assert first.call("ROLE")[0] == b"slave" and first.call("ROLE")[1:3] == [replica.public.encode(), PUBLIC_PORT]
    assert first.call("CLUSTER", "FAILOVER") == b"OK"
    wait_until(lambda: first.call("ROLE")[0] == b"master", 20, "the failover back")
    four.settled()
    assert four.write(key, "after") == first.address
    all_read_announced(four)


def test_a_house_gets_another_address(four):
    """The translation changes, and CONFIG SET tells the node: all know it, all links stand again, clients are sent there."""
    moving = four.nodes[2]
    (entry,) = [entry for entry in parse_nodes(moving.call("CLUSTER", "NODES")) if "myself" in entry["flags"]]
    (key,) = tags_in(range(entry["slots"][0][0], entry["slots"][0][1] + 1), 1)
    with moving.client() as client:
        for name in ("cluster-announce-ip", "replica-announce-ip"):
            client.call("CONFIG", "SET", name, OUTSIDE + "33")
    four.street.give_address(3, OUTSIDE + "33")
    moving.public = OUTSIDE + "33"
    four.settled()
    wait_until(lambda: all(announced(moving, moving.public) in node.call("CLUSTER", "NODES").decode()
                           for node in four.nodes), 20, "the new address to be known")
    assert four.write(key, "x") == moving.address == f"{OUTSIDE}33:{PUBLIC_PORT}"
    all_read_announced(four)
