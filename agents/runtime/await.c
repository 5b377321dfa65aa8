/* await: strands that wait for futures: one, all, any, as they end. */
#include "agents/runtime/future.h"

#include "common/check.h"

#include <stdlib.h>

void waiter_ended(struct waiter *waiter, const struct sluice_future *future)
{
    struct waiting *waiting = waiter->waiting;

    CHECK(waiting->left > 0);
    waiting->left--;
    if (waiting->any && waiting->winner == SIZE_MAX && future->outcome == SLUICE_DONE) {
        waiting->winner = waiter->index;
    }
    if (waiting->left == 0 || waiting->winner != SIZE_MAX) {
        strand_wake(waiting->strand);
    }
}

static void enlist(struct waiting *waiting, struct waiter *waiter, struct sluice_future *future,
                   size_t index)
{
    waiter->waiting = waiting;
    waiter->index = index;
    list_init(&waiter->link);
    list_push_back(&future->waiters, &waiter->link);
    waiting->left++;
}

/* Its children may need this worker: the handler's credit is given back meanwhile. */
static enum wake wait(struct waiting *waiting, uint64_t deadline_ms)
{
    bool giving = task_wait_begin(waiting->strand);
    enum wake wake = WAKE_EVENT;

    while (wake == WAKE_EVENT && waiting->left > 0 && waiting->winner == SIZE_MAX) {
        wake = strand_park(waiting->strand, deadline_ms);
    }
    if (giving) {
        task_wait_end(waiting->strand);
    }
    return waiting->left == 0 || waiting->winner != SIZE_MAX ? WAKE_EVENT : wake;
}

/* ---- one ---- */

static enum sluice_outcome await_until(struct sluice_future *future, uint64_t deadline_ms,
                                       const char *function)
{
    struct waiting waiting = {.winner = SIZE_MAX};
    struct waiter waiter;

    if (future->outcome != SLUICE_PENDING) {
        return future->outcome;
    }
    waiting.strand = strand_here(function);
    enlist(&waiting, &waiter, future, 0);
    wait(&waiting, deadline_ms);
    list_unlink(&waiter.link);
    return future->outcome;
}

enum sluice_outcome sluice_await(struct sluice_future *future)
{
    return await_until(future, STRAND_NEVER, "sluice_await");
}

enum sluice_outcome sluice_await_ms(struct sluice_future *future, uint64_t timeout_ms)
{
    uint64_t deadline_ms = STRAND_NEVER;

    if (timeout_ms > 0 && future->outcome == SLUICE_PENDING) {
        deadline_ms = runtime_deadline_ms(future->sluice, timeout_ms);
    }
    return await_until(future, deadline_ms, "sluice_await_ms");
}

/* ---- all, any ---- */

/* With `any`: the first DONE is enough, *winner its index. */
static enum wake wait_many(struct strand *strand, struct sluice_future *const *futures,
                           size_t count, uint64_t deadline_ms, size_t *winner)
{
    struct waiting waiting = {.strand = strand, .any = winner != NULL, .winner = SIZE_MAX};
    struct waiter *waiters = malloc(count * sizeof *waiters + 1);
    enum wake wake;

    if (waiters == NULL) {
        return WAKE_TIMEOUT;
    }
    for (size_t i = 0; i < count; i++) {
        list_init(&waiters[i].link);
        if (futures[i] != NULL && futures[i]->outcome == SLUICE_PENDING) {
            enlist(&waiting, &waiters[i], futures[i], i);
        }
    }
    wake = wait(&waiting, deadline_ms);
    for (size_t i = 0; i < count; i++) {
        list_unlink(&waiters[i].link);
    }
    free(waiters);
    if (winner != NULL) {
        *winner = waiting.winner;
    }
    return wake;
}

enum wake futures_wait(struct strand *strand, struct sluice_future *const *futures, size_t count,
                       uint64_t deadline_ms)
{
    return wait_many(strand, futures, count, deadline_ms, NULL);
}

static bool all_ended(struct sluice_future *const *futures, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (futures[i] != NULL && futures[i]->outcome == SLUICE_PENDING) {
            return false;
        }
    }
    return true;
}

size_t sluice_gather(struct sluice_future **futures, size_t count)
{
    size_t other = 0;

    if (!all_ended(futures, count)) {
        futures_wait(strand_here("sluice_gather"), futures, count, STRAND_NEVER);
    }
    for (size_t i = 0; i < count; i++) {
        other += futures[i] == NULL || futures[i]->outcome != SLUICE_DONE;
    }
    return other;
}

/* The one that was done first; `count`: none is. */
static size_t first_done(struct sluice_future *const *futures, size_t count)
{
    size_t first = count;

    for (size_t i = 0; i < count; i++) {
        if (futures[i] != NULL && futures[i]->outcome == SLUICE_DONE &&
            (first == count || futures[i]->end < futures[first]->end)) {
            first = i;
        }
    }
    return first;
}

