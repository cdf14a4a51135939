"""One server process: its directory, configuration, port, log, end, and what its log must not say."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

from . import ports, programs
from .resp import Client, Error
from .programs import SLOWNESS, wait_until

# Every server that was started and not yet disposed of: a failing test shows their logs.
live = []

_TROUBLE = re.compile(
    rb"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|BUG REPORT|crashed by signal|ASSERTION FAILED"
    rb"|[Aa]ssertion .*failed|stack smashing|double free|corrupted size|free\(\): invalid", re.M)


def quoted(value):
    """A value as one word of redis.conf."""
    text = str(value)
    if text and not re.search(r'[\s"\'\\#]', text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def configuration(directives):
    """Lines of redis.conf. A keyword's underscores are dashes; a tuple is several words; a list several lines."""
    lines = []
    for name, value in directives.items():
        name = name.replace("_", "-")
        for one in value if isinstance(value, list) else [value]:
            words = one if isinstance(one, tuple) else (one,)
            lines.append(" ".join([name, *map(quoted, words)]))
    return "\n".join(lines) + "\n"


class Server:
    """A server under test, or Debian's. It is started by start() and must be disposed of by dispose()."""

    def __init__(self, directory, program=None, name="server", wrapper=(), **directives):
        self.program = program or programs.shoal("server")
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.wrapper = list(wrapper)
        self.owns_port = "port" not in directives
        self.port = ports.take() if self.owns_port else directives["port"]
        self.password = directives.get("requirepass")
        self.directives = {"port": self.port, "bind": "127.0.0.1", "dir": self.directory, "save": "", **directives}
        if "io_threads" in directives and program is None and not programs.testing_redis_itself():
            self.directives.setdefault("io_threads_always_active", "yes")  # a test that asks for workers wants them at work
        self.config_file = self.directory / "server.conf"
        self.log_file = self.directory / "server.log"
        self.process = None
        self.expected_to_die = False
        self.crash_is_the_point = False
        self.pids = []
        live.append(self)

    def __repr__(self):
        return f"<{self.name} at {self.port}>"

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    # ---- start ----

    def write_configuration(self):
        self.config_file.write_text(configuration(self.directives))

    def spawn(self, arguments=None, write=True):
        """Starts the process and does not wait for it."""
        if write:
            self.write_configuration()
        with open(self.log_file, "ab") as log:
            command = [*self.wrapper, self.program, *map(str, arguments or [self.config_file])]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.directory, start_new_session=True)
        self.pids.append(self.process.pid)
        self.expected_to_die = False

    def wait_ready(self, seconds=15):
        deadline = time.monotonic() + seconds * SLOWNESS
        while True:
            if self.process.poll() is not None:
                raise AssertionError(f"{self} ended with {self.process.returncode} at start:\n{self.tail()}")
            try:
                with self.connect(timeout=2) as client:
                    reply = client.reply("PING")
                    if reply == b"PONG" or (isinstance(reply, Error) and reply.code in ("NOAUTH", "MASTERDOWN")):
                        return self
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise AssertionError(f"{self} does not answer PING after {seconds * SLOWNESS:g} s:\n{self.tail()}")
            time.sleep(0.01)

    def start(self, arguments=None, write=True):
        self.spawn(arguments, write)
        return self.wait_ready()

    # ---- talk ----

    def connect(self, **options):
        return Client(self.port, **options)

    def client(self, **options):
        options.setdefault("password", self.password)
        return self.connect(**options)

    def call(self, *arguments, **options):
        """One command over a connection of its own."""
        with self.client(**options) as client:
            return client.call(*arguments)

    def info(self, section=None):
        with self.client() as client:
            return client.info(section)

    def wait_for(self, condition, seconds=10, what="the server's state"):
        """Waits until condition(client) is true."""
        with self.client() as client:
            return wait_until(lambda: condition(client), seconds, what)

    # ---- end ----

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        """kill -9, as a crash of the machine."""
        self.expected_to_die = True
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.send_signal(signal.SIGSTOP)

    def resume(self):
        self.send_signal(signal.SIGCONT)

    def wait_end(self, seconds=15):
        """Waits for a process that was told to end; returns its exit status."""
        try:
            status = self.process.wait(seconds * SLOWNESS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self} does not end within {seconds * SLOWNESS:g} s:\n{self.tail()}")
        self.expected_to_die = True
        return status

    def stop(self, number=signal.SIGTERM):
        """Ends it in order; returns the exit status."""
        if self.process.poll() is None:
            self.send_signal(number)
        return self.wait_end()

    def restart(self, **changes):
        self.stop()
        self.directives.update({name: value for name, value in changes.items()})
        self.start()
        return self

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def tail(self, lines=40):
        return "\n".join(self.log().splitlines()[-lines:])

    def trouble(self):
        """What the log, the exit status and the sanitizers' files say that must not be; empty when all is well."""
        found = []
        if self.crash_is_the_point:
            return found
        log = self.log_file.read_bytes() if self.log_file.exists() else b""
        match = _TROUBLE.search(log)
        if match:
            start = max(0, match.start() - 200)
            found.append(f"{self} logged trouble:\n" + log[start:match.start() + 6000].decode(errors="replace"))
        for report in self._sanitizer_reports():
            found.append(f"{self} left {report}:\n" + report.read_text(errors="replace")[:6000])
        if self.process is not None and self.process.poll() is not None and not self.expected_to_die:
            found.append(f"{self} ended by itself with {self.process.returncode}:\n{self.tail()}")
        return found

    def _sanitizer_reports(self):
        for variable in ("ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"):
            match = re.search(r"log_path=([^:]+)", os.environ.get(variable, ""))
            for pid in self.pids if match else ():
                path = pathlib.Path(f"{match.group(1)}.{pid}")
                if path.exists() and path.stat().st_size:
                    yield path

    def where_it_hangs(self):
        """The stacks of its threads, where a debugger is at hand."""
        gdb = shutil.which("gdb")
        if gdb is None:
            return ""
        command = [gdb, "-p", str(self.pid), "-batch", "-ex", "thread apply all bt 16"]
        try:
            result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                    timeout=60)
        except subprocess.TimeoutExpired:
            return ""
        return result.stdout.decode(errors="replace")[-8000:]

    def is_stopped(self):
        """Does SIGSTOP hold it? (A debugger's or a leak checker's hold is another state.)"""
        stat = pathlib.Path(f"/proc/{self.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def ask_to_end(self):
        """First half of dispose(): lets many servers end at the same time."""
        if self.process is not None and self.process.poll() is None:
            self.expected_to_die = True
            # Only where it is needed: a SIGCONT takes back the stop by which a process that ends checks itself for leaks,
            # and the checker then waits for ever.
            if self.is_stopped():
                self.send_signal(signal.SIGCONT)
            self.send_signal(signal.SIGTERM)

    def dispose(self):
        """Ends it, whatever happens, and returns the list of its troubles."""
        found = self.trouble()
        if self.process is not None:
            self.ask_to_end()
            try:
                status = self.process.wait(10 * SLOWNESS)
                if status not in (0, 1, -signal.SIGTERM, -signal.SIGKILL) and not found and not self.crash_is_the_point:
                    found = self.trouble() or [f"{self} ended with {status}:\n{self.tail()}"]
            except subprocess.TimeoutExpired:
                found.append(f"{self} does not end on SIGTERM:\n{self.tail()}\n{self.where_it_hangs()}")
                self.process.kill()
                self.process.wait()
            found = found or self.trouble()
        if self in live:
            live.remove(self)
        return found

    def give_back_port(self):
        """For when nobody is left who might still talk to this port: another test may get it at once."""
        if self.owns_port:
            ports.give_back(self.port)


class Yard:
    """A directory and the servers started in it; disposed of together."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.servers = []
        self.others = []

    def server(self, start=True, program=None, name=None, wrapper=(), **directives):
        name = name or f"server{len(self.servers)}"
        server = Server(self.directory / name, program, name, wrapper, **directives)
        self.servers.append(server)
        return server.start() if start else server

    def redis(self, **options):
        options.setdefault("name", f"redis{len(self.servers)}")
        return self.server(program=programs.redis("server"), **options)

    def add(self, closable):
        """Something with close() that ends with the yard."""
        self.others.append(closable)
        return closable

    def dispose(self, keep=False):
        for other in self.others:
            other.close()
        dead = [trouble for server in self.servers for trouble in server.trouble()]
        for server in self.servers:
            server.ask_to_end()
        found = dead + [trouble for server in self.servers for trouble in server.dispose()]
        for server in self.servers:
            server.give_back_port()
        if not found and not keep:
            shutil.rmtree(self.directory, ignore_errors=True)
        return list(dict.fromkeys(found))
