/* mutant: named faults, of the core above all, to prove that the simulation would notice them.
 *
 * In the code, `MUTANT(NAME)` stands where a mistake could be made; it is 0 unless the build
 * defines SLUICE_MUTANTS (only that of `make sim-mutants` does), and then true while that
 * fault is the chosen one. */
#ifndef SLUICE_COMMON_MUTANT_H
#define SLUICE_COMMON_MUTANT_H

#define MUTANTS(X)                                                                                 \
    X(REQUEUE_FORGOTTEN)                                                                           \
    X(QUEUE_BOUND_OFF_BY_ONE)                                                                      \
    X(QUEUE_BYTES_UNBOUNDED)                                                                       \
    X(FIFO_REVERSED)                                                                               \
    X(NEW_CREDIT_UNNOTICED)                                                                        \
    X(STRAY_FREES_CREDIT)                                                                          \
    X(STRAY_KEEPS_CREDIT)                                                                          \
    X(ATTEMPT_NOT_COUNTED)                                                                         \
    X(EXPIRY_UNTOLD)                                                                               \
    X(RESULT_SENT_TWICE)                                                                           \
    X(CHILDREN_OUTLIVE_PARENT)                                                                     \
    X(ONE_ATTEMPT_TOO_MANY)                                                                        \
    X(BACKOFF_SKIPPED)                                                                             \
    X(CANCEL_SKIPS_DELAYED)                                                                        \
    X(CANCEL_SKIPS_CHILDREN)                                                                       \
    X(GRACE_FORGOTTEN)                                                                             \
    X(DEADLINE_LOST_BY_RETRY)                                                                      \
    X(NEED_FORGOTTEN_EARLY)                                                                        \
    X(TIMER_LATE)                                                                                  \
    X(DEADLINE_NOT_INHERITED)                                                                      \
    X(WINDOW_OFF_BY_ONE)                                                                           \
    X(REFUSAL_TAKES_WINDOW)                                                                        \
    X(STRANGERS_ANSWER_TAKEN)                                                                      \
    X(STALE_ANSWER_TAKEN)                                                                          \
    X(PROGRESS_RENEWS_NOTHING)                                                                     \
    X(JOIN_COUNTS_TWICE)                                                                           \
    X(SKIP_IGNORED)                                                                                \
    X(REDUCER_WITHOUT_INPUTS)                                                                      \
    X(JOIN_K_OFF_BY_ONE)                                                                           \
    X(SETTLED_FAILS_FAST)                                                                          \
    X(ALL_IGNORES_FAILURE)                                                                         \
    X(LOSERS_RUN_ON)                                                                               \
    X(CANCEL_TAKES_SHARED_NEEDS)                                                                   \
    X(ORPHANS_KEPT)                                                                                \
    X(SILENCE_UNNOTICED)                                                                           \
    X(TIMER_LOST_ON_CASCADE)                                                                       \
    X(SUSPENDED_GETS_TASKS)                                                                        \
    X(SESSION_NEVER_LAPSES)                                                                        \
    X(SESSION_RESENDS_NOTHING)                                                                     \
    X(SESSION_HANDLES_TWICE)                                                                       \
    X(ACK_FREES_TOO_MUCH)                                                                          \
    X(ANY_WELCOME_TAKEN)                                                                           \
    X(KNOWN_TOO_EARLY)                                                                             \
    X(PAST_IS_READ)                                                                                \
    X(DRAINED_GETS_TASKS)                                                                          \
    X(SERVICE_DRAIN_IGNORED)                                                                       \
    X(ALONE_IN_VAIN)                                                                               \
    X(ALONE_FOR_EVER)                                                                              \
    X(DRAIN_IGNORED)                                                                               \
    X(OVERDRAFT_REFUSED)                                                                           \
    X(RESERVE_REFUSED)                                                                             \
    X(MEMORY_UNBOUNDED)                                                                            \
    X(PAST_ATTEMPTS_HAVE_CHILDREN)                                                                 \
    X(QUEUE_TTL_IGNORED)                                                                           \
    X(UNREADABLE_ANSWER_KEEPS_CREDIT)                                                              \
    X(ORDER_IGNORED)                                                                               \
    X(LANE_FORGOTTEN)                                                                              \
    X(PRIORITY_IGNORED)                                                                            \
    X(TURNS_NOT_TAKEN)                                                                             \
    X(CANCEL_UNTOLD)                                                                               \
    X(JITTER_BEYOND_CEILING)                                                                       \
    X(MAX_RUN_IGNORED)                                                                             \
    X(FINAL_CODE_RETRIED)                                                                          \
    X(DELAY_IGNORED)                                                                               \
    X(DETACHED_DIES)                                                                               \
    X(DEAD_LETTER_LOST)                                                                            \
    X(RATE_UNBOUNDED)                                                                              \
    X(CAP_OFF_BY_ONE)                                                                              \
    X(PAUSE_IGNORED)                                                                               \
    X(PARKED_KEY_BLOCKS)                                                                           \
    X(PARKED_KEY_FORGOTTEN)                                                                        \
    X(KEY_CAP_IGNORED)                                                                             \
    X(WEIGHT_IGNORED)                                                                              \
    X(PARKED_FOR_EVER)                                                                             \
    X(CHUNK_SKIPPED)                                                                               \
    X(WORKER_NOT_PAUSED)                                                                           \
    X(RING_UNBOUNDED)                                                                              \
    X(CHECKPOINT_LOST)                                                                             \
    X(SIGNAL_REORDERED)                                                                            \
    X(EVENT_LOSS_UNCOUNTED)                                                                        \
    X(CONFLICT_UNNOTICED)                                                                          \
    X(CACHE_OUTLIVES_ITS_TIME)                                                                     \
    X(FOLLOWERS_FORGOTTEN)                                                                         \
    X(CANCEL_SHARED)                                                                               \
    X(AFFINITY_IGNORED)                                                                            \
    X(BUDGET_NOT_CORRECTED)                                                                        \
    X(BREAKER_NEVER_OPENS)                                                                         \
    X(BREAKER_LETS_ALL_PROBE)                                                                      \
    X(PIN_IGNORED)                                                                                 \
    X(PINNED_HOLD_OTHERS)                                                                          \
    X(PARKED_FORGOTTEN)                                                                            \
    X(TENANT_WAKES_NOBODY)                                                                         \
    X(LETTER_RETRIED_TWICE)                                                                        \
    X(SCATTER_MISSES_ONE)                                                                          \
    X(STRANDED_FORGOTTEN)                                                                          \
    X(ACCEPTED_TOO_EARLY)                                                                          \
    X(ACCEPTED_TOO_LATE)                                                                           \
    X(OUTCOME_TOO_EARLY)                                                                           \
    X(START_TOO_EARLY)                                                                             \
    X(STORED_ONE_TOO_FAR)                                                                          \
    X(RETRY_NOT_STORED)                                                                            \
    X(NEWER_CHECKPOINT_NOT_STORED)                                                                 \
    X(FORGOTTEN_WITH_LETTER)                                                                       \
    X(CANCEL_REACHES_STORING)                                                                      \
    X(FULL_STORE_TAKES_MORE)                                                                       \
    X(UNSAFE_UNBOUNDED)                                                                            \
    X(CHECKPOINT_NOT_RESTORED)                                                                     \
    X(TIME_STOPS_WITH_BROKER)                                                                      \
    X(RESTORED_CHILD_RUNS)                                                                         \
    X(RESTORED_START_REPEATED)                                                                     \
    X(RESTORED_NEEDS_RUN_ON)                                                                       \
    X(LIMIT_NOT_RESTORED)                                                                          \
    X(LIMIT_SAID_BEFORE_LOST)                                                                      \
    X(LOST_START_WAITS)

#ifdef SLUICE_MUTANTS
enum mutant {
    MUTANT_NONE,
#define MUTANT_ENUM(name) MUTANT_##name,
    MUTANTS(MUTANT_ENUM)
#undef MUTANT_ENUM
};
extern unsigned mutant_active;
#define MUTANT(name) (mutant_active == MUTANT_##name)
#else
#define MUTANT(name) 0
#endif

#endif
