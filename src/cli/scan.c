#include <stdio.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/words.h"
#include "cli/modes.h"
#include "os/clock.h"
#include "resp/request.h"

static void queue_scan(struct connection *connection, struct bytes cursor, const struct options *options) {
    struct buffer *queue = connection_queue(connection);
    request_begin(queue, 2 + (options->scan_pattern.data ? 2 : 0) + (options->scan_count ? 2 : 0));
    request_string(queue, "SCAN");
    request_argument(queue, cursor);
    if (options->scan_pattern.data) {
        request_string(queue, "MATCH");
        request_argument(queue, options->scan_pattern);
    }
    if (options->scan_count) {
        request_string(queue, "COUNT");
        request_integer(queue, options->scan_count);
    }
}

static void print_keys(struct buffer *out, const struct reply *keys, const struct options *options) {
    for (size_t i = 0; i < keys->count; i++) {
        if (options->style.format == OUTPUT_FORMATTED)
            words_quote(out, keys->items[i].text);
        else
            buffer_append_bytes(out, keys->items[i].text);
        buffer_append_byte(out, '\n');
    }
    fwrite(out->data, 1, out->size, stdout);
    out->size = 0;
}

int scan_run(struct client *client, const struct options *options) {
    struct connection *connection = client_connection(client);
    struct buffer cursor = BUFFER_EMPTY, out = BUFFER_EMPTY;
    buffer_append_byte(&cursor, '0');
    int status = 0;
    do {
        queue_scan(connection, buffer_bytes(&cursor), options);
        const struct reply *reply = connection_read(connection);
        if (!reply) {
            fprintf(stderr, "\nI/O error: %s\n", connection_error(connection));
            status = 1;
        } else if (reply->type == REPLY_ERROR) {
            fprintf(stderr, "ERROR: %.*s\n", (int)reply->text.size, reply->text.data);
            status = 1;
        } else if (reply->type != REPLY_ARRAY || reply->count != 2 || reply->items[0].text.size == 0) {
            fprintf(stderr, "Non ARRAY response from SCAN!\n");
            status = 1;
        } else {
            cursor.size = 0;
            buffer_append_bytes(&cursor, reply->items[0].text);
            print_keys(&out, &reply->items[1], options);
            if (options->interval_us) clock_sleep_us(options->interval_us);
        }
    } while (status == 0 && !bytes_equal(buffer_bytes(&cursor), BYTES("0")));
    buffer_free(&cursor);
    buffer_free(&out);
    return status;
}
