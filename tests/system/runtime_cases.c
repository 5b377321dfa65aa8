/* links: runtime */
/* runtime_cases BROKER CASE: one peer that serves and submits, and what must hold.
 *
 * Prints why and exits 1 when it does not. Run by test_runtime.py. */
#include "tests/system/cases.h"
#include "tests/system/runtime_services.h"

#include <errno.h>

static struct sluice_future *nap_with(struct sluice *sluice, int ms,
                                      const struct sluice_submit_options *options)
{
    return sluice_submit_json(sluice, "nap", json_pack("{s:i}", "ms", ms), options);
}

static struct sluice_future *nap(struct sluice *sluice, int ms)
{
    return nap_with(sluice, ms, NULL);
}

static bool failed_with(const struct sluice_future *future, enum sluice_outcome outcome,
                        const char *code)
{
    const struct sluice_error *error = sluice_future_error(future);

    if (sluice_future_outcome(future) == outcome && strcmp(error->code, code) == 0) {
        return true;
    }
    printf("outcome %s, code %s: %s\n", sluice_outcome_name(sluice_future_outcome(future)),
           error != NULL ? error->code : "-", error != NULL ? error->message : "-");
    return false;
}

static void free_all(struct sluice_future **futures, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sluice_future_free(futures[i]);
    }
}

/* ---- one task ------------------------------------------------------------- */

static int await(struct sluice *sluice)
{
    char bytes[] = "hello";
    struct sluice_bytes payload = {bytes, sizeof bytes};
    struct sluice_future *future = sluice_submit(sluice, "echo", payload, NULL);

    REQUIRE(sluice_future_outcome(future) == SLUICE_PENDING);
    REQUIRE(sluice_await(future) == SLUICE_DONE);
    REQUIRE(sluice_future_payload(future).size == sizeof bytes);
    REQUIRE(memcmp(sluice_future_payload(future).data, bytes, sizeof bytes) == 0);
    REQUIRE(sluice_future_timing(future).attempt == 1);
    REQUIRE(strcmp(sluice_future_timing(future).worker, "cases") == 0);
    REQUIRE(sluice_await(future) == SLUICE_DONE);
    sluice_future_free(future);
    return 0;
}

static int large(struct sluice *sluice)
{
    struct sluice_bytes payload = {calloc(1, 3 << 20), 3 << 20};
    struct sluice_future *futures[8];

    memset((void *)payload.data, 'x', payload.size);
    for (size_t i = 0; i < 8; i++) {
        futures[i] = sluice_submit(sluice, "echo", payload, NULL);
    }
    REQUIRE(sluice_gather(futures, 8) == 0);
    for (size_t i = 0; i < 8; i++) {
        struct sluice_bytes result = sluice_future_payload(futures[i]);

        REQUIRE(result.size == payload.size && memcmp(result.data, payload.data, result.size) == 0);
    }
    free_all(futures, 8);
    free((void *)payload.data);
    return 0;
}

static int timeout(struct sluice *sluice)
{
    struct sluice_future *future = nap(sluice, 300);

    REQUIRE(sluice_await_ms(future, 20) == SLUICE_PENDING);
    REQUIRE(sluice_await(future) == SLUICE_DONE); /* waiting less long has harmed nothing */
    sluice_future_free(future);
    return 0;
}

static int deadline(struct sluice *sluice)
{
    struct sluice_submit_options soon = {.deadline_ms = 50};
    struct sluice_future *future = nap_with(sluice, 3600000, &soon);

    REQUIRE(sluice_await(future) == SLUICE_EXPIRED);
    REQUIRE(failed_with(future, SLUICE_EXPIRED, "expired"));
    sluice_future_free(future);
    return 0;
}

