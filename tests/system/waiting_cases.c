/* links: runtime */
/* waiting_cases BROKER CASE: fibers that wait, what ends it, and what may happen meanwhile.
 *
 * Most of what is submitted here is served by nobody, so that it ends when its case cancels it.
 * Prints why and exits 1 when something does not hold. Run by test_waiting.py. */
#include "tests/system/cases.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#define SHARED 4

/* What the fibers of a case have done. */
static struct {
    int waiting; /* have begun to wait */
    int over;    /* have nothing left to wait for */
    int taken;   /* futures that a loop has returned */
    int cut_off; /* handlers that have not come to their end */
} seen;

/* Waited for when the peer ends; main frees them. */
static struct {
    struct sluice_future *awaited, *taken, *accepted, *read;
} left[2];
static struct sluice_stream *left_stream;

static const struct sluice_submit_options patient = {.wait_absent = true};

static struct sluice_future *submit(struct sluice *sluice)
{
    return sluice_submit_json(sluice, "nobody.serves.it", NULL, &patient);
}

static void serve_echo(struct sluice_task *task, void *arg)
{
    (void)arg;
    sluice_done(task, sluice_task_payload(task));
}

/* Stops its peer, which lets it finish. */
static void serve_stop(struct sluice_task *task, void *arg)
{
    (void)arg;
    seen.cut_off++;
    sluice_stop(sluice_task_peer(task));
    if (sluice_sleep_ms(sluice_task_peer(task), 50) == 0) {
        seen.cut_off--;
    }
    sluice_done_json(task, json_object());
}

static void free_all(struct sluice_future **futures, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sluice_future_free(futures[i]);
    }
}

static void wait_until(struct sluice *sluice, const int *counted, int count)
{
    while (*counted < count) {
        sluice_sleep_ms(sluice, 5);
    }
}

/* ---- several fibers, one future -------------------------------------------- */

struct loop {
    struct sluice_future *futures[SHARED];
    size_t count;
    int taken;
};

static void take_all(struct sluice *sluice, void *arg)
{
    struct loop *loop = arg;

    (void)sluice;
    seen.waiting++;
    while (sluice_as_completed(loop->futures, loop->count) < loop->count) {
        loop->taken++;
        seen.taken++;
    }
    seen.over++;
}

/* Each future is returned to one of them, and both see the end. */
static int one_loop(struct sluice *sluice)
{
    static struct loop loop = {.count = SHARED};

    for (size_t i = 0; i < SHARED; i++) {
        loop.futures[i] = submit(sluice);
    }
    REQUIRE(sluice_spawn(sluice, take_all, &loop) == 0);
    REQUIRE(sluice_spawn(sluice, take_all, &loop) == 0);
    wait_until(sluice, &seen.waiting, 2);
    for (int i = 0; i < SHARED; i++) {
        sluice_cancel(loop.futures[i], NULL);
        wait_until(sluice, &seen.taken, i + 1);
    }
    wait_until(sluice, &seen.over, 2);
    REQUIRE(loop.taken == SHARED);
    free_all(loop.futures, SHARED);
    return 0;
}

/* The first loop asks again when it has had what is its own, and so takes over what both have. */
static int two_loops(struct sluice *sluice)
{
    static struct loop wide = {.count = 2}, narrow = {.count = 1};

    wide.futures[0] = submit(sluice);
    wide.futures[1] = narrow.futures[0] = submit(sluice);
    REQUIRE(sluice_spawn(sluice, take_all, &wide) == 0);
    REQUIRE(sluice_spawn(sluice, take_all, &narrow) == 0);
    wait_until(sluice, &seen.waiting, 2);
    sluice_cancel(wide.futures[0], NULL);
    wait_until(sluice, &seen.over, 1);
    REQUIRE(wide.taken == 1 && narrow.taken == 0); /* nothing is left to it */
    sluice_cancel(wide.futures[1], NULL);
    wait_until(sluice, &seen.over, 2);
    REQUIRE(wide.taken == 2 && narrow.taken == 0);
    free_all(wide.futures, 2);
    return 0;
}

/* The first of them submits it: both wait before the broker has heard of it. */
static void wait_accepted(struct sluice *sluice, void *arg)
{
    static const struct sluice_submit_options options = {.detached = true, .wait_absent = true};
    struct sluice_future **future = arg;

    if (*future == NULL) {
        *future = sluice_submit_json(sluice, "nobody.serves.it", NULL, &options);
    }
    seen.taken += sluice_accepted(*future);
    seen.over++;
}

