/* links: runtime */
/* stream_cases SERVE CONNECT CASE: a worker at the endpoint SERVE, a submitter at CONNECT (both
 * lead to one broker), and what must hold of streams, checkpoints and signals.
 *
 * Prints why and exits 1 when it does not. Run by test_streams.py, which cuts CONNECT's
 * connection when a line `cut` is printed. */
#include "tests/system/cases.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNKS 2000

/* The worker may come later. */
static const struct sluice_submit_options patient = {.wait_absent = true};

static unsigned sent; /* chunks, by the worker; read and written atomically */

/* {chunks}: so many chunks, each its number as text. False: it is to stop. */
static bool send_chunks(struct sluice_task *task)
{
    json_int_t chunks = json_integer_value(json_object_get(sluice_task_args(task), "chunks"));

    for (json_int_t i = 0; i < chunks; i++) {
        char text[24];
        int size = snprintf(text, sizeof text, "%lld", (long long)i);

        if (sluice_chunk(task, (struct sluice_bytes){text, (size_t)size}) != 0) {
            return false;
        }
        __atomic_store_n(&sent, (unsigned)i + 1, __ATOMIC_SEQ_CST);
    }
    return true;
}

static void serve_count(struct sluice_task *task, void *arg)
{
    (void)arg;
    if (send_chunks(task)) {
        sluice_done_json(task, json_object());
    }
}

/* Checkpoints at its first attempt and fails; then says what it has got. */
static void serve_remember(struct sluice_task *task, void *arg)
{
    (void)arg;
    if (sluice_task_attempt(task) == 1) {
        struct sluice_error error = {.code = "again", .message = "", .retryable = true,
                                     .retry_after_ms = 1};

        sluice_checkpoint(task, (struct sluice_bytes){"old", 3});
        sluice_checkpoint(task, (struct sluice_bytes){"new", 3});
        sluice_fail(task, &error);
        return;
    }
    sluice_done(task, sluice_task_checkpoint(task));
}

/* Waits for two signals and answers with both. */
static void serve_listen(struct sluice_task *task, void *arg)
{
    struct sluice_bytes first, second;
    char both[64];
    size_t size;

    (void)arg;
    if (sluice_signal_wait(task, 10000, &first) != 0 || first.size > 30) {
        return;
    }
    size = first.size;
    memcpy(both, first.data, size);
    if (sluice_signal_wait(task, 10000, &second) != 0 || second.size > 30) {
        return;
    }
    memcpy(both + size, second.data, second.size);
    sluice_done(task, (struct sluice_bytes){both, size + second.size});
}

/* A fiber beside the handler that waits for one signal. */
struct listener {
    struct sluice_task *task;
    bool waits, heard;
};

static void listen_beside(struct sluice *sluice, void *arg)
{
    struct listener *listener = arg;
    struct sluice_bytes signal;

    (void)sluice;
    listener->waits = true;
    listener->heard = sluice_signal_wait(listener->task, 0, &signal) == 0;
}

/* The same while somebody waits for a signal; done when that has come. */
static void serve_converse(struct sluice_task *task, void *arg)
{
    struct sluice *sluice = sluice_task_peer(task);
    struct listener listener = {.task = task};

    (void)arg;
    sluice_spawn(sluice, listen_beside, &listener);
    while (!listener.waits) {
        sluice_sleep_ms(sluice, 5);
    }
    if (send_chunks(task)) {
        while (!listener.heard) {
            sluice_sleep_ms(sluice, 5);
        }
        sluice_done_json(task, json_object());
    }
}

static struct sluice_future *count_at(struct sluice *sluice, const char *service, int chunks,
                                      unsigned window)
{
    struct sluice_submit_options options = {.stream = window, .wait_absent = true};

    return sluice_submit_json(sluice, service, json_pack("{s:i}", "chunks", chunks), &options);
}

static struct sluice_future *count(struct sluice *sluice, int chunks, unsigned window)
{
    return count_at(sluice, "count", chunks, window);
}

/* Reads chunks `from` to below `to`: all there, in order. */
static int read_all(struct sluice_stream *stream, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        struct sluice_chunk chunk;
        char text[24];
        int size = snprintf(text, sizeof text, "%u", i);

        REQUIRE(sluice_next_chunk(stream, &chunk) == 1);
        REQUIRE(chunk.sequence == i && chunk.lost == 0 && !chunk.restarted && chunk.attempt == 1);
        REQUIRE(chunk.bytes.size == (size_t)size && memcmp(chunk.bytes.data, text, size) == 0);
    }
    return 0;
}

