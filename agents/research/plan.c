#include "agents/research/plan.h"

#include "agents/research/text.h"

#include <stdlib.h>
#include <string.h>

#define FETCH_MS_MAX 120000 /* what tool.fetch takes */

static void call_add(struct plan *plan, enum call_kind kind, const char *service, const char *text,
                     json_t *args, size_t part)
{
    static const char *const verbs[] = {[CALL_SEARCH] = "search",
                                        [CALL_FETCH] = "fetch",
                                        [CALL_CALC] = "calculate",
                                        [CALL_TIME] = "date"};
    struct text label = {0};

    text_addf(&label, "%s: %s", verbs[kind], text);
    plan->calls[plan->count++] = (struct call){
        .kind = kind, .service = service, .label = label.data, .args = args, .part = part};
}

static void plan_mention(struct plan *plan, const struct mention *mention, unsigned fetch_ms)
{
    json_t *args = json_copy(mention->args);

    switch (mention->kind) {
    case MENTION_URL:
        json_object_set_new(args, "max_bytes", json_integer(PLAN_FETCH_BYTES));
        json_object_set_new(args, "timeout_ms",
                            json_integer(fetch_ms < FETCH_MS_MAX ? fetch_ms : FETCH_MS_MAX));
        call_add(plan, CALL_FETCH, "tool.fetch", mention->text, args, 0);
        break;
    case MENTION_SUM:
        call_add(plan, CALL_CALC, "tool.calc", mention->text, args, 0);
        break;
    case MENTION_DATE:
        call_add(plan, CALL_TIME, "tool.time", mention->text, args, 0);
        break;
    }
}

static bool mentions_have(const struct mentions *mentions, enum mention_kind kind)
{
    size_t i;

    for (i = 0; i < mentions->count; i++) {
        if (mentions->items[i].kind == kind) {
            return true;
        }
    }
    return false;
}

void plan_init(struct plan *plan, const char *question, unsigned fetch_ms)
{
    struct mentions mentions;
    size_t i;

    *plan = (struct plan){.count = 0};
    mentions_init(&mentions, question);
    question_init(&plan->question, mentions.rest); /* may be nothing but a sum */
    if (plan->question.count > 0) {                /* people read what they wrote */
        free(plan->question.parts[0].text);
        plan->question.parts[0].text = text_squeeze(question, strlen(question));
    }
    for (i = 0; i < plan->question.count; i++) {
        const struct question_part *part = &plan->question.parts[i];

        call_add(plan, CALL_SEARCH, "retriever.search", part->text,
                 json_pack("{s:s, s:i}", "query", part->query, "limit", PLAN_HITS), i);
    }
    for (i = 0; i < mentions.count; i++) {
        plan_mention(plan, &mentions.items[i], fetch_ms);
    }
    plan->digest = plan->question.count == 0 && mentions_have(&mentions, MENTION_URL);
    mentions_deinit(&mentions);
}

void plan_deinit(struct plan *plan)
{
    size_t i;

    question_deinit(&plan->question);
    for (i = 0; i < plan->count; i++) {
        free(plan->calls[i].label);
        json_decref(plan->calls[i].args);
    }
    plan->count = 0;
}
