#include "cli/bench_receipts.h"

#include "cli/bench_ticker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 5

struct load {
    struct bench_receipts *receipts;
    struct sluice *sluice;
    const struct bench_plan *plan;
    void *payload;
    struct bench_ticker ticker;
    uint64_t under_way;
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

static bool start_one(void *arg)
{
    struct load *load = arg;
    struct task *task = malloc(sizeof(*task));
    uint64_t due_ns = pace_take(&load->ticker.pace);

    if (task != NULL) {
        *task = (struct task){load, due_ns};
    }
    if (task == NULL || sluice_spawn(load->sluice, submit_one, task) != 0) {
        free(task);
        load->receipts->failed++; /* the broker is too slow for the load */
        return true;
    }
    load->under_way++;
    return true;
}

bool bench_receipts_run(struct bench_receipts *receipts, struct sluice *sluice,
                        const struct bench_plan *plan)
{
    static struct load load; /* if a wait is given up, fibers still have it */
    const struct pace *pace = &load.ticker.pace;
    struct bench_stall stall = {0, 0};

    load = (struct load){.receipts = receipts, .sluice = sluice, .plan = plan};
    load.payload = calloc(1, plan->payload_bytes);
    if (load.payload == NULL ||
        !bench_ticker_start(&load.ticker, sluice, receipts->per_s,
                            receipts->per_s * receipts->duration_ms / 1000, start_one, &load)) {
        fprintf(stderr, "sluice bench %s: no memory or no timer for the receipts\n", plan->bench);
        free(load.payload);
        return false;
    }
    while ((pace->taken < pace->count || load.under_way > 0) &&
           sluice_sleep_ms(sluice, LOOK_MS) == 0 &&
           !bench_stalls(&stall, sluice,
                         pace->taken - load.under_way + receipts->receipt_ns.total)) {
    }
    receipts->failed += load.under_way;
    bench_ticker_stop(&load.ticker, sluice);
    if (load.under_way == 0) {
        free(load.payload);
    }
    return true;
}
