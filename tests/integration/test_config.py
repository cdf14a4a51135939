"""The configuration file, the command line, CONFIG SET and REWRITE, and what start-up says."""
import re
import subprocess

import pytest

from support import programs
from support.programs import SLOWNESS, wait_until


def refuse(server, *arguments, text=None, file_name="server.conf"):
    """Starts a server that must not start; returns what it said."""
    if text is not None:
        path = server.directory / file_name
        path.write_text(text)
        arguments = (path, *arguments)
    result = subprocess.run([server.program, *map(str, arguments)], cwd=server.directory, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20 * SLOWNESS)
    output = result.stdout.decode(errors="replace")
    assert result.returncode == 1, f"status {result.returncode}: {output}"
    return output


@pytest.mark.parametrize("line", [
    "nosuchdirective yes", "port abc", "port 70000", "port -1", "maxmemory 12parsecs", "maxmemory-policy sometimes",
    "hz fast", "save 10", "save -1 10", "timeout -1", "io-threads 0", "io-threads many", "loglevel loud", "port",
    "cluster-enabled perhaps", "cluster-node-timeout x", "client-output-buffer-limit normal 1 2",
    "client-output-buffer-limit nobody 1 2 3", "databases 0", "databases 1 2 3", "replicaof localhost",
    "replicaof localhost abc", 'requirepass "open', "maxmemory 5 6", "stop-writes-on-bgsave-error 1",
    "unixsocketperm 999", "maxmemory-samples 0", "tcp-backlog -1", 'dbfilename "a/b"',
    "hz -1", "proc-title-template {nosuch}", "shutdown-on-sigterm save nosave", "include one.conf two.conf",
    "rename-command NOSUCH x", "rename-command GET set", "rename-command GET", "rename-command GET a b",
])
def test_bad_line_refuses_the_start(server, line):
    """It names the file, the line's number and the line."""
    shoal = server(start=False)
    output = refuse(shoal, text=f"# a comment\nport {shoal.port}\n\n{line}\n")
    assert "server.conf" in output or programs.testing_redis_itself()
    assert re.search(r"line:? 4\b|:4\b", output) or "at line 4" in output, output
    assert line in output, output


@pytest.mark.parametrize("lines", ["port 0", 'bind ""'])
def test_nowhere_to_listen_refuses_the_start(server, lines):
    shoal = server(start=False)
    assert "not listen anywhere" in refuse(shoal, text=f"port {shoal.port}\nbind 127.0.0.1\n{lines}\n")


@pytest.mark.parametrize("daemonize", ["no", "yes"])
def test_a_log_that_cannot_be_written_refuses_the_start(server, daemonize):
    shoal = server(start=False)
    text = f"port {shoal.port}\nbind 127.0.0.1\ndaemonize {daemonize}\nlogfile {shoal.directory}/nosuch/server.log\n"
    assert "Can't open the log file: No such file or directory" in refuse(shoal, text=text)


def test_what_old_files_say(server):
    """More threads than we ever have, and directives that mean nothing any more."""
    shoal = server(io_threads=128, lua_replicate_commands="yes", list_max_ziplist_entries=512, list_max_ziplist_value=64)
    assert shoal.call("PING") == b"PONG"


def test_renamed_commands(server):
    """They go by the new name only, or by none; errors and lists keep the old one. CONFIG REWRITE keeps the lines."""
    shoal = server(rename_command=[("GET", "fetch"), ("flushall", ""), ("CONFIG", "Settings")])
    with shoal.client() as client:
        for gone in (["GET", "k"], ["FLUSHALL"], ["CONFIG", "GET", "port"]):
            assert client.reply(*gone).startswith(f"ERR unknown command '{gone[0]}'"), gone
        client.call("SET", "k", "v")
        assert client.call("FETCH", "k") == b"v"
        assert client.reply("fetch") == "ERR wrong number of arguments for 'get' command"
        assert client.call("settings", "get", "timeout") == [b"timeout", b"0"]
        assert client.call("COMMAND", "INFO", "get", "flushall", "config|get") == [None, None, None]
        assert [client.call("COMMAND", "INFO", name)[0][0] for name in ("fetch", "settings|get")] == [b"get", b"config|get"]
        names = client.call("COMMAND", "LIST")
        assert len(names) == client.call("COMMAND", "COUNT") == len(client.call("COMMAND"))
        assert b"get" in names and b"flushall" not in names
        assert client.call("MULTI") == b"OK" and client.call("fetch", "k") == b"QUEUED" and client.call("EXEC") == [b"v"]
        assert client.call("settings", "rewrite") == b"OK"
    assert "rename-command GET fetch" in shoal.config_file.read_text()
    shoal.stop()
    shoal.start(write=False)
    assert shoal.call("FETCH", "k") is None


