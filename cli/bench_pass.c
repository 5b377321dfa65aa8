#include "cli/bench_pass.h"

#include "cli/command.h"
#include "cli/failure.h"
#include "cli/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGE_BYTES 8192 /* from here on a copy costs more than memory of its own */
#define KEY_SIZE 24
#define SERVICE_SIZE 160 /* the longest prefix, a dot and a number */
#define WATCH_MS 250   /* between two looks at that, and two lines of progress */

struct bench_slot {
    uint64_t sequence;
    uint64_t sent_ns;
};

/* Outlives the passes: a handle belongs to the loop until it has been closed. */
static uv_timer_t watchdog;

static void pass_free_memory(struct bench_pass *pass)
{
    free(pass->futures);
    free(pass->slots);
    free(pass->payload);
    free(pass->keys);
    free(pass->services);
}

/* "PREFIX0", "PREFIX1" and so on: made before anything is measured. NULL: none, or no memory. */
static char *make_names(const char *prefix, uint64_t count, size_t size)
{
    char *names = count > 0 ? malloc(count * size) : NULL;

    for (uint64_t i = 0; names != NULL && i < count; i++) {
        snprintf(names + i * size, size, "%.128s%llu", prefix, (unsigned long long)i);
    }
    return names;
}

bool bench_pass_init(struct bench_pass *pass, struct bench_plan *plan, struct sluice *sluice,
                     uint64_t tasks)
{
    char prefix[SERVICE_SIZE];

    memset(pass, 0, sizeof(*pass));
    pass->plan = plan;
    pass->sluice = sluice;
    pass->tasks = tasks;
    pass->futures = calloc(plan->window, sizeof(struct sluice_future *));
    pass->slots = calloc(plan->window, sizeof(struct bench_slot));
    pass->payload = malloc(plan->payload_bytes);
    snprintf(prefix, sizeof(prefix), "%s.", plan->service);
    pass->keys = make_names("k", plan->keys, KEY_SIZE);
    pass->services = make_names(prefix, plan->services, SERVICE_SIZE);
    if ((plan->keys > 0 && pass->keys == NULL) ||
        (plan->services > 0 && pass->services == NULL) || pass->futures == NULL ||
        pass->slots == NULL || pass->payload == NULL ||
        !echo_check_init(&pass->check, plan->first + tasks, plan->payload_bytes)) {
        pass_free_memory(pass);
        fprintf(stderr, "sluice bench: out of memory\n");
        return false;
    }
    return true;
}

void bench_pass_deinit(struct bench_pass *pass)
{
    for (size_t i = 0; i < pass->open; i++) {
        sluice_future_free(pass->futures[i]);
    }
    echo_check_deinit(&pass->check);
    pass_free_memory(pass);
}

/* As a program would that has something large to say. */
static struct sluice_future *submit_large(struct bench_pass *pass, struct bench_slot *slot,
                                          const char *service,
                                          const struct sluice_submit_options *options)
{
    size_t size = pass->plan->payload_bytes;
    uint8_t *bytes = malloc(size);

    if (bytes == NULL) {
        return NULL;
    }
    echo_check_fill(&pass->check, slot->sequence, bytes);
    slot->sent_ns = bench_now_ns();
    return sluice_submit_owned(pass->sluice, service, (struct sluice_bytes){bytes, size}, free,
                               bytes, options);
}

static struct sluice_future *submit_small(struct bench_pass *pass, struct bench_slot *slot,
                                          const char *service,
                                          const struct sluice_submit_options *options)
{
    struct sluice_bytes payload = {pass->payload, pass->plan->payload_bytes};

    echo_check_fill(&pass->check, slot->sequence, pass->payload);
    slot->sent_ns = bench_now_ns();
    return sluice_submit(pass->sluice, service, payload, options);
}

/* Submits the next task in slot `at`. False: there is none, or no memory. */
static bool submit_next(struct bench_pass *pass, size_t at)
{
    struct bench_slot *slot = &pass->slots[at];
    const struct bench_plan *plan = pass->plan;
    struct sluice_submit_options options = {.wait_absent = plan->wait_absent,
                                            .durable = plan->durable};
    const char *service = plan->service;

    if (pass->sent == pass->tasks || pass->broken) {
        return false;
    }
    slot->sequence = plan->first + pass->sent;
    if (plan->keys > 0) {
        options.key = pass->keys + pass->sent % plan->keys * KEY_SIZE;
    }
    if (plan->services > 0) {
        service = pass->services + pass->sent % plan->services * SERVICE_SIZE;
    }
    pass->futures[at] = (plan->payload_bytes > LARGE_BYTES ? submit_large : submit_small)(
        pass, slot, service, &options);
    if (pass->futures[at] == NULL) {
        pass->broken = true;
        return false;
    }
    pass->sent++;
    return true;
}

