#include "bench/tests.h"

#include <string.h>

#include "base/buffer.h"

enum { WORDS_MAX = 24 };

// `request`: words between spaces; "@" in a word becomes ":{tag}" in a cluster and nothing elsewhere, "#" the
// random score of ZADD. A request of one word alone is sent inline.
struct test {
    const char *names; // what -t may call it, comma separated
    const char *title;
    const char *request;
    bool by_default;
};

#define MSET_PAIR " key@:__rand_int__ __data__"
#define MSET_FIVE MSET_PAIR MSET_PAIR MSET_PAIR MSET_PAIR MSET_PAIR

static const struct test tests[] = {
    {"ping_inline,ping", "PING_INLINE", "PING", true},
    {"ping_mbulk,ping", "PING_MBULK", "PING ", true},
    {"set", "SET", "SET key@:__rand_int__ __data__", true},
    {"get", "GET", "GET key@:__rand_int__", true},
    {"incr", "INCR", "INCR counter@:__rand_int__", true},
    {"lpush", "LPUSH", "LPUSH mylist@ __data__", false},
    {"rpush", "RPUSH", "RPUSH mylist@ __data__", false},
    {"lpop", "LPOP", "LPOP mylist@", false},
    {"rpop", "RPOP", "RPOP mylist@", false},
    {"sadd", "SADD", "SADD myset@ element:__rand_int__", false},
    {"hset", "HSET", "HSET myhash@ element:__rand_int__ __data__", false},
    {"spop", "SPOP", "SPOP myset@", false},
    {"zadd", "ZADD", "ZADD myzset@ # element:__rand_int__", false},
    {"zpopmin", "ZPOPMIN", "ZPOPMIN myzset@", false},
    {"lrange,lrange_100,lrange_300,lrange_500,lrange_600", "LPUSH (needed to benchmark LRANGE)",
     "LPUSH mylist@ __data__", false},
    {"lrange,lrange_100", "LRANGE_100 (first 100 elements)", "LRANGE mylist@ 0 99", false},
    {"lrange,lrange_300", "LRANGE_300 (first 300 elements)", "LRANGE mylist@ 0 299", false},
    {"lrange,lrange_500", "LRANGE_500 (first 500 elements)", "LRANGE mylist@ 0 499", false},
    {"lrange,lrange_600", "LRANGE_600 (first 600 elements)", "LRANGE mylist@ 0 599", false},
    {"mset", "MSET (10 keys)", "MSET" MSET_FIVE MSET_FIVE, true},
};

const struct test *tests_at(size_t index) {
    return index < sizeof tests / sizeof *tests ? &tests[index] : NULL;
}

const char *test_title(const struct test *test) {
    return test->title;
}

// Cuts the first name off a comma separated list.
static struct bytes next_name(const char **list) {
    size_t size = strcspn(*list, ",");
    struct bytes name = bytes_of(*list, size);
    *list += size + ((*list)[size] == ',');
    return name;
}

static bool has_name(const struct test *test, struct bytes name) {
    for (const char *own = test->names; *own;)
        if (bytes_equal_nocase(next_name(&own), name)) return true;
    return false;
}

bool test_selected(const struct test *test, const char *names) {
    if (!names) return test->by_default;
    while (*names)
        if (has_name(test, next_name(&names))) return true;
    return false;
}

bool tests_know(const char *names, size_t *size) {
    struct bytes name = next_name(&names);
    *size = name.size;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (has_name(&tests[i], name)) return true;
    return false;
}

bool test_build(const struct test *test, struct request_shape *shape, struct bytes data, bool random,
                bool tagged) {
    if (!strchr(test->request, ' ')) {
        struct buffer line = BUFFER_EMPTY;
        buffer_appendf(&line, "%s\r\n", test->request);
        request_build_raw(shape, buffer_bytes(&line));
        buffer_free(&line);
        return true;
    }
    struct buffer text = BUFFER_EMPTY;
    for (const char *at = test->request; *at; at++) {
        if (*at == '@')
            buffer_append_string(&text, tagged ? ":{tag}" : "");
        else if (*at == '#')
            buffer_append_string(&text, random ? "__rand_int__" : "0");
        else
            buffer_append_byte(&text, *at);
    }
    struct bytes words[WORDS_MAX];
    size_t count = 0;
    for (const char *at = buffer_string(&text); *at && count < WORDS_MAX;) {
        size_t size = strcspn(at, " ");
        if (size) words[count++] = bytes_of(at, size);
        at += size + (at[size] == ' ');
    }
    bool built = request_build(shape, words, count, data, random, tagged);
    buffer_free(&text);
    return built;
}