def test_bad_option_on_the_command_line(server):
    shoal = server(start=False)
    assert "nosuch" in refuse(shoal, "--port", shoal.port, "--nosuch", "1")
    assert "abc" in refuse(shoal, "--port", shoal.port, "--hz", "abc")


def test_a_file_that_is_not_there(server):
    assert "nosuchfile.conf" in refuse(server(start=False), "nosuchfile.conf")


def test_grammar(server):
    """Comments, blank lines, quotes, escapes, either case, trailing spaces, repeated lines: the last one counts."""
    shoal = server(start=False)
    shoal.config_file.write_text(f"""
# comment
   # indented comment
PORT {shoal.port}
bind 127.0.0.1
dir {shoal.directory}
requirepass "a b\\x41\\n"
   timeout 5\t
hz 20
hz 30
dbfilename 'it.rdb'
save "900 1 30 2"
client-output-buffer-limit "normal 20mb 10mb 5"
maxmemory 1GB
maxmemory-policy ALLKEYS-LRU
slave-read-only no
appendonly no
loglevel verbose
""")
    shoal.start(write=False)
    with shoal.client(password="a bA\n") as client:
        assert client.config("timeout") == "5"
        assert client.config("hz") == "30"
        assert client.config("dbfilename") == "it.rdb"
        assert client.config("maxmemory") == str(1 << 30)
        assert client.config("maxmemory-policy") == "allkeys-lru"
        assert client.config("replica-read-only") == "no"
        assert client.config("requirepass") == "a bA\n"
        assert client.config("loglevel") == "verbose"
        assert client.config("save") == "900 1 30 2"
        assert client.config("client-output-buffer-limit").startswith("normal 20971520 10485760 5 ")


def test_command_line_over_file(server):
    shoal = server(start=False, hz=15, timeout=7)
    shoal.write_configuration()
    shoal.start(arguments=[shoal.config_file, "--hz", "25", "--client-output-buffer-limit", "normal", "0", "0", "0",
                           "--save", "100", "5", "--loglevel", "verbose"], write=False)
    with shoal.client() as client:
        assert client.config("hz") == "25"
        assert client.config("timeout") == "7"
        assert client.config("save") == "100 5"


def test_command_line_without_a_file(server):
    shoal = server(start=False)
    shoal.start(arguments=["--port", shoal.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                           "--dir", shoal.directory], write=False)
    with shoal.client() as client:
        assert client.config("save") == ""
        assert client.info("server")["config_file"] == ""


