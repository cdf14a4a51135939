"""shoal-cli beside Debian's redis-cli: the same server, the same arguments, the same bytes."""
import os
import pty
import select
import signal
import subprocess
import termios
import time

import pytest

from support import programs

CLI = programs.shoal("cli")


@pytest.fixture(scope="module")
def redis(module_yard):
    server = module_yard.redis(unixsocket=str(module_yard.directory / "s"), enable_debug_command="yes")
    with server.client() as client:
        client.call("SET", "a", "b")
        client.call("SET", "binary", b'\x00\xff\n\r\t"\\\x07\x08')
        client.call("RPUSH", "list", "one", 'two "quoted"', "\x01\n")
        client.call("HSET", "hash", "f", "v", "g", "w")
        client.call("ZADD", "zset", "1", "a", "2.5", "b")
    return server


def run(program, *arguments, stdin=b"", **environment):
    environment = {**os.environ, "TERM": "dumb", **environment}
    return subprocess.run([program, *map(str, arguments)], input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=30 * programs.SLOWNESS, env=environment)


def ours(server, *arguments, **options):
    return run(CLI, "-p", server.port, *arguments, **options)


def assert_same(server, *arguments, **options):
    expected = run(programs.redis("cli"), "-p", server.port, *arguments, **options)
    got = ours(server, *arguments, **options)
    assert (got.stdout, got.stderr, got.returncode) == (expected.stdout, expected.stderr, expected.returncode)
    return got


FORMATS = ["--no-raw", "--raw", "--csv", "--json", "-3 --no-raw", "-3 --raw", "-3 --csv", "-2 --json"]
COMMANDS = [
    "get a", "get nosuch", "get binary", "nosuch", "lrange list 0 -1", "hgetall hash", "hgetall nosuch",
    "smembers nosuch", "zrange zset 0 -1 withscores", "command info get set config", "command docs get",
    "config get maxm*", "ping", "dbsize", "cluster nodes", "memory doctor", "acl getuser default", "xrange x - +",
    *[f"debug protocol {kind}" for kind in
      ("string", "integer", "double", "null", "array", "set", "map", "verbatim", "true", "false", "push")],
]
SCRIPTS = [
    'return {1,{2,{3,"x",{}},4},"y"}',
    "local t={} for i=1,12 do t[i]={i,{i}} end return t",
    'return {redis.error_reply("in"),redis.status_reply("st"),1,false}',
    "redis.setresp(3); return {map={k={1,2,3},l={},m={map={q=1}},n={map={q={set={s=true}},r={5,6}}}}}",
    "redis.setresp(3); return {map={a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=8,i=9,j={1,2}}}",
    "redis.setresp(3); return {map={k={map={l={map={m=1,n=2}},p=2}}}}",
]


@pytest.mark.parametrize("format", FORMATS)
def test_replies_look_like_redis_cli(redis, format):
    for command in COMMANDS:
        assert_same(redis, *format.split(), *command.split())
    for script in SCRIPTS:
        assert_same(redis, *format.split(), "eval", script, "0")


@pytest.mark.parametrize("arguments", [
    ["-r", 3, "ping"], ["-r", 2, "-i", "0.01", "ping"], ["-r", "abc", "ping"], ["-e", "nosuch"],
    ["-e", "-r", 3, "nosuch"], ["--bogus"], ["-Z"], ["-r"], ["-p"], ["-d", ",", "lrange", "list", "0", "-1"],
    ["-D", ",", "-r", 2, "lrange", "list", "0", "-1"], ["-n", 99, "get", "x"], ["-n", 3, "dbsize"],
    ["-a", "foo", "ping"], ["-a", "foo", "--no-auth-warning", "ping"], ["--user", "u", "--pass", "p", "ping"],
    ["-u", "http://x", "ping"], ["-p", 1, "ping"], ["-p", 1, "--pipe"], ["-p", 1], ["-s", "/nonexistent", "ping"],
    ["-x", "-X", "t", "set"], ["-X", "nope", "set", "a", "b"], ["-2", "-3", "ping"], ["quit"],
    ["--quoted-input", "set", '"n\\x00l"', 'unbalanced"'], ["--quoted-input", "get", '"a"'],
    ["--scan"], ["--scan", "--pattern", "z*"], ["--no-raw", "--scan"], ["--scan", "--quoted-pattern", '"z*"'],
    ["help", "set"], ["help", "xadd"], ["help", "sort"], ["help", "migrate"], ["help", "client", "kill"],
    ["help", "config"], ["help", "@string"], ["help", "nosuch"],
    ["--show-pushes", "y", "-3", "--no-raw", "debug", "protocol", "push"],
], ids=lambda arguments: " ".join(map(str, arguments)))
def test_options_behave_as_in_redis_cli(redis, arguments):
    assert_same(redis, *arguments)


