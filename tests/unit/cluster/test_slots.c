// Who owns a slot: moves, imports, and claims that cross them.
#include "net.h"

// SETSLOT 100, n1 from n0, up to the moment when the keys have moved.
static void open_slot(void) {
    ordered(1, "SETSLOT 100 IMPORTING %s", me(0).id);
    ordered(0, "SETSLOT 100 MIGRATING %s", me(1).id);
}

static void give_slot(unsigned at, unsigned to) {
    ordered(at, "SETSLOT 100 NODE %s", me(to).id);
}

static void close_slot(unsigned at) {
    give_slot(at, 1);
}

static void a_slot_moves(void **state) {
    char text[80];
    ordered(1, "SETSLOT 100 IMPORTING %s", me(0).id);
    ordered(0, "SETSLOT 100 MIGRATING %s", me(1).id);
    assert_int_equal(cluster_view_migrating(net.nodes[0].core)[100] != CLUSTER_NO_INDEX, 1);
    snprintf(text, sizeof(text), "SETSLOT 100 NODE %s", me(1).id);
    refused(0, text, 3,
            "ERR Can't assign hashslot 100 to a different node while I still hold keys for this hash slot.");
    ordered(1, text);
    ordered(0, text);
    run(300);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(owner_port(i, 100), PORT + 1);
    assert_int_equal(me(1).config_epoch, status(0).current_epoch);
    assert_int_equal(cluster_view_migrating(net.nodes[0].core)[100], CLUSTER_NO_INDEX);
}

static void an_import_goes_on_from_the_sources_successor(void **state) {
    open_slot();
    ordered(3, "FAILOVER TAKEOVER");
    run(1000);
    assert_int_equal(owner_port(1, 100), PORT + 3);
    assert_true(status(1).ok);
    struct cluster_view_node from;
    assert_true(
        cluster_view_node_at(net.nodes[1].core, cluster_view_importing(net.nodes[1].core)[100], &from));
    assert_int_equal(from.port, PORT + 3);
    close_slot(1);
    run(1000);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(owner_port(i, 100), PORT + 1);
}

// n1 closes an import while n0, which it can't hear, takes two newer epochs: n0's claim is the newest until
// it is told to let go.
static void finish_import_unheard(void) {
    open_slot();
    isolate(1, true);
    ordered(0, "BUMPEPOCH");
    run(300);
    ordered(2, "BUMPEPOCH");
    run(300);
    ordered(0, "BUMPEPOCH");
    close_slot(1);
    assert_true(me(0).config_epoch > me(1).config_epoch);
    isolate(1, false);
}

static void what_was_imported_is_kept(void **state) {
    finish_import_unheard();
    run(400);
    close_slot(0);
    run(2000);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(owner_port(i, 100), PORT + 1);
    assert_int_equal(net.nodes[1].dropped_slots, 0);
}

static void what_was_imported_is_kept_when_the_source_was_told_first(void **state) {
    finish_import_unheard();
    cut(0, 1, true);
    run(300);
    close_slot(0);
    cut(0, 1, false);
    run(2000);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(owner_port(i, 100), PORT + 1);
    assert_true(me(1).config_epoch > me(0).config_epoch);
}

// It may go back as it came, though: the administrator's next word ends the defence of the last one.
static void what_was_imported_may_move_back(void **state) {
    open_slot();
    close_slot(1);
    close_slot(0);
    run(500);
    ordered(0, "SETSLOT 100 IMPORTING %s", me(1).id);
    ordered(1, "SETSLOT 100 MIGRATING %s", me(0).id);
    ordered(0, "SETSLOT 100 NODE %s", me(0).id);
    run(1000);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(owner_port(i, 100), PORT);
}

static void part(bool lost) {
    for (unsigned i = 1; i < net.count; i++)
        if (i != 2) cut(0, i, lost), cut(2, i, lost);
}

// The source's replica has taken its place, and does not claim what n1 has imported. But the source lives on
// in the other half, with newer epochs, and does, until it is told.
static void what_was_imported_is_kept_although_the_sources_successor_does_not_claim_it(void **state) {
    open_slot();
    run(500);
    part(true);
    ordered(0, "BUMPEPOCH");
    run(300);
    ordered(2, "BUMPEPOCH");
    run(300);
    ordered(0, "BUMPEPOCH");
    close_slot(1);
    deliver();
    ordered(3, "FAILOVER TAKEOVER");
    deliver();
    assert_true(me(0).config_epoch > me(3).config_epoch);
    part(false);
    run(300);
    close_slot(0);
    run(3000);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(owner_port(i, 100), PORT + 1);
}

