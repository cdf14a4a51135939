#include "sim/links.h"

#include "base/memory.h"

enum { LINKS_FIRST_SIZE = 16 };

static uint32_t home(const struct links *links, uint32_t name) {
    return (uint32_t)(name * 0x9e3779b97f4a7c15u >> 32) & (links->size - 1);
}

struct link *links_find(const struct links *links, uint32_t name) {
    if (!links->size) return NULL;
    for (uint32_t i = home(links, name); links->places[i].name; i = (i + 1) & (links->size - 1))
        if (links->places[i].name == name) return &links->places[i];
    return NULL;
}

static struct link *put(struct links *links, struct link link) {
    uint32_t i = home(links, link.name);
    while (links->places[i].name)
        i = (i + 1) & (links->size - 1);
    links->places[i] = link;
    return &links->places[i];
}

static void grow(struct links *links) {
    struct links bigger = {.size = links->size ? links->size * 2 : LINKS_FIRST_SIZE, .count = links->count};
    bigger.places = mem_calloc(bigger.size, sizeof *bigger.places);
    for (uint32_t i = 0; i < links->size; i++)
        if (links->places[i].name) put(&bigger, links->places[i]);
    mem_free(links->places);
    *links = bigger;
}

struct link *links_add(struct links *links, uint32_t name, uint32_t serial, struct connection *connection) {
    if ((links->count + 1) * 4 > links->size * 3) grow(links);
    links->count++;
    return put(links, (struct link){name, serial, connection});
}

void links_remove(struct links *links, uint32_t name) {
    struct link *link = links_find(links, name);
    if (!link) return;
    uint32_t hole = (uint32_t)(link - links->places), mask = links->size - 1;
    links->count--;
    // Moves back whoever would not be found across the hole.
    for (uint32_t i = (hole + 1) & mask; links->places[i].name; i = (i + 1) & mask) {
        uint32_t wanted = home(links, links->places[i].name);
        if (((i - wanted) & mask) < ((i - hole) & mask)) continue;
        links->places[hole] = links->places[i];
        hole = i;
    }
    links->places[hole] = (struct link){0};
}

void links_free(struct links *links) {
    mem_free(links->places);
    *links = (struct links){0};
}