bool bench_judge(struct bench_plan *plan, struct echo_check *check, uint64_t *failed,
                 const struct sluice_future *future, uint64_t sequence)
{
    enum sluice_outcome outcome = sluice_future_outcome(future);
    struct sluice_bytes payload = sluice_future_payload(future);
    uint64_t found;

    if (outcome != SLUICE_DONE) {
        ++*failed;
        if (!plan->failure_shown) {
            failure_print(plan->bench, outcome, sluice_future_error(future));
            plan->failure_shown = true;
        }
        return false;
    }
    if (!echo_check_reply(check, payload.data, payload.size, &found)) {
        return false;
    }
    if (found != sequence) {
        check->corrupt++; /* a good reply, to another task */
        check->received--;
        return false;
    }
    return true;
}

static void settle(struct bench_pass *pass, const struct bench_slot *slot,
                   struct sluice_future *future)
{
    if (bench_judge(pass->plan, &pass->check, &pass->failed, future, slot->sequence)) {
        histogram_add(&pass->latency_ns, bench_now_ns() - slot->sent_ns);
    }
    sluice_future_free(future);
    pass->done++;
}

/* Settles every task that has ended and puts the next one in its place. */
static void settle_ended(struct bench_pass *pass)
{
    size_t at = 0;

    while (at < pass->open) {
        if (sluice_future_outcome(pass->futures[at]) == SLUICE_PENDING) {
            at++;
            continue;
        }
        settle(pass, &pass->slots[at], pass->futures[at]);
        if (submit_next(pass, at)) {
            at++;
        } else {
            pass->open--;
            pass->futures[at] = pass->futures[pass->open];
            pass->slots[at] = pass->slots[pass->open];
        }
    }
}

static void show_progress(struct bench_pass *pass)
{
    char text[64];

    if (pass->progress.tty) {
        snprintf(text, sizeof(text), "%llu of %llu tasks", (unsigned long long)pass->done,
                 (unsigned long long)pass->tasks);
        progress_set(&pass->progress, text);
    }
}

static void on_watchdog(uv_timer_t *timer)
{
    struct bench_pass *pass = timer->data;

    show_progress(pass);
    if (bench_stalls(&pass->stall, pass->sluice, pass->done)) {
        fprintf(stderr, "sluice bench: nothing has ended for %d s\n", BENCH_STALL_MS / 1000);
        sluice_stop(pass->sluice); /* ends the wait in pass_run */
    }
}

/* What is missing in the end is lost. */
static void pass_run(struct bench_pass *pass)
{
    if (!pass->plan->silent) {
        progress_init(&pass->progress, "starting");
    }
    watchdog.data = pass;
    uv_timer_start(&watchdog, on_watchdog, WATCH_MS, WATCH_MS);
    while (pass->open < pass->plan->window && submit_next(pass, pass->open)) {
        pass->open++;
    }
    /* In any order: a worker's answers come together, between those of the others. */
    while (pass->open > 0 && sluice_as_completed(pass->futures, pass->open) < pass->open) {
        settle_ended(pass);
    }
    uv_timer_stop(&watchdog);
    progress_clear(&pass->progress);
}

bool bench_pass_warm_up(struct bench_pass *pass, struct bench_plan *plan, struct sluice *sluice)
{
    bool good;

    if (!bench_pass_init(pass, plan, sluice, plan->window)) {
        return false;
    }
    pass_run(pass);
    good = pass->check.received == pass->tasks;
    if (!good) {
        fprintf(stderr, "sluice bench: of the first %llu tasks %llu came back as they should\n",
                (unsigned long long)pass->tasks, (unsigned long long)pass->check.received);
    }
    bench_pass_deinit(pass);
    return good;
}

static double cpu_spent(double before_s, double after_s)
{
    return before_s < 0 || after_s < 0 ? CPU_UNKNOWN : after_s - before_s;
}

void bench_pass_measure(struct bench_pass *pass, struct bench_result *result)
{
    double broker_s = fleet_broker_cpu_s(), workers_s = fleet_workers_cpu_s();
    double submitter_s = bench_cpu_s(0);
    uint64_t begun_ns = bench_now_ns();

    pass_run(pass);
    result->wall_s = (double)(bench_now_ns() - begun_ns) / 1e9;
    result->broker_cpu_s = cpu_spent(broker_s, fleet_broker_cpu_s());
    result->workers_cpu_s = cpu_spent(workers_s, fleet_workers_cpu_s());
    result->submitter_cpu_s = cpu_spent(submitter_s, bench_cpu_s(0));
    result->failed = pass->failed;
    result->check = &pass->check;
    result->latency_ns = &pass->latency_ns;
}

int bench_with_pass(struct sluice *sluice, int (*fn)(struct sluice *, struct bench_pass *, void *),
                    void *arg)
{
    struct bench_pass *pass = malloc(sizeof(*pass));
    int code;

    if (pass == NULL) {
        fprintf(stderr, "sluice bench: out of memory\n");
        return EXIT_TASK;
    }
    uv_timer_init(sluice_loop(sluice), &watchdog);
    code = fn(sluice, pass, arg);
    uv_close((uv_handle_t *)&watchdog, NULL);
    free(pass);
    return code;
}
