/* links: runtime */
/* runtime_peer BROKER worker | flood N MS | compute | nowhere | misplaced | threads: one peer (two
 * with `threads`), and what it sees, line by line. Run by test_runtime.py. */
#include "tests/system/runtime_services.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>

/* Submits N naps of MS; a line with their outcomes, and how many handlers ran in all. */
struct flood {
    size_t count;
    int ms;
};

/* A line for each worker that has begun one: it holds a lease then, and the broker has heard of
 * us, so that it knows this session when it comes back. */
static void say_started(struct sluice_future *future, const char *worker, void *arg)
{
    char (*said)[64] = arg; /* two of them */

    (void)future;
    for (size_t i = 0; i < 2 && strcmp(said[i], worker) != 0; i++) {
        if (said[i][0] == '\0') {
            snprintf(said[i], sizeof(said[i]), "%s", worker);
            printf("started on %s\n", worker);
            break;
        }
    }
}

static int flood(struct sluice *sluice, void *arg)
{
    const struct flood *flood = arg;
    char started[2][64] = {"", ""};
    struct sluice_submit_options options = {
        .wait_absent = true, .on_started = say_started, .arg = started};
    struct sluice_future **futures = calloc(flood->count, sizeof(struct sluice_future *));
    size_t done = 0, other = 0, retried = 0, next;

    for (size_t i = 0; i < flood->count; i++) {
        futures[i] =
            sluice_submit_json(sluice, "nap", json_pack("{s:i}", "ms", flood->ms), &options);
    }
    while ((next = sluice_as_completed(futures, flood->count)) < flood->count) {
        json_t *result = sluice_future_json(futures[next]);

        done += sluice_future_outcome(futures[next]) == SLUICE_DONE;
        retried += json_integer_value(json_object_get(result, "attempt")) > 1;
        if (done == 1) {
            printf("first\n");
        }
        if (sluice_future_outcome(futures[next]) != SLUICE_DONE && other++ == 0) {
            printf("ended %s: %s\n", sluice_outcome_name(sluice_future_outcome(futures[next])),
                   sluice_future_error(futures[next])->message);
        }
        sluice_future_free(futures[next]);
        futures[next] = NULL;
    }
    printf("done=%zu retried=%s\n", done, retried > 0 ? "yes" : "no");
    free(futures);
    return 0;
}

#define COMPUTE_MS 1500

/* Keeps the loop from running for longer than it then wants to wait: the answer has come by then,
 * and nobody has looked. */
static int compute(struct sluice *sluice, void *arg)
{
    struct sluice_submit_options options = {.wait_absent = true};
    struct sluice_future *first = sluice_submit_json(sluice, "nap", NULL, &options);
    struct sluice_future *slow, *fast;

    (void)arg;
    sluice_await(first);
    slow = sluice_submit_json(sluice, "nap", json_pack("{s:i}", "ms", 100), &options);
    fast = sluice_submit_json(sluice, "nap", NULL, &options);
    sluice_await(fast);
    poll(NULL, 0, COMPUTE_MS);
    printf("slow: %s\n", sluice_outcome_name(sluice_await_ms(slow, COMPUTE_MS / 2)));
    sluice_future_free(first);
    sluice_future_free(slow);
    sluice_future_free(fast);
    return 0;
}

static void serve_misplaced(struct sluice_task *task, void *arg)
{
    sluice_sleep_ms(sluice_task_peer(task), 1); /* a sync handler may not */
    (void)arg;
}

static void serve_told(struct sluice_task *task, void *arg)
{
    printf("running\n");
    serve_nap(task, arg);
    printf("handled\n");
}

static int submit_misplaced(struct sluice *sluice, void *arg)
{
    struct sluice_service service = {
        .name = "misplaced", .handler = serve_misplaced, .sync = true};

    (void)arg;
    sluice_serve(sluice, &service);
    sluice_await(sluice_submit_json(sluice, "misplaced", NULL, NULL));
    return 0;
}

/* A peer of its own in a thread of its own, stopped from the main thread. */
static void *serve_in_thread(void *arg)
{
    struct sluice *sluice = arg;

    serve_all(sluice, 16);
    return sluice_run(sluice, NULL, NULL) == 0 ? arg : NULL;
}

static int submit_beside_thread(struct sluice *sluice, const char *broker)
{
    struct sluice_options options = {.broker = broker, .quiet = true};
    struct sluice *other = sluice_new(&options);
    struct flood arg = {1000, 1};
    pthread_t thread;
    void *served = NULL;
    int rc;

    pthread_create(&thread, NULL, serve_in_thread, other);
    rc = sluice_run(sluice, flood, &arg);
    sluice_stop(other);
    pthread_join(thread, &served);
    sluice_free(other);
    return served != NULL ? rc : -EIO;
}

static int run(struct sluice *sluice, int argc, char **argv)
{
    struct sluice_service told = {.name = "told", .handler = serve_told};
    struct flood arg;

    if (strcmp(argv[2], "worker") == 0) {
        serve_all(sluice, 16);
        sluice_serve(sluice, &told);
        sluice_stop_on_signals(sluice);
        return sluice_run(sluice, NULL, NULL);
    }
    if (strcmp(argv[2], "flood") == 0 && argc == 5) {
        arg.count = strtoul(argv[3], NULL, 10);
        arg.ms = atoi(argv[4]);
        return sluice_run(sluice, flood, &arg);
    }
    if (strcmp(argv[2], "threads") == 0) {
        return submit_beside_thread(sluice, argv[1]);
    }
    if (strcmp(argv[2], "compute") == 0) {
        return sluice_run(sluice, compute, NULL);
    }
    if (strcmp(argv[2], "misplaced") == 0) {
        return sluice_run(sluice, submit_misplaced, NULL);
    }
    return sluice_run(sluice, flood, NULL); /* nowhere: never gets that far */
}

int main(int argc, char **argv)
{
    struct sluice_options options = {.drain_ms = 60000};
    struct sluice *sluice;
    int rc;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 3) {
        fprintf(stderr, "usage: runtime_peer BROKER MODE [ARGUMENT...]\n");
        return 2;
    }
    options.broker = argv[1];
    options.connect_ms = strcmp(argv[2], "nowhere") == 0 ? 200 : 0;
    sluice = sluice_new(&options);
    if (sluice == NULL) {
        printf("new: %s\n", strerror(errno));
        return 4;
    }
    rc = run(sluice, argc, argv);
    printf("run: %s\n", rc < 0 ? strerror(-rc) : "0");
    sluice_free(sluice);
    return rc == 0 ? 0 : 1;
}
