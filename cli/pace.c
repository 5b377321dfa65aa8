#include "cli/pace.h"

#include "cli/bench_result.h"

#include <sys/timerfd.h>
#include <unistd.h>

#define SECOND_NS 1000000000u

/* libuv's own timers count whole milliseconds, and are up to one late. */
bool pace_open(struct pace *pace)
{
    *pace = (struct pace){.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC),
                          .next_ns = UINT64_MAX};
    return pace->fd >= 0;
}

void pace_close(struct pace *pace)
{
    if (pace->fd >= 0) {
        close(pace->fd);
        pace->fd = -1;
    }
}

/* 0: never. */
static void arm(struct pace *pace, uint64_t at_ns)
{
    struct itimerspec at = {
        .it_value = {(time_t)(at_ns / SECOND_NS), (long)(at_ns % SECOND_NS)}};

    timerfd_settime(pace->fd, TFD_TIMER_ABSTIME, &at, NULL);
    pace->next_ns = at_ns > 0 ? at_ns : UINT64_MAX;
}

/* In two steps, so that no product is too large. */
static uint64_t time_of(const struct pace *pace, uint64_t number)
{
    return pace->begun_ns + number / pace->per_s * SECOND_NS +
           number % pace->per_s * SECOND_NS / pace->per_s;
}

static uint64_t due_until(const struct pace *pace, uint64_t now_ns)
{
    uint64_t passed_ns = now_ns - pace->begun_ns;
    uint64_t due = passed_ns / SECOND_NS * pace->per_s +
                   passed_ns % SECOND_NS * pace->per_s / SECOND_NS + 1;

    return due < pace->count ? due : pace->count;
}

void pace_start(struct pace *pace, uint64_t per_s, uint64_t count)
{
    pace->per_s = per_s;
    pace->count = count;
    pace->taken = 0;
    pace->begun_ns = bench_now_ns();
    arm(pace, pace->begun_ns);
}

void pace_stop(struct pace *pace)
{
    pace->count = pace->taken;
    arm(pace, 0);
}

bool pace_is_due(const struct pace *pace, uint64_t now_ns)
{
    return now_ns >= pace->next_ns;
}

uint64_t pace_due(struct pace *pace)
{
    uint64_t now_ns = bench_now_ns();
    uint64_t due = due_until(pace, now_ns);
    uint64_t next_ns = time_of(pace, due);

    if (due == pace->count && pace->taken == due) {
        arm(pace, 0);
    } else {
        arm(pace, next_ns > now_ns + PACE_TICK_NS ? next_ns : now_ns + PACE_TICK_NS);
    }
    return due - pace->taken;
}

uint64_t pace_take(struct pace *pace)
{
    return time_of(pace, pace->taken++);
}
