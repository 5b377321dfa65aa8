/* links: runtime */
/* join_cases BROKER worker | CASE: joins by the C runtime, over tasks of two services.
 *
 * `race` is served by `join_cases BROKER worker`: it never ends by itself, and tells when it starts
 * and when it has stopped. `gate` is the test's own: it decides when, how, and in which order. The
 * last gate, number 99, keeps the submitter here until all has been looked at: what is stopped
 * before was stopped by its join, not by the end of its submitter. Run by test_join.py. */
#include "tests/system/cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GATE_LAST 99

/* ---- the worker ----------------------------------------------------------------- */

static void serve_race(struct sluice_task *task, void *arg)
{
    json_int_t n = json_integer_value(json_object_get(sluice_task_args(task), "n"));

    (void)arg;
    printf("started %d\n", (int)n);
    while (sluice_sleep_ms(sluice_task_peer(task), 3600000) == 0) {
    }
    printf("stopped %d\n", (int)n);
}

/* Tells what it was given: the results of those that are done, the codes of the others. */
static void serve_reduce(struct sluice_task *task, void *arg)
{
    json_t *seen = json_array();
    struct sluice_input input;

    (void)arg;
    for (size_t i = 0; i < sluice_task_input_count(task); i++) {
        if (!sluice_task_input(task, i, &input)) {
            sluice_failf(task, "no_input", "input %zu is missing", i);
            json_decref(seen);
            return;
        }
        json_array_append_new(seen, input.outcome == SLUICE_DONE
                                        ? json_integer((json_int_t)input.payload.size)
                                        : json_string(input.error.code));
    }
    printf("reduced %zu\n", sluice_task_input_count(task));
    sluice_done_json(task, seen);
}

static int work(struct sluice *sluice)
{
    struct sluice_service race = {.name = "race", .handler = serve_race, .credit = 16};
    struct sluice_service reduce = {.name = "reduce", .handler = serve_reduce};

    if (sluice_serve(sluice, &race) != 0 || sluice_serve(sluice, &reduce) != 0) {
        return 2;
    }
    sluice_stop_on_signals(sluice);
    return sluice_run(sluice, NULL, NULL) == 0 ? 0 : 1;
}

/* ---- the submitter --------------------------------------------------------------- */

static struct sluice_future *submit(struct sluice *sluice, const char *service, int n, bool held)
{
    struct sluice_submit_options options = {.held = held, .wait_absent = true};

    return sluice_submit_json(sluice, service, json_pack("{s:i}", "n", n), &options);
}

/* Its members, in order: 'r' a race, 'g' a gate; in capitals: held. */
static void submit_all(struct sluice *sluice, const char *members, struct sluice_future **futures)
{
    for (int i = 0; members[i] != '\0'; i++) {
        bool held = members[i] < 'a';
        bool race = members[i] == 'r' || members[i] == 'R';

        futures[i] = submit(sluice, race ? "race" : "gate", i, held);
    }
}

/* "d": done with its own number; "f": failed `sorry`; "c": cancelled. */
static bool ended_as(const char *outcomes, struct sluice_future **futures)
{
    for (int i = 0; outcomes[i] != '\0'; i++) {
        enum sluice_outcome outcome = sluice_await(futures[i]);
        const struct sluice_error *error = sluice_future_error(futures[i]);
        bool right = outcomes[i] == 'd'
                         ? outcome == SLUICE_DONE &&
                               json_integer_value(sluice_future_json(futures[i])) == i
                     : outcomes[i] == 'f'
                         ? outcome == SLUICE_FAILED && strcmp(error->code, "sorry") == 0
                         : outcome == SLUICE_CANCELLED;

        if (!right) {
            printf("member %d: %s %s\n", i, sluice_outcome_name(outcome),
                   error != NULL ? error->code : "");
            return false;
        }
    }
    return true;
}

static bool failed_with(struct sluice_future *join, enum sluice_outcome outcome, const char *code)
{
    enum sluice_outcome got = sluice_await(join);
    const struct sluice_error *error = sluice_future_error(join);

    if (got == outcome && error != NULL && strcmp(error->code, code) == 0) {
        return true;
    }
    printf("join: %s %s\n", sluice_outcome_name(got), error != NULL ? error->code : "");
    return false;
}

/* Until the test has looked at everything. */
static int linger(struct sluice *sluice, struct sluice_future *join)
{
    struct sluice_future *last;

    printf("decided\n");
    last = submit(sluice, "gate", GATE_LAST, false);
    sluice_await(last);
    sluice_future_free(last);
    sluice_future_free(join);
    return 0;
}

/* A join without a service, of `policy` and `k`. */
static struct sluice_future *pure(struct sluice *sluice, const char *members,
                                  struct sluice_future **futures, enum sluice_join_policy policy,
                                  size_t k)
{
    struct sluice_join_terms terms = {.policy = policy, .k = k};

    submit_all(sluice, members, futures);
    return sluice_join_submit(sluice, futures, strlen(members), &terms, NULL);
}

