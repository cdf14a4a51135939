"""Replies whose values can't be the same: INFO, CLIENT LIST, MEMORY STATS, HELLO, DEBUG OBJECT... their fields must be."""
import re

import pytest

from support.resp import Map

# Fields of INFO that monitoring tools read; each section must have at least these of Redis's.
INFO = {
    "server": """redis_version redis_git_sha1 redis_git_dirty redis_build_id redis_mode os arch_bits multiplexing_api
        gcc_version process_id process_supervised run_id tcp_port server_time_usec uptime_in_seconds uptime_in_days hz
        configured_hz executable config_file io_threads_active""",
    "clients": """connected_clients cluster_connections maxclients client_recent_max_input_buffer
        client_recent_max_output_buffer blocked_clients""",
    "memory": """used_memory used_memory_human used_memory_rss used_memory_rss_human used_memory_peak
        used_memory_peak_human used_memory_peak_perc used_memory_overhead used_memory_startup used_memory_dataset
        used_memory_dataset_perc total_system_memory total_system_memory_human maxmemory maxmemory_human
        maxmemory_policy mem_fragmentation_ratio mem_clients_normal mem_clients_slaves mem_allocator lazyfree_pending_objects""",
    "persistence": """loading rdb_changes_since_last_save rdb_bgsave_in_progress rdb_last_save_time
        rdb_last_bgsave_status rdb_last_bgsave_time_sec rdb_current_bgsave_time_sec aof_enabled""",
    "stats": """total_connections_received total_commands_processed instantaneous_ops_per_sec total_net_input_bytes
        total_net_output_bytes instantaneous_input_kbps instantaneous_output_kbps rejected_connections sync_full
        sync_partial_ok sync_partial_err expired_keys evicted_keys keyspace_hits keyspace_misses latest_fork_usec
        migrate_cached_sockets total_error_replies""",
    "replication": """role connected_slaves master_failover_state master_replid master_replid2 master_repl_offset
        second_repl_offset repl_backlog_active repl_backlog_size repl_backlog_first_byte_offset repl_backlog_histlen""",
    "cpu": "used_cpu_sys used_cpu_user used_cpu_sys_children used_cpu_user_children",
    "cluster": "cluster_enabled",
}


@pytest.mark.parametrize("section", INFO)
def test_info_section(pair, section):
    ours, theirs = (server.client().call("INFO", section).decode() for server in (pair.ours, pair.real))
    assert ours.splitlines()[0] == theirs.splitlines()[0], "the section's title"
    fields = {line.split(":")[0] for line in ours.splitlines() if ":" in line}
    real = {line.split(":")[0] for line in theirs.splitlines() if ":" in line}
    wanted = set(INFO[section].split())
    assert wanted <= real, f"not Redis's: {wanted - real}"
    assert wanted <= fields, f"missing: {sorted(wanted - fields)}"
    for line in ours.splitlines():
        assert line == "" or line.startswith("# ") or re.fullmatch(r"[A-Za-z0-9_|-]+:.*", line), line


def test_info_forms(pair):
    def titles(*sections):
        return [line for line in pair.ours.client().call("INFO", *sections).decode().splitlines() if line[:1] == "#"]
    default = titles()
    assert titles("default") == default
    assert "# Commandstats" not in default
    assert set(default) < set(titles("everything")) or set(default) < set(titles("all"))
    assert "# Commandstats" in titles("commandstats") and "# Latencystats" in titles("latencystats")
    assert titles("server", "clients") == ["# Server", "# Clients"]
    assert titles("SERVER") == ["# Server"]
    assert default[0] == "# Server" and default[-1] == "# Keyspace"


def test_info_says_who_it_is(pair, lenient):
    info = pair.ours.info()
    assert info["tcp_port"] == str(pair.ours.port)
    assert info["process_id"] == str(pair.ours.pid)
    assert re.fullmatch("[0-9a-f]{40}", info["run_id"])
    if not lenient:
        assert info["redis_version"] == "7.2.4"
        assert info["server_name"] == "shoal"
        assert re.fullmatch(r"\d+\.\d+\.\d+", info["shoal_version"])


def test_commandstats(pair):
    for server in (pair.ours, pair.real):
        with server.client() as client:
            client.call("CONFIG", "RESETSTAT")
            client.call("SET", "k", "v")
            client.call("GET", "k")
            client.call("GET", "k")
            client.reply("GET")
            client.reply("INCR", "k")
            client.call("CONFIG", "GET", "maxmemory")
    results = []
    for server in (pair.ours, pair.real):
        info = server.client().info("commandstats")
        found = {}
        for name in ("cmdstat_set", "cmdstat_get", "cmdstat_incr", "cmdstat_config|get"):
            fields = dict(part.split("=") for part in info[name].split(","))
            assert float(fields.pop("usec_per_call")) >= 0 and int(fields.pop("usec")) >= 0
            found[name] = fields
        results.append(found)
    assert results[0] == results[1]


def client_fields(line):
    return [word.split("=", 1)[0] for word in line.split(" ")]


