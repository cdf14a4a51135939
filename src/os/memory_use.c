#include "os/memory_use.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/lock.h"

#ifdef SHOAL_JEMALLOC
#include <jemalloc/jemalloc.h>

enum { THREADS_MAX = 256 };

struct totals {
    uint64_t *allocated;
    uint64_t *freed;
};

static struct lock registry_lock; // guards the three below
static struct totals registry[THREADS_MAX];
static unsigned registered;
static int64_t left_behind; // what ended threads allocated less what they freed
static _Thread_local unsigned my_place;

void memory_use_thread_enter(void) {
    uint64_t *allocated = NULL, *freed = NULL;
    size_t size = sizeof allocated;
    if (mallctl("thread.allocatedp", &allocated, &size, NULL, 0) != 0) return;
    if (mallctl("thread.deallocatedp", &freed, &size, NULL, 0) != 0) return;
    lock_acquire(&registry_lock);
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        if (registry[i].allocated) continue;
        registry[i] = (struct totals){allocated, freed};
        my_place = i + 1;
        if (i >= registered) registered = i + 1;
        break;
    }
    lock_release(&registry_lock);
}

void memory_use_thread_leave(void) {
    if (!my_place) return;
    lock_acquire(&registry_lock);
    struct totals *mine = &registry[my_place - 1];
    left_behind += (int64_t)(*mine->allocated - *mine->freed);
    *mine = (struct totals){NULL, NULL};
    lock_release(&registry_lock);
}

size_t memory_use_heap(void) {
    lock_acquire(&registry_lock);
    int64_t sum = left_behind;
    for (unsigned i = 0; i < registered; i++) {
        if (!registry[i].allocated) continue;
        sum += (int64_t)__atomic_load_n(registry[i].allocated, __ATOMIC_RELAXED);
        sum -= (int64_t)__atomic_load_n(registry[i].freed, __ATOMIC_RELAXED);
    }
    lock_release(&registry_lock);
    return sum > 0 ? (size_t)sum : 0;
}

static size_t ask(const char *name) {
    size_t value = 0, size = sizeof value;
    return mallctl(name, &value, &size, NULL, 0) == 0 ? value : 0;
}

void memory_use_ask_allocator(struct memory_use_allocator *out) {
    uint64_t epoch = 1;
    size_t size = sizeof epoch;
    mallctl("epoch", &epoch, &size, &epoch, size);
    out->allocated = ask("stats.allocated");
    out->active = ask("stats.active");
    out->resident = ask("stats.resident");
    out->retained = ask("stats.retained");
}

const char *memory_use_allocator_name(void) {
    static char name[64];
    const char *version = "";
    size_t size = sizeof version;
    if (!name[0]) {
        mallctl("version", &version, &size, NULL, 0);
        snprintf(name, sizeof name, "jemalloc-%.*s", (int)strcspn(version, "-"), version);
    }
    return name;
}

void memory_use_purge(void) {
    mallctl("arena.4096.purge", NULL, NULL, NULL, 0); // 4096 = MALLCTL_ARENAS_ALL
}

#else

void memory_use_thread_enter(void) {
}

void memory_use_thread_leave(void) {
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
size_t __sanitizer_get_current_allocated_bytes(void);

size_t memory_use_heap(void) {
    return __sanitizer_get_current_allocated_bytes();
}
#else
size_t memory_use_heap(void) {
    return mallinfo2().uordblks + mallinfo2().hblkhd;
}
#endif

void memory_use_ask_allocator(struct memory_use_allocator *out) {
    *out = (struct memory_use_allocator){memory_use_heap(), memory_use_heap(), memory_use_resident(), 0};
}

const char *memory_use_allocator_name(void) {
    return "libc";
}

void memory_use_purge(void) {
    malloc_trim(0);
}

#endif

size_t memory_use_resident(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file) return 0;
    unsigned long size = 0, resident = 0;
    int fields = fscanf(file, "%lu %lu", &size, &resident);
    fclose(file);
    return fields == 2 ? resident * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

size_t memory_use_system_total(void) {
    return (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
}
