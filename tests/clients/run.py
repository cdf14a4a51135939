#!/usr/bin/python3
"""Other people's client libraries, at work in a cluster while slots move, a primary dies and another one hands over.

usage: run.py [--junit-xml FILE] [--json FILE] [--seconds N] [CLIENT...]

Six nodes run on free ports of loopback. Every client of catalogue.py that can be made ready here writes, reads and counts
in them, all at the same time, while:
  reshard   slots with their keys move from one primary to another and back; nobody may see an error
  kill      kill -9 of a primary; errors are allowed until its replica has taken over (and GRACE, see judge.py)
  restart   the killed node comes back as a replica; nobody may see an error
  handover  CLUSTER FAILOVER gives the slots back to it; nobody may see an error
Which clients are left out, and why, is told and counted as skipped. The programs come from SHOAL_BUILD, default build/.
"""
import argparse
import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as xml

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import catalogue  # noqa: E402
import judge  # noqa: E402
from support import programs  # noqa: E402
from support.cluster import Cluster, cluster_info  # noqa: E402
from support.programs import wait_until  # noqa: E402
from support.server import Yard  # noqa: E402

BUILD = programs.ROOT / "build" / "clients"
LOGS = BUILD / "logs"  # what the programs printed, for a look afterwards
PAUSE_MS = 20         # what a lane waits between two rounds of four operations
SLOTS_TO_MOVE = 4000
ROUNDS = 3            # there and back
WARM = 40             # operations that each lane has done before anything happens to the cluster
START = 60            # seconds a client may take until then
BACK = 30             # seconds a lane may take after each event until something succeeds again
END = 20              # seconds a client may take to end
SHOWN = 5             # wrong values and errors of a client that are printed


def now():
    return time.time() * 1000


