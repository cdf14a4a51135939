// A peer's answers come over our link, what it says of its own accord over its own: the two links don't keep
// their order among each other, and what a peer was must not overwrite what it has become since.
#include "net.h"

static bool replicates(unsigned by, unsigned replica, unsigned primary) {
    struct cluster_view_node node = seen(by, replica), head;
    return (node.flags & CLUSTER_NODE_REPLICA) && node.primary_index != CLUSTER_NO_INDEX &&
           cluster_view_node_at(net.nodes[by].core, node.primary_index, &head) && head.port == PORT + primary;
}

static void run_until_one_waits(void) {
    for (int ms = 0; list_empty(&net.late); ms++) {
        run(1);
        assert_true(ms < 2000);
    }
}

// n5 has answered a ping of n0's, then moves to n1 and says so: that arrives first.
static void move_before_the_answer_arrives(void) {
    net.slow[5][0] = SLOW_ANSWERS;
    run_until_one_waits();
    ordered(5, "REPLICATE %s", me(1).id);
    deliver();
}

static void a_late_answer_does_not_undo_a_move(void **state) {
    move_before_the_answer_arrives();
    assert_true(replicates(0, 5, 1));
    let_late_arrive();
    assert_true(replicates(0, 5, 1));
}

// n5 waits empty, as a primary without slots; the same when it becomes a replica.
static void a_late_answer_does_not_make_a_primary_of_a_replica(void **state) {
    ordered(5, "RESET");
    ordered(0, "MEET 127.0.0.1 %u", PORT + 5);
    run(2000);
    assert_true(seen(0, 5).flags & CLUSTER_NODE_PRIMARY);
    move_before_the_answer_arrives();
    assert_true(replicates(0, 5, 1));
    let_late_arrive();
    assert_true(replicates(0, 5, 1));
}

// What n5 says after its second move is lost: its late answer, of before the first one, is doubted, and the
// next one, which comes at once, believed.
static void who_moves_twice_is_seen_where_it_ended(void **state) {
    move_before_the_answer_arrives();
    net.cut[5][0] = true;
    ordered(5, "REPLICATE %s", me(0).id);
    deliver();
    assert_true(replicates(0, 5, 1));
    net.cut[5][0] = false;
    let_late_arrive();
    assert_true(replicates(0, 5, 0));
}

// n5 has made a new link to n0; what it said over the one before, when it still was n2's, was held up.
static void what_a_replaced_link_held_up_does_not_undo_a_move(void **state) {
    net.slow[5][0] = SLOW_OWN;
    run_until_one_waits();
    net.slow[5][0] = SLOW_NOTHING;
    ordered(5, "REPLICATE %s", me(1).id);
    deliver();
    assert_true(replicates(0, 5, 1));
    net.cut[0][5] = true; // n0 can't ask
    let_late_arrive();
    assert_true(replicates(0, 5, 1));
    net.cut[0][5] = false;
    run(2000);
    assert_true(replicates(0, 5, 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        NET_TEST(a_late_answer_does_not_undo_a_move),
        NET_TEST(a_late_answer_does_not_make_a_primary_of_a_replica),
        NET_TEST(what_a_replaced_link_held_up_does_not_undo_a_move),
        NET_TEST(who_moves_twice_is_seen_where_it_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
