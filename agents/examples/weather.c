/* weather: five look-ups of a second each: together in about one second, one by one in five. */
#include "agents/examples/example.h"

#define CITIES 5

static const char *const cities[CITIES] = {"Oslo", "Lisbon", "Cairo", "Lima", "Osaka"};

static void forecast(struct sluice_task *task, void *arg)
{
    const char *city = json_string_value(json_object_get(sluice_task_args(task), "city"));

    if (example_work(task, example_work_ms())) {
        /* A made-up climate: what matters here is when it comes, not what. */
        sluice_done_json(task, json_pack("{s:s, s:i}", "city", city, "celsius",
                                         (int)(10 + city[0] % 20)));
    }
}

static struct sluice_future *ask_forecast(struct sluice *sluice, const char *city)
{
    return sluice_submit_json(sluice, "example.forecast", json_pack("{s:s}", "city", city), NULL);
}

/* {"together": bool}: all at once, or each after the one before. */
static void report(struct sluice_task *task, void *arg)
{
    struct sluice *sluice = sluice_task_peer(task);
    bool together = json_is_true(json_object_get(sluice_task_args(task), "together"));
    struct sluice_scope *scope = sluice_scope_open(sluice, 0);
    struct sluice_future *futures[CITIES];
    json_t *forecasts = json_array();
    size_t missing = 0;

    for (size_t i = 0; i < CITIES; i++) {
        futures[i] = ask_forecast(sluice, cities[i]);
        if (!together) {
            sluice_await(futures[i]);
        }
    }
    sluice_gather(futures, CITIES);
    for (size_t i = 0; i < CITIES; i++) {
        json_t *forecast = sluice_future_json(futures[i]);

        missing += forecast == NULL;
        json_array_append(forecasts, forecast);
    }
    sluice_done_json(task,
                     json_pack("{s:o, s:i}", "forecasts", forecasts, "missing", (int)missing));
    sluice_scope_close(scope, SLUICE_SCOPE_WAIT);
}

static int ask(struct sluice *sluice, void *arg)
{
    int rc = example_ask(sluice, "example.weather", json_pack("{s:b}", "together", 1));

    return rc != 0 ? rc : example_ask(sluice, "example.weather", json_pack("{s:b}", "together", 0));
}

static const struct sluice_service services[] = {
    {.name = "example.forecast",
     .handler = forecast,
     .schema = "{\"type\": \"object\", \"required\": [\"city\"],"
               " \"properties\": {\"city\": {\"type\": \"string\", \"minLength\": 1}}}",
     .about = "The weather of one city; takes its time"},
    {.name = "example.weather",
     .handler = report,
     .schema = "{\"type\": \"object\", \"properties\": {\"together\": {\"type\": \"boolean\"}}}",
     .about = "The weather of five cities"},
};

static const struct example example = {
    .name = "weather",
    .about = "Five look-ups of a second each: first all together, in about one second, then one\n"
             "after the other, in five.\n",
    .services = services,
    .service_count = sizeof services / sizeof *services,
    .ask = ask,
};

int main(int argc, char **argv)
{
    return example_main(&example, argc, argv);
}
