#include "cli/bench_rounds.h"

#include "common/check.h"

#include <stdlib.h>

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(double values[BENCH_ROUNDS])
{
    qsort(values, BENCH_ROUNDS, sizeof(double), by_size);
    return values[BENCH_ROUNDS / 2];
}

bool bench_rounds_run(struct sluice *sluice, struct bench_pass *pass,
                      struct bench_plan *const plans[], size_t count,
                      struct bench_figures *figures)
{
    double rates[BENCH_ROUNDS_PLANS_MAX][BENCH_ROUNDS], cpu[BENCH_ROUNDS_PLANS_MAX][BENCH_ROUNDS];

    CHECK(count <= BENCH_ROUNDS_PLANS_MAX);
    for (size_t i = 0; i < count; i++) {
        figures[i].good = true;
    }
    for (size_t round = 0; round < BENCH_ROUNDS; round++) {
        for (size_t i = 0; i < count; i++) {
            struct bench_result result = {.bench = plans[i]->bench, .tasks = plans[i]->tasks};

            if (!bench_pass_init(pass, plans[i], sluice, plans[i]->tasks)) {
                return false;
            }
            bench_pass_measure(pass, &result);
            figures[i].good &= bench_result_good(&result);
            rates[i][round] = bench_result_per_s(&result);
            cpu[i][round] = result.broker_cpu_s;
            bench_pass_deinit(pass);
        }
    }
    for (size_t i = 0; i < count; i++) {
        figures[i].tasks_per_s = median(rates[i]);
        figures[i].broker_cpu_s = median(cpu[i]);
    }
    return true;
}
