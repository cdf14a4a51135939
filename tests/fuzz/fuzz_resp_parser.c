// Any bytes from a client: no harm, and the same commands whether they come at once or in pieces.
// Input: a byte of flags (bit 0: not authenticated, bits 4-7: the size of the pieces), then what the client
// sends.
#include <stdint.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "resp/parser.h"

enum { BULK_MAX = 4096, ARGUMENTS_MAX = 2000, COMMANDS_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds) abort();
}

static void record_number(struct buffer *record, size_t number) {
    buffer_append(record, &number, sizeof number);
}

static void record_command(const struct resp_command *command, const struct resp_limits *limits,
                           struct buffer *record) {
    require(command->argc >= 0);
    record_number(record, (size_t)command->argc);
    for (int i = 0; i < command->argc; i++) {
        require(command->is_inline || command->argv[i].size <= limits->bulk_max);
        record_number(record, command->argv[i].size);
        buffer_append_bytes(record, command->argv[i]);
    }
}

// What one connection holds.
struct client {
    struct resp_parser parser;
    struct resp_batch batch;
    struct resp_command commands[COMMANDS_MAX];
    size_t count;
    size_t at; // how much of the input the commands have taken
};

// As a worker does: the commands of a batch are parsed first and executed then, out of the same input.
static void execute(struct client *client, const struct resp_limits *limits, struct buffer *record) {
    for (size_t i = 0; i < client->count; i++)
        record_command(&client->commands[i], limits, record);
    client->count = 0;
    resp_batch_reset(&client->batch);
}

// Takes all whole commands out of `input` and writes them down. False after a protocol error.
static bool drain(struct client *client, struct buffer *input, const struct resp_limits *limits,
                  struct buffer *record) {
    enum resp_result result;
    client->at = 0;
    do {
        struct bytes rest = bytes_of(input->data + client->at, input->size - client->at);
        struct resp_command *command = &client->commands[client->count];
        result = resp_parse(&client->parser, &client->batch, rest, limits, command);
        if (result == RESP_COMMAND) {
            require(command->raw.size >= 1 && command->raw.size <= rest.size);
            require(command->raw.data == rest.data);
            client->at += command->raw.size;
            client->count++;
        }
        if (result == RESP_MORE) require(client->parser.wanted >= 1);
        if (result == RESP_BATCH_FULL) require(client->count > 0);
        bool at_once = result == RESP_COMMAND && command->is_inline;
        if (result != RESP_COMMAND || at_once || client->count == COMMANDS_MAX)
            execute(client, limits, record);
    } while (result == RESP_COMMAND || result == RESP_BATCH_FULL);
    buffer_drop_front(input, client->at);
    if (result == RESP_PROTOCOL_ERROR) buffer_append_string(record, client->parser.error);
    return result != RESP_PROTOCOL_ERROR;
}

// Every piece comes in memory of its own size, so that a read beyond it is seen.
static void feed(struct bytes sent, size_t piece, const struct resp_limits *limits, struct buffer *record) {
    static struct client client;
    resp_batch_init(&client.batch);
    struct buffer input = BUFFER_EMPTY;
    for (size_t at = 0; at < sent.size; at += piece) {
        size_t size = sent.size - at < piece ? sent.size - at : piece;
        struct buffer moved = {mem_alloc(input.size + size), 0, input.size + size};
        buffer_append_bytes(&moved, buffer_bytes(&input));
        buffer_append(&moved, sent.data + at, size);
        buffer_free(&input);
        input = moved;
        if (!drain(&client, &input, limits, record)) break;
    }
    buffer_free(&input);
    resp_batch_free(&client.batch);
    resp_parser_free(&client.parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    struct resp_limits limits = {
        .bulk_max = BULK_MAX, .arguments_max = ARGUMENTS_MAX, .unauthenticated = data[0] & 1};
    struct bytes sent = bytes_of(data + 1, size - 1);
    struct buffer whole = BUFFER_EMPTY, pieces = BUFFER_EMPTY;
    feed(sent, sent.size, &limits, &whole);
    feed(sent, (size_t)(data[0] >> 4) + 1, &limits, &pieces);
    require(bytes_equal(buffer_bytes(&whole), buffer_bytes(&pieces)));
    buffer_free(&whole);
    buffer_free(&pieces);
    return 0;
}
