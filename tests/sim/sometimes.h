/* sometimes: rare states that a long run must have reached (the idea: Antithesis, FoundationDB's
 * TEST macro). One never reached means that the simulation tests less than it seems to. */
#ifndef SLUICE_TESTS_SIM_SOMETIMES_H
#define SLUICE_TESTS_SIM_SOMETIMES_H

#include <stdint.h>

#define SOMETIMES(X)                                                                               \
    X(PIPE_FULL)                                                                                   \
    X(SENT_INTO_VOID)                                                                              \
    X(MESSAGE_LOST)                                                                                \
    X(HALF_OPEN)                                                                                   \
    X(BROKER_RESTARTED_WITH_TASKS)                                                                 \
    X(BROKER_DRAINED)                                                                              \
    X(SERVICE_DRAINED)                                                                             \
    X(ALONE_REFUSES_OTHER)                                                                         \
    X(OTHER_REFUSES_ALONE)                                                                         \
    X(DRAINED_TAKES_CHILD)                                                                         \
    X(WORKER_DRAINED)                                                                              \
    X(PEER_TOO_SLOW)                                                                               \
    X(PEER_UNREACHABLE)                                                                            \
    X(PEER_SILENT)                                                                                 \
    X(PEER_GONE_WITH_TASKS)                                                                        \
    X(PEER_REOPENED)                                                                               \
    X(PEER_REOPENED_WITH_LEASES)                                                                   \
    X(SESSION_SUSPENDED)                                                                           \
    X(SESSION_RESUMED)                                                                             \
    X(SESSION_LAPSED)                                                                              \
    X(SESSION_BROKEN)                                                                              \
    X(SESSION_RESENT)                                                                              \
    X(HELLO_STALE)                                                                                 \
    X(MESSAGE_REPEATED)                                                                            \
    X(HELLO_CONFLICT)                                                                              \
    X(BEFORE_HELLO)                                                                                \
    X(MALFORMED)                                                                                   \
    X(REFUSED_QUEUE_FULL)                                                                          \
    X(REFUSED_WINDOW)                                                                              \
    X(REFUSED_MEMORY)                                                                              \
    X(REFUSED_UNKNOWN_SERVICE)                                                                     \
    X(REFUSED_CONFLICT)                                                                            \
    X(REFUSED_PARENT_CANCELLED)                                                                    \
    X(REFUSED_NEED_NOT_FOUND)                                                                      \
    X(REFUSED_DRAINING)                                                                            \
    X(REFUSED_PEERS_MAX)                                                                           \
    X(SUBMIT_REPEATED_LIVE)                                                                        \
    X(SUBMIT_REPEATED_ENDED)                                                                       \
    X(ORPHAN_STARTED_ANEW)                                                                         \
    X(RETRIED_WORKER_LOST)                                                                         \
    X(RETRIED_LEASE_EXPIRED)                                                                       \
    X(RETRIED_FAILED)                                                                              \
    X(ENDED_WORKER_LOST)                                                                           \
    X(ENDED_LEASE_EXPIRED)                                                                         \
    X(EXPIRED_READY)                                                                               \
    X(EXPIRED_DELAYED)                                                                             \
    X(EXPIRED_LEASED)                                                                              \
    X(EXPIRED_WAITING)                                                                             \
    X(QUEUE_TTL_EXPIRED)                                                                           \
    X(STALE_ANSWER)                                                                                \
    X(STRAY_ANSWERED)                                                                              \
    X(CANCELLED_READY)                                                                             \
    X(CANCELLED_DELAYED)                                                                           \
    X(CANCELLED_LEASED)                                                                            \
    X(CANCELLED_WAITING)                                                                           \
    X(CANCEL_UNCONFIRMED)                                                                          \
    X(CANCEL_OF_TREE)                                                                              \
    X(CANCEL_REPLIED)                                                                              \
    X(CHILD_OF_CHILD)                                                                              \
    X(CHILDREN_ENDED_WITH_PARENT)                                                                  \
    X(JOIN_ALL_DONE)                                                                               \
    X(JOIN_FAILED_FAST)                                                                            \
    X(TASK_SKIPPED)                                                                                \
    X(REDUCER_RUN)                                                                                 \
    X(JOIN_ANY_DONE)                                                                               \
    X(JOIN_K_DONE)                                                                                 \
    X(JOIN_OF_JOIN)                                                                                \
    X(JOIN_LOST)                                                                                   \
    X(JOIN_IMPOSSIBLE)                                                                             \
    X(JOIN_SETTLED_WITH_FAILURE)                                                                   \
    X(JOIN_SETTLED_AT_DEADLINE)                                                                    \
    X(JOIN_SHARED_NEED)                                                                            \
    X(JOIN_OF_ENDED_NEED)                                                                          \
    X(WITHDRAWN_WITH_LEASES)                                                                       \
    X(CREDIT_LOWERED_BELOW_HELD)                                                                   \
    X(RETAINED_EVICTED)                                                                            \
    X(FIFO_WAITED)                                                                                 \
    X(TURN_WAITED)                                                                                 \
    X(LANE_WAITED)                                                                                 \
    X(NEAR_PREFERRED)                                                                              \
    X(PINNED)                                                                                      \
    X(PIN_WAITED)                                                                                  \
    X(SCATTERED)                                                                                   \
    X(PART_WAITED)                                                                                 \
    X(PIN_PASSED)                                                                                  \
    X(TWIN_FOLLOWED)                                                                               \
    X(TWIN_TOOK_OVER)                                                                              \
    X(TWIN_ANSWERED_FROM_CACHE)                                                                    \
    X(TWIN_CONFLICT)                                                                               \
    X(RESERVE_TAKEN)                                                                               \
    X(SERVICE_FORGOTTEN)                                                                           \
    X(LARGE_PAYLOAD)                                                                               \
    X(PROGRESS_RENEWED_LEASE)                                                                      \
    X(WORKER_PAUSED)                                                                               \
    X(WORKER_RESUMED)                                                                              \
    X(FLOW_EXCEEDED)                                                                               \
    X(CHUNK_SKIPPED_AHEAD)                                                                         \
    X(GAP_TOLD)                                                                                    \
    X(STREAM_REPLAYED)                                                                             \
    X(CHECKPOINT_HANDED)                                                                           \
    X(SIGNAL_DELIVERED)                                                                            \
    X(SIGNAL_KEPT)                                                                                 \
    X(SIGNAL_AGAIN)                                                                                \
    X(EVENTS_LOST)                                                                                 \
    X(BUDGET_HELD)                                                                                 \
    X(BUDGET_REFUSED)                                                                              \
    X(BUDGET_CORRECTED)                                                                            \
    X(BREAKER_OPENED)                                                                              \
    X(BREAKER_OPENED_BY_SHARE)                                                                     \
    X(BREAKER_OPENED_AGAIN)                                                                        \
    X(BREAKER_HALF_OPEN)                                                                           \
    X(BREAKER_CLOSED_AGAIN)                                                                        \
    X(BREAKER_REFUSED)                                                                             \
    X(SERVICE_RESUMING)                                                                            \
    X(KEY_MAY_WAIT)                                                                                \
    X(KEY_HELD)                                                                                    \
    X(KEY_BOUND_TWICE)                                                                             \
    X(KEY_WEIGHED)                                                                                 \
    X(SERVICE_PAUSED)                                                                              \
    X(LETTER_RETRIED)                                                                              \
    X(LETTER_REFUSED)                                                                              \
    X(LETTER_DROPPED)                                                                              \
    X(LETTER_FORGOTTEN)                                                                            \
    X(WIDE_BUDGET_HELD)                                                                            \
    X(LIMIT_CHANGED_UNDER_LOAD)                                                                    \
    X(STORING)                                                                                     \
    X(STARTING)                                                                                    \
    X(REFUSED_STORE)                                                                               \
    X(STORE_OPEN_AGAIN)                                                                            \
    X(STORE_FULL)                                                                                  \
    X(STORE_LOST)                                                                                  \
    X(PREFIX_DROPPED)                                                                              \
    X(PREFIX_KEPT)                                                                                 \
    X(RESTORE_TORN)                                                                                \
    X(ROW_DAMAGED)                                                                                 \
    X(RESTORED_JOIN_BROKEN)                                                                        \
    X(RESTORED_DIRECTIVE)                                                                          \
    X(RESTORED_OUTCOME)                                                                            \
    X(RESTORED_JOIN)                                                                               \
    X(RESTORED_CHILD)                                                                              \
    X(START_LOST)                                                                                  \
    X(RESTORED_STARTED_ONCE)                                                                       \
    X(RESTORED_RETRIED)                                                                            \
    X(RESTORED_CHECKPOINT)                                                                         \
    X(RESTORED_TWIN)                                                                               \
    X(RESTORED_LETTER)                                                                             \
    X(OUTCOME_TOLD_AGAIN)

enum sometimes_state {
#define SOMETIMES_ENUM(name) SOMETIMES_##name,
    SOMETIMES(SOMETIMES_ENUM)
#undef SOMETIMES_ENUM
        SOMETIMES_COUNT
};

extern uint64_t sometimes_counts[SOMETIMES_COUNT];
const char *sometimes_name(unsigned state);

static inline void sometimes(enum sometimes_state state)
{
    sometimes_counts[state]++;
}

#endif
