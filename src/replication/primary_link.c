// The link to our primary: connect, introduce ourselves, PSYNC, take its snapshot if need be, then apply its stream.
// One link, on worker 0's loop. All of it runs on worker 0 inside the gate, or in exclusive mode.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "call/pause.h"
#include "call/watches.h"
#include "keyspace/slot_lock.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"
#include "os/ticks.h"
#include "persistence/snapshot.h"
#include "replication/replication_private.h"
#include "resp/request.h"

enum {
    READ_ROOM = 64 * 1024,
    LINE_MAX_SIZE = 1024,
    PATH_ROOM = 4096,
    WAVE_MAX = 32,       // commands of the stream that are looked ahead at once
    RETRY_MS = 100,      // pause before the next try to connect; grows
    RETRY_MAX_MS = 1000,
    REFUSED_RETRY_MS = 5000, // what it sent can't be kept here: a full synchronisation costs it too much to ask at once
    ACKNOWLEDGE_MS = 1000,
    EOF_MARK_SIZE = 40,
    READS_A_TURN = 16,   // after so many, the worker's other business has its turn
    COMMAND_SHOWN_MAX = 128,
    SHORT_LOAD_MS = 100, // so long clients wait for a snapshot to be loaded, instead of being told LOADING
};

enum link_state {
    LINK_NONE,
    LINK_WAITING,    // to connect again
    LINK_CONNECTING,
    LINK_PINGED,     // wait for the answer to PING
    LINK_INTRODUCED, // wait for `answers_due` answers to AUTH and REPLCONF
    LINK_ASKED,      // wait for the answer to PSYNC
    LINK_RECEIVING,  // the snapshot
    LINK_LOADING,
    LINK_CONNECTED,
};

static struct {
    struct source source;
    enum link_state state;
    char host[256];
    uint16_t port;
    struct session session;
    bool session_open;
    bool applying;      // a command of the stream runs: what it reads must stay
    unsigned stream_db; // that the stream has selected: partial resynchronisation goes on in it
    struct buffer input;
    size_t parsed;
    struct resp_parser parser;
    struct resp_batch batch;
    struct prepared wave[WAVE_MAX];
    unsigned answers_due;
    int64_t retry_at_ms, retry_pause_ms;
    _Atomic int64_t heard_ms;
    _Atomic bool up, ever_synchronised;
    int64_t acknowledged_at_ms, down_since_ms;
    unsigned generation; // of the link, so that a load that ends late finds another number
    // The snapshot being received.
    char file_path[PATH_ROOM];
    int file;
    uint64_t file_left;       // when its size is known
    bool file_until_mark;     // else it ends with `mark`
    char mark[EOF_MARK_SIZE], tail[EOF_MARK_SIZE];
    size_t tail_size;
    bool length_read;
    uint64_t file_received;
    char id[REPLICATION_ID_SIZE + 1]; // as FULLRESYNC told
    int64_t offset;
} link = {.source = {.fd = -1}, .file = -1};

static void connect_now(void);

bool link_exists(void) {
    return link.state != LINK_NONE;
}

unsigned link_stream_db(void) {
    return link.session_open ? link.session.db : link.stream_db;
}

void link_set_stream_db(unsigned db) {
    link.stream_db = db;
}

const char *link_host(void) {
    return link.host;
}

uint16_t link_port(void) {
    return link.port;
}

const char *link_state_name(void) {
    switch (link.state) {
    case LINK_NONE:
    case LINK_WAITING: return "connect";
    case LINK_CONNECTING: return "connecting";
    case LINK_PINGED:
    case LINK_INTRODUCED:
    case LINK_ASKED: return "handshake";
    case LINK_RECEIVING:
    case LINK_LOADING: return "sync";
    case LINK_CONNECTED: return "connected";
    }
    return "none";
}

// --- Ending and starting over.

static void close_session(void) {
    if (!link.session_open) return;
    link.stream_db = link.session.db;
    watches_clear(&link.session, replication.dispatcher->keyspace, false);
    session_close(&link.session);
    link.session_open = false;
    replication.dispatcher->passing.size = 0; // a transaction of which only a part had come
}

static void close_file(void) {
    if (link.file < 0) return;
    file_close(link.file);
    file_remove(link.file_path);
    link.file = -1;
}

