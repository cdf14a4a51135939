// admission: what a command must have to itself before it runs: the slots of its keys, or the whole server.
#ifndef SHOAL_CALL_ADMISSION_H
#define SHOAL_CALL_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "call/dispatch.h"

enum { ADMISSION_SLOTS_ON_STACK = 64 }; // a command of more keys takes its list of slots from the heap

// The slots that must be locked, ascending, each once. `slots` points to `room`, or to the heap.
struct admitted {
    uint16_t *slots;
    unsigned count, capacity;
    unsigned keyed;       // of them, how many hold keys of the command: what it watches is not routed
    uint16_t first_keyed; // the lowest of these
    bool exclusive;
    bool bad_keys; // the arguments name fewer keys than they announce
    uint16_t room[ADMISSION_SLOTS_ON_STACK];
};

// What `prepared` needs; EXEC needs what its queue needs. Thread: the session's worker. Undone by admission_free.
void admission_work_out(struct admitted *admission, const struct session *session, const struct prepared *prepared);
void admission_free(struct admitted *admission);

// Locks the slots (closes the gate, where it is exclusive), and undoes that.
void admission_let_in(struct dispatcher *dispatcher, const struct admitted *admission);
void admission_let_out(struct dispatcher *dispatcher, const struct admitted *admission);

#endif
