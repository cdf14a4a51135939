// --cluster import: the keys of a server that is no cluster node.
#include <stdio.h>
#include <string.h>

#include "base/bitset.h"
#include "base/crc16.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "cli/cluster.h"
#include "cli/cluster_bar.h"
#include "cli/cluster_check.h"
#include "cli/cluster_interrupt.h"
#include "cli/cluster_log.h"
#include "cli/cluster_migrate.h"
#include "cli/terminal.h"

enum {
    SCAN_COUNT = 1000,    // keys looked at a time
    KEYS_IN_FLIGHT = 16,  // MIGRATEs that wait for their answers
    PASSWORD_ROOM = 1024, // of a password that is typed
};

struct import {
    struct cluster_nodes nodes;
    char *host; // of the source
    uint16_t port;
    struct connection *source;
    const struct cluster_node *owners[HASH_SLOTS]; // NULL: none
    unsigned databases;                            // that are imported: those that all nodes have
    unsigned db;                                   // the one whose keys move now
    struct bar bar;
    uint64_t moved;
};

static void say_source_error(const struct import *import, const struct reply *reply) {
    if (reply)
        cluster_log(TONE_BAD, "Source %s:%u replied with error:\n%.*s\n", import->host, import->port,
                    (int)reply->text.size, reply->text.data);
    else
        cluster_log(TONE_BAD, "Source %s:%u does not answer: %s\n", import->host, import->port,
                    connection_error(import->source));
}

static bool authenticate(const struct import *import, const struct cluster_options *options) {
    const char *password = options->from_password;
    char typed[PASSWORD_ROOM];
    if (options->from_ask_password) {
        if (!terminal_ask_secret("Please input import source node password: ", typed, sizeof typed))
            return false;
        password = typed;
    }
    if (!password) return true;
    const struct reply *reply = options->from_user
                                    ? CONNECTION_ASK(import->source, "AUTH", options->from_user, password)
                                    : CONNECTION_ASK(import->source, "AUTH", password);
    if (connection_reply_is_fine(reply)) return true;
    fprintf(stderr, "AUTH failed: %.*s\n", reply ? (int)reply->text.size : 0, reply ? reply->text.data : "");
    return false;
}

static bool connect_source(struct import *import, const struct options *options) {
    struct endpoint where = {import->host, import->port, NULL};
    char error[CONNECTION_ERROR_ROOM];
    import->source = connection_open(&where, options->connect_timeout_ms, error);
    if (!import->source) {
        fprintf(stderr, "Could not connect to Redis at %s:%u: %s.\n", import->host, import->port, error);
        return false;
    }
    if (!authenticate(import, &options->cluster)) return false;
    const struct reply *reply = CONNECTION_ASK(import->source, "INFO");
    if (!connection_reply_is_fine(reply)) {
        say_source_error(import, reply);
        return false;
    }
    if (!memmem(reply->text.data, reply->text.size, "cluster_enabled:1", 17)) return true;
    cluster_log(TONE_BAD, "[ERR] The source node should not be a cluster node.\n");
    return false;
}

// The databases into which the keys can go: each node must have them.
static unsigned fewest_databases(const struct cluster_nodes *nodes) {
    unsigned fewest = UINT16_MAX;
    for (size_t i = 0; i < nodes->count; i++)
        if (nodes->items[i].databases < fewest) fewest = nodes->items[i].databases;
    return fewest;
}

// Does the source have the database? Nothing is sent for the only one. False also when it says so with an
// error.
static bool select_source(struct import *import, unsigned db) {
    char number[NUMBER_TEXT_MAX];
    import->db = db;
    if (import->databases == 1) return true;
    number_format(number, db);
    return connection_reply_is_fine(CONNECTION_ASK(import->source, "SELECT", number));
}

static bool count_keys(struct import *import) {
    uint64_t keys = 0;
    for (unsigned db = 0; db < import->databases; db++) {
        if (!select_source(import, db)) {
            import->databases = db ? db : 1; // the source has fewer
            break;
        }
        const struct reply *reply = CONNECTION_ASK(import->source, "DBSIZE");
        if (!reply || reply->type != REPLY_INTEGER) {
            say_source_error(import, reply);
            return false;
        }
        if (db == 0 || reply->integer)
            cluster_log(TONE_STEP, "*** Importing %lld keys from DB %u\n", (long long)reply->integer, db);
        keys += (uint64_t)reply->integer;
    }
    bar_begin(&import->bar, "keys", keys);
    return true;
}

static void find_owners(struct import *import) {
    for (size_t i = 0; i < import->nodes.count; i++)
        for (unsigned slot = 0; slot < HASH_SLOTS; slot++)
            if (bitset_test(import->nodes.items[i].slots, slot))
                import->owners[slot] = &import->nodes.items[i];
}

// ---- Keys ----

static bool send_key(const struct import *import, const struct options *options, struct bytes key) {
    unsigned slot = hash_slot(key);
    const struct cluster_node *owner = import->owners[slot];
    if (!owner) {
        cluster_log(TONE_BAD, "[ERR] Nobody owns slot %u of the key %.*s\n", slot, (int)key.size, key.data);
        return false;
    }
    struct migrate_wish wish = migrate_wish_to(owner, import->db, options);
    wish.copy = options->cluster.copy;
    struct bytes one[] = {key};
    struct texts keys = {one, 1, 1};
    migrate_append(connection_queue(import->source), &wish, &keys);
    return true;
}

