#include "os/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *out, size_t size) {
    char *at = out;
    while (size) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0) {
            if (errno == EINTR) continue;
            perror("getrandom");
            abort();
        }
        at += got;
        size -= (size_t)got;
    }
}

uint64_t random_u64(void) {
    uint64_t value;
    random_bytes(&value, sizeof value);
    return value;
}

void random_hex(char *out, size_t size) {
    for (size_t i = 0; i < size; i += 16) {
        uint64_t bits = random_u64();
        for (size_t j = i; j < size && j < i + 16; j++, bits >>= 4)
            out[j] = "0123456789abcdef"[bits & 15];
    }
    out[size] = '\0';
}
