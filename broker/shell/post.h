/* post: what the broker has to say to each connection, until it is said.
 *
 * Everything written for one connection between two flushes becomes one ZeroMQ
 * message. A connection that takes nothing more (its pipe is full) keeps its
 * output here and is tried again; nobody else waits for it. Beyond a bound it
 * is lost: its output is dropped and the core is told.
 *
 * Memory: an idle connection costs one small struct, and only while it has a
 * session. Pending output is bounded for each connection and in sum, and so
 * is what libzmq holds. One thread; payloads are released on I/O threads. */
#ifndef SLUICE_BROKER_SHELL_POST_H
#define SLUICE_BROKER_SHELL_POST_H

#include "broker/shell/journal.h"
#include "broker/shell/parcel.h"

/* Bytes of batches, without attached payloads, that wait for one connection. A peer
 * that is behind by more than this does not read. */
#define POST_BATCHES_MAX (32 * 1024 * 1024)
/* Bytes that libzmq may hold for one connection; one message always may. */
#define POST_FLIGHT_MAX (32 * 1024 * 1024)
/* Attached bytes after which a message is sent without waiting for the flush. */
#define POST_ATTACHED_MAX (4 * 1024 * 1024)

struct post_options {
    void *router;           /* a ROUTER with ZMQ_ROUTER_MANDATORY; borrowed */
    size_t connections_max; /* with a session, or with output under way */
    size_t bytes_max;       /* pending and in flight, all connections together */
    uint64_t starts;        /* any number that no broker before this one had: the clock */
};

struct post;

/* NULL: no memory. `journal` is borrowed. */
struct post *post_new(const struct post_options *options, struct journal *journal);
/* Only after the ZeroMQ context has ended: nothing may be in flight. Accepts NULL. */
void post_free(struct post *post);

/* Encodes `message` for `to`. Never fails: a connection that cannot have it is lost. */
void post_write(struct post *post, connection_id to, const struct message *message);

/* The core will say nothing more to `connection`: what is pending gets one try. */
void post_forget(struct post *post, connection_id connection);

/* Sends what can be sent. */
void post_flush(struct post *post, uint64_t now_ms);

/* The next connection that turned out to be gone or too slow: the caller tells the core.
 * `broken`: it was numbered, and its output is dropped. A numbered one that is only gone keeps
 * its output. False: none. */
bool post_next_lost(struct post *post, connection_id *connection, bool *broken);

/* ---- numbered sessions (PROTOCOL.md, section 2.1) ---- */

/* What becomes of a HELLO: struct effects' `resume`. Its WELCOME is the next thing to write. */
enum resume post_resume(struct post *post, const struct resume_request *request, uint64_t *start);

/* `sequence` stood at the head of a batch from `connection`. False: it has no numbered session.
 * Else `news` says what to do with the batch. */
bool post_receive(struct post *post, connection_id connection, const struct sequence *sequence,
                  size_t bytes, enum session_news *news);

/* True from the moment it is found lost until post_next_lost has told of it: nothing
 * more that it asks for is worth doing. */
bool post_is_lost(const struct post *post, connection_id connection);

/* When to flush again though nothing was written; BROKER_NEVER: nothing pends. */
uint64_t post_deadline(const struct post *post);

/* Writes `message` to every connection that has a session. */
void post_write_all(struct post *post, const struct message *message);

/* Connections that are remembered; for tests and limits. */
size_t post_count(const struct post *post);

#endif
