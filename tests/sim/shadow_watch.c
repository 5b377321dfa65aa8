#include "tests/sim/shadow_watch.h"

#include "common/check.h"
#include "tests/sim/shadow.h"

#include <stdlib.h>

struct shadow_watch *model_watch(const struct model *model, uint32_t connection,
                                 uint64_t request)
{
    list_each(at, &model->watches) {
        struct shadow_watch *watch = list_entry(at, struct shadow_watch, link);

        if (watch->session->connection == connection && watch->request == request) {
            return watch;
        }
    }
    return NULL;
}

bool shadow_watch_matches(const struct shadow_watch *watch, const struct fact *note)
{
    return (id_is_nil(&watch->task) || id_equal(&watch->task, &note->id)) &&
           (watch->service[0] == '\0' || strcmp(watch->service, note->service) == 0);
}

static void drop(struct shadow_watch *watch)
{
    list_unlink(&watch->link);
    free(watch);
}

static bool refused(const struct model *model)
{
    for (size_t i = 0; i < model->fact_count; i++) {
        if (model->facts[i].kind == FACT_SEND && model->facts[i].command == COMMAND_REPLY &&
            model->facts[i].code[0] != '\0') {
            return true;
        }
    }
    return false;
}

void shadow_watch_event(struct model *model, struct shadow_session *session)
{
    const struct watch *message = &model->event->message->watch;
    struct shadow_watch *watch;

    if (!model_event_is(model, COMMAND_WATCH) || refused(model)) {
        return;
    }
    watch = model_watch(model, model->event->from, message->request);
    if (watch == NULL) {
        watch = calloc(1, sizeof *watch);
        CHECK(watch != NULL);
        list_init(&watch->link);
        watch->session = session;
        watch->request = message->request;
        watch->task = message->task;
        shadow_copy_text(watch->service, sizeof watch->service, message->service);
        list_push_back(&model->watches, &watch->link);
    }
    watch->credit = message->credit < CREDIT_MAX ? message->credit : CREDIT_MAX;
}

/* It happened: each watch with credit has been told of it right before, each other lost it. */
static void take_note(struct model *model, const struct fact *note)
{
    list_each(at, &model->watches) {
        struct shadow_watch *watch = list_entry(at, struct shadow_watch, link);

        if (!shadow_watch_matches(watch, note)) {
            continue;
        }
        watch->sequence++;
        if (watch->credit > 0) {
            watch->credit--;
            watch->lost = 0;
            watch->told = NULL;
        } else {
            watch->lost++;
        }
    }
}

void shadow_watch_fact(struct model *model, const struct fact *fact)
{
    struct shadow_watch *watch;

    if (fact->kind == FACT_NOTE) {
        take_note(model, fact);
        return;
    }
    if (fact->kind != FACT_SEND || fact->command != COMMAND_EVENT) {
        return;
    }
    watch = model_watch(model, fact->connection, fact->request);
    if (model->notes) {
        watch->told = fact;
    } else {
        watch->sequence = fact->sequence;
        watch->credit--;
    }
}

void shadow_watch_settle(struct model *model)
{
    if (model_event_is(model, COMMAND_WATCH) && model->event->message->watch.credit == 0) {
        struct shadow_watch *watch =
            model_watch(model, model->event->from, model->event->message->watch.request);

        if (watch != NULL) {
            drop(watch);
        }
    }
}

void shadow_watch_ended(struct model *model, const struct shadow_session *session)
{
    list_each(at, &model->watches) {
        struct shadow_watch *watch = list_entry(at, struct shadow_watch, link);

        if (watch->session == session) {
            drop(watch);
        }
    }
}
