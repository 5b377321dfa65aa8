/* scope: what was submitted between open and close does not outlive close. */
#include "agents/runtime/future.h"

#include "common/check.h"

#include <stdlib.h>

struct sluice_scope {
    struct strand *strand;
    struct sluice_scope *outer;
    uint64_t deadline_ms; /* absolute; TIMERS_NEVER: none */
    struct list futures;  /* by future.scope */
};

struct sluice_scope *sluice_scope_open(struct sluice *sluice, uint64_t deadline_ms)
{
    struct strand *strand = strand_here("sluice_scope_open");
    struct sluice_scope *scope = calloc(1, sizeof *scope);

    if (scope == NULL) {
        return NULL;
    }
    scope->strand = strand;
    scope->outer = strand->scope;
    scope->deadline_ms =
        deadline_ms > 0 && deadline_ms <= DURATION_MS_MAX ? runtime_deadline_ms(sluice, deadline_ms)
                                                          : TIMERS_NEVER;
    if (scope->outer != NULL && scope->outer->deadline_ms < scope->deadline_ms) {
        scope->deadline_ms = scope->outer->deadline_ms;
    }
    list_init(&scope->futures);
    strand->scope = scope;
    return scope;
}

void scope_add(struct sluice_scope *scope, struct list *future_link)
{
    list_push_back(&scope->futures, future_link);
}

uint64_t scope_deadline_ms(const struct sluice_scope *scope)
{
    return scope->deadline_ms;
}

static void scope_free(struct sluice_scope *scope)
{
    while (!list_empty(&scope->futures)) {
        sluice_future_free(list_entry(scope->futures.next, struct sluice_future, scope));
    }
    scope->strand->scope = scope->outer;
    free(scope);
}

void scopes_drop(struct strand *strand)
{
    while (strand->scope != NULL) {
        scope_free(strand->scope);
    }
}

/* The end of one may free others, in on_ended. */
static void cancel_all(struct sluice_scope *scope)
{
    struct list cancelled;

    list_init(&cancelled);
    while (!list_empty(&scope->futures)) {
        struct list *first = list_pop_front(&scope->futures);

        list_push_back(&cancelled, first);
        sluice_cancel(list_entry(first, struct sluice_future, scope), "its scope was closed");
    }
    list_append(&scope->futures, &cancelled);
}

/* Without memory to wait for all of them at once, or cancelled itself, it does not wait: they
 * are cancelled when they are freed. */
static void wait_for_all(struct sluice_scope *scope)
{
    struct sluice_future **futures;
    size_t count = 0;

    list_each(at, &scope->futures) {
        count++;
    }
    futures = malloc(count * sizeof(struct sluice_future *) + 1);
    if (futures == NULL) {
        return;
    }
    count = 0;
    list_each(at, &scope->futures) {
        futures[count++] = list_entry(at, struct sluice_future, scope);
    }
    futures_wait(scope->strand, futures, count, STRAND_NEVER);
    free(futures);
}

void sluice_scope_close(struct sluice_scope *scope, enum sluice_scope_end end)
{
    CHECK(scope->strand == strand_here("sluice_scope_close"));
    CHECK(scope->strand->scope == scope);
    if (end == SLUICE_SCOPE_CANCEL) {
        cancel_all(scope);
    }
    wait_for_all(scope);
    scope_free(scope);
}
