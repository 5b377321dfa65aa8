/* sluice bench-worker: the worker process of the benchmarks. Not for people. */
#include "agents/runtime/sluice.h"
#include "cli/bench.h"
#include "cli/bench_stream.h"

#include <stdlib.h>
#include <string.h>

#define HOLD_MS 3600000
#define ECHO_CREDIT 1000

static void echo(struct sluice_task *task, void *arg)
{
    sluice_done(task, sluice_task_payload(task));
}

static void sleep_then_echo(struct sluice_task *task, void *arg)
{
    sluice_sleep_ms(sluice_task_peer(task), *(const uint64_t *)arg);
    sluice_done(task, sluice_task_payload(task));
}

/* Until it is cancelled: to return without an answer is to confirm that. */
static void hold(struct sluice_task *task, void *arg)
{
    while (sluice_sleep_ms(sluice_task_peer(task), HOLD_MS) == 0) {
    }
}

struct work {
    const char *name;
    sluice_handler_fn *handler;
    bool sync;
};

static const struct work works[] = {
    {"echo", echo, true}, {"sleep", sleep_then_echo, false}, {"hold", hold, false},
    {"stream", bench_stream_work, false}};

static const struct work *work_find(const char *name)
{
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        if (strcmp(works[i].name, name) == 0) {
            return &works[i];
        }
    }
    return &works[0];
}

/* NAME and NAME.0 up to NAME.N-1; beside what is held, NAME.echo. */
static void serve_all(struct sluice *sluice, struct sluice_service service,
                      const struct work *work, uint64_t services)
{
    const char *first = service.name;
    char name[160];

    service.sync = work->sync;
    service.handler = work->handler;
    sluice_serve(sluice, &service);
    service.name = name;
    for (uint64_t i = 0; i < services; i++) {
        snprintf(name, sizeof(name), "%s.%llu", first, (unsigned long long)i);
        sluice_serve(sluice, &service);
    }
    if (work->handler == hold) {
        snprintf(name, sizeof(name), "%s.echo", first);
        service.sync = true;
        service.handler = echo;
        service.credit = ECHO_CREDIT;
        sluice_serve(sluice, &service);
    }
}

static int worker_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    const char *work = "echo", *service_name = "bench.echo";
    uint64_t work_ms = 0, credit = 0, services = 0;
    struct option_spec specs[] = {
        OPTION_TEXT_SPEC("service", &service_name, "NAME", "what to serve"),
        OPTION_TEXT_SPEC("work", &work, "echo|sleep|hold|stream",
                         "at once; after --work-ms; never; or chunks"),
        OPTION_UINT_SPEC("work-ms", &work_ms, "MS", 0, 3600000, "how long a task sleeps"),
        OPTION_UINT_SPEC("credit", &credit, "N", 0, 65535, "tasks at once"),
        OPTION_UINT_SPEC("services", &services, "N", 0, BENCH_SERVICES_MAX,
                         "and NAME.0 up to NAME.N-1"),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct sluice_options options = {.name = "bench-worker", .quiet = true};
    struct sluice_service service = {0};
    struct arguments arguments;
    struct sluice *sluice;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    service.name = service_name;
    service.arg = &work_ms;
    service.credit = (unsigned)credit;
    options.broker = cli->broker;
    options.handlers_max = 65536;
    sluice = sluice_new(&options);
    if (sluice == NULL) {
        return EXIT_NO_BROKER;
    }
    sluice_stop_on_signals(sluice);
    serve_all(sluice, service, work_find(work), services);
    code = sluice_run(sluice, NULL, NULL);
    sluice_free(sluice);
    return code == 0 ? EXIT_DONE : EXIT_NO_BROKER;
}

const struct command command_bench_worker = {
    .name = "bench-worker",
    .arguments = "",
    .summary = "a worker of the benchmarks; they start it themselves",
    .hidden = true,
    .run = worker_run,
};
