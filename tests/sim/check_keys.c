/* PROTOCOL.md, 4.2 and 4.6, of fairness keys with rules: no more of a key's tasks are in hands, and
 * no more start in any time, than its own rule and that of each key allow; and a key that no rule
 * holds back has as many turns as its weight for each of another's. That what is held back holds
 * nobody else is no_idle_worker's business. */
#include "tests/sim/check.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>

#define PROPERTY "keys"
#define LOOK_BACK 4 /* starts of one key that tell what another one had meanwhile */

/* Of a session only what is not detached: it may belong to an earlier life, which is another key. */
static uint64_t leased(const struct model *model, const struct shadow_task *like)
{
    uint64_t count = 0;

    list_each(at, &model->tasks) {
        const struct shadow_task *task = list_entry(at, struct shadow_task, link);

        count += task->state == SHADOW_LEASED && shadow_key_same(task, like) &&
                 (task->key[0] != '\0' || !task->detached);
    }
    return count;
}

/* `others`: it is not counted as leased yet. */
static void see_task(struct model *model, const struct shadow_task *task, bool others)
{
    const struct shadow_keys *keys = task->home->keys;
    int key = shadow_key_of(task);
    const struct limit_values *own = key >= 0 ? &keys->rules[key] : NULL;
    const struct limit_values *each = &keys->rules[SHADOW_KEYS];
    uint64_t count;

    if (!shadow_key_bound(keys, key) || (task->key[0] == '\0' && task->detached)) {
        return; /* its session may have had a life before, which is another key */
    }
    count = leased(model, task) + others;
    MODEL_CHECK(model, PROPERTY, each->concurrency == 0 || count <= each->concurrency,
                "TASK %s: %" PRIu64 " of key '%s' of '%s' are leased, and each may have %" PRIu64,
                model_id_text(&task->id), count, task->key, task->service, each->concurrency);
    MODEL_CHECK(model, PROPERTY,
                own == NULL || own->concurrency == 0 || count <= own->concurrency,
                "TASK %s: %" PRIu64 " of key '%s' of '%s' are leased, which may have %" PRIu64,
                model_id_text(&task->id), count, task->key, task->service, own->concurrency);
    if (own != NULL && each->concurrency + each->rate > 0 && own->concurrency + own->rate > 0) {
        sometimes(SOMETIMES_KEY_BOUND_TWICE);
    }
}

/* `other` of the same priority is ready and not held back, and `key` has just started something. */
static void see_rival(struct model *model, const struct shadow_keys *keys, unsigned key,
                      const struct shadow_task *other)
{
    unsigned rival = (unsigned)shadow_key_of(other);
    const struct shadow_flow *flow = &keys->flows[key][other->priority];
    const struct shadow_flow *rivals = &keys->flows[rival][other->priority];
    uint64_t weight = shadow_key_weight(keys, key), its_weight = shadow_key_weight(keys, rival);
    uint64_t round = shadow_flow_start(flow, weight + 1), since = other->ready_since;
    uint64_t look = shadow_flow_start(flow, LOOK_BACK * weight);

    since = shadow_flow_start(rivals, 1) > since ? shadow_flow_start(rivals, 1) : since;
    MODEL_CHECK(model, PROPERTY, round <= since || round <= keys->changed,
                "key %u of weight %" PRIu64 " had more than a turn while %s waits",
                key + 1, weight, model_id_text(&other->id));
    if (look > rivals->idle && look > keys->changed) {
        sometimes(SOMETIMES_KEY_WEIGHED);
        MODEL_CHECK(model, PROPERTY,
                    shadow_flow_since(rivals, look) >= (LOOK_BACK - 2) * its_weight,
                    "key %u of weight %" PRIu64 " had %d turns, and key %u of weight %" PRIu64
                    " only %" PRIu64 " tasks started, while %s waits", key + 1, weight, LOOK_BACK,
                    rival + 1, its_weight, shadow_flow_since(rivals, look),
                    model_id_text(&other->id));
    }
}

/* It has its turn with all others of its key and priority. A version would be another flow, so would a
 * part for one worker; and what waits for an ordering key is in none. */
static bool of_its_own(const struct shadow_task *task)
{
    return task->version[0] != '\0' || task->only != 0;
}

static bool in_flow(const struct shadow_task *task)
{
    return shadow_key_of(task) >= 0 && !of_its_own(task) && task->lane[0] == '\0';
}

/* `task` leaves the queue: which keys have nothing of its priority left there? */
static void note_idle(struct model *model, const struct shadow_task *task)
{
    bool busy[SHADOW_KEYS] = {false};

    list_each(at, &task->home->ready) {
        const struct shadow_task *other = list_entry(at, struct shadow_task, ready_link);

        if (other != task && other->priority == task->priority && in_flow(other)) {
            busy[shadow_key_of(other)] = true;
        }
    }
    for (unsigned key = 0; key < SHADOW_KEYS; key++) {
        if (!busy[key]) {
            task->home->keys->flows[key][task->priority].idle = ++model->orders;
        }
    }
}

static void see_start(struct model *model, const struct shadow_task *task)
{
    struct shadow_keys *keys = task->home->keys;
    int key = shadow_key_of(task);

    if (key < 0) {
        return;
    }
    MODEL_CHECK(model, PROPERTY, shadow_key_rates_let(keys, (unsigned)key, model->now_ms),
                "%s of key '%s' of '%s' starts faster than its rate", model_id_text(&task->id),
                task->key, task->service);
    MODEL_CHECK(model, PROPERTY,
                shadow_key_budgets_let(keys, (unsigned)key, task->cost, model->now_ms),
                "%s of key '%s' of '%s' costs %" PRIu64 ", beyond its budget",
                model_id_text(&task->id), task->key, task->service, task->cost);
    shadow_key_start(keys, (unsigned)key, task->cost, model->now_ms);
    if (of_its_own(task)) {
        return;
    }
    shadow_flow_add(&keys->flows[key][task->priority], ++model->orders);
    list_each(at, &task->home->ready) {
        struct shadow_task *other = list_entry(at, struct shadow_task, ready_link);

        if (!shadow_key_same(task, other) && shadow_key_bound(keys, shadow_key_of(other))) {
            sometimes(SOMETIMES_KEY_MAY_WAIT);
        } else if (!shadow_key_same(task, other) && other->priority == task->priority &&
                   in_flow(other)) {
            see_rival(model, keys, (unsigned)key, other);
        }
    }
}

static void on_fact(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_task(model, &fact->id);

    if (task == NULL || task->home == NULL || task->home->keys == NULL) {
        return;
    }
    if (fact->kind == FACT_MOVE && fact->to == SHADOW_LEASED) {
        see_start(model, task);
    }
    if (model_begins(model, fact) != NULL) {
        see_task(model, task, fact->kind == FACT_MOVE);
    }
    if (fact->kind == FACT_MOVE && fact->from == SHADOW_READY) {
        note_idle(model, task);
    }
}

const struct checker check_keys = {.property = PROPERTY, .fact = on_fact};
