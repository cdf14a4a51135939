#!/bin/sh
# The demonstration behind `./dev demo`: six nodes on this machine, a cluster with a replica for each primary, a
# live reshard under writes, and a failover. Needs nothing but sh, shoal-server and shoal-cli.
#
# usage: demo.sh [--stop-at-end]   run it; the cluster stays up unless told otherwise
#        demo.sh stop              stop the nodes of the last run
#
# Everything lives in build/demo: one folder for each node, and `pids` with the nodes that we started. Only those are
# ever stopped, and only while they still run in their folder.
set -eu
cd -- "$(dirname -- "$0")/.."
root=$PWD

bin=${SHOAL_BUILD:-$root/build}/bin
server=$bin/shoal-server
cli=$bin/shoal-cli
demo=${SHOAL_DEMO_DIRECTORY:-$root/build/demo}

first_port=${SHOAL_DEMO_PORT:-7000}
last_port_tried=9999
nodes_wanted=6
node_timeout_ms=1000
start_seconds=30    # for six nodes to answer
create_seconds=90   # for shoal-cli to build the cluster
agree_seconds=60    # for all nodes to say cluster_state:ok
reshard_seconds=300 # for 1000 slots to move
failover_seconds=60 # for the replica to take over
rejoin_seconds=60   # for the dead node to come back as a replica
keys_written=600
slots_moved=1000

if [ -t 1 ]; then
    bold=$(printf '\033[1m') green=$(printf '\033[32m') red=$(printf '\033[31m') plain=$(printf '\033[0m')
else
    bold='' green='' red='' plain=''
fi

step_number=0
step() {
    step_number=$((step_number + 1))
    printf '\n%s%d. %s%s\n' "$bold" "$step_number" "$*" "$plain"
}
say() { printf '   %s\n' "$*"; }
good() { printf '   %s%s%s\n' "$green" "$*" "$plain"; }

# Says what went wrong, shows the end of every node's log, and leaves the nodes for whoever looks.
fail() {
    [ -z "${writer_pid:-}" ] || : >"$demo/writer.stop"
    printf '\n%sdemo: %s%s\n' "$red" "$*" "$plain" >&2
    for log in "$demo"/node-*/log; do
        [ -s "$log" ] || continue
        printf '\n--- the end of %s\n' "$log" >&2
        tail -n 8 "$log" >&2
    done
    printf '\nThe files are in %s; stop what still runs with ./dev demo stop\n' "$demo" >&2
    exit 1
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }

# wait_for <seconds> <what we wait for> <command...>: asks ten times a second until the command succeeds.
wait_for() {
    deadline=$(($(now_ms) + $1 * 1000))
    awaited=$2
    shift 2
    until "$@"; do
        [ "$(now_ms)" -lt "$deadline" ] || fail "waited in vain for $awaited"
        sleep 0.1
    done
}

# ask <port> <command...>: one command to one node, never waiting for long.
ask() {
    port=$1
    shift
    timeout 10 "$cli" -h 127.0.0.1 -p "$port" "$@" </dev/null 2>/dev/null | tr -d '\r'
}

# follow <port> <command...>: as ask, following redirections.
follow() {
    port=$1
    shift
    timeout 10 "$cli" -h 127.0.0.1 -c -p "$port" "$@" </dev/null 2>/dev/null | tr -d '\r'
}

# ---- starting and stopping -------------------------------------------------------------------------------

# Is this pid still the node that runs in this folder? (Pids are given out again.)
is_our_node() {
    case $(readlink "/proc/$1/cwd" 2>/dev/null || :) in
    "$2" | "$2 (deleted)") return 0 ;;
    *) return 1 ;;
    esac
}

signal_nodes() {
    while read -r pid folder; do
        if is_our_node "$pid" "$folder"; then kill "-$1" "$pid" 2>/dev/null || :; fi
    done <"$demo/pids"
}

count_nodes() {
    running=0
    while read -r pid folder; do
        if is_our_node "$pid" "$folder"; then running=$((running + 1)); fi
    done <"$demo/pids"
    echo "$running"
}

stop_nodes() {
    [ -f "$demo/pids" ] || return 0
    running=$(count_nodes)
    signal_nodes TERM
    tries=0
    while [ "$(count_nodes)" -gt 0 ]; do
        tries=$((tries + 1))
        [ "$tries" -ne 100 ] || signal_nodes KILL
        [ "$tries" -lt 120 ] || break
        sleep 0.1
    done
    rm -f "$demo/pids"
    [ "$running" = 0 ] || echo "stopped $running nodes of the demo"
}