static void set_up(bool up) {
    if (link.up && !up) link.down_since_ms = clock_mono_ms();
    atomic_store(&link.up, up);
    __atomic_store_n(&role.primary_link_up, up, __ATOMIC_RELAXED);
}

static void forget_stream(void) {
    close_session();
    buffer_free(&link.input);
    resp_parser_free(&link.parser);
    link.parsed = 0;
}

// Its caller may be a command of another worker, in exclusive mode, for which a command of the stream waits.
static void disconnect(void) {
    if (link.source.fd >= 0) {
        loop_remove(replication.loop, &link.source);
        socket_close(link.source.fd);
        link.source.fd = -1;
    }
    link.generation++;
    close_file();
    set_up(false);
    if (link.applying)
        link.session.closing = true; // apply() looks at the generation, and forgets the stream itself
    else
        forget_stream();
}

static void retry_later(void) {
    disconnect();
    link.state = LINK_WAITING;
    link.retry_at_ms = clock_mono_ms() + link.retry_pause_ms;
    link.retry_pause_ms = link.retry_pause_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : link.retry_pause_ms * 2;
}

void link_drop(void) {
    disconnect();
    link.state = LINK_NONE;
    link.host[0] = '\0';
}

void link_stop(void) {
    if (link.state == LINK_LOADING) file_remove(link.file_path); // nobody will tell that it was loaded
    link_drop();
}

void link_follow(const char *host, uint16_t port) {
    snprintf(link.host, sizeof link.host, "%s", host);
    link.port = port;
    link.state = LINK_WAITING;
    link.retry_at_ms = 0;
    link.retry_pause_ms = RETRY_MS;
    link.down_since_ms = clock_mono_ms();
    atomic_store(&link.ever_synchronised, false);
    atomic_store(&link.heard_ms, clock_mono_ms());
    if (!link.batch.arguments) resp_batch_init(&link.batch);
}

// --- Sending.

static bool send_bytes(struct bytes bytes) {
    // What goes this way is small and rare; a socket that does not take it is as good as broken.
    if (socket_write(link.source.fd, bytes.data, bytes.size) == (ssize_t)bytes.size) return true;
    log_write(LOG_WARNING, "Error writing to PRIMARY");
    return false;
}

static void append_command(struct buffer *out, int argc, const char *const *argv) {
    struct bytes views[8];
    for (int i = 0; i < argc; i++)
        views[i] = bytes_from_string(argv[i]);
    request_append(out, views, (size_t)argc);
}

void link_acknowledge(void) {
    if (link.state != LINK_CONNECTED) return;
    char offset[NUMBER_TEXT_MAX];
    struct buffer out = BUFFER_EMPTY;
    number_format_unsigned(offset, replication_offset());
    append_command(&out, 3, (const char *const[]){"REPLCONF", "ACK", offset});
    bool sent = send_bytes(buffer_bytes(&out));
    buffer_free(&out);
    link.acknowledged_at_ms = clock_mono_ms();
    if (!sent) retry_later();
}

static bool introduce(void) {
    struct buffer out = BUFFER_EMPTY;
    const struct replication_settings *mine = &replication_settings;
    char port[NUMBER_TEXT_MAX];
    number_format_unsigned(port, mine->announce_port ? mine->announce_port : mine->port);
    link.answers_due = 2;
    if (mine->masterauth && *mine->masterauth) {
        if (mine->masteruser && *mine->masteruser)
            append_command(&out, 3, (const char *const[]){"AUTH", mine->masteruser, mine->masterauth});
        else
            append_command(&out, 2, (const char *const[]){"AUTH", mine->masterauth});
        link.answers_due++;
    }
    append_command(&out, 3, (const char *const[]){"REPLCONF", "listening-port", port});
    if (mine->announce_ip && *mine->announce_ip) {
        append_command(&out, 3, (const char *const[]){"REPLCONF", "ip-address", mine->announce_ip});
        link.answers_due++;
    }
    append_command(&out, 5, (const char *const[]){"REPLCONF", "capa", "eof", "capa", "psync2"});
    bool sent = send_bytes(buffer_bytes(&out));
    buffer_free(&out);
    link.state = LINK_INTRODUCED;
    return sent;
}

