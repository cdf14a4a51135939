// --cluster reshard.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/cluster.h"
#include "cli/cluster_check.h"
#include "cli/cluster_interrupt.h"
#include "cli/cluster_log.h"
#include "cli/cluster_move.h"
#include "cli/cluster_progress.h"
#include "cli/terminal.h"
#include "cluster/plan.h"

enum { ANSWER_ROOM = 256 };

struct reshard {
    struct cluster_nodes nodes;
    struct cluster_node *target;
    struct cluster_node **sources;
    size_t source_count;
    unsigned slots;
    struct slot_move *moves;
    size_t move_count;
};

static struct cluster_node *find_primary(const struct reshard *reshard, const char *id) {
    struct cluster_node *node = cluster_nodes_find(&reshard->nodes, id);
    if (node && cluster_node_is_primary(node)) return node;
    cluster_log(TONE_BAD, "*** The specified node (%s) is not known or not a master, please retry.\n", id);
    return NULL;
}

static bool ask_slots(struct reshard *reshard, const struct options *options) {
    long wanted = options->cluster.slots;
    char answer[ANSWER_ROOM];
    bool given = wanted > 0; // then more than there are stands for all that the sources have
    while (!given && (wanted <= 0 || wanted > HASH_SLOTS)) {
        char prompt[ANSWER_ROOM];
        snprintf(prompt, sizeof prompt, "How many slots do you want to move (from 1 to %d)? ", HASH_SLOTS);
        if (!terminal_ask(prompt, answer, sizeof answer)) return false;
        wanted = strtol(answer, NULL, 10);
    }
    reshard->slots = (unsigned)wanted;
    return true;
}

static bool ask_target(struct reshard *reshard, const struct options *options) {
    const char *id = options->cluster.to;
    char answer[ANSWER_ROOM] = "";
    while (!id || !*id) {
        if (!terminal_ask("What is the receiving node ID? ", answer, sizeof answer)) return false;
        id = answer;
    }
    reshard->target = find_primary(reshard, id);
    return reshard->target != NULL;
}

static void add_source(struct reshard *reshard, struct cluster_node *node) {
    for (size_t i = 0; i < reshard->source_count; i++)
        if (reshard->sources[i] == node) return;
    reshard->sources[reshard->source_count++] = node;
}

static void add_all_sources(struct reshard *reshard) {
    for (size_t i = 0; i < reshard->nodes.count; i++) {
        struct cluster_node *node = &reshard->nodes.items[i];
        if (cluster_node_is_primary(node) && node != reshard->target) add_source(reshard, node);
    }
}

// Takes one answer: an id, "all" or "done" (then *finished). False when the command can't go on.
static bool take_source(struct reshard *reshard, const char *id, bool *finished) {
    if (strcmp(id, "done") == 0) {
        *finished = true;
    } else if (strcmp(id, "all") == 0) {
        add_all_sources(reshard);
        *finished = true;
    } else {
        struct cluster_node *node = find_primary(reshard, id);
        if (!node) return false;
        if (node == reshard->target)
            cluster_log(TONE_BAD, "*** It is not possible to use the target node as source node.\n");
        else
            add_source(reshard, node);
    }
    return true;
}

static bool take_given_sources(struct reshard *reshard, const char *list) {
    char *copy = mem_strdup(list), *rest = copy, *id;
    bool finished = false, good = true;
    while (good && !finished && (id = strsep(&rest, ",")))
        if (*id) good = take_source(reshard, id, &finished);
    mem_free(copy);
    return good;
}

static bool ask_sources(struct reshard *reshard, const struct options *options) {
    char answer[ANSWER_ROOM], prompt[ANSWER_ROOM];
    bool finished = false;
    reshard->sources = mem_calloc(reshard->nodes.count + 1, sizeof *reshard->sources);
    if (options->cluster.from) {
        if (!take_given_sources(reshard, options->cluster.from)) return false;
    } else {
        printf("Please enter all the source node IDs.\n"
               "  Type 'all' to use all the nodes as source nodes for the hash slots.\n"
               "  Type 'done' once you entered all the source nodes IDs.\n");
        while (!finished) {
            snprintf(prompt, sizeof prompt, "Source node #%zu: ", reshard->source_count + 1);
            if (!terminal_ask(prompt, answer, sizeof answer)) return false;
            if (*answer && !take_source(reshard, answer, &finished)) return false;
        }
    }
    if (reshard->source_count) return true;
    fflush(stdout);
    fprintf(stderr, "*** No source nodes given, operation aborted.\n");
    return false;
}

