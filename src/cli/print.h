// print: replies as people, scripts and spreadsheets want them. No output of its own: all goes to a buffer.
#ifndef SHOAL_CLI_PRINT_H
#define SHOAL_CLI_PRINT_H

#include "base/buffer.h"
#include "base/bytes.h"
#include "resp/reply.h"

enum output_format { OUTPUT_FORMATTED, OUTPUT_RAW, OUTPUT_CSV, OUTPUT_JSON, OUTPUT_QUOTED_JSON };

struct print_style {
    enum output_format format;
    struct bytes item_delimiter;  // between the items of a raw reply
    struct bytes reply_delimiter; // after a raw reply
};

// Appends a whole reply. `plain`: a text written for people (INFO, CLIENT LIST), shown as it is in every
// format, as redis-cli does.
void print_reply(struct buffer *out, const struct reply *reply, const struct print_style *style, bool plain);

#endif
