/* peer_state: the inside of struct peer, shared by the files that make it up:
 * peer.c (session), offering.c, lease.c, submission.c, window.c, request.c. */
#ifndef SLUICE_RUNTIME_PEER_STATE_H
#define SLUICE_RUNTIME_PEER_STATE_H

#include "agents/runtime/id_map.h"
#include "agents/runtime/peer.h"

#include "common/check.h"
#include "common/list.h"

/*  joining -> open       WELCOME
 *  open    -> joining    ERROR hello_required, BYE, silence, the shell's peer_restart
 *  any     -> closed     peer_bye */
enum session_state {
    SESSION_JOINING, /* HELLO is said again and again until WELCOME */
    SESSION_OPEN,
    SESSION_CLOSED,
};

struct offering {
    struct table_node by_name;
    void *user;
    bool withdrawn;
    char name[SERVICE_NAME_MAX]; /* beside what finds it: one of thousands is not in the cache */
    struct list link;       /* peer->offerings, in the order of offering */
    struct list dirty_link; /* peer->offerings_dirty: its level has changed since */
    char *text;           /* one allocation: schema, version, about */
    struct offer_message offer;   /* spans point into name and text */
    uint64_t given;       /* credit given back by handlers that wait */
    uint64_t told_credit; /* the level the broker knows */
};

struct lease {
    struct id_node by_id;
    uint64_t attempt;
    struct offering *offering;
    void *user;
    uint64_t cost;                /* goes with the answer, if `costed` */
    bool costed;
    uint64_t children;            /* submissions that are sent and name it as parent */
    struct list children_waiting; /* submissions by `sibling`, to be sent */
    struct list starving;         /* peer.starving */
    uint64_t chunk_next;  /* number of the next chunk */
    uint64_t chunk_until; /* below which it may be; 0: no bound */
    bool lost;        /* our result interests nobody any more */
    bool owed;        /* but while this is set, the answer still frees our credit at the broker */
    struct list link; /* peer.leases, or peer.lost_leases */
};

/*  waiting -> sent      there is room in the window, and a session
 *  sent    -> pausing   a refusal that may pass
 *  pausing -> waiting   its pause is over
 *  sent    -> waiting   the session was opened again: to be sent again
 *  any     -> (gone)    result, refusal, cancel, deadline */
enum submission_state { SUBMISSION_WAITING, SUBMISSION_SENT, SUBMISSION_PAUSING };

struct submission {
    struct id_node by_id;
    struct id_node by_cancel; /* in peer.cancels while cancel_request is not 0 */
    void *user;
    enum submission_state state;
    bool no_wait;
    bool has_parent;
    bool was_sent;   /* in this or an earlier session */
    bool taken;      /* was_sent, not refused since: the broker may have it, and see to its TTL */
    bool again;      /* was_sent, and the session was opened again since */
    bool cancelling; /* CANCEL is under way */
    bool abandoned;  /* nobody waits for its result */
    bool overdue;    /* its deadline has passed, the broker will say so */
    bool left;       /* there was no memory for its join: it is to be cancelled */
    unsigned refusals;
    unsigned join_count; /* joins of ours that wait for it */
    uint64_t deadline_ms; /* absolute; TIMERS_NEVER: none */
    uint64_t ttl_ms;      /* absolute; unless it is taken; TIMERS_NEVER: none */
    uint64_t queue_ttl_ms; /* as it was asked for */
    uint64_t start_ms;    /* absolute; not started before; TIMERS_NEVER: at once */
    uint64_t run_at_ms;   /* not started before, by the broker's clock; 0: at once */
    uint64_t retry_ms;    /* absolute; when pausing */
    uint64_t cost_bytes;  /* payload, as the window counts it */
    uint64_t cancel_request; /* number of its CANCEL; 0: no REPLY wanted */
    bool roomy;           /* of the size that is used again */
    struct timer timer;
    struct list all;     /* peer.submissions: in the order of first submission */
    struct list waiting; /* peer.waiting or peer.waiting_children */
    struct list sibling; /* its parent's children_waiting, while it waits */
    /* Its SUBMIT, with the times that were left when it was sent. Spans point behind the struct;
     * payload.blob is ours. */
    struct message message;
};

struct reading {
    struct id_node by_id;
    void *user;
    uint64_t credit;
    uint64_t attempt;  /* whose chunks; 0: none has come */
    uint64_t expected; /* the next number to come */
    uint64_t taken;    /* the application has all below */
    uint64_t told;     /* the last READ's sequence */
    uint64_t queued;   /* come, and not taken */
    bool own;          /* of a submission of ours */
    bool over;         /* and its task has ended: chunks have come beyond our credit */
    bool received;     /* some chunk, ever */
    struct list link;  /* peer.readings */
    struct list idle;  /* peer.readings_idle */
};

