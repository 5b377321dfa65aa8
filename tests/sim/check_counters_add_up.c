/* Counters add up: every SUBMIT was accepted, refused or repeated; each sum grows by what the step
 * did; each level is what the shadows are. */
#include "tests/sim/check.h"

#include <inttypes.h>

#define PROPERTY "counters_add_up"

/* What one step did, as its effects tell. */
struct deeds {
    uint64_t moves[SHADOW_EXPIRED + 1]; /* into each state */
    uint64_t accepted, refused, retried, tasks_sent;
};

static struct deeds count_deeds(const struct model *model)
{
    struct deeds deeds = {.accepted = 0};

    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];

        if (fact->kind == FACT_MOVE) {
            deeds.moves[fact->to] += fact->from != SHADOW_NEW; /* restored: counted in its time */
            deeds.accepted += fact->from == SHADOW_NEW && !model->restoring;
            deeds.retried += fact->from == SHADOW_LEASED &&
                             (fact->to == SHADOW_READY || fact->to == SHADOW_DELAYED);
        } else if (fact->kind == FACT_SEND) {
            deeds.refused += fact->command == COMMAND_RESULT && fact->outcome == OUTCOME_REFUSED;
            deeds.tasks_sent += fact->command == COMMAND_TASK;
        }
    }
    return deeds;
}

static void check_sum(struct model *model, const char *name, uint64_t before, uint64_t after,
                      uint64_t deeds)
{
    MODEL_CHECK(model, PROPERTY, after == before + deeds,
                "%s went from %" PRIu64 " to %" PRIu64 ", and the step did %" PRIu64, name,
                before, after, deeds);
}

static void check_level(struct model *model, const char *name, uint64_t counted,
                        uint64_t expected)
{
    MODEL_CHECK(model, PROPERTY, counted == expected,
                "%s is %" PRIu64 ", expected %" PRIu64, name, counted, expected);
}

static void check_sums(struct model *model)
{
    const struct broker_stats *before = &model->before, *now = &model->after;
    struct deeds deeds = count_deeds(model);
    bool again = model_event_is(model, COMMAND_CONTROL); /* letters */
    bool for_all = model_event_is(model, COMMAND_SUBMIT) &&
                   model->event->message->submit.route == ROUTE_ALL;
    bool submitted = model_event_is(model, COMMAND_SUBMIT) &&
                     model_session(model, model->event->from) != NULL;

    check_sum(model, "submitted", before->submitted, now->submitted,
              again || (for_all && deeds.accepted > 0) ? deeds.accepted : submitted);
    MODEL_CHECK(model, PROPERTY,
                deeds.accepted + deeds.refused <= (submitted ? 1 : 0) || again ||
                    (for_all && deeds.refused == 0),
                "one SUBMIT was accepted %" PRIu64 " times and refused %" PRIu64, deeds.accepted,
                deeds.refused);
    check_sum(model, "refused", before->refused, now->refused, deeds.refused);
    check_sum(model, "done", before->done, now->done, deeds.moves[SHADOW_DONE]);
    check_sum(model, "failed", before->failed, now->failed, deeds.moves[SHADOW_FAILED]);
    check_sum(model, "cancelled", before->cancelled, now->cancelled,
              deeds.moves[SHADOW_CANCELLED]);
    check_sum(model, "expired", before->expired, now->expired, deeds.moves[SHADOW_EXPIRED]);
    check_sum(model, "attempts", before->attempts, now->attempts, deeds.moves[SHADOW_LEASED]);
    MODEL_CHECK(model, PROPERTY,
                model->starting + deeds.tasks_sent <= model->started_before + deeds.moves[SHADOW_LEASED],
                "%" PRIu64 " TASKs were sent, and %" PRIu64 " attempts began", deeds.tasks_sent,
                deeds.moves[SHADOW_LEASED]);
    check_sum(model, "retries", before->retries, now->retries, deeds.retried);
    MODEL_CHECK(model, PROPERTY,
                now->stale - before->stale <= 1 && now->peers_lost >= before->peers_lost,
                "stale grew by %" PRIu64 " in one step", now->stale - before->stale);
    check_sum(model, "bad_messages", before->bad_messages, now->bad_messages,
              model->event->kind == EVENT_MALFORMED ||
                  (now->bad_messages > before->bad_messages &&
                   model->event->kind == EVENT_MESSAGE));
}

static uint64_t count_offers(const struct model *model)
{
    uint64_t count = 0;

    list_each(at, &model->offers) {
        const struct shadow_offer *offer = list_entry(at, struct shadow_offer, link);

        count += !offer->withdrawn || offer->held > 0;
    }
    return count;
}

static void check_levels(struct model *model)
{
    const struct broker_stats *now = &model->after;
    const uint64_t *levels = model->levels;
    uint64_t queued_bytes = 0;

    check_level(model, "waiting", now->waiting, levels[SHADOW_WAITING]);
    check_level(model, "ready", now->ready, levels[SHADOW_READY]);
    check_level(model, "delayed", now->delayed, levels[SHADOW_DELAYED]);
    check_level(model, "leased", now->leased, levels[SHADOW_LEASED]);
    check_level(model, "cancelling", now->cancelling, levels[SHADOW_CANCELLING]);
    check_level(model, "storing", now->storing, levels[SHADOW_STORING]);
    check_level(model, "tasks", now->tasks,
                now->waiting + now->ready + now->delayed + now->leased + now->cancelling +
                    now->storing);
    if (!model->ambiguous) {
        check_level(model, "offers", now->offers, count_offers(model));
    }
    list_each(at, &model->services) {
        queued_bytes += list_entry(at, struct shadow_service, link)->queued_bytes;
    }
    check_level(model, "queued_bytes", now->queued_bytes, queued_bytes);
    /* Needs of a join are kept with it; without joins the bound is exact. */
    MODEL_CHECK(model, PROPERTY,
                levels[SHADOW_WAITING] + levels[SHADOW_CANCELLING] > 0 ||
                    now->retained <= model->core.retain_tasks,
                "%" PRIu64 " ended tasks are kept, of at most %" PRIu64, now->retained,
                model->core.retain_tasks);
}

static void check_peers(struct model *model)
{
    uint64_t here = 0, known = 0;

    list_each(at, &model->sessions) {
        const struct shadow_session *session = list_entry(at, struct shadow_session, link);

        here += session->connection != 0;
        known += !session->gone;
    }
    MODEL_CHECK(model, PROPERTY, here <= model->after.peers && model->after.peers <= known,
                "peers is %" PRIu64 "; %" PRIu64 " are here and %" PRIu64 " may come back",
                model->after.peers, here, known - here);
}

static void after(struct model *model, const struct broker *core)
{
    check_sums(model);
    check_levels(model);
    check_peers(model);
}

const struct checker check_counters_add_up = {.property = PROPERTY, .after = after};
