#include "broker/core/retry.h"

#include "broker/core/ending.h"
#include "broker/core/mutant.h"

void task_retry(struct broker *broker, struct task *task, enum error_code error,
                struct blob *body, uint64_t delay_ms)
{
    CHECK(task->state == TASK_LEASED);
    CHECK(task->offer == NULL);
    if (task->attempt >= task->attempts_max + MUTANT(ONE_ATTEMPT_TOO_MANY)) {
        task_end(broker, task, TASK_FAILED, error, body);
        return;
    }
    blob_unref(body);
    broker->stats.retries++;
    BROKER_LOG(broker, LOG_INFO, "task_retried", LOG_ID("task", &task->id),
               LOG_TEXT("service", service_name(task->service)),
               LOG_TEXT("worker", label_span(task->worker)),
               LOG_UINT("attempt", task_attempt(task)),
               LOG_WORD("why", error == ERROR_NONE ? "failed" : error_code_name(error)));
    task_doom_children(broker, task); /* they belong to the attempt that is over */
    if (delay_ms == 0 || MUTANT(BACKOFF_SKIPPED)) {
        service_enqueue(broker, task->service, task, true);
        task_arm(broker, task, WHEEL_NEVER);
    } else {
        task_set_state(broker, task, TASK_DELAYED);
        service_delay(broker, task->service, task);
        task_arm(broker, task, broker->now_ms + delay_ms);
    }
}
