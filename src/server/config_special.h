// config_special: the directives whose values are more than a word, and those whose change somebody must be told of;
// for the rows of config_table.c.
#ifndef SHOAL_SERVER_CONFIG_SPECIAL_H
#define SHOAL_SERVER_CONFIG_SPECIAL_H

#include "server/directive.h"

#define SPECIAL(name)                                                                                        \
    bool parse_##name(const struct directive *directive, const struct bytes *values, unsigned count,         \
                      bool again, struct buffer *error);                                                     \
    void print_##name(const struct directive *directive, struct buffer *out)

SPECIAL(save);
SPECIAL(bind);
SPECIAL(dir);
SPECIAL(replicaof);
SPECIAL(output_limits);
SPECIAL(percentiles);
SPECIAL(oom_scores);
SPECIAL(maxmemory_clients);
SPECIAL(events);
#undef SPECIAL

void lines_save(const struct directive *directive, struct buffer *out);
void lines_output_limits(const struct directive *directive, struct buffer *out);
void lines_dir(const struct directive *directive, struct buffer *out);
void lines_replicaof(const struct directive *directive, struct buffer *out);

bool check_file_name(const char *text, struct buffer *error); // no path
bool check_title_template(const char *text, struct buffer *error); // none but variables that the title knows
bool check_shutdown(int64_t bits, struct buffer *error);           // not both SAVE and NOSAVE
bool check_hostname(const char *text, struct buffer *error);
bool check_human_nodename(const char *text, struct buffer *error);

// Whom config_set_followers named.
bool apply_sockets(struct buffer *error);
bool apply_max_clients(struct buffer *error);
bool apply_access(struct buffer *error);
bool apply_backlog(struct buffer *error);
bool apply_cluster(struct buffer *error);
bool apply_logging(struct buffer *error);
bool apply_title(struct buffer *error);
bool apply_replicas(struct buffer *error);

#endif
