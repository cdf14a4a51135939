// reply_scan: finds where replies end in a stream of RESP2 or RESP3, without keeping them. It may stop and go
// on at any byte, so no reply is ever buffered. Only the text of an error is kept. Pure; belongs to one
// thread at a time.
#ifndef SHOAL_BENCH_REPLY_SCAN_H
#define SHOAL_BENCH_REPLY_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REPLY_ERROR_MAX = 256, // an error's text is cut here
    REPLY_LENGTH_MAX = 1 << 30,
};

// All zero is ready for the first byte.
struct reply_scan {
    uint8_t state;
    char type;
    bool negative;
    bool inside;       // an aggregate has begun and is not complete
    bool pushed;       // that aggregate is a push: no reply of its own
    bool broken;       // the stream is not RESP; nothing more is consumed
    uint64_t number;   // of the header line being read
    uint64_t skip;     // bytes of a body still to come, its line end included
    uint64_t elements; // still to come before the reply is complete
    size_t error_size;
    char error[REPLY_ERROR_MAX]; // terminated
};

enum reply_found {
    REPLY_MORE,  // everything was consumed, no error at the end
    REPLY_ERROR, // stopped behind a reply that is an error: scan->error; it is counted
    REPLY_BROKEN,
};

// Consumes from data[*at..size), advancing *at, and adds the replies that were completed to *completed.
enum reply_found reply_scan_feed(struct reply_scan *scan, const char *data, size_t size, size_t *at,
                                 unsigned *completed);

#endif
