#include "bench/routes.h"

#include <stdio.h>
#include <string.h>

#include "base/crc16.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "os/clock.h"
#include "os/thread.h"

enum { FIELDS_MAX = 8 };

static struct monitor guard; // protects what follows
static struct routes *current;
static int64_t fetched_ms;

static void discard(struct routes *routes) {
    for (unsigned i = 0; i < routes->node_count; i++)
        mem_free(routes->nodes[i].slots);
    mem_free(routes->nodes);
    mem_free(routes);
}

// Cuts the next word off the line.
static struct bytes next_word(struct bytes *line) {
    while (line->size && *line->data == ' ')
        *line = bytes_of(line->data + 1, line->size - 1);
    const char *space = memchr(line->data, ' ', line->size);
    struct bytes word = bytes_of(line->data, space ? (size_t)(space - line->data) : line->size);
    *line = bytes_of(line->data + word.size, line->size - word.size);
    return word;
}

static bool flags_have(struct bytes flags, const char *wanted) {
    size_t size = strlen(wanted);
    for (size_t at = 0; at + size <= flags.size; at++) {
        bool starts = at == 0 || flags.data[at - 1] == ',';
        bool ends = at + size == flags.size || flags.data[at + size] == ',';
        if (starts && ends && memcmp(flags.data + at, wanted, size) == 0) return true;
    }
    return false;
}

// "ip:port@cport[,hostname...]"; a node that does not know its own ip leaves it out: `asked` is it then.
static bool read_address(struct route_node *node, struct bytes text, const char *asked) {
    const char *end = memchr(text.data, '@', text.size);
    size_t size = end ? (size_t)(end - text.data) : text.size;
    const char *colon = memrchr(text.data, ':', size);
    if (!colon) return false;
    size_t host = (size_t)(colon - text.data);
    uint64_t port;
    if (host >= ROUTES_ADDRESS_MAX || !number_parse_unsigned(bytes_of(colon + 1, size - host - 1), &port))
        return false;
    if (port == 0 || port > UINT16_MAX) return false;
    node->port = (uint16_t)port;
    if (host)
        snprintf(node->address, sizeof node->address, "%.*s", (int)host, text.data);
    else
        snprintf(node->address, sizeof node->address, "%s", asked);
    return true;
}

// "n" or "a-b"; "[n->-id]" and "[n-<-id]" tell of slots on the move and are passed over.
static void read_slots(struct route_node *node, struct bytes word) {
    const char *dash = memchr(word.data, '-', word.size);
    size_t size = dash ? (size_t)(dash - word.data) : word.size;
    uint64_t first, last;
    if (!word.size || *word.data == '[' || !number_parse_unsigned(bytes_of(word.data, size), &first)) return;
    last = first;
    if (dash && !number_parse_unsigned(bytes_of(dash + 1, word.size - size - 1), &last)) return;
    for (uint64_t slot = first; slot <= last && slot < HASH_SLOTS && node->slot_count < HASH_SLOTS; slot++)
        node->slots[node->slot_count++] = (uint16_t)slot;
}

// Reads one line into routes->nodes[node_count], which is counted in when it is a primary with slots.
static void read_line(struct routes *routes, struct bytes line, const char *asked) {
    struct bytes fields[FIELDS_MAX];
    for (unsigned i = 0; i < FIELDS_MAX; i++)
        fields[i] = next_word(&line);
    bool primary = flags_have(fields[2], "master") && !flags_have(fields[2], "fail") &&
                   !flags_have(fields[2], "noaddr") && !flags_have(fields[2], "handshake");
    if (!primary || routes->node_count == ROUTES_NODES_MAX) return;
    routes->nodes = mem_realloc(routes->nodes, (routes->node_count + 1) * sizeof *routes->nodes);
    struct route_node *node = &routes->nodes[routes->node_count];
    memset(node, 0, sizeof *node);
    if (!read_address(node, fields[1], asked)) return;
    snprintf(node->id, sizeof node->id, "%.*s", (int)fields[0].size, fields[0].data);
    node->slots = mem_alloc(HASH_SLOTS * sizeof *node->slots);
    for (struct bytes word = next_word(&line); word.size; word = next_word(&line))
        read_slots(node, word);
    if (node->slot_count)
        routes->node_count++;
    else
        mem_free(node->slots);
}

static struct routes *fetch(const struct options *options, const char *host, uint16_t port, char *error) {
    struct buffer answer = BUFFER_EMPTY;
    struct routes *routes = NULL;
    if (ask(options, host, port, (struct bytes[]){BYTES("CLUSTER"), BYTES("NODES")}, 2, &answer, error)) {
        routes = mem_calloc(1, sizeof *routes);
        for (const char *at = buffer_string(&answer), *end = at + answer.size; at < end;) {
            const char *line_end = memchr(at, '\n', (size_t)(end - at));
            if (!line_end) line_end = end;
            read_line(routes, bytes_of(at, (size_t)(line_end - at)), host);
            at = line_end + 1;
        }
        if (!routes->node_count) {
            snprintf(error, ASK_ERROR_MAX, "no primary serves a slot");
            discard(routes);
            routes = NULL;
        }
    }
    buffer_free(&answer);
    return routes;
}

static void release_locked(struct routes *routes) {
    if (--routes->holders == 0) discard(routes);
}

static void replace(struct routes *routes) {
    struct routes *old = current;
    routes->holders = 1;
    current = routes;
    fetched_ms = clock_mono_ms();
    if (old) release_locked(old);
}

bool routes_start(const struct options *options, char error[ASK_ERROR_MAX]) {
    monitor_init(&guard);
    struct routes *routes = fetch(options, options->host, options->port, error);
    if (routes) replace(routes);
    return routes != NULL;
}

const struct routes *routes_hold(void) {
    monitor_enter(&guard);
    struct routes *routes = current;
    routes->holders++;
    monitor_leave(&guard);
    return routes;
}

void routes_release(const struct routes *routes) {
    monitor_enter(&guard);
    release_locked((struct routes *)routes);
    monitor_leave(&guard);
}

void routes_refresh(const struct options *options) {
    char error[ASK_ERROR_MAX];
    monitor_enter(&guard);
    if (clock_mono_ms() - fetched_ms >= ROUTES_REFRESH_MS) {
        static unsigned
            turn; // another node first each time: one that is behind the others must not be asked alone
        struct routes *fresh = NULL;
        unsigned count = current->node_count, first = turn++;
        for (unsigned i = 0; i < count && !fresh; i++) {
            const struct route_node *node = &current->nodes[(first + i) % count];
            fresh = fetch(options, node->address, node->port, error);
        }
        if (!fresh) fresh = fetch(options, options->host, options->port, error);
        if (fresh) replace(fresh);
        fetched_ms = clock_mono_ms();
    }
    monitor_leave(&guard);
}

void routes_end(void) {
    monitor_enter(&guard);
    release_locked(current);
    current = NULL;
    monitor_leave(&guard);
    monitor_destroy(&guard);
}
