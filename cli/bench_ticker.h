/* bench_ticker: pace (cli/pace.h) in the loop of a session. One thread. */
#ifndef SLUICE_CLI_BENCH_TICKER_H
#define SLUICE_CLI_BENCH_TICKER_H

#include "agents/runtime/sluice.h"
#include "cli/pace.h"

/* Belongs to the loop from start until it is closed, which nobody may be left to wait for: it has
 * to be static. */
struct bench_ticker {
    struct pace pace;
    bool (*take)(void *arg);
    void *arg;
    uv_poll_t poll;
    bool closed;
};

/* Calls `take` for each of `count` things when it is due, `per_s` a second, from now on; it calls
 * pace_take, or says false: then it is called again a moment later. False: no timer. */
bool bench_ticker_start(struct bench_ticker *ticker, struct sluice *sluice, uint64_t per_s,
                        uint64_t count, bool (*take)(void *arg), void *arg);

/* Nothing more is due. SUSPENDS. */
void bench_ticker_stop(struct bench_ticker *ticker, struct sluice *sluice);

#endif
