#include "tests/bench/echo_rival.h"

#include "common/heap.h"
#include "tests/bench/children.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKERS_MAX (CHILDREN_MAX - 1) /* and a server */
#define START_MS 30000
#define PROGRESS_NS UINT64_C(250000000)
#define RATE_MAX 10000000

/* What a worker writes to its pipe. */
enum worker_state {
    WORKER_FAILED,
    WORKER_READY,
};

static bool is_worker;

static void tell_parent(struct echo_rival *rival, enum worker_state state)
{
    uint8_t byte = (uint8_t)state;

    if (write(rival->ready[1], &byte, 1) != 1) {
        _exit(1); /* nobody is there to hear why */
    }
}

void echo_rival_fail(struct echo_rival *rival, const char *what, const char *why)
{
    static atomic_flag ending = ATOMIC_FLAG_INIT;

    while (atomic_flag_test_and_set(&ending)) {
        pause(); /* the other thread ends us: exit() is for one */
    }
    fprintf(stderr, "%s: %s: %s\n", rival->kind->program, what, why);
    if (is_worker) {
        tell_parent(rival, WORKER_FAILED);
    }
    exit(1);
}

void echo_rival_ready(struct echo_rival *rival)
{
    tell_parent(rival, WORKER_READY);
}

void echo_rival_fill(struct echo_rival *rival, uint64_t sequence, void *payload)
{
    uint64_t now_ns;

    echo_check_fill(&rival->check, sequence, payload);
    now_ns = bench_now_ns();
    rival->begun_ns[sequence] = now_ns;
    if (rival->pace.fd >= 0) {
        rival->begun_ns[sequence] = pace_take(&rival->pace);
        rival->late += now_ns - rival->begun_ns[sequence] > PACE_LATE_NS;
    }
}

/* Without the price of an atomic addition: nobody else writes. */
static void count_up(_Atomic uint64_t *count)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
                          memory_order_release);
}

void echo_rival_reply(struct echo_rival *rival, const void *data, size_t size)
{
    uint64_t sequence;

    count_up(&rival->done);
    if (echo_check_reply(&rival->check, data, size, &sequence)) {
        histogram_add(&rival->latency_ns, bench_now_ns() - rival->begun_ns[sequence]);
    }
}

void echo_rival_failed(struct echo_rival *rival)
{
    count_up(&rival->done);
    rival->failed++;
}

static void start_workers(struct echo_rival *rival)
{
    if (pipe(rival->ready) != 0) {
        echo_rival_fail(rival, "pipe", strerror(errno));
    }
    rival->first_worker = children_count();
    for (uint64_t i = 0; i < rival->workers; i++) {
        pid_t pid = children_start();

        if (pid < 0) {
            echo_rival_fail(rival, "fork", strerror(errno));
        }
        if (pid == 0) {
            is_worker = true;
            rival->kind->serve(rival);
            _exit(1);
        }
    }
    close(rival->ready[1]);
}

static void await_workers(struct echo_rival *rival)
{
    struct pollfd pipe_in = {.fd = rival->ready[0], .events = POLLIN};

    for (uint64_t i = 0; i < rival->workers; i++) {
        uint8_t state = WORKER_FAILED;

        if (poll(&pipe_in, 1, START_MS) != 1 || read(rival->ready[0], &state, 1) != 1 ||
            state != WORKER_READY) {
            echo_rival_fail(rival, "start", "a worker is not ready");
        }
    }
}

static bool may_send(const struct echo_rival *rival)
{
    return rival->sent < rival->tasks && rival->sent - rival->done < rival->under_way_max;
}

static void send_next(struct echo_rival *rival)
{
    rival->kind->send(rival->link, rival, rival->sent);
    count_up(&rival->sent);
}

static void turn_closed(struct echo_rival *rival)
{
    for (int i = 0; i < ECHO_RIVAL_BURST && may_send(rival); i++) {
        send_next(rival);
    }
    rival->kind->receive(rival->link, rival, may_send(rival) ? 0 : ECHO_RIVAL_STALL_MS);
}

static void send_due(struct echo_rival *rival)
{
    for (uint64_t due = pace_due(&rival->pace); due > 0 && may_send(rival); due--) {
        send_next(rival);
    }
}

static void turn_open(struct echo_rival *rival)
{
    if (!rival->sends_alone && pace_is_due(&rival->pace, bench_now_ns())) {
        send_due(rival);
    }
    rival->kind->receive(rival->link, rival, ECHO_RIVAL_STALL_MS);
}

