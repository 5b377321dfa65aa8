#include "tests/bench/rival.h"

#include "tests/bench/children.h"

#include <errno.h>
#include <getopt.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define WORKERS_MAX 64
#define PASSES 2 /* a window of tasks unmeasured, then all of them */

struct tally {
    uint64_t received, duplicated, corrupt; /* written when a pass is over */
    double cpu_s;
    char padding[32]; /* a cache line each */
};

/* What this process and the workers both see. */
struct rival_shared {
    sem_t opened;          /* the queue is there: once for each worker */
    sem_t reached;         /* a worker is ready for a pass, or has ended it */
    _Atomic uint64_t done; /* tasks of this pass that were acknowledged */
    struct tally tallies[WORKERS_MAX];
    size_t size;            /* of the mapping */
    _Atomic uint8_t seen[]; /* a bit for each task of this pass, of all workers together */
};

static bool as_json;

_Noreturn void rival_fail(const struct rival_kind *kind, const char *what, const char *why)
{
    fprintf(stderr, "sluice-bench-%s: %s: %s\n", kind->name, what, why);
    exit(1);
}

void rival_fill(struct rival *rival, uint64_t sequence, uint8_t *payload)
{
    echo_check_fill(&rival->check, sequence, payload);
    rival->sent_ns[sequence] = bench_now_ns();
}

void rival_confirm(struct rival *rival, uint64_t sequence)
{
    if (sequence < rival->tasks && rival->sent_ns[sequence] != 0) {
        histogram_add(&rival->confirm_ns, bench_now_ns() - rival->sent_ns[sequence]);
        rival->sent_ns[sequence] = 0;
        rival->confirmed++;
    }
}

void rival_judge(struct rival *rival, const void *data, size_t size)
{
    uint64_t sequence;

    echo_check_reply(&rival->check, data, size, &sequence);
}

static void rival_wait(const struct rival *rival, sem_t *semaphore, const char *what)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 6 * RIVAL_STALL_MS / 1000;
    while (sem_timedwait(semaphore, &until) != 0) {
        if (errno != EINTR) {
            rival_fail(rival->kind, what, strerror(errno));
        }
    }
}

/* Another worker may have got the same task: that is a duplicate too. */
static void add_up(struct rival *rival, struct tally *tally)
{
    const struct echo_check *check = &rival->check;
    uint64_t again = 0;

    for (size_t i = 0; i < rival->tasks / 8 + 1; i++) {
        uint8_t before = atomic_fetch_or(&rival->shared->seen[i], check->seen[i]);

        again += (uint64_t)__builtin_popcount(before & check->seen[i]);
    }
    tally->received = check->received - again;
    tally->duplicated = check->duplicated + again;
    tally->corrupt = check->corrupt;
}

static void work(struct rival *rival, void *queue, struct tally *tally)
{
    struct rival_shared *shared = rival->shared;
    uint64_t busy_ns = bench_now_ns();

    while (atomic_load(&shared->done) < rival->tasks) {
        uint64_t count = rival->kind->serve(queue, rival);

        if (count > 0) {
            atomic_fetch_add(&shared->done, count);
            busy_ns = bench_now_ns();
        } else if (bench_now_ns() - busy_ns > UINT64_C(1000000) * RIVAL_STALL_MS) {
            break; /* what is missing is lost */
        }
    }
    rival->kind->settle(queue);
    tally->cpu_s += bench_cpu_s(0);
}

_Noreturn static void run_worker(struct rival *rival, size_t number)
{
    const uint64_t tasks[PASSES] = {rival->window, rival->tasks};
    struct tally *tally = &rival->shared->tallies[number];
    void *queue;

    rival_wait(rival, &rival->shared->opened, "the queue");
    queue = rival->kind->attach(rival);
    for (size_t i = 0; i < PASSES; i++) {
        rival->tasks = tasks[i];
        if (!echo_check_init(&rival->check, rival->tasks, rival->payload_bytes)) {
            rival_fail(rival->kind, "worker", "no memory");
        }
        tally->cpu_s = -bench_cpu_s(0);
        sem_post(&rival->shared->reached);
        work(rival, queue, tally);
        add_up(rival, tally);
        echo_check_deinit(&rival->check);
        sem_post(&rival->shared->reached);
        /* The next pass begins when the submitter says so: it sets `done` back. */
        rival_wait(rival, &rival->shared->opened, "the next pass");
    }
    _exit(0);
}

