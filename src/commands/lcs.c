#include "commands/lcs.h"

#include <string.h>

#include "base/memory.h"

struct lcs {
    struct bytes a, b;
    uint32_t cells[]; // (a.size + 1) rows of b.size + 1: the length for the first i bytes of a and the first
                      // j of b
};

static inline uint32_t cell(const struct lcs *lcs, size_t i, size_t j) {
    return lcs->cells[i * (lcs->b.size + 1) + j];
}

size_t lcs_memory(size_t a_size, size_t b_size) {
    size_t cells, bytes;
    if (__builtin_mul_overflow(a_size + 1, b_size + 1, &cells)) return SIZE_MAX;
    if (__builtin_mul_overflow(cells, sizeof(uint32_t), &bytes)) return SIZE_MAX;
    return bytes > SIZE_MAX - sizeof(struct lcs) ? SIZE_MAX : bytes;
}

struct lcs *lcs_solve(struct bytes a, struct bytes b) {
    size_t size = lcs_memory(a.size, b.size);
    struct lcs *lcs = size == SIZE_MAX ? NULL : mem_try_alloc(sizeof *lcs + size);
    if (!lcs) return NULL;
    lcs->a = a;
    lcs->b = b;
    size_t width = b.size + 1;
    memset(lcs->cells, 0, width * sizeof *lcs->cells);
    for (size_t i = 1; i <= a.size; i++) {
        const uint32_t *above = &lcs->cells[(i - 1) * width];
        uint32_t *row = &lcs->cells[i * width];
        row[0] = 0;
        for (size_t j = 1; j <= b.size; j++) {
            if (a.data[i - 1] == b.data[j - 1])
                row[j] = above[j - 1] + 1;
            else
                row[j] = above[j] > row[j - 1] ? above[j] : row[j - 1];
        }
    }
    return lcs;
}

void lcs_free(struct lcs *lcs) {
    mem_free(lcs);
}

uint32_t lcs_length(const struct lcs *lcs) {
    return cell(lcs, lcs->a.size, lcs->b.size);
}

void lcs_each_run(const struct lcs *lcs, void (*visit)(void *context, struct lcs_run run), void *context) {
    size_t i = lcs->a.size, j = lcs->b.size;
    while (i > 0 && j > 0) {
        struct lcs_run run = {0};
        while (i > 0 && j > 0 && lcs->a.data[i - 1] == lcs->b.data[j - 1]) {
            i--, j--;
            run = (struct lcs_run){(uint32_t)i, (uint32_t)j, run.length + 1};
        }
        if (run.length) {
            visit(context, run);
        } else if (cell(lcs, i - 1, j) > cell(lcs, i, j - 1)) {
            i--;
        } else {
            j--;
        }
    }
}
