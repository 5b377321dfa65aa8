/* shadow_stream: what is known of a task's stream: what its worker has said in the attempt that
 * runs, how far it may go, and what each reader has had. By PROTOCOL.md, CHUNK, READ and FLOW. */
#ifndef SLUICE_TESTS_SIM_SHADOW_STREAM_H
#define SLUICE_TESTS_SIM_SHADOW_STREAM_H

#include "tests/sim/model.h"

struct shadow_chunk {
    uint64_t digest, bytes;
};

struct shadow_reader {
    struct list link;  /* stream->readers */
    struct id session;
    bool pacer, away;  /* away: it has to say READ on its new connection */
    bool told;         /* RESULT was sent to it */
    uint64_t asked;    /* it has all below */
    uint64_t next;     /* to be sent to it */
    uint64_t until;
    uint64_t credit;   /* of its last READ */
};

struct shadow_stream {
    struct list touched;  /* model->streams_touched: the step has changed something */
    const struct shadow_task *task;
    uint64_t attempt;
    struct shadow_chunk *chunks; /* of this attempt */
    uint64_t next, capacity;
    uint64_t until;       /* the worker may send below it; 0: no bound */
    uint64_t bound;       /* the same when it said its last chunk */
    bool vague;           /* memory was short: the ring may hold less than it could */
    struct list readers;
};

/* The session that has the task in its hands; NULL: none. */
const struct shadow_session *model_holder(const struct model *model,
                                          const struct shadow_task *task);
/* Who reads the task's stream on this connection; NULL: nobody. */
struct shadow_reader *model_reader(const struct model *model, const struct shadow_task *task,
                                   uint32_t connection);
/* It hears of the task's end as a reader, and not (or not only) as its submitter. */
bool shadow_told_as_reader(const struct model *model, const struct shadow_task *task,
                           uint32_t connection);
/* Who paces it; NULL: nobody. */
struct shadow_reader *shadow_pacer(const struct shadow_stream *stream);
/* The first chunk that the ring must still hold, unless the stream is vague. */
uint64_t shadow_ring_first(const struct model *model, const struct shadow_stream *stream);
/* How far a worker may go so that what its pacer has not read fits the ring. */
uint64_t shadow_allowed(const struct model *model, const struct shadow_stream *stream);

/* From the model. */
void shadow_stream_submitted(struct model *model, struct shadow_task *task, uint64_t credit);
void shadow_stream_event(struct model *model, const struct shadow_session *session);
void shadow_stream_fact(struct model *model, const struct fact *fact);
void shadow_stream_away(struct model *model, const struct shadow_session *session);
void shadow_stream_gone(struct model *model, const struct shadow_session *session);
/* The checkers have seen the step. */
void shadow_stream_settle(struct model *model);
void shadow_stream_free(struct shadow_stream *stream);

#endif
