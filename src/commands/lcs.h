// lcs: the longest common subsequence of two strings, by the textbook table. Pure.
#ifndef SHOAL_COMMANDS_LCS_H
#define SHOAL_COMMANDS_LCS_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct lcs;

// Bytes that the table for strings of these sizes takes; SIZE_MAX when that cannot be said in a size_t.
size_t lcs_memory(size_t a_size, size_t b_size);

// The solved table; NULL when memory is out. The strings (each below 4 GiB) must outlive it.
struct lcs *lcs_solve(struct bytes a, struct bytes b);
void lcs_free(struct lcs *lcs);

uint32_t lcs_length(const struct lcs *lcs);

// A run: `length` equal bytes at a_at and at b_at.
struct lcs_run {
    uint32_t a_at, b_at, length;
};

// Calls visit for each run of the subsequence, the last one first.
void lcs_each_run(const struct lcs *lcs, void (*visit)(void *context, struct lcs_run run), void *context);

#endif
