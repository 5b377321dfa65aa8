/* outbound: what a node has to say, batched as the runtime does: one message a turn, kept
 * while the link does not take it. */
#ifndef SLUICE_TESTS_SIM_OUTBOUND_H
#define SLUICE_TESTS_SIM_OUTBOUND_H

#include "proto/codec.h"
#include "tests/sim/net.h"

struct outbound {
    struct codec_writer writer;
    struct codec_writer *full;
    size_t full_count;
};

void outbound_init(struct outbound *outbound);
void outbound_clear(struct outbound *outbound);
void outbound_write(struct outbound *outbound, const struct message *message);
/* Sends what the link takes. False: something is left. */
bool outbound_flush(struct outbound *outbound, struct node *node);

#endif
