// nodes_conf: the core's state as text, and back. Part of the core.
#ifndef SHOAL_CLUSTER_NODES_CONF_H
#define SHOAL_CLUSTER_NODES_CONF_H

#include "cluster/nodes_text.h"
#include "cluster/state.h"

// Fills an empty core from the text of a nodes.conf. False, with the reason appended to `error`, when it is
// none; the core is then good for nothing but to be destroyed.
bool nodes_conf_load(struct cluster *cluster, struct bytes text, struct buffer *error);

// Appends one line for every peer; peers in handshake only in replies. `only` and `other_port` as in
// cluster_view_nodes_text.
void nodes_conf_write(const struct cluster *cluster, enum nodes_text_style style, uint16_t only,
                      bool other_port, struct buffer *out);

#endif
