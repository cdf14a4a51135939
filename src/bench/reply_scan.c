#include "bench/reply_scan.h"

#include <string.h>

enum { AT_TYPE, AT_NUMBER, AT_TEXT, AT_BODY };

static bool is_text(char type) {
    return type == '+' || type == '-' || type == ':' || type == ',' || type == '#' || type == '(' ||
           type == '_';
}

static bool is_body(char type) {
    return type == '$' || type == '=' || type == '!';
}

static bool is_aggregate(char type) {
    return type == '*' || type == '~' || type == '%' || type == '>' || type == '|';
}

static void begin(struct reply_scan *scan, char type) {
    scan->type = type;
    scan->number = 0;
    scan->negative = false;
    scan->error_size = 0;
    if (is_text(type))
        scan->state = AT_TEXT;
    else if (is_body(type) || is_aggregate(type))
        scan->state = AT_NUMBER;
    else
        scan->broken = true;
}

// An element is complete: true when the reply that holds it is complete as well.
static bool finish_element(struct reply_scan *scan) {
    scan->state = AT_TYPE;
    if (!scan->inside) return true;
    if (--scan->elements) return false;
    scan->inside = false;
    bool reply = !scan->pushed;
    scan->pushed = false;
    return reply;
}

// The header of an aggregate is complete: its elements come before whatever was awaited. An attribute ('|')
// stands before the element it describes and does not count as one.
static bool open_aggregate(struct reply_scan *scan) {
    uint64_t count = scan->negative ? 0 : scan->number;
    if (scan->type == '%' || scan->type == '|') count *= 2;
    scan->state = AT_TYPE;
    if (scan->type == '|') {
        if (!scan->inside) scan->elements = 1; // the described element itself
        scan->inside = true;
        scan->elements += count;
        return false;
    }
    if (!scan->inside && count) {
        scan->inside = true;
        scan->pushed = scan->type == '>';
        scan->elements = count;
        return false;
    }
    if (!count) return finish_element(scan) && scan->type != '>';
    scan->elements += count - 1;
    return false;
}

static void keep_error(struct reply_scan *scan, const char *text, size_t size) {
    size_t room = REPLY_ERROR_MAX - 1 - scan->error_size;
    if (size > room) size = room;
    memcpy(scan->error + scan->error_size, text, size);
    scan->error_size += size;
    scan->error[scan->error_size] = '\0';
}

// Reads a header's number up to its line end; true when the element it announces is complete (an empty one).
static bool feed_number(struct reply_scan *scan, char byte, bool *reply) {
    if (byte >= '0' && byte <= '9') {
        scan->number = scan->number * 10 + (uint64_t)(byte - '0');
        if (scan->number > REPLY_LENGTH_MAX) scan->broken = true;
        return false;
    }
    if (byte == '-') {
        scan->negative = true;
        return false;
    }
    if (byte == '\r') return false;
    if (byte != '\n') {
        scan->broken = true;
        return false;
    }
    if (is_aggregate(scan->type)) {
        *reply = open_aggregate(scan);
        return *reply;
    }
    if (scan->negative) {
        *reply = finish_element(scan);
        return true;
    }
    scan->skip = scan->number + 2;
    scan->state = AT_BODY;
    return false;
}

enum reply_found reply_scan_feed(struct reply_scan *scan, const char *data, size_t size, size_t *at,
                                 unsigned *completed) {
    size_t here = *at;
    bool reply = false;
    while (here < size && !scan->broken) {
        bool complete = false, error = false;
        switch (scan->state) {
        case AT_TYPE: begin(scan, data[here++]); break;
        case AT_NUMBER: complete = feed_number(scan, data[here++], &reply); break;
        case AT_TEXT: {
            const char *end = memchr(data + here, '\n', size - here);
            size_t taken = end ? (size_t)(end - (data + here)) + 1 : size - here;
            if (scan->type == '-') keep_error(scan, data + here, taken);
            here += taken;
            if (!end) break;
            while (scan->error_size && (unsigned char)scan->error[scan->error_size - 1] < ' ')
                scan->error[--scan->error_size] = '\0';
            error = scan->type == '-' && !scan->inside;
            reply = finish_element(scan);
            complete = true;
            break;
        }
        case AT_BODY: {
            uint64_t taken = scan->skip < size - here ? scan->skip : size - here;
            if (scan->type == '!') keep_error(scan, data + here, taken);
            here += taken;
            scan->skip -= taken;
            if (scan->skip) break;
            error = scan->type == '!' && !scan->inside;
            reply = finish_element(scan);
            complete = true;
            break;
        }
        }
        if (complete && reply) ++*completed;
        if (error) {
            *at = here;
            return REPLY_ERROR;
        }
    }
    *at = here;
    return scan->broken ? REPLY_BROKEN : REPLY_MORE;
}
