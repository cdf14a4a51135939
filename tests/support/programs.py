"""Which programs are under test, and how patient the tests are; both come from the environment."""
import os
import pathlib
import shutil
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SHOAL_BUILD", ROOT / "build"))

SLOWNESS = float(os.environ.get("SHOAL_TEST_SLOWNESS", "1"))
SANITIZED = os.environ.get("SHOAL_SANITIZED") == "1"


def shoal(name):
    """The path of one of our programs, e.g. shoal("cli"); SHOAL_SERVER, SHOAL_CLI, SHOAL_BENCHMARK override it."""
    return os.environ.get(f"SHOAL_{name.upper()}", str(BUILD / "bin" / f"shoal-{name}"))


def redis(name):
    """The path of one of Debian's programs: redis("server"), redis("cli"), redis("check-rdb")..."""
    path = shutil.which(f"redis-{name}")
    if path is None:
        raise FileNotFoundError(f"redis-{name} is not installed; the tests compare with it")
    return path


def testing_redis_itself():
    """True while the tests themselves are being checked: Debian's server stands in for ours."""
    return "redis" in os.path.basename(os.path.realpath(shoal("server")))


def cluster_tool():
    """The program whose `--cluster create` builds the test clusters; SHOAL_CLUSTER_TOOL overrides it."""
    chosen = os.environ.get("SHOAL_CLUSTER_TOOL")
    if chosen:
        return chosen
    return redis("cli") if testing_redis_itself() else shoal("cli")


def cpu_seconds(pid):
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until(condition, seconds=10, what="the condition", step=0.02):
    """Calls `condition` until it returns something true, and returns that; AssertionError after `seconds`
    (scaled by the slowness). An AssertionError or OSError inside counts as "not yet"."""
    deadline = time.monotonic() + seconds * SLOWNESS
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = value
        except (AssertionError, OSError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds * SLOWNESS:g} s for {what}; last: {last!r}")
        time.sleep(step)
