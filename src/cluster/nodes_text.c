#include "cluster/nodes_text.h"

#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"

enum { SLOTS = 16384, PORT_MAX = 65535, FIELDS_MIN = 8 };

struct flag_name {
    const char *name;
    uint16_t flag;
};

// In the order in which they are written.
static const struct flag_name flag_names[] = {
    {"myself", NODES_TEXT_MYSELF}, {"master", NODES_TEXT_PRIMARY},
    {"slave", NODES_TEXT_REPLICA}, {"fail?", NODES_TEXT_PFAIL},
    {"fail", NODES_TEXT_FAIL},     {"handshake", NODES_TEXT_HANDSHAKE},
    {"noaddr", NODES_TEXT_NOADDR}, {"nofailover", NODES_TEXT_NOFAILOVER},
};

// Read as well, never written.
static const struct flag_name flag_aliases[] = {
    {"primary", NODES_TEXT_PRIMARY}, {"replica", NODES_TEXT_REPLICA}, {"noflags", 0}};

enum { FLAG_NAMES = sizeof(flag_names) / sizeof(flag_names[0]), FLAG_ALIASES = 3 };

// ---- Small readers: each takes from the front of *rest ----

// What stands before the next `separator`, or all that is left; false when nothing is left.
static bool cut(struct bytes *rest, char separator, struct bytes *word) {
    if (rest->data == NULL) return false;
    const char *at = rest->size ? memchr(rest->data, separator, rest->size) : NULL;
    if (at == NULL) {
        *word = *rest;
        *rest = bytes_of(NULL, 0);
        return true;
    }
    *word = bytes_of(rest->data, (size_t)(at - rest->data));
    *rest = bytes_of(at + 1, rest->size - word->size - 1);
    return true;
}

static bool next_word(struct bytes *rest, struct bytes *word) {
    do {
        if (!cut(rest, ' ', word)) return false;
    } while (word->size == 0);
    return true;
}

static bool copy_text(char *to, size_t room, struct bytes text) {
    if (text.size >= room || memchr(text.data ? text.data : "", '\0', text.size)) return false;
    if (text.size) memcpy(to, text.data, text.size);
    to[text.size] = '\0';
    return true;
}

static bool copy_id(char *to, struct bytes text) {
    return text.size == NODES_TEXT_ID_SIZE - 1 && copy_text(to, NODES_TEXT_ID_SIZE, text);
}

static bool parse_bounded(struct bytes text, uint64_t max, uint64_t *value) {
    return number_parse_unsigned(text, value) && *value <= max;
}

static bool parse_port(struct bytes text, uint16_t *port) {
    uint64_t value;
    if (!parse_bounded(text, PORT_MAX, &value)) return false;
    *port = (uint16_t)value;
    return true;
}

// ---- The fields of a line ----

// ip:port[@busport]; the last colon splits, since an IPv6 address has some of its own. Without @busport it is
// port + 10000.
static bool parse_endpoint(struct bytes text, struct nodes_text_node *node) {
    struct bytes rest = text, address, bus;
    cut(&rest, '@', &address);
    size_t colon = address.size;
    while (colon > 0 && address.data[colon - 1] != ':')
        colon--;
    if (colon == 0) return false;
    if (!copy_text(node->ip, sizeof(node->ip), bytes_of(address.data, colon - 1))) return false;
    if (!parse_port(bytes_of(address.data + colon, address.size - colon), &node->port)) return false;
    if (cut(&rest, '@', &bus)) return parse_port(bus, &node->bus_port);
    if (node->port > PORT_MAX - 10000) return false;
    node->bus_port = (uint16_t)(node->port ? node->port + 10000 : 0);
    return true;
}

