"""Packets of the cluster bus, written by hand: a header of 2,256 bytes and what follows it, big-endian."""
import struct

HEADER = 2256
PING, PONG, MEET, FAIL, PUBLISH, AUTH_REQUEST, AUTH_ACK, UPDATE, MFSTART, MODULE, PUBLISHSHARD = range(11)
PRIMARY, REPLICA = 1, 2
HAS_EXTENSIONS = 4


def packet(kind, sender, body=b"", *, count=0, port=7000, bus_port=17000, current_epoch=0, config_epoch=0, flags=PRIMARY,
           slots=b"", primary=b"", ip=b"", extensions=0, message_flags=0, version=1, size=None):
    """`size` may lie about the length."""
    total = HEADER + len(body) if size is None else size
    head = struct.pack(">4sIHHHHQQQ40s2048s40s46sH30xHHHB3s", b"RCmb", total, version, port, kind, count, current_epoch,
                       config_epoch, 0, sender, slots, primary, ip, extensions, 0, bus_port, flags, 0,
                       bytes([message_flags, 0, 0]))
    assert len(head) == HEADER
    return head + body


def gossip(name, ip=b"127.0.0.1", port=7000, bus_port=17000, flags=PRIMARY):
    return struct.pack(">40sII46sHHHHH", name, 0, 0, ip, port, bus_port, flags, 0, 0)


def extension(kind, body):
    padded = body + bytes(-len(body) % 8)
    return struct.pack(">IHH", 8 + len(padded), kind, 0) + padded
