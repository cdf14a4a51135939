// The command table: lookup in any case, containers, arity, and where keys stand.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "base/words.h"
#include "call/command.h"

static void run_nothing(struct call *call) {}

static int find_second_to_last(const struct bytes *argv, int argc, int *positions) {
    if (argc < 3) return -1;
    positions[0] = argc - 2;
    return 1;
}

#define RANGE(first, last_, step_) \
    {.begin = KEY_BEGIN_INDEX, .index = first, .find = KEY_FIND_RANGE, .last = last_, .step = step_, .flags = KEY_RW}

static const struct command config_subcommands[] = {{.name = "get", .run = run_nothing, .arity = -3},
                                                    {.name = "set", .run = run_nothing, .arity = -4},
                                                    {.name = NULL}};

static const struct command first_table[] = {
    {.name = "get", .run = run_nothing, .arity = 2, .keys = {RANGE(1, 0, 1)}, .flags = CMD_READONLY | CMD_FAST},
    {.name = "mset", .run = run_nothing, .arity = -3, .keys = {RANGE(1, -1, 2)}, .flags = CMD_WRITE},
    {.name = "rename", .run = run_nothing, .arity = 3, .keys = {RANGE(1, 0, 1), RANGE(2, 0, 1)}},
    {.name = "bitop", .run = run_nothing, .arity = -4, .keys = {RANGE(2, 0, 1), RANGE(3, -1, 1)}},
    {.name = "config", .arity = -2, .subcommands = config_subcommands, .flags = CMD_ADMIN},
    {.name = NULL}};

static const struct command second_table[] = {
    {.name = "union",
     .run = run_nothing,
     .arity = -3,
     .keys = {{.begin = KEY_BEGIN_INDEX, .index = 1, .find = KEY_FIND_KEYNUM, .keynum = 0, .first_key = 1, .step = 1}}},
    {.name = "migrate",
     .run = run_nothing,
     .arity = -6,
     .keys = {{.begin = KEY_BEGIN_KEYWORD, .index = (uint16_t)-2, .keyword = "KEYS", .find = KEY_FIND_RANGE, .last = -1, .step = 1}}},
    {.name = "publish",
     .run = run_nothing,
     .arity = 3,
     .keys = {{.begin = KEY_BEGIN_INDEX, .index = 1, .find = KEY_FIND_RANGE, .step = 1, .flags = KEY_NOT_KEY}}},
    {.name = "found", .run = run_nothing, .arity = -2, .find_keys = find_second_to_last},
    {.name = NULL}};

static const struct command_docs docs[] = {{.name = "config|set", .summary = "Sets."}, {.name = NULL}};

static int install(void **state) {
    static const struct command *const tables[] = {first_table, second_table, NULL};
    static const struct command_docs *const all_docs[] = {docs, NULL};
    command_table_install(tables, all_docs);
    return 0;
}

static void names_are_found_in_any_case(void **state) {
    assert_int_equal(command_count(), 11);
    for (unsigned i = 0; i < command_count(); i++) {
        assert_int_equal(command_at(i)->number, i);
        assert_ptr_equal(command_lookup_name(bytes_from_string(command_at(i)->full_name)), command_at(i));
    }
    assert_ptr_equal(command_lookup_name(BYTES("GeT")), command_lookup_name(BYTES("get")));
    assert_null(command_lookup_name(BYTES("ge")));
    assert_null(command_lookup_name(BYTES("gett")));
    assert_null(command_lookup_name((struct bytes){NULL, 0}));
    static const char long_name[5000] = {'g', 'e', 't'};
    assert_null(command_lookup_name(bytes_of(long_name, sizeof long_name)));
}

static void containers_lead_to_their_subcommands(void **state) {
    const struct command *container;
    struct bytes argv[] = {BYTES("CONFIG"), BYTES("SET"), BYTES("a")};
    const struct command *set = command_lookup(argv, 3, &container);
    assert_string_equal(set->full_name, "config|set");
    assert_string_equal(set->parent->name, "config");
    assert_string_equal(set->docs->summary, "Sets.");
    assert_null(set->parent->docs);
    assert_null(container);
    argv[1] = BYTES("nosuch");
    assert_null(command_lookup(argv, 3, &container));
    assert_string_equal(container->name, "config");
    assert_string_equal(command_lookup(argv, 1, NULL)->name, "config");
    argv[0] = BYTES("config|set"); // a name for COMMAND INFO, not of the protocol
    assert_null(command_lookup(argv, 3, &container));
    assert_null(container);
}

static void arity_is_exact_or_at_least(void **state) {
    const struct command *get = command_lookup_name(BYTES("get")), *mset = command_lookup_name(BYTES("mset"));
    assert_true(command_arity_fits(get, 2));
    assert_false(command_arity_fits(get, 1));
    assert_false(command_arity_fits(get, 3));
    assert_false(command_arity_fits(mset, 2));
    assert_true(command_arity_fits(mset, 3));
    assert_true(command_arity_fits(mset, 1000));
}