static bool parse_aux(struct bytes field, struct nodes_text_node *node) {
    struct bytes value = field, name;
    uint16_t port;
    if (!cut(&value, '=', &name) || value.data == NULL) return false;
    if (bytes_equal(name, BYTES("shard-id"))) return copy_id(node->shard_id, value);
    if (bytes_equal(name, BYTES("nodename")))
        return copy_text(node->human_nodename, sizeof(node->human_nodename), value);
    // What newer peers write about themselves, and we have no use for.
    if (bytes_equal(name, BYTES("client-ipv4")) || bytes_equal(name, BYTES("client-ipv6"))) return true;
    bool tls = bytes_equal(name, BYTES("tls-port"));
    if (!tls && !bytes_equal(name, BYTES("tcp-port"))) return false;
    if (!parse_port(value, &port)) return false;
    if (port && port != node->port) node->other_port = port, node->other_is_tls = tls;
    return true;
}

static bool parse_address(struct bytes text, struct nodes_text_node *node) {
    struct bytes rest = text, part;
    cut(&rest, ',', &part);
    if (!parse_endpoint(part, node)) return false;
    if (!cut(&rest, ',', &part)) return true;
    // The first element after the endpoint is the hostname; an old writer without one may go straight to aux
    // fields.
    if (memchr(part.data, '=', part.size)) {
        if (!parse_aux(part, node)) return false;
    } else if (!copy_text(node->hostname, sizeof(node->hostname), part)) {
        return false;
    }
    while (cut(&rest, ',', &part))
        if (!parse_aux(part, node)) return false;
    return true;
}

static bool flag_of(struct bytes name, uint16_t *flag) {
    for (size_t i = 0; i < FLAG_NAMES; i++)
        if (bytes_equal(name, bytes_from_string(flag_names[i].name))) return *flag = flag_names[i].flag, true;
    for (size_t i = 0; i < FLAG_ALIASES; i++)
        if (bytes_equal(name, bytes_from_string(flag_aliases[i].name)))
            return *flag = flag_aliases[i].flag, true;
    return false;
}

static bool parse_flags(struct bytes text, uint16_t *flags) {
    struct bytes rest = text, name;
    while (cut(&rest, ',', &name)) {
        uint16_t flag;
        if (!flag_of(name, &flag)) return false;
        *flags |= flag;
    }
    return true;
}

static bool parse_range(struct bytes text, struct nodes_text_range *range) {
    struct bytes rest = text, first, last;
    uint64_t value;
    cut(&rest, '-', &first);
    if (!parse_bounded(first, SLOTS - 1, &value)) return false;
    range->first = range->last = (uint16_t)value;
    if (!cut(&rest, '-', &last)) return true;
    if (rest.data || !parse_bounded(last, SLOTS - 1, &value) || value < range->first) return false;
    range->last = (uint16_t)value;
    return true;
}

// [slot->-id] or [slot-<-id]
static bool parse_move(struct bytes text, struct nodes_text_move *move) {
    enum { ARROW = 3 };
    if (text.size < 2 || text.data[text.size - 1] != ']') return false;
    struct bytes inner = bytes_of(text.data + 1, text.size - 2);
    const char *dash = memchr(inner.data, '-', inner.size);
    uint64_t slot;
    if (dash == NULL || (size_t)(inner.data + inner.size - dash) < ARROW || dash[2] != '-') return false;
    if (dash[1] != '>' && dash[1] != '<') return false;
    if (!parse_bounded(bytes_of(inner.data, (size_t)(dash - inner.data)), SLOTS - 1, &slot)) return false;
    move->slot = (uint16_t)slot;
    move->importing = dash[1] == '<';
    return copy_id(move->id, bytes_of(dash + ARROW, (size_t)(inner.data + inner.size - dash) - ARROW));
}

static bool parse_slots(struct bytes rest, struct nodes_text_node *node) {
    struct bytes word;
    while (next_word(&rest, &word)) {
        if (word.data[0] == '[') {
            if (node->move_count == SLOTS) return false;
            node->moves = mem_realloc(node->moves, (node->move_count + 1) * sizeof(*node->moves));
            if (!parse_move(word, &node->moves[node->move_count])) return false;
            node->move_count++;
        } else {
            if (node->range_count == SLOTS) return false;
            node->ranges = mem_realloc(node->ranges, (node->range_count + 1) * sizeof(*node->ranges));
            if (!parse_range(word, &node->ranges[node->range_count])) return false;
            node->range_count++;
        }
    }
    return true;
}