static int all_through(struct sluice *sluice, unsigned window)
{
    struct sluice_future *future = count(sluice, CHUNKS, window);
    struct sluice_chunk chunk;

    REQUIRE(read_all(sluice_future_stream(future), 0, CHUNKS) == 0);
    REQUIRE(sluice_next_chunk(sluice_future_stream(future), &chunk) == 0);
    REQUIRE(sluice_await(future) == SLUICE_DONE);
    sluice_future_free(future);
    return 0;
}

static int all_of_it(struct sluice *sluice)
{
    return all_through(sluice, 16);
}

/* Half of it is more than the broker's ring holds. */
static int wide_window(struct sluice *sluice)
{
    return all_through(sluice, CHUNKS);
}

/* Until the broker says that it is we whom the worker waits for. */
static int until_it_waits(struct sluice *sluice, const struct sluice_future *future)
{
    const char *reason = "";

    while (strcmp(reason, "reader") != 0) {
        json_t *reply = NULL;
        static char text[32];

        REQUIRE(sluice_query(sluice, "why", sluice_future_id(future), NULL, &reply) == 0 ||
                reply != NULL);
        snprintf(text, sizeof text, "%s",
                 json_string_value(json_object_get(reply, "reason")) != NULL
                     ? json_string_value(json_object_get(reply, "reason"))
                     : "");
        reason = text;
        json_decref(reply);
    }
    return 0;
}

static int slow_reader(struct sluice *sluice)
{
    struct sluice_future *future = count(sluice, CHUNKS, 8);

    REQUIRE(until_it_waits(sluice, future) == 0);
    REQUIRE(__atomic_load_n(&sent, __ATOMIC_SEQ_CST) <= 256 + 16);
    REQUIRE(read_all(sluice_future_stream(future), 0, CHUNKS) == 0);
    REQUIRE(sluice_await(future) == SLUICE_DONE);
    sluice_future_free(future);
    return 0;
}

static int given_up(struct sluice *sluice)
{
    void (*const give_up[])(struct sluice_future *) = {sluice_future_free, sluice_future_forget};
    struct sluice_submit_options options = {.stream = 8, .wait_absent = true, .detached = true};

    for (size_t i = 0; i < 2; i++) {
        struct sluice_future *future =
            sluice_submit_json(sluice, "count", json_pack("{s:i}", "chunks", CHUNKS), &options);
        struct sluice_id id = *sluice_future_id(future);

        REQUIRE(until_it_waits(sluice, future) == 0);
        give_up[i](future);
        future = sluice_attach(sluice, &id);
        REQUIRE(sluice_await(future) == SLUICE_DONE);
        sluice_future_free(future);
    }
    return 0;
}

static int cut_off(struct sluice *sluice)
{
    struct sluice_future *future = count(sluice, CHUNKS, 16);

    for (unsigned i = 0; i < 4; i++) {
        REQUIRE(read_all(sluice_future_stream(future), i * (CHUNKS / 4),
                         (i + 1) * (CHUNKS / 4)) == 0);
        printf("cut\n");
        fflush(stdout);
        getchar(); /* it has been cut */
    }
    REQUIRE(sluice_await(future) == SLUICE_DONE);
    sluice_future_free(future);
    return 0;
}

static int another_reader(struct sluice *sluice)
{
    struct sluice_future *future = sluice_submit_json(
        sluice, "count", json_pack("{s:i}", "chunks", CHUNKS), &patient);
    struct sluice_stream *stream;
    struct sluice_chunk chunk;
    uint64_t expected = 0;
    int result;

    REQUIRE(sluice_await(future) == SLUICE_DONE); /* all of it slid through the ring */
    stream = sluice_read(sluice, sluice_future_id(future), 0);
    REQUIRE(stream != NULL);
    while ((result = sluice_next_chunk(stream, &chunk)) == 1) {
        REQUIRE(chunk.sequence == expected + chunk.lost);
        REQUIRE(chunk.lost == (expected == 0 ? CHUNKS - 256 : 0));
        expected = chunk.sequence + 1;
    }
    REQUIRE(result == 0 && expected == CHUNKS);
    sluice_stream_free(stream);
    sluice_future_free(future);
    struct sluice_id nobody = sluice_id_new();
    stream = sluice_read(sluice, &nobody, 4);
    REQUIRE(sluice_next_chunk(stream, &chunk) == -ENOENT);
    sluice_stream_free(stream);
    return 0;
}

