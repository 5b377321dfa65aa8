/* agent: a peer that offers a service (or none), gets no task, and says that it is alive. As little
 * of one as the protocol allows, for there are to be thousands of them in a process. */
#ifndef SLUICE_CLI_CROWD_AGENT_H
#define SLUICE_CLI_CROWD_AGENT_H

#include "cli/crowd.h"

#include "proto/codec.h"

enum agent_state {
    AGENT_JOINING,  /* HELLO is said, WELCOME is to come */
    AGENT_OFFERING, /* OFFER and a first PING are said: the PONG says that both have come */
    AGENT_JOINED,
};

struct agent {
    void *socket; /* ours */
    enum agent_state state;
    struct id session;
    char name[64]; /* its own, and its service's */
    uint64_t pinged, answered; /* nonces */
};

/* What agents share. */
struct agent_world {
    void *zmq_context;
    const char *endpoint;
    struct codec_writer writer;
    uint64_t ping_ms; /* of the last WELCOME */
    bool silent;      /* offers nothing */
    struct crowd_report report;
};

/* Connects it and says HELLO. False: no socket. */
bool agent_open(struct agent *agent, struct agent_world *world, const char *name);
/* Says BYE, which leaves with zmq_ctx_term. */
void agent_close(struct agent *agent, struct agent_world *world);

/* Takes in what has come. */
void agent_receive(struct agent *agent, struct agent_world *world);
/* Needs: joined. Sees whether the last PING was answered, and says the next. */
void agent_ping(struct agent *agent, struct agent_world *world);

#endif
