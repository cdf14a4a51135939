#include "cli/cluster_migrate.h"

#include <string.h>

#include "base/memory.h"
#include "resp/request.h"

struct migrate_wish migrate_wish_to(const struct cluster_node *target, unsigned db,
                                    const struct options *options) {
    return (struct migrate_wish){.host = target->host,
                                 .port = target->port,
                                 .db = db,
                                 .timeout_ms = options->cluster.timeout_ms,
                                 .replace = options->cluster.replace,
                                 .user = options->user,
                                 .password = options->password};
}

void texts_add(struct texts *keys, struct bytes key) {
    if (keys->count == keys->room) {
        keys->room = keys->room ? keys->room * 2 : 16;
        keys->items = mem_realloc(keys->items, keys->room * sizeof *keys->items);
    }
    char *copy = mem_alloc(key.size + 1);
    memcpy(copy, key.data, key.size);
    keys->items[keys->count++] = bytes_of(copy, key.size);
}

void texts_free(struct texts *keys) {
    for (size_t i = 0; i < keys->count; i++)
        mem_free((void *)keys->items[i].data);
    mem_free(keys->items);
    *keys = (struct texts){0};
}

void migrate_append(struct buffer *out, const struct migrate_wish *wish, const struct texts *keys) {
    bool with_user = wish->password && wish->user;
    size_t words =
        7 + (size_t)wish->copy + (size_t)wish->replace + (wish->password ? 2 : 0) + (size_t)with_user;
    request_begin(out, words + keys->count);
    request_string(out, "MIGRATE");
    request_string(out, wish->host);
    request_integer(out, wish->port);
    request_string(out, "");
    request_integer(out, wish->db);
    request_integer(out, wish->timeout_ms);
    if (wish->copy) request_string(out, "COPY");
    if (wish->replace) request_string(out, "REPLACE");
    if (wish->password) {
        request_string(out, with_user ? "AUTH2" : "AUTH");
        if (with_user) request_string(out, wish->user);
        request_string(out, wish->password);
    }
    request_string(out, "KEYS");
    for (size_t i = 0; i < keys->count; i++)
        request_argument(out, keys->items[i]);
}
