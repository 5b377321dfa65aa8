/* bench_result: what one run of an echo benchmark measured, and how it is printed.
 *
 * Shared by `sluice bench` and the zmq_proxy floor, so that their numbers have
 * the same names and meanings; those of an open loop are what `sluice bench load`
 * says of a load. libc only. */
#ifndef SLUICE_CLI_BENCH_RESULT_H
#define SLUICE_CLI_BENCH_RESULT_H

#include "cli/echo_check.h"
#include "cli/histogram.h"

#include <stdio.h>
#include <sys/types.h>

#define CPU_UNKNOWN (-1.0)

struct bench_result {
    const char *bench;      /* "echo", "latency", "zmq_proxy" */
    const char *transport;  /* "tcp", "ipc", or an endpoint that was given */
    uint64_t payload_bytes;
    uint64_t window;
    uint64_t workers;
    uint64_t clients;       /* submitters, among which the window is divided; 0: one */
    uint64_t tasks;
    uint64_t rate;          /* of an open loop, tasks a second; 0: a closed one */
    uint64_t late;          /* of an open loop: sent more than PACE_LATE_NS after they were due */
    uint64_t failed;        /* ended with an error: neither lost nor done */
    double wall_s;          /* first submit (or due) to last reply */
    double broker_cpu_s;    /* user and system, during wall_s; CPU_UNKNOWN: not ours */
    double workers_cpu_s;
    double submitter_cpu_s;
    const struct echo_check *check;
    const struct histogram *latency_ns; /* of each task, submit (or due) to checked reply */
};

/* Nothing lost, duplicated, corrupt or failed. */
bool bench_result_good(const struct bench_result *result);
/* What did not come back. */
uint64_t bench_result_lost(const struct bench_result *result);
/* Checked replies. */
double bench_result_per_s(const struct bench_result *result);
double bench_result_us(const struct bench_result *result, double percent);

/* CPU seconds for a million of what there were `count` of: "cpu_s_per_million": {...}, or for
 * people; without an end of the line. */
void bench_cpu_print(const struct bench_result *result, double count, FILE *stream, bool json);

/* One JSON object on one line, or a few lines for people. */
void bench_result_print(const struct bench_result *result, FILE *stream, bool json);

/* Monotonic time, ns. */
uint64_t bench_now_ns(void);

/* CPU time used so far by a live process; 0: this one. CPU_UNKNOWN: no such process. */
double bench_cpu_s(pid_t pid);

#endif
