/* sluice bench-client: one of many submitters of `sluice bench echo`. Not for people. */
#include "cli/bench.h"
#include "cli/bench_clients.h"
#include "cli/bench_pass.h"
#include "cli/visit.h"

#include <fcntl.h>
#include <unistd.h>

struct client {
    struct bench_plan plan;
    struct client_report report;
};

static bool say(const void *data, size_t size)
{
    size_t at = 0;

    while (at < size) {
        ssize_t put = write(STDOUT_FILENO, (const char *)data + at, size - at);

        if (put <= 0) {
            return false;
        }
        at += (size_t)put;
    }
    return true;
}

static void measure(struct client_report *report, struct bench_pass *pass)
{
    struct bench_result result = {.tasks = pass->tasks};

    report->begun_ns = bench_now_ns();
    bench_pass_measure(pass, &result);
    report->ended_ns = bench_now_ns();
    report->received = pass->check.received;
    report->duplicated = pass->check.duplicated;
    report->corrupt = pass->check.corrupt;
    report->failed = pass->failed;
    report->cpu_s = result.submitter_cpu_s;
    report->latency_ns = pass->latency_ns;
}

static int client_passes(struct sluice *sluice, struct bench_pass *pass, void *arg)
{
    struct client *client = arg;
    bool said;
    char begin;

    if (!bench_pass_warm_up(pass, &client->plan, sluice) ||
        !bench_pass_init(pass, &client->plan, sluice, client->plan.tasks)) {
        return EXIT_TASK;
    }
    said = say("?", 1) && bench_read(sluice, STDIN_FILENO, &begin, 1, CLIENT_BEGIN_MS);
    if (said) {
        measure(&client->report, pass);
        said = say(&client->report, sizeof(client->report));
        bench_read(sluice, STDIN_FILENO, &begin, 1, CLIENT_BEGIN_MS); /* until all have ended */
    }
    bench_pass_deinit(pass);
    return said ? EXIT_DONE : EXIT_TASK;
}

static int client_main(struct sluice *sluice, void *arg)
{
    return bench_with_pass(sluice, client_passes, arg);
}

static int client_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    static struct client client; /* a histogram is too large for the stack */
    struct bench_plan *plan = &client.plan;
    struct option_spec specs[] = {
        OPTION_TEXT_SPEC("service", &plan->service, "NAME", "whom to ask"),
        OPTION_UINT_SPEC("payload", &plan->payload_bytes, "BYTES", ECHO_PAYLOAD_MIN,
                         16 * 1024 * 1024, "size of a payload"),
        OPTION_UINT_SPEC("window", &plan->window, "N", 1, 1000000, "tasks under way"),
        OPTION_UINT_SPEC("tasks", &plan->tasks, "N", 1, 1000000000, "how many"),
        OPTION_UINT_SPEC("first", &plan->first, "N", 0, 1000000000, "number of the first payload"),
        OPTION_FLAG_SPEC("wait-absent", &plan->wait_absent, "wait for workers to come"),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct arguments arguments;
    int code;

    client = (struct client){.plan = {.bench = "echo", .service = "bench.echo",
                                      .payload_bytes = 64, .window = 1, .tasks = 1,
                                      .silent = true}};
    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    return visit(cli, self, client_main, &client);
}

const struct command command_bench_client = {
    .name = "bench-client",
    .arguments = "",
    .summary = "a submitter of the benchmarks; they start it themselves",
    .hidden = true,
    .run = client_run,
};
