// Who leads a shard: failures, elections, the administrator's failover, and the epochs that settle it.
#include "net.h"

static void a_killed_primary_is_replaced_at_once(void **state) {
    kill_node(1);
    assert_true(time_failover() <= 200);
    assert_int_equal(net.nodes[4].became_primary, 1);
    assert_true(me(4).config_epoch > me(0).config_epoch);
    run(1000);
    for (unsigned i = 0; i < net.count; i++)
        if (net.nodes[i].alive) assert_true(status(i).ok);
    // It comes back with what it saved, hears that its slots have gone, and follows the winner.
    start(1);
    run(3000);
    assert_true(net.nodes[1].replica);
    assert_int_equal(net.nodes[1].replicates, PORT + 4);
    assert_int_equal(owner_port(1, 6000), PORT + 4);
    assert_int_equal(status(0).slots_fail, 0);
}

static void without_crash_detection_within_two_seconds(void **state) {
    for (unsigned i = 0; i < net.count; i++) {
        struct cluster_config config = net.config;
        config.crash_detection = false;
        config.port = (uint16_t)(PORT + i);
        config.bus_port = (uint16_t)(PORT + 10000 + i);
        cluster_set_config(net.nodes[i].core, &config);
    }
    for (unsigned round = 0; round < 4; round++) {
        run(37 * round);
        kill_node(1);
        assert_true(time_failover() <= 1500);
        tear_down(state);
        set_up(state);
    }
}

static void no_vote_before_its_save(void **state) {
    // The disks of two of three voters hang: no majority, whatever they say.
    net.nodes[0].disk_is_stuck = net.nodes[2].disk_is_stuck = true;
    kill_node(1);
    run(1500);
    assert_int_equal(net.nodes[4].became_primary, 0);
    assert_true(net.nodes[0].held_count > 0);
    // One of them comes through.
    net.nodes[0].disk_is_stuck = net.nodes[2].disk_is_stuck = false;
    save_done(0, net.nodes[0].held_save);
    save_done(2, net.nodes[2].held_save);
    run(100);
    assert_int_equal(net.nodes[4].became_primary, 1);
}

static void the_administrator_hands_over(void **state) {
    net.nodes[1].offset = net.nodes[4].offset = 500;
    ordered(4, "FAILOVER");
    net.nodes[4].offset = 400; // not all of the stream yet
    run(300);
    assert_true(net.nodes[1].paused);
    assert_int_equal(net.nodes[4].became_primary, 0);
    net.nodes[4].offset = 500;
    run(300);
    assert_int_equal(net.nodes[4].became_primary, 1);
    assert_true(net.nodes[1].replica);
    assert_false(net.nodes[1].paused);
    assert_int_equal(owner_port(2, 6000), PORT + 4);
    ordered(1, "FAILOVER TAKEOVER");
    run(300);
    assert_int_equal(owner_port(2, 6000), PORT + 1);
    assert_true(net.nodes[4].replica);
}

// What n1 says of its pause comes when that is long over and a second failover has just begun: the offset of
// then is not where n1 stops now.
static void a_pause_of_an_earlier_failover_does_not_count(void **state) {
    net.nodes[1].offset = 500;
    net.nodes[4].offset = 400; // the first comes to nothing
    net.slow[1][4] = SLOW_OWN;
    ordered(4, "FAILOVER");
    run(net.config.manual_failover_timeout * 2);
    assert_false(net.nodes[1].paused);
    net.nodes[1].offset = 900;
    net.nodes[4].offset = 500;
    run(500);
    ordered(4, "FAILOVER");
    let_late_arrive();
    run(300);
    assert_int_equal(net.nodes[4].became_primary, 0);
    net.nodes[4].offset = 900;
    run(300);
    assert_int_equal(net.nodes[4].became_primary, 1);
}

// The order to pause is lost with the link: it is given again over the next one.
static void the_primary_is_asked_again_over_a_new_link(void **state) {
    net.nodes[1].offset = net.nodes[4].offset = 500;
    cut(4, 1, true);
    ordered(4, "FAILOVER");
    cut(4, 1, false);
    run(300);
    assert_false(net.nodes[1].paused);
    fly(1, 4, CLUSTER_EVENT_LINK_DOWN, net.handles[4][1], NULL);
    run(300);
    assert_int_equal(net.nodes[4].became_primary, 1);
}

static void only_the_replica_that_asked_hears_of_the_pause(void **state) {
    ordered(5, "REPLICATE %s", me(1).id);
    run(1000);
    net.nodes[1].offset = net.nodes[5].offset = 500;
    net.nodes[4].offset = 400; // so it takes a while
    ordered(4, "FAILOVER");
    run(1500);
    assert_true(net.nodes[1].paused);
    assert_true(net.paused[1][4] > 0);
    for (unsigned from = 0; from < net.count; from++)
        for (unsigned to = 0; to < net.count; to++)
            if (from != 1 || to != 4) assert_int_equal(net.paused[from][to], 0);
    net.nodes[4].offset = 500;
    run(300);
    assert_int_equal(net.nodes[4].became_primary, 1);
    assert_int_equal(net.nodes[5].became_primary, 0);
}

