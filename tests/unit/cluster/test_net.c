// Six cores find together, remember, forget, and refuse what makes no sense.
#include "net.h"

static void six_nodes_find_together(void **state) {
    for (unsigned i = 0; i < net.count; i++) {
        assert_int_equal(status(i).known_nodes, 6);
        assert_int_equal(status(i).size, 3);
        assert_int_equal(status(i).slots_ok, 16384);
        assert_true(status(i).ok);
        assert_int_equal(owner_port(i, 0), PORT);
        assert_int_equal(owner_port(i, 16383), PORT + 2);
        assert_int_equal(net.nodes[i].replica, i >= 3);
    }
    assert_int_equal(net.nodes[4].replicates, PORT + 1);
    assert_true(me(0).config_epoch != me(1).config_epoch && me(1).config_epoch != me(2).config_epoch);
    assert_string_equal(me(4).shard_id, me(1).shard_id);
}

static void who_has_just_joined_is_known_after_a_crash(void **state) {
    start(net.count++);
    // It will hear of no greater epoch, which would be saved at once anyway.
    ordered(6, "SET-CONFIG-EPOCH 100");
    run(500);
    ordered(0, "MEET 127.0.0.1 7006");
    struct cluster_view_node found;
    struct bytes first = bytes_from_string(me(0).id), joined = bytes_from_string(me(6).id);
    for (int i = 0; i < 1000 && !cluster_view_find(net.nodes[6].core, first, &found); i++)
        run(1);
    assert_true(cluster_view_find(net.nodes[0].core, joined, &found));
    kill_node(6);
    start(6);
    assert_true(cluster_view_find(net.nodes[6].core, first, &found));
}

static void a_node_is_forgotten_by_all(void **state) {
    char text[80];
    snprintf(text, sizeof(text), "FORGET %s", me(5).id);
    kill_node(5);
    run(10);
    ordered(0, text);
    run(3000);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(status(i).known_nodes, 5);
}

// The words are redis-server's.
static void orders_are_refused_in_its_words(void **state) {
    char text[80];
    refused(0, "MEET foo 1", 0, "ERR Invalid node address specified: foo:1");
    refused(0, "MEET 127.0.0.1 60000", 0, "ERR Invalid node address specified: 127.0.0.1:60000");
    refused(0, "MEET 127.0.0.1 abc", 0, "ERR Invalid TCP base port specified: abc");
    refused(0, "MEET 127.0.0.1", 0, "ERR wrong number of arguments for 'cluster|meet' command");
    refused(0, "ADDSLOTS 9000", 0, "ERR Slot 9000 is already busy");
    refused(0, "ADDSLOTS 16384", 0, "ERR Invalid or out of range slot");
    refused(0, "DELSLOTSRANGE 5 1", 0, "ERR start slot number 5 is greater than end slot number 1");
    refused(0, "DELSLOTS 1 1", 0, "ERR Slot 1 specified multiple times");
    refused(0, "FLUSHSLOTS", 1, "ERR DB must be empty to perform CLUSTER FLUSHSLOTS.");
    refused(3, "SETSLOT 5 STABLE", 0, "ERR Please use SETSLOT only with masters.");
    refused(0, "SETSLOT 1 foo", 0,
            "ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP");
    refused(0, "FAILOVER", 0, "ERR You should send CLUSTER FAILOVER to a replica");
    refused(0, "RESET", 1, "ERR CLUSTER RESET can't be called with master nodes containing keys");
    refused(0, "RESET HARD x", 0,
            "ERR unknown subcommand or wrong number of arguments for 'RESET'. Try CLUSTER HELP.");
    refused(0, "SET-CONFIG-EPOCH 7", 0,
            "ERR The user can assign a config epoch only when the node does not know any other node.");
    snprintf(text, sizeof(text), "FORGET %s", me(0).id);
    refused(3, text, 0, "ERR Can't forget my master!");
    refused(0, text, 0, "ERR I tried hard but I can't forget myself...");
    snprintf(text, sizeof(text), "REPLICATE %s", me(3).id);
    refused(0, text, 0, "ERR I can only replicate a master, not a replica.");
    snprintf(text, sizeof(text), "REPLICATE %s", me(1).id);
    refused(0, text, 0, "ERR To set a master the node must be empty and without assigned slots.");
    order(3, "RESET HARD", 0);
    assert_true(net.nodes[3].outcome_ok);
    assert_false(net.nodes[3].replica);
    assert_int_equal(status(3).known_nodes, 1);
    assert_int_equal(status(3).current_epoch, 0);
}

static void a_restart_remembers(void **state) {
    struct cluster_view_node before = me(2);
    kill_node(2);
    start(2);
    struct cluster_view_node after = me(2);
    assert_string_equal(before.id, after.id);
    assert_int_equal(before.config_epoch, after.config_epoch);
    assert_int_equal(before.slots, after.slots);
    assert_int_equal(status(2).known_nodes, 6);
    assert_false(status(2).ok); // not before it has listened for a while
}

