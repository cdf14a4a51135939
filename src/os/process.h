// process: children that write a snapshot of this process's memory.
#ifndef SHOAL_OS_PROCESS_H
#define SHOAL_OS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

// Forks. Other threads must stand still: the child has only the calling one. 0 in the child, its pid in the parent,
// or -errno. The child must end with process_exit.
int process_fork(void);
void process_exit(int code) __attribute__((noreturn));

// Has the child ended? *code: its exit code, or 128 + the signal that killed it.
bool process_ended(int pid, int *code);
// Waits for it.
int process_wait(int pid);
void process_kill(int pid);
int process_id(void);

// Bytes of the child's memory that it no longer shares with its parent (0 where /proc doesn't tell).
uint64_t process_private_dirty(int pid);

#endif
