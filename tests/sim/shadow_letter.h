/* shadow_letter: what was said in numbered sessions, and what was taken, each way. */
#ifndef SLUICE_TESTS_SIM_SHADOW_LETTER_H
#define SLUICE_TESTS_SIM_SHADOW_LETTER_H

#include "proto/session.h"
#include "tests/sim/model.h"
#include "tests/sim/net.h"

/* One direction of a session, from one start of its numbers on. */
struct shadow_thread {
    struct list link;     /* model->threads */
    struct id session;
    uint64_t start;
    enum direction direction;
    uint64_t *digests;    /* of the messages said, in order */
    uint64_t said, taken, capacity;
};

/* Both check_messages_once.c: number `number` of the session's `start` goes for the first time;
 * was taken. */
void shadow_letter_said(struct model *model, const struct shadow_thread *key, uint64_t number,
                        uint64_t digest);
void shadow_letter_taken(struct model *model, const struct shadow_thread *key, uint64_t number,
                         uint64_t digest);
/* What the side that speaks keeps now. */
void shadow_letters_kept(struct model *model, const struct shadow_thread *key,
                         const struct session *session);
/* A message that came leaves a gap: there is none on one link, unless it is of another start of the
 * numbers (HELLO was said over a link before this one, and its answer came late). */
void shadow_letter_missing(struct model *model, const struct shadow_thread *key,
                           const struct sequence *sequence, const struct session *session);
void shadow_letters_forget(struct model *model);

#endif
