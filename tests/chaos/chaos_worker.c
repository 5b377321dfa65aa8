/* links: runtime */
/* chaos_worker ENDPOINT NAME HISTORY: a worker of a chaos run, to be killed.
 *
 * What NUMBER of the payload means to each service:
 *   chaos.quick  nothing
 *   chaos.slow   takes so many milliseconds
 *   chaos.tree   asks so many children first
 *   chaos.fail   fails in attempts up to it; CHAOS_ALWAYS: for good
 *   chaos.crash  ends the process in attempts up to it
 *
 * Each start of a handler is a line of the file HISTORY, which outlives the process. The end of
 * standard input ends it, so that none is left when the director dies. */
#include "tests/chaos/chaos.h"

#include <fcntl.h>
#include <unistd.h>

#define CHILDREN_MAX 8

static int history = -1;

/* One write to a file opened for appending: lines of several processes do not mix, and what
 * was written stays when the process is killed. */
static void record_start(struct sluice_task *task, void *arg)
{
    char id[SLUICE_ID_TEXT_SIZE], line[CHAOS_LINE_MAX];
    int size;

    (void)arg;
    sluice_id_format(sluice_task_id(task), id);
    size = snprintf(line, sizeof line, "start %llu %s %u\n", chaos_now_ms(), id,
                    sluice_task_attempt(task));
    if (write(history, line, (size_t)size) != size) {
        abort();
    }
}

static unsigned number_of(struct sluice_task *task)
{
    struct sluice_bytes payload = sluice_task_payload(task);
    char text[16] = "";
    size_t size = payload.size < sizeof text - 1 ? payload.size : sizeof text - 1;

    memcpy(text, payload.data, size);
    return (unsigned)strtoul(text, NULL, 10);
}

static void answer(struct sluice_task *task)
{
    static char bytes[CHAOS_ANSWER_MAX];
    size_t size = chaos_answer(sluice_task_payload(task), bytes);

    sluice_done(task, (struct sluice_bytes){bytes, size});
}

static void serve_quick(struct sluice_task *task, void *arg)
{
    (void)arg;
    answer(task);
}

static void serve_slow(struct sluice_task *task, void *arg)
{
    (void)arg;
    if (sluice_sleep_ms(sluice_task_peer(task), number_of(task)) == 0) {
        answer(task);
    }
}

/* True: every child is done, with the right answer. */
static bool ask_children(struct sluice_task *task, unsigned count)
{
    struct sluice_submit_options options = {.wait_absent = true, .attempts = 20};
    struct sluice_future *children[CHILDREN_MAX];
    char texts[CHILDREN_MAX][64], id[SLUICE_ID_TEXT_SIZE];
    bool right;

    sluice_id_format(sluice_task_id(task), id);
    for (unsigned i = 0; i < count; i++) {
        int size = snprintf(texts[i], sizeof texts[i], "%u %s/%u/%u", i, id,
                            sluice_task_attempt(task), i);

        children[i] = sluice_submit(sluice_task_peer(task), i % 2 ? "chaos.slow" : "chaos.quick",
                                    (struct sluice_bytes){texts[i], (size_t)size}, &options);
    }
    right = sluice_gather(children, count) == 0;
    for (unsigned i = 0; i < count; i++) {
        right = right && chaos_answer_right((struct sluice_bytes){texts[i], strlen(texts[i])},
                                            sluice_future_payload(children[i]));
        sluice_future_free(children[i]);
    }
    return right;
}

static void serve_tree(struct sluice_task *task, void *arg)
{
    struct sluice_error error = {.code = "child_failed", .message = "a child", .retryable = true};

    (void)arg;
    if (ask_children(task, number_of(task) % (CHILDREN_MAX + 1))) {
        answer(task);
    } else if (!sluice_task_cancelled(task)) {
        sluice_fail(task, &error);
    }
}

static void serve_fail(struct sluice_task *task, void *arg)
{
    unsigned number = number_of(task);
    struct sluice_error error = {.code = "chaos_fails",
                                 .message = "as told",
                                 .retryable = number != CHAOS_ALWAYS,
                                 .retry_after_ms = 1};

    (void)arg;
    if (sluice_task_attempt(task) <= number) {
        sluice_fail(task, &error);
    } else {
        answer(task);
    }
}

static void serve_crash(struct sluice_task *task, void *arg)
{
    (void)arg;
    if (sluice_task_attempt(task) <= number_of(task)) {
        _exit(70);
    }
    answer(task);
}

static void on_input(uv_poll_t *poll, int status, int events)
{
    char byte;

    if (read(STDIN_FILENO, &byte, 1) <= 0) {
        _exit(0);
    }
    (void)poll, (void)status, (void)events;
}

int main(int argc, char **argv)
{
    static const struct sluice_service services[] = {
        {.name = "chaos.quick", .handler = serve_quick, .sync = true, .credit = 64},
        {.name = "chaos.slow", .handler = serve_slow, .credit = 64},
        {.name = "chaos.tree", .handler = serve_tree, .credit = 16},
        {.name = "chaos.fail", .handler = serve_fail, .sync = true, .credit = 32},
        {.name = "chaos.crash", .handler = serve_crash, .sync = true, .credit = 1},
    };
    struct sluice_middleware recorder = {.before = record_start};
    struct sluice *sluice;
    uv_poll_t input;

    if (argc != 4 || (history = open(argv[3], O_WRONLY | O_CREAT | O_APPEND, 0644)) < 0) {
        fprintf(stderr, "usage: chaos_worker ENDPOINT NAME HISTORY\n");
        return 2;
    }
    sluice = sluice_new(
        &(struct sluice_options){.broker = argv[1], .name = argv[2], .quiet = true});
    sluice_use(sluice, &recorder);
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        sluice_serve(sluice, &services[i]);
    }
    uv_poll_init(sluice_loop(sluice), &input, STDIN_FILENO);
    uv_poll_start(&input, UV_READABLE, on_input);
    return sluice_run(sluice, NULL, NULL) == 0 ? 0 : 1;
}