static void show(struct import *import, bool always) {
    double share = import->bar.total ? (double)import->moved / (double)import->bar.total : 1;
    bar_show(&import->bar, share, import->moved, "", always);
}

// Reads the answer for a key and says it; false when the key did not move.
static bool read_key(struct import *import, struct bytes key) {
    const struct reply *reply = connection_read(import->source);
    const struct cluster_node *owner = import->owners[hash_slot(key)];
    bool good = connection_reply_is_fine(reply);
    if (!import->bar.drawn || !good)
        cluster_log(TONE_PLAIN, "Migrating %.*s to %s:%u: ", (int)key.size, key.data, owner->host,
                    owner->port);
    if (!good) {
        say_source_error(import, reply);
        return false;
    }
    if (!import->bar.drawn) cluster_log(TONE_PLAIN, "OK\n");
    import->moved++;
    show(import, false);
    return true;
}

// Sends the keys of one page, a few in flight. After the first failure no more are sent; the answers of those
// that were are still read and said.
static bool move_page(struct import *import, const struct options *options, const struct texts *page) {
    size_t sent = 0, read = 0;
    bool good = true;
    while (read < sent || (good && sent < page->count && !interrupt_noted())) {
        while (good && sent < page->count && sent - read < KEYS_IN_FLIGHT && !interrupt_noted())
            if ((good = send_key(import, options, page->items[sent]))) sent++;
        if (read < sent) good = read_key(import, page->items[read++]) && good;
    }
    return good;
}

// The next page of SCAN, copied since the reply lives until the next question. False when the source does not
// tell.
static bool scan(struct import *import, char *cursor, size_t room, struct texts *page) {
    char count[NUMBER_TEXT_MAX];
    number_format(count, SCAN_COUNT);
    const struct reply *reply = CONNECTION_ASK(import->source, "SCAN", cursor, "COUNT", count);
    if (!reply || reply->type != REPLY_ARRAY || reply->count != 2) {
        say_source_error(import, reply);
        return false;
    }
    snprintf(cursor, room, "%.*s", (int)reply->items[0].text.size, reply->items[0].text.data);
    for (size_t i = 0; i < reply->items[1].count; i++)
        texts_add(page, reply->items[1].items[i].text);
    return true;
}

static bool move_database(struct import *import, const struct options *options) {
    char cursor[NUMBER_TEXT_MAX] = "0";
    bool good = true;
    do {
        struct texts page = {0};
        good = scan(import, cursor, sizeof cursor, &page) && move_page(import, options, &page);
        texts_free(&page);
    } while (good && strcmp(cursor, "0") != 0 && !interrupt_noted());
    return good;
}

static bool move_all(struct import *import, const struct options *options) {
    bool good = true;
    for (unsigned db = 0; good && db < import->databases && !interrupt_noted(); db++) {
        good = select_source(import, db);
        if (!good)
            cluster_log(TONE_BAD, "[ERR] Source %s:%u has lost DB %u\n", import->host, import->port, db);
        good = good && move_database(import, options);
    }
    return good;
}

static void say_how_to_continue(const struct import *import, const struct options *options) {
    printf("Interrupted: %llu keys are imported. The same command goes on with the rest%s.\n",
           (unsigned long long)import->moved,
           options->cluster.copy && !options->cluster.replace
               ? "; with --cluster-copy it needs --cluster-replace, since those are still at the source"
               : "");
}

static bool run(struct import *import, const struct options *options) {
    struct cluster_health health;
    cluster_log(TONE_STEP, ">>> Importing data from %s:%u to cluster %s\n", import->host, import->port,
                options->cluster.arguments[0]);
    if (!cluster_load_address(&import->nodes, options, 0)) return false;
    if (!cluster_check_nodes(&import->nodes, true, &health)) return false;
    import->databases = fewest_databases(&import->nodes);
    if (!connect_source(import, options) || !count_keys(import)) return false;
    find_owners(import);
    interrupt_watch();
    bool good = move_all(import, options);
    interrupt_unwatch();
    if (import->bar.total) {
        show(import, true);
        bar_end(&import->bar);
    }
    if (good && interrupt_noted()) say_how_to_continue(import, options);
    return good && !interrupt_noted();
}

int cluster_import(const struct options *options) {
    const char *from = options->cluster.from;
    char *host;
    uint16_t port;
    if (!cluster_address(options, 0, &host, &port)) return 1;
    mem_free(host);
    if (!from) {
        fprintf(stderr, "[ERR] Option '--cluster-from' is required for subcommand 'import'.\n");
        return 1;
    }
    struct import *import = mem_calloc(1, sizeof *import);
    bool good = false;
    if (options_parse_address(from, &import->host, &import->port))
        good = run(import, options);
    else
        fprintf(
            stderr,
            "[ERR] Invalid --cluster-from host. You need to pass a valid address (ie. 120.0.0.1:7000).\n");
    connection_close(import->source);
    cluster_nodes_free(&import->nodes);
    mem_free(import->host);
    mem_free(import);
    return good ? 0 : 1;
}
