/* shadow_watch: what is known of each WATCH, by PROTOCOL.md, WATCH and EVENT. Where the simulated
 * broker notes all that happens (model->notes), also of what it was not told. */
#ifndef SLUICE_TESTS_SIM_SHADOW_WATCH_H
#define SLUICE_TESTS_SIM_SHADOW_WATCH_H

#include "tests/sim/model.h"

struct shadow_watch {
    struct list link;   /* model->watches */
    struct shadow_session *session;
    uint64_t request, credit;
    uint64_t sequence;  /* of the last event, told or lost */
    uint64_t lost;      /* since the last one told */
    struct id task;     /* nil: all */
    char service[SHADOW_NAME_MAX]; /* empty: all */
    const struct fact *told; /* the EVENT whose note has yet to come; NULL: none */
};

/* NULL: none. */
struct shadow_watch *model_watch(const struct model *model, uint32_t connection,
                                 uint64_t request);
bool shadow_watch_matches(const struct shadow_watch *watch, const struct fact *note);

void shadow_watch_event(struct model *model, struct shadow_session *session);
void shadow_watch_fact(struct model *model, const struct fact *fact);
/* The step is over. */
void shadow_watch_settle(struct model *model);
void shadow_watch_ended(struct model *model, const struct shadow_session *session);

#endif
