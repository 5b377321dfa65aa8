/* What a running task and the outside say to each other: chunks and their flow,
 * checkpoints, signals. Reading and writing. */

#include "proto/codec_cursor.h"
#include "proto/codec_draft.h"

/* ---- reading ----------------------------------------------------------- */

static bool field_attempt(struct cursor *cursor, struct id *id, uint64_t *attempt)
{
    return field_task(cursor, id) && field_uint(cursor, "attempt", REQUIRED, UINT64_MAX, attempt);
}

bool chunk_read(struct cursor *cursor, struct chunk *chunk)
{
    *chunk = (struct chunk){0};
    return field_attempt(cursor, &chunk->id, &chunk->attempt) &&
           field_uint(cursor, "sequence", REQUIRED, UINT64_MAX, &chunk->sequence) &&
           field_payload(cursor, "payload", REQUIRED, PAYLOAD_BYTES_MAX, &chunk->payload);
}

bool read_read(struct cursor *cursor, struct read *read)
{
    *read = (struct read){0};
    return field_attempt(cursor, &read->id, &read->attempt) &&
           field_uint(cursor, "sequence", REQUIRED, UINT64_MAX, &read->sequence) &&
           field_uint(cursor, "credit", REQUIRED, STREAM_CREDIT_MAX, &read->credit);
}

bool flow_read(struct cursor *cursor, struct flow_message *flow)
{
    *flow = (struct flow_message){0};
    return field_attempt(cursor, &flow->id, &flow->attempt) &&
           field_uint(cursor, "until", REQUIRED, UINT64_MAX, &flow->until);
}

bool checkpoint_read(struct cursor *cursor, struct checkpoint *checkpoint)
{
    *checkpoint = (struct checkpoint){0};
    return field_attempt(cursor, &checkpoint->id, &checkpoint->attempt) &&
           field_payload(cursor, "payload", REQUIRED, CHECKPOINT_MAX, &checkpoint->payload);
}

bool signal_read(struct cursor *cursor, struct signal *signal)
{
    *signal = (struct signal){0};
    return field_uint(cursor, "request", REQUIRED, UINT64_MAX, &signal->request) &&
           field_task(cursor, &signal->id) &&
           field_payload(cursor, "payload", REQUIRED, PAYLOAD_BYTES_MAX, &signal->payload);
}

bool signal_out_read(struct cursor *cursor, struct signal_out *signal)
{
    *signal = (struct signal_out){0};
    return field_attempt(cursor, &signal->id, &signal->attempt) &&
           field_payload(cursor, "payload", REQUIRED, PAYLOAD_BYTES_MAX, &signal->payload);
}

/* ---- writing ----------------------------------------------------------- */

void put_chunk(struct draft *draft, struct pack_list *list, const struct chunk *chunk)
{
    put_attempt(list, &chunk->id, chunk->attempt);
    put_uint(list, chunk->sequence);
    put_payload(draft, list, &chunk->payload);
}

void put_read(struct pack_list *list, const struct read *read)
{
    put_attempt(list, &read->id, read->attempt);
    put_uint(list, read->sequence);
    put_uint(list, read->credit);
}

void put_flow(struct pack_list *list, const struct flow_message *flow)
{
    put_attempt(list, &flow->id, flow->attempt);
    put_uint(list, flow->until);
}

void put_checkpoint(struct draft *draft, struct pack_list *list,
                    const struct checkpoint *checkpoint)
{
    put_attempt(list, &checkpoint->id, checkpoint->attempt);
    put_payload(draft, list, &checkpoint->payload);
}

void put_signal(struct draft *draft, struct pack_list *list, const struct signal *signal)
{
    put_uint(list, signal->request);
    put_id(list, &signal->id);
    put_payload(draft, list, &signal->payload);
}

void put_signal_out(struct draft *draft, struct pack_list *list, const struct signal_out *signal)
{
    put_attempt(list, &signal->id, signal->attempt);
    put_payload(draft, list, &signal->payload);
}