static int inherited_deadline(struct sluice *sluice)
{
    struct sluice_submit_options options = {.deadline_ms = 5000};
    struct sluice_future *future = sluice_submit_json(sluice, "ask_left", NULL, &options);
    json_int_t left;

    REQUIRE(sluice_await(future) == SLUICE_DONE);
    left = json_integer_value(json_object_get(sluice_future_json(future), "left"));
    REQUIRE(left > 0 && left <= 5000);
    sluice_future_free(future);
    return 0;
}

/* An id of zeros, as of one that could not be parsed, and what no enum has. */
static bool nobodys_are_refused(struct sluice *sluice)
{
    static const struct sluice_id nil;
    const struct sluice_submit_options options = {.id = &nil};
    const struct sluice_join_terms terms = {.run_if = (enum sluice_run_if)7};
    struct sluice_future *future = nap_with(sluice, 1, &options);
    struct sluice_future *join = sluice_join_submit(sluice, NULL, 0, &terms, NULL);
    bool refused = sluice_attach(sluice, &nil) == NULL;

    sluice_await(future);
    sluice_await(join);
    refused = refused && failed_with(future, SLUICE_REFUSED, "bad_message") &&
              failed_with(join, SLUICE_REFUSED, "bad_message");
    sluice_future_free(future);
    sluice_future_free(join);
    return refused;
}

static int refusals(struct sluice *sluice)
{
    struct sluice_future *future = sluice_submit_json(sluice, "nobody", NULL, NULL);

    sluice_await(future);
    REQUIRE(failed_with(future, SLUICE_REFUSED, "unknown_service"));
    sluice_future_free(future);
    future = sluice_submit_json(sluice, "not a name", NULL, NULL);
    REQUIRE(failed_with(future, SLUICE_REFUSED, "bad_message"));
    REQUIRE(nobodys_are_refused(sluice));
    sluice_future_free(future);
    future = sluice_submit_json(sluice, "silent", NULL, NULL);
    sluice_await(future);
    REQUIRE(failed_with(future, SLUICE_FAILED, "no_answer"));
    sluice_future_free(future);
    return 0;
}

static int schema(struct sluice *sluice)
{
    struct sluice_future *future =
        sluice_submit_json(sluice, "strict", json_pack("{s:i}", "count", 0), NULL);

    sluice_await(future);
    REQUIRE(failed_with(future, SLUICE_FAILED, "bad_arguments"));
    REQUIRE(strstr(sluice_future_error(future)->message, "/count") != NULL);
    sluice_future_free(future);
    future = sluice_submit_json(sluice, "strict", json_pack("{s:i}", "count", 1), NULL);
    REQUIRE(sluice_await(future) == SLUICE_DONE);
    sluice_future_free(future);
    future = sluice_submit(sluice, "strict", (struct sluice_bytes){"\xc1", 1}, NULL);
    sluice_await(future);
    REQUIRE(failed_with(future, SLUICE_FAILED, "bad_arguments"));
    sluice_future_free(future);
    return 0;
}

struct notes {
    int steps, starts, ends;
    char worker[65];
};

static void note_step(struct sluice_future *future, json_t *value, void *arg)
{
    struct notes *notes = arg;

    (void)future;
    notes->steps = notes->steps * 10 + (int)json_integer_value(json_object_get(value, "step"));
}

static void note_start(struct sluice_future *future, const char *worker, void *arg)
{
    struct notes *notes = arg;

    (void)future;
    notes->starts++;
    snprintf(notes->worker, sizeof notes->worker, "%s", worker);
}

static void note_end(struct sluice_future *future, void *arg)
{
    struct notes *notes = arg;

    notes->ends += sluice_future_outcome(future) != SLUICE_PENDING;
}

static int progress(struct sluice *sluice)
{
    struct notes notes = {0};
    struct sluice_submit_options options = {.on_progress = note_step, .on_started = note_start,
                                            .on_ended = note_end, .arg = &notes};
    struct sluice_future *future = sluice_submit_json(sluice, "steps", NULL, &options);

    REQUIRE(sluice_await(future) == SLUICE_DONE);
    REQUIRE(notes.steps == 123);
    REQUIRE(notes.starts == 1 && strcmp(notes.worker, "cases") == 0);
    REQUIRE(notes.ends == 1);
    sluice_future_free(future);
    future = sluice_submit_json(sluice, "not a name", NULL, &options);
    REQUIRE(notes.ends == 2 && failed_with(future, SLUICE_REFUSED, "bad_message"));
    sluice_future_free(future);
    return 0;
}

