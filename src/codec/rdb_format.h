// rdb_format: the constants of the RDB format, shared by files and DUMP payloads, and the choices open to a
// writer. Pure.
//
//   file    = "REDIS" version(4 digits) record* EOF checksum(8, little-endian; absent before version 5, zero
//   for none) record  = opcode operands | [EXPIRETIME_MS time] [IDLE seconds | FREQ byte] type key value
//   payload = type value version(2, little-endian) checksum(8, little-endian)
#ifndef SHOAL_CODEC_RDB_FORMAT_H
#define SHOAL_CODEC_RDB_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RDB_VERSION_DEFAULT = 10, // what Redis 7.0 writes, so that it and everything later can read ours
    RDB_VERSION_WRITTEN_MIN = 9,
    RDB_VERSION_MAX = 12,     // the newest that is read
    RDB_VERSION_CHECKSUM = 5, // files older than this end without a checksum
    RDB_CHECKSUM_SIZE = 8,
    RDB_HEADER_SIZE = 9,
};

// The longest string that is read unless the reader is told otherwise: proto-max-bulk-len's default.
#define RDB_STRING_MAX ((size_t)512 << 20)

enum rdb_opcode {
    RDB_OPCODE_SLOT_INFO = 0xf4,
    RDB_OPCODE_FUNCTION = 0xf5,
    RDB_OPCODE_FUNCTION_DRAFT = 0xf6,
    RDB_OPCODE_MODULE_AUX = 0xf7,
    RDB_OPCODE_IDLE = 0xf8,
    RDB_OPCODE_FREQUENCY = 0xf9,
    RDB_OPCODE_AUX = 0xfa,
    RDB_OPCODE_RESIZE_DB = 0xfb,
    RDB_OPCODE_EXPIRE_MS = 0xfc,
    RDB_OPCODE_EXPIRE_SECONDS = 0xfd,
    RDB_OPCODE_SELECT_DB = 0xfe,
    RDB_OPCODE_EOF = 0xff,
};

enum rdb_type {
    RDB_TYPE_STRING = 0,
    RDB_TYPES = 26, // one more than the greatest that Redis has given out
};

// The first byte of a length: its two high bits tell the form.
enum rdb_length_form {
    RDB_LENGTH_6 = 0x00,       // the other six bits are the length
    RDB_LENGTH_14 = 0x40,      // they and the next byte
    RDB_LENGTH_32 = 0x80,      // the next four bytes, big-endian
    RDB_LENGTH_64 = 0x81,      // the next eight bytes, big-endian
    RDB_LENGTH_SPECIAL = 0xc0, // no length: one of rdb_special in the other six bits
};

enum rdb_special { RDB_SPECIAL_INT8 = 0, RDB_SPECIAL_INT16 = 1, RDB_SPECIAL_INT32 = 2, RDB_SPECIAL_LZF = 3 };

// How to write.
struct rdb_format {
    unsigned version; // RDB_VERSION_WRITTEN_MIN..RDB_VERSION_MAX
    bool compress;    // rdbcompression
    bool checksum;    // rdbchecksum; a DUMP payload always has one
};

#define RDB_FORMAT_DEFAULT ((struct rdb_format){RDB_VERSION_DEFAULT, true, true})

// What a key carries beside its value; -1 leaves a field out. A record has an idle time or a frequency, not
// both.
struct rdb_key_attributes {
    int64_t expire_ms;    // wall clock
    int64_t idle_seconds; // under an LRU policy
    int frequency;        // 0..255, under an LFU policy
};

#define RDB_KEY_PLAIN ((struct rdb_key_attributes){-1, -1, -1})

#endif