static int accepted(struct sluice *sluice)
{
    static struct sluice_future *future;

    REQUIRE(sluice_spawn(sluice, wait_accepted, &future) == 0);
    REQUIRE(sluice_spawn(sluice, wait_accepted, &future) == 0);
    wait_until(sluice, &seen.over, 2);
    REQUIRE(seen.taken == 2);
    sluice_cancel(future, NULL);
    REQUIRE(sluice_await(future) == SLUICE_CANCELLED);
    sluice_future_free(future);
    return 0;
}

/* ---- futures that are freed in on_ended --------------------------------------- */

static struct sluice_future *victim;
static struct sluice *victim_peer;

static void free_victim(struct sluice_future *future, void *arg)
{
    (void)future;
    (void)arg;
    sluice_future_free(victim);
    victim = NULL;
}

/* The memory of the join that is freed goes to the next future. */
static void replace_victim(struct sluice_future *future, void *arg)
{
    struct sluice_future **next = arg;
    struct sluice *sluice = victim_peer;

    free_victim(future, NULL);
    *next = submit(sluice);
}

/* Its join is freed when a member ends, which is while the join tells of it. */
static int freed_join(struct sluice *sluice)
{
    struct sluice_future *next = NULL;
    struct sluice_submit_options held = {.held = true, .on_ended = replace_victim, .arg = &next};
    struct sluice_future *member = sluice_submit_json(sluice, "echo", NULL, &held);

    victim_peer = sluice;
    victim = sluice_join(sluice, &member, 1, SLUICE_JOIN_ALL, NULL);
    REQUIRE(sluice_await(member) == SLUICE_DONE);
    REQUIRE(victim == NULL && sluice_future_outcome(next) == SLUICE_PENDING);
    sluice_future_free(member);
    sluice_future_free(next);
    return 0;
}

/* Without a broker they end when they are cancelled, and the second is freed then. */
static int freed_in_scope(struct sluice *sluice)
{
    struct sluice_submit_options options = {.on_ended = free_victim};
    struct sluice_scope *scope = sluice_scope_open(sluice, 0);

    sluice_submit_json(sluice, "echo", NULL, &options);
    victim = submit(sluice);
    submit(sluice);
    sluice_scope_close(scope, SLUICE_SCOPE_CANCEL);
    REQUIRE(victim == NULL);
    return 0;
}

/* ---- scopes --------------------------------------------------------------------- */

/* What is attached to is nobody's in particular: a scope neither waits for it nor frees it. */
static int attached(struct sluice *sluice)
{
    static const struct sluice_submit_options options = {.detached = true, .wait_absent = true};
    struct sluice_future *future = sluice_submit_json(sluice, "nobody.serves.it", NULL, &options);
    struct sluice_scope *scope;
    struct sluice_future *other;

    REQUIRE(sluice_accepted(future));
    scope = sluice_scope_open(sluice, 0);
    other = sluice_attach(sluice, sluice_future_id(future));
    sluice_scope_close(scope, SLUICE_SCOPE_CANCEL);
    REQUIRE(sluice_future_outcome(other) == SLUICE_PENDING);
    sluice_cancel(future, NULL);
    REQUIRE(sluice_await(other) == SLUICE_CANCELLED);
    sluice_future_free(other);
    sluice_future_free(future);
    return 0;
}

/* ---- time ---------------------------------------------------------------------------- */

#define COMPUTE_MS 1500

static void sleep_for_ever(struct sluice *sluice, void *arg)
{
    (void)arg;
    seen.waiting++;
    sluice_sleep_ms(sluice, UINT64_MAX);
    seen.over++;
}

static void cancel_later(struct sluice *sluice, void *arg)
{
    sluice_sleep_ms(sluice, 5);
    sluice_cancel(arg, NULL);
}

/* So are the times of the peer here: to connect, and to drain. */
static int for_ever(struct sluice *sluice)
{
    struct sluice_future *future = submit(sluice);

    sluice_spawn(sluice, sleep_for_ever, NULL);
    sluice_spawn(sluice, cancel_later, future);
    REQUIRE(sluice_await_ms(future, UINT64_MAX) == SLUICE_CANCELLED);
    REQUIRE(seen.waiting == 1 && seen.over == 0);
    sluice_future_free(future);
    left[0].awaited = sluice_submit_json(sluice, "stop", NULL, &patient);
    sluice_await(left[0].awaited); /* main looks whether it was finished */
    return 0;
}

