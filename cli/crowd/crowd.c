#include "cli/crowd/agent.h"

#include "cli/bench_result.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zmq.h>

#define TICK_MS 10
/* Connections in the making: no more than what a listening socket has room for. */
#define JOINING_MAX 64

struct crowd {
    struct agent_world world;
    struct agent *agents;
    const char *service;
    uint64_t count, opened, joined; /* all before `joined` have joined once */
    uint64_t begun_ns;  /* of the rounds of pings, monotonic */
    uint64_t visits;    /* agents take turns */
};

/* Connects the next ones, a few at a time. */
static void crowd_join(struct crowd *crowd)
{
    for (uint64_t i = crowd->joined; i < crowd->opened; i++) {
        agent_receive(&crowd->agents[i], &crowd->world);
    }
    while (crowd->joined < crowd->opened && crowd->agents[crowd->joined].state == AGENT_JOINED) {
        crowd->joined++;
    }
    while (crowd->opened < crowd->count && crowd->opened < crowd->joined + JOINING_MAX &&
           crowd->world.report.failed == 0) {
        char name[64];

        snprintf(name, sizeof(name), "%.16s.%ld.%llu", crowd->service, (long)getpid(),
                 (unsigned long long)crowd->opened);
        if (!agent_open(&crowd->agents[crowd->opened], &crowd->world, name)) {
            crowd->world.report.failed++;
            return;
        }
        crowd->opened++;
    }
}

/* Each agent has its turn once in ping_ms, and all turns are spread over that time. */
static void crowd_ping(struct crowd *crowd)
{
    uint64_t passed_ms = (bench_now_ns() - crowd->begun_ns) / 1000000;
    uint64_t due = passed_ms * crowd->count / crowd->world.ping_ms;

    for (; crowd->visits < due; crowd->visits++) {
        uint64_t at = crowd->visits % crowd->count;

        if (at < crowd->joined) {
            agent_receive(&crowd->agents[at], &crowd->world);
            if (crowd->agents[at].state == AGENT_JOINED) {
                agent_ping(&crowd->agents[at], &crowd->world);
            }
        }
    }
}

/* A byte asks for a report. False: nobody wants any more. */
static bool crowd_answer(const struct crowd *crowd)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    const struct crowd_report *report = &crowd->world.report;
    char byte;

    if (poll(&input, 1, crowd->joined < crowd->count ? 1 : TICK_MS) <= 0) {
        return true;
    }
    return read(STDIN_FILENO, &byte, 1) == 1 &&
           write(STDOUT_FILENO, report, sizeof(*report)) == (ssize_t)sizeof(*report);
}

/* False: said why. */
static bool raise_limits(struct crowd *crowd)
{
    rlim_t needed = crowd->count * CROWD_FILES_EACH + CROWD_FILES_MORE;
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_max < needed) {
        fprintf(stderr, "sluice bench-crowd: %llu agents need %llu files, and %llu are allowed\n",
                (unsigned long long)crowd->count, (unsigned long long)needed,
                (unsigned long long)files.rlim_max);
        return false;
    }
    if (files.rlim_cur < needed) {
        files.rlim_cur = needed;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    zmq_ctx_set(crowd->world.zmq_context, ZMQ_MAX_SOCKETS, (int)crowd->count + 1);
    return true;
}

static void crowd_loop(struct crowd *crowd)
{
    crowd->begun_ns = bench_now_ns();
    while (crowd_answer(crowd)) {
        if (crowd->joined < crowd->count) {
            crowd_join(crowd);
        }
        crowd_ping(crowd);
    }
    for (uint64_t i = 0; i < crowd->opened; i++) {
        agent_close(&crowd->agents[i], &crowd->world);
    }
}

bool crowd_live(const char *endpoint, const char *service, uint64_t count)
{
    struct crowd crowd = {.world = {.endpoint = endpoint, .ping_ms = CROWD_PING_MS},
                          .service = service, .count = count};
    bool begun;

    crowd.world.zmq_context = zmq_ctx_new();
    crowd.agents = calloc(count, sizeof(crowd.agents[0]));
    codec_writer_init(&crowd.world.writer);
    begun = crowd.world.zmq_context != NULL && crowd.agents != NULL;
    if (!begun) {
        fprintf(stderr, "sluice bench-crowd: out of memory, or of files\n");
    }
    begun = begun && raise_limits(&crowd);
    if (begun) {
        crowd_loop(&crowd);
    }
    codec_writer_deinit(&crowd.world.writer);
    free(crowd.agents);
    zmq_ctx_term(crowd.world.zmq_context);
    return begun;
}
