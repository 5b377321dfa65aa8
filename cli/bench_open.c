#include "cli/bench_open.h"

#include "cli/bench.h"
#include "cli/failure.h"
#include "cli/fleet.h"
#include "cli/pace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 50     /* between two looks at whether all have ended */

struct slot {
    struct loop *loop;
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
    struct pace pace;
    uv_poll_t poll;
    uint64_t done;
    struct progress progress;
    bool broken; /* no memory: the rest is lost */
    bool closed;
};

static void judge(struct loop *loop, const struct slot *slot, const struct sluice_future *future)
{
    struct bench_open *open = loop->open;
    enum sluice_outcome outcome = sluice_future_outcome(future);
    struct sluice_bytes payload = sluice_future_payload(future);
    uint64_t sequence;

    if (outcome != SLUICE_DONE) {
        open->failed++;
        if (!loop->plan->failure_shown) {
            failure_print(loop->plan->bench, outcome, sluice_future_error(future));
            loop->plan->failure_shown = true;
        }
    } else if (echo_check_reply(&open->check, payload.data, payload.size, &sequence)) {
        if (sequence == slot->sequence) {
            histogram_add(&open->latency_ns, bench_now_ns() - slot->due_ns);
        } else {
            open->check.corrupt++; /* a good reply, to another task */
            open->check.received--;
        }
    }
}

/* Its future is freed when the slot is used again. */
static void on_ended(struct sluice_future *future, void *arg)
{
    struct slot *slot = arg;
    struct loop *loop = slot->loop;

    judge(loop, slot, future);
    loop->done++;
    slot->next = loop->free_slots;
    loop->free_slots = slot;
}

static void send_next(struct loop *loop)
{
    struct slot *slot = loop->free_slots;
    struct sluice_submit_options options = {
        .wait_absent = loop->plan->wait_absent, .on_ended = on_ended, .arg = slot};
    struct sluice_bytes payload = {loop->payload, loop->plan->payload_bytes};

    loop->free_slots = slot->next;
    sluice_future_free(slot->future);
    slot->sequence = loop->pace.taken;
    slot->due_ns = pace_take(&loop->pace);
    loop->open->late += bench_now_ns() - slot->due_ns > PACE_LATE_NS;
    echo_check_fill(&loop->open->check, slot->sequence, loop->payload);
    slot->future = sluice_submit(loop->sluice, loop->plan->service, payload, &options);
    loop->broken = slot->future == NULL;
}

static void on_due(uv_poll_t *poll, int status, int events)
{
    struct loop *loop = poll->data;

    (void)status;
    (void)events;
    for (uint64_t due = pace_due(&loop->pace);
         due > 0 && loop->free_slots != NULL && !loop->broken; due--) {
        send_next(loop);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct loop *loop = handle->data;

    loop->closed = true;
}

static bool loop_init(struct loop *loop)
{
    loop->slots = calloc(PACE_UNDER_WAY_MAX, sizeof(struct slot));
    loop->payload = malloc(loop->plan->payload_bytes);
    if (loop->slots == NULL || loop->payload == NULL || !pace_open(&loop->pace)) {
        return false;
    }
    for (size_t i = 0; i < PACE_UNDER_WAY_MAX; i++) {
        loop->slots[i].loop = loop;
        loop->slots[i].next = loop->free_slots;
        loop->free_slots = &loop->slots[i];
    }
    if (uv_poll_init(sluice_loop(loop->sluice), &loop->poll, loop->pace.fd) != 0) {
        pace_close(&loop->pace);
        return false;
    }
    loop->poll.data = loop;
    return true;
}

/* SUSPENDS. */
static void loop_deinit(struct loop *loop)
{
    uv_close((uv_handle_t *)&loop->poll, on_closed);
    pace_close(&loop->pace);
    for (size_t i = 0; i < PACE_UNDER_WAY_MAX; i++) {
        sluice_future_free(loop->slots[i].future);
    }
    while (!loop->closed && sluice_sleep_ms(loop->sluice, 1) == 0) {
    }
    free(loop->slots);
    free(loop->payload);
}

static void show_progress(struct loop *loop)
{
    char text[64];

    if (loop->progress.tty) {
        snprintf(text, sizeof(text), "%llu of %llu tasks, %llu a second",
                 (unsigned long long)loop->done, (unsigned long long)loop->open->tasks,
                 (unsigned long long)loop->open->per_s);
        progress_set(&loop->progress, text);
    }
}

/* SUSPENDS until all have ended. */
static void wait_all(struct loop *loop)
{
    struct bench_stall stall = {0, 0};

    while (loop->done < loop->open->tasks && !loop->broken &&
           sluice_sleep_ms(loop->sluice, LOOK_MS) == 0) {
        show_progress(loop);
        if (bench_stalls(&stall, loop->sluice, loop->done)) {
            fprintf(stderr, "sluice bench: nothing has ended for %d s\n", BENCH_STALL_MS / 1000);
            return;
        }
    }
}

static void measure(struct loop *loop)
{
    struct bench_open *open = loop->open;
    double broker_s = fleet_broker_cpu_s(), workers_s = fleet_workers_cpu_s();
    double submitter_s = bench_cpu_s(0);
    uint64_t begun_ns = bench_now_ns();

    pace_start(&loop->pace, open->per_s, open->tasks);
    uv_poll_start(&loop->poll, UV_READABLE, on_due);
    wait_all(loop);
    pace_stop(&loop->pace);
    open->wall_s = (double)(bench_now_ns() - begun_ns) / 1e9;
    open->broker_cpu_s = broker_s < 0 ? CPU_UNKNOWN : fleet_broker_cpu_s() - broker_s;
    open->workers_cpu_s = fleet_workers_cpu_s() - workers_s;
    open->submitter_cpu_s = bench_cpu_s(0) - submitter_s;
}

bool bench_open_run(struct bench_open *open, struct sluice *sluice, struct bench_plan *plan)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    open->failed = open->late = 0;
    histogram_init(&open->latency_ns);
    if (loop == NULL || !echo_check_init(&open->check, open->tasks, plan->payload_bytes)) {
        free(loop);
        fprintf(stderr, "sluice bench: out of memory\n");
        return false;
    }
    *loop = (struct loop){.open = open, .plan = plan, .sluice = sluice};
    if (!loop_init(loop)) {
        fprintf(stderr, "sluice bench: no memory or no timer for an open loop\n");
        echo_check_deinit(&open->check);
        free(loop->slots);
        free(loop->payload);
        free(loop);
        return false;
    }
    progress_init(&loop->progress, "starting");
    measure(loop);
    progress_clear(&loop->progress);
    loop_deinit(loop);
    free(loop);
    return true;
}

void bench_open_deinit(struct bench_open *open)
{
    echo_check_deinit(&open->check);
}

uint64_t bench_open_lost(const struct bench_open *open)
{
    uint64_t ended = open->check.received + open->check.corrupt + open->failed;

    return ended < open->tasks ? open->tasks - ended : 0;
}

bool bench_open_good(const struct bench_open *open)
{
    return open->check.received == open->tasks && open->check.duplicated == 0 &&
           open->check.corrupt == 0 && open->failed == 0;
}
