#include "broker/core/retry.h"

#include "broker/core/durable.h"
#include "broker/core/ending.h"
#include "broker/core/terms.h"
#include "broker/core/watch.h"
#include "common/mutant.h"

bool codes_name(struct span codes, struct span code)
{
    size_t at = 0;

    while (at < codes.size) {
        size_t end = at;

        while (end < codes.size && codes.data[end] != ' ') {
            end++;
        }
        if (end > at && span_equal(span_of(codes.data + at, end - at), code)) {
            return true;
        }
        at = end + 1;
    }
    return false;
}

/* SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA
 * 2014). */
static uint64_t random_next(struct broker *broker)
{
    uint64_t z = broker->random += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static uint64_t first_set(uint64_t a, uint64_t b, uint64_t c)
{
    return a > 0 ? a : b > 0 ? b : c;
}

/* Exponential, with a ceiling and full jitter: anything up to that is as likely, so that tasks
 * that failed together do not come back together (Marc Brooker, "Exponential Backoff And Jitter",
 * AWS Architecture Blog, 2015). At least 1 ms. */
static uint64_t backoff_ms(struct broker *broker, const struct task *task,
                           const struct submit *terms)
{
    const struct service_limits *limits = &task->service->limits;
    uint64_t max_ms = first_set(terms->backoff_max_ms, limits->backoff_max_ms,
                                broker->options.backoff_max_ms);
    uint64_t ms = first_set(terms->backoff_ms, limits->backoff_ms, broker->options.backoff_ms);

    for (unsigned i = 1; i < task->attempt && ms < max_ms; i++) {
        ms *= 2;
    }
    ms = ms < max_ms ? ms : max_ms;
    if (MUTANT(JITTER_BEYOND_CEILING)) {
        return 1 + random_next(broker) % (2 * ms + 1);
    }
    return broker->options.jitter && ms > 0 ? 1 + random_next(broker) % ms : ms;
}

static struct span failure_code(const struct failure *failure)
{
    return failure->error == ERROR_NONE ? failure->said->code
                                        : span_from_text(error_code_name(failure->error));
}

static void note_cause(struct broker *broker, struct task *task, const struct failure *failure)
{
    struct cause_said said = {
        .attempt = task_attempt(task),
        .worker = label_span(task->worker),
        .code = failure_code(failure),
        .message = failure->error == ERROR_NONE
                       ? failure->said->message
                       : span_from_text(error_code_message(failure->error)),
    };
    uint64_t before = task_bytes(task);

    if (!task_mourned(task)) {
        return;
    }
    cause_add(broker, &task->extra->terms->causes, &said);
    task_resized(broker, task, before);
}

void task_note_cause(struct broker *broker, struct task *task, enum error_code error)
{
    note_cause(broker, task, &(struct failure){.error = error});
}

static bool is_final(const struct task *task, const struct failure *failure,
                     const struct submit *terms)
{
    struct span code = failure_code(failure);

    if (task->attempt >= task->attempts_max + MUTANT(ONE_ATTEMPT_TOO_MANY)) {
        return true;
    }
    if (target_stranded(task->flow->target) ||
        (failure->error == ERROR_WORKER_LOST && task->flow->target != NULL &&
         task->flow->target->lone)) {
        return true; /* it was for that worker alone */
    }
    if (codes_name(terms->final_on, code) && !MUTANT(FINAL_CODE_RETRIED)) {
        return true;
    }
    return !failure->retryable && !codes_name(terms->retry_on, code);
}

static void try_again(struct broker *broker, struct task *task, const struct failure *failure,
                      const struct submit *terms)
{
    uint64_t delay_ms = failure->error == ERROR_NONE ? failure->said->retry_after_ms : 0;

    broker->stats.retries++;
    BROKER_LOG(broker, LOG_INFO, "task_retried", LOG_ID("task", &task->id),
               LOG_TEXT("service", service_name(task->service)),
               LOG_TEXT("worker", label_span(task->worker)),
               LOG_UINT("attempt", task_attempt(task)), LOG_TEXT("why", failure_code(failure)));
    watch_task(broker, NOTE_RETRIED, task, label_span(task->worker), failure_code(failure));
    if (!MUTANT(RETRY_NOT_STORED)) {
        durable_attempt(broker, task);
    }
    task->overrun = false;
    task_doom_children(broker, task); /* they belong to the attempt that is over */
    if (delay_ms == 0 && !failure->at_once) {
        delay_ms = backoff_ms(broker, task, terms);
    }
    if (delay_ms == 0 || MUTANT(BACKOFF_SKIPPED)) {
        service_enqueue(broker, task->service, task, true);
        task_arm(broker, task, WHEEL_NEVER);
    } else {
        task_set_state(broker, task, TASK_DELAYED);
        service_delay(broker, task->service, task);
        task_arm(broker, task, broker->now_ms + delay_ms);
    }
}

/* What it tells about the service: PROTOCOL.md, 4.6. An error that is final is an answer, and one
 * that says how long all of the service is to wait says all there is to say. */
static void report(struct broker *broker, struct task *task, const struct failure *failure)
{
    const struct error *said = failure->said; /* also when there is no room to keep it */
    struct span code = said != NULL ? said->code : failure_code(failure);

    if (said != NULL && said->scope_service && said->retry_after_ms > 0) {
        limit_pause_for(broker, task, said->retry_after_ms, code);
    } else if (said != NULL) {
        limit_report(broker, task, said->retryable ? GATE_FAILURE : GATE_SUCCESS, code);
    } else if (failure->error == ERROR_WORKER_LOST || failure->error == ERROR_LEASE_EXPIRED) {
        limit_report(broker, task, GATE_FAILURE, code);
    }
}

void task_attempt_failed(struct broker *broker, struct task *task, const struct failure *failure)
{
    struct submit terms = task_terms(task);

    CHECK(task->state == TASK_LEASED);
    CHECK(task->offer == NULL);
    note_cause(broker, task, failure);
    report(broker, task, failure);
    if (is_final(task, failure, &terms)) {
        bool kept = failure->error != ERROR_NONE || failure->map != NULL;

        task_end(broker, task, TASK_FAILED, kept ? failure->error : ERROR_MEMORY_FULL,
                 failure->map);
        return;
    }
    blob_unref(failure->map);
    try_again(broker, task, failure, &terms);
}
