/* What QUERY limits tells an operator is true: the values of each service's rule, what of its budget is
 * used and when that window ends, how many run, and how its gate stands, why and until when. */
#include "tests/sim/check.h"

#include "common/doc.h"

#include <inttypes.h>

#define PROPERTY "told"

static void see_number(struct model *model, const char *whose, const char *key, uint64_t told,
                       uint64_t expected)
{
    MODEL_CHECK(model, PROPERTY, told == expected,
                "the %s of '%s' is said to be %" PRIu64 ", and is %" PRIu64, key, whose, told,
                expected);
}

static void see_word(struct model *model, const char *whose, const char *key, struct span told,
                     const char *expected)
{
    MODEL_CHECK(model, PROPERTY, span_is(told, expected),
                "the %s of '%s' is said to be '%.*s', and is '%s'", key, whose, (int)told.size,
                (const char *)told.data, expected);
}

static void see_gate(struct model *model, const struct shadow_service *service,
                     const struct doc_token *token)
{
    const struct shadow_gate *gate = &service->gate;

    if (span_is(token->key, "in_ms")) {
        see_number(model, service->name, "in_ms", token->number, gate->until_ms - model->now_ms);
    } else if (span_is(token->key, "since_ms")) {
        see_number(model, service->name, "since_ms", token->number,
                   model->now_ms - gate->since_ms);
    } else if (span_is(token->key, "gate")) {
        see_word(model, service->name, "gate", token->bytes, shadow_gate_name(gate->state));
    } else if (span_is(token->key, "cause")) {
        see_word(model, service->name, "cause", token->bytes,
                 gate->cause != NULL ? gate->cause : "");
    }
}

/* Of the rule `index` of `service`. */
static void see_rule(struct model *model, const struct shadow_service *service, unsigned index,
                     const struct doc_token *token)
{
    const struct shadow_rule *rule = model_rule(model, service, index);
    const struct shadow_budget *b = &rule->budget;
    const char *whose = index < SHADOW_WIDE ? service->name : "*";
    uint64_t end_ms = b->window_at_ms == SHADOW_NEVER ? 0 : b->window_at_ms + b->window_ms;

    if (span_is(token->key, "in_use")) {
        see_number(model, whose, "in_use", token->number, model_rule_use(model, service, index));
    } else if (span_is(token->key, "used")) {
        see_number(model, whose, "used", token->number, b->used);
    } else if (span_is(token->key, "window_end_ms")) {
        see_number(model, whose, "window_end_ms", token->number, end_ms - model->now_ms);
    } else if (index == 0) {
        see_gate(model, service, token);
    }
#define VALUE(name, max)                                                                           \
    if (span_is(token->key, #name)) {                                                              \
        see_number(model, whose, #name, token->number, rule->values.name);                         \
    }
    LIMIT_VALUES(VALUE)
#undef VALUE
}

/* Which rule of its service the row at `at` is about, by what comes right after; SHADOW_RULES: a
 * key's. */
static unsigned rule_of(const struct doc *doc, size_t at)
{
    const struct doc_token *service = &doc->tokens[at], *next = service + 1;
    bool more = at + 1 < doc->token_count;

    if (more && span_is(next->key, "key")) {
        return SHADOW_RULES;
    }
    if (more && span_is(next->key, "tenant")) {
        return span_is(service->bytes, "*") ? SHADOW_WIDE : 1;
    }
    return 0;
}

void check_limits_told(struct model *model, const struct doc *doc)
{
    const struct shadow_service *service = NULL;
    unsigned rule = SHADOW_RULES;

    for (size_t i = 0; i < doc->token_count; i++) {
        const struct doc_token *token = &doc->tokens[i];

        if (span_is(token->key, "service")) {
            rule = rule_of(doc, i);
            service = rule < SHADOW_WIDE ? model_service(model, token->bytes) : NULL;
        } else if (rule < SHADOW_RULES && !span_is(token->key, "tenant")) {
            see_rule(model, service, rule, token);
        }
    }
}
