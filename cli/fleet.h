/* fleet: the private processes of a benchmark: a broker, workers, and helpers.
 *
 * There is one fleet in a process. Whatever ends this process ends the fleet:
 * fleet_stop, exit, SIGINT, SIGTERM, SIGHUP, and its being killed. */
#ifndef SLUICE_CLI_FLEET_H
#define SLUICE_CLI_FLEET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define FLEET_WORKERS_MAX 64
#define FLEET_HELPERS_MAX 64

struct fleet_options {
    const char *broker;    /* endpoint of a broker that runs already; NULL: start one */
    const char *transport; /* "tcp" or "ipc", of a broker of our own */
    const char *const *broker_options; /* of its command line, NULL at the end; NULL: none */
    const char *store;     /* of a broker of our own: its file, removed in the end; NULL: none */
    const char *service;   /* what the workers serve */
    uint64_t services;     /* and SERVICE.0, SERVICE.1, so many */
    const char *work;      /* what they do: see bench_worker.c */
    uint64_t work_ms;
    uint64_t credit;
    uint64_t workers;
};

/* Starts what is asked for and waits until the broker listens (not until the
 * workers serve). The endpoint to use, good until fleet_stop; NULL: said why
 * not, and nothing is left running. */
const char *fleet_start(const struct fleet_options *options);

/* Another process of this program, that does a part of a benchmark. */
struct fleet_helper {
    pid_t pid;   /* 0: dismissed */
    int in, out; /* its standard input, to write to, and output, to read from: that does not wait */
};

/* Starts it with `words` (NULL at the end) as its command line, behind which comes the broker's
 * endpoint. It ends with the fleet. NULL: said why not. */
struct fleet_helper *fleet_add(const char *const *words);

/* Kills our broker as a power cut would, and starts it again; waits until it listens. False: said
 * why not. *begun_ns: when it was started again, monotonic. */
bool fleet_crash(uint64_t *begun_ns);

/* Closes its standard input and waits for its end. False: it failed, or had to be killed. */
bool fleet_dismiss(struct fleet_helper *helper);

/* Ends them, politely first, and removes what they left. Harmless twice. */
void fleet_stop(void);

/* False: one of them has ended by itself. */
bool fleet_intact(void);

/* CPU seconds used so far. CPU_UNKNOWN (bench_result.h): the broker is not ours. */
double fleet_broker_cpu_s(void);
double fleet_workers_cpu_s(void);

/* Resident memory of the broker; 0: it is not ours. */
uint64_t fleet_broker_bytes(void);

#endif
