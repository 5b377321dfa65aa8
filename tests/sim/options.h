/* options: what one world is like. Drawn from its seed (swarm testing: Groce et al., ISSTA
 * 2012: each world has its own mix of faults, rates, limits and sizes), printed with a
 * failure, and given back by name to replay or to shrink it. All plain numbers. */
#ifndef SLUICE_TESTS_SIM_OPTIONS_H
#define SLUICE_TESTS_SIM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* name, lowest value that shrinking may try, meaning */
#define SIM_OPTIONS(X)                                                                             \
    X(duration_ms, 100, "virtual time before the faults stop")                                     \
    X(submitters, 1, "honest peers that submit")                                                   \
    X(workers, 1, "honest peers that work")                                                        \
    X(hostiles, 0, "peers that do everything wrong")                                               \
    X(services, 1, "services in the world")                                                        \
    X(submit_every_ms, 1, "mean time between submits of one submitter")                            \
    X(tasks_max, 1, "root tasks that one submitter submits at most")                               \
    X(payload_max, 0, "bytes")                                                                     \
    X(large_payloads, 0, "permille of payloads above the inline bound")                            \
    X(work_ms, 0, "mean time that a handler takes")                                                \
    X(credit, 1, "credit of an offer")                                                             \
    X(deadlines, 0, "permille of tasks with a deadline")                                           \
    X(queue_ttls, 0, "permille with a queue TTL")                                                  \
    X(leases, 0, "permille with a lease")                                                          \
    X(receipts, 0, "permille that want receipts")                                                  \
    X(joins, 0, "permille of submits that are a scatter with a join")                              \
    X(join_width, 0, "largest number of needs")                                                    \
    X(join_tasks, 0, "permille of joins that are tasks of a service")                              \
    X(join_levels, 0, "permille of joins that another join needs, and of those again")             \
    X(join_some, 0, "permille of joins that any, or k, of their needs fulfil")                     \
    X(shared_needs, 0, "permille of joins that get a second join over the same needs")             \
    X(children, 0, "permille of handlers that submit children")                                    \
    X(depth_max, 0, "deepest tree")                                                                \
    X(cancels, 0, "permille of tasks that are cancelled some time later")                          \
    X(failures, 0, "permille of attempts that fail, half of them retryable")                       \
    X(progress, 0, "permille of handlers that tell progress")                                      \
    X(withdraws, 0, "permille of worker actions that withdraw and offer again")                    \
    X(queries, 0, "permille of submitter actions that ask a question")                             \
    X(priorities, 0, "permille of tasks with a priority of their own")                            \
    X(keys, 0, "permille with a fairness key")                                                     \
    X(orders, 0, "permille with an ordering key")                                                  \
    X(affinities, 0, "permille with an affinity key")                                              \
    X(pins, 0, "permille that ask for a version, which workers then have")                         \
    X(exclusives, 0, "permille of the last service's offers that want to be its only one")         \
    X(scatters, 0, "permille that go to every worker")                                             \
    X(twins, 0, "permille with an idempotency key")                                                \
    X(cached, 0, "permille of those whose result answers for a while")                             \
    X(ignores_cancel, 0, "permille of handlers that never answer a cancel")                        \
    X(hangs, 0, "permille of handlers that never answer at all")                                   \
    X(late, 0, "permille of handlers that take far longer than their lease")                       \
    X(crash_every_ms, 0, "mean time between crashes of one worker; 0: none")                       \
    X(submitter_crash_every_ms, 0, "the same of one submitter")                                    \
    X(pause_every_ms, 0, "mean time between pauses (SIGSTOP) of one peer; 0: none")                \
    X(pause_ms, 0, "mean length of a pause")                                                       \
    X(latency_us, 1, "mean latency of a link")                                                     \
    X(cut_every_ms, 0, "mean time between cuts of one link; 0: none")                              \
    X(half_open, 0, "permille of cuts that the broker's side does not notice")                     \
    X(reconnect_ms, 1, "mean time until a cut link is back")                                       \
    X(pipe_messages, 1, "high water mark of a link, each way")                                     \
    X(restart_every_ms, 0, "mean time between kills of the broker; 0: none")                       \
    X(restart_ms, 1, "mean time until it is back")                                                 \
    X(drain, 0, "permille chance that the broker is drained once")                                 \
    X(limit_changes, 0, "permille of operator actions that change a service's limits")             \
    X(queue_tasks, 1, "bound of a service's queue")                                                \
    X(queue_bytes, 1, "the same in bytes")                                                         \
    X(window_tasks, 1, "window of a submitter")                                                    \
    X(memory_kib, 24, "the broker's budget")                                             \
    X(retain_ms, 0, "retention")                                                                   \
    X(retain_tasks, 0, "the same in tasks")                                                        \
    X(resume_ms, 100, "how long a lost session's tasks are kept")                                  \
    X(hold_ms, 100, "how long a suspended session's leases are")                                   \
    X(numbered, 0, "permille of agents that number their messages")                                \
    X(outbox_kib, 1, "what may wait for one connection at the broker")                             \
    X(blip_every_ms, 0, "mean time between short cuts of one link; 0: none")                       \
    X(blip_ms, 1, "mean time until that link is back")                                             \
    X(silence_ms, 500, "how long a peer may be silent")                                            \
    X(cancel_grace_ms, 50, "how long a worker may take to confirm")                                \
    X(peers_spare, 0, "sessions that the broker takes beyond the agents")                          \
    X(lone_service, 0, "permille of submits to a service that nobody offers")                      \
    X(delays, 0, "permille of tasks that start later")                                             \
    X(max_runs, 0, "permille with a longest run")                                                  \
    X(backoffs, 0, "permille with a backoff of their own")                                         \
    X(codes, 0, "permille with codes of their own to retry or not")                                \
    X(detached, 0, "permille that outlive their submitter")                                        \
    X(durables, 0, "permille of tasks that are durable, and of joins that are with all they need") \
    X(store_us, 0, "mean time that the broker's store takes for a commit")                         \
    X(unsafe_kib, 0, "what may wait for it; 0: the default")                                       \
    X(full_every_ms, 0, "mean time between times in which it has no room; 0: none")                \
    X(full_ms, 1, "mean length of these")                                                          \
    X(lost_every_ms, 0, "mean time between failures of it; 0: none")                               \
    X(torn, 0, "permille of the broker's starts that it does not survive")                         \
    X(damaged, 0, "permille of rows that cannot be read any more at such a start")                 \
    X(all_durable, 0, "1: all tasks of services are durable, whatever is said of them")            \
    X(dead_letters, 0, "permille that leave a dead letter")                                        \
    X(dead_tasks, 0, "dead letters that are kept")                                                 \
    X(policy_changes, 0, "permille of operator actions that change what a service may start")      \
    X(key_rules, 0, "permille of operator actions that change what a fairness key may start")      \
    X(told_to_wait, 0, "permille of failures that pause the service")                              \
    X(drains, 0, "permille of operator actions that drain or undrain something")                   \
    X(streams, 0, "permille of root tasks whose submitter reads a stream")                         \
    X(chunks, 0, "most chunks of one attempt")                                                     \
    X(chunk_bytes, 0, "largest chunk")                                                             \
    X(slow_readers, 0, "permille of chunks that a submitter takes late")                           \
    X(checkpoints, 0, "permille of handlers that store a checkpoint")                              \
    X(signals, 0, "permille of tasks that get a signal, of handlers that wait for one")            \
    X(onlookers, 0, "peers that watch, and read other peers' streams")                             \
    X(watchers_noted, 0, "1: the model knows every event, not only those that are told")           \
    X(ring_chunks, 1, "chunks that the broker keeps of a stream")                                  \
    X(ring_kib, 64, "the same in KiB")                                                             \
    X(costs, 0, "permille of tasks that declare a cost")                                           \
    X(cost_errors, 0, "permille of answers that say another cost")                                 \
    X(budgets, 0, "permille of changes of what a service may start that set a budget")            \
    X(breakers, 0, "permille of those that set a breaker that looks at shares")                   \
    X(bursts, 0, "permille of the time in which most attempts of a service fail")                 \
    X(said_live, 0, "permille of changes of limits that the operator says while tasks run")       \
    X(pauses, 0, "permille of operator actions that pause a service, or resume one")              \
    X(tenant_rules, 0, "permille of operator actions that change what the tenant may start")      \
    X(exhumed, 0, "permille of operator actions that retry dead letters, or drop them")

struct sim_options {
    uint64_t seed;
#define SIM_OPTION_FIELD(name, lowest, meaning) uint32_t name;
    SIM_OPTIONS(SIM_OPTION_FIELD)
#undef SIM_OPTION_FIELD
};

struct sim_option {
    const char *name;
    uint32_t lowest;
    const char *meaning;
    uint32_t offset;
};
extern const struct sim_option sim_options[];
extern const unsigned sim_option_count;

uint32_t *sim_option_at(struct sim_options *options, unsigned index);

/* The world of `seed`. */
struct sim_options sim_options_draw(uint64_t seed);
/* "name=value". False: no such name, or not a number. */
bool sim_options_set(struct sim_options *options, const char *assignment);
/* Prints what differs from sim_options_draw(options->seed), each as `before` and "name=value". */
void sim_options_print(const struct sim_options *options, const char *before);

#endif
