// memory_use: how many bytes the heap holds, cheaply enough to ask before every write.
//
// jemalloc keeps, for each thread, running totals of bytes allocated and freed; their sums over all threads are the
// bytes in use. Without jemalloc (sanitised builds) the C library is asked.
#ifndef SHOAL_OS_MEMORY_USE_H
#define SHOAL_OS_MEMORY_USE_H

#include <stddef.h>

// Each thread calls enter before it allocates and leave at its end; thread_start does so, main calls enter.
void memory_use_thread_enter(void);
void memory_use_thread_leave(void);

// Bytes in use now. Thread: any; exact when no other thread is allocating.
size_t memory_use_heap(void);

// Resident set of the process in bytes, from /proc.
size_t memory_use_resident(void);

// Bytes of main memory of the machine.
size_t memory_use_system_total(void);

// What the allocator itself reports (bytes): handed out, in active pages, resident, kept from the system. 0 where unknown.
struct memory_use_allocator {
    size_t allocated;
    size_t active;
    size_t resident;
    size_t retained;
};
void memory_use_ask_allocator(struct memory_use_allocator *out);

// The name that INFO gives as mem_allocator: "jemalloc-5.3.0" or "libc".
const char *memory_use_allocator_name(void);

// Gives free pages back to the system (MEMORY PURGE).
void memory_use_purge(void);

#endif
