#include "cli/bench_clients.h"

#include "cli/bench.h"
#include "cli/bench_pass.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define LOOK_MS 100

struct clients {
    struct sluice *sluice;
    const struct bench_plan *plan;
    uint64_t count;
    struct fleet_helper *helpers[FLEET_HELPERS_MAX];
    uint64_t done_before;        /* tasks that the broker had seen done */
    struct progress progress;
    struct client_report report; /* of one of them */
    struct histogram latency_ns; /* of all */
    struct echo_check check;     /* the same: counts alone */
};

/* Of a whole that is divided: the first ones take what is left over. */
static uint64_t share_of(uint64_t whole, uint64_t count, uint64_t index)
{
    return whole / count + (index < whole % count);
}

/* Payloads are numbered through, so that nobody's reply passes for another's. */
static bool start_one(struct clients *clients, uint64_t index, uint64_t first)
{
    const struct bench_plan *plan = clients->plan;
    char payload[24], window[24], tasks[24], begin[24];
    const char *words[] = {"bench-client", "--service", plan->service, "--payload", payload,
                           "--window", window, "--tasks", tasks, "--first", begin,
                           plan->wait_absent ? "--wait-absent" : NULL, NULL};

    snprintf(payload, sizeof(payload), "%llu", (unsigned long long)plan->payload_bytes);
    snprintf(window, sizeof(window), "%llu",
             (unsigned long long)share_of(plan->window, clients->count, index));
    snprintf(tasks, sizeof(tasks), "%llu",
             (unsigned long long)share_of(plan->tasks, clients->count, index));
    snprintf(begin, sizeof(begin), "%llu", (unsigned long long)first);
    clients->helpers[index] = fleet_add(words);
    return clients->helpers[index] != NULL;
}

/* All have run a window of tasks, unmeasured. SUSPENDS. */
static bool start_all(struct clients *clients)
{
    uint64_t first = 0;
    char ready;

    for (uint64_t i = 0; i < clients->count; i++) {
        if (!start_one(clients, i, first)) {
            return false;
        }
        first += share_of(clients->plan->tasks, clients->count, i);
    }
    for (uint64_t i = 0; i < clients->count; i++) {
        if (!bench_read(clients->sluice, clients->helpers[i]->out, &ready, 1, CLIENT_BEGIN_MS)) {
            fprintf(stderr, "sluice bench: a client does not begin\n");
            return false;
        }
    }
    return true;
}

/* Until one of them has begun to tell. SUSPENDS. */
static bool await_report(struct clients *clients, int pipe)
{
    static const char *const names[] = {"done"};
    struct pollfd readable = {.fd = pipe, .events = POLLIN};
    struct bench_stall stall = {0, 0};
    char text[64];
    uint64_t done;

    while (poll(&readable, 1, 0) == 0) {
        if (!bench_stats(clients->sluice, names, &done, 1)) {
            return false;
        }
        if (bench_stalls(&stall, clients->sluice, done)) {
            fprintf(stderr, "sluice bench: nothing has ended for %d s\n", BENCH_STALL_MS / 1000);
            return false;
        }
        if (clients->progress.tty) {
            snprintf(text, sizeof(text), "%llu of %llu tasks",
                     (unsigned long long)(done - clients->done_before),
                     (unsigned long long)clients->plan->tasks);
            progress_set(&clients->progress, text);
        }
        sluice_sleep_ms(clients->sluice, LOOK_MS);
    }
    return true;
}

/* SUSPENDS. */
static bool collect(struct clients *clients, struct bench_result *result)
{
    struct client_report *report = &clients->report;
    uint64_t begun_ns = UINT64_MAX, ended_ns = 0;

    for (uint64_t i = 0; i < clients->count; i++) {
        int pipe = clients->helpers[i]->out;

        if (!await_report(clients, pipe)) {
            return false;
        }
        if (!bench_read(clients->sluice, pipe, report, sizeof(*report), BENCH_STALL_MS)) {
            fprintf(stderr, "sluice bench: a client ended before its time\n");
            return false;
        }
        begun_ns = report->begun_ns < begun_ns ? report->begun_ns : begun_ns;
        ended_ns = report->ended_ns > ended_ns ? report->ended_ns : ended_ns;
        clients->check.received += report->received;
        clients->check.duplicated += report->duplicated;
        clients->check.corrupt += report->corrupt;
        result->failed += report->failed;
        result->submitter_cpu_s += report->cpu_s;
        histogram_merge(&clients->latency_ns, &report->latency_ns);
    }
    result->wall_s = (double)(ended_ns - begun_ns) / 1e9;
    return true;
}

bool bench_clients_run(struct sluice *sluice, const struct bench_plan *plan, uint64_t count,
                       struct bench_result *result)
{
    static struct clients clients;
    static const char *const names[] = {"done"};
    double broker_s, workers_s;
    bool collected;

    clients = (struct clients){.sluice = sluice, .plan = plan, .count = count};
    histogram_init(&clients.latency_ns);
    if (!start_all(&clients) || !bench_stats(sluice, names, &clients.done_before, 1)) {
        return false;
    }
    broker_s = fleet_broker_cpu_s();
    workers_s = fleet_workers_cpu_s();
    for (uint64_t i = 0; i < count; i++) {
        if (write(clients.helpers[i]->in, "!", 1) != 1) {
            fprintf(stderr, "sluice bench: a client ended before its time\n");
            return false;
        }
    }
    result->failed = 0;
    result->submitter_cpu_s = 0;
    progress_init(&clients.progress, "starting");
    collected = collect(&clients, result);
    progress_clear(&clients.progress);
    if (!collected) {
        return false;
    }
    result->broker_cpu_s = broker_s < 0 ? CPU_UNKNOWN : fleet_broker_cpu_s() - broker_s;
    result->workers_cpu_s = fleet_workers_cpu_s() - workers_s;
    result->check = &clients.check;
    result->latency_ns = &clients.latency_ns;
    return true;
}