// Asks to go on where our journal ends; with no history, for everything.
static bool ask_for_stream(void) {
    struct buffer out = BUFFER_EMPTY;
    char offset[NUMBER_TEXT_MAX];
    bool history = journal_active(replication.journal);
    number_format(offset, history ? (int64_t)replication_offset() + 1 : -1);
    append_command(&out, 3, (const char *const[]){"PSYNC", history ? replication.names.id : "?", offset});
    if (history)
        log_write(LOG_NOTICE, "Trying a partial resynchronization (request %s:%s).", replication.names.id, offset);
    else
        log_write(LOG_NOTICE, "Partial resynchronization not possible (no cached primary)");
    bool sent = send_bytes(buffer_bytes(&out));
    buffer_free(&out);
    link.state = LINK_ASKED;
    return sent;
}

// --- The handshake's answers. Each handler returns false when the link must be tried anew.

// Takes a line (without its end) from the input; false: it is not whole yet.
static bool take_line(char *line, size_t room, bool *too_long) {
    char *newline = link.input.size ? memchr(link.input.data, '\n', link.input.size) : NULL;
    *too_long = !newline && link.input.size > LINE_MAX_SIZE;
    if (!newline) return false;
    size_t size = (size_t)(newline - link.input.data), kept = size;
    if (kept && link.input.data[kept - 1] == '\r') kept--;
    if (kept >= room) kept = room - 1;
    memcpy(line, link.input.data, kept);
    line[kept] = '\0';
    buffer_drop_front(&link.input, size + 1);
    return true;
}

static bool took_ping(const char *line) {
    bool fine = line[0] == '+' || strncmp(line, "-NOAUTH", 7) == 0 || strncmp(line, "-NOPERM", 7) == 0 ||
                strncmp(line, "-ERR operation not permitted", 28) == 0;
    if (!fine) log_write(LOG_WARNING, "Error reply to PING from primary: '%s'", line);
    return fine && introduce();
}

static bool took_introduction(const char *line) {
    if (line[0] == '-') {
        log_write(LOG_WARNING, "Primary answered the handshake with: %s", line);
        // An old primary may not know a REPLCONF option; a wrong password it will not forgive.
        if (strncmp(line, "-WRONGPASS", 10) == 0 || strncmp(line, "-NOAUTH", 7) == 0) return false;
    }
    return --link.answers_due > 0 || ask_for_stream();
}

static bool begin_file(void) {
    snprintf(link.file_path, sizeof link.file_path, "%s/temp-%" PRId64 ".%d.rdb", replication_settings.directory,
             clock_wall_ms() / 1000, process_id());
    link.file = file_create(link.file_path);
    if (link.file < 0) {
        log_write(LOG_WARNING, "Opening the temp file needed for the synchronization: %s", strerror(-link.file));
        link.file = -1;
        return false;
    }
    link.length_read = false;
    link.file_received = 0;
    link.tail_size = 0;
    link.state = LINK_RECEIVING;
    return true;
}

static void begin_stream(void) {
    session_open(&link.session, (uint16_t)replication.dispatcher->worker, SESSION_PRIMARY);
    link.session_open = true;
    link.session.authenticated = true;
    link.session.db = link.stream_db;
    link.session.fd = link.source.fd;
    snprintf(link.session.address, sizeof link.session.address, "%.100s:%u", link.host, link.port);
    link.parsed = 0;
    link.state = LINK_CONNECTED;
    link.retry_pause_ms = RETRY_MS;
    atomic_store(&link.ever_synchronised, true);
    set_up(true);
    link_acknowledge();
}

static void continue_stream(const char *line) {
    char id[REPLICATION_ID_SIZE + 1];
    if (sscanf(line, "+CONTINUE %40s", id) == 1 && strcmp(id, replication.names.id) != 0) {
        struct stream_names *names = &replication.names;
        memcpy(names->second, names->id, sizeof names->id);
        names->second_offset = (int64_t)replication_offset() + 1;
        memcpy(names->id, id, sizeof id);
        log_write(LOG_NOTICE, "Primary replication ID changed to %s", id);
        replicas_break_all(); // they come back and learn it
    }
    log_write(LOG_NOTICE, "PRIMARY <-> REPLICA sync: Primary accepted a Partial Resynchronization.");
    begin_stream();
}

static bool took_psync(const char *line) {
    if (line[0] == '\0') return true; // a newline: the primary is at work
    if (strncmp(line, "+CONTINUE", 9) == 0) {
        continue_stream(line);
        return true;
    }
    if (sscanf(line, "+FULLRESYNC %40s %" SCNd64, link.id, &link.offset) == 2) {
        log_write(LOG_NOTICE, "Full resync from primary: %s:%" PRId64, link.id, link.offset);
        return begin_file();
    }
    log_write(LOG_NOTICE, "Primary is currently unable to PSYNC: %s", line);
    return false;
}