# Does somebody listen on this TCP port, on any address?
port_taken() {
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port="$(printf '%04X' "$1")" \
        '$4 == "0A" { n = split($2, part, ":"); if (part[n] == port) taken = 1 } END { exit !taken }'
}

# Six ports whose bus ports (10000 above) are free too.
choose_ports() {
    ports=
    count=0
    candidate=$first_port
    while [ "$count" -lt "$nodes_wanted" ]; do
        [ "$candidate" -le "$last_port_tried" ] || fail "no $nodes_wanted free ports from $first_port on"
        if ! port_taken "$candidate" && ! port_taken $((candidate + 10000)); then
            ports="$ports $candidate"
            count=$((count + 1))
        fi
        candidate=$((candidate + 1))
    done
}

start_node() {
    folder=$demo/node-$1
    mkdir -p "$folder"
    # In a session of its own: a Ctrl-C in the terminal is for the demo, not for the nodes. The pid is the server's:
    # the shell, not being a group leader here, becomes setsid, which becomes the server.
    (
        cd "$folder"
        exec setsid "$server" --port "$1" --bind 127.0.0.1 --dir "$folder" --save "" --appendonly no \
            --cluster-enabled yes --cluster-config-file nodes.conf \
            --cluster-node-timeout "$node_timeout_ms" </dev/null >>"$folder/log" 2>&1
    ) &
    echo "$! $folder" >>"$demo/pids"
}

pid_of() { awk -v folder="$demo/node-$1" '$2 == folder { pid = $1 } END { print pid }' "$demo/pids"; }

answers() { [ "$(ask "$1" PING)" = PONG ]; }

start_nodes() {
    rm -rf "$demo"
    mkdir -p "$demo"
    : >"$demo/pids"
    for port in $ports; do start_node "$port"; done
    for port in $ports; do
        wait_for "$start_seconds" "the node on port $port to answer" answers "$port"
        say "node 127.0.0.1:$port is up, pid $(pid_of "$port")"
    done
}

# ---- the cluster -----------------------------------------------------------------------------------------

info_field() { ask "$1" CLUSTER INFO | sed -n "s/^$2://p"; }

all_agree() {
    for port in $ports; do
        [ "$(info_field "$port" cluster_state)" = ok ] || return 1
        [ "$(info_field "$port" cluster_known_nodes)" = "$nodes_wanted" ] || return 1
    done
}

replicas_linked() {
    for port in $ports; do
        role=$(ask "$port" ROLE | head -n 1)
        [ "$role" != slave ] || ask "$port" INFO replication | grep -q '^master_link_status:up' || return 1
    done
}

create_cluster() {
    addresses=
    for port in $ports; do addresses="$addresses 127.0.0.1:$port"; done
    # shellcheck disable=SC2086
    timeout "$create_seconds" "$cli" --cluster create $addresses --cluster-replicas 1 --cluster-yes \
        </dev/null >"$demo/create.log" 2>&1 || {
        tail -n 20 "$demo/create.log" >&2
        fail "shoal-cli --cluster create failed"
    }
    wait_for "$agree_seconds" "all nodes to agree" all_agree
    wait_for "$agree_seconds" "the replicas to follow their primaries" replicas_linked
}

# Lines of CLUSTER NODES: id address flags primary-id ... slots.
port_of_line='{ split($2, a, "[:@]"); print a[2] }'

show_cluster() {
    ask "$1" CLUSTER NODES | sort -k2 | while read -r _ address flags primary _ _ _ _ slots; do
        address=${address%@*}
        case $flags in
        *fail*) say "$address  is down" ;;
        *master*) say "$address  primary  slots ${slots:-none}" ;;
        *) say "$address  replica of $(ask "$1" CLUSTER NODES | awk -v id="$primary" '$1 == id { sub("@.*", "", $2); print $2 }')" ;;
        esac
    done
}

id_of() { ask "$1" CLUSTER MYID; }

primaries() { ask "$1" CLUSTER NODES | awk '$3 ~ /master/ && $3 !~ /fail/ && NF > 8 '"$port_of_line" | sort -n; }

