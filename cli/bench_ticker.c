#include "cli/bench_ticker.h"

static void on_due(uv_poll_t *poll, int status, int events)
{
    struct bench_ticker *ticker = poll->data;

    (void)status;
    (void)events;
    for (uint64_t due = pace_due(&ticker->pace); due > 0 && ticker->take(ticker->arg); due--) {
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct bench_ticker *ticker = handle->data;

    ticker->closed = true;
}

bool bench_ticker_start(struct bench_ticker *ticker, struct sluice *sluice, uint64_t per_s,
                        uint64_t count, bool (*take)(void *arg), void *arg)
{
    *ticker = (struct bench_ticker){.take = take, .arg = arg};
    if (!pace_open(&ticker->pace)) {
        return false;
    }
    if (uv_poll_init(sluice_loop(sluice), &ticker->poll, ticker->pace.fd) != 0) {
        pace_close(&ticker->pace);
        return false;
    }
    ticker->poll.data = ticker;
    pace_start(&ticker->pace, per_s, count);
    uv_poll_start(&ticker->poll, UV_READABLE, on_due);
    return true;
}

void bench_ticker_stop(struct bench_ticker *ticker, struct sluice *sluice)
{
    pace_stop(&ticker->pace);
    uv_close((uv_handle_t *)&ticker->poll, on_closed);
    while (!ticker->closed && sluice_sleep_ms(sluice, 1) == 0) {
    }
    pace_close(&ticker->pace);
}
