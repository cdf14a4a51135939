// fault: why bytes could not be turned into values. Pure.
#ifndef SHOAL_CODEC_FAULT_H
#define SHOAL_CODEC_FAULT_H

#include <stdint.h>

enum codec_status {
    CODEC_OK,
    CODEC_TRUNCATED,   // the bytes end in the middle of something
    CODEC_READ_FAILED, // the source said so
    CODEC_CORRUPT,     // they can't be right
    CODEC_UNSUPPORTED, // they may be right, but this version does not read them
    CODEC_NO_MEMORY,
};

enum { FAULT_TEXT_MAX = 192 };

struct codec_fault {
    enum codec_status status;
    uint64_t offset;           // of the byte from the start of the file at which reading stopped
    char text[FAULT_TEXT_MAX]; // a sentence without a full stop, offset included; empty while status is
                               // CODEC_OK
};

#endif
