"""Nodes behind address translation, each in a network of its own, as containers are: namespaces, veth pairs and nftables.

    outside (a bridge, where clients are: 198.51.100.254)
      |-- gate 1 (198.51.100.1, translates) -- house 1 (10.77.0.2, where node 1 is)
      |-- gate 2 (198.51.100.2, translates) -- house 2 (10.77.0.2, where node 2 is)

All houses have the same address inside, so that a node that uses a private address, its own or another's, meets itself.
All names have the process id in them; nothing is made in, or visible from, the network of the machine.
"""
import contextlib
import ctypes
import os
import shutil
import subprocess

import pytest

from . import server
from .resp import Client

INSIDE, GATEWAY = "10.77.0.2", "10.77.0.1"
OUTSIDE = "198.51.100."
CLIENTS = OUTSIDE + "254"
PORT, BUS = 6379, 16379  # inside
PUBLIC_PORT, PUBLIC_BUS = 7000, 7901  # outside: the bus is no 10000 away
CLONE_NEWNET = 0x40000000
COMMAND_SECONDS = 20

_RULES = """
table ip shoal {
  chain arriving {
    type nat hook prerouting priority -100;
    ip daddr %(public)s tcp dport %(port)d dnat to %(inside)s:%(inside_port)d
    ip daddr %(public)s tcp dport %(bus)d dnat to %(inside)s:%(inside_bus)d
  }
  chain leaving {
    type nat hook postrouting priority 100;
    oifname "street" snat to %(public)s
  }
}
"""


def run(*command, text=None):
    result = subprocess.run([str(word) for word in command], input=text, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, timeout=COMMAND_SECONDS)
    if result.returncode:
        raise OSError(f"{' '.join(map(str, command))}: {result.stdout.strip()}")
    return result.stdout


class Street:
    """The outside, and houses along it, numbered from 1 on."""

    def __init__(self):
        self.prefix = f"shoal-nat-{os.getpid()}"
        self.made = []
        self.outside = self._make("outside")
        run("ip", "-n", self.outside, "link", "add", "bridge", "type", "bridge")
        run("ip", "-n", self.outside, "addr", "add", CLIENTS + "/24", "dev", "bridge")
        run("ip", "-n", self.outside, "link", "set", "bridge", "up")

    def _make(self, name):
        name = f"{self.prefix}-{name}"
        run("ip", "netns", "add", name)
        self.made.append(name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        return name

    def _pair(self, one, device, other, other_device):
        run("ip", "link", "add", device, "netns", one, "type", "veth", "peer", "name", other_device, "netns", other)
        run("ip", "-n", one, "link", "set", device, "up")
        run("ip", "-n", other, "link", "set", other_device, "up")

    def add_house(self, number):
        """The name of its namespace."""
        house, gate = self._make(f"house{number}"), self._make(f"gate{number}")
        self._pair(house, "door", gate, "yard")
        self._pair(gate, "street", self.outside, f"gate{number}")
        run("ip", "-n", self.outside, "link", "set", f"gate{number}", "master", "bridge")
        run("ip", "-n", house, "addr", "add", INSIDE + "/24", "dev", "door")
        run("ip", "-n", house, "route", "add", "default", "via", GATEWAY)
        run("ip", "-n", gate, "addr", "add", GATEWAY + "/24", "dev", "yard")
        run("ip", "netns", "exec", gate, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        self.give_address(number, OUTSIDE + str(number))
        return house

    def give_address(self, number, public):
        """The house is reached, and known, by this address from now on."""
        gate = f"{self.prefix}-gate{number}"
        run("ip", "-n", gate, "addr", "flush", "dev", "street")
        run("ip", "-n", gate, "addr", "add", public + "/24", "dev", "street")
        with contextlib.suppress(OSError):
            run("ip", "netns", "exec", gate, "nft", "delete", "table", "ip", "shoal")
        run("ip", "netns", "exec", gate, "nft", "-f", "-",
            text=_RULES % {"public": public, "inside": INSIDE, "port": PUBLIC_PORT, "bus": PUBLIC_BUS,
                           "inside_port": PORT, "inside_bus": BUS})

    def close(self):
        for name in reversed(self.made):
            run("ip", "netns", "del", name)
        self.made.clear()


def build_street(houses):
    """A street with so many houses; skips the test where that can't be."""
    missing = [name for name in ("ip", "nft") if not shutil.which(name)]
    if os.geteuid() != 0 or missing:
        pytest.skip("needs root" if not missing else f"needs {' and '.join(missing)}")
    street = None
    try:
        street = Street()
        for number in range(1, houses + 1):
            street.add_house(number)
    except OSError as error:
        if street:
            street.close()
        pytest.skip(f"no network namespaces with address translation here: {error}")
    return street


@contextlib.contextmanager
def entered(namespace):
    """What this thread opens inside the block is opened in the namespace."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(handle):
        if libc.setns(handle, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(there)
        try:
            yield
        finally:
            enter(home)
    finally:
        os.close(there)
        os.close(home)


class HouseServer(server.Server):
    """A node in a house; whoever talks to it is outside and uses its public address."""

    def __init__(self, street, number, directory, **directives):
        self.street = street
        self.public = OUTSIDE + str(number)
        super().__init__(directory, name=f"house{number}",
                         wrapper=["ip", "netns", "exec", f"{street.prefix}-house{number}"], port=PORT, bind=INSIDE,
                         protected_mode="no", cluster_enabled="yes", cluster_announce_ip=self.public,
                         cluster_announce_port=PUBLIC_PORT, cluster_announce_bus_port=PUBLIC_BUS,
                         replica_announce_ip=self.public, replica_announce_port=PUBLIC_PORT, **directives)

    @property
    def address(self):
        return f"{self.public}:{PUBLIC_PORT}"

    def connect(self, **options):
        with entered(self.street.outside):
            return Client(PUBLIC_PORT, host=self.public, **options)
