/* serve_sleep: tool.sleep: a task that takes as long, and ends as badly, as it is told. */
#include "agents/tool/service.h"

#define SLEEP_CREDIT 1000 /* a sleeper costs a stack and a timer */

static const char schema[] =
    "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\","
    " \"type\": \"object\", \"required\": [\"ms\"], \"additionalProperties\": false,"
    " \"properties\": {"
    "  \"ms\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": 60000},"
    "  \"fail\": {\"type\": \"string\", \"pattern\": \"^[A-Za-z0-9_.-]{1,64}$\","
    "            \"description\": \"fail with this code instead of returning\"},"
    "  \"retryable\": {\"type\": \"boolean\", \"default\": false,"
    "            \"description\": \"whether that failure is worth another attempt\"}}}";

static const char about[] =
    "Waits for ms milliseconds, for trying things out; with fail, then fails with that code.";

static void nap(struct sluice_task *task, void *arg)
{
    struct sluice *sluice = sluice_task_peer(task);
    json_t *args = sluice_task_args(task);
    uint64_t ms = (uint64_t)json_number_value(json_object_get(args, "ms"));
    const char *code = json_string_value(json_object_get(args, "fail"));
    uint64_t start_ms = sluice_now_ms(sluice);
    uint64_t slept_ms;

    if (sluice_sleep_ms(sluice, ms) != 0) {
        sluice_failf(task, "cancelled", "woken after %llu ms",
                     (unsigned long long)(sluice_now_ms(sluice) - start_ms));
        return;
    }
    slept_ms = sluice_now_ms(sluice) - start_ms;
    if (code) {
        struct sluice_error error = {
            .code = code,
            .message = "failed because it was asked to",
            .retryable = json_is_true(json_object_get(args, "retryable")),
        };

        sluice_fail(task, &error);
        return;
    }
    sluice_done_json(task, json_pack("{s:I}", "slept_ms", (json_int_t)slept_ms));
}

int serve_sleep(struct sluice *sluice)
{
    struct sluice_service service = {
        .name = "tool.sleep",
        .handler = nap,
        .credit = SLEEP_CREDIT,
        .schema = schema,
        .about = about,
        .version = "1",
    };

    return sluice_serve(sluice, &service);
}
