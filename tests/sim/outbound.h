/* outbound: what one side of a link has to say, batched as the runtime and the shell do: one
 * message a turn, kept while the link does not take it. If there is a session, numbered, and kept
 * until it is acknowledged (proto/session.h). */
#ifndef SLUICE_TESTS_SIM_OUTBOUND_H
#define SLUICE_TESTS_SIM_OUTBOUND_H

#include "proto/letter.h"
#include "tests/sim/net.h"

struct batches {
    struct codec_writer writer; /* in the making */
    struct codec_writer *full;  /* oldest first */
    size_t full_count;
};

struct outbound {
    struct batches first; /* have no numbers, and go before the rest */
    struct batches rest;
};

/* Where it goes. */
struct carrier {
    void *context;
    enum sent (*send)(void *context, const struct packet *packet);
    struct session *session; /* NULL: nothing is numbered */
    /* A message has its number, and goes for the first time. */
    void (*numbered)(void *context, uint64_t number, uint64_t digest);
};

void outbound_init(struct outbound *outbound);
void outbound_clear(struct outbound *outbound);
void outbound_clear_rest(struct outbound *outbound);
void outbound_write(struct outbound *outbound, const struct message *message);
/* Before all that waits in `rest`. */
void outbound_write_first(struct outbound *outbound, const struct message *message);
/* What waits goes without numbers, though what is written from here on has them. */
void outbound_part(struct outbound *outbound);
/* What waits behind `from` waits behind `to`. */
void outbound_move(struct outbound *to, struct outbound *from);

/* Sends what goes without numbers. SENT_OK: all of it. */
enum sent outbound_flush_first(struct outbound *outbound, const struct carrier *carrier);
/* Sends what goes without numbers, then what has to be sent again, then the rest, then an
 * acknowledgement that is due. SENT_OK: all of it. */
enum sent outbound_flush(struct outbound *outbound, const struct carrier *carrier);
/* To the broker, without numbers. */
enum sent outbound_flush_up(struct outbound *outbound, struct node *node);

size_t outbound_bytes(const struct outbound *outbound); /* of what waits */
size_t outbound_count(const struct outbound *outbound); /* full messages that wait */
/* Of a message's commands and frames, without SEQUENCE. */
uint64_t outbound_digest(struct span commands, struct blob *const *frames, size_t frame_count);

#endif
