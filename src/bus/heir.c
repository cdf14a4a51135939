#include "bus/heir.h"

#include <string.h>

#include "resp/request.h"

unsigned heir_request(const char *user, const char *password, struct buffer *out) {
    bool logs_in = password[0] != '\0';
    if (logs_in && user[0])
        request_strings(out, "AUTH", user, password, NULL);
    else if (logs_in)
        request_strings(out, "AUTH", password, NULL);
    request_strings(out, "CLUSTER", "FAILOVER", NULL);
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