// Two candidates of two shards ask in one moment, each gets one vote of three, and no more in that epoch.
static void rivals_are_both_elected_soon(void **state) {
    kill_node(1);
    cut(4, 2, true);
    cut(5, 0, true);
    ordered(4, "FAILOVER FORCE");
    ordered(5, "FAILOVER FORCE");
    deliver();
    cut(4, 2, false);
    cut(5, 0, false);
    run(100);
    assert_int_equal(net.nodes[4].became_primary + net.nodes[5].became_primary, 0);
    run(1000);
    assert_int_equal(net.nodes[4].became_primary, 1);
    assert_int_equal(net.nodes[5].became_primary, 1);
}

// n1's shard has lost its only replica to the election: a spare one of n0's comes.
static void a_winner_is_joined_by_a_spare_replica(void **state) {
    net.count = 7;
    start(6);
    ordered(0, "MEET 127.0.0.1 %u", PORT + 6);
    run(3000);
    ordered(6, "REPLICATE %s", me(0).id);
    run(1000);
    kill_node(1);
    time_failover();
    run(8000);
    assert_true(net.nodes[3].replicates == PORT + 4 || net.nodes[6].replicates == PORT + 4);
}

// The shard of n1 votes for n4 with n1's voice, and n4 wins with n2's. Then n5 asks for votes in the same
// epoch: n0 has a vote left, but not n4.
static void a_winner_has_voted_for_itself(void **state) {
    isolate(5, true);
    cut(4, 0, true);
    ordered(4, "FAILOVER FORCE");
    run(50);
    assert_int_equal(net.nodes[4].became_primary, 1);
    assert_int_equal(status(4).last_vote_epoch, me(4).config_epoch);
    for (unsigned i = 0; i < net.count; i++)
        net.cut[5][i] = net.cut[i][5] = i == 1 || i == 2 || i == 3;
    cut(4, 0, false);
    net.cut[0][5] = true; // n5 must not hear of the epoch but by its votes
    ordered(5, "FAILOVER FORCE");
    net.cut[0][5] = false;
    run(50);
    assert_true(net.nodes[5].became_primary == 0 || me(5).config_epoch != me(4).config_epoch);
}

// n3 becomes the fourth primary, with slot 100.
static void make_fourth_primary(void) {
    char text[80];
    ordered(3, "RESET SOFT");
    ordered(0, "MEET 127.0.0.1 7003");
    run(1500);
    ordered(3, "SETSLOT 100 IMPORTING %s", me(0).id);
    snprintf(text, sizeof(text), "SETSLOT 100 NODE %s", me(3).id);
    ordered(3, text);
    ordered(0, text);
    run(500);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(status(i).size, 4);
}

// Two of four voters are no majority, also when one of the four steps down later: the other two may have
// elected somebody else.
static void the_quorum_is_that_of_the_voters_who_were_asked(void **state) {
    make_fourth_primary();
    cut(4, 0, true);
    cut(4, 3, true);
    ordered(4, "FAILOVER FORCE");
    run(100);
    assert_int_equal(net.nodes[4].became_primary, 0);
    cut(4, 3, false);
    ordered(3, "SETSLOT 100 NODE %s", me(0).id);
    assert_true(net.nodes[3].replica);
    run(700);
    assert_int_equal(status(4).size, 3);
    assert_int_equal(net.nodes[4].became_primary, 0);
    cut(4, 0, false);
}

static void a_takeover_has_the_newest_epoch_after_a_restart(void **state) {
    ordered(1, "BUMPEPOCH");
    run(500);
    assert_int_equal(me(1).config_epoch, status(0).current_epoch);
    kill_node(4);
    start(4);
    run(500);
    ordered(4, "FAILOVER TAKEOVER");
    assert_true(me(4).config_epoch > me(1).config_epoch);
    run(500);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(owner_port(i, 6000), PORT + 4);
    assert_true(net.nodes[1].replica);
}

static void the_epoch_of_a_promotion_is_the_elections(void **state) {
    uint64_t before = status(0).current_epoch;
    kill_node(1);
    time_failover();
    run(500);
    assert_int_equal(me(4).config_epoch, before + 1);
    assert_int_equal(status(4).current_epoch, before + 1);
    for (unsigned i = 0; i < net.count; i++) {
        if (!net.nodes[i].alive) continue;
        assert_int_equal(status(i).current_epoch, before + 1);
        assert_int_equal(seen(i, 4).config_epoch, before + 1);
        assert_true(seen(i, 0).config_epoch <= before && seen(i, 2).config_epoch <= before);
    }
}

// While n4 replicates n1, n1's epoch is shown for it. When it stands up by itself its own, smaller one
// counts.
static void whoever_stands_up_speaks_for_its_own_epoch(void **state) {
    ordered(1, "BUMPEPOCH");
    run(500);
    assert_true(seen(0, 4).flags & CLUSTER_NODE_REPLICA);
    uint64_t own = me(4).config_epoch;
    ordered(4, "RESET SOFT");
    ordered(0, "MEET 127.0.0.1 7004");
    run(2000);
    assert_true(seen(0, 4).flags & CLUSTER_NODE_PRIMARY);
    assert_int_equal(seen(0, 4).config_epoch, me(4).config_epoch);
    assert_true(me(4).config_epoch != me(1).config_epoch || own == me(1).config_epoch);
}

