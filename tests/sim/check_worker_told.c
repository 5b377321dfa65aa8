/* A worker is told when a task in its hands is taken back: once all that was said over its link has
 * come, it holds no task that the broker has not leased to it; but for one that came late, over a
 * connection that was gone. Looked at from the agent's side. */
#include "tests/sim/agent_state.h"

#include "tests/sim/check.h"
#include "tests/sim/outbox.h"

#include <inttypes.h>

#define PROPERTY "worker_told"

/* The session that the broker has on its link, if nothing is under way between the two. */
static const struct shadow_session *settled_session(const struct agent *agent)
{
    const struct link *link = agent->node.link;
    const struct outbox *outbox = link == NULL ? NULL : link->outbox;

    if (link == NULL || !link->node_up || !link->broker_up || link->black_hole ||
        link->in_flight[UP] + link->in_flight[DOWN] > 0 || !peer_connected(agent->peer) ||
        agent->outbound.first.full_count + agent->outbound.rest.full_count > 0 ||
        (outbox != NULL && !list_empty(&outbox->dirty))) {
        return NULL;
    }
    return model_session(&agent->world->model, link->connection);
}

void check_worker_told(struct agent *agent)
{
    struct model *model = &agent->world->model;
    const struct shadow_session *session =
        list_empty(&agent->jobs) ? NULL : settled_session(agent);

    if (session == NULL) {
        return;
    }
    list_each(at, &agent->jobs) {
        const struct job *job = list_entry(at, struct job, link);
        const struct lease *lease = job->lease;

        MODEL_CHECK(model, PROPERTY,
                    job->late || peer_lease_lost(lease) || model_lease(model, session, peer_lease_id(lease),
                                                          peer_lease_attempt(lease)) != NULL,
                    "agent%u works on %s, attempt %" PRIu64
                    ", which c%u does not hold, and has not been told",
                    agent->index, model_id_text(peer_lease_id(lease)), peer_lease_attempt(lease),
                    session->connection);
    }
}