// --- The snapshot.

struct loaded_message {
    unsigned generation;
    struct snapshot_loaded loaded;
};

// Does the link still wait for the load that began under this generation?
static bool is_loading(unsigned generation) {
    return generation == link.generation && link.state == LINK_LOADING;
}

static void drop_everything(struct dispatcher *dispatcher) {
    for (unsigned db = 0; db < keyspace_databases(dispatcher->keyspace); db++) {
        keyspace_touched_all(dispatcher->keyspace, db);
        keyspace_clear(dispatcher->keyspace, db);
    }
    keyspace_flushed(dispatcher->keyspace);
}

// On worker 0: the loader has ended.
static void loaded(void *argument) {
    struct loaded_message *message = argument;
    struct dispatcher *dispatcher = replication.dispatcher;
    dispatch_begin_exclusive(dispatcher);
    bool ours = is_loading(message->generation);
    slot_lock_add_threads(dispatcher->keyspace, -1);
    role.loading = false;
    pause_end(PAUSE_BY_LOADING);
    if (!message->loaded.ok) drop_everything(dispatcher); // half a snapshot is nobody's data
    if (ours && message->loaded.ok) {
        memcpy(replication.names.id, link.id, sizeof link.id);
        memset(replication.names.second, '0', REPLICATION_ID_SIZE);
        replication.names.second_offset = -1;
        replicas_break_all(); // what they have is another history
        journal_activate(replication.journal, (uint64_t)link.offset);
        link.stream_db = message->loaded.stream_db;
    }
    dispatch_end_exclusive(dispatcher);
    ours = ours && is_loading(message->generation); // another's role change may have come right behind us
    if (ours && message->loaded.ok) {
        log_write(LOG_NOTICE, "PRIMARY <-> REPLICA sync: Finished with success (%" PRIu64 " keys)", message->loaded.keys);
        char path[PATH_ROOM];
        snprintf(path, sizeof path, "%s/%s", replication_settings.directory, replication_settings.dbfilename);
        file_rename(link.file_path, path); // what was received is a snapshot as good as our own
        begin_stream();
        link.source.ready(&link.source, POLLER_READ);
    } else {
        if (!message->loaded.ok) log_write(LOG_WARNING, "Failed loading the PRIMARY's snapshot: %s", message->loaded.error);
        if (ours) link.retry_pause_ms = REFUSED_RETRY_MS;
        file_remove(link.file_path);
        if (ours) retry_later();
    }
    mem_free(message);
}

// On the loader's thread.
static void load_ended(void *context, const struct snapshot_loaded *result) {
    struct loaded_message *message = context;
    message->loaded = *result;
    loop_post(replication.loop, loaded, message);
}

static bool begin_load(void) {
    struct dispatcher *dispatcher = replication.dispatcher;
    int error = file_sync(link.file);
    file_close(link.file);
    link.file = -1;
    if (error) {
        log_write(LOG_WARNING, "Failed to sync the primary's snapshot to disk: %s", strerror(-error));
        file_remove(link.file_path);
        return false;
    }
    log_write(LOG_NOTICE, "PRIMARY <-> REPLICA sync: Flushing old data, loading DB in memory");
    unsigned generation = link.generation;
    dispatch_begin_exclusive(dispatcher);
    if (link.generation != generation) { // the role changed while we waited
        dispatch_end_exclusive(dispatcher);
        file_remove(link.file_path);
        return true;
    }
    link.state = LINK_LOADING;
    role.loading = true;
    pause_start(PAUSE_BY_LOADING, dispatcher->mono_ms, dispatcher->mono_ms + SHORT_LOAD_MS, false);
    replicas_break_all(); // their history ends here
    replicas_forget_snapshot();
    // Nor may we claim that we know any of it, should our primary die before we have read its snapshot.
    journal_activate(replication.journal, 0);
    journal_deactivate(replication.journal);
    atomic_store(&link.ever_synchronised, false);
    drop_everything(dispatcher);
    slot_lock_add_threads(dispatcher->keyspace, 1);
    dispatch_end_exclusive(dispatcher);
    struct loaded_message *message = mem_calloc(1, sizeof *message);
    message->generation = generation;
    snapshot_load_start(dispatcher->keyspace, link.file_path, true, load_ended, message);
    return true;
}

