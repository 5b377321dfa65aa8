#include "cli/call.h"

#include "cli/chunks.h"
#include "cli/progress.h"
#include "common/json.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS 100
#define PATIENCE_MS 2000 /* a task that has not started by then is worth a question */

/* The handles outlive the call by one turn of the loop, so they are not on its
 * stack; there is one call in a process. */
static struct watch {
    struct sluice *sluice;
    struct sluice_future *future;
    struct call *call;
    struct progress progress;
    char said[512]; /* the last thing worth saying */
    bool under_way; /* it started, or we have said how to ask why not */
    uint64_t waited_ms;
    int signal; /* the last */
    uv_signal_t signals[2];
    uv_timer_t tick;
} watch;

static void watch_say(const char *text)
{
    snprintf(watch.said, sizeof(watch.said), "%s", text);
    if (!watch.call->silent) {
        progress_set(&watch.progress, watch.said);
    }
}

static void leave(void)
{
    progress_clear(&watch.progress);
    fprintf(stderr, "sluice: left without waiting; %s\n",
            !sluice_connected(watch.sluice)
                ? "there is no broker to cancel the task: one that has it stored goes on with it"
            : watch.call->until_accepted   ? "the broker may not have taken the task"
            : watch.call->options.detached ? "the task goes on"
                                           : "the broker cancels the task");
    _exit(128 + watch.signal);
}

static void on_signal(uv_signal_t *handle, int number)
{
    watch.signal = number;
    if (watch.call->interrupted || !sluice_connected(watch.sluice)) {
        leave();
    }
    watch.call->interrupted = true;
    progress_clear(&watch.progress);
    fprintf(stderr, "sluice: cancelling; once more to leave at once\n");
    sluice_cancel(watch.future, "interrupted");
}

/* Nobody knows the id of a task that does not come back, unless we say it. */
static void offer_advice(void)
{
    char id[SLUICE_ID_TEXT_SIZE], text[256];

    watch.waited_ms += TICK_MS;
    if (watch.under_way || watch.waited_ms < PATIENCE_MS) {
        return;
    }
    watch.under_way = true;
    sluice_id_format(sluice_future_id(watch.future), id);
    if (watch.call->until_accepted) {
        snprintf(text, sizeof(text),
                 "%s is not taken yet: the broker refuses %.100s for now; see: sluice services", id,
                 watch.call->service);
    } else {
        snprintf(text, sizeof(text), "waiting for %.100s; why: sluice why %s", watch.call->service,
                 id);
    }
    watch_say(text);
}

static void on_tick(uv_timer_t *handle)
{
    if (watch.call->interrupted && !sluice_connected(watch.sluice)) {
        leave(); /* nobody is there who could say that it was cancelled */
    }
    if (watch.call->silent) {
        return;
    }
    if (!sluice_connected(watch.sluice)) {
        progress_set(&watch.progress, "the broker is gone; waiting for it to come back");
    } else {
        progress_set(&watch.progress, watch.said);
        offer_advice();
    }
    progress_tick(&watch.progress);
}

static void on_progress(struct sluice_future *future, json_t *value, void *arg)
{
    char text[512];

    if (watch.call->describe != NULL && watch.call->describe(value, text, sizeof(text)) != NULL) {
        watch_say(text);
    }
}

static void on_started(struct sluice_future *future, const char *worker, void *arg)
{
    char text[128];

    watch.under_way = true;
    snprintf(text, sizeof(text), "started by %s", worker);
    if (watch.progress.tty) { /* a script has no use for it */
        watch_say(text);
    }
}

static void watch_open(struct sluice *sluice, struct call *call)
{
    static const int numbers[] = {SIGINT, SIGTERM};

    watch.sluice = sluice;
    watch.call = call;
    snprintf(watch.said, sizeof(watch.said), "waiting for %s", call->service);
    progress_init(&watch.progress, watch.said);
    for (size_t i = 0; i < 2; i++) {
        uv_signal_init(sluice_loop(sluice), &watch.signals[i]);
        uv_signal_start(&watch.signals[i], on_signal, numbers[i]);
        uv_unref((uv_handle_t *)&watch.signals[i]);
    }
    uv_timer_init(sluice_loop(sluice), &watch.tick);
    uv_timer_start(&watch.tick, on_tick, TICK_MS, TICK_MS);
    uv_unref((uv_handle_t *)&watch.tick);
}