static void plan_moves(struct reshard *reshard) {
    struct plan_source *sources = mem_calloc(reshard->source_count, sizeof *sources);
    size_t most = 0;
    for (size_t i = 0; i < reshard->source_count; i++) {
        sources[i] = (struct plan_source){reshard->sources[i]->slots, reshard->sources[i]->slot_count};
        most += sources[i].count;
    }
    struct plan_move *moves = mem_calloc(most + 1, sizeof *moves);
    reshard->move_count = plan_reshard(sources, reshard->source_count, reshard->slots, moves);
    reshard->moves = mem_calloc(reshard->move_count + 1, sizeof *reshard->moves);
    for (size_t i = 0; i < reshard->move_count; i++)
        reshard->moves[i] = (struct slot_move){moves[i].slot, reshard->sources[moves[i].source]};
    mem_free(sources);
    mem_free(moves);
}

static void print_plan(const struct reshard *reshard) {
    printf("\nReady to move %u slots.\n  Source nodes:\n", reshard->slots);
    for (size_t i = 0; i < reshard->source_count; i++)
        cluster_node_print(reshard->sources[i], 4);
    printf("  Destination node:\n");
    cluster_node_print(reshard->target, 4);
    printf("  Resharding plan:\n");
    for (size_t i = 0; i < reshard->move_count; i++)
        printf("    Moving slot %u from %s\n", reshard->moves[i].slot, reshard->moves[i].source->id);
    fflush(stdout);
}

static bool is_accepted(const struct options *options) {
    char answer[ANSWER_ROOM];
    if (options->cluster.yes) return true;
    return terminal_ask("Do you want to proceed with the proposed reshard plan (yes/no)? ", answer,
                        sizeof answer) &&
           strcmp(answer, "yes") == 0;
}

// How to go on after an interrupt, in words that can be typed.
static void say_how_to_continue(const struct reshard *reshard, size_t moved) {
    const struct cluster_node *entry = &reshard->nodes.items[0];
    printf("Interrupted: %zu of %zu slots have moved, none is left open. To move the others:\n"
           "  shoal-cli --cluster reshard %s:%u --cluster-from ",
           moved, reshard->move_count, entry->host, entry->port);
    const char *separator = "";
    for (size_t i = 0; i < reshard->source_count; i++) {
        bool has_more = false;
        for (size_t j = moved; j < reshard->move_count; j++)
            has_more |= reshard->moves[j].source == reshard->sources[i];
        if (!has_more) continue;
        printf("%s%s", separator, reshard->sources[i]->id);
        separator = ",";
    }
    printf(" --cluster-to %s --cluster-slots %zu\n", reshard->target->id, reshard->move_count - moved);
}

static int move(struct reshard *reshard, const struct options *options) {
    struct progress_display display;
    struct slot_mover mover = {.options = options,
                               .nodes = &reshard->nodes,
                               .target = reshard->target,
                               .listener = progress_note,
                               .context = &display};
    interrupt_watch();
    progress_begin(&display, PROGRESS_LINES, reshard->moves, reshard->move_count, reshard->target);
    enum move_result result = slot_mover_run(&mover, reshard->moves, reshard->move_count);
    progress_end(&display, &mover.progress);
    interrupt_unwatch();
    if (result == MOVE_INTERRUPTED) say_how_to_continue(reshard, mover.progress.slots_moved);
    return result == MOVE_DONE ? 0 : 1;
}

static int run(struct reshard *reshard, const struct options *options) {
    struct cluster_health health;
    if (!cluster_check_nodes(&reshard->nodes, true, &health)) {
        fprintf(stderr, "*** Please fix your cluster problems before resharding\n");
        return 1;
    }
    if (!ask_slots(reshard, options) || !ask_target(reshard, options) || !ask_sources(reshard, options))
        return 1;
    plan_moves(reshard);
    print_plan(reshard);
    if (!is_accepted(options)) return 1;
    return move(reshard, options);
}

int cluster_reshard(const struct options *options) {
    struct reshard reshard = {0};
    if (!cluster_load(&reshard.nodes, options)) return 1;
    int status = run(&reshard, options);
    cluster_nodes_free(&reshard.nodes);
    mem_free(reshard.sources);
    mem_free(reshard.moves);
    return status;
}
