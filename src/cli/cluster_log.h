// cluster_log: the cluster commands' messages on standard output, in redis-cli's words and, in an xterm, its
// colours.
#ifndef SHOAL_CLI_CLUSTER_LOG_H
#define SHOAL_CLI_CLUSTER_LOG_H

enum cluster_tone { TONE_PLAIN, TONE_STEP, TONE_GOOD, TONE_WARNING, TONE_BAD };

void cluster_log(enum cluster_tone tone, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