/* The same, and its outcomes go to `reduce`. */
static struct sluice_future *reduced(struct sluice *sluice, const char *members,
                                     struct sluice_future **futures,
                                     const struct sluice_join_terms *terms)
{
    struct sluice_submit_options options = {.wait_absent = true};
    struct sluice_join_terms mine = *terms;

    mine.service = "reduce";
    submit_all(sluice, members, futures);
    return sluice_join_submit(sluice, futures, strlen(members), &mine, &options);
}

static int any(struct sluice *sluice)
{
    struct sluice_future *futures[3];
    struct sluice_future *join = pure(sluice, "RGR", futures, SLUICE_JOIN_ANY, 0);

    REQUIRE(sluice_await(join) == SLUICE_DONE);
    REQUIRE(ended_as("cdc", futures));
    return linger(sluice, join);
}

static int k_of_n(struct sluice *sluice)
{
    struct sluice_future *futures[5];
    struct sluice_future *join = pure(sluice, "GRGRG", futures, SLUICE_JOIN_K, 2);

    REQUIRE(sluice_await(join) == SLUICE_DONE);
    REQUIRE(ended_as("dcfcd", futures));
    return linger(sluice, join);
}

static int fail_fast(struct sluice *sluice)
{
    struct sluice_future *futures[4];
    struct sluice_future *join = pure(sluice, "GRGR", futures, SLUICE_JOIN_ALL, 0);

    REQUIRE(failed_with(join, SLUICE_FAILED, "dependency_failed"));
    REQUIRE(ended_as("dcfc", futures));
    return linger(sluice, join);
}

/* Two of three fail: two of them cannot be done any more. */
static int impossible(struct sluice *sluice)
{
    struct sluice_future *futures[4];
    struct sluice_future *join = pure(sluice, "GGGR", futures, SLUICE_JOIN_K, 3);

    REQUIRE(failed_with(join, SLUICE_FAILED, "dependency_failed"));
    REQUIRE(ended_as("dffc", futures));
    return linger(sluice, join);
}

/* Who is not held goes on, and has a result of its own. */
static int not_held(struct sluice *sluice)
{
    struct sluice_future *futures[2];
    struct sluice_future *join = pure(sluice, "gg", futures, SLUICE_JOIN_ANY, 0);

    REQUIRE(sluice_await(join) == SLUICE_DONE);
    printf("first\n");
    REQUIRE(ended_as("dd", futures));
    return linger(sluice, join);
}

static int reducer(struct sluice *sluice)
{
    struct sluice_future *futures[3];
    struct sluice_future *join = reduced(
        sluice, "ggg", futures, &(struct sluice_join_terms){.policy = SLUICE_JOIN_SETTLED});
    json_t *seen;

    REQUIRE(sluice_await(join) == SLUICE_DONE);
    seen = sluice_future_json(join);
    REQUIRE(json_array_size(seen) == 3);
    REQUIRE(json_integer_value(json_array_get(seen, 0)) == 1); /* MessagePack of 0 */
    REQUIRE(strcmp(json_string_value(json_array_get(seen, 1)), "sorry") == 0);
    REQUIRE(json_integer_value(json_array_get(seen, 2)) == 1);
    REQUIRE(ended_as("dfd", futures));
    return linger(sluice, join);
}

/* The reducer is told of the losers, which stop while it runs. */
static int reducer_of_any(struct sluice *sluice)
{
    struct sluice_future *futures[3];
    struct sluice_future *join = reduced(
        sluice, "RGR", futures, &(struct sluice_join_terms){.policy = SLUICE_JOIN_ANY});
    json_t *seen;

    REQUIRE(sluice_await(join) == SLUICE_DONE);
    seen = sluice_future_json(join);
    REQUIRE(json_array_size(seen) == 3);
    REQUIRE(strcmp(json_string_value(json_array_get(seen, 0)), "cancelled") == 0);
    REQUIRE(json_integer_value(json_array_get(seen, 1)) == 1);
    REQUIRE(strcmp(json_string_value(json_array_get(seen, 2)), "cancelled") == 0);
    return linger(sluice, join);
}

