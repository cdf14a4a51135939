#include "bus/heir.h"

#include <string.h>

static void add_command(struct buffer *out, const char *const *words, unsigned count) {
    buffer_appendf(out, "*%u\r\n", count);
    for (unsigned i = 0; i < count; i++)
        buffer_appendf(out, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
}

unsigned heir_request(const char *user, const char *password, struct buffer *out) {
    const char *login[] = {"AUTH", user, password}, *order[] = {"CLUSTER", "FAILOVER"};
    bool logs_in = password[0] != '\0';
    if (logs_in && user[0] == '\0') login[1] = password;
    if (logs_in) add_command(out, login, user[0] ? 3 : 2);
    add_command(out, order, 2);
    return logs_in ? 2 : 1;
}

// The first line of `said`, which loses it. False: it has not come whole.
static bool take_line(struct bytes *said, struct bytes *line) {
    const char *end = said->size ? memmem(said->data, said->size, "\r\n", 2) : NULL;
    if (!end) return false;
    size_t size = (size_t)(end - said->data);
    *line = bytes_of(said->data, size);
    *said = bytes_of(said->data + size + 2, said->size - size - 2);
    return true;
}

enum heir_verdict heir_answer(struct bytes said, unsigned answers, struct bytes *why) {
    struct bytes line = bytes_of(NULL, 0);
    bool too_long = said.size > HEIR_ANSWER_MAX;
    for (; answers; answers--)
        if (!take_line(&said, &line)) break;
    *why = line;
    if (answers) return too_long ? HEIR_REFUSES : HEIR_WAIT;
    return line.size && line.data[0] == '+' ? HEIR_TAKES_OVER : HEIR_REFUSES;
}
