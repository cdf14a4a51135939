"""A thousand simulated nodes lose hundreds of their primaries in one moment. Minutes each, so for `./dev test torture`."""

import os
import pathlib
import subprocess

import pytest

from support.programs import SANITIZED, shoal

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCENARIOS = sorted((ROOT / "sim" / "scenarios" / "thousand").glob("*.txt"))
ASKED_FOR = "SHOAL_TORTURE_ROUNDS" in os.environ
SECONDS_MAX = 3600


def test_there_are_scenarios():
    assert len(SCENARIOS) >= 2


@pytest.mark.skipif(SANITIZED or not ASKED_FOR, reason="takes minutes: ./dev test torture")
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario_of_a_thousand_nodes(path):
    result = subprocess.run([shoal("sim"), "--scenario", path], capture_output=True, text=True, timeout=SECONDS_MAX, cwd=ROOT)
    assert result.returncode == 0, result.stdout[-4000:]
