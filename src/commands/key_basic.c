#include "call/call.h"
#include "commands/common.h"
#include "commands/keys.h"

void key_del(struct call *call) {
    int64_t deleted = 0;
    for (int i = 1; i < call->argc; i++)
        deleted += call_delete(call, call->argv[i]);
    reply_integer(call->reply, deleted);
}

void key_unlink(struct call *call) {
    key_del(call);
}

void key_exists(struct call *call) {
    int64_t found = 0;
    for (int i = 1; i < call->argc; i++)
        found += lookup_untouched(call, call->argv[i]) != NULL;
    reply_integer(call->reply, found);
}

void key_touch(struct call *call) {
    int64_t touched = 0;
    for (int i = 1; i < call->argc; i++) {
        struct entry *entry = call_read(call, call->argv[i]);
        touched += entry != NULL;
        // CLIENT NO-TOUCH keeps other commands from it, not the one that is there for it.
        if (entry && call->session->no_touch) keyspace_use(call->keyspace, entry, call->now_ms);
    }
    reply_integer(call->reply, touched);
}

void key_type(struct call *call) {
    reply_simple(call->reply, lookup_untouched(call, call->argv[1]) ? "string" : "none");
}
