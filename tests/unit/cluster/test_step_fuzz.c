// Random programs for the fuzzer of the state machine (tests/fuzz/fuzz_cluster_step.c): the same ones with
// each run, so that its checks are part of every test run. `./dev fuzz cluster_step` searches for more.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"

#include "../../fuzz/fuzz_cluster_step.c"

enum { PROGRAMS = 200, PROGRAM_MAX = 4096 };

static void random_programs_break_nothing(void **state) {
    static uint8_t program[PROGRAM_MAX];
    static char origin[64];
    fuzz_origin = origin;
    for (uint64_t seed = 1; seed <= PROGRAMS; seed++) {
        struct prng prng;
        prng_seed(&prng, seed);
        size_t size = 64 + prng_below(&prng, PROGRAM_MAX - 64);
        for (size_t i = 0; i < size; i++)
            program[i] = (uint8_t)prng_next(&prng);
        snprintf(origin, sizeof(origin), "program %llu", (unsigned long long)seed);
        assert_int_equal(LLVMFuzzerTestOneInput(program, size), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_programs_break_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
