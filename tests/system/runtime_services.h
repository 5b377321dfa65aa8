/* runtime_services: what the test peers of the runtime serve. */
#ifndef SLUICE_TESTS_SYSTEM_RUNTIME_SERVICES_H
#define SLUICE_TESTS_SYSTEM_RUNTIME_SERVICES_H

#include "agents/runtime/sluice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the handlers of this process have seen. */
static struct {
    size_t running, running_most; /* of nap */
    size_t cancelled;             /* nap, when it was told to stop */
    size_t finished;              /* nap, to its end */
} seen;

static inline json_int_t argument(struct sluice_task *task, const char *key)
{
    return json_integer_value(json_object_get(sluice_task_args(task), key));
}

/* Sync: gives back what it got. */
static inline void serve_echo(struct sluice_task *task, void *arg)
{
    (void)arg;
    sluice_done(task, sluice_task_payload(task));
}

/* {ms}: sleeps, and answers {ms, attempt}. */
static inline void serve_nap(struct sluice_task *task, void *arg)
{
    json_int_t ms = argument(task, "ms");

    (void)arg;
    seen.running++;
    seen.running_most = seen.running > seen.running_most ? seen.running : seen.running_most;
    if (sluice_sleep_ms(sluice_task_peer(task), (uint64_t)ms) != 0) {
        seen.cancelled++;
    } else {
        seen.finished++;
        sluice_done_json(task, json_pack("{s:I, s:i}", "ms", ms, "attempt",
                                         (int)sluice_task_attempt(task)));
    }
    seen.running--;
}

/* {n}: the sum of 1..n, each number a task below the one before. */
static inline void serve_sum(struct sluice_task *task, void *arg)
{
    json_int_t n = argument(task, "n");
    json_int_t below = 0;
    struct sluice_future *future;

    (void)arg;
    if (n > 0) {
        future = sluice_submit_json(sluice_task_peer(task), "sum",
                                    json_pack("{s:I}", "n", n - 1), NULL);
        if (sluice_await(future) != SLUICE_DONE) {
            sluice_failf(task, "below", "%s",
                         sluice_future_outcome(future) == SLUICE_PENDING
                             ? "was cancelled"
                             : sluice_future_error(future)->message);
            sluice_future_free(future);
            return;
        }
        below = json_integer_value(json_object_get(sluice_future_json(future), "sum"));
        sluice_future_free(future);
    }
    sluice_done_json(task, json_pack("{s:I}", "sum", n + below));
}

static inline void serve_silent(struct sluice_task *task, void *arg)
{
    (void)task;
    (void)arg;
}

/* Tells how far it is, then is done. */
static inline void serve_steps(struct sluice_task *task, void *arg)
{
    (void)arg;
    for (int i = 1; i <= 3; i++) {
        sluice_progress_json(task, json_pack("{s:i}", "step", i));
    }
    sluice_done_json(task, json_object());
}

/* Starts a nap of an hour and returns without waiting for it. */
static inline void serve_careless(struct sluice_task *task, void *arg)
{
    (void)arg;
    sluice_future_free(sluice_submit_json(sluice_task_peer(task), "nap",
                                          json_pack("{s:i}", "ms", 3600000), NULL));
    sluice_done_json(task, json_object());
}

/* The same, with a scope that is never closed. */
static inline void serve_open_scope(struct sluice_task *task, void *arg)
{
    (void)arg;
    sluice_scope_open(sluice_task_peer(task), 0);
    sluice_submit_json(sluice_task_peer(task), "nap", json_pack("{s:i}", "ms", 3600000), NULL);
    sluice_done_json(task, json_object());
}

/* What its task has left of its deadline. */
static inline void serve_left(struct sluice_task *task, void *arg)
{
    (void)arg;
    sluice_done_json(task, json_pack("{s:I}", "left", (json_int_t)sluice_task_left_ms(task)));
}

/* {}: asks `left`, with an hour of its own. */
static inline void serve_ask_left(struct sluice_task *task, void *arg)
{
    struct sluice_submit_options hour = {.deadline_ms = 3600000};
    struct sluice_future *future =
        sluice_submit_json(sluice_task_peer(task), "left", NULL, &hour);

    (void)arg;
    sluice_await(future);
    sluice_done_json(task, json_incref(sluice_future_json(future)));
    sluice_future_free(future);
}

/* {}: submits `nap` of an hour and waits for it. */
static inline void serve_parent(struct sluice_task *task, void *arg)
{
    struct sluice_future *future = sluice_submit_json(
        sluice_task_peer(task), "nap", json_pack("{s:i}", "ms", 3600000), NULL);

    (void)arg;
    sluice_await(future);
    sluice_future_free(future);
}

#define ECHO_SCHEMA                                                                                \
    "{\"type\": \"object\", \"required\": [\"count\"], "                                           \
    "\"properties\": {\"count\": {\"type\": \"integer\", \"minimum\": 1}}}"

static inline void serve_all(struct sluice *sluice, unsigned credit)
{
    struct sluice_service services[] = {
        {.name = "echo", .handler = serve_echo, .sync = true},
        {.name = "strict", .handler = serve_echo, .sync = true, .schema = ECHO_SCHEMA},
        {.name = "nap", .handler = serve_nap, .credit = 12000, .max_tasks = 20000},
        {.name = "sum", .handler = serve_sum, .credit = credit},
        {.name = "silent", .handler = serve_silent, .sync = true},
        {.name = "steps", .handler = serve_steps},
        {.name = "careless", .handler = serve_careless},
        {.name = "open_scope", .handler = serve_open_scope},
        {.name = "left", .handler = serve_left},
        {.name = "ask_left", .handler = serve_ask_left},
        {.name = "parent", .handler = serve_parent},
        {.name = "narrow", .handler = serve_nap, .credit = 1, .max_tasks = 2},
    };

    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        int rc = sluice_serve(sluice, &services[i]);

        if (rc != 0) {
            fprintf(stderr, "cannot serve %s: %s\n", services[i].name, strerror(-rc));
            exit(2);
        }
    }
}

#endif