/* ---- many tasks ------------------------------------------------------------- */

static int gather(struct sluice *sluice)
{
    struct sluice_future *futures[100];

    for (int i = 0; i < 100; i++) {
        futures[i] = nap(sluice, 100 - i); /* the last ends first */
    }
    REQUIRE(sluice_gather(futures, 100) == 0);
    for (int i = 0; i < 100; i++) {
        json_t *ms = json_object_get(sluice_future_json(futures[i]), "ms");

        REQUIRE(json_integer_value(ms) == 100 - i);
    }
    free_all(futures, 100);
    return 0;
}

static int as_completed(struct sluice *sluice)
{
    struct sluice_future *futures[] = {nap(sluice, 240), nap(sluice, 10), nap(sluice, 120)};

    REQUIRE(sluice_as_completed(futures, 3) == 1);
    sluice_future_free(futures[1]);
    futures[1] = NULL;
    REQUIRE(sluice_as_completed(futures, 3) == 2);
    REQUIRE(sluice_as_completed(futures, 3) == 0);
    REQUIRE(sluice_as_completed(futures, 3) == 3);
    free_all(futures, 3);
    return 0;
}

static int any(struct sluice *sluice)
{
    struct sluice_future *futures[] = {
        sluice_submit_json(sluice, "silent", NULL, NULL), /* fails: does not count */
        nap(sluice, 3600000), nap(sluice, 30), nap(sluice, 3600000)};

    REQUIRE(sluice_any(futures, 4) == 2);
    REQUIRE(sluice_future_outcome(futures[1]) == SLUICE_CANCELLED);
    REQUIRE(sluice_future_outcome(futures[3]) == SLUICE_CANCELLED);
    REQUIRE(seen.cancelled == 2 && seen.running == 0); /* stopped, not only asked to */
    free_all(futures, 4);
    futures[0] = sluice_submit_json(sluice, "silent", NULL, NULL);
    REQUIRE(sluice_any(futures, 1) == 1);
    free_all(futures, 1);
    return 0;
}

static int join(struct sluice *sluice)
{
    static struct sluice_future *many[16385];
    struct sluice_submit_options held = {.held = true};
    struct sluice_future *futures[] = {
        nap_with(sluice, 30, &held), sluice_submit_json(sluice, "silent", NULL, &held),
        sluice_submit_json(sluice, "echo", json_pack("{s:s}", "a", "b"), &held)};
    struct sluice_future *settled =
        sluice_join(sluice, futures, 3, SLUICE_JOIN_SETTLED, NULL);

    REQUIRE(sluice_await(settled) == SLUICE_DONE);
    REQUIRE(sluice_future_outcome(futures[0]) == SLUICE_DONE);
    REQUIRE(failed_with(futures[1], SLUICE_FAILED, "no_answer"));
    REQUIRE(strcmp(json_string_value(json_object_get(sluice_future_json(futures[2]), "a")), "b") ==
            0);
    sluice_future_free(settled);
    free_all(futures, 3);

    futures[0] = nap_with(sluice, 3600000, &held);
    futures[1] = sluice_submit_json(sluice, "silent", NULL, &held);
    settled = sluice_join(sluice, futures, 2, SLUICE_JOIN_ALL, NULL);
    sluice_await(settled);
    REQUIRE(failed_with(settled, SLUICE_FAILED, "dependency_failed"));
    REQUIRE(sluice_future_outcome(futures[0]) == SLUICE_CANCELLED);
    sluice_future_free(settled);
    free_all(futures, 2);

    settled = sluice_join(sluice, NULL, 0, SLUICE_JOIN_ALL, NULL);
    REQUIRE(sluice_await(settled) == SLUICE_DONE); /* of nothing: done */
    sluice_future_free(settled);
    many[0] = nap_with(sluice, 3600000, &held);
    for (size_t i = 1; i < 16385; i++) {
        many[i] = many[0];
    }
    settled = sluice_join(sluice, many, 16385, SLUICE_JOIN_ALL, NULL);
    REQUIRE(failed_with(settled, SLUICE_REFUSED, "too_large"));
    REQUIRE(sluice_await(many[0]) == SLUICE_CANCELLED);
    free_all(many, 1);
    sluice_future_free(settled);
    return 0;
}