def test_uri_and_socket(redis):
    assert_same(redis, "-s", redis.directives["unixsocket"], "get", "a")
    assert_same(redis, "-u", f"redis://127.0.0.1:{redis.port}/3", "dbsize")
    assert_same(redis, "-u", f"redis://u:p%40@127.0.0.1:{redis.port}/3", "dbsize")


def test_arguments_from_stdin(redis):
    assert_same(redis, "-x", "set", "k1", stdin=b"value\n")
    assert redis.call("GET", "k1") == b"value\n"
    assert_same(redis, "-X", "tag", "set", "tag", "v", stdin=b"k\x00y")
    assert redis.call("GET", b"k\x00y") == b"v"


@pytest.mark.parametrize("format", ["--raw", "--no-raw"])
def test_lines_from_stdin(redis, format):
    for lines in (b'ping\nget "a\nget a\n\n  \necho "x y" \n3 ping\nquit\nping\n', b"multi\nget a\nget b\nexec\n",
                  b"multi\nselect 4\ndiscard\nget a\n", b"select 3\nget a\n:set hints\nclear\n0 ping\n-1 ping\n",
                  b"connect 127.0.0.1 1\nget a\n", b"nosuch\nget a"):
        assert_same(redis, format, stdin=lines)
    assert_same(redis, "-e", stdin=b"nosuch\n")


def test_a_lost_connection_is_opened_again(redis):
    got = ours(redis, stdin=b"client kill type normal skipme no\nget a\n")
    assert got.stdout.endswith(b"b\n")


def test_password(yard):
    server = yard.redis(requirepass="secret")
    assert_same(server, "-a", "wrong", "ping")
    assert_same(server, "ping")
    assert_same(server, "ping", REDISCLI_AUTH="secret")
    assert_same(server, "-a", "secret", "ping")
    assert_same(server, "-u", f"redis://default:secret@127.0.0.1:{server.port}", "--no-auth-warning", "ping")


def test_pipe(redis):
    assert_same(redis, "--pipe", stdin=b"*3\r\n$3\r\nSET\r\n$2\r\np1\r\n$1\r\n1\r\nSET p2 2\r\nNOSUCH\r\nGET p2")
    assert_same(redis, "--pipe", stdin=b"")
    many = b"".join(b"SET pipe:%d %d\r\n" % (i, i) for i in range(50000))
    got = ours(redis, "--pipe", stdin=many)
    assert got.stdout.endswith(b"errors: 0, replies: 50000\n") and got.returncode == 0
    assert redis.call("GET", "pipe:49999") == b"49999"
    redis.call("FLUSHDB", "ASYNC") and redis.call("SET", "a", "b")


def test_scan_takes_a_count(redis):
    for i in range(300):
        redis.call("SET", f"scan:{i}", "x")
    got = ours(redis, "--scan", "--pattern", "scan:*", "--count", 7)
    assert sorted(got.stdout.split()) == sorted(b"scan:%d" % i for i in range(300))


@pytest.mark.parametrize("option", ["--bigkeys", "--stat", "--latency", "--tls", "--eval"])
def test_what_is_not_there_says_so(redis, option):
    got = ours(redis, option, "x")
    assert got.returncode == 1 and option.encode() in got.stderr and b"not supported" in got.stderr


