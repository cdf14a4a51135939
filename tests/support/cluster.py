"""A cluster of servers on loopback, and a small client that follows it."""
import subprocess

from . import programs
from .programs import SLOWNESS, wait_until
from .resp import Client, Error, ReplyError

SLOTS = 16384


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def slot_of(key):
    key = key.encode() if isinstance(key, str) else key
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1:end]
    return crc16(key) % SLOTS


def parse_nodes(text):
    """CLUSTER NODES as a list of dictionaries."""
    nodes = []
    for line in (text.decode() if isinstance(text, bytes) else text).splitlines():
        fields = line.split(" ")
        address = fields[1].split(",")[0].split("@")
        host, port = address[0].rsplit(":", 1)
        slots = []
        for word in fields[8:]:
            if not word.startswith("["):
                first, _, last = word.partition("-")
                slots.append((int(first), int(last or first)))
        nodes.append({"id": fields[0], "host": host, "port": int(port), "bus": int(address[1]),
                      "flags": fields[2].split(","), "primary": fields[3], "epoch": int(fields[6]),
                      "link": fields[7], "slots": slots, "words": fields[8:]})
    return nodes


class Cluster:
    def __init__(self, yard, primaries=3, replicas=1, program=None, join=True, programs_by_index=(), **directives):
        self.yard = yard
        self.primaries = primaries
        self.replicas = replicas
        directives.setdefault("cluster_enabled", "yes")
        directives.setdefault("cluster_node_timeout", int(2000 * SLOWNESS))
        directives.setdefault("repl_diskless_sync_delay", 0)
        count = primaries * (1 + replicas)
        self.nodes = []
        for index in range(count):
            chosen = programs_by_index[index] if index < len(programs_by_index) else program
            self.nodes.append(yard.server(start=False, program=chosen, name=f"node{len(yard.servers)}", **directives))
        for node in self.nodes:
            node.spawn()
        for node in self.nodes:
            node.wait_ready()
        if join:
            self.create()

    def create(self):
        """`--cluster create` with our command line (or the one that the environment names)."""
        command = [programs.cluster_tool(), "--cluster", "create", *[node.address for node in self.nodes],
                   "--cluster-replicas", str(self.replicas), "--cluster-yes"]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                timeout=60 * SLOWNESS)
        assert result.returncode == 0, f"{' '.join(command)} failed:\n{result.stdout.decode(errors='replace')}"
        self.wait_stable()
        return result.stdout.decode()

    # ---- views ----

    def view(self, node):
        return parse_nodes(node.call("CLUSTER", "NODES"))

    def alive(self):
        return [node for node in self.nodes if node.process.poll() is None]

    def is_stable(self, seen_by=None):
        """Every living node says ok, knows all living nodes without a complaint, and its replicas are linked."""
        living = seen_by or self.alive()
        layouts = set()
        roles = {node.port: node.call("ROLE")[0].decode() for node in living}
        for node in living:
            with node.client(timeout=3) as client:
                info = cluster_info(client)
                assert info["cluster_state"] == "ok", f"{node} says {info['cluster_state']}"
                nodes = parse_nodes(client.call("CLUSTER", "NODES"))
                known = {entry["port"] for entry in nodes}
                assert known >= {other.port for other in living}, f"{node} knows only {known}"
                bad = [entry for entry in nodes if entry["port"] in {other.port for other in living}
                       and set(entry["flags"]) & {"fail", "fail?", "handshake", "noaddr"}]
                assert not bad, f"{node} sees {bad}"
                wrong = [entry for entry in nodes if entry["port"] in roles
                         and roles[entry["port"]] not in entry["flags"]]
                assert not wrong, f"{node} has not heard of the role of {wrong}"
                layouts.add(tuple(sorted((entry["id"], tuple(entry["slots"])) for entry in nodes if entry["slots"])))
                role = client.call("ROLE")
                if role[0] == b"slave":
                    assert role[3] == b"connected", f"{node} is {role}"
                    assert client.info("replication")["master_link_status"] == "up"
        assert len(layouts) == 1, f"{len(layouts)} different views of the slots"
        return True

    def wait_stable(self, seconds=30, seen_by=None):
        wait_until(lambda: self.is_stable(seen_by), seconds, "a stable cluster", step=0.1)

    def agree(self):
        """True when all living nodes have one view: ids, addresses, roles, primaries, epochs and slots."""
        views = {}
        for node in self.alive():
            entries = self.view(node)
            view = tuple(sorted((entry["id"], entry["host"], entry["port"], entry["bus"], entry["primary"],
                                 tuple(sorted(set(entry["flags"]) - {"myself"})), entry["epoch"],
                                 tuple(entry["slots"])) for entry in entries))
            views.setdefault(view, []).append(node)
            assert all(entry["link"] == "connected" for entry in entries), (node, entries)
        if len(views) > 1:
            (_, first), (_, second) = sorted(((-len(nodes), view) for view, nodes in views.items()))[:2]
            raise AssertionError(f"{list(views.values())} differ in {set(first) ^ set(second)}")
        return True

    def wait_agreed(self, seconds=30):
        self.wait_stable(seconds)
        wait_until(self.agree, seconds, "one view of all nodes", step=0.1)

    def node_at(self, port):
        return next(node for node in self.nodes if node.port == port)

    def owner(self, slot):
        """The living node that says of itself that it owns the slot."""
        for node in self.alive():
            for entry in self.view(node):
                if "myself" in entry["flags"] and any(first <= slot <= last for first, last in entry["slots"]):
                    return node
        raise AssertionError(f"nobody owns slot {slot}")

    def masters(self):
        return [node for node in self.alive() if node.call("ROLE")[0] == b"master"]

    def replicas_of(self, node):
        identity = self.id_of(node)
        ports = [entry["port"] for entry in self.view(node) if entry["primary"] == identity]
        return [other for other in self.nodes if other.port in ports]

    def id_of(self, node):
        return node.call("CLUSTER", "MYID").decode()

    def client(self, **options):
        return ClusterClient([node.port for node in self.alive()], **options)