/* The thread of one that sends alone. */
static void *send_all(void *arg)
{
    struct echo_rival *rival = arg;
    struct pollfd due = {.fd = rival->pace.fd, .events = POLLIN};

    while (rival->sent < rival->tasks && !rival->over) {
        if (poll(&due, 1, ECHO_RIVAL_STALL_MS) == 1) {
            send_due(rival);
        }
    }
    return NULL;
}

static void show_progress(struct echo_rival *rival, uint64_t now_ns)
{
    static uint64_t next_ns;
    char text[64];

    if (rival->progress.tty && now_ns >= next_ns) {
        next_ns = now_ns + PROGRESS_NS;
        snprintf(text, sizeof(text), "%llu of %llu tasks", (unsigned long long)rival->done,
                 (unsigned long long)rival->tasks);
        progress_set(&rival->progress, text);
    }
}

/* Submits and receives until all tasks have been answered, or nothing comes any more. */
static void run(struct echo_rival *rival)
{
    void (*turn)(struct echo_rival *) = rival->pace.fd >= 0 ? turn_open : turn_closed;
    uint64_t moved_ns = bench_now_ns();

    progress_init(&rival->progress, "starting");
    while (rival->done < rival->tasks) {
        uint64_t before = rival->sent + rival->done, now_ns;

        turn(rival);
        now_ns = bench_now_ns();
        if (rival->sent + rival->done != before) {
            moved_ns = now_ns;
        } else if (now_ns - moved_ns >= ECHO_RIVAL_STALL_MS * UINT64_C(1000000)) {
            break;
        }
        show_progress(rival, now_ns);
    }
    progress_clear(&rival->progress);
}

/* The same, each task when it is due. */
static void run_open(struct echo_rival *rival)
{
    pthread_t sender;

    if (!pace_open(&rival->pace)) {
        echo_rival_fail(rival, "timer", strerror(errno));
    }
    rival->under_way_max = PACE_UNDER_WAY_MAX;
    pace_start(&rival->pace, rival->rate, rival->tasks);
    if (rival->sends_alone && pthread_create(&sender, NULL, send_all, rival) != 0) {
        echo_rival_fail(rival, "submitter", "no thread");
    }
    run(rival);
    rival->over = true;
    if (rival->sends_alone) {
        pthread_join(sender, NULL);
    }
    pace_close(&rival->pace);
}

static void pass_init(struct echo_rival *rival, uint64_t tasks)
{
    rival->tasks = tasks;
    rival->under_way_max = rival->window;
    rival->sent = rival->done = rival->failed = rival->late = 0;
    rival->over = false;
    rival->begun_ns = calloc(tasks, sizeof(rival->begun_ns[0]));
    histogram_init(&rival->latency_ns);
    if (rival->begun_ns == NULL || !echo_check_init(&rival->check, tasks, rival->payload_bytes)) {
        echo_rival_fail(rival, "submitter", "no memory");
    }
}

static void pass_deinit(struct echo_rival *rival)
{
    echo_check_deinit(&rival->check);
    free(rival->begun_ns);
}

static double server_cpu_s(const struct echo_rival *rival)
{
    return rival->server > 0 ? bench_cpu_s(rival->server) : CPU_UNKNOWN;
}

static double workers_cpu_s(const struct echo_rival *rival)
{
    double sum = 0;

    for (uint64_t i = 0; i < rival->workers; i++) {
        sum += bench_cpu_s(children_at(rival->first_worker + i));
    }
    return sum;
}

static void warm_up(struct echo_rival *rival)
{
    pass_init(rival, rival->window);
    run(rival);
    if (rival->done < rival->tasks) {
        echo_rival_fail(rival, "first window", "tasks were lost; is something else at the server?");
    }
    pass_deinit(rival);
}

