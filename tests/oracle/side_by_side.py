"""Long sequences of commands, to both servers at once."""
from support.resp import encode

AT_ONCE = 100


def compare(pair, seed, commands, before):
    """Each reply must have the same bytes, in RESP2 where the seed is even, else in RESP3. before(index): the commands that
    a failure shows as having led to it."""
    protocol = 2 + seed % 2
    with pair.ours.client(protocol=protocol, timeout=30) as ours, pair.real.client(protocol=protocol, timeout=30) as theirs:
        for start in range(0, len(commands), AT_ONCE):
            part = commands[start:start + AT_ONCE]
            for client in (ours, theirs):
                client.send_bytes(b"".join(map(encode, part)))
            for index, command in enumerate(part, start):
                mine, other = ours.read_raw(), theirs.read_raw()
                if mine != other:
                    raise AssertionError(f"seed {seed}, command {index}: {command!r}\n  expected {other!r}\n"
                                         f"       got {mine!r}\n  before it: {before(index)}")
    pair.still_up()