// NULL, or what is wrong with the line.
static const char *parse_node(struct bytes line, struct nodes_text_node *node) {
    struct bytes rest = line, fields[FIELDS_MIN];
    for (size_t i = 0; i < FIELDS_MIN; i++)
        if (!next_word(&rest, &fields[i])) return "fewer than 8 fields";
    if (!copy_id(node->id, fields[0])) return "the node's name is not 40 characters long";
    if (!parse_address(fields[1], node)) return "bad address";
    if (!parse_flags(fields[2], &node->flags)) return "unknown flag";
    if (!bytes_equal(fields[3], BYTES("-")) && !copy_id(node->primary, fields[3]))
        return "bad name of the primary";
    if (!number_parse_unsigned(fields[4], &node->ping_sent)) return "bad time of the last ping";
    if (!number_parse_unsigned(fields[5], &node->pong_received)) return "bad time of the last pong";
    if (!number_parse_unsigned(fields[6], &node->config_epoch)) return "bad config epoch";
    node->link_up = bytes_equal(fields[7], BYTES("connected"));
    if (!node->link_up && !bytes_equal(fields[7], BYTES("disconnected"))) return "bad link state";
    return parse_slots(rest, node) ? NULL : "bad slot";
}

static const char *parse_vars(struct bytes rest, struct nodes_text *out) {
    struct bytes name, value;
    while (next_word(&rest, &name)) {
        if (!next_word(&rest, &value)) return "a variable without value";
        bool good = true;
        if (bytes_equal(name, BYTES("currentEpoch")))
            good = number_parse_unsigned(value, &out->current_epoch);
        if (bytes_equal(name, BYTES("lastVoteEpoch")))
            good = number_parse_unsigned(value, &out->last_vote_epoch);
        if (!good) return "bad value of a variable";
    }
    out->has_vars = true;
    return NULL;
}

static const char *parse_line(struct bytes line, struct nodes_text *out, size_t *capacity) {
    struct bytes rest = line, word;
    if (!next_word(&rest, &word)) return NULL; // blank
    if (bytes_equal(word, BYTES("vars"))) return parse_vars(rest, out);
    if (out->count == NODES_TEXT_NODES_MAX) return "too many nodes";
    if (out->count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 16;
        out->nodes = mem_realloc(out->nodes, *capacity * sizeof(*out->nodes));
    }
    struct nodes_text_node *node = &out->nodes[out->count++];
    memset(node, 0, sizeof(*node));
    return parse_node(line, node);
}

bool nodes_text_parse(struct bytes text, struct nodes_text *out, struct buffer *error) {
    struct bytes rest = text, line;
    size_t number = 0, capacity = 0;
    memset(out, 0, sizeof(*out));
    while (cut(&rest, '\n', &line)) {
        number++;
        if (line.size && line.data[line.size - 1] == '\r') line.size--;
        const char *wrong = line.size ? parse_line(line, out, &capacity) : NULL;
        if (wrong == NULL) continue;
        buffer_appendf(error, "line %zu: %s", number, wrong);
        nodes_text_free(out);
        return false;
    }
    return true;
}

void nodes_text_free(struct nodes_text *text) {
    for (size_t i = 0; i < text->count; i++) {
        mem_free(text->nodes[i].ranges);
        mem_free(text->nodes[i].moves);
    }
    mem_free(text->nodes);
    memset(text, 0, sizeof(*text));
}

// ---- Writing ----
//
// A large cluster writes thousands of lines in each save: room for a part is made once, then it is written
// with a pen that asks for no more.

enum {
    PART_MAX = 2048,  // bytes of a line before its slots
    RANGE_MAX = 16,   // " 16383-16383"
    MOVE_MAX = 64,    // " [16383-<-id]"
    NUMBER_ROOM = 32, // for what copies whole words
};

static char *put_text(char *pen, const char *text) {
    size_t size = strlen(text);
    memcpy(pen, text, size);
    return pen + size;
}

