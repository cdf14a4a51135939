"""The judge of tests/clients, tried with made-up lines: does it see what is wrong, and forgive only what it may?"""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import judge  # noqa: E402

DOWN = judge.Outage(10000.0, 10200.0)
LONG_AFTER = DOWN.end + judge.GRACE + 1


def lines(*steps):
    """Operations from (time, op, key, argument, result); each takes a millisecond."""
    return [judge.Operation(time, time + 1, 0, op, key, argument, result) for time, op, key, argument, result in steps]


def verdict(*steps):
    return judge.judge(lines(*steps), [DOWN])


def test_a_line_is_read():
    assert judge.parse("1.5\t2.25\t3\tSET\tk\tv#1\t!a b") == judge.Operation(1.5, 2.25, 3, "SET", "k", "v#1", "!a b")


def test_right_values():
    found = verdict((1, "GET", "k", "", "nil"), (2, "SET", "k", "a", "OK"), (3, "GET", "k", "", "=a"),
                    (4, "INCR", "k:n", "", "=1"), (5, "INCR", "k:n", "", "=2"), (6, "GET", "k:n", "", "=2"),
                    (7, "GET", "l:n", "", "nil"))
    assert found.good and not found.lost and not found.twice and found.counts == {"GET": 4, "SET": 1, "INCR": 2}


@pytest.mark.parametrize("steps", [
    [(2, "SET", "k", "a", "OK"), (3, "SET", "k", "b", "OK"), (4, "GET", "k", "", "=a")],  # stale
    [(2, "SET", "k", "a", "OK"), (3, "GET", "k", "", "nil")],                             # gone
    [(2, "SET", "k", "a", "OK"), (3, "GET", "k", "", "=x")],                              # somebody else's
    [(2, "INCR", "k:n", "", "=2")],                                                       # counted too much
    [(2, "INCR", "k:n", "", "=1"), (3, "INCR", "k:n", "", "=1")],                         # counted too little
    [(2, "INCR", "k:n", "", "=1"), (3, "GET", "k:n", "", "nil")],
    [(2, "INCR", "k:n", "", "=1"), (3, "GET", "k:n", "", "=text")],
    [(2, "SET", "k", "a", "nil")],
    [(10100, "SET", "k", "a", "OK"), (10101, "GET", "k", "", "=x")],                      # an outage excuses no nonsense
    [(2, "SET", "k", "a", "OK"), (3, "SET", "k", "b", "OK"), (LONG_AFTER, "GET", "k", "", "=a")],  # written long before
    [(LONG_AFTER, "SET", "k", "a", "OK"), (LONG_AFTER + 1, "GET", "k", "", "nil")],        # written long after
    [(2, "INCR", "k:n", "", "=1"), (10300, "GET", "k:n", "", "nil")],
    [(LONG_AFTER, "INCR", "k:n", "", "=2")],
])
def test_wrong_values(steps):
    assert len(verdict(*steps).wrong) == 1


def test_a_failed_write_may_have_been_carried_out():
    begin = [(9990, "SET", "k", "a", "OK"), (10050, "SET", "k", "b", "!refused"), (10060, "SET", "k", "c", "!refused")]
    for value in "abc":
        found = verdict(*begin, (10300, "GET", "k", "", "=" + value), (10301, "GET", "k", "", "=" + value))
        assert not found.wrong and not found.lost and len(found.errors) == 2
    # But what was seen stays, and an older one does not come back.
    assert verdict(*begin, (10300, "GET", "k", "", "=c"), (10301, "GET", "k", "", "=b")).wrong


def test_a_failed_count_may_have_been_carried_out():
    begin = [(2, "INCR", "k:n", "", "=1"), (10050, "INCR", "k:n", "", "!refused")]
    assert not verdict(*begin, (10300, "INCR", "k:n", "", "=2")).wrong
    assert not verdict(*begin, (10300, "INCR", "k:n", "", "=3")).wrong
    assert verdict(*begin, (LONG_AFTER, "INCR", "k:n", "", "=4")).wrong


def test_what_was_written_just_before_a_kill_may_be_lost():
    found = verdict((2, "SET", "k", "a", "OK"), (9999, "SET", "k", "b", "OK"), (10300, "GET", "k", "", "=a"),
                    (10301, "GET", "k", "", "=a"))
    assert not found.wrong and found.lost == 1
    found = verdict((2, "INCR", "k:n", "", "=1"), (9999, "INCR", "k:n", "", "=2"), (10300, "GET", "k:n", "", "=1"))
    assert not found.wrong and found.lost == 1


def test_a_count_sent_again_during_an_outage_may_count_twice():
    found = verdict((2, "INCR", "k:n", "", "=1"), (10100, "INCR", "k:n", "", "=3"), (LONG_AFTER, "GET", "k:n", "", "=3"))
    assert not found.wrong and found.twice == 1


def test_errors_are_allowed_while_a_primary_is_down():
    assert not verdict((10100, "GET", "k", "", "!CLUSTERDOWN")).bad_errors
    assert verdict((9000, "GET", "k", "", "!CLUSTERDOWN")).bad_errors
    assert verdict((LONG_AFTER, "GET", "k", "", "!CLUSTERDOWN")).bad_errors
    assert not verdict((2, "GET", "k", "", "nil")).good  # a client that did not do everything proves nothing
