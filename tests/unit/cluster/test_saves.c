// What is promised is forced to the disk, by the save that was meant for it or by whichever takes its place.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster/cluster.h"
#include "cluster/cluster_view.h"

static struct cluster *core;
static uint64_t now;
static struct saves {
    unsigned count;
    uint64_t number; // of the last
    bool sync;
    uint64_t awaited; // by the last outcome
} saves;

static const char known[] =
    "0123456789012345678901234567890123456789 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-16383\n"
    "1111111111111111111111111111111111111111 127.0.0.1:7001@17001 master - 0 0 2 disconnected\n"
    "2222222222222222222222222222222222222222 127.0.0.1:7002@17002 master - 0 0 3 disconnected\n"
    "vars currentEpoch 3 lastVoteEpoch 0\n";

static void step(struct cluster_event event) {
    event.now = now;
    event.unix_now = now + 1000000;
    const struct cluster_actions *actions = cluster_step(core, &event);
    for (size_t i = 0; i < actions->count; i++) {
        const struct cluster_action *action = &actions->items[i];
        if (action->kind == CLUSTER_ACTION_OUTCOME) saves.awaited = action->outcome.save;
        if (action->kind != CLUSTER_ACTION_SAVE) continue;
        saves.count++;
        saves.number = action->save.number;
        saves.sync = action->save.sync;
    }
}

static void saved(uint64_t number, bool ok) {
    step((struct cluster_event){.kind = CLUSTER_EVENT_SAVED, .saved = {number, ok}});
}

static void order(const struct bytes *words, size_t count) {
    static uint64_t number;
    struct cluster_event event = {.kind = CLUSTER_EVENT_ORDER};
    event.order = (struct cluster_order){.number = ++number, .arguments = words, .count = count};
    step(event);
}

static void bump_epoch(void) {
    order((struct bytes[]){BYTES("BUMPEPOCH")}, 1);
}

// A change that promises nothing: its save comes with the next tick.
static void forget(const char *id) {
    unsigned before = saves.count;
    order((struct bytes[]){BYTES("FORGET"), bytes_from_string(id)}, 2);
    while (saves.count == before && now < 60000) {
        now += 50;
        step((struct cluster_event){.kind = CLUSTER_EVENT_TICK});
    }
    assert_int_equal(saves.count, before + 1);
}

static int begin(void **state) {
    struct buffer error = BUFFER_EMPTY;
    struct cluster_config config;
    cluster_config_default(&config);
    config.node_timeout = 60000;
    now = 1000;
    core = cluster_create(&config, bytes_from_string(known), 7, now, now + 1000000, &error);
    if (!core) return -1;
    saves = (struct saves){0};
    step((struct cluster_event){.kind = CLUSTER_EVENT_TICK});
    saved(saves.number, true);
    return 0;
}

static int end(void **state) {
    cluster_destroy(core);
    return 0;
}

static void knowledge_alone_needs_no_force(void **state) {
    forget("1111111111111111111111111111111111111111");
    assert_false(saves.sync);
    saved(saves.number, true);
    bump_epoch();
    assert_true(saves.sync);
    assert_int_equal(saves.awaited, saves.number);
    saved(saves.number, true);
    forget("2222222222222222222222222222222222222222");
    assert_false(saves.sync);
}

static void after_a_promise_that_was_not_saved(void **state) {
    bump_epoch();
    uint64_t promise = saves.number;
    saved(promise, false);
    forget("1111111111111111111111111111111111111111");
    assert_true(saves.number > promise && saves.sync);
    saved(saves.number, true);
    forget("2222222222222222222222222222222222222222");
    assert_false(saves.sync);
}

static void while_a_promise_is_on_its_way(void **state) {
    bump_epoch();
    uint64_t promise = saves.number;
    forget("1111111111111111111111111111111111111111"); // the driver may skip the former for it
    assert_true(saves.number > promise && saves.sync);
}

static void after_knowledge_that_was_not_saved(void **state) {
    forget("1111111111111111111111111111111111111111");
    uint64_t first = saves.number;
    saved(first, false);
    now += 2000;
    step((struct cluster_event){.kind = CLUSTER_EVENT_TICK});
    assert_true(saves.number > first && saves.sync); // tried again by itself
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(knowledge_alone_needs_no_force, begin, end),
        cmocka_unit_test_setup_teardown(after_a_promise_that_was_not_saved, begin, end),
        cmocka_unit_test_setup_teardown(while_a_promise_is_on_its_way, begin, end),
        cmocka_unit_test_setup_teardown(after_knowledge_that_was_not_saved, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