static char *put_number(char *pen, uint64_t number) {
    if (number >= 10) return pen + number_format_unsigned(pen, number);
    *pen = (char)('0' + number);
    return pen + 1;
}

static char *put_pair(char *pen, const char *before, uint64_t number) {
    return put_number(put_text(pen, before), number);
}

static char *put_id(char *pen, const char *id) {
    memcpy(pen, id, NODES_TEXT_ID_SIZE - 1);
    return pen + NODES_TEXT_ID_SIZE - 1;
}

static char *put_flags(char *pen, uint16_t flags) {
    char *begin = pen;
    for (size_t i = 0; i < FLAG_NAMES; i++) {
        if (!(flags & flag_names[i].flag)) continue;
        if (pen > begin) *pen++ = ',';
        pen = put_text(pen, flag_names[i].name);
    }
    return pen > begin ? pen : put_text(pen, "noflags");
}

// A file names the hostname even when it is empty, because aux fields follow.
static char *put_address(char *pen, const struct nodes_text_node *node, enum nodes_text_style style) {
    *pen++ = ' ';
    pen = put_text(pen, node->ip);
    pen = put_pair(pen, ":", node->port);
    pen = put_pair(pen, "@", node->bus_port);
    if (style == NODES_TEXT_FILE || node->hostname[0]) pen = put_text(put_text(pen, ","), node->hostname);
    if (style == NODES_TEXT_REPLY) return pen;
    if (node->shard_id[0]) pen = put_id(put_text(pen, ",shard-id="), node->shard_id);
    if (node->human_nodename[0]) pen = put_text(put_text(pen, ",nodename="), node->human_nodename);
    if (node->other_port)
        pen = put_pair(pen, node->other_is_tls ? ",tls-port=" : ",tcp-port=", node->other_port);
    return pen;
}

static void write_moves(struct buffer *out, const struct nodes_text_node *node) {
    buffer_reserve(out, node->move_count * MOVE_MAX);
    char *pen = out->data + out->size;
    for (size_t i = 0; i < node->move_count; i++) {
        pen = put_pair(pen, " [", node->moves[i].slot);
        pen = put_id(put_text(pen, node->moves[i].importing ? "-<-" : "->-"), node->moves[i].id);
        *pen++ = ']';
    }
    out->size = (size_t)(pen - out->data);
}

static void write_ranges(struct buffer *out, const struct nodes_text_node *node) {
    buffer_reserve(out, node->range_count * RANGE_MAX + NUMBER_ROOM);
    char *pen = out->data + out->size;
    for (size_t i = 0; i < node->range_count; i++) {
        pen = put_pair(pen, " ", node->ranges[i].first);
        if (node->ranges[i].last != node->ranges[i].first) pen = put_pair(pen, "-", node->ranges[i].last);
    }
    out->size = (size_t)(pen - out->data);
}

void nodes_text_write(struct buffer *out, const struct nodes_text_node *node, enum nodes_text_style style) {
    buffer_reserve(out, PART_MAX);
    char *pen = put_id(out->data + out->size, node->id);
    pen = put_address(pen, node, style);
    *pen++ = ' ';
    pen = put_flags(pen, node->flags);
    *pen++ = ' ';
    pen = node->primary[0] ? put_id(pen, node->primary) : put_text(pen, "-");
    pen = put_pair(pen, " ", node->ping_sent);
    pen = put_pair(pen, " ", node->pong_received);
    pen = put_pair(pen, " ", node->config_epoch);
    pen = put_text(pen, node->link_up ? " connected" : " disconnected");
    out->size = (size_t)(pen - out->data);
    if (node->range_count) write_ranges(out, node);
    if (node->move_count) write_moves(out, node);
    buffer_append_byte(out, '\n');
}

void nodes_text_write_vars(struct buffer *out, uint64_t current_epoch, uint64_t last_vote_epoch) {
    buffer_reserve(out, PART_MAX);
    char *pen = put_pair(out->data + out->size, "vars currentEpoch ", current_epoch);
    pen = put_pair(pen, " lastVoteEpoch ", last_vote_epoch);
    *pen++ = '\n';
    out->size = (size_t)(pen - out->data);
}