def test_client_list_and_info(pair, lenient):
    ours, theirs = pair.ours.client(), pair.real.client()
    for client in (ours, theirs):
        client.call("CLIENT", "SETNAME", "tester")
    mine = ours.call("CLIENT", "INFO").decode().strip("\n")
    other = theirs.call("CLIENT", "INFO").decode().strip("\n")
    added = [] if lenient else ["lib-name", "lib-ver"]
    assert client_fields(mine) == client_fields(other) + added
    values = dict(word.split("=", 1) for word in mine.split(" "))
    expected = dict(word.split("=", 1) for word in other.split(" "))
    for field in ("name", "db", "sub", "psub", "multi", "cmd", "user", "redir", "resp", "flags", "events"):
        assert values[field] == expected[field], field
    listed = ours.call("CLIENT", "LIST").decode()
    assert listed.endswith("\n")
    identity = ours.call("CLIENT", "ID")
    line = next(line for line in listed.splitlines() if line.startswith(f"id={identity} "))
    assert client_fields(line) == client_fields(mine)
    assert ours.call("CLIENT", "LIST", "ID", identity, 999999).decode().startswith(f"id={identity} ")
    assert "name=tester" in ours.call("CLIENT", "LIST", "TYPE", "normal").decode()


def test_memory_stats(pair):
    def fields(server):
        reply = server.client(protocol=3).call("MEMORY", "STATS")
        assert isinstance(reply, Map)
        return {bytes(key) for key, _ in reply}
    wanted = {b"peak.allocated", b"total.allocated", b"startup.allocated", b"clients.normal", b"overhead.total",
              b"keys.count", b"keys.bytes-per-key", b"dataset.bytes", b"dataset.percentage", b"peak.percentage",
              b"fragmentation"}
    assert wanted <= fields(pair.real)
    assert wanted <= fields(pair.ours)


def test_hello(pair, lenient):
    mine, other = (server.client().call("HELLO", "3") for server in (pair.ours, pair.real))
    assert [key for key, _ in mine] == [key for key, _ in other]
    for field in (b"server", b"proto", b"mode", b"role", b"modules"):
        assert mine[field] == other[field], field
    assert mine[b"version"] == (other[b"version"] if lenient else b"7.2.4")


def test_scan_finds_every_key_once_or_more(pair):
    for server in (pair.ours, pair.real):
        with server.client() as client:
            client.call("FLUSHALL")
            client.pipeline(["SET", f"key:{i}", i] for i in range(5000))
            for options in ([], ["COUNT", 1], ["COUNT", 100], ["COUNT", 100000], ["MATCH", "key:1*", "COUNT", 50],
                            ["TYPE", "string"]):
                cursor, found, rounds = b"0", [], 0
                while True:
                    cursor, keys = client.call("SCAN", cursor, *options)
                    found += keys
                    rounds += 1
                    if cursor == b"0":
                        break
                    assert rounds < 20000
                wanted = {f"key:{i}".encode() for i in range(5000)}
                if "MATCH" in options:
                    wanted = {key for key in wanted if key.startswith(b"key:1")}
                assert set(found) == wanted
                assert len(found) <= len(wanted) * 1.2
            client.call("FLUSHALL")


def test_scan_while_keys_come_and_go(pair):
    """Keys that are there from the start to the end of a scan are found, however the table grows and shrinks."""
    with pair.ours.client() as client:
        client.call("FLUSHALL")
        client.pipeline(["SET", f"stay:{i}", i] for i in range(1000))
        cursor, found, step = b"0", set(), 0
        while True:
            cursor, keys = client.call("SCAN", cursor, "COUNT", 20)
            found |= set(keys)
            step += 1
            if step < 30:
                client.pipeline(["SET", f"come:{step}:{i}", i] for i in range(300))
            elif step < 60:
                client.pipeline(["DEL", f"come:{step - 30}:{i}"] for i in range(300))
            if cursor == b"0":
                break
        assert found >= {f"stay:{i}".encode() for i in range(1000)}
        client.call("FLUSHALL")


def test_randomkey_reaches_every_key(pair):
    with pair.ours.client() as client:
        client.call("FLUSHALL")
        client.call("MSET", *[word for i in range(10) for word in (f"r{i}", i)])
        seen = set(client.pipeline([["RANDOMKEY"]] * 1000))
        assert seen == {f"r{i}".encode() for i in range(10)}


def test_debug_object(pair):
    lines = []
    for server in (pair.ours, pair.real):
        with server.client() as client:
            client.call("SET", "k", "value")
            lines.append(client.call("DEBUG", "OBJECT", "k").decode())
    pattern = r"Value at:\S+ refcount:1 encoding:embstr serializedlength:6 lru:\d+ lru_seconds_idle:\d+"
    assert re.fullmatch(pattern, lines[1]), lines[1]
    assert re.fullmatch(pattern, lines[0]), lines[0]


def test_client_list_tells_of_transactions(pair):
    """flags, db, multi and cmd of another connection, after each of its commands: those that were queued or refused, too."""
    told = []
    for server in (pair.ours, pair.real):
        with server.client() as watcher, server.client() as client:
            number, lines = int(client.call("CLIENT", "ID")), []
            watcher.call("FLUSHALL")

            def look():
                line = re.search(rf"id={number} .*", watcher.call("CLIENT", "LIST").decode()).group(0)
                lines.append(re.findall(r" (flags|db|multi|cmd)=(\S+)", line))

            def do(*command):
                client.reply(*command)
                look()
            for command in (["WATCH", "k", "l"], ["MULTI"], ["GET", "k"], ["MULTI"], ["nosuch"], ["GET"], ["EXEC"]):
                do(*command)
            do("WATCH", "k", "l")
            watcher.call("SET", "l", "changed")
            look()
            for command in (["MULTI"], ["GET", "k"], ["EXEC"], ["CONFIG", "nosuch"], ["CONFIG", "GET"], ["SELECT", 5]):
                do(*command)
            told.append(lines)
    assert told[0] == told[1]
