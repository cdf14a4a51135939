// tests: the requests that redis-benchmark knows by name. Pure.
#ifndef SHOAL_BENCH_TESTS_H
#define SHOAL_BENCH_TESTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "bench/request.h"

struct test;

// The test at `index` in the order of running, or NULL behind the last.
const struct test *tests_at(size_t index);
const char *test_title(const struct test *test);

// Is it asked for by the comma separated `names` (case does not matter), or, with NULL, one of the default
// tests?
bool test_selected(const struct test *test, const char *names);

// Does any test answer to the first of the comma separated `names`? The name's size goes to *size.
bool tests_know(const char *names, size_t *size);

// Builds the request. `data`: the value; `random` and `tagged`: as in request_build.
bool test_build(const struct test *test, struct request_shape *shape, struct bytes data, bool random,
                bool tagged);

#endif
