#include "cli/bench_receipts.h"

#include "cli/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TICK_NS 1000000 /* a millisecond */

/* libuv's own timers count whole milliseconds, and are up to one late. */
struct pace {
    struct bench_receipts *receipts;
    struct sluice *sluice;
    const struct bench_plan *plan;
    void *payload;
    int timer;
    uv_poll_t poll;
    uint64_t begun_ns;  /* tick 0 */
    uint64_t ticks;     /* so far */
    uint64_t under_way;
    bool closed;
};

struct task {
    struct pace *pace;
    uint64_t due_ns;
};

static void submit_one(struct sluice *sluice, void *arg)
{
    struct task *task = arg;
    struct pace *pace = task->pace;
    struct sluice_submit_options options = {.durable = true};
    struct sluice_bytes payload = {pace->payload, pace->plan->payload_bytes};
    struct sluice_future *future = sluice_submit(sluice, pace->plan->service, payload, &options);

    if (future == NULL || !sluice_accepted(future)) {
        pace->receipts->failed++;
    } else {
        histogram_add(&pace->receipts->receipt_ns, bench_now_ns() - task->due_ns);
        pace->receipts->failed += sluice_await(future) != SLUICE_DONE;
    }
    sluice_future_free(future);
    free(task);
    pace->under_way--;
}

static void start_one(struct pace *pace, uint64_t due_ns)
{
    struct task *task = malloc(sizeof(*task));

    if (task != NULL) {
        *task = (struct task){pace, due_ns};
    }
    if (task == NULL || sluice_spawn(pace->sluice, submit_one, task) != 0) {
        free(task);
        pace->receipts->failed++; /* the broker is too slow for the load */
        return;
    }
    pace->under_way++;
}

static void on_ticks(uv_poll_t *poll, int status, int events)
{
    struct pace *pace = poll->data;
    uint64_t ticks = 0;

    (void)status;
    (void)events;
    if (read(pace->timer, &ticks, sizeof(ticks)) != sizeof(ticks)) {
        return;
    }
    for (; ticks > 0 && pace->ticks < pace->receipts->duration_ms; ticks--) {
        uint64_t sent = pace->receipts->per_s * pace->ticks / 1000;
        uint64_t until = pace->receipts->per_s * ++pace->ticks / 1000;

        for (; sent < until; sent++) {
            start_one(pace, pace->begun_ns + pace->ticks * TICK_NS);
        }
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct pace *pace = handle->data;

    pace->closed = true;
}

static bool start(struct pace *pace)
{
    struct itimerspec every = {.it_interval.tv_nsec = TICK_NS, .it_value.tv_nsec = TICK_NS};

    pace->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (pace->timer < 0) {
        return false;
    }
    if (uv_poll_init(sluice_loop(pace->sluice), &pace->poll, pace->timer) != 0) {
        close(pace->timer);
        return false;
    }
    pace->poll.data = pace;
    pace->begun_ns = bench_now_ns();
    timerfd_settime(pace->timer, 0, &every, NULL);
    uv_poll_start(&pace->poll, UV_READABLE, on_ticks);
    return true;
}

bool bench_receipts_run(struct bench_receipts *receipts, struct sluice *sluice,
                        const struct bench_plan *plan)
{
    struct pace pace = {.receipts = receipts, .sluice = sluice, .plan = plan};

    receipts->failed = 0;
    histogram_init(&receipts->receipt_ns);
    pace.payload = calloc(1, plan->payload_bytes);
    if (pace.payload == NULL || !start(&pace)) {
        fprintf(stderr, "sluice bench %s: no memory or no timer for the receipts\n", plan->bench);
        free(pace.payload);
        return false;
    }
    while ((pace.ticks < receipts->duration_ms || pace.under_way > 0) &&
           sluice_sleep_ms(sluice, 5) == 0) {
    }
    uv_close((uv_handle_t *)&pace.poll, on_closed);
    while (!pace.closed && sluice_sleep_ms(sluice, 1) == 0) {
    }
    close(pace.timer);
    free(pace.payload);
    return true;
}
