"""Fixtures of all tests: server, redis_server, cluster (factories), yard and module_yard."""
import pathlib
import re
import tempfile

import pytest

from support import programs, spread
from support import server as servers
from support.cluster import Cluster
from support.proxy import Proxy
from support.server import Yard

# An assertion that fails in there shows what it compared, as one in a test does.
pytest.register_assert_rewrite("support.cli")


def _directory(request):
    name = re.sub(r"[^A-Za-z0-9_]+", "-", request.node.name)[:40]
    return pathlib.Path(tempfile.mkdtemp(prefix=f"shoal-test-{name}-"))


def _tear_down(yard, failed):
    keep = failed
    troubles = yard.dispose(keep)
    if keep or troubles:
        print(f"logs are kept in {yard.directory}")
    assert not troubles, "\n\n".join(troubles)


@pytest.fixture
def yard(request):
    """Servers of one test; they end with it, and it fails if one of them crashed or a sanitizer complained."""
    yard = Yard(_directory(request))
    yield yard
    _tear_down(yard, getattr(request.node, "failed", False))


@pytest.fixture(scope="module")
def module_yard(request):
    """Servers shared by the tests of one file."""
    before = request.session.testsfailed
    yard = Yard(_directory(request))
    yield yard
    _tear_down(yard, request.session.testsfailed > before)


@pytest.fixture
def server(yard):
    """server(**directives) starts a server under test; server(start=False, ...) only prepares it."""
    return yard.server


@pytest.fixture
def redis_server(yard):
    """redis_server(**directives) starts Debian's redis-server."""
    return yard.redis


@pytest.fixture
def cluster(yard):
    """cluster(primaries=3, replicas=1, **directives) starts nodes and joins them (join=False leaves them apart)."""
    return lambda primaries=3, replicas=1, **options: Cluster(yard, primaries, replicas, **options)


@pytest.fixture
def proxy(yard):
    """proxy(port): a TCP proxy to that port that can be cut."""
    return lambda target: yard.add(Proxy(target))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        item.failed = True
        for one in list(servers.live)[-8:]:
            report.sections.append((f"log of {one} in {one.directory}", one.tail(12)))


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: measures time; while it runs, no other test of the same run does")
    spread.open_room(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return spread.scheduler(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    spread.note_end(node.config, error)


def pytest_sessionfinish(session):
    spread.judge_end(session)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    with spread.room_for(item):
        yield


def pytest_collection_modifyitems(items):
    """Under a sanitizer, what needs minutes there is left out."""
    items[:] = spread.in_order(items)
    if not programs.SANITIZED:
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="would need minutes under a sanitizer"))


def pytest_report_header():
    return f"server under test: {programs.shoal('server')}, slowness {programs.SLOWNESS:g}"