enum request_kind { REQUEST_QUERY, REQUEST_CANCEL_ID, REQUEST_SIGNAL, REQUEST_CONTROL };

/* Room for the texts of any of them. */
#define REQUEST_TEXT_MAX (QUERY_ARGUMENT_MAX + SERVICE_NAME_MAX + KEY_MAX)

struct request {
    struct id_node by_number;
    uint64_t number;
    enum request_kind kind;
    uint8_t text[REQUEST_TEXT_MAX]; /* all of its texts, one after the other */
    struct span reason; /* CANCEL_ID */
    struct id id;       /* CANCEL_ID, SIGNAL */
    struct id_node by_task; /* QUERY result; in peer.results_asked */
    bool result_asked;
    struct blob *blob; /* SIGNAL: the payload; NULL: empty */
    void *user;
    struct timer timer;
    struct list link; /* peer.requests */
    struct query query;     /* QUERY */
    struct control control; /* CONTROL */
};

/* Which of a peer's things a timer belongs to is told by which heap it is in. */
struct peer {
    struct peer_sink sink;
    struct peer_options options;
    char name[PEER_NAME_MAX + 1];
    char agent[PEER_NAME_MAX + 1];
    uint64_t now_ms;
    uint64_t random;

    enum session_state state;
    struct welcome welcome; /* defaults until the first one */
    uint64_t welcome_ms;    /* when the last one came: then it was welcome.time_ms there */
    bool welcomed;          /* once, ever */
    bool resuming;          /* joining, but a numbered session may go on: answers are sent */
    uint64_t start;         /* where its numbers began */
    bool cut;               /* open, over a connection that has ended */
    bool hello_pending;     /* a HELLO of ours has not been answered */
    uint64_t hello_ms;      /* when it was said */
    uint64_t greeting;      /* its number: WELCOMEs with another one answer earlier ones */
    unsigned hello_count;   /* since the session was open */
    uint64_t sent_ms;       /* when anything was sent */
    uint64_t heard_ms;      /* when anything was received */
    uint64_t pinged_ms;     /* first PING since then; TIMERS_NEVER: none */
    uint64_t ping_last_ms;
    uint64_t ping_nonce;
    uint64_t probe_nonce;   /* of peer_probe's PING */
    uint64_t pong_nonce;    /* of the last PONG */

    struct table offerings_by_name;
    struct list offerings;
    struct list offerings_dirty;
    struct offering *offering_last; /* that was found; NULL: none yet */
    uint64_t reoffer_ms;         /* the broker refused an offer: when to offer again */
    bool offer_refused;          /* in this session: it is logged */

    struct id_map results_asked;
    struct id_map leases_by_id;
    struct list leases;
    struct list lost_leases;
    size_t lease_count;
    struct lease *spare_leases; /* chained by user */

    struct id_map submissions_by_id;
    struct list submissions;
    struct list waiting;
    struct list waiting_children; /* those with a parent: they go first */
    struct list starving;         /* leases whose children wait while none is sent */
    struct timers submission_timers;
    size_t submission_count;     /* all */
    uint64_t ended_count;        /* since the start */
    struct submission *spare_submissions; /* chained by user */
    size_t spare_submission_count;
    uint64_t submission_bytes;   /* all */
    size_t window_used;          /* sent, not held */
    uint64_t window_used_bytes;  /* sent, not held */
    size_t open_count;           /* all but held ones */
    uint64_t open_bytes;         /* all but held ones */
    bool pumping;
    bool pump_due;               /* the application has made room, or the line shorter */
    bool room_wanted;

    struct id_map readings_by_id;
    struct list readings;
    struct list readings_idle; /* that have taken all that came, and not said so */
    size_t reading_count;

    struct list watchings;
    size_t watching_count;

    struct id_map requests_by_number;
    struct id_map cancels; /* submissions, by the number of their CANCEL */
    struct list requests;
    struct timers request_timers;
    size_t request_count;
    uint64_t request_last;
};

/* What is said now gets to the broker, sooner or later, if the session goes on. */
static inline bool peer_speaks(const struct peer *peer)
{
    return peer->state == SESSION_OPEN || (peer->state == SESSION_JOINING && peer->resuming);
}

/* peer.c */
void peer_send(struct peer *peer, const struct message *message);
void peer_log(struct peer *peer, enum log_level level, const char *event,
              const struct log_field *fields, size_t field_count);
uint64_t peer_random(struct peer *peer);

