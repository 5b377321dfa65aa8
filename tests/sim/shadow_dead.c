#include "tests/sim/shadow_dead.h"

#include "common/check.h"
#include "tests/sim/shadow.h"
#include "tests/sim/shadow_row.h"

#include <stdlib.h>

struct shadow_dead *model_dead(const struct model *model, const struct id *id)
{
    list_each(at, &model->dead) {
        struct shadow_dead *letter = list_entry(at, struct shadow_dead, link);

        if (id_equal(&letter->id, id)) {
            return letter;
        }
    }
    return NULL;
}

uint64_t model_dead_of(const struct model *model, struct span service)
{
    uint64_t count = 0;

    list_each(at, &model->dead) {
        const struct shadow_dead *letter = list_entry(at, struct shadow_dead, link);

        count += letter->said != NULL && span_equal(service, letter->said->submit.service);
    }
    return count;
}

struct shadow_said *shadow_said_keep(const struct submit *submit)
{
    struct shadow_said *said = calloc(1, sizeof *said);
    struct span *const texts[] = {&said->submit.service,  &said->submit.key,
                                  &said->submit.order,    &said->submit.affinity,
                                  &said->submit.retry_on, &said->submit.final_on,
                                  &said->submit.version};

    CHECK(said != NULL);
    said->submit = *submit;
    said->submit.needs = NULL;
    said->submit.payload.bytes.data = NULL;
    said->submit.payload.blob = NULL;
    said->submit.idempotency_key = span_of(NULL, 0); /* it is never said again */
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        shadow_copy_text(said->texts[i], sizeof said->texts[i], *texts[i]);
        *texts[i] = span_from_text(said->texts[i]);
    }
    return said;
}

void shadow_dead_add(struct model *model, const struct id *id)
{
    struct shadow_dead *letter = model_dead(model, id);

    if (letter != NULL) {
        shadow_dead_drop(model, letter);
    }
    letter = calloc(1, sizeof *letter);
    CHECK(letter != NULL);
    list_init(&letter->link);
    letter->id = *id;
    list_push_back(&model->dead, &letter->link);
    model->dead_count++;
}

void shadow_dead_fill(struct shadow_dead *letter, struct shadow_task *task)
{
    CHECK(letter->said == NULL);
    CHECK(task->said != NULL);
    letter->said = task->said;
    letter->attempt = task->attempt;
    letter->key = task->row != NULL ? task->row->key : 0;
    task->said = NULL;
}

struct submit shadow_dead_submit(const struct shadow_dead *letter)
{
    struct submit submit = letter->said->submit;

    submit.detached = true;
    submit.held = false;
    submit.delay_ms = 0;
    submit.parent = (struct id){{0}};
    return submit;
}

void shadow_dead_drop(struct model *model, struct shadow_dead *letter)
{
    list_unlink(&letter->link);
    model->dead_count--;
    free(letter->said);
    free(letter);
}