static void start_workers(struct rival *rival)
{
    for (size_t i = 0; i < rival->workers; i++) {
        pid_t pid = children_start();

        if (pid < 0) {
            rival_fail(rival->kind, "fork", strerror(errno));
        }
        if (pid == 0) {
            run_worker(rival, i);
        }
    }
}

static void share(struct rival *rival)
{
    size_t most = rival->tasks > rival->window ? rival->tasks : rival->window;
    size_t size = sizeof(struct rival_shared) + most / 8 + 1;

    rival->shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (rival->shared == MAP_FAILED || sem_init(&rival->shared->opened, 1, 0) != 0 ||
        sem_init(&rival->shared->reached, 1, 0) != 0) {
        rival_fail(rival->kind, "shared memory", strerror(errno));
    }
    rival->shared->size = size;
}

static void post_workers(struct rival *rival)
{
    for (uint64_t i = 0; i < rival->workers; i++) {
        sem_post(&rival->shared->opened);
    }
}

static void await_workers(struct rival *rival, const char *what)
{
    for (uint64_t i = 0; i < rival->workers; i++) {
        rival_wait(rival, &rival->shared->reached, what);
    }
}

/* Servers answer before they have worked off what they got. */
static uint64_t await_empty(const struct rival *rival, void *queue)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    uint64_t left = rival->kind->left(queue);

    for (int i = 0; left > 0 && i < RIVAL_STALL_MS; i++) {
        nanosleep(&pause, NULL);
        left = rival->kind->left(queue);
    }
    return left;
}

/* CPU time that a million tasks took of one party. */
static void print_cpu(const char *name, double cpu_s, const struct rival *rival, const char *end)
{
    if (cpu_s < 0) {
        printf("\"%s\": null%s", name, end);
    } else {
        printf("\"%s\": %.3f%s", name, cpu_s / (double)rival->tasks * 1e6, end);
    }
}

static bool print(const struct rival *rival, double wall_s, const double cpu_s[3], uint64_t left)
{
    struct tally sum = {0};
    bool good;

    for (uint64_t i = 0; i < rival->workers; i++) {
        sum.received += rival->shared->tallies[i].received;
        sum.duplicated += rival->shared->tallies[i].duplicated;
        sum.corrupt += rival->shared->tallies[i].corrupt;
    }
    good = sum.received == rival->tasks && sum.duplicated == 0 && sum.corrupt == 0 && left == 0;
    if (!as_json) {
        printf("%s: %llu B, window %llu, %llu tasks: %.0f tasks/s\n  confirm    p50 %.0f us  "
               "p99 %.0f us\n  all good: %s\n",
               rival->kind->name, (unsigned long long)rival->payload_bytes,
               (unsigned long long)rival->window, (unsigned long long)rival->tasks,
               (double)sum.received / wall_s,
               (double)histogram_percentile(&rival->confirm_ns, 50) / 1e3,
               (double)histogram_percentile(&rival->confirm_ns, 99) / 1e3, good ? "true" : "false");
        return good;
    }
    printf("{\"bench\": \"%s\", \"payload\": %llu, \"window\": %llu, \"workers\": %llu, "
           "\"tasks\": %llu, \"wall_s\": %.4f, \"tasks_per_s\": %.0f, \"confirm_p50_us\": %.0f, "
           "\"confirm_p99_us\": %.0f, ",
           rival->kind->name, (unsigned long long)rival->payload_bytes,
           (unsigned long long)rival->window, (unsigned long long)rival->workers,
           (unsigned long long)rival->tasks, wall_s, (double)sum.received / wall_s,
           (double)histogram_percentile(&rival->confirm_ns, 50) / 1e3,
           (double)histogram_percentile(&rival->confirm_ns, 99) / 1e3);
    printf("\"lost\": %lld, \"duplicated\": %llu, \"corrupt\": %llu, \"left\": %llu, "
           "\"cpu_s_per_million\": {",
           (long long)(rival->tasks - sum.received), (unsigned long long)sum.duplicated,
           (unsigned long long)sum.corrupt, (unsigned long long)left);
    print_cpu("broker", cpu_s[0], rival, ", ");
    print_cpu("workers", cpu_s[1], rival, ", ");
    print_cpu("submitter", cpu_s[2], rival, "}, ");
    printf("\"good\": %s}\n", good ? "true" : "false");
    return good;
}

static double server_cpu_s(const struct rival *rival)
{
    return rival->server > 0 ? bench_cpu_s(rival->server) : CPU_UNKNOWN;
}

