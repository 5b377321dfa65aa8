#include "cli/bench_receipts.h"

#include "cli/bench.h"
#include "cli/pace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 5

struct load {
    struct bench_receipts *receipts;
    struct sluice *sluice;
    const struct bench_plan *plan;
    void *payload;
    struct pace pace;
    uv_poll_t poll;
    uint64_t under_way;
    bool closed;
};

struct task {
    struct load *load;
    uint64_t due_ns;
};

static void submit_one(struct sluice *sluice, void *arg)
{
    struct task *task = arg;
    struct load *load = task->load;
    struct sluice_submit_options options = {.durable = true};
    struct sluice_bytes payload = {load->payload, load->plan->payload_bytes};
    struct sluice_future *future = sluice_submit(sluice, load->plan->service, payload, &options);

    if (future == NULL || !sluice_accepted(future)) {
        load->receipts->failed++;
    } else {
        histogram_add(&load->receipts->receipt_ns, bench_now_ns() - task->due_ns);
        load->receipts->failed += sluice_await(future) != SLUICE_DONE;
    }
    sluice_future_free(future);
    free(task);
    load->under_way--;
}

static void start_one(struct load *load, uint64_t due_ns)
{
    struct task *task = malloc(sizeof(*task));

    if (task != NULL) {
        *task = (struct task){load, due_ns};
    }
    if (task == NULL || sluice_spawn(load->sluice, submit_one, task) != 0) {
        free(task);
        load->receipts->failed++; /* the broker is too slow for the load */
        return;
    }
    load->under_way++;
}

static void on_due(uv_poll_t *poll, int status, int events)
{
    struct load *load = poll->data;

    (void)status;
    (void)events;
    for (uint64_t due = pace_due(&load->pace); due > 0; due--) {
        start_one(load, pace_take(&load->pace));
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct load *load = handle->data;

    load->closed = true;
}

static bool start(struct load *load)
{
    const struct bench_receipts *receipts = load->receipts;

    if (!pace_open(&load->pace)) {
        return false;
    }
    if (uv_poll_init(sluice_loop(load->sluice), &load->poll, load->pace.fd) != 0) {
        pace_close(&load->pace);
        return false;
    }
    load->poll.data = load;
    pace_start(&load->pace, receipts->per_s, receipts->per_s * receipts->duration_ms / 1000);
    uv_poll_start(&load->poll, UV_READABLE, on_due);
    return true;
}

bool bench_receipts_run(struct bench_receipts *receipts, struct sluice *sluice,
                        const struct bench_plan *plan)
{
    static struct load load; /* if a wait is given up, fibers still have it */
    struct bench_stall stall = {0, 0};

    load = (struct load){.receipts = receipts, .sluice = sluice, .plan = plan};
    receipts->failed = 0;
    histogram_init(&receipts->receipt_ns);
    load.payload = calloc(1, plan->payload_bytes);
    if (load.payload == NULL || !start(&load)) {
        fprintf(stderr, "sluice bench %s: no memory or no timer for the receipts\n", plan->bench);
        free(load.payload);
        return false;
    }
    while ((load.pace.taken < load.pace.count || load.under_way > 0) &&
           sluice_sleep_ms(sluice, LOOK_MS) == 0 &&
           !bench_stalls(&stall, sluice,
                         load.pace.taken - load.under_way + receipts->receipt_ns.total)) {
    }
    receipts->failed += load.under_way;
    uv_close((uv_handle_t *)&load.poll, on_closed);
    while (!load.closed && sluice_sleep_ms(sluice, 1) == 0) {
    }
    pace_close(&load.pace);
    if (load.under_way == 0) {
        free(load.payload);
    }
    return true;
}
