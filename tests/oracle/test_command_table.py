"""What COMMAND says of each command that both servers have."""
import pytest

from support.resp import Error

# What the issue lists; a container's subcommands are named with a bar.
COMMANDS = """
append decr decrby get getdel getex getrange getset incr incrby incrbyfloat lcs mget mset msetnx psetex set setex
setnx setrange strlen substr
del unlink exists type expire expireat expiretime pexpire pexpireat pexpiretime persist ttl pttl rename renamenx copy
move keys scan randomkey touch object|encoding object|freq object|idletime object|refcount object|help dump restore
restore-asking migrate wait
auth client|id client|info client|list client|kill client|setname client|getname client|no-evict client|pause
client|unpause client|reply client|unblock client|help client|tracking client|trackinginfo client|caching
client|getredir echo hello ping quit reset select
multi exec discard watch unwatch
command command|count command|info command|docs command|getkeys command|getkeysandflags command|list command|help
config|get config|set config|resetstat config|rewrite config|help
info dbsize flushall flushdb swapdb time shutdown save bgsave lastsave slowlog|get slowlog|len slowlog|reset
slowlog|help latency|latest latency|history latency|reset latency|doctor latency|graph latency|histogram latency|help
memory|usage memory|doctor memory|stats memory|purge memory|malloc-stats memory|help monitor replicaof slaveof role
psync sync replconf debug
readonly readwrite asking cluster|info cluster|nodes cluster|slots cluster|shards cluster|myid cluster|keyslot
cluster|countkeysinslot cluster|getkeysinslot cluster|meet cluster|addslots cluster|addslotsrange cluster|delslots
cluster|delslotsrange cluster|setslot cluster|replicate cluster|set-config-epoch cluster|forget cluster|reset
""".split()


# Flags that 7.2 has and 7.0.15 lacks: the layout may be asked for while the data is loaded.
FLAGS_OF_72 = {"cluster|slots": [b"loading"], "cluster|shards": [b"loading"], "debug": [b"protected"]}

# Arguments that are ours: what a command can do here and not in Redis.
ARGUMENTS_OF_OURS = {"shutdown": [b"failover"]}


def entry(client, name):
    """COMMAND INFO of a command or subcommand."""
    (found,) = client.call("COMMAND", "INFO", name)
    return found


def names_of_list(values):
    return sorted(bytes(value) for value in values)


def key_specs(entry):
    """Key specifications without their remarks, which are prose."""
    result = []
    for specification in entry[8]:
        fields = {bytes(key): value for key, value in specification}
        fields.pop(b"notes", None)
        fields[b"flags"] = names_of_list(fields[b"flags"])
        result.append(sorted(fields.items()))
    return result


@pytest.fixture(scope="module")
def both(pair):
    return pair.ours.client(protocol=3), pair.real.client(protocol=3)


@pytest.mark.parametrize("name", COMMANDS)
def test_command_info(both, name):
    ours, theirs = (entry(client, name) for client in both)
    assert ours is not None, f"{name} is not there"
    assert theirs is not None, f"{name} is not Redis's; the list above is wrong"
    assert ours[0] == theirs[0]
    assert ours[1] == theirs[1], "arity"
    assert names_of_list(ours[2]) in (names_of_list(theirs[2]), names_of_list(theirs[2] + FLAGS_OF_72.get(name, []))), "flags"
    assert ours[3:6] == theirs[3:6], "first key, last key, step"
    assert names_of_list(ours[6]) == names_of_list(theirs[6]), "ACL categories"
    assert key_specs(ours) == key_specs(theirs), "key specifications"


def arguments_of(docs):
    """Names and types of the arguments, as a tree; the texts for people are left out."""
    result = []
    for argument in docs:
        fields = {bytes(key): value for key, value in argument}
        kept = [fields[b"name"], fields[b"type"], fields.get(b"token"),
                names_of_list(fields.get(b"flags", []))]
        kept.append(arguments_of(fields[b"arguments"]) if b"arguments" in fields else [])
        result.append(kept)
    return result


def docs_of(client, name):
    (pair,) = client.call("COMMAND", "DOCS", name)
    assert pair[0] == name.encode()
    return {bytes(key): value for key, value in pair[1]}


@pytest.mark.parametrize("name", COMMANDS)
def test_command_docs(both, name):
    ours, theirs = (docs_of(client, name) for client in both)
    for field in (b"since", b"group"):
        assert ours[field] == theirs[field], field
    assert ours[b"summary"], "a summary"
    if b"arguments" in theirs:
        added = ARGUMENTS_OF_OURS.get(name, [])
        shared = [argument for argument in arguments_of(ours[b"arguments"]) if argument[0] not in added]
        assert len(shared) == len(ours[b"arguments"]) - len(added), "what is added is there"
        assert shared == arguments_of(theirs[b"arguments"])


def test_count_and_list_agree(both):
    ours = both[0]
    listed = ours.call("COMMAND", "LIST")
    assert len(listed) == len(set(listed))
    assert ours.call("COMMAND", "COUNT") == len(ours.call("COMMAND")) == sum(b"|" not in name for name in listed)
    theirs = set(both[1].call("COMMAND", "LIST"))
    assert set(listed) <= theirs, "commands that Redis has not"


def test_what_is_not_there_is_an_unknown_command(both):
    """Every command that Redis has and we have not is unknown, not half there."""
    ours, theirs = both
    missing = set(theirs.call("COMMAND", "LIST")) - set(ours.call("COMMAND", "LIST"))
    for name in sorted(missing):
        if b"|" not in name:
            reply = ours.reply(name)
            assert isinstance(reply, Error) and reply.startswith("ERR unknown command"), (name, reply)