static void sleep_shortly(struct sluice *sluice, void *arg)
{
    (void)arg;
    sluice_sleep_ms(sluice, 1);
    seen.over++;
}

/* A time that is named after long computing begins then. */
static int computed(struct sluice *sluice)
{
    struct sluice_future *future = sluice_submit_json(sluice, "echo", NULL, NULL);

    poll(NULL, 0, COMPUTE_MS);
    REQUIRE(sluice_await_ms(future, COMPUTE_MS) == SLUICE_DONE);
    sluice_future_free(future);
    sluice_spawn(sluice, sleep_shortly, NULL);
    poll(NULL, 0, COMPUTE_MS);
    REQUIRE(sluice_sleep_ms(sluice, COMPUTE_MS) == 0 && seen.over == 1);
    return 0;
}

/* ---- the end ---------------------------------------------------------------------- */

static void wait_long(struct sluice *sluice, void *arg)
{
    (void)sluice;
    seen.waiting++;
    sluice_await(arg);
}

static void take_long(struct sluice *sluice, void *arg)
{
    struct loop loop = {.futures = {arg}, .count = 1};

    take_all(sluice, &loop);
}

static void accept_long(struct sluice *sluice, void *arg)
{
    (void)sluice;
    seen.waiting++;
    sluice_accepted(arg);
}

static void read_long(struct sluice *sluice, void *arg)
{
    struct sluice_chunk chunk;

    (void)sluice;
    seen.waiting++;
    sluice_next_chunk(arg, &chunk);
}

static int stopped(struct sluice *sluice)
{
    static const struct sluice_submit_options streamed = {.stream = 4};
    struct sluice_id id = sluice_id_new();

    for (size_t i = 0; i < 2; i++) {
        left[i].awaited = submit(sluice);
        left[i].taken = submit(sluice);
        left[i].accepted = submit(sluice);
        left[i].read = sluice_submit_json(sluice, "nobody.serves.it", NULL, &streamed);
        sluice_spawn(sluice, wait_long, left[i].awaited);
        sluice_spawn(sluice, take_long, left[i].taken);
        sluice_spawn(sluice, accept_long, left[i].accepted);
        sluice_spawn(sluice, read_long, sluice_future_stream(left[i].read));
    }
    left_stream = sluice_read(sluice, &id, 4);
    sluice_spawn(sluice, read_long, left_stream);
    wait_until(sluice, &seen.waiting, 9);
    sluice_stop(sluice);
    sluice_stop(sluice);
    return 0;
}

static void free_left(size_t i)
{
    sluice_future_free(left[i].awaited);
    sluice_future_free(left[i].taken);
    sluice_future_free(left[i].accepted);
    sluice_future_free(left[i].read);
}

static const struct named_case cases[] = {
    {"one_loop", one_loop}, {"two_loops", two_loops}, {"accepted", accepted},
    {"freed_join", freed_join}, {"freed_in_scope", freed_in_scope},
    {"attached", attached}, {"for_ever", for_ever}, {"computed", computed},
    {"stopped", stopped},
};

int main(int argc, char **argv)
{
    struct sluice_options options = {.broker = argc == 3 ? argv[1] : NULL, .quiet = true};
    struct sluice_service echo = {.name = "echo", .handler = serve_echo, .sync = true};
    struct sluice_service stop = {.name = "stop", .handler = serve_stop};
    struct sluice *sluice;
    int status;

    if (argc == 3 && strcmp(argv[2], "for_ever") == 0) {
        options.connect_ms = options.drain_ms = UINT64_MAX;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 3 || (sluice = sluice_new(&options)) == NULL) {
        fprintf(stderr, "usage: waiting_cases BROKER CASE\n");
        return 2;
    }
    sluice_serve(sluice, &echo);
    sluice_serve(sluice, &stop);
    status = sluice_run(sluice, run_case, CHOICE(cases, argv[2]));
    if (seen.cut_off > 0) {
        printf("a handler was cut off\n");
        status = 1;
    }
    free_left(0);
    sluice_stream_free(left_stream);
    sluice_free(sluice);
    free_left(1);
    return status < 0 ? 3 : status;
}
