/* providers: the first of three answers wins, and the losers are stopped before it is told. */
#include "agents/examples/example.h"

#define PROVIDERS 3

/* Providers that have begun, have finished, and were stopped half-way; one thread. */
static struct {
    int begun, finished, stopped;
} seen;

/* {"name", "parts"}: takes as many parts of the time that a call takes. */
static void provide(struct sluice_task *task, void *arg)
{
    json_t *args = sluice_task_args(task);
    const char *name = json_string_value(json_object_get(args, "name"));
    uint64_t parts = (uint64_t)json_integer_value(json_object_get(args, "parts"));

    seen.begun++;
    if (!example_work(task, example_work_ms() * parts / 10)) {
        seen.stopped++;
        return;
    }
    seen.finished++;
    sluice_done_json(task, json_pack("{s:s}", "provider", name));
}

static void first_of(struct sluice_task *task, void *arg)
{
    static const struct {
        const char *name;
        int parts;
    } providers[PROVIDERS] = {{"slow", 100}, {"quick", 3}, {"slower", 200}};
    struct sluice *sluice = sluice_task_peer(task);
    struct sluice_scope *scope = sluice_scope_open(sluice, 0);
    struct sluice_future *futures[PROVIDERS];
    size_t winner;

    for (size_t i = 0; i < PROVIDERS; i++) {
        futures[i] = sluice_submit_json(sluice, "example.provider",
                                        json_pack("{s:s, s:i}", "name", providers[i].name, "parts",
                                                  providers[i].parts),
                                        NULL);
    }
    winner = sluice_any(futures, PROVIDERS); /* the losers have stopped when it returns */
    if (winner == PROVIDERS) {
        example_fail_as(task, futures[0]);
    } else {
        sluice_done_json(task, json_pack("{s:O, s:i, s:i, s:i}", "answer",
                                         sluice_future_json(futures[winner]), "begun", seen.begun,
                                         "finished", seen.finished, "stopped", seen.stopped));
    }
    sluice_scope_close(scope, SLUICE_SCOPE_CANCEL);
}

static int ask(struct sluice *sluice, void *arg)
{
    return example_ask(sluice, "example.first", json_object());
}

static const struct sluice_service services[] = {
    {.name = "example.provider",
     .handler = provide,
     .schema = "{\"type\": \"object\", \"required\": [\"name\", \"parts\"], \"properties\": {"
               "\"name\": {\"type\": \"string\"},"
               "\"parts\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 1000}}}",
     .about = "One of several that can answer"},
    {.name = "example.first", .handler = first_of, .about = "The answer of whoever is first"},
};

static const struct example example = {
    .name = "providers",
    .about = "Three providers are asked the same; the first answer wins. The two others are\n"
             "cancelled, and have stopped when the result is told.\n",
    .services = services,
    .service_count = sizeof services / sizeof *services,
    .ask = ask,
};

int main(int argc, char **argv)
{
    return example_main(&example, argc, argv);
}