/* The records of a join have a bound: what does not fit is fetched by itself. */
static int large_join(struct sluice *sluice)
{
    static uint8_t bytes[7 << 20];
    static const struct sluice_submit_options held = {.held = true};
    struct sluice_future *futures[4], *join;

    for (size_t i = 0; i < 4; i++) {
        memset(bytes, (int)('a' + i), sizeof bytes);
        futures[i] = sluice_submit(sluice, "echo", (struct sluice_bytes){bytes, sizeof bytes},
                                   &held);
    }
    join = sluice_join(sluice, futures, 4, SLUICE_JOIN_ALL, NULL);
    REQUIRE(sluice_await(join) == SLUICE_DONE);
    for (size_t i = 0; i < 4; i++) {
        struct sluice_bytes got;

        REQUIRE(sluice_await(futures[i]) == SLUICE_DONE);
        got = sluice_future_payload(futures[i]);
        memset(bytes, (int)('a' + i), sizeof bytes);
        REQUIRE(got.size == sizeof bytes && memcmp(got.data, bytes, got.size) == 0);
        sluice_future_free(futures[i]);
    }
    sluice_future_free(join);
    return 0;
}

/* Freed as soon as the broker has it, it goes on, and anybody attaches to it. */
static int detached(struct sluice *sluice)
{
    struct sluice_submit_options options = {.detached = true};
    struct sluice_future *future, *other;
    struct sluice_id id;

    future = sluice_submit_json(sluice, "nap", json_pack("{s:i}", "ms", 50), &options);
    REQUIRE(sluice_accepted(future));
    id = *sluice_future_id(future);
    sluice_future_free(future);
    future = sluice_attach(sluice, &id);
    REQUIRE(sluice_attach(sluice, &id) == NULL); /* there is one already */
    REQUIRE(sluice_await(future) == SLUICE_DONE);
    REQUIRE(json_integer_value(json_object_get(sluice_future_json(future), "ms")) == 50);
    sluice_future_free(future);
    future = sluice_attach(sluice, &id); /* again: it is remembered */
    other = sluice_submit_json(sluice, "nobody.there", NULL, &options);
    REQUIRE(sluice_await(future) == SLUICE_DONE);
    REQUIRE(!sluice_accepted(other));
    REQUIRE(sluice_future_outcome(other) == SLUICE_REFUSED);
    sluice_future_free(future);
    sluice_future_free(other);
    REQUIRE(seen.cancelled == 0);
    return 0;
}

static int recursion(struct sluice *sluice)
{
    struct sluice_future *future =
        sluice_submit_json(sluice, "sum", json_pack("{s:i}", "n", 200), NULL);

    REQUIRE(sluice_await(future) == SLUICE_DONE);
    REQUIRE(json_integer_value(json_object_get(sluice_future_json(future), "sum")) == 20100);
    sluice_future_free(future);
    return 0;
}

static int ten_thousand(struct sluice *sluice)
{
    static struct sluice_future *futures[10000];
    struct sluice_submit_options enough = {.deadline_ms = 300000};

    for (size_t i = 0; i < 10000; i++) {
        futures[i] = nap_with(sluice, 2000, &enough);
    }
    REQUIRE(sluice_gather(futures, 10000) == 0);
    REQUIRE(seen.running_most > 9000); /* nearly all at once, in this one process */
    free_all(futures, 10000);
    return 0;
}

