/* sluice bench-worker: the worker process of the benchmarks. Not for people. */
#include "agents/runtime/sluice.h"
#include "cli/bench.h"

#include <string.h>

static void echo(struct sluice_task *task, void *arg)
{
    sluice_done(task, sluice_task_payload(task));
}

static void sleep_then_echo(struct sluice_task *task, void *arg)
{
    sluice_sleep_ms(sluice_task_peer(task), *(const uint64_t *)arg);
    sluice_done(task, sluice_task_payload(task));
}

static int worker_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    const char *work = "echo", *service_name = "bench.echo";
    uint64_t work_ms = 0, credit = 0, services = 0;
    struct option_spec specs[] = {
        OPTION_TEXT_SPEC("service", &service_name, "NAME", "what to serve"),
        OPTION_TEXT_SPEC("work", &work, "echo|sleep", "at once, or after --work-ms"),
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
    char name[160];
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    service.name = service_name;
    service.sync = strcmp(work, "sleep") != 0;
    service.handler = service.sync ? echo : sleep_then_echo;
    service.arg = &work_ms;
    service.credit = (unsigned)credit;
    options.broker = cli->broker;
    options.handlers_max = 65536;
    sluice = sluice_new(&options);
    if (sluice == NULL) {
        return EXIT_NO_BROKER;
    }
    sluice_stop_on_signals(sluice);
    sluice_serve(sluice, &service);
    for (uint64_t i = 0; i < services; i++) {
        snprintf(name, sizeof(name), "%s.%llu", service_name, (unsigned long long)i);
        service.name = name;
        sluice_serve(sluice, &service);
    }
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
