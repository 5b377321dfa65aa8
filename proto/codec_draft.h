/* codec_draft: a command in the making, with the frames that its payloads are
 * attached as; private to the codec. */
#ifndef SLUICE_PROTO_CODEC_DRAFT_H
#define SLUICE_PROTO_CODEC_DRAFT_H

#include "proto/codec_pack.h"

struct draft {
    struct pack pack;
    struct codec_writer *writer; /* gets the frames */
};

/* A payload as a frame of its own. */
void put_attached(struct draft *draft, struct pack_list *list, const struct payload *payload);

/* Inline up to PAYLOAD_INLINE_MAX, attached beyond. */
static inline void put_payload(struct draft *draft, struct pack_list *list,
                               const struct payload *payload)
{
    if (payload->bytes.size <= PAYLOAD_INLINE_MAX) {
        pack_bytes(list->pack, payload->bytes);
        pack_keep(list);
    } else {
        put_attached(draft, list, payload);
    }
}

/* The same, for records that are composed first. */
void put_inputs(struct draft *draft, struct pack_list *list, const struct input_list *inputs);

/* ---- commands that have a file of their own ----------------------------- */

void put_submit(struct draft *draft, struct pack_list *list, const struct submit *submit);

void put_chunk(struct draft *draft, struct pack_list *list, const struct chunk *chunk);
void put_read(struct pack_list *list, const struct read *read);
void put_flow(struct pack_list *list, const struct flow_message *flow);
void put_checkpoint(struct draft *draft, struct pack_list *list,
                    const struct checkpoint *checkpoint);
void put_signal(struct draft *draft, struct pack_list *list, const struct signal *signal);
void put_signal_out(struct draft *draft, struct pack_list *list, const struct signal_out *signal);

void put_watch(struct pack_list *list, const struct watch *watch);
void put_event(struct pack_list *list, const struct event_message *event);
void put_control(struct pack_list *list, const struct control *control);
void put_sequence(struct pack_list *list, const struct sequence *sequence);

#endif
