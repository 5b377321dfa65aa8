/* What QUERY limits tells an operator is true: the values of each service's rule, what of its budget is
 * used and when that window ends, how many run, and how its gate stands, why and until when. */
#include "tests/sim/check.h"

#include "common/doc.h"

#include <inttypes.h>

#define PROPERTY "told"

static void see_number(struct model *model, const struct shadow_service *service, const char *key,
                       uint64_t told, uint64_t expected)
{
    MODEL_CHECK(model, PROPERTY, told == expected,
                "the %s of '%s' is said to be %" PRIu64 ", and is %" PRIu64, key, service->name,
                told, expected);
}

static void see_word(struct model *model, const struct shadow_service *service, const char *key,
                     struct span told, const char *expected)
{
    MODEL_CHECK(model, PROPERTY, span_is(told, expected),
                "the %s of '%s' is said to be '%.*s', and is '%s'", key, service->name,
                (int)told.size, (const char *)told.data, expected);
}

static void see_token(struct model *model, const struct shadow_service *service,
                      const struct doc_token *token)
{
    const struct shadow_budget *b = &service->budget;
    const struct shadow_gate *gate = &service->gate;
    uint64_t end_ms = b->window_at_ms == SHADOW_NEVER ? 0
                                                      : b->window_at_ms + b->window_ms;

    if (span_is(token->key, "in_use")) {
        see_number(model, service, "in_use", token->number, model_running(model, service, 0));
    } else if (span_is(token->key, "used")) {
        see_number(model, service, "used", token->number, b->used);
    } else if (span_is(token->key, "window_end_ms")) {
        see_number(model, service, "window_end_ms", token->number, end_ms - model->now_ms);
    } else if (span_is(token->key, "in_ms")) {
        see_number(model, service, "in_ms", token->number, gate->until_ms - model->now_ms);
    } else if (span_is(token->key, "since_ms")) {
        see_number(model, service, "since_ms", token->number, model->now_ms - gate->since_ms);
    } else if (span_is(token->key, "gate")) {
        see_word(model, service, "gate", token->bytes, shadow_gate_name(gate->state));
    } else if (span_is(token->key, "cause")) {
        see_word(model, service, "cause", token->bytes, gate->cause != NULL ? gate->cause : "");
    }
    /* What a configuration's queue has, and how its tasks are tried, is not the simulator's rule. */
#define VALUE(name, max)                                                                           \
    if (span_is(token->key, #name)) {                                                              \
        see_number(model, service, #name, token->number, service->policy.name);                    \
    }
    LIMIT_VALUES(VALUE)
#undef VALUE
}

/* Rows of tenants and of keys say so right after their service. */
static bool of_service_alone(const struct doc *doc, size_t at)
{
    return at + 1 >= doc->token_count || (!span_is(doc->tokens[at + 1].key, "tenant") &&
                                          !span_is(doc->tokens[at + 1].key, "key"));
}

void check_limits_told(struct model *model, const struct doc *doc)
{
    const struct shadow_service *service = NULL;

    for (size_t i = 0; i < doc->token_count; i++) {
        const struct doc_token *token = &doc->tokens[i];

        if (span_is(token->key, "service")) {
            service = of_service_alone(doc, i) ? model_service(model, token->bytes) : NULL;
        } else if (service != NULL) {
            see_token(model, service, token);
        }
    }
}