class Program:
    """A client program at work; its lines are collected by a thread."""

    def __init__(self, name, command, lanes, seeds):
        self.name = name
        self.lanes = lanes
        self.lines = []
        self.version = ""
        LOGS.mkdir(parents=True, exist_ok=True)
        self.errors = LOGS / f"{name}.err"
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen([*map(str, command), seeds, name, str(lanes), str(PAUSE_MS)],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            line = line.decode(errors="replace").rstrip("\n")
            if line.startswith("# "):
                self.version = line[2:]
            else:
                self.lines.append(line)

    def is_warm(self):
        if self.process.poll() is not None:
            return True
        lanes = [line.split("\t", 3)[2] for line in self.lines[:]]
        return all(lanes.count(str(lane)) >= WARM for lane in range(self.lanes))

    def works_since(self, start):
        """Has each lane done something, with success, that it began after `start`?"""
        lanes = set()
        for line in reversed(self.lines[:]):
            operation = judge.parse(line)
            if operation.end < start:
                break
            if operation.start >= start and not operation.failed:
                lanes.add(operation.lane)
        return len(lanes) == self.lanes or self.process.poll() is not None

    def end(self):
        """Ends it; returns what was wrong with its end, or nothing."""
        early = self.process.poll()
        if early is not None:
            self.reader.join(5)
            return f"it ended by itself with {early}: {' '.join(self.errors.read_text(errors='replace').split())[-400:]}"
        self.process.stdin.close()
        try:
            status = self.process.wait(END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return f"it did not end within {END} s"
        finally:
            self.reader.join(5)
        return f"it ended with {status}" if status else ""


# ---- what happens to the cluster ----


def reshard(cluster, source, target):
    command = [programs.shoal("cli"), "--cluster", "reshard", source.address, "--cluster-from", cluster.id_of(source),
               "--cluster-to", cluster.id_of(target), "--cluster-slots", str(SLOTS_TO_MOVE), "--cluster-yes"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    assert result.returncode == 0, f"the reshard failed:\n{result.stdout.decode(errors='replace')[-2000:]}"
    cluster.wait_stable(60)


def all_route_to(cluster, primary, slot):
    """Has every living node heard that `primary` owns the slot, and does it say that the cluster is well?"""
    for node in cluster.alive():
        with node.client(timeout=2) as client:
            if cluster_info(client)["cluster_state"] != "ok":
                return False
            owners = [entry["port"] for entry in cluster.view(node)
                      if any(first <= slot <= last for first, last in entry["slots"])]
            if owners != [primary.port]:
                return False
    return True


def first_slot(cluster, node):
    return next(entry for entry in cluster.view(node) if "myself" in entry["flags"])["slots"][0][0]


def make_trouble(cluster, running, seconds, say):
    """Everything that happens while the clients work. Returns the phases as (name, start, end) and the outages."""
    phases = []

    def watch():
        """Lets the clients go on for a while, and until each lane works; who does not get there is told of by assess()."""
        start = now()
        time.sleep(seconds)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: all(program.works_since(start) for program in running), BACK, "the clients", step=0.1)

    @contextlib.contextmanager
    def phase(name):
        start = now()
        yield
        phases.append((name, start, now()))
        say(f"{name}: {(phases[-1][2] - start) / 1000:.1f} s")

    with phase("quiet"):
        watch()
    source, target = cluster.masters()[:2]
    with phase("reshard"):
        for _ in range(ROUNDS):
            reshard(cluster, source, target)
            reshard(cluster, target, source)
        watch()
    with phase("kill"):
        slot, replica = first_slot(cluster, source), cluster.replicas_of(source)[0]
        outage = judge.Outage(now(), 0.0)
        source.kill()
        wait_until(lambda: all_route_to(cluster, replica, slot), 30, "the failover", step=0.005)
        outage.end = now()
        say(f"slots take writes again after {outage.end - outage.start:.0f} ms")
        time.sleep(judge.GRACE / 1000)
        watch()
    with phase("restart"):
        source.start(write=False)
        cluster.wait_stable(60)
        watch()
    with phase("handover"):
        source.call("CLUSTER", "FAILOVER")
        wait_until(lambda: all_route_to(cluster, source, slot), 30, "the handover", step=0.005)
        cluster.wait_stable(60)
        watch()
    return phases, [outage]


# ---- reports ----


def show(operation, phases):
    where = next((name for name, start, end in phases if start <= operation.start <= end), "at the end")
    argument = f" {operation.argument}" if operation.argument else ""
    return f"{where}: {operation.op} {operation.key}{argument}: {operation.result[:200]}" \
           f" (at {operation.start:.0f}, {operation.end - operation.start:.0f} ms)"


def is_own_error(name, operation, phases):
    """An error that the library makes by itself, at the time when it does."""
    text = catalogue.OWN_ERRORS.get(name)
    return text is not None and operation.result[1:] == text and \
        any(phase == "handover" and start <= operation.start <= end for phase, start, end in phases)


def assess(program, trouble, outages, phases):
    """The record of one client: its numbers, and `complaints`, empty when it passed."""
    (LOGS / f"{program.name}.lines").write_text("\n".join(program.lines) + "\n")
    operations = [judge.parse(line) for line in program.lines]
    verdict = judge.judge(operations, outages)
    own = [one for one in verdict.bad_errors if is_own_error(program.name, one, phases)]
    verdict.bad_errors = [one for one in verdict.bad_errors if one not in own]
    complaints = [trouble] if trouble else []
    complaints += [f"wrong value, {show(one, phases)}" for one in verdict.wrong[:SHOWN]]
    complaints += [f"error, {show(one, phases)}" for one in verdict.bad_errors[:SHOWN]]
    for name, start, end in phases:
        working = {one.lane for one in operations if start <= one.start <= end and not one.failed}
        if len(working) < program.lanes:
            complaints.append(f"{program.lanes - len(working)} of its lanes did nothing in phase {name}")
    return {"name": program.name, "language": catalogue.CLIENTS[program.name][0], "version": program.version,
            "lanes": program.lanes, "writes": verdict.counts["SET"], "reads": verdict.counts["GET"],
            "counts": verdict.counts["INCR"], "wrong": len(verdict.wrong), "lost": verdict.lost, "twice": verdict.twice,
            "errors_while_down": len(verdict.errors), "own_errors": len(own),
            "errors_otherwise": len(verdict.bad_errors),
            "last_error_ms": round(verdict.last_error_after) if verdict.errors else None,
            "slowest_ms": round(verdict.slowest), "error_kinds": kinds(verdict.errors + own + verdict.bad_errors),
            "complaints": complaints}


def kinds(errors):
    """The texts of errors with their numbers, the most frequent first; addresses and numbers are left out."""
    counted = {}
    for error in errors:
        text = "".join("#" if letter.isdigit() else letter for letter in error.result[1:121])
        counted[text] = counted.get(text, 0) + 1
    return dict(sorted(counted.items(), key=lambda pair: -pair[1])[:SHOWN])


def print_table(records):
    print(f"\n{'client':16} {'version':9} {'writes':>7} {'reads':>7} {'counts':>7} {'wrong':>6} {'lost':>5} {'twice':>6}"
          f" {'errors':>7} {'own':>4} {'otherwise':>10} {'last error':>11} {'slowest':>8}")
    for one in records:
        last = "-" if one["last_error_ms"] is None else f"{one['last_error_ms']:+} ms"
        print(f"{one['name']:16} {one['version']:9} {one['writes']:7} {one['reads']:7} {one['counts']:7} {one['wrong']:6}"
              f" {one['lost']:5} {one['twice']:6} {one['errors_while_down']:7} {one['own_errors']:4}"
              f" {one['errors_otherwise']:10} {last:>11} {one['slowest_ms']:5} ms")
    for one in records:
        for text, count in one["error_kinds"].items():
            print(f"  {one['name']}: {count} x {text}")
    for one in records:
        for complaint in one["complaints"]:
            print(f"FAILED {one['name']}: {complaint}")


def write_junit(path, records, left_out):
    suite = xml.Element("testsuite", name="clients", tests=str(len(records) + len(left_out)))
    for one in records:
        case = xml.SubElement(suite, "testcase", classname="clients", name=one["name"])
        if one["complaints"]:
            xml.SubElement(case, "failure", message=one["complaints"][0]).text = "\n".join(one["complaints"])
    for name, why in left_out.items():
        case = xml.SubElement(suite, "testcase", classname="clients", name=f"{name}: {why}")
        xml.SubElement(case, "skipped", message=why)
    xml.ElementTree(suite).write(path, encoding="unicode")


def prepare(names):
    """Returns the commands of the clients that are ready, and why the others are left out, by name."""
    commands, left_out = {}, {}
    for name in names:
        try:
            commands[name] = catalogue.CLIENTS[name][1](BUILD)
            print(f"ready: {name}", flush=True)
        except catalogue.LeftOut as why:
            left_out[name] = str(why)
            print(f"LEFT OUT: {name}: {why}", flush=True)
    return commands, left_out


def run(commands, seconds):
    """Runs the clients in a cluster of their own; returns their records."""
    started = time.time()

    def say(text):
        print(f"[{time.time() - started:5.1f} s] {text}", flush=True)

    yard = Yard(tempfile.mkdtemp(prefix="shoal-clients-"))
    running, keep = [], True
    try:
        cluster = Cluster(yard)
        seeds = ",".join(node.address for node in cluster.nodes)
        running = [Program(name, command, catalogue.CLIENTS[name][2], seeds) for name, command in commands.items()]
        say(f"{len(running)} clients start in a cluster of {len(cluster.nodes)} nodes")
        with contextlib.suppress(AssertionError):  # who never gets going is told of below
            wait_until(lambda: all(program.is_warm() for program in running), START, "the clients", step=0.2)
        phases, outages = make_trouble(cluster, running, seconds, say)
        troubles = [program.end() for program in running]
        say("the clients have ended")
        records = [assess(program, trouble, outages, phases) for program, trouble in zip(running, troubles)]
        keep = any(record["complaints"] for record in records)
        return records
    finally:
        for program in running:
            if program.process.poll() is None:
                program.process.kill()
                program.process.wait()
        for trouble in yard.dispose(keep):
            print(trouble)
        if keep:
            print(f"the nodes' logs are kept in {yard.directory}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help=", ".join(catalogue.CLIENTS))
    parser.add_argument("--junit-xml")
    parser.add_argument("--json")
    parser.add_argument("--seconds", type=float, default=3.0, help="quiet time after each event")
    options = parser.parse_args()
    unknown = set(options.clients) - set(catalogue.CLIENTS)
    if unknown:
        parser.error(f"unknown client {', '.join(sorted(unknown))}; known are {', '.join(catalogue.CLIENTS)}")
    commands, left_out = prepare(options.clients or catalogue.CLIENTS)
    records = run(commands, options.seconds) if commands else []
    print_table(records)
    for name, why in left_out.items():
        print(f"LEFT OUT {name}: {why}")
    if options.junit_xml:
        write_junit(options.junit_xml, records, left_out)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"clients": records, "left_out": left_out}, indent=1) + "\n")
    failed = sum(bool(record["complaints"]) for record in records)
    print(f"{len(records) - failed} passed, {failed} failed, {len(left_out)} skipped")
    return 1 if failed or not records else 0


if __name__ == "__main__":
    sys.exit(main())