// While n1 hears nobody, the source is succeeded by n5, which has come from another shard: n1 has not heard
// of that either.
static void what_was_imported_is_kept_from_a_successor_of_another_shard(void **state) {
    open_slot();
    run(300);
    isolate(1, true);
    ordered(5, "REPLICATE %s", me(0).id);
    run(300);
    ordered(5, "FAILOVER TAKEOVER");
    deliver();
    ordered(2, "BUMPEPOCH");
    run(300);
    ordered(5, "BUMPEPOCH");
    deliver();
    close_slot(1);
    assert_true(me(5).config_epoch > me(1).config_epoch);
    isolate(1, false);
    cut(0, 1, true);
    run(300);
    cut(0, 1, false);
    ordered(0, "FAILOVER TAKEOVER");
    deliver();
    close_slot(0);
    run(3000);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(owner_port(i, 100), PORT + 1);
}

// n2 takes on from n1 what n1 has just taken from n0, of which n2 has not heard: who had it is whom it was
// imported from, and n1's claim, until it is told to let go, must not win it back.
static void what_was_imported_is_kept_from_an_owner_unheard_of(void **state) {
    isolate(2, true);
    open_slot();
    close_slot(1);
    close_slot(0);
    run(300);
    ordered(0, "BUMPEPOCH");
    run(300);
    ordered(1, "BUMPEPOCH");
    ordered(2, "SETSLOT 100 IMPORTING %s", me(1).id);
    ordered(1, "SETSLOT 100 MIGRATING %s", me(2).id);
    give_slot(2, 2);
    assert_true(me(1).config_epoch > me(2).config_epoch);
    isolate(2, false);
    cut(0, 2, true); // n0 would tell n2 what it knows of n1
    run(400);
    give_slot(1, 2);
    cut(0, 2, false);
    run(2000);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(owner_port(i, 100), PORT + 2);
}

// n0 loses all it had to n3, stands up in n1's place with a newer epoch, and n2 never heard of n3. What n2
// thinks n0's, and finds so in its file after a restart, n0 does not claim: n2 must not tell n3 so.
static void nobody_is_told_what_the_owner_does_not_claim(void **state) {
    cut(3, 2, true);
    ordered(3, "FAILOVER TAKEOVER");
    net.cut[0][2] = true; // nor that n0 was a replica meanwhile
    run(200);
    assert_true(net.nodes[0].replica);
    ordered(0, "REPLICATE %s", me(1).id);
    run(100);
    cut(0, 3, true);
    ordered(0, "FAILOVER TAKEOVER");
    net.cut[0][2] = false;
    run(600);
    assert_int_equal(seen(2, 0).config_epoch, me(0).config_epoch);
    cut(0, 2, true);
    kill_node(2);
    start(2);
    assert_int_equal(owner_port(2, 100), PORT);
    cut(3, 2, false);
    run(300);
    assert_int_equal(owner_port(3, 100), PORT + 3);
    cut(0, 2, false);
    cut(0, 3, false);
    run(3000);
    for (unsigned i = 0; i < net.count; i++) {
        assert_int_equal(owner_port(i, 100), PORT + 3);
        assert_int_equal(owner_port(i, 6000), PORT);
    }
}

// The same for a replica: it does not take with its primary's place what that has given away, to whomever it
// was.
static void a_replica_does_not_take_what_its_primary_gave_away(void **state) {
    open_slot();
    ordered(0, "BUMPEPOCH");
    run(300);
    isolate(1, true);
    close_slot(0); // n0 knows no epoch of n1's to tell n3 of
    run(600);
    assert_int_equal(owner_port(3, 100), PORT);
    ordered(3, "FAILOVER TAKEOVER");
    assert_int_equal(owner_port(3, 99), PORT + 3);
    assert_int_equal(owner_port(3, 100), 0);
    isolate(1, false);
    close_slot(1);
    run(2000);
    for (unsigned i = 0; i < net.count; i++)
        assert_int_equal(owner_port(i, 100), PORT + 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        NET_TEST(a_slot_moves),
        NET_TEST(an_import_goes_on_from_the_sources_successor),
        NET_TEST(what_was_imported_is_kept),
        NET_TEST(what_was_imported_is_kept_when_the_source_was_told_first),
        NET_TEST(what_was_imported_may_move_back),
        NET_TEST(what_was_imported_is_kept_although_the_sources_successor_does_not_claim_it),
        NET_TEST(what_was_imported_is_kept_from_a_successor_of_another_shard),
        NET_TEST(what_was_imported_is_kept_from_an_owner_unheard_of),
        NET_TEST(nobody_is_told_what_the_owner_does_not_claim),
        NET_TEST(a_replica_does_not_take_what_its_primary_gave_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
