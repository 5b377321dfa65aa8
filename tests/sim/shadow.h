/* shadow: what the files of the model share, and checkers do not need. */
#ifndef SLUICE_TESTS_SIM_SHADOW_H
#define SLUICE_TESTS_SIM_SHADOW_H

#include "tests/sim/model.h"

/* What is remembered: shadow.c */
void shadow_copy_text(char *to, size_t size, struct span from);
uint32_t shadow_id_hash(const struct id *id);
struct shadow_service *shadow_service_know(struct model *model, struct span name);
void shadow_service_limit(struct shadow_service *service, const struct service_limits *limits);
void shadow_task_drop(struct model *model, struct shadow_task *task);
void shadow_lease_drop(struct shadow_lease *lease);
void shadow_session_reset(struct model *model, struct shadow_session *session);
/* Of a submitter whose task is restored: it is away, since now. */
struct shadow_session *shadow_session_restore(struct model *model, const struct id *id);
void shadow_session_drop(struct model *model, struct shadow_session *session);
enum shadow_state shadow_state_from(struct span name);
enum shadow_state shadow_state_of(enum outcome outcome);

/* A task has moved, or appeared: model_move.c */
void shadow_move(struct model *model, const struct fact *fact);
/* What the task that appears was submitted with: by the SUBMIT under way, by whose letter an
 * operator tries again, or by its row. */
struct submit shadow_submit_of(struct model *model, const struct fact *fact);
struct shadow_lease *shadow_begin(struct model *model, struct shadow_task *task,
                                  struct shadow_session *session, uint64_t attempt);
/* Of its last attempt; NULL: it is over. */
struct shadow_lease *shadow_lease_of(const struct model *model, const struct shadow_task *task);

/* What a step did: fact.c */
void fact_hash_number(struct model *model, uint64_t number);
const struct id *fact_event_task(const struct event *event);
uint64_t fact_digest(struct span bytes); /* 0: no bytes */
uint64_t fact_submit_digest(const struct submit *submit);
void fact_print_step(const struct model *model);

/* The code that the attempt under way failed with, by the step's event. */
struct span shadow_failure_code(const struct model *model, const struct shadow_task *task);
bool shadow_codes_name(const char *codes, struct span code);

/* The code of the ERROR that answers the step's message; NULL: none. */
const char *shadow_error_told(const struct model *model);

#endif
