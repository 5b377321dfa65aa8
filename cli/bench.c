#include "cli/bench.h"

#include "cli/record.h"
#include "cli/visit.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READY_MS 10000
#define LOOK_MS 2 /* between two looks at what has no event for us */

static const struct command *const benches[] = {
    &command_bench_echo, &command_bench_latency, &command_bench_gather, &command_bench_depth,
    &command_bench_spread, &command_bench_durable, &command_bench_load,
    &command_bench_idle, &command_bench_recovery, &command_bench_cancel,
    &command_bench_streams};
#define BENCH_COUNT (sizeof(benches) / sizeof(benches[0]))

const char *const bench_unbounded[] = {
    "--window-tasks", "67108864", "--window-bytes", "64G", "--service-max-tasks", "67108864",
    "--service-max-bytes", "64G", "--max-tasks", "67108864", "--memory", "64G",
    "--max-offers", "8192", NULL};

size_t bench_read_numbers(const char *text, uint64_t largest, uint64_t *numbers, size_t max)
{
    for (size_t count = 0; count < max; text++) {
        char *end;
        uint64_t number = isdigit((unsigned char)*text) ? strtoull(text, &end, 10) : 0;

        if (number < 1 || number > largest) {
            return 0;
        }
        numbers[count++] = number;
        text = end;
        if (*text == '\0') {
            return count;
        }
        if (*text != ',') {
            return 0;
        }
    }
    return 0;
}

bool bench_stalls(struct bench_stall *stall, struct sluice *sluice, uint64_t count)
{
    uint64_t now_ms = sluice_now_ms(sluice);

    if (count != stall->count || stall->moved_ms == 0) {
        *stall = (struct bench_stall){count, now_ms};
    }
    return now_ms - stall->moved_ms >= BENCH_STALL_MS;
}

const char *bench_service(const char *kind)
{
    static char name[64];

    snprintf(name, sizeof(name), "bench.%s.%ld", kind, (long)getpid());
    return name;
}

int bench_visit(struct cli *cli, const struct command *self, struct fleet_options *options,
                sluice_main_fn *fn, void *arg)
{
    const char *endpoint;
    int code;

    if (strcmp(options->transport, "tcp") != 0 && strcmp(options->transport, "ipc") != 0) {
        return command_usage(self, "--transport is tcp or ipc, not '%.20s'", options->transport);
    }
    options->broker = cli->broker_given ? cli->broker : NULL;
    endpoint = fleet_start(options);
    if (endpoint == NULL) {
        return EXIT_NO_BROKER;
    }
    cli->broker = endpoint;
    code = visit(cli, self, fn, arg);
    fleet_stop();
    return code;
}

bool bench_stats(struct sluice *sluice, const char *const names[], uint64_t *values, size_t count)
{
    json_t *reply = NULL;

    if (sluice_query(sluice, "stats", NULL, NULL, &reply) != 0) {
        json_decref(reply);
        fprintf(stderr, "sluice bench: the broker does not answer\n");
        return false;
    }
    if (!fleet_intact()) {
        json_decref(reply);
        fprintf(stderr, "sluice bench: a process of the benchmark has ended before its time\n");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        values[i] = record_uint(reply, names[i]);
    }
    json_decref(reply);
    return true;
}

static uint64_t workers_count(const json_t *rows, const char *service)
{
    json_t *row;
    size_t i;

    json_array_foreach((json_t *)rows, i, row) {
        if (strcmp(record_text(row, "service"), service) == 0) {
            return record_uint(row, "workers");
        }
    }
    return 0;
}

int bench_wait_workers(struct sluice *sluice, const char *service, uint64_t workers)
{
    uint64_t until_ms = sluice_now_ms(sluice) + READY_MS;
    uint64_t found = 0;

    while (sluice_now_ms(sluice) < until_ms) {
        json_t *rows = NULL;
        int code = visit_pages(sluice, "catalog", "services", &rows);

        if (code != EXIT_DONE) {
            return code;
        }
        found = workers_count(rows, service);
        json_decref(rows);
        if (found >= workers) {
            return EXIT_DONE;
        }
        if (!fleet_intact()) {
            fprintf(stderr, "sluice bench: a process of the benchmark ended at its start\n");
            return EXIT_TASK;
        }
        sluice_sleep_ms(sluice, LOOK_MS);
    }
    fprintf(stderr, "sluice bench: only %llu of %llu workers serve after %d s\n",
            (unsigned long long)found, (unsigned long long)workers, READY_MS / 1000);
    return EXIT_TASK;
}

bool bench_refuse_broker(const struct cli *cli, const struct command *self, int *code)
{
    if (cli->broker_given) {
        *code = command_usage(self, "it needs a broker of its own; leave --broker out");
    }
    return cli->broker_given;
}

bool bench_read(struct sluice *sluice, int pipe, void *data, size_t size, uint64_t within_ms)
{
    uint64_t until_ms = sluice_now_ms(sluice) + within_ms;
    size_t have = 0;

    while (have < size && sluice_now_ms(sluice) < until_ms) {
        ssize_t got = read(pipe, (char *)data + have, size - have);

        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            return false;
        }
        if (got > 0) {
            have += (size_t)got;
        } else if (sluice_sleep_ms(sluice, LOOK_MS) != 0) {
            return false;
        }
    }
    return have == size;
}

static void print_overview(FILE *stream)
{
    fprintf(stream, "usage: sluice bench KIND [OPTION]...\n\nkinds:\n");
    for (size_t i = 0; i < BENCH_COUNT; i++) {
        fprintf(stream, "  %-24s %s\n", benches[i]->name + strlen("bench "), benches[i]->summary);
    }
    fprintf(stream, "\nEach starts a broker and workers of its own; echo, latency, load, gather\n"
                    "and streams can also measure one that runs already: --broker.\n"
                    "A kind's options: sluice bench KIND --help\n");
}

static int bench_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    if (cli->help || (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0))) {
        print_overview(stdout);
        return EXIT_DONE;
    }
    for (size_t i = 0; argc > 0 && i < BENCH_COUNT; i++) {
        if (strcmp(benches[i]->name + strlen("bench "), argv[0]) == 0) {
            return benches[i]->run(cli, benches[i], argc - 1, argv + 1);
        }
    }
    if (argc > 0) {
        fprintf(stderr, "sluice bench: there is no kind '%.60s'\n", argv[0]);
    }
    print_overview(stderr);
    return EXIT_USAGE;
}

const struct command command_bench = {
    .name = "bench",
    .arguments = "KIND",
    .summary = "measure: echo, latency, load, gather, depth, durable and more",
    .run = bench_run,
};