def test_subscribe_prints_as_it_comes(redis):
    process = subprocess.Popen([CLI, "-p", str(redis.port), "--no-raw", "subscribe", "ch"], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"Reading messages... (press Ctrl-C to quit)\n"
        assert [process.stdout.readline() for _ in range(3)] == [b'1) "subscribe"\n', b'2) "ch"\n', b"3) (integer) 1\n"]
        redis.call("PUBLISH", "ch", "hello")
        assert [process.stdout.readline() for _ in range(3)] == [b'1) "message"\n', b'2) "ch"\n', b'3) "hello"\n']
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_server_that_speaks_nonsense():
    import socket
    import threading
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()
        thread = threading.Thread(target=serve)
        thread.start()
        got = run(CLI, "-p", listener.getsockname()[1], "ping")
        thread.join()
    assert got.stderr == b'Error: Protocol error, got "H" as reply type byte\n' and got.returncode == 1


class Terminal:
    """shoal-cli in a terminal of its own."""

    def __init__(self, *arguments, **environment):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(CLI, [CLI, *map(str, arguments)], {**os.environ, "TERM": "xterm", **environment})

    def wait_for(self, text, seconds=10):
        deadline = time.monotonic() + seconds * programs.SLOWNESS
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"{text} did not come; seen: {self.seen!r}"
            if select.select([self.fd], [], [], left)[0]:
                try:
                    self.seen += os.read(self.fd, 65536)
                except OSError:
                    assert text in self.seen, f"ended before {text}; seen: {self.seen!r}"

    def type(self, text, then):
        """Types, and waits until `then` is seen after that."""
        self.seen = b""
        os.write(self.fd, text)
        self.wait_for(then)

    def end(self, key=b"\x04", seconds=10):
        """Types the key that ends it; its exit status."""
        deadline = time.monotonic() + seconds * programs.SLOWNESS
        # The prompt is there a moment before the line editor takes the keys: until then the terminal would keep ours.
        while termios.tcgetattr(self.fd)[3] & termios.ICANON and time.monotonic() < deadline:
            time.sleep(0.005)
        os.write(self.fd, key)
        done, status = 0, 0
        while not done:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                os.close(self.fd)
                raise AssertionError(f"it does not end; seen: {self.seen!r}")
            try:
                if select.select([self.fd], [], [], 0.1)[0]:
                    os.read(self.fd, 65536)
            except OSError:
                time.sleep(0.01)  # it has closed its end
            done, status = os.waitpid(self.pid, os.WNOHANG)
        os.close(self.fd)
        return status


def test_terminal(redis, tmp_path):
    history = tmp_path / "history"
    prompt = f"127.0.0.1:{redis.port}"
    terminal = Terminal("-p", redis.port, SHOALCLI_HISTFILE=str(history))
    terminal.wait_for(f"{prompt}> ".encode())
    terminal.type(b"get a\n", b'"b"\r\n')
    terminal.type(b"select 2\n", f"{prompt}[2]> ".encode())
    terminal.type(b"multi\n", f"{prompt}[2](TX)> ".encode())
    terminal.type(b"discard\n", f"{prompt}[2]> ".encode())
    terminal.type(b"auth secret\n", b"(error) ERR AUTH")
    terminal.type(b"debug sleep 0.6\n", b"(0.6")
    terminal.type(b"conf\t", b"CONFIG")
    terminal.type(b"get appendonly\n", b'1) "appendonly"')
    terminal.type(b'get "unbalanced\n', b"Invalid argument(s)")
    terminal.type(b"connect 127.0.0.1 1\n", b"not connected> ")
    terminal.type(f"connect 127.0.0.1 {redis.port}\n".encode(), f"{prompt}[2]> ".encode())
    assert terminal.end() == 0
    lines = history.read_text().splitlines()
    assert lines[:4] == ["get a", "select 2", "multi", "discard"] and "auth secret" not in lines
    assert history.stat().st_mode & 0o77 == 0

    again = Terminal("-p", redis.port, SHOALCLI_HISTFILE=str(history))
    again.wait_for(b"> ")
    again.type(b"\x1b[A" * len(lines) + b"\n", b'"b"')
    again.wait_for(f"{prompt}> ".encode())
    assert again.end() == 0


def test_interrupt_ends_the_prompt(redis, tmp_path):
    terminal = Terminal("-p", redis.port, SHOALCLI_HISTFILE=str(tmp_path / "history"))
    terminal.wait_for(b"> ")
    os.write(terminal.fd, b"pi")
    status = terminal.end(b"\x03")
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) in (0, 130)