/* This process has two fibers: its main function's and another one. */
static int few_fibers(struct sluice *sluice)
{
    struct sluice_future *futures[20];

    for (size_t i = 0; i < 20; i++) {
        futures[i] = nap(sluice, 5);
    }
    REQUIRE(sluice_gather(futures, 20) == 0);
    REQUIRE(seen.running_most == 1);
    free_all(futures, 20);
    return 0;
}

/* The broker of this case has a window of 20 tasks. */
static int window(struct sluice *sluice)
{
    struct sluice_future *futures[200];

    for (size_t i = 0; i < 200; i++) {
        futures[i] = nap(sluice, 1);
    }
    REQUIRE(seen.finished > 100); /* so submit has waited meanwhile */
    REQUIRE(sluice_gather(futures, 200) == 0);
    free_all(futures, 200);
    return 0;
}

static int full_queue(struct sluice *sluice)
{
    struct sluice_submit_options no_wait = {.no_wait = true};
    struct sluice_future *futures[6];
    size_t refused = 0;

    for (size_t i = 0; i < 6; i++) {
        futures[i] =
            sluice_submit_json(sluice, "narrow", json_pack("{s:i}", "ms", 50), &no_wait);
    }
    sluice_gather(futures, 6);
    for (size_t i = 0; i < 6; i++) {
        if (sluice_future_outcome(futures[i]) != SLUICE_DONE) {
            REQUIRE(failed_with(futures[i], SLUICE_REFUSED, "queue_full"));
            REQUIRE(sluice_future_error(futures[i])->retryable);
            refused++;
        }
    }
    REQUIRE(refused == 3); /* one runs, two wait */
    free_all(futures, 6);
    for (size_t i = 0; i < 6; i++) {
        futures[i] = sluice_submit_json(sluice, "narrow", json_pack("{s:i}", "ms", 10), NULL);
    }
    REQUIRE(sluice_gather(futures, 6) == 0);
    free_all(futures, 6);
    return 0;
}

/* ---- stopping ----------------------------------------------------------------- */

static int cancel(struct sluice *sluice)
{
    struct sluice_future *future = nap(sluice, 3600000);

    REQUIRE(sluice_await_ms(future, 50) == SLUICE_PENDING);
    sluice_cancel(future, "enough");
    REQUIRE(sluice_await(future) == SLUICE_CANCELLED);
    REQUIRE(seen.cancelled == 1 && seen.running == 0);
    sluice_future_free(future);
    return 0;
}

static void count_start(struct sluice_future *future, const char *worker, void *arg)
{
    (void)future;
    (void)worker;
    ++*(int *)arg;
}

/* This process has one fiber for handlers, and the broker waits for ever until what was cancelled
 * has stopped. */
static int cancel_unstarted(struct sluice *sluice)
{
    int starts = 0;
    struct sluice_submit_options options = {.on_started = count_start, .arg = &starts};
    struct sluice_future *runs = nap_with(sluice, 3600000, &options);
    struct sluice_future *waits = nap_with(sluice, 3600000, &options);

    while (starts < 2) {
        sluice_sleep_ms(sluice, 5);
    }
    sluice_cancel(waits, "enough");
    REQUIRE(sluice_await(waits) == SLUICE_CANCELLED);
    REQUIRE(seen.running == 1 && seen.cancelled == 0);
    sluice_cancel(runs, "enough");
    REQUIRE(sluice_await(runs) == SLUICE_CANCELLED);
    REQUIRE(seen.running_most == 1 && seen.cancelled == 1);
    sluice_future_free(runs);
    sluice_future_free(waits);
    return 0;
}