/* One pass; `told`: and its result. */
static bool pass(struct rival *rival, void *queue, uint64_t tasks, bool told)
{
    double cpu_s[3] = {0}, server_s, wall_s;
    uint64_t begin_ns, left;
    bool good = true;

    rival->tasks = tasks;
    rival->confirmed = 0;
    rival->sent_ns = calloc(tasks, sizeof(rival->sent_ns[0]));
    memset(&rival->confirm_ns, 0, sizeof(rival->confirm_ns));
    if (rival->sent_ns == NULL || !echo_check_init(&rival->check, tasks, rival->payload_bytes)) {
        rival_fail(rival->kind, "submitter", "no memory");
    }
    memset((void *)rival->shared->seen, 0, tasks / 8 + 1);
    atomic_store(&rival->shared->done, 0);
    post_workers(rival);
    await_workers(rival, "workers are not ready");
    server_s = server_cpu_s(rival);
    cpu_s[2] = -bench_cpu_s(0);
    begin_ns = bench_now_ns();
    rival->kind->submit(queue, rival);
    await_workers(rival, "workers have not ended");
    left = await_empty(rival, queue);
    wall_s = (double)(bench_now_ns() - begin_ns) / 1e9;
    cpu_s[0] = server_s < 0 ? CPU_UNKNOWN : server_cpu_s(rival) - server_s;
    cpu_s[2] += bench_cpu_s(0);
    for (uint64_t i = 0; i < rival->workers; i++) {
        cpu_s[1] += rival->shared->tallies[i].cpu_s;
    }
    if (told) {
        good = print(rival, wall_s, cpu_s, left);
    }
    echo_check_deinit(&rival->check);
    free(rival->sent_ns);
    return good;
}

static const char usage[] =
    "usage: sluice-bench-%s --port PORT [--payload BYTES] [--window N] [--workers N]\n"
    "           [--tasks N] [--server-pid PID] [--json]\n"
    "\n"
    "The shape of `sluice bench durable` on a server at 127.0.0.1:PORT. It makes a queue there\n"
    "and removes it. With the pid of the server the CPU time that it takes is told.\n";

static uint64_t parse_count(const struct rival *rival, const char *text, uint64_t min, uint64_t max)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || value < min || value > max) {
        fprintf(stderr, "sluice-bench-%s: %s: a number from %llu to %llu is needed\n",
                rival->kind->name, text, (unsigned long long)min, (unsigned long long)max);
        exit(2);
    }
    return value;
}

static void parse(struct rival *rival, int argc, char **argv)
{
    static const struct option names[] = {
        {"payload", required_argument, NULL, 'p'},
        {"window", required_argument, NULL, 'w'},
        {"workers", required_argument, NULL, 'n'},
        {"tasks", required_argument, NULL, 't'},
        {"port", required_argument, NULL, 'P'},
        {"server-pid", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int found;

    while ((found = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (found) {
        case 'p':
            rival->payload_bytes = parse_count(rival, optarg, ECHO_PAYLOAD_MIN, 1024 * 1024);
            break;
        case 'w':
            rival->window = parse_count(rival, optarg, 1, 100000);
            break;
        case 'n':
            rival->workers = parse_count(rival, optarg, 1, WORKERS_MAX);
            break;
        case 't':
            rival->tasks = parse_count(rival, optarg, 1, 1000000000);
            break;
        case 'P':
            rival->port = parse_count(rival, optarg, 1, 65535);
            break;
        case 's':
            rival->server = (pid_t)parse_count(rival, optarg, 1, INT32_MAX);
            break;
        case 'j':
            as_json = true;
            break;
        default:
            fprintf(found == 'h' ? stdout : stderr, usage, rival->kind->name);
            exit(found == 'h' ? 0 : 2);
        }
    }
    if (optind != argc || rival->port == 0) {
        fprintf(stderr, usage, rival->kind->name);
        exit(2);
    }
}

int rival_main(const struct rival_kind *kind, int argc, char **argv)
{
    static struct rival rival; /* a histogram is too large for the stack */
    uint64_t tasks;
    void *queue;
    bool good;

    rival = (struct rival){
        .kind = kind, .payload_bytes = 64, .window = 1000, .workers = 2, .tasks = 200000};
    parse(&rival, argc, argv);
    tasks = rival.tasks;
    children_init(NULL);
    share(&rival);
    start_workers(&rival);
    queue = kind->open(&rival);
    pass(&rival, queue, rival.window, false);
    good = pass(&rival, queue, tasks, true);
    kind->close(queue);
    return good ? 0 : 1;
}
