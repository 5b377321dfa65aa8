/* fixture: the broker's core under a moved clock, and what it says as a trace.
 *
 * Peers and tasks have short names: connection and session of "w1", task id of "t1"; tasks whose
 * ids the broker made are "#0", "#1", ... as they appear.
 * Every effect is one line of the trace, "[   0] w1 <- TASK t1 attempt=1 ..."; expect_trace
 * compares all lines since the last call. Each step is followed by broker_check. */
#ifndef SLUICE_TESTS_SPEC_FIXTURE_H
#define SLUICE_TESTS_SPEC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/core/broker.h"
#include "tests/lib/shelf.h"

#define FIXTURE_TRACE_BYTES (256 * 1024)

struct fixture {
    struct broker *broker;
    struct broker_options options;
    uint64_t now_ms;
    char trace[FIXTURE_TRACE_BYTES];
    size_t trace_used;
    bool transitions;  /* also trace state changes */
    enum log_level log_level; /* from fixture_restart on; all at first */
    uint64_t logged;          /* records */
    bool quiet;        /* trace and check nothing: for floods */
    uint64_t sent[64]; /* messages sent, by command code */
    uint64_t refused;
    uint64_t retry_after_ms; /* of the last refusal */
    uint64_t ping_ms;        /* of the last WELCOME */
    enum resume resume;      /* what the shell says of a numbered session's next HELLO */
    struct resume_request asked; /* the last one */
    bool no_numbers;         /* from fixture_restart on: the shell cannot number anything */
    bool notes;              /* from fixture_restart on: it tells what happens */
    uint64_t noted;          /* times it did, of tasks */
    uint64_t backups;        /* that the broker wanted */
    struct shelf *shelf;     /* from fixture_crash on: what the broker has stored; NULL: no store */
};

/* cmocka's setup and teardown for a broker with default options. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Starts over with f->options as they are now. */
void fixture_restart(struct fixture *f);

/* The broker is gone, and a new one has what was recorded up to `sequence`. The first of these
 * gives it a store. */
void fixture_crash(struct fixture *f, uint64_t sequence);
/* As fixture_setup; with a store, and given_echo. */
int fixture_setup_stored(void **state);
/* A crash that keeps all that was recorded. */
void crash(struct fixture *f);
/* given_echo with a credit of 10, untraced: peers come back. */
void given_echo_again(struct fixture *f);
/* The store has all that was recorded. */
void stored(struct fixture *f);
void stored_until(struct fixture *f, uint64_t sequence);
void store_is(struct fixture *f, enum store_state state);

struct id id_of(const char *name);
connection_id connection_of(const char *name);

/* What a peer says. */
void hello(struct fixture *f, const char *peer);
/* Asks for numbered messages. A session that is not numbered yet begins anew; for one that is,
 * f->resume says what becomes of it. */
void hello_resume(struct fixture *f, const char *peer, connection_id connection);
void hello_from(struct fixture *f, const char *peer, connection_id connection);
void offer(struct fixture *f, const char *peer, const char *service, uint64_t credit);
void submit(struct fixture *f, const char *peer, const char *task, const char *service);
/* `options` may be NULL; its id, service and payload are overwritten. */
void submit_with(struct fixture *f, const char *peer, const char *task, const char *service,
                 const char *payload, const struct submit *options);
/* A join over a NULL-terminated list of at most 64 task names. */
void submit_join(struct fixture *f, const char *peer, const char *task, enum join_policy policy,
                 uint64_t deadline_ms, const char *const *needs);
void done(struct fixture *f, const char *peer, const char *task, uint64_t attempt,
          const char *payload);
void fail_task(struct fixture *f, const char *peer, const char *task, uint64_t attempt,
               const char *code, bool retryable);
void cancel(struct fixture *f, const char *peer, const char *task, uint64_t request);
void bye(struct fixture *f, const char *peer);
void lose(struct fixture *f, const char *peer);
void lose_output(struct fixture *f, const char *peer); /* EVENT_BROKEN */
void ping(struct fixture *f, const char *peer);
void query_task(struct fixture *f, const char *peer, enum query_what what, const char *task);
/* What an operator says, who is s1: its request is number 9. */
void say_control(struct fixture *f, const struct control *control);
/* Values that change nothing of a rule, but for those that are set after. */
struct limit_values limits_unchanged(void);
/* Rules of a service, of its key, or of a tenant, there or everywhere; what is "" is not named. It
 * is accepted, and the trace is what came of it. */
void limit_of(struct fixture *f, const char *service, const char *key, const char *tenant,
              const struct limit_values *values);
void say(struct fixture *f, const char *peer, const struct message *message);
void event(struct fixture *f, struct event *event);

/* A worker w1 of `echo`, and a submitter s1. */
void given_echo(struct fixture *f, uint64_t credit);
/* And a task p1, held by w1, whose handler submits children to `leaf`, which w2 serves. */
void given_parent(struct fixture *f);
void submit_child(struct fixture *f, const char *peer, const char *task, const char *service,
                  const char *parent, uint64_t attempt);

/* "t7" of "t" and 7: good until four more are named. */
const char *numbered(const char *letter, unsigned number);
/* Tasks t1, t2, ... of s1 to `echo`, each of which says that it costs that; 0: nothing. */
void submit_numbered(struct fixture *f, unsigned count, uint64_t cost);
/* w1 is done with the first attempt, and says what it cost. */
void done_costing(struct fixture *f, const char *task, uint64_t cost);

/* A task of s1 to `echo` whose result is for a join. */
void submit_held(struct fixture *f, const char *task);
/* Such tasks a1, a2, ..., at most 64, and the join over them. */
void submit_held_for(struct fixture *f, const char *join, enum join_policy policy, unsigned count);

/* Moves the clock in the steps that the core asks for. */
void advance_ms(struct fixture *f, uint64_t ms);

/* All lines since the last call equal `expected`; on a difference both are printed. */
void expect_trace_at(struct fixture *f, const char *expected, const char *file, int line);
#define expect_trace(f, expected) expect_trace_at((f), (expected), __FILE__, __LINE__)
void drop_trace(struct fixture *f);
/* Some line since the last expect_trace contains `text`. Does not clear. */
bool trace_has(const struct fixture *f, const char *text);
/* The same, and both are printed if not. */
void expect_has_at(struct fixture *f, const char *text, const char *file, int line);
#define expect_has(f, text) expect_has_at((f), (text), __FILE__, __LINE__)
/* s1 asks why the task is not done yet. The answer, which alone is the trace then, has `words`. */
void expect_why_at(struct fixture *f, const char *task, const char *words, const char *file,
                   int line);
#define expect_why(f, task, words) expect_why_at((f), (task), (words), __FILE__, __LINE__)
struct broker_stats stats_of(const struct fixture *f);

#define SPEC(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#endif
