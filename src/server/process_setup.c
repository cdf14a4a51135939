#include "server/process_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef SHOAL_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "base/buffer.h"
#include "base/log.h"
#include "base/memory.h"
#include "server/config.h"
#include "server/listener.h"

enum { FILES_BESIDES_CLIENTS = 96 }; // logs, snapshots, links, event loops

extern char **environ;

// --- Title: written over the arguments and the environment, which are moved away.

static char *title_at;
static size_t title_room;
static char *title_of_program;

void process_keep_title(int argc, char **argv) {
    title_of_program = mem_strdup(argv[0]);
    char *end = argv[0];
    for (int i = 0; i < argc; i++)
        if (argv[i] == end) end = argv[i] + strlen(argv[i]) + 1;
    int count = 0;
    for (; environ[count]; count++)
        if (environ[count] == end) end = environ[count] + strlen(environ[count]) + 1;
    char **moved = mem_alloc(((size_t)count + 1) * sizeof *moved);
    for (int i = 0; i < count; i++)
        moved[i] = mem_strdup(environ[i]);
    moved[count] = NULL;
    title_at = argv[0];
    title_room = (size_t)(end - argv[0]);
    for (int i = 1; i < argc; i++)
        argv[i] = mem_strdup(argv[i]);
    environ = moved;
}

static void append_variable(struct buffer *title, const char *name, size_t size, const char *mode) {
    const char *address = config.bind_count ? config.bind[0] : "*";
    if (strncmp(name, "{title}", size) == 0) buffer_append_string(title, title_of_program);
    else if (strncmp(name, "{listen-addr}", size) == 0 && config.port) buffer_appendf(title, "%s:%u", address, config.port);
    else if (strncmp(name, "{listen-addr}", size) == 0) buffer_append_string(title, config.unixsocket);
    else if (strncmp(name, "{server-mode}", size) == 0) buffer_append_string(title, mode);
    else if (strncmp(name, "{port}", size) == 0) buffer_appendf(title, "%u", config.port);
    else if (strncmp(name, "{tls-port}", size) == 0) buffer_append_byte(title, '0');
    else if (strncmp(name, "{unixsocket}", size) == 0) buffer_append_string(title, config.unixsocket);
    else if (strncmp(name, "{config-file}", size) == 0) buffer_append_string(title, config.file);
    else buffer_append(title, name, size);
}

void process_set_title(const char *mode) {
    if (!config.set_proc_title || !title_at) return;
    struct buffer title = BUFFER_EMPTY;
    for (const char *at = config.proc_title_template; *at;) {
        const char *end = *at == '{' ? strchr(at, '}') : NULL;
        if (end) {
            append_variable(&title, at, (size_t)(end - at) + 1, mode);
            at = end + 1;
        } else {
            buffer_append_byte(&title, *at++);
        }
    }
    while (title.size && title.data[title.size - 1] == ' ')
        title.size--;
    size_t size = title.size < title_room - 1 ? title.size : title_room - 1;
    memset(title_at, 0, title_room);
    memcpy(title_at, title.data, size);
    buffer_free(&title);
}

// --- Daemon, pid file.

void process_daemonize(void) {
    pid_t pid = fork();
    if (pid < 0) {
        fprintf(stderr, "Can't become a daemon: %s\n", strerror(errno));
        exit(1);
    }
    if (pid > 0) _exit(0);
    setsid();
    int fd = open("/dev/null", O_RDWR);
    if (fd < 0) return;
    dup2(fd, STDIN_FILENO);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    if (fd > STDERR_FILENO) close(fd);
}

static const char *pid_path(void) {
    if (config.pidfile[0]) return config.pidfile;
    return config.daemonize ? "/var/run/redis.pid" : NULL;
}

void process_write_pid_file(void) {
    const char *path = pid_path();
    if (!path) return;
    FILE *file = fopen(path, "w");
    if (!file) {
        log_write(LOG_WARNING, "Failed to write PID file: %s", strerror(errno));
        return;
    }
    fprintf(file, "%d\n", (int)getpid());
    fclose(file);
}

void process_remove_pid_file(void) {
    const char *path = pid_path();
    if (!path) return;
    log_write(LOG_NOTICE, "Removing the pid file.");
    unlink(path);
}

// --- Limits.

// Raises the soft limit (and, for root, the hard one) as far as it goes towards `wanted`; returns what it is then.
static rlim_t raise_limit(rlim_t wanted) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    if (limit.rlim_cur >= wanted) return limit.rlim_cur;
    struct rlimit more = {wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted};
    if (setrlimit(RLIMIT_NOFILE, &more) == 0) return wanted;
    more = (struct rlimit){limit.rlim_max, limit.rlim_max};
    return setrlimit(RLIMIT_NOFILE, &more) == 0 ? limit.rlim_max : limit.rlim_cur;
}

bool process_can_have_clients(unsigned max_clients) {
    rlim_t wanted = (rlim_t)max_clients + FILES_BESIDES_CLIENTS;
    return raise_limit(wanted) >= wanted;
}

void process_raise_file_limit(void) {
    rlim_t wanted = (rlim_t)listener_rules.max_clients + FILES_BESIDES_CLIENTS, have = raise_limit(wanted);
    if (have >= wanted) return;
    if (have <= FILES_BESIDES_CLIENTS) {
        log_write(LOG_WARNING, "The limit of open files is %" PRIu64 ": not enough to start. Exiting.", (uint64_t)have);
        exit(1);
    }
    unsigned before = listener_rules.max_clients;
    listener_rules.max_clients = (unsigned)(have - FILES_BESIDES_CLIENTS);
    log_write(LOG_WARNING,
              "You requested maxclients of %u requiring at least %" PRIu64 " max file descriptors. maxclients has been "
              "reduced to %u to compensate for low ulimit. If you need higher maxclients increase 'ulimit -n'.",
              before, (uint64_t)wanted, listener_rules.max_clients);
}

void process_disable_huge_pages(void) {
#ifdef PR_SET_THP_DISABLE
    if (config.disable_thp) prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
#endif
}

// --- Supervisor.

const char *process_supervisor(void) {
    bool systemd = getenv("NOTIFY_SOCKET") != NULL;
    if (config.supervised == SUPERVISED_SYSTEMD || (config.supervised == SUPERVISED_AUTO && systemd)) return "systemd";
    if (config.supervised == SUPERVISED_UPSTART || (config.supervised == SUPERVISED_AUTO && getenv("UPSTART_JOB")))
        return "upstart";
    return "no";
}

void process_tell_supervisor(const char *state) {
    if (strcmp(process_supervisor(), "upstart") == 0 && strncmp(state, "READY=1", 7) == 0) raise(SIGSTOP);
#ifdef SHOAL_SYSTEMD
    // Asked for or not: whoever gives us a socket to notify wants to know.
    if (config.supervised != SUPERVISED_UPSTART && getenv("NOTIFY_SOCKET")) sd_notify(0, state);
#endif
}