static int checkpoint(struct sluice *sluice)
{
    struct sluice_future *future =
        sluice_submit(sluice, "remember", (struct sluice_bytes){"", 0}, &patient);

    REQUIRE(sluice_await(future) == SLUICE_DONE);
    REQUIRE(sluice_future_timing(future).attempt == 2);
    REQUIRE(sluice_future_payload(future).size == 3);
    REQUIRE(memcmp(sluice_future_payload(future).data, "new", 3) == 0);
    sluice_future_free(future);
    return 0;
}

static int signals(struct sluice *sluice)
{
    struct sluice_future *future =
        sluice_submit(sluice, "listen", (struct sluice_bytes){"", 0}, &patient);
    json_t *reply = NULL;

    REQUIRE(sluice_signal(sluice, sluice_future_id(future), (struct sluice_bytes){"yes ", 4},
                          &reply) == 0);
    json_decref(reply);
    REQUIRE(sluice_signal(sluice, sluice_future_id(future), (struct sluice_bytes){"no", 2},
                          &reply) == 0);
    json_decref(reply);
    REQUIRE(sluice_await(future) == SLUICE_DONE);
    REQUIRE(sluice_future_payload(future).size == 6);
    REQUIRE(memcmp(sluice_future_payload(future).data, "yes no", 6) == 0);
    REQUIRE(sluice_signal(sluice, sluice_future_id(future), (struct sluice_bytes){"late", 4},
                          &reply) == -EREMOTEIO);
    REQUIRE(strcmp(json_string_value(json_object_get(reply, "code")), "not_found") == 0);
    json_decref(reply);
    sluice_future_free(future);
    return 0;
}

static int signal_beside_chunks(struct sluice *sluice)
{
    struct sluice_future *future = count_at(sluice, "converse", CHUNKS, 8);
    json_t *reply = NULL;

    REQUIRE(until_it_waits(sluice, future) == 0);
    REQUIRE(read_all(sluice_future_stream(future), 0, CHUNKS) == 0);
    REQUIRE(sluice_signal(sluice, sluice_future_id(future), (struct sluice_bytes){"go", 2},
                          &reply) == 0);
    json_decref(reply);
    REQUIRE(sluice_await(future) == SLUICE_DONE);
    sluice_future_free(future);
    return 0;
}

static const struct named_case cases[] = {
    {"all_of_it", all_of_it},   {"wide_window", wide_window}, {"slow_reader", slow_reader},
    {"cut_off", cut_off},       {"given_up", given_up},
    {"another_reader", another_reader}, {"checkpoint", checkpoint}, {"signals", signals},
    {"signal_beside_chunks", signal_beside_chunks},
};

static void *work(void *arg)
{
    sluice_run(arg, NULL, NULL);
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct sluice_service services[] = {
        {.name = "count", .handler = serve_count},
        {.name = "converse", .handler = serve_converse},
        {.name = "remember", .handler = serve_remember},
        {.name = "listen", .handler = serve_listen, .credit = 1},
    };
    struct sluice_options serving = {.name = "worker", .quiet = true};
    struct sluice_options asking = {.name = "reader", .quiet = true, .connect_ms = 10000};
    struct sluice *worker, *reader;
    pthread_t thread;
    int status;

    if (argc != 4) {
        fprintf(stderr, "usage: stream_cases SERVE CONNECT CASE\n");
        return 2;
    }
    serving.broker = argv[1];
    asking.broker = argv[2];
    worker = sluice_new(&serving);
    reader = sluice_new(&asking);
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        sluice_serve(worker, &services[i]);
    }
    if (pthread_create(&thread, NULL, work, worker) != 0) {
        return 2;
    }
    status = sluice_run(reader, run_case, CHOICE(cases, argv[3]));
    sluice_stop(worker);
    pthread_join(thread, NULL);
    sluice_free(reader);
    sluice_free(worker);
    return status < 0 ? 3 : status;
}