static void write_line(struct buffer *file, unsigned index, const char *role, const char *primary,
                       const char *rest) {
    buffer_appendf(file, "%s 127.0.0.1:%u@%u %s %s 0 0 %s\n", me(index).id, PORT + index,
                   PORT + 10000 + index, role, primary, rest);
}

// By its file n1 replicates n4, and n4 n1. The one that stands up does not know its own last epoch, for the
// file shows its primary's: it takes a new one.
static void whoever_breaks_a_circle_takes_a_new_epoch(void **state) {
    uint64_t before = status(0).current_epoch;
    struct buffer files[2] = {BUFFER_EMPTY, BUFFER_EMPTY};
    for (unsigned i = 0; i < 2; i++) {
        unsigned self = i ? 4 : 1, other = i ? 1 : 4;
        write_line(&files[i], self, "myself,slave", me(other).id, "1 connected");
        write_line(&files[i], other, "master", "-", "1 connected");
        write_line(&files[i], 0, "master", "-", "2 connected 0-5460");
        write_line(&files[i], 2, "master", "-", "3 connected 10923-16383");
        buffer_appendf(&files[i], "vars currentEpoch %u lastVoteEpoch 0\n", (unsigned)before);
    }
    for (unsigned i = 0; i < 2; i++) {
        unsigned self = i ? 4 : 1;
        kill_node(self);
        buffer_free(&net.nodes[self].saved);
        net.nodes[self].saved = files[i];
    }
    start(1);
    start(4);
    run(4000);
    unsigned standing = me(1).flags & CLUSTER_NODE_PRIMARY ? 1 : 4;
    assert_true(me(standing).flags & CLUSTER_NODE_PRIMARY);
    assert_true(me(5 - standing).flags & CLUSTER_NODE_REPLICA);
    assert_true(me(standing).config_epoch > before);
}

static void a_stalled_primary_is_replaced_and_hears_of_it(void **state) {
    stall(1, true);
    run(2500);
    assert_int_equal(net.nodes[4].became_primary, 1);
    assert_int_equal(seen(0, 1).flags & CLUSTER_NODE_FAIL, CLUSTER_NODE_FAIL);
    // It knows already, although it says nothing, and suspects nobody.
    assert_true(me(1).flags & CLUSTER_NODE_REPLICA);
    assert_int_equal(owner_port(1, 6000), PORT + 4);
    for (unsigned i = 0; i < net.count; i++)
        assert_false(seen(1, i).flags & (CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL));
    stall(1, false);
    run(1000);
    for (unsigned i = 0; i < net.count; i++)
        assert_false((seen(1, i).flags | seen(i, 1).flags) & (CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL));
    assert_true(seen(0, 1).flags & CLUSTER_NODE_REPLICA);
}

static void a_short_stall_is_nothing(void **state) {
    uint64_t epoch = status(0).current_epoch;
    for (int i = 0; i < 20; i++) {
        stall(1, i % 2 == 0);
        run(i % 2 ? 20 : 400);
    }
    run(3000);
    assert_true(me(1).flags & CLUSTER_NODE_PRIMARY);
    for (unsigned i = 0; i < net.count; i++) {
        assert_int_equal(status(i).current_epoch, epoch);
        assert_false((seen(i, 1).flags | seen(1, i).flags) & (CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL));
    }
}

static void a_stalled_replica_is_no_successor(void **state) {
    stall(4, true);
    kill_node(1);
    run(3000);
    assert_int_equal(net.nodes[4].became_primary, 0);
    stall(4, false);
    run(1500);
    assert_int_equal(net.nodes[4].became_primary, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        NET_TEST(a_killed_primary_is_replaced_at_once),
        NET_TEST(without_crash_detection_within_two_seconds),
        NET_TEST(no_vote_before_its_save),
        NET_TEST(the_administrator_hands_over),
        NET_TEST(a_pause_of_an_earlier_failover_does_not_count),
        NET_TEST(the_primary_is_asked_again_over_a_new_link),
        NET_TEST(only_the_replica_that_asked_hears_of_the_pause),
        NET_TEST(rivals_are_both_elected_soon),
        NET_TEST(a_winner_is_joined_by_a_spare_replica),
        NET_TEST(a_winner_has_voted_for_itself),
        NET_TEST(the_quorum_is_that_of_the_voters_who_were_asked),
        NET_TEST(a_takeover_has_the_newest_epoch_after_a_restart),
        NET_TEST(the_epoch_of_a_promotion_is_the_elections),
        NET_TEST(whoever_stands_up_speaks_for_its_own_epoch),
        NET_TEST(whoever_breaks_a_circle_takes_a_new_epoch),
        NET_TEST(a_stalled_primary_is_replaced_and_hears_of_it),
        NET_TEST(a_short_stall_is_nothing),
        NET_TEST(a_stalled_replica_is_no_successor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
