/* join: tasks that wait at the broker for others. */
#include "agents/runtime/future.h"

#include <stdlib.h>

/* NULL: they are in order. */
static const char *join_fault(const struct sluice_join_terms *terms, size_t count)
{
    if (terms->policy < SLUICE_JOIN_ALL || terms->policy > SLUICE_JOIN_K) {
        return "policy: one of enum sluice_join_policy";
    }
    if (terms->policy == SLUICE_JOIN_K ? terms->k == 0 || terms->k > count : terms->k != 0) {
        return "k: 1 to the number of members, with SLUICE_JOIN_K alone";
    }
    if ((unsigned)terms->run_if > SLUICE_RUN_IF_ALWAYS) {
        return "run_if: SLUICE_RUN_IF_DONE, FAILED or ALWAYS";
    }
    if (terms->policy == SLUICE_JOIN_ANY && count == 0) {
        return "the first of none will never be";
    }
    return NULL;
}

/* Without memory for their ids: the end of one may free others, and `futures` are not to be looked
 * at any more then. So they are not cancelled here. */
static void leave_members(struct sluice *sluice, struct sluice_future **futures, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (futures[i]->submission != NULL) {
            peer_leave_need(runtime_peer(sluice), futures[i]->submission);
        }
    }
}

struct sluice_future *sluice_join_submit(struct sluice *sluice, struct sluice_future **futures,
                                         size_t count, const struct sluice_join_terms *terms,
                                         const struct sluice_submit_options *options)
{
    static_assert(SLUICE_JOIN_ALL == (int)JOIN_ALL && SLUICE_JOIN_SETTLED == (int)JOIN_SETTLED &&
                      SLUICE_JOIN_ANY == (int)JOIN_ANY && SLUICE_JOIN_K == (int)JOIN_K,
                  "one numbering");
    static_assert(SLUICE_RUN_IF_FAILED == (int)RUN_IF_FAILED &&
                      SLUICE_RUN_IF_ALWAYS == (int)RUN_IF_ALWAYS,
                  "one numbering");
    const char *service = terms->service != NULL ? terms->service : "";
    enum error_code code = ERROR_BAD_MESSAGE;
    const char *fault = join_fault(terms, count);
    struct submit submit = {
        .payload = {.bytes = span_of(terms->payload.data, terms->payload.size)},
        .join = (enum join_policy)terms->policy,
        .needs_count = count,
        .needs_stride = ID_BYTES,
        .k = terms->k,
        .run_if = (enum run_if)terms->run_if,
        .no_inputs = terms->no_inputs,
    };
    struct sluice_future *join;
    uint8_t *needs;

    if (fault == NULL && count > NEEDS_MAX) {
        code = ERROR_TOO_LARGE;
        fault = "a join has 16,384 members at most: join joins";
    }
    needs = malloc(count * ID_BYTES + 1);
    if (needs == NULL) {
        leave_members(sluice, futures, count);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(needs + i * ID_BYTES, futures[i]->id.bytes, ID_BYTES);
    }
    submit.needs = needs;
    if (fault != NULL) {
        join = future_refused(sluice, service, options, code, fault);
    } else {
        join = future_submit(sluice, service, &submit, options);
    }
    if (join == NULL || fault != NULL) {
        peer_leave_needs(sluice->peer, &submit);
    }
    free(needs);
    return join;
}

struct sluice_future *sluice_join(struct sluice *sluice, struct sluice_future **futures,
                                  size_t count, enum sluice_join_policy policy,
                                  const struct sluice_submit_options *options)
{
    struct sluice_join_terms terms = {.policy = policy};

    return sluice_join_submit(sluice, futures, count, &terms, options);
}
