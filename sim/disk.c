#include "sim/disk.h"

enum { ROOM_MIN = 256, ROOM_SHARE = 8 }; // most files are not much longer than the one before

static event_handler write_ends;

void disk_init(struct disk *disk, struct world *world, disk_text *text, disk_written *written,
               void *context) {
    *disk = (struct disk){.world = world, .text = text, .written = written, .context = context};
}

void disk_free(struct disk *disk) {
    buffer_free(&disk->file);
    buffer_free(&disk->under_way);
    buffer_free(&disk->synced);
}

static void swap(struct buffer *a, struct buffer *b) {
    struct buffer held = *a;
    *a = *b;
    *b = held;
}

static void start_write(struct disk *disk, uint64_t number, bool sync) {
    uint64_t time = world_between(disk->world, DISK_WRITE_MIN_US, DISK_WRITE_MAX_US);
    time += disk->steady_us;
    if (disk->slow_us) time += prng_below(&disk->world->prng, disk->slow_us);
    buffer_reserve(&disk->under_way, disk->file.size + disk->file.size / ROOM_SHARE + ROOM_MIN);
    disk->text(disk->context, &disk->under_way);
    disk->writing = true;
    disk->writing_sync = sync || disk->owed_sync;
    disk->writing_number = number;
    world_plan(disk->world, disk->world->now + time, write_ends, disk, NULL, disk->generation);
}

void disk_save(struct disk *disk, uint64_t number, bool sync) {
    if (!disk->writing) {
        start_write(disk, number, sync);
        return;
    }
    disk->waiting_sync = sync || (disk->waiting_number && disk->waiting_sync);
    disk->waiting_number = number;
}

// What is under way replaces the file.
static void replace_file(struct disk *disk) {
    if (disk->writing_sync) {
        disk->unsynced = false;
        buffer_free(&disk->synced);
    } else if (!disk->unsynced) {
        swap(&disk->synced, &disk->file);
        disk->unsynced = true;
    }
    swap(&disk->file, &disk->under_way);
    disk->writes++;
}

static void write_ends(struct event *event) {
    struct disk *disk = event->subject;
    if (!disk->writing || event->stamp != disk->generation) return;
    bool ok = !disk->full;
    disk->owed_sync = !ok && disk->writing_sync;
    if (ok) replace_file(disk);
    buffer_free(&disk->under_way);
    uint64_t number = disk->writing_number;
    disk->writing = false;
    if (disk->waiting_number) {
        uint64_t next = disk->waiting_number;
        disk->waiting_number = 0;
        start_write(disk, next, disk->waiting_sync);
    }
    disk->written(disk->context, number, ok);
}

void disk_crash(struct disk *disk, bool machine_too) {
    if (disk->writing && !disk->full && world_chance(disk->world, 50)) replace_file(disk);
    if (machine_too && disk->unsynced && world_chance(disk->world, 50)) swap(&disk->file, &disk->synced);
    disk->unsynced = disk->owed_sync = false;
    buffer_free(&disk->under_way);
    buffer_free(&disk->synced);
    disk->generation++;
    disk->writing = false;
    disk->waiting_number = 0;
}
