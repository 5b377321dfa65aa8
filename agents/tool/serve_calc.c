/* serve_calc: tool.calc: the value of an expression. */
#include "agents/tool/calc.h"
#include "agents/tool/service.h"

static const char schema[] =
    "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\","
    " \"type\": \"object\", \"required\": [\"expression\"], \"additionalProperties\": false,"
    " \"properties\": {"
    "  \"expression\": {\"type\": \"string\", \"minLength\": 1, \"maxLength\": 1000,"
    "            \"examples\": [\"(17 + 4) * 2^3\", \"15% of 80\", \"sqrt(2) * max(1, 3)\"]}}}";

static const char about[] =
    "Evaluates arithmetic: + - * / % (remainder) ^ brackets, percentages (15% of 80), sqrt abs "
    "round floor ceil ln log exp sin cos tan min max, pi and e. Angles are in radians.";

static void calc(struct sluice_task *task, void *arg)
{
    json_t *given = json_object_get(sluice_task_args(task), "expression");
    const char *expression;
    struct calc_result result;

    if (!argument_text(task, "expression", &expression)) {
        return;
    }
    switch (calc_evaluate(expression, &result)) {
    case CALC_OK:
        sluice_done_json(task, json_pack("{s:O, s:o, s:s}", "expression", given, "value",
                                         result.whole ? json_integer((json_int_t)result.value)
                                                      : json_real(result.value),
                                         "text", result.text));
        return;
    case CALC_MALFORMED:
        sluice_failf(task, "bad_expression", "%s", result.error);
        return;
    case CALC_UNDEFINED:
        sluice_failf(task, "no_value", "%s", result.error);
        return;
    }
}

int serve_calc(struct sluice *sluice)
{
    struct sluice_service service = {
        .name = "tool.calc",
        .handler = calc,
        .sync = true, /* microseconds: the text is short */
        .schema = schema,
        .about = about,
        .version = "1",
    };

    return sluice_serve(sluice, &service);
}
