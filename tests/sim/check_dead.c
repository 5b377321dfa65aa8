/* PROTOCOL.md, 4.5: every failure that was asked to be kept leaves one letter, or is counted as
 * forgotten, the oldest first; no other leaves any. One that the operator retries becomes one new
 * task, with what was said of it, and one that is dropped is gone. */
#include "tests/sim/check.h"
#include "tests/sim/shadow_dead.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>

#define PROPERTY "dead"

static bool is_kept(const struct fact *fact)
{
    return fact->kind == FACT_LETTER && strcmp(fact->code, "dead_letter") == 0;
}

/* What the step has said of the letter of `id`; NULL: nothing. */
static const struct fact *word_of(const struct model *model, const struct id *id)
{
    const struct fact *word = NULL;

    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];

        word = fact->kind == FACT_LETTER && id_equal(&fact->id, id) ? fact : word;
    }
    return word;
}

static bool dies(const struct model *model, const struct id *id)
{
    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];

        if (fact->kind == FACT_MOVE && fact->to == SHADOW_FAILED && id_equal(&fact->id, id)) {
            return true;
        }
    }
    return false;
}

/* But for those of tasks that fail again in this step: these go before there is room for new ones. */
static bool is_oldest(const struct model *model, const struct shadow_dead *letter)
{
    list_each(at, &model->dead) {
        const struct shadow_dead *older = list_entry(at, struct shadow_dead, link);

        if (older == letter) {
            break;
        }
        if (!dies(model, &older->id)) {
            return false;
        }
    }
    return true;
}

static void see_letter(struct model *model, const struct fact *fact)
{
    struct shadow_dead *letter = model_dead(model, &fact->id);

    if (is_kept(fact)) {
        MODEL_CHECK(model, PROPERTY, dies(model, &fact->id), "a letter of %s, which has not failed",
                    model_id_text(&fact->id));
        shadow_dead_add(model, &fact->id);
        return;
    }
    sometimes(SOMETIMES_LETTER_FORGOTTEN);
    if (letter != NULL) {
        MODEL_CHECK(model, PROPERTY,
                    is_oldest(model, letter) || dies(model, &fact->id),
                    "the letter of %s is forgotten, and is not the oldest",
                    model_id_text(&fact->id));
        shadow_dead_drop(model, letter);
    }
}

static void see_failure(struct model *model, const struct fact *fact)
{
    struct shadow_task *task = model_task(model, &fact->id);
    const struct fact *word = word_of(model, &fact->id);
    struct shadow_dead *letter = model_dead(model, &fact->id);

    if (task == NULL || fact->from == SHADOW_NEW) {
        return; /* declared_moves complains; or it is restored */
    }
    MODEL_CHECK(model, PROPERTY, task->mourned == (word != NULL), "%s fails, and %s letter",
                model_id_text(&fact->id), word != NULL ? "leaves a" : "leaves no");
    if (word != NULL && is_kept(word)) {
        shadow_dead_fill(letter, task);
    }
}

static void take_all(struct model *model, struct span service)
{
    list_each(at, &model->dead) {
        struct shadow_dead *letter = list_entry(at, struct shadow_dead, link);

        if (span_equal(service, letter->said->submit.service)) {
            shadow_dead_drop(model, letter);
        }
    }
}

static void see_drop(struct model *model, const struct control *control, const struct fact *reply)
{
    struct shadow_dead *letter = model_dead(model, &control->task);
    bool one = !id_is_nil(&control->task);
    uint64_t there = one ? letter != NULL : model_dead_of(model, control->service);

    MODEL_CHECK(model, PROPERTY, reply->code[0] == '\0' ? reply->sequence == there : one && !there,
                "DROP of %" PRIu64 " letters says '%s', %" PRIu64, there, reply->code,
                reply->sequence);
    if (reply->sequence > 0) {
        sometimes(SOMETIMES_LETTER_DROPPED);
    }
    if (letter != NULL) {
        shadow_dead_drop(model, letter);
    } else if (!one) {
        take_all(model, control->service);
    }
}

/* What it did it has done by now: each task that appeared took its letter. */
static void see_retry(struct model *model, const struct control *control, const struct fact *reply)
{
    bool one = !id_is_nil(&control->task);
    uint64_t retried = 0, left;

    for (const struct fact *fact = model->facts; fact < reply; fact++) {
        retried += fact->kind == FACT_MOVE && fact->from == SHADOW_NEW;
    }
    left = one ? model_dead(model, &control->task) != NULL
               : model_dead_of(model, control->service);
    MODEL_CHECK(model, PROPERTY, retried == reply->sequence && (!one || retried <= 1),
                "RETRY submits %" PRIu64 " tasks, and says '%s', %" PRIu64, retried, reply->code,
                reply->sequence);
    MODEL_CHECK(model, PROPERTY, reply->code[0] != '\0' || left == reply->lost,
                "RETRY leaves %" PRIu64 " letters, and says %" PRIu64, left, reply->lost);
    MODEL_CHECK(model, PROPERTY,
                strcmp(reply->code, "not_found") != 0 || (one && left == 0),
                "RETRY of a letter that is there says '%s'", reply->code);
    if (retried > 0) {
        sometimes(SOMETIMES_LETTER_RETRIED);
    } else if (left > 0) {
        sometimes(SOMETIMES_LETTER_REFUSED);
    }
}

static void on_fact(struct model *model, const struct fact *fact)
{
    const struct control *control =
        model_event_is(model, COMMAND_CONTROL) ? &model->event->message->control : NULL;

    if (fact->kind == FACT_LETTER) {
        see_letter(model, fact);
    } else if (fact->kind == FACT_MOVE && fact->to == SHADOW_FAILED) {
        see_failure(model, fact);
    } else if (control != NULL && fact->kind == FACT_SEND && fact->command == COMMAND_REPLY) {
        if (control->what == CONTROL_DROP) {
            see_drop(model, control, fact);
        } else if (control->what == CONTROL_RETRY) {
            see_retry(model, control, fact);
        }
    }
}

static void after(struct model *model, const struct broker *core)
{
    const struct broker_stats *now = &model->after;
    uint64_t forgotten = 0;

    for (size_t i = 0; i < model->fact_count; i++) {
        forgotten += model->facts[i].kind == FACT_LETTER && !is_kept(&model->facts[i]);
    }
    MODEL_CHECK(model, PROPERTY, now->dead == model->dead_count,
                "%" PRIu64 " dead letters, expected %" PRIu64, now->dead, model->dead_count);
    MODEL_CHECK(model, PROPERTY,
                now->dead_forgotten == model->before.dead_forgotten + forgotten,
                "%" PRIu64 " letters are counted as forgotten, %" PRIu64 " before and %" PRIu64
                " now", now->dead_forgotten, model->before.dead_forgotten, forgotten);
    MODEL_CHECK(model, PROPERTY,
                now->dead <= model->core.dead_tasks && now->dead_bytes <= model->core.dead_bytes,
                "%" PRIu64 " dead letters of %" PRIu64 " bytes", now->dead, now->dead_bytes);
}

const struct checker check_dead = {.property = PROPERTY, .fact = on_fact, .after = after};