static void watch_close(void)
{
    for (size_t i = 0; i < 2; i++) {
        uv_close((uv_handle_t *)&watch.signals[i], NULL);
    }
    uv_close((uv_handle_t *)&watch.tick, NULL);
    progress_clear(&watch.progress);
}

/* SUSPENDS. Whoever has asked to cancel it is told what came of that. */
static bool settled(const struct watch *of)
{
    if (of->call->until_accepted && sluice_accepted(of->future) && !of->call->interrupted) {
        return true;
    }
    return sluice_await(of->future) != SLUICE_PENDING;
}

struct sluice_future *call_run(struct sluice *sluice, struct call *call)
{
    struct sluice_submit_options options = call->options;

    if (!call->silent) {
        options.on_progress = on_progress;
        options.on_started = on_started;
    }
    watch.future = sluice_submit_json(sluice, call->service, call->payload, &options);
    call->payload = NULL;
    if (watch.future == NULL) {
        return NULL;
    }
    watch_open(sluice, call);
    if (options.stream > 0) {
        chunks_print(sluice_future_stream(watch.future), call->stream_json);
    }
    /* Pending after an await without a timeout can only mean that we were woken
     * for something else: this fiber belongs to no task that could be cancelled. */
    while (!settled(&watch)) {
    }
    watch_close();
    return watch.future;
}

static json_t *error_json(const struct sluice_error *error)
{
    json_t *map = json_object();

    json_object_set_new(map, "code", json_string(error->code));
    json_object_set_new(map, "message", json_string(error->message != NULL ? error->message : ""));
    json_object_set_new(map, "retryable", json_boolean(error->retryable));
    if (error->retry_after_ms > 0) {
        json_object_set_new(map, "retry_after_ms", json_integer((json_int_t)error->retry_after_ms));
    }
    return map;
}

/* Of a result that JSON cannot say. */
static json_t *bytes_json(struct sluice_bytes bytes)
{
    return bytes.size > 0 ? json_raw_bytes(span_of(bytes.data, bytes.size)) : json_null();
}

/* A line for each worker: who, how it ended, and with what. */
json_t *call_parts_json(struct sluice_future *future)
{
    json_t *list = json_array();
    struct sluice_input part;

    for (size_t i = 0; sluice_part(future, i, &part); i++) {
        struct span payload = span_of(part.payload.data, part.payload.size);
        char id[SLUICE_ID_TEXT_SIZE];
        json_t *map = json_object(), *value;

        json_object_set_new(map, "worker", json_string(part.worker));
        json_object_set_new(map, "outcome", json_string(sluice_outcome_name(part.outcome)));
        if (part.outcome != SLUICE_DONE) {
            json_object_set_new(map, "error", error_json(&part.error));
        } else if (part.left_out) {
            sluice_id_format(&part.id, id);
            json_object_set_new(map, "left_out", json_string(id));
        } else {
            value = json_unpack_bytes(payload);
            json_object_set_new(map, "result", value != NULL ? value : bytes_json(part.payload));
        }
        json_array_append_new(list, map);
    }
    return list;
}

static json_t *result_json(struct sluice_future *future)
{
    json_t *value = sluice_future_json(future);

    if (sluice_part_count(future) > 0) {
        return call_parts_json(future);
    }
    return value != NULL ? json_incref(value) : bytes_json(sluice_future_payload(future));
}

json_t *call_outcome_json(struct sluice_future *future)
{
    enum sluice_outcome outcome = sluice_future_outcome(future);
    const struct sluice_error *error = sluice_future_error(future);
    struct sluice_timing timing = sluice_future_timing(future);
    char id[SLUICE_ID_TEXT_SIZE];
    json_t *map = json_object();

    sluice_id_format(sluice_future_id(future), id);
    json_object_set_new(map, "id", json_string(id));
    json_object_set_new(map, "outcome", json_string(sluice_outcome_name(outcome)));
    if (outcome == SLUICE_DONE) {
        json_object_set_new(map, "result", result_json(future));
    } else if (error != NULL) {
        json_object_set_new(map, "error", error_json(error));
    }
    json_object_set_new(map, "attempt", json_integer(timing.attempt));
    json_object_set_new(map, "waited_ms", json_integer((json_int_t)timing.waited_ms));
    json_object_set_new(map, "ran_ms", json_integer((json_int_t)timing.ran_ms));
    json_object_set_new(map, "worker", json_string(timing.worker != NULL ? timing.worker : ""));
    return map;
}
