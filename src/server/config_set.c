// CONFIG SET: all of its pairs or none. What was set is put back when a later value, or its application, fails.
#include <string.h>

#include "base/memory.h"
#include "server/config.h"
#include "server/directive.h"

struct change {
    const struct directive *directive;
    struct bytes name; // as the client wrote it
    char *before;
};

static void explain(struct buffer *error, struct bytes name, const char *reason) {
    buffer_appendf(error, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s", (int)name.size, name.data,
                   reason);
}

static bool is_protected(const struct directive *directive, bool local_client) {
    if (!(directive->flags & DIRECTIVE_PROTECTED) || config.enable_protected == PROTECTION_YES) return false;
    return config.enable_protected == PROTECTION_NO || !local_client;
}

// What can be told before anything is changed.
static bool look_up(struct change *changes, unsigned count, bool local_client, struct buffer *error) {
    for (unsigned i = 0; i < count; i++) {
        const struct directive *directive = directive_find(changes[i].name);
        const char *reason = NULL;
        if (!directive) {
            buffer_appendf(error, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                           (int)changes[i].name.size, changes[i].name.data);
            return false;
        }
        if (directive->flags & DIRECTIVE_IMMUTABLE) reason = "can't set immutable config";
        else if (is_protected(directive, local_client)) reason = "can't set protected config";
        for (unsigned j = 0; !reason && j < i; j++)
            if (changes[j].directive == directive) reason = "duplicate parameter";
        if (reason) {
            explain(error, changes[i].name, reason);
            return false;
        }
        changes[i].directive = directive;
    }
    return true;
}

static void put_back(struct change *changes, unsigned count) {
    struct buffer ignored = BUFFER_EMPTY;
    while (count--) {
        struct bytes before = bytes_from_string(changes[count].before);
        directive_set(changes[count].directive, &before, 1, false, &ignored);
    }
    buffer_free(&ignored);
}

static bool set_all(struct change *changes, const struct bytes *pairs, unsigned count, struct buffer *error) {
    for (unsigned i = 0; i < count; i++) {
        struct buffer text = BUFFER_EMPTY, reason = BUFFER_EMPTY;
        directive_print(changes[i].directive, &text);
        changes[i].before = mem_strdup(buffer_string(&text));
        buffer_free(&text);
        bool fine = directive_set(changes[i].directive, &pairs[2 * i + 1], 1, false, &reason);
        if (!fine) explain(error, changes[i].name, buffer_string(&reason));
        buffer_free(&reason);
        if (fine) continue;
        put_back(changes, i);
        return false;
    }
    return true;
}

// Tells each function that must know once, however many of its directives changed.
static bool apply_all(struct change *changes, unsigned count, struct buffer *error) {
    for (unsigned i = 0; i < count; i++) {
        bool told = changes[i].directive->apply == NULL;
        for (unsigned j = 0; j < i; j++)
            told = told || changes[j].directive->apply == changes[i].directive->apply;
        if (told) continue;
        struct buffer reason = BUFFER_EMPTY;
        bool fine = changes[i].directive->apply(&reason);
        if (!fine && error) explain(error, changes[i].name, buffer_string(&reason));
        buffer_free(&reason);
        if (!fine) return false;
    }
    return true;
}

bool config_set(const struct bytes *pairs, unsigned count, bool local_client, struct buffer *error) {
    struct change *changes = mem_calloc(count, sizeof *changes);
    for (unsigned i = 0; i < count; i++)
        changes[i].name = pairs[2 * i];
    bool fine = look_up(changes, count, local_client, error) && set_all(changes, pairs, count, error);
    if (fine && !apply_all(changes, count, error)) {
        put_back(changes, count);
        apply_all(changes, count, NULL);
        fine = false;
    }
    for (unsigned i = 0; i < count; i++)
        mem_free(changes[i].before);
    mem_free(changes);
    return fine;
}