static bool write_file(const char *data, size_t size) {
    int error = file_write_all(link.file, data, size);
    link.file_received += size;
    if (error) log_write(LOG_WARNING, "Write error writing to the snapshot file needed for the synchronization: %s", strerror(-error));
    return error == 0;
}

static bool read_file_length(bool *again) {
    char line[LINE_MAX_SIZE];
    bool too_long;
    *again = false;
    if (!take_line(line, sizeof line, &too_long)) return !too_long;
    *again = true;
    if (line[0] == '\0') return true; // a newline keeps the link alive
    if (line[0] != '$') {
        log_write(LOG_WARNING, "Bad protocol from PRIMARY, the snapshot should begin with '$': %s", line);
        return false;
    }
    link.length_read = true;
    link.file_until_mark = strncmp(line, "$EOF:", 5) == 0 && strlen(line) >= 5 + EOF_MARK_SIZE;
    if (link.file_until_mark) {
        memcpy(link.mark, line + 5, EOF_MARK_SIZE);
        return true;
    }
    return number_parse_unsigned(bytes_from_string(line + 1), &link.file_left);
}

static bool take_counted(bool *done) {
    size_t size = link.input.size < link.file_left ? link.input.size : (size_t)link.file_left;
    if (!write_file(link.input.data, size)) return false;
    buffer_drop_front(&link.input, size);
    link.file_left -= size;
    *done = link.file_left == 0;
    return true;
}

// A snapshot of unknown size ends with the mark; the last bytes are held back until they are known not to be it.
static bool take_until_mark(bool *done) {
    if (link.input.size < EOF_MARK_SIZE) return true;
    char *end = memmem(link.input.data, link.input.size, link.mark, EOF_MARK_SIZE);
    size_t size = end ? (size_t)(end - link.input.data) : link.input.size - (EOF_MARK_SIZE - 1);
    if (!write_file(link.input.data, size)) return false;
    buffer_drop_front(&link.input, size + (end ? EOF_MARK_SIZE : 0));
    *done = end != NULL;
    return true;
}

static bool receive(void) {
    bool again = true, done = false;
    while (!link.length_read && again)
        if (!read_file_length(&again)) return false;
    if (!link.length_read || link.input.size == 0) return true;
    if (!(link.file_until_mark ? take_until_mark(&done) : take_counted(&done))) return false;
    return !done || begin_load();
}

// --- The stream.

static bool is_request_for_acknowledgement(const struct resp_command *command) {
    return command->argc == 3 && bytes_is(command->argv[0], "replconf") && bytes_is(command->argv[1], "getack");
}

static bool parse_wave(unsigned *filled, bool *more) {
    struct resp_limits limits = {.bulk_max = UINT32_MAX, .arguments_max = INT32_MAX};
    *filled = 0;
    *more = false;
    resp_batch_reset(&link.batch);
    while (*filled < WAVE_MAX) {
        struct prepared *prepared = &link.wave[*filled];
        struct bytes input = {link.input.data + link.parsed, link.input.size - link.parsed};
        enum resp_result result = resp_parse(&link.parser, &link.batch, input, &limits, &prepared->parsed);
        if (result == RESP_MORE) return true;
        if (result == RESP_BATCH_FULL) break;
        if (result == RESP_PROTOCOL_ERROR) {
            log_write(LOG_WARNING, "Protocol error in the PRIMARY's stream: %s", link.parser.error);
            return false;
        }
        link.parsed += prepared->parsed.raw.size;
        if (prepared->parsed.argc == 0) { // a bare newline counts in the offset like everything else
            journal_append(replication.journal, replication.dispatcher->worker, -1, prepared->parsed.raw);
            continue;
        }
        dispatch_prepare(replication.dispatcher, &link.session, prepared);
        ++*filled;
    }
    *more = true;
    return true;
}

// Messages come with the stream, too; a copy of the data does not need them.
static bool is_message(struct bytes name) {
    return bytes_is(name, "publish") || bytes_is(name, "spublish");
}