size_t sluice_any(struct sluice_future **futures, size_t count)
{
    size_t winner = first_done(futures, count);
    size_t found;

    if (winner == count && !all_ended(futures, count)) {
        wait_many(strand_here("sluice_any"), futures, count, STRAND_NEVER, &found);
        winner = found != SIZE_MAX ? found : count;
    }
    if (winner == count || all_ended(futures, count)) {
        return winner;
    }
    for (size_t i = 0; i < count; i++) {
        if (futures[i] != NULL && futures[i]->outcome == SLUICE_PENDING) {
            sluice_cancel(futures[i], "another one was first");
        }
    }
    futures_wait(strand_here("sluice_any"), futures, count, STRAND_NEVER);
    return winner;
}

/* ---- as they end ---- */

void completion_leave(struct sluice_future *future)
{
    struct completion *completion = future->completion;

    if (completion == NULL) {
        return;
    }
    future->completion = NULL;
    if (future->outcome == SLUICE_PENDING || !list_empty(&future->completion_link)) {
        completion->left--;
    }
    list_unlink(&future->completion_link);
    completion->member_count--;
    if (completion->left == 0) {
        strands_wake(&completion->strands); /* nothing is left to wait for */
    }
    if (completion->member_count == 0) {
        free(completion);
    }
}

void completion_ended(struct sluice_future *future)
{
    struct completion *completion = future->completion;

    if (completion == NULL) {
        return;
    }
    list_push_back(&completion->ended, &future->completion_link);
    strands_wake(&completion->strands);
}

static int by_end(const void *a, const void *b)
{
    const struct sluice_future *const *left = a, *const *right = b;

    return (*left)->end < (*right)->end ? -1 : (*left)->end > (*right)->end;
}

/* Takes in those that are not members yet: all at first, later those that the caller has put
 * in the place of others. What has ended already comes in the order in which it did. */
static bool fill(struct completion *completion, struct sluice_future **futures, size_t count)
{
    struct sluice_future **ended = malloc(count * sizeof(struct sluice_future *) + 1);
    size_t ended_count = 0;

    if (ended == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (futures[i] == NULL || futures[i]->completion == completion) {
            continue;
        }
        completion_leave(futures[i]);
        futures[i]->completion = completion;
        futures[i]->completion_index = i;
        completion->member_count++;
        completion->left++;
        if (futures[i]->outcome != SLUICE_PENDING) {
            ended[ended_count++] = futures[i];
        }
    }
    qsort(ended, ended_count, sizeof(struct sluice_future *), by_end);
    for (size_t i = 0; i < ended_count; i++) {
        list_push_back(&completion->ended, &ended[i]->completion_link);
    }
    free(ended);
    return true;
}

static struct completion *completion_new(struct sluice_future **futures, size_t count)
{
    struct completion *completion = calloc(1, sizeof *completion);

    if (completion == NULL) {
        return NULL;
    }
    completion->futures = futures;
    completion->count = count;
    list_init(&completion->ended);
    list_init(&completion->strands);
    if (!fill(completion, futures, count)) {
        free(completion);
        return NULL;
    }
    return completion;
}

/* That of an earlier call with the same array. NULL: there is none; then *empty: nor a future. */
static struct completion *completion_find(struct sluice_future *const *futures, size_t count,
                                          bool *empty)
{
    *empty = true;
    for (size_t i = 0; i < count; i++) {
        struct completion *completion = futures[i] != NULL ? futures[i]->completion : NULL;

        if (completion != NULL && completion->futures == futures && completion->count == count) {
            return completion;
        }
        *empty = *empty && futures[i] == NULL;
    }
    return NULL;
}

/* The same, or a new one. NULL: no futures, or no memory. */
static struct completion *completion_of(struct sluice_future **futures, size_t count)
{
    bool empty;
    struct completion *completion = completion_find(futures, count, &empty);

    return completion != NULL || empty ? completion : completion_new(futures, count);
}

/* Until one has ended that nobody else has taken, or none is left. Meanwhile the completion goes
 * when its futures do: it is looked for again. NULL: it has gone. */
static struct completion *wait_for_end(struct completion *completion,
                                       struct sluice_future **futures, size_t count)
{
    struct strand *strand = strand_here("sluice_as_completed");
    bool giving = task_wait_begin(strand);
    enum wake wake = WAKE_EVENT;
    bool empty;

    while (wake == WAKE_EVENT && completion != NULL && completion->left > 0 &&
           list_empty(&completion->ended)) {
        list_push_back(&completion->strands, &strand->ready);
        wake = strand_park(strand, STRAND_NEVER);
        completion = completion_find(futures, count, &empty);
    }
    if (giving) {
        task_wait_end(strand);
    }
    return completion;
}

size_t sluice_as_completed(struct sluice_future **futures, size_t count)
{
    struct completion *completion = completion_of(futures, count);
    struct sluice_future *future;

    if (completion == NULL) {
        return count;
    }
    if (list_empty(&completion->ended)) {
        fill(completion, futures, count);
    }
    if (completion->left > 0 && list_empty(&completion->ended)) {
        completion = wait_for_end(completion, futures, count);
    }
    if (completion == NULL || list_empty(&completion->ended)) {
        return count;
    }
    future = list_entry(list_pop_front(&completion->ended), struct sluice_future, completion_link);
    completion->left--;
    return future->completion_index;
}
