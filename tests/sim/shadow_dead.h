/* shadow_dead: what is known of dead letters: of which tasks, and what their submitters said, which
 * is what they are submitted again with. By PROTOCOL.md, 4.5. */
#ifndef SLUICE_TESTS_SIM_SHADOW_DEAD_H
#define SLUICE_TESTS_SIM_SHADOW_DEAD_H

#include "tests/sim/model.h"

/* A SUBMIT, kept. */
struct shadow_said {
    struct submit submit; /* its texts are those below; without needs and payload's bytes */
    char texts[7][SHADOW_CODES_MAX + 1];
};

struct shadow_dead {
    struct list link;         /* model->dead, in order of death */
    struct id id;
    struct shadow_said *said; /* NULL: its task is about to end */
    uint64_t attempt;         /* the last one */
    uint64_t key;             /* of its row; 0: it was not durable */
};

struct shadow_dead *model_dead(const struct model *model, const struct id *id); /* NULL: none */
/* Letters of tasks of this service. */
uint64_t model_dead_of(const struct model *model, struct span service);

struct shadow_said *shadow_said_keep(const struct submit *submit);

/* The newest; one that there was of this id is gone. */
void shadow_dead_add(struct model *model, const struct id *id);
/* Its task has ended; takes what was said of it. */
void shadow_dead_fill(struct shadow_dead *letter, struct shadow_task *task);
/* What it is submitted again with; texts live as long as the letter. */
struct submit shadow_dead_submit(const struct shadow_dead *letter);
void shadow_dead_drop(struct model *model, struct shadow_dead *letter);

#endif