// A command that did well at the primary failed here: it is one that this server does not have, or a value. From now on
// the data here would be another, and nobody would notice. So we claim to know nothing of it, and stand for no election,
// until a snapshot is loaded again.
static void give_up_history(struct bytes name) {
    struct dispatcher *dispatcher = replication.dispatcher;
    unsigned generation = link.generation;
    log_write(LOG_WARNING, "== CRITICAL == The PRIMARY's command '%.*s' can't be applied by this server: the link is given up, "
                           "a full synchronization is needed", name.size > COMMAND_SHOWN_MAX ? COMMAND_SHOWN_MAX : (int)name.size, name.data);
    link.retry_pause_ms = REFUSED_RETRY_MS;
    link.applying = true; // another's role change may come first: what was shown above must stay
    dispatch_begin_exclusive(dispatcher);
    if (link.generation == generation) {
        replicas_break_all(); // they know no more than we do
        replicas_forget_snapshot();
        journal_activate(replication.journal, 0);
        journal_deactivate(replication.journal);
        atomic_store(&link.ever_synchronised, false);
    }
    dispatch_end_exclusive(dispatcher);
    link.applying = false;
}

static bool apply(void) {
    struct dispatcher *dispatcher = replication.dispatcher;
    bool more = true, acknowledge = false;
    unsigned generation = link.generation;
    const uint64_t *errors = &dispatch_counters(dispatcher->worker)->errors; // of this thread's own
    while (more) {
        unsigned filled;
        if (!parse_wave(&filled, &more)) return false;
        dispatch_prefetch_buckets(dispatcher, &link.session, link.wave, filled);
        dispatch_prefetch_entries(dispatcher, &link.session, link.wave, filled);
        dispatcher->ticks = ticks_now();
        for (unsigned i = 0; i < filled; i++) {
            acknowledge |= is_request_for_acknowledgement(&link.wave[i].parsed);
            uint64_t errors_before = *errors;
            struct bytes name = link.wave[i].parsed.argv[0];
            link.applying = true;
            dispatch(dispatcher, &link.session, &link.wave[i]);
            link.applying = false;
            bool failed = *errors != errors_before && !is_message(name) && link.generation == generation;
            if (failed) give_up_history(name);
            if (link.generation != generation) {
                forget_stream(); // the role changed meanwhile
                return true;
            }
            if (failed || link.session.closing) return false; // CLIENT KILL: what was not applied comes again
        }
        link.session.output.size = 0;
    }
    buffer_drop_front(&link.input, link.parsed);
    link.parsed = 0;
    if (acknowledge) link_acknowledge();
    return true;
}

// --- Events.

static bool took_line(const char *line) {
    switch (link.state) {
    case LINK_PINGED: return took_ping(line);
    case LINK_INTRODUCED: return took_introduction(line);
    default: return took_psync(line);
    }
}

// Deals with what is in the input, as far as the state wants it.
static bool digest(void) {
    char line[LINE_MAX_SIZE];
    bool too_long = false;
    while (link.state >= LINK_PINGED && link.state <= LINK_ASKED) {
        if (!take_line(line, sizeof line, &too_long)) return !too_long;
        if (!took_line(line)) return false;
    }
    if (link.state == LINK_RECEIVING && !receive()) return false;
    return link.state != LINK_CONNECTED || apply();
}

static bool connected(void) {
    int error = socket_error(link.source.fd);
    if (error) {
        log_write(LOG_WARNING, "Error condition on socket for SYNC: %s", strerror(error));
        return false;
    }
    link.state = LINK_PINGED;
    socket_set_nodelay(link.source.fd, !replication_settings.disable_nodelay);
    return send_bytes(BYTES("*1\r\n$4\r\nPING\r\n"));
}

static void read_on(void *argument) {
    if ((uintptr_t)argument == link.generation && link.source.fd >= 0) link.source.ready(&link.source, POLLER_READ);
}

// Reads and digests until the socket is empty, or it is others' turn. While a snapshot loads, the stream waits in the
// socket.
static bool read_all(void) {
    for (int i = 0; link.state != LINK_LOADING && link.source.fd >= 0; i++) {
        if (i == READS_A_TURN) {
            loop_post(replication.loop, read_on, (void *)(uintptr_t)link.generation);
            return true;
        }
        buffer_reserve(&link.input, READ_ROOM);
        unsigned generation = link.generation;
        ssize_t got = socket_read(link.source.fd, link.input.data + link.input.size, READ_ROOM);
        if (got == -EAGAIN) return true;
        if (got <= 0) {
            log_write(LOG_NOTICE, "Connection with primary lost.");
            return false;
        }
        link.input.size += (size_t)got;
        atomic_store_explicit(&link.heard_ms, replication.dispatcher->mono_ms, memory_order_relaxed);
        if (!digest()) return false;
        if (link.generation != generation) return true;
    }
    return true;
}