def cluster_info(client):
    text = client.call("CLUSTER", "INFO").decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


class ClusterClient:
    """Follows MOVED and ASK, counts what it met, and remembers which other errors came."""

    def __init__(self, ports, timeout=5, patience=15):
        self.ports = list(ports)
        self.timeout = timeout
        self.patience = patience
        self.clients = {}
        self.routes = {}
        self.met = {}

    def close(self):
        for client in self.clients.values():
            client.close()
        self.clients.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _client(self, port):
        if port not in self.clients:
            self.clients[port] = Client(port, timeout=self.timeout)
        return self.clients[port]

    def _forget(self, port):
        client = self.clients.pop(port, None)
        if client:
            client.close()

    def once(self, key, *command):
        """Sends the command where the key lives, following redirections; other errors are returned as values."""
        slot = slot_of(key)
        port = self.routes.get(slot, self.ports[slot % len(self.ports)])
        asking = False
        for _ in range(16):
            try:
                client = self._client(port)
                if asking:
                    client.call("ASKING")
                reply = client.reply(*command)
            except (OSError, ReplyError):
                self._forget(port)
                self.routes.pop(slot, None)
                raise
            if not isinstance(reply, Error) or reply.code not in ("MOVED", "ASK"):
                if isinstance(reply, Error):
                    self.met[reply.code] = self.met.get(reply.code, 0) + 1
                return reply
            self.met[reply.code] = self.met.get(reply.code, 0) + 1
            asking = reply.code == "ASK"
            port = int(reply.rsplit(":", 1)[1])
            if not asking:
                self.routes[slot] = port
        raise AssertionError(f"redirected without end: {reply}")

    def call(self, key, *command):
        reply = self.once(key, *command)
        if isinstance(reply, Error):
            raise ReplyError(reply)
        return reply

    def insist(self, key, *command):
        """Like call(), but tries other nodes and waits while the cluster heals."""
        ports = iter(self.ports * 10000)

        def attempt():
            try:
                reply = self.once(key, *command)
            except OSError:
                self.routes[slot_of(key)] = next(ports)
                return None
            if isinstance(reply, Error):
                if reply.code not in ("CLUSTERDOWN", "TRYAGAIN", "LOADING", "MASTERDOWN", "READONLY"):
                    raise ReplyError(reply)
                return None
            return (reply,)

        return wait_until(attempt, self.patience, f"{command} to be taken", step=0.01)[0]