// A primary that comes back listens before it serves; but whoever was just elected by the majority has been
// told all.
static void who_is_elected_serves_at_once(void **state) {
    kill_node(4);
    start(4);
    run(500);
    kill_node(1);
    assert_true(time_failover() < 1000);
}

static void foreign_files_are_refused(void **state) {
    static const char *const bad[] = {
        "hello world\n",
        "0123456789012345678901234567890123456789 :7000@17000 myself,master - 0 0 1 connected 0-9\n",
        "0123456789012345678901234567890123456789 :7000@17000 master - 0 0 1 connected 0-9\nvars "
        "currentEpoch 1 lastVoteEpoch 0\n",
        "0123456789012345678901234567890123456789 :7000@17000 myself,master - 0 0 1 connected 0-9 5\nvars "
        "currentEpoch 1 "
        "lastVoteEpoch 0\n",
        "0123456789012345678901234567890123456789 :7000@17000 myself,master - 0 0 18446744073709551615 "
        "connected 0-9\nvars currentEpoch 1 lastVoteEpoch 0\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buffer error = BUFFER_EMPTY;
        assert_null(cluster_create(&net.config, bytes_from_string(bad[i]), 1, 0, 0, &error));
        assert_true(error.size > 0);
        buffer_free(&error);
    }
}

static void garbage_closes_the_link(void **state) {
    struct cluster_event event = {.kind = CLUSTER_EVENT_PACKET, .now = net.now, .unix_now = net.now};
    event.packet.bytes = BYTES("RCmb\0\0\0\020ABCDEFGH");
    event.packet.link.inbound = 99;
    const struct cluster_actions *actions = cluster_step(net.nodes[0].core, &event);
    for (size_t i = 0; i < actions->count; i++)
        if (actions->items[i].kind == CLUSTER_ACTION_DISCONNECT)
            assert_int_equal(actions->items[i].disconnect.inbound, 99);
    event.packet.bytes = BYTES("GET / HTTP/1.1\r\n\r\n");
    actions = cluster_step(net.nodes[0].core, &event);
    bool closed = false;
    for (size_t i = 0; i < actions->count; i++)
        closed |= actions->items[i].kind == CLUSTER_ACTION_DISCONNECT;
    assert_true(closed);
}

static void a_closed_door_is_knocked_at_less_and_less(void **state) {
    for (unsigned i = 0; i < net.count; i++) {
        struct cluster_config config = net.config;
        config.node_timeout = 15000;
        config.port = (uint16_t)(PORT + i);
        config.bus_port = (uint16_t)(PORT + 10000 + i);
        cluster_set_config(net.nodes[i].core, &config);
    }
    kill_node(5);
    unsigned before = net.connects[0][5];
    run(20000);
    unsigned knocks = net.connects[0][5] - before;
    assert_true(knocks >= 5 && knocks <= 20);
    // Whoever is there again says so, and is not kept waiting.
    start(5);
    run(150);
    assert_true(seen(0, 5).link_up);
}

// n0 promises once more before its first promise is saved: what the first one said is said when that is
// saved.
static void a_slow_disk_does_not_keep_us_from_saying_what_is_saved(void **state) {
    net.nodes[0].disk_is_stuck = true;
    uint64_t before = me(0).config_epoch;
    order(0, "BUMPEPOCH", 0);
    uint64_t bumped = me(0).config_epoch, first = net.nodes[0].held_save;
    order(0, "SAVECONFIG", 0);
    assert_true(bumped > before && net.nodes[0].held_save > first);
    run(600);
    assert_int_equal(seen(1, 0).config_epoch, before);
    save_done(0, first);
    run(600);
    assert_int_equal(seen(1, 0).config_epoch, bumped);
}

static void a_link_that_came_up_in_a_stall_is_greeted_after_it(void **state) {
    stall(1, true);
    kill_node(5);
    run(300);
    start(5);
    run(300);
    stall(1, false);
    run(1500);
    assert_true(seen(1, 5).link_up);
    assert_false(seen(1, 5).flags & (CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL));
    assert_int_equal(seen(1, 5).ping_sent, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        NET_TEST(six_nodes_find_together),
        NET_TEST(who_has_just_joined_is_known_after_a_crash),
        NET_TEST(a_node_is_forgotten_by_all),
        NET_TEST(orders_are_refused_in_its_words),
        NET_TEST(a_restart_remembers),
        NET_TEST(who_is_elected_serves_at_once),
        NET_TEST(foreign_files_are_refused),
        NET_TEST(garbage_closes_the_link),
        NET_TEST(a_closed_door_is_knocked_at_less_and_less),
        NET_TEST(a_slow_disk_does_not_keep_us_from_saying_what_is_saved),
        NET_TEST(a_link_that_came_up_in_a_stall_is_greeted_after_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
