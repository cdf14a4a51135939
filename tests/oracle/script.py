"""The language of the oracle's scripts: what to send to both servers, and how alike their replies must be.

A script is a text file of sections; a section is one test, run on empty databases in RESP2 and again in RESP3:

    == name of the section            (`== name [2]` or `[3]`: in that protocol only)
    # a comment
    SET key "a value\\x00"            words are quoted as in redis-cli; the replies must be the same bytes
    ~ CLIENT ID                       the same shape: types and lengths of arrays, not the values
    % PTTL key                        numbers may differ by 2 % or by 3, the rest may not
    * KEYS *                          the same elements in any order
    ! DEBUG WHATEVER                  both an error; only its code must be the same
    b: GET key                        the same on another connection, called b, that the section opens by using it
    b<                                reads one more reply on b, without sending
    b>> MULTI                         sends on b and reads nothing
    pause 20                          waits 20 ms
    redis7.2: "+OK\\r\\n" why          the line before differs in 7.2: these bytes are expected, and why

"""
import re
import time

from support.resp import Client, Error, Map, Push, Set, Simple, encode

_ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "a": b"\a", "b": b"\b", "\\": b"\\", '"': b'"'}


def words(line):
    """Splits a line as redis-cli does; returns a list of bytes."""
    result, position = [], 0
    while position < len(line):
        if line[position] == " ":
            position += 1
            continue
        word = bytearray()
        if line[position] == '"':
            position += 1
            while line[position] != '"':
                if line[position] == "\\":
                    letter = line[position + 1]
                    if letter == "x":
                        word.append(int(line[position + 2:position + 4], 16))
                        position += 4
                    else:
                        word += _ESCAPES.get(letter, letter.encode())
                        position += 2
                else:
                    word += line[position].encode()
                    position += 1
            position += 1
        else:
            end = line.find(" ", position)
            end = len(line) if end < 0 else end
            word += line[position:end].encode()
            position = end
        result.append(bytes(word))
    return result


class Step:
    def __init__(self, number, text):
        self.number = number
        self.text = text
        self.likeness = "same"
        self.connection = "main"
        self.sends = self.reads = True
        self.expected = None
        self.reason = None
        self.milliseconds = None
        match = re.fullmatch(r"pause (\d+)", text)
        if match:
            self.milliseconds = int(match.group(1))
            return
        marks = {"~": "shape", "%": "near", "*": "unordered", "!": "code"}
        if text[:2] in {mark + " " for mark in marks}:
            self.likeness = marks[text[0]]
            text = text[2:]
        match = re.match(r"([a-z]\w*)(:|<|>>)(?: |$)", text)
        if match:
            self.connection, sign = match.group(1), match.group(2)
            self.sends, self.reads = sign != "<", sign != ">>"
            text = text[match.end():]
        self.words = words(text)


class Section:
    def __init__(self, name, protocols):
        self.name = name
        self.protocols = protocols
        self.steps = []


def load(path):
    sections = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r"== (.*?)(?: \[([23])\])?", line)
        if match:
            protocols = (int(match.group(2)),) if match.group(2) else (2, 3)
            sections.append(Section(match.group(1), protocols))
        elif line.startswith("redis7.2: "):
            rest = line[len("redis7.2: "):]
            quoted = re.match(r'"(?:[^"\\]|\\.)*"', rest).group(0)
            step = sections[-1].steps[-1]
            step.expected = words(quoted)[0]
            step.reason = rest[len(quoted):].strip()
            assert step.reason, f"{path.name}:{number}: a difference needs its reason"
        else:
            sections[-1].steps.append(Step(number, line))
    return sections


def parse(raw):
    class Fixed(Client):
        def __init__(self):
            self.buffer, self.position = bytearray(raw), 0

        def _fill(self):
            raise AssertionError("half a reply")
    return Fixed().read()


def shape(value):
    """What must be the same about two replies whose values can't be."""
    if isinstance(value, Error):
        return "error", value.code
    if isinstance(value, Map):
        return "map", [(key, shape(item)) for key, item in value]
    if isinstance(value, (Set, Push)):
        return type(value).__name__, len(value)
    if isinstance(value, list):
        return "array", [shape(item) for item in value]
    return type(value).__name__


def near(one, other):
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(near, one, other))
    if isinstance(one, (int, float)) and not isinstance(one, bool):
        if (one < 0) != (other < 0):
            return False
        return abs(one - other) <= max(3, abs(one) * 0.02)
    return one == other


def alike(likeness, ours, theirs):
    if ours == theirs:
        return True
    if likeness == "same":
        return False
    mine, other = parse(ours), parse(theirs)
    if likeness == "shape":
        return shape(mine) == shape(other)
    if likeness == "near":
        return near(mine, other)
    if likeness == "unordered":
        return type(mine) is type(other) and sorted(map(repr, mine)) == sorted(map(repr, other))
    return isinstance(mine, Error) and isinstance(other, Error) and mine.code == other.code


class Side:
    """The connections of one section to one of the two servers."""

    def __init__(self, server, protocol):
        self.server = server
        self.protocol = protocol
        self.clients = {}

    def client(self, name):
        if name not in self.clients:
            self.clients[name] = self.server.client(protocol=self.protocol)
        return self.clients[name]

    def do(self, step):
        client = self.client(step.connection)
        try:
            if step.sends:
                client.send(*step.words)
            return client.read_raw() if step.reads else b""
        except TimeoutError:
            return b"<nothing came>"
        except ConnectionError:
            return b"<closed>"

    def close(self):
        for client in self.clients.values():
            client.close()


def run(section, protocol, ours, theirs, lenient):
    """Runs a section against both servers; returns the list of differences, as text. `lenient`: the server under
    test is a 7.0 itself, so the differences of 7.2 are none of its own."""
    sides = Side(ours, protocol), Side(theirs, protocol)
    differences = []
    try:
        for step in section.steps:
            if step.milliseconds is not None:
                time.sleep(step.milliseconds / 1000)
                continue
            mine, other = (side.do(step) for side in sides)
            if step.expected is not None and not lenient:
                other = step.expected
                good = mine == other
            elif mine.startswith(b"<") or other.startswith(b"<"):
                # A script that waits for what Redis never sends is wrong itself.
                good = mine == other and other != b"<nothing came>"
            else:
                good = alike(step.likeness, mine, other)
            if not good:
                differences.append(f"line {step.number}: {step.text}  (RESP{protocol}, {step.likeness})\n"
                                   f"   expected {other[:1500]!r}\n        got {mine[:1500]!r}")
    finally:
        for side in sides:
            side.close()
    return differences