static int cancel_tree(struct sluice *sluice)
{
    struct sluice_future *future = sluice_submit_json(sluice, "parent", NULL, NULL);

    while (seen.running == 0) {
        sluice_sleep_ms(sluice, 5);
    }
    sluice_cancel(future, "enough");
    REQUIRE(sluice_await(future) == SLUICE_CANCELLED);
    REQUIRE(seen.cancelled == 1 && seen.running == 0);
    sluice_future_free(future);
    return 0;
}

static int careless(struct sluice *sluice)
{
    struct sluice_future *future = sluice_submit_json(sluice, "careless", NULL, NULL);

    REQUIRE(sluice_await(future) == SLUICE_DONE);
    sluice_future_free(future);
    future = sluice_submit_json(sluice, "open_scope", NULL, NULL);
    REQUIRE(sluice_await(future) == SLUICE_DONE);
    while (seen.running > 0) {
        sluice_sleep_ms(sluice, 5);
    }
    REQUIRE(seen.finished == 0);
    sluice_future_free(future);
    return 0;
}

static int freed(struct sluice *sluice)
{
    struct sluice_future *future = nap(sluice, 3600000);

    while (seen.running == 0) {
        sluice_sleep_ms(sluice, 5);
    }
    sluice_future_free(future);
    while (seen.cancelled == 0) {
        sluice_sleep_ms(sluice, 5);
    }
    return 0;
}

static int scopes(struct sluice *sluice)
{
    struct sluice_scope *outer = sluice_scope_open(sluice, 0);
    struct sluice_scope *inner;

    nap(sluice, 100);
    inner = sluice_scope_open(sluice, 0);
    nap(sluice, 3600000);
    sluice_scope_close(inner, SLUICE_SCOPE_CANCEL);
    REQUIRE(seen.finished == 0);
    sluice_scope_close(outer, SLUICE_SCOPE_WAIT);
    REQUIRE(seen.finished == 1 && seen.running == 0);

    outer = sluice_scope_open(sluice, 60);
    sluice_await(nap(sluice, 3600000));
    sluice_scope_close(outer, SLUICE_SCOPE_WAIT);
    while (seen.running > 0) {
        sluice_sleep_ms(sluice, 5);
    }
    REQUIRE(seen.finished == 1);
    return 0;
}

/* ---- the rest -------------------------------------------------------------------- */

static char order[64];

static void write_before(struct sluice_task *task, void *arg)
{
    strncat(order, arg, sizeof order - strlen(order) - 1);
    if (json_is_true(json_object_get(sluice_task_args(task), "stop")) && *(char *)arg == 'b') {
        sluice_failf(task, "stopped", "by the middleware");
    }
}

static void write_after(struct sluice_task *task, void *arg)
{
    strncat(order, sluice_task_ended(task) ? arg : "?", sizeof order - strlen(order) - 1);
}

static int middleware(struct sluice *sluice)
{
    struct sluice_middleware first = {write_before, write_after, "a"};
    struct sluice_middleware second = {write_before, write_after, "b"};
    struct sluice_middleware third = {write_before, NULL, "c"};
    struct sluice_future *future;

    sluice_use(sluice, &first);
    sluice_use(sluice, &second);
    sluice_use(sluice, &third);
    future = sluice_submit_json(sluice, "echo", NULL, NULL);
    REQUIRE(sluice_await(future) == SLUICE_DONE);
    REQUIRE(strcmp(order, "abcba") == 0);
    sluice_future_free(future);
    order[0] = '\0';
    future = sluice_submit_json(sluice, "echo", json_pack("{s:b}", "stop", 1), NULL);
    sluice_await(future);
    REQUIRE(failed_with(future, SLUICE_FAILED, "stopped"));
    REQUIRE(strcmp(order, "abba") == 0);
    sluice_future_free(future);
    return 0;
}

static void add_on_pool(void *arg)
{
    ++*(int *)arg;
}

static void add_on_fiber(struct sluice *sluice, void *arg)
{
    sluice_sleep_ms(sluice, 10);
    sluice_work(sluice, add_on_pool, arg);
}

