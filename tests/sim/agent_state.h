/* agent_state: what an agent is made of, for the files it is written in. */
#ifndef SLUICE_TESTS_SIM_AGENT_STATE_H
#define SLUICE_TESTS_SIM_AGENT_STATE_H

#include "agents/runtime/numbering.h"
#include "agents/runtime/peer.h"
#include "tests/sim/agent.h"
#include "tests/sim/outbound.h"

/* A task in this process's hands. */
struct job {
    struct list link;
    uint64_t serial;
    struct lease *lease;
    unsigned depth;
    unsigned service;      /* as in world_service */
    unsigned children;     /* that it waits for */
    bool late;             /* it came over a connection that was gone: it is not its any more */
    bool hangs, ignores_cancel, cancelled, gave_credit, finished_work;
    bool stores;           /* checkpoints */
    uint64_t said, chunks_left;
    uint64_t look_ms;      /* when it goes on talking; 0: not planned */
    uint64_t signal_until_ms; /* it waits so long for a signal; 0: for none */
};

/* A task that this process has submitted and waits for. */
struct ask {
    struct list link;
    uint64_t serial;
    struct submission *submission;
    struct job *parent;    /* NULL: a root task */
    bool ended;
    struct reading *reading; /* of its stream; NULL: it has none */
    bool slow;             /* in taking chunks */
    struct list takings;   /* chunks that it has yet to take */
};

struct agent {
    struct world *world;
    unsigned index;
    bool submits, works;
    struct random work, faults, retries, policies, durables, turns, streams, shapes, depths, twins,
        costs, pins, alone;
    struct node node;
    struct peer *peer;          /* NULL: crashed, not yet back */
    struct outbound outbound;
    bool resumes;               /* asks for numbered messages */
    struct numbering numbering;
    struct id session;          /* of this life */
    bool retrying;
    uint64_t life;              /* counts starts: entries of an earlier life are void */
    uint64_t tick, serials;
    uint64_t roots, submitted;
    struct list jobs, asks;
    struct reading *other;      /* of somebody else's stream; NULL: none */
    struct offering *offerings[WORLD_LONE_SERVICE + 1];
};

/* agent.c: turns and life */
bool agent_void_ticket(const struct agent *agent, uint64_t argument);
void agent_enter(struct agent *agent, uint64_t after_ms, agenda_fn *fn, uint64_t low);
void agent_settle(struct agent *agent);

/* agent_link.c: what goes through its link */
void agent_link_open(struct agent *agent);
void agent_link_shut(struct agent *agent);
void agent_say(struct agent *agent, const struct message *message);
/* Sends what the link takes. False: something is left for later. */
bool agent_link_flush(struct agent *agent);
/* Closes the link and connects anew: what was about to be sent is lost, unless it has numbers. */
void agent_link_renew(struct agent *agent);
void agent_link_receive(struct agent *agent, const struct packet *packet);

/* check_worker_told.c */
void check_worker_told(struct agent *agent);

/* agent_ask.c: what it submits */
const char *draw_service(struct agent *agent);
void agent_trace(const struct agent *agent, const char *what, const struct id *id,
                        const char *detail);
void ask_drop(struct ask *ask);
void draw_options(struct agent *agent, struct submit *submit);
struct ask *ask_submit(struct agent *agent, struct job *parent, const char *service,
                              struct submit *submit);
void ask_more(void *context, uint64_t argument);

/* agent_job.c: what it works on */
void job_give_credit(struct agent *agent, struct job *job, bool give);
struct job *job_find(struct agent *agent, uint64_t serial); /* NULL: it has ended */
void job_work(void *context, uint64_t argument);
void job_confirm_cancel(void *context, uint64_t argument);

/* agent_stream.c: what it streams and signals */
void ask_draw_stream(struct agent *agent, struct submit *submit);
void ask_read(struct agent *agent, struct ask *ask, const struct submit *submit);
void ask_unread(struct agent *agent, struct ask *ask);
void ask_forget_stream(struct ask *ask); /* its process is gone */
void agent_read_other(struct agent *agent);
void job_draw_stream(struct agent *agent, struct job *job, const struct task_message *task);
/* False: it has more to say, or waits for a signal; job_work is called again. */
bool job_talk(struct agent *agent, struct job *job);
void agent_signal(void *context, uint64_t argument);
void agent_on_chunk(void *context, struct reading *reading, const struct chunk_upcall *upcall);
void agent_on_read_over(void *context, void *user, const struct error *error);
void agent_on_flow(void *context, struct lease *lease);
void agent_on_signal(void *context, struct lease *lease, const struct payload *payload);

#endif