static bool measure(struct echo_rival *rival, uint64_t tasks)
{
    struct bench_result result = {.bench = rival->bench,
                                  .transport = rival->transport,
                                  .payload_bytes = rival->payload_bytes,
                                  .window = rival->window,
                                  .workers = rival->workers,
                                  .tasks = tasks,
                                  .rate = rival->rate};
    double server_s, workers_s, submitter_s;
    uint64_t begun_ns;
    bool good;

    pass_init(rival, tasks);
    server_s = server_cpu_s(rival);
    workers_s = workers_cpu_s(rival);
    submitter_s = bench_cpu_s(0);
    begun_ns = bench_now_ns();
    if (rival->rate > 0) {
        run_open(rival);
    } else {
        run(rival);
    }
    result.wall_s = (double)(bench_now_ns() - begun_ns) / 1e9;
    result.broker_cpu_s = server_s < 0 ? CPU_UNKNOWN : server_cpu_s(rival) - server_s;
    result.workers_cpu_s = workers_cpu_s(rival) - workers_s;
    result.submitter_cpu_s = bench_cpu_s(0) - submitter_s;
    result.failed = rival->failed;
    result.late = rival->late;
    result.check = &rival->check;
    result.latency_ns = &rival->latency_ns;
    bench_result_print(&result, stdout, rival->json);
    good = bench_result_good(&result);
    pass_deinit(rival);
    return good;
}

static void print_help(const struct echo_rival_kind *kind, const struct option_set sets[2])
{
    printf("usage: %s [options]\n\n%s\n\n", kind->program, kind->about);
    options_print(&sets[0], stdout);
    options_print(&sets[1], stdout);
}

_Noreturn static void refuse(const struct echo_rival_kind *kind, const char *problem)
{
    fprintf(stderr, "%s: %s; --help says more\n", kind->program, problem);
    exit(2);
}

static void parse(struct echo_rival *rival, uint64_t *tasks, int argc, char **argv)
{
    const struct echo_rival_kind *kind = rival->kind;
    uint64_t server = 0;
    bool help = false;
    struct option_spec specs[] = {
        OPTION_UINT_SPEC("payload", &rival->payload_bytes, "BYTES", ECHO_PAYLOAD_MIN,
                         16 * 1024 * 1024, "size of a payload (64)"),
        OPTION_UINT_SPEC("window", &rival->window, "N", 1, 1000000, "tasks under way (1000)"),
        OPTION_UINT_SPEC("workers", &rival->workers, "N", kind->alone ? 0 : 1, WORKERS_MAX,
                         "worker processes (2)"),
        OPTION_UINT_SPEC("tasks", tasks, "N", 1, 1000000000, "how many (1000000)"),
        OPTION_UINT_SPEC("rate", &rival->rate, "N", 1, RATE_MAX,
                         "tasks a second, whatever comes back: an open loop"),
        OPTION_FLAG_SPEC("json", &rival->json, "one JSON object on one line"),
        OPTION_FLAG_SPEC("help", &help, "this text"),
        OPTION_UINT_SPEC("port", &rival->port, "PORT", 1, 65535, "of the server on 127.0.0.1"),
        OPTION_UINT_SPEC("server-pid", &server, "PID", 1, INT32_MAX, "whose CPU time to tell"),
    };
    size_t count = sizeof(specs) / sizeof(specs[0]);
    struct option_set none = {NULL, 0};
    struct option_set sets[2] = {{specs, kind->start != NULL ? count - 2 : count},
                                 kind->options != NULL ? *kind->options : none};
    struct arguments arguments = {.count = 0};
    char problem[256];

    if (options_parse(sets, argc - 1, argv + 1, false, &arguments, problem, sizeof(problem)) < 0) {
        refuse(kind, problem);
    }
    if (help) {
        print_help(kind, sets);
        exit(0);
    }
    if (arguments.count > 0) {
        refuse(kind, "it takes no arguments");
    }
    if (kind->start == NULL && rival->port == 0) {
        refuse(kind, "--port is needed: where does the server listen?");
    }
    if (rival->rate > 0 && !kind->paced) {
        refuse(kind, "--rate: it has no open loop");
    }
    rival->server = (pid_t)server;
}

int echo_rival_main(const struct echo_rival_kind *kind, int argc, char **argv)
{
    static struct echo_rival rival; /* a histogram is too large for the stack */
    uint64_t tasks = 1000000;
    bool good;

    rival = (struct echo_rival){.kind = kind,
                                .bench = kind->name,
                                .transport = "tcp",
                                .payload_bytes = 64,
                                .window = 1000,
                                .pace = {.fd = -1},
                                .workers = 2};
    parse(&rival, &tasks, argc, argv);
    heap_keep(); /* as sluice does: one malloc for all */
    children_init(kind->tidy);
    if (kind->start != NULL) {
        kind->start(&rival);
    }
    start_workers(&rival);
    await_workers(&rival);
    rival.link = kind->open(&rival);
    warm_up(&rival);
    good = measure(&rival, tasks);
    kind->close(rival.link);
    return good ? 0 : 1;
}