# ---- writing and reading ---------------------------------------------------------------------------------

write_and_read() {
    n=1
    while [ "$n" -le "$keys_written" ]; do
        echo "SET demo:key:$n value-$n"
        n=$((n + 1))
    done | timeout 120 "$cli" -c -h 127.0.0.1 -p "$1" >"$demo/write.log" 2>&1 || :
    written=$(grep -c '^OK' "$demo/write.log" || :)
    [ "$written" = "$keys_written" ] || fail "wrote $keys_written keys, but $written were acknowledged"
    say "wrote $keys_written keys through port $1"

    n=1
    while [ "$n" -le "$keys_written" ]; do
        echo "GET demo:key:$n"
        n=$((n + 1))
    done | timeout 120 "$cli" -c -h 127.0.0.1 -p "$2" >"$demo/read.log" 2>&1 || :
    read_back=$(grep -o 'value-[0-9]*' "$demo/read.log" | sort -u | wc -l)
    [ "$read_back" = "$keys_written" ] || fail "read $read_back of $keys_written keys back"
    say "read all of them back through port $2"
    for port in $(primaries "$1"); do
        say "127.0.0.1:$port holds $(ask "$port" DBSIZE | tr -dc 0-9) of them"
    done
}

# Writes one key after the other until told to stop; notes every acknowledged one, and every reply that was not OK.
writer() {
    n=0
    while [ ! -e "$demo/writer.stop" ]; do
        n=$((n + 1))
        reply=$(follow "$1" SET "demo:live:$n" "$n" | grep -v '^-> ' || :)
        if [ "$reply" = OK ]; then
            echo "$n" >>"$demo/writer.acknowledged"
        else
            echo "demo:live:$n: ${reply:-no reply}" >>"$demo/writer.refused"
        fi
    done
}

lines_in() { if [ -f "$1" ]; then wc -l <"$1"; else echo 0; fi; }

writer_runs() { [ "$(lines_in "$demo/writer.acknowledged")" -ge 20 ]; }

stop_writer() {
    : >"$demo/writer.stop"
    wait "$writer_pid" || :
}

reshard_under_writes() {
    source_port=$1
    target_port=$2
    rm -f "$demo"/writer.*
    writer "$source_port" &
    writer_pid=$!
    wait_for 10 "the writer to get going" writer_runs
    began=$(now_ms)
    status=0
    timeout "$reshard_seconds" "$cli" --cluster reshard "127.0.0.1:$source_port" \
        --cluster-from "$(id_of "$source_port")" --cluster-to "$(id_of "$target_port")" \
        --cluster-slots "$slots_moved" --cluster-yes </dev/null >"$demo/reshard.log" 2>&1 || status=$?
    took=$(($(now_ms) - began))
    stop_writer
    [ "$status" = 0 ] || {
        tail -n 20 "$demo/reshard.log" >&2
        fail "shoal-cli --cluster reshard failed"
    }
    acknowledged=$(lines_in "$demo/writer.acknowledged")
    refused=$(lines_in "$demo/writer.refused")
    good "$slots_moved slots moved in $(seconds "$took") s; the writer had $acknowledged writes acknowledged, $refused refused"
    [ "$refused" = 0 ] || fail "a write was refused: $(head -n 1 "$demo/writer.refused")"
    check_writer "$target_port"
}

# Every write that was acknowledged must be there.
check_writer() {
    sed 's/^/GET demo:live:/' "$demo/writer.acknowledged" |
        timeout 300 "$cli" -c -h 127.0.0.1 -p "$1" 2>/dev/null | tr -d '\r"' | grep '^[0-9][0-9]*$' >"$demo/writer.read" || :
    cmp -s "$demo/writer.acknowledged" "$demo/writer.read" ||
        fail "acknowledged writes are missing: compare $demo/writer.acknowledged with $demo/writer.read"
    good "all of them read back: nothing was lost on the way"
}

# Milliseconds as seconds, two digits after the point.
seconds() { awk -v ms="$1" 'BEGIN { printf "%.2f", ms / 1000 }'; }

# ---- failover --------------------------------------------------------------------------------------------

# A key that this node itself owns: the first that it takes without a redirection.
key_of() {
    n=1
    while [ "$n" -le 1000 ]; do
        if [ "$(ask "$1" SET "demo:failover:$n" before)" = OK ]; then
            echo "demo:failover:$n"
            return 0
        fi
        n=$((n + 1))
    done
    return 1
}

