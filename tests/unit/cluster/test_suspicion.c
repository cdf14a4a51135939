// Suspicions are told at once, and many of them in few messages.
#include "net.h"

enum { TICK_MS = 100, PING = 0, PONG = 1 };

static uint64_t pongs_of(unsigned index) {
    return status(index).sent[PONG];
}

// At most.
static uint64_t pings_to_n0(void) {
    return status(1).sent[PING] + status(2).sent[PING];
}

static bool all_see_failed(unsigned whom, const char *id) {
    for (unsigned i = 0; i < net.count; i++) {
        struct cluster_view_node node;
        if (!net.nodes[i].alive || i == whom) continue;
        assert_true(cluster_view_find(net.nodes[i].core, bytes_from_string(id), &node));
        if (!(node.flags & CLUSTER_NODE_FAIL)) return false;
    }
    return true;
}

static void the_first_is_told_at_once(void **state) {
    char id[CLUSTER_ID_SIZE + 1];
    memcpy(id, me(5).id, sizeof(id));
    run(TICK_MS);
    kill_node(5);
    deliver();
    assert_true(all_see_failed(5, id));
}

// Of two that die together one may wait, but for no longer than a tick.
static void the_second_waits_for_a_tick_at_most(void **state) {
    char ids[2][CLUSTER_ID_SIZE + 1];
    memcpy(ids[0], me(4).id, sizeof(ids[0]));
    memcpy(ids[1], me(5).id, sizeof(ids[1]));
    run(TICK_MS);
    kill_node(4);
    kill_node(5);
    run(TICK_MS + 1);
    assert_true(all_see_failed(4, ids[0]));
    assert_true(all_see_failed(5, ids[1]));
}

// Where several are suspected from one moment to the next, two messages to each of those who should hear are
// enough: of the first, and of the others.
static void many_share_messages(void **state) {
    run(TICK_MS);
    for (unsigned i = 3; i < net.count; i++)
        kill_node(i);
    uint64_t pongs = pongs_of(0), pings = pings_to_n0();
    deliver();
    assert_int_equal(pongs_of(0) - pongs, 2); // n1 and n2
    run(TICK_MS + 1);
    assert_true(pongs_of(0) - pongs <= 4 + pings_to_n0() - pings);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        NET_TEST(the_first_is_told_at_once),
        NET_TEST(the_second_waits_for_a_tick_at_most),
        NET_TEST(many_share_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
