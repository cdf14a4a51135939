"""shoal-cli --cluster and Debian's redis-cli --cluster, asked the same."""
import os
import subprocess

import pytest

from . import programs
from .programs import SLOWNESS

CLI = programs.shoal("cli")
REDIS_CLI = programs.redis("cli")
REFUSES_COLOURS = {"TERM": "dumb"}


def program_of(kind):
    """The server that nodes of this kind, "redis" or "shoal", run."""
    if kind == "redis":
        return programs.redis("server")
    if not os.path.exists(programs.shoal("server")):
        pytest.skip("shoal-server is not built")
    return programs.shoal("server")


def run(program, *arguments, stdin=b"", **environment):
    environment = {**os.environ, **REFUSES_COLOURS, **environment}
    return subprocess.run([program, *map(str, arguments)], input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120 * SLOWNESS, env=environment)


def ours(*arguments, **options):
    return run(CLI, "--cluster", *arguments, **options)


def assert_same(*arguments, **options):
    expected = run(REDIS_CLI, "--cluster", *arguments, **options)
    got = ours(*arguments, **options)
    assert (got.stdout, got.stderr, got.returncode) == (expected.stdout, expected.stderr, expected.returncode)
    return got
