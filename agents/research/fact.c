#include "agents/research/fact.h"

#include "agents/research/text.h"

#include <stdio.h>

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

static void fact_add(json_t *facts, const char *source, struct text *text)
{
    char ref[24];

    snprintf(ref, sizeof ref, "t%zu", json_array_size(facts) + 1);
    json_array_append_new(
        facts, json_pack("{s:s, s:s, s:s}", "ref", ref, "source", source, "text", text_get(text)));
    text_deinit(text);
}

void fact_add_calc(json_t *facts, const json_t *answer)
{
    struct text fact = {0};

    if (text_at(answer, "text")[0] == '\0') {
        return;
    }
    text_addf(&fact, "%s = %s", text_at(answer, "expression"), text_at(answer, "text"));
    fact_add(facts, "tool.calc", &fact);
}

static const char *text_or(const char *text, const char *otherwise)
{
    return text[0] != '\0' ? text : otherwise;
}

void fact_add_time(json_t *facts, const json_t *args, const json_t *answer)
{
    const json_t *days = json_object_get(answer, "days");
    struct text fact = {0};

    if (text_at(answer, "text")[0] != '\0') { /* its own sentence says it best */
        text_addf(&fact, "%s", text_at(answer, "text"));
    } else if (json_is_integer(days)) {
        text_addf(&fact, "From %s to %s: %" JSON_INTEGER_FORMAT " days",
                  text_or(text_at(args, "from"), "today"), text_or(text_at(args, "to"), "today"),
                  json_integer_value(days));
    } else if (text_at(answer, "weekday")[0] != '\0') {
        text_addf(&fact, "%s is a %s", text_or(text_at(answer, "date"), text_at(answer, "now")),
                  text_at(answer, "weekday"));
        if (text_at(answer, "zone")[0] != '\0') {
            text_addf(&fact, " (%s)", text_at(answer, "zone"));
        }
    } else {
        return;
    }
    fact_add(facts, "tool.time", &fact);
}
