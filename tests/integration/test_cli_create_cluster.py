"""utils/create-cluster/create-cluster: every word of its usage but tailall, which never ends."""
import os
import pathlib
import re
import subprocess

import pytest

from support import ports, programs
from support.programs import SLOWNESS

SCRIPT = programs.ROOT / "utils" / "create-cluster" / "create-cluster"
NODES = 3


@pytest.fixture
def script(tmp_path):
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name in ("server", "cli"):
        if not os.path.exists(programs.shoal(name)):
            pytest.skip(f"shoal-{name} is not built")
        (binaries / f"shoal-{name}").symlink_to(pathlib.Path(programs.shoal(name)).resolve())

    def call(*words, stdin=""):
        return subprocess.run([SCRIPT, *words], cwd=tmp_path, input=stdin, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120 * SLOWNESS, env={**os.environ, "TERM": "dumb"})

    first = ports.take(NODES)
    (tmp_path / "config.sh").write_text(f"BIN_PATH={binaries}\nPORT={first - 1}\nNODES={NODES}\nREPLICAS=0\n")
    started = call("start")
    assert started.returncode == 0, started.stdout
    yield call
    call("stop")
    ports.give_back(*range(first, first + NODES))


def test_life_of_a_cluster(script, tmp_path):
    created = script("create", "-f")
    assert created.returncode == 0 and "[OK] All 16384 slots covered." in created.stdout, created.stdout
    answers = script("call", "CLUSTER", "INFO")
    assert answers.stdout.count("cluster_state:ok") == 3 and answers.stdout.count("cluster_known_nodes:3") == 3
    assert "runs; stop it first" in script("clean").stdout
    assert len(list(tmp_path.glob("*.pid"))) == 3
    restarted = script("restart")
    assert len(re.findall("(?m)^Stopping ", restarted.stdout)) == len(re.findall("(?m)^Starting ", restarted.stdout)) == 3
    assert script("call", "CLUSTER", "INFO").stdout.count("cluster_known_nodes:3") == 3, "they remember each other"
    stopped = script("stop")
    assert stopped.returncode == 0 and len(re.findall("(?m)^Stopping ", stopped.stdout)) == 3
    assert script("stop").stdout == "", "nobody is stopped twice"
    assert len(list(tmp_path.glob("*.log"))) == 3
    assert script("clean-logs").returncode == 0 and not list(tmp_path.glob("*.log"))
    assert len(list(tmp_path.glob("nodes-*.conf"))) == 3
    assert script("clean").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "config.sh"]


def test_watch_needs_no_terminal(script, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "TERM"}
    with subprocess.Popen([SCRIPT, "watch"], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env=environment) as watch:
        try:
            seen = [watch.stdout.readline() for _ in range(5)]
        finally:
            watch.terminate()
    assert sum("myself,master" in line for line in seen) >= 2, seen


def test_create_asks(script):
    asked = script("create", stdin="no\n")
    assert "Can I set the above configuration? (type 'yes' to accept): " in asked.stdout
    assert script("call", "CLUSTER", "INFO").stdout.count("cluster_known_nodes:1") == 3


def test_usage(script):
    assert script("help").returncode == 0
    wrong = script("nonsense")
    assert wrong.returncode == 1 and "create [-f]" in wrong.stdout
    assert script("call").returncode == 1
    assert script("tail").returncode == 1
