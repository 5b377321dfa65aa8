#include "tests/sim/shadow_directive.h"

#include "tests/sim/shadow.h"
#include "tests/sim/shadow_row.h"
#include "tests/sim/sometimes.h"

#include <string.h>

struct shadow_directive shadow_directive_of(const struct control *control)
{
    struct shadow_directive directive = {
        .what = control->what, .limits = control->limits, .ms = control->ms};

    shadow_copy_text(directive.service, sizeof directive.service, control->service);
    return directive;
}

struct shadow_row *shadow_directive_row(const struct model *model,
                                        const struct shadow_directive *directive,
                                        const struct shadow_row *newest)
{
    struct shadow_row *found = NULL;

    list_each(at, &model->rows) {
        struct shadow_row *row = list_entry(at, struct shadow_row, link);

        if (row == newest) {
            break;
        }
        if (row->directive != NULL && !row->forgetting &&
            row->directive->what == directive->what &&
            strcmp(row->directive->service, directive->service) == 0) {
            found = row;
        }
    }
    return found;
}

struct shadow_directive shadow_directive_next(const struct model *model,
                                              const struct control *control)
{
    struct shadow_directive next = shadow_directive_of(control);
    const struct shadow_row *before = shadow_directive_row(model, &next, NULL);

    if (before != NULL) {
        next.limits = before->directive->limits;
#define VALUE(name, max)                                                                           \
    if (control->limits.name != LIMIT_UNCHANGED) {                                                 \
        next.limits.name = control->limits.name;                                                   \
    }
        LIMIT_VALUES(VALUE)
#undef VALUE
    }
    return next;
}

bool shadow_directive_over(const struct model *model, const struct shadow_row *row)
{
    return row->directive->what == CONTROL_PAUSE && row->directive->ms > 0 &&
           model->now_ms >= row->accepted_ms + row->directive->ms;
}

static void carry_out(struct model *model, const struct shadow_row *row)
{
    const struct shadow_directive *directive = row->directive;
    struct shadow_service *service =
        shadow_service_know(model, span_from_text(directive->service));

    sometimes(SOMETIMES_RESTORED_DIRECTIVE);
    if (directive->what == CONTROL_LIMIT) {
        model_policed(model, directive->service, &directive->limits);
    } else if (directive->what == CONTROL_DRAIN) {
        service->draining = true;
    } else {
        shadow_gate_pause(&service->gate, "operator",
                          directive->ms > 0
                              ? directive->ms - (model->now_ms - row->accepted_ms)
                              : 0,
                          model->now_ms);
    }
}

/* Of two about the same the later one, which has all that the other says. */
void shadow_directives_restore(struct model *model)
{
    list_each(at, &model->rows) {
        struct shadow_row *row = list_entry(at, struct shadow_row, link);

        if (row->directive == NULL) {
            continue;
        }
        row->bound = true;
        if (shadow_directive_row(model, row->directive, NULL) == row &&
            !shadow_directive_over(model, row)) {
            carry_out(model, row);
        }
    }
}
