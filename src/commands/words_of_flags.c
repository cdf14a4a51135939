#include "commands/words_of_flags.h"

#include <stddef.h>

#include "call/command.h"

struct word {
    uint32_t flag;
    const char *text;
};

// In the order in which Redis shows them.
static const struct word command_words[] = {
    {CMD_WRITE, "write"},
    {CMD_READONLY, "readonly"},
    {CMD_DENYOOM, "denyoom"},
    {CMD_ADMIN, "admin"},
    {CMD_PUBSUB, "pubsub"},
    {CMD_NOSCRIPT, "noscript"},
    {CMD_BLOCKING, "blocking"},
    {CMD_LOADING, "loading"},
    {CMD_STALE, "stale"},
    {CMD_SKIP_MONITOR, "skip_monitor"},
    {CMD_SKIP_SLOWLOG, "skip_slowlog"},
    {CMD_ASKING, "asking"},
    {CMD_FAST, "fast"},
    {CMD_NO_AUTH, "no_auth"},
    {CMD_MAY_REPLICATE, "may_replicate"},
    {CMD_NO_MANDATORY_KEYS, "no_mandatory_keys"},
    {CMD_PROTECTED, "protected"},
    {CMD_NO_ASYNC_LOADING, "no_async_loading"},
    {CMD_NO_MULTI, "no_multi"},
    {CMD_MOVABLEKEYS, "movablekeys"},
    {CMD_ALLOW_BUSY, "allow_busy"},
};

static const struct word category_words[] = {
    {CAT_KEYSPACE, "keyspace"},
    {CAT_READ, "read"},
    {CAT_WRITE, "write"},
    {CAT_SET, "set"},
    {CAT_SORTEDSET, "sortedset"},
    {CAT_LIST, "list"},
    {CAT_HASH, "hash"},
    {CAT_STRING, "string"},
    {CAT_BITMAP, "bitmap"},
    {CAT_HYPERLOGLOG, "hyperloglog"},
    {CAT_GEO, "geo"},
    {CAT_STREAM, "stream"},
    {CAT_PUBSUB, "pubsub"},
    {CAT_ADMIN, "admin"},
    {CAT_FAST, "fast"},
    {CAT_SLOW, "slow"},
    {CAT_BLOCKING, "blocking"},
    {CAT_DANGEROUS, "dangerous"},
    {CAT_CONNECTION, "connection"},
    {CAT_TRANSACTION, "transaction"},
    {CAT_SCRIPTING, "scripting"},
};

static const struct word key_words[] = {
    {KEY_RO, "RO"},
    {KEY_RW, "RW"},
    {KEY_OW, "OW"},
    {KEY_RM, "RM"},
    {KEY_ACCESS, "access"},
    {KEY_UPDATE, "update"},
    {KEY_INSERT, "insert"},
    {KEY_DELETE, "delete"},
    {KEY_NOT_KEY, "not_key"},
    {KEY_INCOMPLETE, "incomplete"},
    {KEY_VARIABLE_FLAGS, "variable_flags"},
};

#define COUNT(words) (sizeof(words) / sizeof *(words))

static void reply_words(struct reply *reply, const struct word *words, size_t count, uint32_t flags,
                        const char *prefix) {
    size_t set = 0;
    for (size_t i = 0; i < count; i++)
        set += (words[i].flag & flags) != 0;
    reply_set(reply, set);
    for (size_t i = 0; i < count; i++) {
        if (!(words[i].flag & flags)) continue;
        char text[32] = {prefix[0]};
        size_t at = prefix[0] != '\0';
        for (const char *from = words[i].text; *from && at + 1 < sizeof text; from++)
            text[at++] = *from;
        reply_simple(reply, text);
    }
}

void reply_command_flags(struct reply *reply, uint32_t flags) {
    reply_words(reply, command_words, COUNT(command_words), flags, "");
}

void reply_categories(struct reply *reply, uint32_t categories) {
    reply_words(reply, category_words, COUNT(category_words), categories, "@");
}

void reply_key_flags(struct reply *reply, uint32_t flags) {
    reply_words(reply, key_words, COUNT(key_words), flags, "");
}

uint32_t category_named(struct bytes name) {
    for (size_t i = 0; i < COUNT(category_words); i++)
        if (bytes_is(name, category_words[i].text)) return category_words[i].flag;
    return 0;
}