// The positions of the line's keys, as digits; "-" for a bad shape.
static void expect_keys(const char *line, bool with_not_keys, const char *expected) {
    struct words words = WORDS_EMPTY;
    assert_true(words_split(bytes_from_string(line), &words));
    const struct command *command = command_lookup_name(words.items[0]);
    int positions[32];
    char text[32] = "";
    int found = command_keys(command, words.items, (int)words.count, positions, with_not_keys);
    for (int i = 0; i < found; i++)
        text[i] = (char)('0' + positions[i]);
    assert_string_equal(found < 0 ? "-" : text, expected);
    words_free(&words);
}

static void keys_stand_where_their_specification_says(void **state) {
    expect_keys("get a", false, "1");
    expect_keys("mset a 1 b 2 c 3", false, "135");
    expect_keys("rename a b", false, "12");
    expect_keys("bitop and d a b", false, "234");
    expect_keys("union 2 a b WEIGHTS 1 2", false, "23");
    expect_keys("union 3 a b", false, "-");
    expect_keys("union 0 a b", false, "-");
    expect_keys("union x a b", false, "-");
    expect_keys("union -1 a b", false, "-");
    expect_keys("union 99999999 a b", false, "-");
    expect_keys("union 999999999999 a b", false, "-");
    expect_keys("migrate h p '' 0 1 KEYS a b", false, "78");
    expect_keys("migrate h p k 0 1", false, "");
    expect_keys("migrate h p '' 0 1 KEYS", false, "");
    expect_keys("publish c m", false, "");
    expect_keys("publish c m", true, "1");
    expect_keys("found a b c", false, "2");
    expect_keys("found a", false, "-");
}

static void flags_imply_categories(void **state) {
    uint32_t get = command_categories(command_lookup_name(BYTES("get")));
    assert_true((get & (CAT_READ | CAT_FAST)) == (CAT_READ | CAT_FAST));
    assert_false(get & (CAT_SLOW | CAT_WRITE));
    uint32_t config = command_categories(command_lookup_name(BYTES("config")));
    assert_true((config & (CAT_ADMIN | CAT_DANGEROUS | CAT_SLOW)) == (CAT_ADMIN | CAT_DANGEROUS | CAT_SLOW));
    int first, last, step;
    command_key_range(command_lookup_name(BYTES("rename")), &first, &last, &step);
    assert_int_equal(first * 100 + last * 10 + step, 121);
    command_key_range(command_lookup_name(BYTES("mset")), &first, &last, &step);
    assert_true(first == 1 && last == -1 && step == 2);
}

static void what_is_recalled_is_what_is_looked_up(void **state) {
    static const char *const lines[] = {"get k",        "GET k",  "gEt k",    "mset k v", "publish c m",
                                        "rename a b",   "g",      "ge",       "gett",     "config get x",
                                        "config set x", "config", "nonsense", "found k"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct words words = WORDS_EMPTY;
        words_split(bytes_from_string(lines[i]), &words);
        const struct command *expected = command_lookup(words.items, (int)words.count, NULL);
        const void *note = NULL;
        for (int round = 0; round < 3; round++)
            assert_ptr_equal(command_recall(&note, words.items, (int)words.count), expected);
        assert_ptr_equal(command_recall(NULL, words.items, (int)words.count), expected);
        words_free(&words);
    }
}

static void what_depends_on_the_second_word_is_not_noted(void **state) {
    const void *note = NULL;
    struct bytes get[] = {BYTES("config"), BYTES("get"), BYTES("x")};
    struct bytes set[] = {BYTES("config"), BYTES("set"), BYTES("x")};
    assert_string_equal(command_recall(&note, get, 3)->full_name, "config|get");
    assert_string_equal(command_recall(&note, set, 3)->full_name, "config|set");
    assert_null(note);
}

static void a_command_of_one_key_at_a_fixed_place_is_plain(void **state) {
    assert_int_equal(command_lookup_name(BYTES("get"))->plain, COMMAND_PLAIN_READ);
    static const char *const others[] = {"mset",  "rename",  "bitop",   "config",
                                         "union", "migrate", "publish", "found"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(command_lookup_name(bytes_from_string(others[i]))->plain, COMMAND_NOT_PLAIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_in_any_case),
        cmocka_unit_test(containers_lead_to_their_subcommands),
        cmocka_unit_test(what_is_recalled_is_what_is_looked_up),
        cmocka_unit_test(what_depends_on_the_second_word_is_not_noted),
        cmocka_unit_test(a_command_of_one_key_at_a_fixed_place_is_plain),
        cmocka_unit_test(arity_is_exact_or_at_least),
        cmocka_unit_test(keys_stand_where_their_specification_says),
        cmocka_unit_test(flags_imply_categories),
    };
    return cmocka_run_group_tests(tests, install, NULL);
}
