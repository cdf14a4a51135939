// --cluster rebalance.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bitset.h"
#include "base/memory.h"
#include "cli/cluster.h"
#include "cli/cluster_check.h"
#include "cli/cluster_interrupt.h"
#include "cli/cluster_json.h"
#include "cli/cluster_log.h"
#include "cli/cluster_move.h"
#include "cli/cluster_progress.h"
#include "cluster/plan.h"

struct rebalance {
    struct cluster_nodes nodes;
    float *weights;                 // of the nodes, index by index
    struct cluster_node **involved; // the primaries among which slots are spread
    struct plan_share *shares;      // of the involved
    size_t count;
    float total_weight;
    struct plan_transfer *transfers;
    size_t transfer_count;
};

// "id=weight"; words that are none are passed over, as redis-cli does.
static bool take_weight(struct rebalance *rebalance, const char *word) {
    const char *equals = strchr(word, '=');
    if (!equals) return true;
    char *id = bytes_to_string(bytes_of(word, (size_t)(equals - word)));
    const struct cluster_node *node = cluster_nodes_find_prefix(&rebalance->nodes, id);
    if (node)
        rebalance->weights[node - rebalance->nodes.items] = (float)atof(equals + 1);
    else
        cluster_log(TONE_BAD, "*** No such master node %s\n", id);
    mem_free(id);
    return node != NULL;
}

static bool take_weights(struct rebalance *rebalance, const struct cluster_options *options) {
    rebalance->weights = mem_calloc(rebalance->nodes.count, sizeof *rebalance->weights);
    for (size_t i = 0; i < rebalance->nodes.count; i++)
        rebalance->weights[i] = 1;
    for (int i = 0; i < options->weight_count; i++)
        if (!take_weight(rebalance, options->weights[i])) return false;
    return true;
}

static void find_involved(struct rebalance *rebalance, const struct cluster_options *options) {
    const struct cluster_nodes *nodes = &rebalance->nodes;
    rebalance->involved = mem_calloc(nodes->count, sizeof *rebalance->involved);
    rebalance->shares = mem_calloc(nodes->count, sizeof *rebalance->shares);
    rebalance->transfers = mem_calloc(nodes->count, sizeof *rebalance->transfers);
    for (size_t i = 0; i < nodes->count; i++) {
        struct cluster_node *node = &nodes->items[i];
        if (!cluster_node_is_primary(node) || (!node->slot_count && !options->use_empty_masters)) continue;
        rebalance->involved[rebalance->count] = node;
        rebalance->shares[rebalance->count++] =
            (struct plan_share){.slots = node->slot_count, .weight = rebalance->weights[i]};
        rebalance->total_weight += rebalance->weights[i];
    }
}

static void send_transfer(const struct cluster_node *source, const struct cluster_node *target,
                          size_t slots) {
    cJSON *event = cluster_json_begin("transfer");
    cJSON_AddStringToObject(event, "from", source->id);
    cJSON_AddStringToObject(event, "to", target->id);
    cJSON_AddNumberToObject(event, "slots", (double)slots);
    cluster_json_send(event);
}

static enum move_result move_slots(const struct rebalance *rebalance, struct cluster_node *source,
                                   struct cluster_node *target, size_t count) {
    struct slot_move *moves = mem_calloc(count + 1, sizeof *moves);
    size_t planned = 0;
    for (unsigned slot = 0; slot < HASH_SLOTS && planned < count; slot++)
        if (bitset_test(source->slots, slot)) moves[planned++] = (struct slot_move){(uint16_t)slot, source};
    struct progress_display display;
    struct slot_mover mover = {.options = rebalance->nodes.options,
                               .nodes = &rebalance->nodes,
                               .target = target,
                               .listener = progress_note,
                               .context = &display};
    progress_begin(&display, PROGRESS_MARKS, moves, planned, target);
    enum move_result result = slot_mover_run(&mover, moves, planned);
    progress_end(&display, &mover.progress);
    mem_free(moves);
    return result;
}

static void simulate(size_t slots) {
    for (size_t i = 0; i < slots; i++)
        putchar('#');
}

static int carry_out(const struct rebalance *rebalance, bool only_simulate) {
    enum move_result result = MOVE_DONE;
    interrupt_watch();
    for (size_t i = 0; i < rebalance->transfer_count && result == MOVE_DONE; i++) {
        const struct plan_transfer *transfer = &rebalance->transfers[i];
        struct cluster_node *source = rebalance->involved[transfer->source];
        struct cluster_node *target = rebalance->involved[transfer->target];
        printf("Moving %zu slots from %s:%u to %s:%u\n", transfer->slots, source->host, source->port,
               target->host, target->port);
        fflush(stdout);
        send_transfer(source, target, transfer->slots);
        if (only_simulate)
            simulate(transfer->slots);
        else
            result = move_slots(rebalance, source, target, transfer->slots);
        putchar('\n');
    }
    interrupt_unwatch();
    if (result == MOVE_INTERRUPTED)
        printf("Interrupted: no slot is left open. The same command goes on with the rest.\n");
    return result == MOVE_DONE ? 0 : 1;
}

static int run(struct rebalance *rebalance, const struct options *options) {
    struct cluster_health health;
    if (!take_weights(rebalance, &options->cluster)) return 1;
    if (!cluster_check_nodes(&rebalance->nodes, false, &health)) {
        cluster_log(TONE_BAD, "*** Please fix your cluster problems before rebalancing\n");
        return 1;
    }
    find_involved(rebalance, &options->cluster);
    rebalance->transfer_count =
        plan_rebalance(rebalance->shares, rebalance->count, options->cluster.threshold, rebalance->transfers);
    if (!rebalance->transfer_count) {
        cluster_log(TONE_WARNING, "*** No rebalancing needed! All nodes are within the %.2f%% threshold.\n",
                    (double)options->cluster.threshold);
        return 0;
    }
    cluster_log(TONE_STEP, ">>> Rebalancing across %zu nodes. Total weight = %.2f\n", rebalance->count,
                (double)rebalance->total_weight);
    return carry_out(rebalance, options->cluster.simulate);
}

int cluster_rebalance(const struct options *options) {
    struct rebalance rebalance = {0};
    if (!cluster_load(&rebalance.nodes, options)) return 1;
    int status = run(&rebalance, options);
    cluster_nodes_free(&rebalance.nodes);
    mem_free(rebalance.weights);
    mem_free(rebalance.involved);
    mem_free(rebalance.shares);
    mem_free(rebalance.transfers);
    return status;
}
