/* shadow_directive: what an operator has said of a service, and a restart must not undo: its limits,
 * a pause, a drain. Kept as rows of the store (shadow_row.h), of each service and kind one. */
#ifndef SLUICE_TESTS_SIM_SHADOW_DIRECTIVE_H
#define SLUICE_TESTS_SIM_SHADOW_DIRECTIVE_H

#include "tests/sim/model.h"

struct shadow_directive {
    enum control_what what; /* CONTROL_LIMIT, CONTROL_PAUSE, CONTROL_DRAIN */
    char service[SHADOW_NAME_MAX];
    struct limit_values limits; /* all that was said, one over the other */
    uint64_t ms;                /* of a pause; 0: until it is ended */
};

struct shadow_row;

struct shadow_directive shadow_directive_of(const struct control *control);
/* The row of the same kind and service that holds now, or did until `newest` was recorded; NULL:
 * none. */
struct shadow_row *shadow_directive_row(const struct model *model,
                                        const struct shadow_directive *directive,
                                        const struct shadow_row *newest);
/* What the CONTROL under way makes of what was said before. */
struct shadow_directive shadow_directive_next(const struct model *model,
                                              const struct control *control);
/* It is a pause, and would have ended by now. */
bool shadow_directive_over(const struct model *model, const struct shadow_row *row);
/* A broker has begun: what is left of them holds. */
void shadow_directives_restore(struct model *model);

#endif
