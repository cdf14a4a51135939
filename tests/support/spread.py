"""How tests are spread over several processes (pytest-xdist), and what they must not do to each other there.

- Tests of a file that shares something between them (a fixture of the module) stay together, in their order; any other
  test runs wherever there is room.
- A test that is marked `alone` measures time: while it runs, no other test of the same run does.

Nothing here does anything while all tests run in one process.
"""
import contextlib
import fcntl
import functools
import os
import pathlib
import shutil
import tempfile

import pytest

SHARES = ('scope="module"', "module_yard")
ROOM = "SHOAL_TEST_ROOM"  # names the directory of the locks, to the processes of one run
DIED = pytest.StashKey()


@functools.lru_cache(maxsize=None)
def shares(path):
    """Do the tests of this file share a fixture?"""
    text = pathlib.Path(path).read_text(errors="replace")
    return any(word in text for word in SHARES)


def scheduler(config, log):
    """xdist's scheduler, with our idea of what stays together."""
    from xdist.scheduler import LoadScopeScheduling

    class Spread(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.split("::", 1)[0]
            return file if shares(config.rootpath / file) else nodeid
    return Spread(config, log)


def in_order(items):
    """Files that stay together come first, so that none of them is begun when all else is done; tests that want to be
    alone come last, so that others wait for them once and not each time."""
    return sorted(items, key=lambda item: (is_alone(item), not shares(item.path)))


def is_alone(item):
    return item.get_closest_marker("alone") is not None


def note_end(config, error):
    """A process of the run has ended; with an error when it died, and tests that were its may not have been run."""
    config.stash[DIED] = config.stash.get(DIED, False) or bool(error)


def judge_end(session):
    """A run in which a process died is no run with a failed test that could be tried again."""
    if session.config.stash.get(DIED, False):
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR


def open_room(config):
    """In the process that starts the others: makes what they lock."""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        os.environ[ROOM] = tempfile.mkdtemp(prefix="shoal-test-room-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(ROOM), ignore_errors=True))


@contextlib.contextmanager
def _locked(name, how):
    handle = os.open(pathlib.Path(os.environ[ROOM]) / name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def room_for(item):
    """While the block runs, so does a test; one that is marked `alone` waits until no other does. Whoever wants to be
    alone waits in the door, so that those who come later don't pass by."""
    if ROOM not in os.environ:
        yield
        return
    with contextlib.ExitStack() as stack:
        with _locked("door", fcntl.LOCK_EX):
            stack.enter_context(_locked("room", fcntl.LOCK_EX if is_alone(item) else fcntl.LOCK_SH))
        yield
