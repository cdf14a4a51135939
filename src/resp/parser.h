// parser: bytes of a client to commands, incrementally. Pure; belongs to one thread at a time.
//
// Arguments are views into the caller's input buffer, valid while that buffer is neither moved nor dropped.
// Between calls the parser keeps offsets only, so the buffer may move when more bytes arrive.
// Source: the Redis serialization protocol specification, "Sending commands" and "Inline commands".
#ifndef SHOAL_RESP_PARSER_H
#define SHOAL_RESP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    RESP_INLINE_MAX = 64 * 1024,         // bytes of an inline command, and of a length line
    RESP_ARGUMENTS_MAX = 1024 * 1024,    // arguments of a command from a client that may send that many
    RESP_UNAUTHENTICATED_ARGUMENTS = 10, // and of one that has not authenticated
    RESP_UNAUTHENTICATED_BULK = 16384,
};

struct resp_limits {
    uint64_t bulk_max;      // proto-max-bulk-len
    uint64_t arguments_max;
    bool unauthenticated;
};

enum resp_result {
    RESP_COMMAND,        // a whole command
    RESP_MORE,           // its rest has not come
    RESP_BATCH_FULL,     // the batch has no room: execute what is in it, reset it, call again
    RESP_PROTOCOL_ERROR, // the client speaks no RESP
};

// A parsed command. `raw` are its bytes as they came (of an inline command: not RESP).
struct resp_command {
    struct bytes *argv;
    int argc; // 0: an empty line, nothing to do
    bool is_inline;
    struct bytes raw;
    // A place for what the caller has found out about the name, or NULL: the next command whose name is spelt with the
    // same bytes mostly finds it there, and at worst NULL. Valid until the next command is parsed.
    const void **note;
};

// Room for the arguments of the commands that are parsed before any of them is executed. One a worker.
struct resp_batch {
    struct bytes *arguments;
    size_t used;
    size_t capacity;
    struct resp_head *heads; // how recent commands began
};

void resp_batch_init(struct resp_batch *batch);
void resp_batch_free(struct resp_batch *batch);

// Empties it: its commands are executed. A batch that a huge command has widened is given back.
void resp_batch_reset(struct resp_batch *batch);

// What is known of a command that has come in part. All zero at the start of each connection.
struct resp_parser {
    uint32_t arguments;    // how many the command has; 0: its first line has not been read
    uint32_t parsed;       // how many of them are saved
    size_t position;       // where to go on, from the start of the command
    size_t wanted;         // after RESP_MORE: a hint of how many bytes are still missing, at least 1; else 0
    const char *error;     // after RESP_PROTOCOL_ERROR: the text that follows "Protocol error: "
    struct resp_piece *saved;
    size_t saved_capacity;
    struct words *words;   // an inline command's arguments
};

void resp_parser_free(struct resp_parser *parser);

// Forgets the command that has come in part: the next call begins with its first byte, or elsewhere.
void resp_parser_restart(struct resp_parser *parser);

// Tries to take one command from the front of `input`.
// RESP_COMMAND: *command is valid until the batch is reset (an inline one: until the next call with this parser, so
// execute it at once), and the command->raw.size bytes are done with.
// RESP_MORE, RESP_PROTOCOL_ERROR: parser->wanted, parser->error tell more.
enum resp_result resp_parse(struct resp_parser *parser, struct resp_batch *batch, struct bytes input,
                            const struct resp_limits *limits, struct resp_command *command);

// Takes whole commands of the everyday kind (that begin like a recent one, and have short arguments) from the
// front of *input, up to `most`, into *first and the places that follow it at a distance of `stride` bytes;
// how many there were. All are valid as resp_parse's are, but their notes until the next call of resp_parse.
// What follows them is for resp_parse to judge.
unsigned resp_parse_known(struct resp_parser *parser, struct resp_batch *batch, struct bytes *input,
                          const struct resp_limits *limits, struct resp_command *first, size_t stride,
                          unsigned most);

#endif
