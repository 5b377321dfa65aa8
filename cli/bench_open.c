#include "cli/bench_open.h"

#include "cli/bench_ticker.h"
#include "cli/fleet.h"

#include <stdio.h>
#include <stdlib.h>

#define LOOK_MS 50 /* between two looks at whether all have ended */

struct slot {
    struct slot *next;            /* free */
    struct sluice_future *future; /* has ended if the slot is free; NULL: never used */
    uint64_t sequence;
    uint64_t due_ns;
};

struct loop {
    struct bench_open *open;
    struct bench_plan *plan;
    struct sluice *sluice;
    struct slot *slots, *free_slots;
    uint8_t *payload;
    struct bench_ticker ticker;
    uint64_t done;
    uint64_t ended_ns; /* the last of them */
    struct progress progress;
    bool broken; /* no memory: the rest is lost */
};

static struct loop loop;

/* Its future is freed when the slot is used again. */
static void on_ended(struct sluice_future *future, void *arg)
{
    struct slot *slot = arg;

    loop.ended_ns = bench_now_ns();
    if (bench_judge(loop.plan, &loop.open->check, &loop.open->result.failed, future,
                    slot->sequence)) {
        histogram_add(&loop.open->latency_ns, loop.ended_ns - slot->due_ns);
    }
    loop.done++;
    slot->next = loop.free_slots;
    loop.free_slots = slot;
}

static bool send_next(void *arg)
{
    struct slot *slot = loop.free_slots;
    struct sluice_submit_options options = {
        .wait_absent = loop.plan->wait_absent, .on_ended = on_ended, .arg = slot};
    struct sluice_bytes payload = {loop.payload, loop.plan->payload_bytes};

    (void)arg;
    if (slot == NULL || loop.broken) {
        return false;
    }
    loop.free_slots = slot->next;
    sluice_future_free(slot->future);
    slot->sequence = loop.ticker.pace.taken;
    slot->due_ns = pace_take(&loop.ticker.pace);
    loop.open->result.late += bench_now_ns() - slot->due_ns > PACE_LATE_NS;
    echo_check_fill(&loop.open->check, slot->sequence, loop.payload);
    slot->future = sluice_submit(loop.sluice, loop.plan->service, payload, &options);
    loop.broken = slot->future == NULL;
    return true;
}

static bool allocate(void)
{
    loop.slots = calloc(PACE_UNDER_WAY_MAX, sizeof(struct slot));
    loop.payload = malloc(loop.plan->payload_bytes);
    if (loop.slots == NULL || loop.payload == NULL) {
        return false;
    }
    for (size_t i = 0; i < PACE_UNDER_WAY_MAX; i++) {
        loop.slots[i].next = loop.free_slots;
        loop.free_slots = &loop.slots[i];
    }
    return true;
}

static void deallocate(void)
{
    for (size_t i = 0; loop.slots != NULL && i < PACE_UNDER_WAY_MAX; i++) {
        sluice_future_free(loop.slots[i].future);
    }
    free(loop.slots);
    free(loop.payload);
}

static void show_progress(void)
{
    char text[64];

    if (loop.progress.tty) {
        snprintf(text, sizeof(text), "%llu of %llu tasks, %llu a second",
                 (unsigned long long)loop.done, (unsigned long long)loop.open->result.tasks,
                 (unsigned long long)loop.open->result.rate);
        progress_set(&loop.progress, text);
    }
}

/* SUSPENDS until all have ended. */
static void wait_all(void)
{
    struct bench_stall stall = {0, 0};

    while (loop.done < loop.open->result.tasks && !loop.broken &&
           sluice_sleep_ms(loop.sluice, LOOK_MS) == 0) {
        show_progress();
        if (bench_stalls(&stall, loop.sluice, loop.done)) {
            fprintf(stderr, "sluice bench: nothing has ended for %d s\n", BENCH_STALL_MS / 1000);
            return;
        }
    }
}

/* SUSPENDS. False: no timer. */
static bool measure(struct bench_result *result)
{
    double broker_s = fleet_broker_cpu_s(), workers_s = fleet_workers_cpu_s();
    double submitter_s = bench_cpu_s(0);
    uint64_t begun_ns = bench_now_ns();

    loop.ended_ns = begun_ns;
    if (!bench_ticker_start(&loop.ticker, loop.sluice, result->rate, result->tasks, send_next,
                            NULL)) {
        return false;
    }
    wait_all();
    result->wall_s = (double)(loop.ended_ns - begun_ns) / 1e9;
    result->broker_cpu_s = broker_s < 0 ? CPU_UNKNOWN : fleet_broker_cpu_s() - broker_s;
    result->workers_cpu_s = fleet_workers_cpu_s() - workers_s;
    result->submitter_cpu_s = bench_cpu_s(0) - submitter_s;
    bench_ticker_stop(&loop.ticker, loop.sluice);
    return true;
}

bool bench_open_run(struct bench_open *open, struct sluice *sluice, struct bench_plan *plan)
{
    bool measured;

    loop = (struct loop){.open = open, .plan = plan, .sluice = sluice};
    histogram_init(&open->latency_ns);
    open->result.check = &open->check;
    open->result.latency_ns = &open->latency_ns;
    if (!echo_check_init(&open->check, open->result.tasks, plan->payload_bytes)) {
        fprintf(stderr, "sluice bench: out of memory\n");
        return false;
    }
    progress_init(&loop.progress, "starting");
    measured = allocate() && measure(&open->result);
    progress_clear(&loop.progress);
    deallocate();
    if (!measured) {
        fprintf(stderr, "sluice bench: no memory or no timer for an open loop\n");
        echo_check_deinit(&open->check);
    }
    return measured;
}

void bench_open_deinit(struct bench_open *open)
{
    echo_check_deinit(&open->check);
}
