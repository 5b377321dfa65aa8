/* PROTOCOL.md, section 4.2: who is handed out next. A higher priority comes first; among equals each
 * fairness key (without one: each session) has its turn, so that none is served twice while
 * another one waits; within a key, first ready is first out, but for what a worker lost. Of an
 * ordering key one task at a time, in the order in which they became ready.
 *
 * Detached tasks may belong to an earlier life of a session, which is another key: they are
 * left out where that would tell. */
#include "tests/sim/check.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>

#define PROPERTY "turns"

static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3; /* FNV-1a */
    }
    return hash;
}

/* What tells one flow of a service from another. */
static uint64_t flow_of(const struct shadow_task *task)
{
    uint64_t hash = mix(0xcbf29ce484222325, &task->priority, sizeof task->priority);

    hash = task->only != 0 ? mix(hash, &task->only, sizeof task->only)
                           : mix(hash, task->version, sizeof task->version);

    return task->key[0] != '\0' ? mix(hash, task->key, sizeof task->key)
                                : mix(hash, task->session.bytes, sizeof task->session.bytes);
}

/* It has let go of its ordering key: its outcome will not be stored. */
static bool has_let_go(const struct model *model, const struct shadow_task *task)
{
    return task->passed || (model->store == STORE_LOST && task->state == SHADOW_STORING);
}

/* The task of its ordering key that has to end before it may start; NULL: none. */
static const struct shadow_task *ahead_in_lane(const struct model *model,
                                               const struct shadow_task *task)
{
    if (task->lane[0] == '\0') {
        return NULL;
    }
    list_each(at, &model->tasks) {
        const struct shadow_task *other = list_entry(at, struct shadow_task, link);

        if (other != task && other->home == task->home && other->lined_up > 0 &&
            other->lined_up < task->lined_up && !has_let_go(model, other) &&
            strcmp(other->lane, task->lane) == 0) {
            return other;
        }
    }
    return NULL;
}

bool check_lane_lets(const struct model *model, const struct shadow_task *task)
{
    return ahead_in_lane(model, task) == NULL;
}

static void see_lane(struct model *model, const struct shadow_task *task)
{
    const struct shadow_task *ahead = ahead_in_lane(model, task);

    MODEL_CHECK(model, PROPERTY, ahead == NULL,
                "%s of '%s' starts before %s, which is ahead of it in '%s'",
                model_id_text(&task->id), task->service, model_id_text(&ahead->id), task->lane);
}

/* `other` is ready, too, when `task` of the same service starts; `before`: it was first. */
static void see_rival(struct model *model, const struct shadow_task *task,
                      const struct shadow_task *other, bool before)
{
    const struct shadow_service *home = task->home;
    uint64_t flow = flow_of(task), others = flow_of(other);
    uint64_t last = home->turns[flow % SHADOW_TURNS].flow == flow
                        ? home->turns[flow % SHADOW_TURNS].sure
                        : 0;
    uint64_t others_last = home->turns[others % SHADOW_TURNS].order;

    if (home->keys != NULL && shadow_key_bound(home->keys, shadow_key_of(other))) {
        return; /* its key may be held back */
    }
    MODEL_CHECK(model, PROPERTY, other->priority <= task->priority,
                "%s starts before %s, which has a higher priority", model_id_text(&task->id),
                model_id_text(&other->id));
    if (other->priority < task->priority || task->detached || other->detached ||
        task->lane[0] != '\0' || other->lane[0] != '\0') {
        return;
    }
    if (flow == others) {
        sometimes(SOMETIMES_FIFO_WAITED);
        MODEL_CHECK(model, PROPERTY, !before,
                    "%s starts before %s, which was ready before it", model_id_text(&task->id),
                    model_id_text(&other->id));
        return;
    }
    if (home->keys != NULL) {
        return; /* they have weights, and may have been held back: check_keys */
    }
    sometimes(SOMETIMES_TURN_WAITED);
    MODEL_CHECK(model, PROPERTY, other->ready_since > last || others_last > last,
                "%s starts, whose key had a turn since %s waits for one", model_id_text(&task->id),
                model_id_text(&other->id));
}

static void note_turn(struct model *model, const struct shadow_task *task)
{
    struct shadow_service *home = task->home;
    uint64_t flow = flow_of(task), order = ++model->orders;

    if (home->turns[flow % SHADOW_TURNS].flow != flow) {
        home->turns[flow % SHADOW_TURNS].flow = flow;
        home->turns[flow % SHADOW_TURNS].sure = 0;
    }
    home->turns[flow % SHADOW_TURNS].order = order;
    if (!task->detached) {
        home->turns[flow % SHADOW_TURNS].sure = order;
    }
}

static void on_fact(struct model *model, const struct fact *fact)
{
    struct shadow_task *task;
    bool before = true;

    if (fact->kind != FACT_MOVE) {
        return;
    }
    task = model_task(model, &fact->id);
    if (task != NULL && fact->to == SHADOW_STORING) {
        task->passed = !check_lane_lets(model, task);
    }
    if (fact->to != SHADOW_LEASED) {
        return;
    }
    if (task == NULL || task->home == NULL) {
        return; /* declared_moves complains */
    }
    see_lane(model, task);
    list_each(at, &task->home->ready) {
        struct shadow_task *other = list_entry(at, struct shadow_task, ready_link);

        if (other == task) {
            before = false;
        } else if ((other->version[0] != '\0' || other->only != 0) &&
                   !model_room_for(model, other)) {
            sometimes(SOMETIMES_PIN_PASSED);
        } else if (!check_lane_lets(model, other)) {
            sometimes(SOMETIMES_LANE_WAITED);
        } else {
            see_rival(model, task, other, before);
        }
    }
    note_turn(model, task);
}

const struct checker check_turns = {.property = PROPERTY, .fact = on_fact};