def test_configuration_from_standard_input(server):
    shoal = server(start=False)
    process = subprocess.Popen([shoal.program, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, cwd=shoal.directory)
    try:
        process.stdin.write(f"port {shoal.port}\nbind 127.0.0.1\nsave \"\"\nhz 33\n".encode())
        process.stdin.close()

        def answers():
            return shoal.call("CONFIG", "GET", "hz") == [b"hz", b"33"]
        programs.wait_until(answers, 10, "the server from standard input")
    finally:
        process.terminate()
        process.wait(20 * SLOWNESS)


def test_include(server):
    shoal = server(start=False)
    (shoal.directory / "more.conf").write_text("hz 44\n")
    shoal.directives["include"] = shoal.directory / "more.conf"
    shoal.start()
    assert shoal.call("CONFIG", "GET", "hz") == [b"hz", b"44"]


def test_version_and_help():
    for option in ("--version", "-v"):
        result = subprocess.run([programs.shoal("server"), option], stdout=subprocess.PIPE, timeout=10 * SLOWNESS)
        assert result.returncode == 0
        assert re.search(r"v=\d+\.\d+\.\d+", result.stdout.decode()), result.stdout
    result = subprocess.run([programs.shoal("server"), "--help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            timeout=10 * SLOWNESS)
    assert b"Usage" in result.stdout or b"usage" in result.stdout


def test_set_is_effective_and_rewritten(server):
    """CONFIG REWRITE keeps comments and order, changes what was changed, adds what is new; and a restart obeys it."""
    shoal = server(start=False)
    shoal.config_file.write_text(f"""# my precious comment
port {shoal.port}
bind 127.0.0.1
dir {shoal.directory}
save ""
# about hz
hz 20
timeout 300
""")
    shoal.start(write=False)
    with shoal.client() as client:
        client.call("CONFIG", "SET", "hz", 40, "maxmemory", "123mb", "maxmemory-policy", "volatile-ttl",
                    "requirepass", "se cret", "slowlog-log-slower-than", 77, "save", "900 1 30 2")
    with shoal.client(password="se cret") as client:
        assert client.call("CONFIG", "REWRITE") == b"OK"
    text = shoal.config_file.read_text()
    assert "# my precious comment" in text and "# about hz" in text
    assert re.search(r"^hz 40$", text, re.M) and not re.search(r"^hz 20$", text, re.M)
    assert re.search(r"^timeout 300$", text, re.M)
    assert re.search(r"^maxmemory 12\d+mb$|^maxmemory 128974848$", text, re.M), text
    assert "save 900 1" in text
    shoal.password = "se cret"
    shoal.stop()
    shoal.start(write=False)
    with shoal.client() as client:
        for name, value in (("hz", "40"), ("maxmemory", str(123 << 20)), ("maxmemory-policy", "volatile-ttl"),
                            ("slowlog-log-slower-than", "77"), ("save", "900 1 30 2"), ("timeout", "300")):
            assert client.config(name) == value, name
        assert client.call("CONFIG", "REWRITE") == b"OK"

    def settings(content):
        return [line for line in content.splitlines() if line and not line.startswith("user ")]
    assert settings(shoal.config_file.read_text()) == settings(text), "a second rewrite changes nothing"


def test_a_hidden_directive(server):
    """It is shown to who names it, and otherwise like any other."""
    with server(cluster_enabled="yes", cluster_ping_interval=700).client() as client:
        for pattern in ("cluster-*", "*", "cluster-ping-interva?"):
            assert b"cluster-ping-interval" not in client.call("CONFIG", "GET", pattern)
        assert client.call("CONFIG", "GET", "Cluster-Ping-Interval", "no*such") == [b"Cluster-Ping-Interval", b"700"]
        assert client.call("CONFIG", "SET", "cluster-ping-interval", "800") == b"OK"
        assert client.config("cluster-ping-interval") == "800"


def test_a_nodes_human_name(server):
    node = server(cluster_enabled="yes")
    with node.client() as client:
        for name in ("rack-7_node.3", "", "a" * 255):
            assert client.call("CONFIG", "SET", "cluster-announce-human-nodename", name) == b"OK"
            wait_until(lambda: (f",nodename={name}".encode() in (node.directory / "nodes.conf").read_bytes()) == bool(name))
        for name in ("two words", "a,b", "a=b", "a" * 256, "\u00e9", "a@b"):
            assert client.reply("CONFIG", "SET", "cluster-announce-human-nodename", name).startswith("ERR CONFIG SET failed")


def test_rewrite_without_a_file(server):
    shoal = server(start=False)
    shoal.start(arguments=["--port", shoal.port, "--bind", "127.0.0.1", "--save", ""], write=False)
    with shoal.client() as client:
        assert "running without a config file" in client.reply("CONFIG", "REWRITE")


def test_rewrite_of_a_directory_that_is_read_only_changes_nothing(server):
    shoal = server(start=False)
    place = shoal.directory / "etc"
    place.mkdir()
    shoal.config_file = place / "server.conf"
    shoal.start()
    before = shoal.config_file.read_text()
    shoal.config_file.unlink()
    place.rmdir()
    with shoal.client() as client:
        client.call("CONFIG", "SET", "hz", 50)
        assert client.reply("CONFIG", "REWRITE").startswith("ERR Rewriting config file")
        assert client.call("PING") == b"PONG"
    assert before


def test_rewrite_keeps_replicaof(server):
    primary, replica = server(), server()
    with replica.client() as client:
        client.call("REPLICAOF", "127.0.0.1", primary.port)
        client.call("CONFIG", "REWRITE")
    assert re.search(rf"^(replicaof|slaveof) 127\.0\.0\.1 {primary.port}$", replica.config_file.read_text(), re.M)


def test_start_up_lines(server):
    """What supervisors and Redis's own tools wait for."""
    shoal = server()
    log = shoal.log()
    assert f"PID: {shoal.pid}" in log or f"pid={shoal.pid}" in log
    assert "Server initialized" in log
    assert "Ready to accept connections" in log
    for line in log.splitlines():
        if "Ready to accept" in line:
            assert re.match(rf"{shoal.pid}:M \d\d \w{{3}} \d{{4}} \d\d:\d\d:\d\d\.\d{{3}} [*#] ", line), line


def test_logfile_and_pidfile(server):
    shoal = server(logfile="own.log", pidfile="own.pid", daemonize="no")
    assert "Ready to accept connections" in (shoal.directory / "own.log").read_text()
    pidfile = shoal.directory / "own.pid"
    assert pidfile.read_text().strip() == str(shoal.pid)
    shoal.stop()
    assert not pidfile.exists()


def test_databases(server):
    shoal = server(databases=3)
    with shoal.client() as client:
        assert client.call("SELECT", 2) == b"OK"
        assert client.reply("SELECT", 3) == "ERR DB index is out of range"