static int run_if(struct sluice *sluice)
{
    struct sluice_join_terms terms = {.policy = SLUICE_JOIN_ALL, .run_if = SLUICE_RUN_IF_FAILED};
    struct sluice_future *futures[2];
    struct sluice_future *join = reduced(sluice, "gg", futures, &terms); /* 0 is done, 1 fails */

    REQUIRE(sluice_await(join) == SLUICE_DONE);
    REQUIRE(strcmp(json_string_value(json_array_get(sluice_future_json(join), 1)), "sorry") == 0);
    sluice_future_free(join);
    join = reduced(sluice, "g", futures, &terms);
    REQUIRE(failed_with(join, SLUICE_CANCELLED, "skipped"));
    sluice_future_free(join);
    terms.run_if = SLUICE_RUN_IF_DONE;
    join = reduced(sluice, "gg", futures, &terms);
    REQUIRE(failed_with(join, SLUICE_FAILED, "dependency_failed"));
    sluice_future_free(join);
    terms.run_if = SLUICE_RUN_IF_ALWAYS;
    terms.no_inputs = true;
    join = reduced(sluice, "gg", futures, &terms);
    REQUIRE(sluice_await(join) == SLUICE_DONE);
    REQUIRE(json_array_size(sluice_future_json(join)) == 0);
    return linger(sluice, join);
}

static void note_end(struct sluice_future *future, void *arg)
{
    unsigned *ends = arg;

    *ends += sluice_future_outcome(future) == SLUICE_REFUSED;
}

/* What cannot be meant is refused here, and nothing is sent; who waits for the end is told. */
static int terms(struct sluice *sluice)
{
    unsigned ends = 0;
    struct sluice_submit_options options = {.on_ended = note_end, .arg = &ends};
    static const struct sluice_join_terms wrong[] = {
        {.policy = 0}, {.policy = 9}, {.policy = SLUICE_JOIN_K}, {.policy = SLUICE_JOIN_K, .k = 3},
        {.policy = SLUICE_JOIN_ANY, .k = 1}};
    struct sluice_join_terms first = {.policy = SLUICE_JOIN_ANY};
    struct sluice_future *futures[2];
    struct sluice_future *join;

    submit_all(sluice, "gg", futures);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        join = sluice_join_submit(sluice, futures, 2, &wrong[i], &options);
        REQUIRE(failed_with(join, SLUICE_REFUSED, "bad_message") && ends == i + 1);
        sluice_future_free(join);
    }
    join = sluice_join_submit(sluice, NULL, 0, &first, NULL);
    REQUIRE(failed_with(join, SLUICE_REFUSED, "bad_message"));
    return linger(sluice, join);
}

/* A join that ends before it is sent takes its held members with it. */
static int unsent(struct sluice *sluice)
{
    struct sluice_join_terms all = {.policy = SLUICE_JOIN_ALL};
    struct sluice_join_terms two_of_one = {.policy = SLUICE_JOIN_K, .k = 2};
    struct sluice_submit_options faulty = {.priority = 99};
    struct sluice_future *futures[1];
    struct sluice_future *join;
    struct sluice_scope *scope;

    submit_all(sluice, "R", futures);
    join = sluice_join_submit(sluice, futures, 1, &two_of_one, NULL);
    REQUIRE(failed_with(join, SLUICE_REFUSED, "bad_message") && ended_as("c", futures));
    submit_all(sluice, "R", futures);
    join = sluice_join_submit(sluice, futures, 1, &all, &faulty);
    REQUIRE(failed_with(join, SLUICE_REFUSED, "bad_message") && ended_as("c", futures));
    submit_all(sluice, "R", futures);
    scope = sluice_scope_open(sluice, 1);
    REQUIRE(sluice_await(submit(sluice, "nobody", 0, false)) == SLUICE_EXPIRED);
    join = sluice_join_submit(sluice, futures, 1, &all, NULL);
    REQUIRE(failed_with(join, SLUICE_EXPIRED, "expired") && ended_as("c", futures));
    sluice_scope_close(scope, SLUICE_SCOPE_WAIT);
    return linger(sluice, NULL);
}

static const struct named_case cases[] = {
    {"any", any},           {"k_of_n", k_of_n},   {"fail_fast", fail_fast},
    {"impossible", impossible}, {"not_held", not_held}, {"reducer", reducer},
    {"reducer_of_any", reducer_of_any}, {"run_if", run_if}, {"terms", terms},
    {"unsent", unsent},
};

/* Its futures are the scope's, which frees them. */
static int run_in_scope(struct sluice *sluice, void *arg)
{
    struct sluice_scope *scope = sluice_scope_open(sluice, 0);
    int status = run_case(sluice, arg);

    sluice_scope_close(scope, SLUICE_SCOPE_CANCEL);
    return status;
}

int main(int argc, char **argv)
{
    struct sluice_options options = {
        .broker = argc == 3 ? argv[1] : NULL, .connect_ms = 10000, .quiet = true};
    struct sluice *sluice;
    int status;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 3 || (sluice = sluice_new(&options)) == NULL) {
        fprintf(stderr, "usage: join_cases BROKER worker | CASE\n");
        return 2;
    }
    status = strcmp(argv[2], "worker") == 0
                 ? work(sluice)
                 : sluice_run(sluice, run_in_scope, CHOICE(cases, argv[2]));
    sluice_free(sluice);
    return status < 0 ? 3 : status;
}
