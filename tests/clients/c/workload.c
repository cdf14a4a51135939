// hiredis at work; README.md beside this folder tells what a client program does and prints.
//
// hiredis itself knows no clusters: what its users write around it is here, as small as it goes. A slot's
// node is learnt from MOVED; a node that is gone is forgotten, and another is asked.
//
// usage: workload HOST:PORT,HOST:PORT,... NAME LANES PAUSE_MS      (one thread: LANES must be 1)
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { KEYS = 60, SLOTS = 16384, MAX_NODES = 64, TRIES = 16, PAUSE_AFTER_ERROR_US = 50000 };

static struct node {
    char host[64];
    int port;
    redisContext *link;
} nodes[MAX_NODES];
static int node_count;
static int owner[SLOTS]; // an index into nodes; a first guess is as good as any
static int next_guess;

static int node_at(const char *host, int port) {
    for (int i = 0; i < node_count; i++)
        if (nodes[i].port == port && strcmp(nodes[i].host, host) == 0) return i;
    if (node_count == MAX_NODES) abort();
    snprintf(nodes[node_count].host, sizeof nodes[0].host, "%s", host);
    nodes[node_count].port = port;
    return node_count++;
}

static unsigned slot_of(const char *key) {
    unsigned crc = 0;
    for (const char *p = key; *p; p++) {
        crc ^= (unsigned)(unsigned char)*p << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1) & 0xffff;
    }
    return crc % SLOTS;
}

static void hang_up(int node) {
    if (nodes[node].link) redisFree(nodes[node].link);
    nodes[node].link = NULL;
}

// One command to one node; NULL when it can't be reached, and `error` says why.
static redisReply *ask(int node, bool asking, const char *command, const char *key, const char *value,
                       char *error, size_t size) {
    struct timeval timeout = {.tv_sec = 5};
    if (!nodes[node].link) {
        nodes[node].link = redisConnectWithTimeout(nodes[node].host, nodes[node].port, timeout);
        if (nodes[node].link && !nodes[node].link->err) redisSetTimeout(nodes[node].link, timeout);
    }
    redisContext *link = nodes[node].link;
    redisReply *reply = NULL;
    if (link && !link->err && asking) {
        reply = redisCommand(link, "ASKING");
        if (reply) freeReplyObject(reply);
    }
    reply = NULL;
    if (link && !link->err)
        reply = *value ? redisCommand(link, "%s %s %s", command, key, value)
                       : redisCommand(link, "%s %s", command, key);
    if (!reply) {
        snprintf(error, size, "%s:%d: %s", nodes[node].host, nodes[node].port,
                 link ? link->errstr : "no memory");
        hang_up(node);
    }
    return reply;
}

// Reads "MOVED slot host:port" or "ASK slot host:port"; -1 when it is neither.
static int redirected_to(const char *text) {
    char host[64];
    int port;
    if (sscanf(text, "MOVED %*d %63[^:]:%d", host, &port) != 2 &&
        sscanf(text, "ASK %*d %63[^:]:%d", host, &port) != 2)
        return -1;
    return node_at(host, port);
}

// Runs one command wherever its key is, and writes what came to `text`.
static void run(const char *command, const char *key, const char *value, char *text, size_t size) {
    unsigned slot = slot_of(key);
    int node = owner[slot];
    bool asking = false;
    for (int i = 0; i < TRIES; i++) {
        char error[256] = "";
        redisReply *reply = ask(node, asking, command, key, value, error, sizeof error);
        asking = false;
        if (!reply) {
            snprintf(text, size, "!%s", error);
            node = owner[slot] = next_guess++ % node_count;
            usleep(PAUSE_AFTER_ERROR_US);
            continue;
        }
        if (reply->type == REDIS_REPLY_ERROR) snprintf(text, size, "!%s", reply->str);
        if (reply->type == REDIS_REPLY_STATUS) snprintf(text, size, "%s", reply->str);
        if (reply->type == REDIS_REPLY_STRING) snprintf(text, size, "=%s", reply->str);
        if (reply->type == REDIS_REPLY_INTEGER) snprintf(text, size, "=%lld", reply->integer);
        if (reply->type == REDIS_REPLY_NIL) snprintf(text, size, "nil");
        int target = reply->type == REDIS_REPLY_ERROR ? redirected_to(reply->str) : -1;
        asking = target >= 0 && strncmp(reply->str, "ASK", 3) == 0;
        freeReplyObject(reply);
        if (target < 0) return;
        node = target;
        if (!asking) owner[slot] = target;
    }
}

static double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void attempt(const char *command, const char *key, const char *value) {
    char text[512] = "";
    double start = milliseconds();
    run(command, key, value, text, sizeof text);
    printf("%.3f\t%.3f\t0\t%s\t%s\t%s\t%s\n", start, milliseconds(), command, key, value, text);
}

static bool input_ended(void) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char rubbish[64];
    return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, rubbish, sizeof rubbish) <= 0;
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    for (char *address = strtok(argv[1], ","); address; address = strtok(NULL, ",")) {
        char *colon = strrchr(address, ':');
        if (!colon) return 2;
        *colon = 0;
        node_at(address, atoi(colon + 1));
    }
    useconds_t pause = (useconds_t)atoi(argv[4]) * 1000;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("# %d.%d.%d\n", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
    for (unsigned turn = 0; !input_ended(); turn++) {
        char one[128], other[128], value[192], counter[160];
        snprintf(one, sizeof one, "%s:0:%u", argv[2], turn % KEYS);
        snprintf(other, sizeof other, "%s:0:%u", argv[2], turn * 7 % KEYS);
        snprintf(value, sizeof value, "%s#%u", one, turn);
        attempt("SET", one, value);
        attempt("GET", other, "");
        snprintf(counter, sizeof counter, "%s:n", one);
        attempt("INCR", counter, "");
        snprintf(counter, sizeof counter, "%s:n", other);
        attempt("GET", counter, "");
        usleep(pause);
    }
    for (int i = 0; i < node_count; i++)
        hang_up(i);
    return 0;
}
