// disk: where a node's nodes.conf survives it. A write takes time; it replaces the file whole or not at all.
//
// One write is under way at a time; a save asked for meanwhile waits, and the newest replaces what waited, as
// it says more. A crash loses what was not written; a write under way may still have made it, unknown to the
// process. When the machine dies, what was written without fsync may be lost too. A full disk writes nothing
// and says so. Thread: belongs to its run's thread.
#ifndef SHOAL_SIM_DISK_H
#define SHOAL_SIM_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "sim/world.h"

enum {
    DISK_WRITE_MIN_US = 150,  // a healthy disk's fsync takes this to
    DISK_WRITE_MAX_US = 4000, // this
};

struct disk;
typedef void disk_written(void *context, uint64_t number, bool ok);

// Appends what is to be written, as it is when the write begins.
typedef void disk_text(void *context, struct buffer *text);

struct disk {
    struct world *world;
    disk_written *written;
    disk_text *text;
    void *context;
    uint32_t slow_us;    // added to each write, up to
    uint64_t steady_us;  // added to each write, exactly
    uint32_t generation; // of the process that writes
    bool full;
    bool writing;
    bool writing_sync;
    bool waiting_sync;
    bool owed_sync; // a write with fsync has failed: the next one must make up for it
    uint64_t writing_number;
    uint64_t waiting_number; // 0: none waits
    struct buffer file;      // what a restart of the process finds
    struct buffer synced;    // what a restart of the machine finds at least
    bool unsynced;           // they differ
    struct buffer under_way;
    uint64_t writes;
};

void disk_init(struct disk *disk, struct world *world, disk_text *text, disk_written *written, void *context);
void disk_free(struct disk *disk);

// Asks for the text to be kept as save `number`; `written` hears when it is, or when a later one is.
void disk_save(struct disk *disk, uint64_t number, bool sync);

// The process is gone, or the machine. What was under way makes it to the file in half of the cases.
void disk_crash(struct disk *disk, bool machine_too);

#endif
