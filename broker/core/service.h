/* service: one capability, its waiting tasks and its workers' offers.
 *
 * Never looks at a payload. Waiting means ready or delayed: those are what the
 * queue's bounds count. Owner: the broker's pool. One thread. */
#ifndef SLUICE_BROKER_CORE_SERVICE_H
#define SLUICE_BROKER_CORE_SERVICE_H

#include "broker/core/broker.h"
#include "broker/core/loads.h"
#include "broker/core/ring.h"
#include "broker/core/roster.h"
#include "broker/core/task.h"

struct limiter;

/* What every task touches stands together: with a thousand services it is not in the caches. */
struct service {
    struct table_node node;
    bool configured;          /* by the operator: offers do not change the limits */
    bool offered;             /* by somebody, once; else only tasks that wait name it */
    bool draining;            /* it takes nothing new */
    uint32_t name_size;
    uint8_t name[SERVICE_NAME_MAX];

    struct list dirty_link;   /* broker->dirty: may have something to hand out */
    struct limiter *limiter;  /* NULL: no rule, pause or breaker concerns it */
    uint64_t queued;          /* ready and delayed tasks */
    uint64_t queued_bytes;
    uint64_t tasks;           /* task records that name it: keeps it known */
    uint64_t unfinished;      /* of these, those that have not ended */
    uint64_t held;            /* sum over offers */
    uint64_t rate_at_ms;      /* starts per second, for retry_after_ms */
    uint64_t rate_starts, rate_last;
    struct service_limits limits;  /* what holds now */
    struct ring called;       /* flows with ready tasks that are back from their targets */
    struct ring ring;         /* all others with ready tasks, unless their key may start none */
    struct loads loads;       /* offers with room, by load_link */

    struct roster_place place; /* broker->services */
    struct list idle_link;    /* broker->idle: no offer, no task, not configured */
    struct timer linger;      /* armed while it is idle */
    struct list flows;        /* all of them */
    uint64_t flow_count;
    uint64_t laned;           /* of its ready tasks, those that wait in lanes */
    struct list offers;       /* all but withdrawn ones, oldest first */
    uint64_t offer_count;
    uint64_t attended;        /* of these, those whose worker would take something */
    uint64_t credit;          /* sum over offers */
    struct list targets;      /* versions that are offered or asked for, by service_link */
    uint64_t target_count;    /* VERSIONS_PER_SERVICE_MAX at most */
};

struct service *service_find(const struct broker *broker, struct span name); /* NULL: unknown */
/* Finds or makes; if there are too many, in place of the one that has been idle longest.
 * NULL: none is idle, or an invalid name. */
struct service *service_open(struct broker *broker, struct span name);
/* The same for who only waits for it: a quarter of all services is for those who offer,
 * whom made-up names must not keep out. What is restored had its place already. */
struct service *service_open_waiting(struct broker *broker, struct span name);
/* Known as long as its operator has said something of it. */
bool service_pinned(const struct service *service);
/* To be told when offers, tasks, `configured` or `draining` have changed. */
void service_note_idle(struct broker *broker, struct service *service);
/* Forgets it; CHECKs that nothing refers to it. */
void service_free(struct broker *broker, struct service *service);

static inline struct span service_name(const struct service *service)
{
    return span_of(service->name, service->name_size);
}

/* Empty: a pure join. */
static inline struct span task_service_name(const struct task *task)
{
    return task->service != NULL ? service_name(task->service) : span_of(NULL, 0);
}

/* ERROR_NONE: there is room for so many tasks, at least 1, of `bytes` each; else QUEUE_FULL. */
enum error_code service_admit(const struct service *service, uint64_t tasks, uint64_t bytes);
/* A guess, from the recent rate of starts, when an eighth of the queue will be gone. */
uint64_t service_retry_after_ms(const struct service *service, uint64_t now_ms);

/* Puts a task that is NEW, DELAYED or LEASED (already off its lists) on the ready queue. */
void service_enqueue(struct broker *broker, struct service *service, struct task *task,
                     bool front);
/* Takes a ready or delayed task out of the count, and off the queue. */
void service_dequeue(struct broker *broker, struct service *service, struct task *task);
/* Counts a task that becomes delayed, and ends with the offer that it is meant for alone. */
void service_delay(struct broker *broker, struct service *service, struct task *task);

/* Counts a start into the rate that service_retry_after_ms() guesses from. */
void service_count_start(struct service *service, uint64_t now_ms);

/* Remembers to hand out, when the step is settled. */
void service_touch(struct broker *broker, struct service *service);
/* Hands ready tasks to workers with room until one of them runs out. */
void service_dispatch(struct broker *broker, struct service *service);

#endif
