#!/usr/bin/env python3
"""Measures Shoal beside Debian's redis-server and prints: what | must be | measured | ok.

The machine may be small and noisy, so speed is a ratio: both servers on one core, the client on another, runs in
alternating pairs, medians; the figure is the server's CPU time a request (user and system, all threads).
"""

import argparse
import os
import shutil
import signal
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.path.join(ROOT, "tests")]

import rows_cluster  # noqa: E402
import rows_faults  # noqa: E402
import rows_speed  # noqa: E402
from servers import NoMeasure, stop_all  # noqa: E402

ROWS = {
    "plain": (rows_speed.row_plain, "SET and GET, 64 B, no pipeline: CPU a request"),
    "pipeline": (rows_speed.row_pipeline, "the same, pipeline 16"),
    "random": (rows_speed.row_random, "the same of a million keys, where the others are of one"),
    "floor": (rows_speed.row_floor, "a server that only receives and sends: what bounds 'plain' and 'pipeline'"),
    "large": (rows_speed.row_large, "GET over 10 million keys, pipeline 16, in cluster mode"),
    "memory": (rows_speed.row_memory, "resident bytes a key at 10 million keys"),
    "threads": (rows_speed.row_threads, "io-threads 2 against 1"),
    "failover": (rows_cluster.row_failover, "kill -9 of a primary: seconds until its slots take writes"),
    "crash": (rows_faults.row_crash, "the same at the default node timeout"),
    "hang": (rows_faults.row_hang, "the same for SIGSTOP"),
    "end": (rows_faults.row_end, "SIGTERM of a primary under writes: the longest pause, and what is lost"),
    "manual": (rows_faults.row_manual, "CLUSTER FAILOVER under writes: the longest pause, and what is lost"),
    "busy": (rows_cluster.row_busy, "a primary kept busy for 5 s: nobody doubts it"),
    "calm": (rows_faults.row_calm, "workers at work and long commands everywhere for minutes: nobody doubts anybody"),
    "bus": (rows_faults.row_bus, "bytes that an idle node sends on the bus"),
    "reshard": (rows_cluster.row_reshard, "1000 slots move under reads and writes: keys a second"),
}
# One load of ten million keys serves both.
TOGETHER = {("large", "memory"): rows_speed.row_memory_and_large}


class Setup:
    """What the rows need to know, and the rows that they have filled."""

    def __init__(self, options):
        self.shoal, self.cli, self.benchmark = options.shoal, options.cli, options.benchmark
        self.floor = options.floor
        self.redis, self.redis_cli, self.client = options.redis, options.redis_cli, options.client
        self.quick, self.with_redis = options.quick, options.with_redis
        self.pairs = options.pairs or (2 if options.quick else 5)
        self.keys = options.keys or (1000000 if options.quick else 10000000)
        self.minutes = options.minutes
        self.affinity = os.sched_getaffinity(0)
        self.table = []
        self.failed = False

    def row(self, what, must_be, measured, ok):
        verdict = "" if ok is None else "yes" if ok else "NO"
        self.table.append((what, must_be, measured, verdict))
        print("  %s: %s %s" % (what.strip(), measured, verdict), file=sys.stderr, flush=True)


def parse(arguments):
    def built(name, folder="bin"):
        return os.path.join(os.environ.get("SHOAL_BUILD", os.path.join(ROOT, "build")), folder, name)

    names = "\n".join("  %-10s %s" % (name, text) for name, (_, text) in ROWS.items())
    parser = argparse.ArgumentParser(description=__doc__, epilog="rows:\n" + names,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="row", help="rows to measure (default: all)")
    parser.add_argument("--quick", action="store_true", help="fewer pairs, keys and rounds: a look, no verdict")
    parser.add_argument("--with-redis", action="store_true", help="also the cluster rows on Redis")
    parser.add_argument("--pairs", type=int, help="alternating pairs of runs (default 5)")
    parser.add_argument("--keys", type=int, help="keys of 'large' and 'memory' (default 10 million)")
    parser.add_argument("--minutes", type=float, help="how long 'calm' lasts (default %g)" % rows_faults.CALM_MINUTES)
    parser.add_argument("--shoal", default=built("shoal-server"), help="the server to measure")
    parser.add_argument("--cli", default=built("shoal-cli"), help="the command line that reshards it")
    parser.add_argument("--benchmark", default=built("shoal-benchmark"), help="the load of 'threads'")
    parser.add_argument("--floor", default=built("bench-floor", "tools"), help="the server of 'floor'")
    parser.add_argument("--client", default="redis-benchmark", help="the load of the rows with a ratio")
    parser.add_argument("--redis", default="redis-server", help="the server to compare with")
    parser.add_argument("--redis-cli", default="redis-cli", help="the command line that reshards that")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.rows if name not in ROWS]
    if unknown:
        parser.error("no row is called %s; there are: %s" % (", ".join(unknown), " ".join(ROWS)))
    for attribute in ("shoal", "redis", "client", "redis_cli", "cli", "benchmark"):
        path = shutil.which(getattr(options, attribute))
        if path:
            setattr(options, attribute, os.path.abspath(path))
        elif attribute in ("shoal", "redis", "client"):
            parser.error("there is no %s" % getattr(options, attribute))
    return options


def steps(names):
    """(names, function) in the order of the table; rows that share a load come together."""
    chosen = [name for name in ROWS if not names or name in names]
    for name in chosen:
        pair = next((pair for pair in TOGETHER if name in pair and set(pair) <= set(chosen)), None)
        if pair is None:
            yield name, ROWS[name][0]
        elif name == pair[0]:
            yield " and ".join(pair), TOGETHER[pair]


def print_table(rows):
    heading = ("what", "must be", "measured", "ok")
    widths = [max(len(row[i]) for row in rows + [heading]) for i in range(len(heading))]
    for row in [heading, tuple("-" * width for width in widths)] + rows:
        print(" | ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    options = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, interrupted)
    setup = Setup(options)
    start = time.monotonic()
    try:
        for name, measure in steps(options.rows):
            print("measuring %s ..." % name, file=sys.stderr, flush=True)
            try:
                measure(setup)
            except (NoMeasure, OSError, ValueError, KeyError, IndexError, AssertionError, rows_cluster.ReplyError,
                    rows_cluster.subprocess.SubprocessError) as error:
                setup.failed = True
                setup.row(name, "", "not measured: %s" % error, False)
            finally:
                stop_all()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        setup.failed = True
    finally:
        stop_all()
    if setup.table:
        print_table(setup.table)
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    print("\n%d cores, %s; %.0f s%s" % (len(setup.affinity), cpu, time.monotonic() - start,
                                        "; --quick: a look, no verdict" if setup.quick else ""))
    return 1 if setup.failed else 0


if __name__ == "__main__":
    sys.exit(main())