static int fibers(struct sluice *sluice)
{
    int sum = 0;

    for (int i = 0; i < 20; i++) {
        REQUIRE(sluice_spawn(sluice, add_on_fiber, &sum) == 0);
    }
    while (sum < 20) {
        REQUIRE(sluice_sleep_ms(sluice, 5) == 0);
    }
    return 0;
}

/* A control that is refused here, before it is sent. */
static bool control_refused(struct sluice *sluice, const char *what, const char *limit,
                            const char *message)
{
    json_t *limits = json_pack("{s:i}", limit, 1), *reply = NULL;
    struct sluice_control_options options = {.service = "nap", .limits = limits};
    bool so = sluice_control(sluice, what, &options, &reply) == -EINVAL &&
              strcmp(json_string_value(json_object_get(reply, "code")), "bad_message") == 0 &&
              strcmp(json_string_value(json_object_get(reply, "message")), message) == 0 &&
              json_is_false(json_object_get(reply, "retryable"));

    if (!so) {
        json_dumpf(reply, stdout, 0);
        printf("\n");
    }
    json_decref(reply);
    json_decref(limits);
    return so;
}

static int queries(struct sluice *sluice)
{
    struct sluice_future *future = nap(sluice, 3600000);
    json_t *reply = NULL;

    REQUIRE(sluice_query(sluice, "catalog", NULL, NULL, &reply) == 0);
    REQUIRE(json_array_size(json_object_get(reply, "services")) == 12);
    json_decref(reply);
    REQUIRE(sluice_query(sluice, "nonsense", NULL, NULL, &reply) == -EINVAL);
    REQUIRE(control_refused(sluice, "limt", "rate", "there is no control 'limt'"));
    REQUIRE(control_refused(sluice, "limit", "rat", "there is no limit 'rat'"));
    REQUIRE(sluice_cancel_id(sluice, sluice_future_id(future), "enough", &reply) == 0);
    json_decref(reply);
    REQUIRE(sluice_await(future) == SLUICE_CANCELLED);
    sluice_future_free(future);
    struct sluice_id nobody = sluice_id_new();
    REQUIRE(sluice_query(sluice, "status", &nobody, NULL, &reply) == -EREMOTEIO);
    REQUIRE(strcmp(json_string_value(json_object_get(reply, "code")), "not_found") == 0);
    json_decref(reply);
    return 0;
}

static const struct named_case cases[] = {
    {"await", await}, {"large", large}, {"timeout", timeout}, {"deadline", deadline},
    {"inherited_deadline", inherited_deadline}, {"refusals", refusals}, {"schema", schema},
    {"progress", progress}, {"gather", gather}, {"as_completed", as_completed}, {"any", any},
    {"large_join", large_join}, {"detached", detached},
    {"join", join}, {"recursion", recursion}, {"ten_thousand", ten_thousand}, {"window", window},
    {"few_fibers", few_fibers},
    {"full_queue", full_queue}, {"cancel", cancel}, {"cancel_unstarted", cancel_unstarted},
    {"cancel_tree", cancel_tree},
    {"careless", careless}, {"freed", freed}, {"scopes", scopes}, {"middleware", middleware},
    {"fibers", fibers}, {"queries", queries},
};

int main(int argc, char **argv)
{
    struct sluice_options options = {
        .broker = argc == 3 ? argv[1] : NULL, .name = "cases", .connect_ms = 10000, .quiet = true};
    struct sluice *sluice;
    int status;

    if (argc == 3 && (strcmp(argv[2], "few_fibers") == 0 ||
                      strcmp(argv[2], "cancel_unstarted") == 0)) {
        options.handlers_max = 1;
    }
    if (argc != 3 || (sluice = sluice_new(&options)) == NULL) {
        fprintf(stderr, "usage: runtime_cases BROKER CASE\n");
        return 2;
    }
    serve_all(sluice, 1);
    status = sluice_run(sluice, run_case, CHOICE(cases, argv[2]));
    sluice_free(sluice);
    return status < 0 ? 3 : status;
}