/* offering.c */
void offerings_send(struct peer *peer); /* all, after WELCOME */
/* An OFFER was refused for now. ERROR does not say which: all are made again later. */
void offerings_refused(struct peer *peer);
void offerings_advance(struct peer *peer);
void offerings_flush(struct peer *peer);
struct offering *offering_find(struct peer *peer, struct span service);
void offerings_free(struct peer *peer);

/* lease.c */
struct lease *lease_find(const struct peer *peer, const struct id *id);
void lease_receive(struct peer *peer, const struct task_message *task);
void lease_receive_cancel(struct peer *peer, const struct cancel_out *cancel);
void leases_forget(struct peer *peer); /* the broker has taken them all back */
void leases_free(struct peer *peer);

/* submission.c: the life of one. Those that end it free it. */
struct submission *submission_find(const struct peer *peer, const struct id *id);
void submission_finish(struct peer *peer, struct submission *submission,
                       const struct result *result);
void submission_end(struct peer *peer, struct submission *submission, enum outcome outcome,
                    enum error_code code, const char *message);
void submission_expire(struct peer *peer, struct submission *submission);
/* Nobody submits its join any more: cancels it, if it is held for none. */
void submission_leave(struct peer *peer, struct submission *need);
void submission_enqueue(struct peer *peer, struct submission *submission);
void submission_pause(struct peer *peer, struct submission *submission, uint64_t pause_ms);
void submission_set_timer(struct peer *peer, struct submission *submission);
/* `confirm`: a REPLY is wanted, and ends it. */
void submission_send_cancel(struct peer *peer, struct submission *submission, struct span reason,
                            bool confirm);
/* No need of the join still waits here: the broker would refuse a join of it. */
bool submission_needs_sent(const struct peer *peer, const struct submission *submission);

/* Its turn has come: sends it, or ends it if its time has passed. */
void submission_dispatch(struct peer *peer, struct submission *submission);

/* window.c */
/* `submission` has been sent, or is not at the broker any more. */
void window_count(struct peer *peer, const struct submission *submission, bool sent);
void window_wait(struct peer *peer, struct submission *submission); /* in line */
void window_leave(struct peer *peer, struct submission *submission); /* out of it, if it is in */
/* One that is new: sends it, or puts it in line and sends what fits. */
void window_enter(struct peer *peer, struct submission *submission);
bool window_takes_now(struct peer *peer, const struct submission *submission);
void window_pump(struct peer *peer); /* sends what fits */
void window_pump_soon(struct peer *peer); /* in the next peer_advance: without upcalls now */
void window_offer_room(struct peer *peer);

/* submission_receive.c: what happens to them. */
/* False: of no submission of ours. */
bool submission_receive(struct peer *peer, const struct result *result);
void submission_receive_accepted(struct peer *peer, const struct id *id);
void submission_receive_started(struct peer *peer, const struct started *started);
void submission_receive_progress(struct peer *peer, const struct progress *progress);
/* An ERROR about a submission: it will get no RESULT. */
void submission_receive_error(struct peer *peer, const struct error_message *error);
/* The REPLY to the CANCEL of a submission. */
void submission_cancelled(struct peer *peer, struct submission *submission);
void submissions_resume(struct peer *peer, bool known); /* after WELCOME */
void submissions_advance(struct peer *peer);
void submissions_free(struct peer *peer);

/* reading.c */
void reading_receive(struct peer *peer, const struct chunk *chunk);
void reading_receive_result(struct peer *peer, const struct id *id);
void reading_receive_error(struct peer *peer, const struct error_message *error);
/* After WELCOME, before submissions. */
void readings_resume(struct peer *peer, bool known, bool same_broker);
void readings_flush(struct peer *peer);
/* Nobody here reads the stream of `id`, whatever it is a task of. */
void reading_decline(struct peer *peer, const struct id *id);
void readings_free(struct peer *peer);
void leases_resume(struct peer *peer); /* after WELCOME `resumed` */
void lease_receive_flow(struct peer *peer, const struct flow_message *flow);
void lease_receive_signal(struct peer *peer, const struct signal_out *signal);

/* watching.c */
void watching_receive(struct peer *peer, const struct event_message *event);
bool watching_receive_reply(struct peer *peer, const struct reply *reply); /* false: not its */
void watchings_resume(struct peer *peer);
void watchings_free(struct peer *peer);

/* request.c */
void request_receive(struct peer *peer, const struct reply *reply);
void request_receive_result(struct peer *peer, const struct result *result);
void requests_resume(struct peer *peer);
void requests_advance(struct peer *peer);
void requests_free(struct peer *peer);

#endif