static void link_ready(struct source *source, uint32_t events) {
    bool fine = true;
    if (link.state == LINK_CONNECTING && events & (POLLER_WRITE | POLLER_HANGUP)) fine = connected();
    if (fine && events & POLLER_READ && link.state > LINK_CONNECTING) {
        // Bytes that came with the snapshot's end are in the input already.
        fine = link.input.size == 0 || digest();
        if (fine) fine = read_all();
    }
    if (!fine) retry_later();
}

static void connect_now(void) {
    int fd = socket_connect_start(link.host, link.port, replication_settings.bind_source);
    if (fd < 0) {
        log_write(LOG_WARNING, "Unable to connect to PRIMARY: %s", strerror(-fd));
        retry_later();
        return;
    }
    link.source = (struct source){.fd = fd, .ready = link_ready};
    link.state = LINK_CONNECTING;
    atomic_store(&link.heard_ms, clock_mono_ms());
    log_write(LOG_NOTICE, "PRIMARY <-> REPLICA sync started");
    if (loop_add(replication.loop, &link.source) != 0) retry_later();
}

void link_cron(int64_t mono_ms) {
    if (link.state == LINK_NONE) return;
    if (link.state == LINK_WAITING) {
        if (mono_ms >= link.retry_at_ms && !role.loading) connect_now();
        return;
    }
    if (link.session_open && link.session.closing) {
        retry_later();
        return;
    }
    if (link.state == LINK_LOADING) {
        if (mono_ms - link.acknowledged_at_ms > ACKNOWLEDGE_MS) {
            link.acknowledged_at_ms = mono_ms;
            send_bytes(BYTES("\n")); // so that the primary does not give us up meanwhile
        }
        return;
    }
    if (mono_ms - atomic_load(&link.heard_ms) > 1000 * (int64_t)replication_settings.timeout_seconds) {
        log_write(LOG_WARNING, "PRIMARY timeout: no data nor PING received...");
        retry_later();
        return;
    }
    if (mono_ms - link.acknowledged_at_ms >= ACKNOWLEDGE_MS) link_acknowledge();
}

void replication_link_state(bool *up, int64_t *data_age_ms, bool *ever_synchronised) {
    *up = atomic_load(&link.up);
    *data_age_ms = clock_mono_ms() - atomic_load(&link.heard_ms);
    *ever_synchronised = atomic_load(&link.ever_synchronised);
}

void link_info(struct buffer *out, int64_t mono_ms) {
    bool syncing = link.state == LINK_RECEIVING || link.state == LINK_LOADING;
    buffer_appendf(out,
                   "master_host:%s\r\nmaster_port:%u\r\nmaster_link_status:%s\r\nmaster_last_io_seconds_ago:%" PRId64
                   "\r\nmaster_sync_in_progress:%d\r\nslave_read_repl_offset:%" PRIu64 "\r\nslave_repl_offset:%" PRIu64 "\r\n",
                   link.host, link.port, link.state == LINK_CONNECTED ? "up" : "down",
                   link.state == LINK_CONNECTED ? (mono_ms - atomic_load(&link.heard_ms)) / 1000 : -1, syncing,
                   replication_offset(), replication_offset());
    if (syncing)
        buffer_appendf(out,
                       "master_sync_total_bytes:%" PRId64 "\r\nmaster_sync_read_bytes:%" PRIu64
                       "\r\nmaster_sync_left_bytes:%" PRId64 "\r\nmaster_sync_perc:0.00\r\nmaster_sync_last_io_seconds_ago:%" PRId64 "\r\n",
                       link.file_until_mark ? 0 : (int64_t)(link.file_left + link.file_received), link.file_received,
                       link.file_until_mark ? -1 : (int64_t)link.file_left, (mono_ms - atomic_load(&link.heard_ms)) / 1000);
    if (link.state != LINK_CONNECTED)
        buffer_appendf(out, "master_link_down_since_seconds:%" PRId64 "\r\n", (mono_ms - link.down_since_ms) / 1000);
    buffer_appendf(out, "slave_priority:%u\r\nslave_read_only:%d\r\nreplica_announced:%d\r\n",
                   replication_settings.priority, settings.replica_read_only, replication_settings.announced);
}
