"""Every section of scripts/*.txt, in RESP2 and in RESP3, against both servers."""
import pathlib

import pytest

import script

SCRIPTS = sorted((pathlib.Path(__file__).parent / "scripts").glob("*.txt"))


def cases():
    for path in SCRIPTS:
        for section in script.load(path):
            for protocol in section.protocols:
                yield pytest.param(section, protocol, id=f"{path.stem}-{section.name.replace(' ', '_')}-resp{protocol}")


@pytest.mark.parametrize("section, protocol", cases())
def test_replies_are_those_of_redis(pair, lenient, section, protocol):
    pair.reset()
    differences = script.run(section, protocol, pair.ours, pair.real, lenient)
    pair.still_up()
    assert not differences, "\n".join(differences)
