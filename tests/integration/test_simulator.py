"""shoal-sim from outside: it repeats itself, it passes where it must, and its checkers can fail."""

import pathlib
import re
import subprocess

import pytest

from support.programs import SANITIZED, shoal

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCENARIOS = sorted((ROOT / "sim" / "scenarios").glob("*.txt"))


SIM = shoal("sim")


def run(*arguments, timeout=300):
    return subprocess.run([SIM, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, cwd=ROOT)


def trace_hashes(output):
    return re.findall(r"^seed \d+: .* trace ([0-9a-f]{16})", output, re.M)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario_goes_as_its_transcript_says(path):
    result = run("--scenario", path)
    assert result.returncode == 0, result.stdout


def test_small_clusters_survive_all_faults():
    seeds = 3 if SANITIZED else 12
    result = run("--nodes", 6, "--seeds", seeds, "--minutes", 3, "--node-timeout", 1000)
    assert result.returncode == 0, result.stdout
    assert f"{seeds} seeds passed, 0 failed" in result.stdout


def test_larger_cluster_survives_all_faults():
    result = run("--nodes", 20, "--replicas", 2, "--seeds", 1, "--minutes", 1 if SANITIZED else 3,
                 "--node-timeout", 5000)
    assert result.returncode == 0, result.stdout


def test_same_seed_gives_same_trace_and_another_seed_another():
    arguments = ("--nodes", 9, "--seeds", 3, "--minutes", 1 if SANITIZED else 2, "--node-timeout", 2000)
    first, second = run(*arguments), run(*arguments)
    hashes = trace_hashes(first.stdout)
    assert len(set(hashes)) == 3
    assert hashes == trace_hashes(second.stdout)


def test_jobs_change_nothing_but_the_time():
    arguments = ("--nodes", 6, "--seeds", 4, "--minutes", 1, "--node-timeout", 2000)
    assert trace_hashes(run(*arguments).stdout) == trace_hashes(run(*arguments, "--jobs", 2).stdout)


def test_summary_counts_the_faults_by_kind():
    result = run("--nodes", 6, "--seeds", 2, "--minutes", 3, "--node-timeout", 1000, "--faults", "crash,partition")
    line = next(line for line in result.stdout.splitlines() if line.startswith("faults tried:"))
    assert re.search(r"crash [1-9]", line) and re.search(r"partition [1-9]", line)
    assert "freeze" not in line


def test_who_stands_still_when_the_troubles_end_wakes_at_once():
    trace = run("--nodes", 8, "--minutes", 2, "--faults", "freeze", "--seed", 2, "--trace").stdout
    healed = float(re.search(r"^ *([0-9.]+)  all troubles end$", trace, re.M)[1])
    frozen = {node for begin, node, ms in re.findall(r"^ *([0-9.]+)  (n\d+) stands still for (\d+) ms$", trace, re.M)
              if float(begin) < healed < float(begin) + int(ms) / 1000}
    assert frozen, "the seed was to freeze somebody to the end"
    for node in frozen:
        spoken = [float(at) for at in re.findall(rf"^ *([0-9.]+)  {node} -> ", trace, re.M) if float(at) >= healed]
        assert spoken and spoken[0] < healed + 0.2, f"{node} slept on after {healed}"


def test_without_faults_nobody_is_elected():
    result = run("--nodes", 12, "--seeds", 2, "--minutes", 5, "--faults", "none")
    assert result.returncode == 0, result.stdout
    assert " 0 faults, 0 elections won" in result.stdout


BROKEN = {
    "speaks-before-save": "persist then speak",
    "forgets-file": "persist then speak",
    "restores-old-file": "",
    "votes-twice": "one vote per epoch and voter",
    "wins-alone": "elections are won by majorities",
    "stays-deaf": "after all troubles the cluster settles",
}


@pytest.mark.parametrize("law", BROKEN)
def test_checkers_notice_a_broken_law(law):
    result = run("--nodes", 6, "--seeds", 3, "--minutes", 2, "--node-timeout", 1000, "--break", law)
    assert result.returncode == 1, result.stdout
    assert f"s: {BROKEN[law]}" in result.stdout


def test_failure_prints_reason_trace_and_a_command_that_replays_it():
    result = run("--nodes", 6, "--seeds", 3, "--minutes", 2, "--node-timeout", 1000, "--break", "votes-twice")
    reason = re.search(r"^seed (\d+) failed at ([0-9.]+) s: (.*)$", result.stdout, re.M)
    replay = re.search(r"^replay: build/bin/shoal-sim (.*)$", result.stdout, re.M)
    assert reason and replay
    assert re.search(r"^ +\d+\.\d{6}  n\d+ ", result.stdout, re.M), "no readable trace"
    again = run(*replay[1].split())
    assert again.returncode == 1
    assert reason[0] in again.stdout


def test_trace_shows_messages():
    result = run("--nodes", 3, "--replicas", 0, "--minutes", 0, "--faults", "none", "--trace")
    assert re.search(r"n0 -> n1 .*message of type 0", result.stdout)


@pytest.mark.parametrize(
    "arguments",
    [("--nodes", "0"), ("--nodes", "many"), ("--seeds",), ("--faults", "earthquake"), ("--break", "nothing-known"),
     ("--colour", "red")],
)
def test_bad_arguments_are_refused(arguments):
    result = run(*arguments)
    assert result.returncode == 2
    assert "shoal-sim: " in result.stderr


def test_scenario_with_another_transcript_fails_and_shows_the_difference(tmp_path):
    path = tmp_path / "wrong.txt"
    path.write_text("> nodes 6 replicas 1 timeout 1000\n> run 3s\n> kill n0\n> run 10s\nnothing happens\n> dance\n")
    result = run("--scenario", path)
    assert result.returncode == 1
    assert "- nothing happens" in result.stdout
    assert re.search(r"^\+ n3 becomes primary", result.stdout, re.M)
    assert "+ not understood" in result.stdout


def test_scenario_that_is_missing_fails():
    assert run("--scenario", "/nonexistent.txt").returncode == 1