replica_of() {
    primary_id=$(id_of "$1")
    ask "$1" CLUSTER NODES | awk -v id="$primary_id" '$4 == id '"$port_of_line" | head -n 1
}

takes_write() { [ "$(ask "$1" SET "$2" after)" = OK ]; }

replica_caught_up() { [ "$(ask "$1" WAIT 1 1000 | tr -dc 0-9)" -ge 1 ]; }

failover() {
    victim=$1
    replica=$(replica_of "$victim")
    [ -n "$replica" ] || fail "port $victim has no replica"
    key=$(key_of "$victim") || fail "found no key for port $victim"
    wait_for 10 "the replica to have the last write" replica_caught_up "$victim"
    say "127.0.0.1:$victim (pid $(pid_of "$victim")) owns the key $key; 127.0.0.1:$replica is its replica"
    say "kill -9 $(pid_of "$victim")"
    kill -9 "$(pid_of "$victim")"
    began=$(now_ms)
    wait_for "$failover_seconds" "port $replica to take over" takes_write "$replica" "$key"
    took=$(($(now_ms) - began))
    good "127.0.0.1:$replica is primary now: it took a write for the dead node's slots after $(seconds "$took") s"
    say "(the node timeout of this cluster is $node_timeout_ms ms)"
    # The nodes hear of it one after the other; clients are served by all of them again once they have.
    for port in $ports; do
        [ "$port" = "$victim" ] || wait_for "$agree_seconds" "port $port to say cluster_state:ok" state_ok "$port"
    done
}

state_ok() { [ "$(info_field "$1" cluster_state)" = ok ]; }

rejoined() {
    [ "$(ask "$1" ROLE | head -n 1)" = slave ] && ask "$1" INFO replication | grep -q '^master_link_status:up'
}

# ---- the show --------------------------------------------------------------------------------------------

run() {
    for program in "$server" "$cli"; do
        [ -x "$program" ] || fail "$program is missing; run ./dev build"
    done
    stop_nodes
    trap 'interrupted' INT TERM HUP
    choose_ports
    # shellcheck disable=SC2086
    set -- $ports

    step "Start six nodes"
    start_nodes

    step "Make them a cluster, one replica for each primary"
    say "shoal-cli --cluster create 127.0.0.1:$1 ... --cluster-replicas 1"
    create_cluster
    show_cluster "$1"

    step "Write and read across it"
    write_and_read "$1" "$2"

    step "Move $slots_moved slots from 127.0.0.1:$1 to 127.0.0.1:$2 while a writer runs"
    say "shoal-cli --cluster reshard 127.0.0.1:$1 --cluster-slots $slots_moved ..."
    reshard_under_writes "$1" "$2"

    step "Kill a primary; its replica takes over"
    failover "$3"

    step "Start the dead node again; it comes back as a replica"
    start_node "$3"
    wait_for "$rejoin_seconds" "port $3 to come back as a replica" rejoined "$3"
    wait_for "$agree_seconds" "all nodes to agree" all_agree
    show_cluster "$1"

    ending "$1"
}

writer_pid=
interrupted() {
    [ -z "$writer_pid" ] || : >"$demo/writer.stop"
    printf '\nInterrupted; stop the nodes with ./dev demo stop\n' >&2
    exit 130
}

ending() {
    shown=$cli
    case $cli in "$root"/*) shown=${cli#"$root"/} ;; esac
    if [ "$stop_at_end" = yes ]; then
        step "Stop"
        stop_nodes
        return
    fi
    printf '\n%sThe cluster is up.%s\n\n' "$bold" "$plain"
    printf '   connect:  %s -c -p %s\n' "$shown" "$1"
    printf '   look:     %s --cluster check 127.0.0.1:%s\n' "$shown" "$1"
    printf '   stop:     ./dev demo stop\n\n'
}

stop_at_end=no
case ${1:-} in
'' | --keep) run ;;
--stop-at-end)
    stop_at_end=yes
    run
    ;;
stop)
    if [ -f "$demo/pids" ]; then stop_nodes; else echo "no nodes of the demo run"; fi
    ;;
*)
    echo "usage: ./dev demo [--stop-at-end] | ./dev demo stop" >&2
    exit 2
    ;;
esac
