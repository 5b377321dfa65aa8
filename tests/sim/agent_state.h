/* agent_state: what an agent is made of, for the three files it is written in. */
#ifndef SLUICE_TESTS_SIM_AGENT_STATE_H
#define SLUICE_TESTS_SIM_AGENT_STATE_H

#include "agents/runtime/peer.h"
#include "tests/sim/agent.h"
#include "tests/sim/outbound.h"

/* A task in this process's hands. */
struct job {
    struct list link;
    uint64_t serial;
    struct lease *lease;
    unsigned depth;
    unsigned children;     /* that it waits for */
    bool hangs, ignores_cancel, cancelled, gave_credit, finished_work;
};

/* A task that this process has submitted and waits for. */
struct ask {
    struct list link;
    uint64_t serial;
    struct submission *submission;
    struct job *parent;    /* NULL: a root task */
    bool ended;
};

struct agent {
    struct world *world;
    unsigned index;
    bool submits, works;
    struct random work, faults, retries, policies, turns;
    struct node node;
    struct peer *peer;          /* NULL: crashed, not yet back */
    struct outbound outbound;
    bool retrying;
    uint64_t life;              /* counts starts: entries of an earlier life are void */
    uint64_t tick, serials;
    uint64_t roots, submitted;
    struct list jobs, asks;
    struct offering *offerings[WORLD_LONE_SERVICE + 1];
};

/* agent.c: turns and life */
bool agent_void_ticket(const struct agent *agent, uint64_t argument);
void agent_enter(struct agent *agent, uint64_t after_ms, agenda_fn *fn, uint64_t low);
void agent_settle(struct agent *agent);

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
void job_work(void *context, uint64_t argument);
void job_confirm_cancel(void *context, uint64_t argument);

#endif
