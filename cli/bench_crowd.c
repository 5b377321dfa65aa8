/* sluice bench-crowd: the processes of `sluice bench idle` and `bench depth`. Not for people. */
#include "cli/command.h"
#include "cli/crowd.h"

static int crowd_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    const char *service = "bench.idle";
    uint64_t count = 1;
    struct crowd_pile_plan pile = {.payload_bytes = 64};
    struct option_spec specs[] = {
        OPTION_UINT_SPEC("agents", &count, "N", 1, CROWD_AGENTS_MAX, "how many"),
        OPTION_TEXT_SPEC("service", &service, "NAME", "how their services' names begin"),
        OPTION_UINT_SPEC("pile", &pile.tasks, "N", 0, 20000000, "tasks to submit, instead"),
        OPTION_UINT_SPEC("payload", &pile.payload_bytes, "BYTES", 1, 65536, "of each"),
        OPTION_UINT_SPEC("delay-ms", &pile.delay_ms, "MS", 0, 3600000, "of each"),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    if (pile.tasks > 0) {
        pile.service = service;
        return crowd_pile(cli->broker, &pile) ? EXIT_DONE : EXIT_TASK;
    }
    return crowd_live(cli->broker, service, count) ? EXIT_DONE : EXIT_TASK;
}

const struct command command_bench_crowd = {
    .name = "bench-crowd",
    .arguments = "",
    .summary = "idle agents and waiting tasks of the benchmarks; they start it themselves",
    .hidden = true,
    .run = crowd_run,
};
