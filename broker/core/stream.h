/* stream: the chunks of a running task on their way to its readers.
 * PROTOCOL.md, CHUNK, READ, FLOW.
 *
 * A bounded ring of payloads, by reference: numbers `first` to below `next` of one
 * attempt. Each reader takes from it at its own pace. The one that the submitter
 * asked for with its SUBMIT is the pacer: the worker may not run further ahead of it
 * than the ring holds. Nobody else slows a worker: who is too slow finds a gap.
 *
 * Made by the first chunk, READ, or by a SUBMIT with `stream`. Once the task has ended
 * the ring stays as it is until the task is forgotten, and nobody is left on it: the end
 * gives every reader what it lacks, then RESULT. Owner: the task. */
#ifndef SLUICE_BROKER_CORE_STREAM_H
#define SLUICE_BROKER_CORE_STREAM_H

#include "broker/core/state.h"

#define STREAM_BLOCK 31
struct stream_block {
    struct stream_block *next;
    struct blob *chunks[STREAM_BLOCK]; /* NULL: an empty one, or not (any more) in the ring */
};

struct reader {
    struct list stream_link; /* stream->readers */
    struct list peer_link;   /* peer->readers */
    struct stream *stream;
    struct peer *peer;
    uint64_t asked;  /* it has all below, or wants none of it */
    uint64_t sent;   /* the next number to send */
    uint64_t until;  /* it takes none from here on */
    uint64_t credit; /* of its last READ: what it takes of a new attempt */
    bool away;       /* its connection is gone, and it has not said READ on another */
};

struct stream {
    struct task *task;
    struct stream_block *head, *tail; /* NULL: no block */
    uint64_t base;        /* number of head's first slot */
    uint64_t first, next; /* numbers in the ring: from, to below */
    uint64_t attempt;     /* whose chunks these are, as peers count; 0: not started */
    uint64_t bytes;       /* of payloads in the ring */
    uint64_t unread;      /* of those that the pacer has yet to ask beyond */
    uint64_t until;       /* the worker may send below this; 0: no bound */
    struct reader *pacer; /* NULL: nobody slows the worker */
    struct list readers;
    uint32_t reader_count;
    uint32_t block_count;
};

/* Bytes that it takes of the memory budget. */
uint64_t stream_bytes(const struct stream *stream);

/* For a SUBMIT with `stream`: its submitter reads and paces it. The task has its rare part.
 * False: pools full, nothing changed. */
bool stream_open_paced(struct broker *broker, struct task *task, uint64_t credit);

/* An attempt starts: numbers start at 0 again. What TASK says of it: how many chunks the
 * worker may send at first; 0: no bound. */
uint64_t stream_begin(struct broker *broker, struct task *task);

/* The worker's next chunk: to the ring and the readers. Anything but ERROR_NONE: the attempt
 * cannot go on. */
enum error_code stream_take(struct broker *broker, struct task *task, const struct chunk *chunk);

/* READ of a task that has not ended. */
enum error_code stream_read(struct broker *broker, struct task *task, struct peer *peer,
                            const struct read *read);
/* Its submitter says SUBMIT again: if it has not said READ on its new connection, it is sent what
 * it has not acknowledged. */
void stream_read_again(struct broker *broker, struct task *task, uint64_t credit);
/* READ of one that has: sends what the ring has from there on. RESULT is the caller's. */
void stream_replay(struct broker *broker, const struct task *task, struct peer *peer,
                   const struct read *read);

/* The task has ended, its RESULT is due: all readers get the rest, and those that it is not sent
 * to anyway the RESULT. */
void stream_close(struct broker *broker, struct task *task);
/* Sends `message` to all readers but `except`. */
void stream_tell(struct broker *broker, const struct stream *stream, const struct peer *except,
                 const struct message *message);
void stream_free(struct broker *broker, struct stream *stream);

/* A connection of `peer` is gone, and what was under way on it: it has to say READ again. */
void stream_peer_away(struct broker *broker, struct peer *peer);
/* It is back for so long that what it has not read again it reads no more: it forgot of it, as of
 * what a broker restored that was killed twice. No worker waits for that. */
void stream_peer_stayed_away(struct broker *broker, struct peer *peer);
/* Its session is over. */
void stream_peer_gone(struct broker *broker, struct peer *peer);

/* True: the worker is at its bound until the submitter reads on. */
bool stream_paused(const struct stream *stream);

#endif
