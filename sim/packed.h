// packed: messages that wait for a long time, in a fraction of their room. A partition of a thousand nodes
// holds up millions of them, most with hundreds of gossip entries of 104 bytes, of which only times and flags
// differ from what others say, and not even these where a node tells everybody of the same suspects: what
// they have in common is kept once. Unpacked, they are the same bytes again.
//
// Invariant: what was packed is the same for all who hold it, and goes with its last holder.
// Thread: belongs to its run's thread.
#ifndef SHOAL_SIM_PACKED_H
#define SHOAL_SIM_PACKED_H

#include "cluster/message.h"

struct packer;
struct packed;

struct packer *packer_create(void);

// Everything that it packed must have been unpacked or dropped.
void packer_free(struct packer *packer);

// The message in less room, or NULL for one that is no packet, or that tells of more nodes or of times
// further apart than a packer counts (hours). The message stays its holder's; where it has several that pack
// it soon after each other, they get the same one.
struct packed *packer_pack(struct packer *packer, struct cluster_message *message);

// The message again, with one reference; its holder has `packed` no more.
struct cluster_message *packer_unpack(struct packer *packer, struct packed *packed);

void packer_drop(struct packer *packer, struct packed *packed);

#endif
