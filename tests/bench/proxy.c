/* The floor that `sluice bench echo` is measured against: the classic ZeroMQ
 * request-reply broker, zmq_proxy between a ROUTER and a DEALER, with the same
 * processes (one proxy, N echo workers, one pipelined submitter), payloads,
 * window and checks. It does nothing but pass messages: no tasks, no bounds, no
 * answer when a worker dies. One message per task, for zmq_proxy cannot batch.
 *
 * All processes are forked from this one before it has a ZeroMQ context, and
 * die with it. Raw zmq_msg everywhere; a worker moves messages without copying. */
#include "cli/bench_result.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#define WORKERS_MAX 64
#define IO_BURST 256          /* messages between looks at the other direction */
#define STALL_MS 10000        /* no reply for so long: what is missing is lost */
#define ENDPOINT_SIZE 256

struct floor_options {
    uint64_t payload_bytes, window, workers, tasks;
    const char *transport;
    bool json;
};

static pid_t children[1 + WORKERS_MAX];
static size_t child_count;
static pid_t owner; /* who ends the children and removes the directory */
static char directory[ENDPOINT_SIZE]; /* of ipc endpoints */

_Noreturn static void fail(const char *what)
{
    fprintf(stderr, "sluice-bench-proxy: %s: %s\n", what, zmq_strerror(errno));
    exit(1);
}

/* Async-signal-safe: also called from the handler below. */
static void end_children(void)
{
    if (getpid() != owner) {
        return;
    }
    for (size_t i = 0; i < child_count; i++) {
        kill(children[i], SIGKILL);
    }
    for (size_t i = 0; i < child_count; i++) {
        while (waitpid(children[i], NULL, 0) < 0 && errno == EINTR) {
        }
    }
    child_count = 0;
    if (directory[0] != '\0' && chdir(directory) == 0) {
        unlink("front");
        unlink("back");
        rmdir(directory);
    }
}

static void end_on_signal(int number)
{
    end_children();
    _exit(128 + number);
}

static void *open_socket(void *context, int type)
{
    void *socket = zmq_socket(context, type);
    int none = 0;

    /* No high water mark: the window bounds what is under way, and a DEALER that
     * met its mark would make the proxy wait, which is not what is measured. */
    if (socket == NULL || zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof(none)) != 0 ||
        zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof(none)) != 0 ||
        zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none)) != 0) {
        fail("socket");
    }
    return socket;
}

/* Binds where asked and writes where that turned out to be into `endpoint`. */
static void bind_socket(void *socket, const struct floor_options *options, const char *name,
                        char *endpoint)
{
    size_t size = ENDPOINT_SIZE;

    if (strcmp(options->transport, "ipc") == 0) {
        snprintf(endpoint, ENDPOINT_SIZE, "ipc://%.200s/%s", directory, name);
    } else {
        snprintf(endpoint, ENDPOINT_SIZE, "tcp://127.0.0.1:*");
    }
    if (zmq_bind(socket, endpoint) != 0 ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0) {
        fail("bind");
    }
}

/* The proxy process: tells its two endpoints through `ready`, then passes messages. */
_Noreturn static void run_proxy(const struct floor_options *options, int ready)
{
    char endpoints[2][ENDPOINT_SIZE] = {{0}};
    void *context = zmq_ctx_new();
    void *front = open_socket(context, ZMQ_ROUTER);
    void *back = open_socket(context, ZMQ_DEALER);

    bind_socket(front, options, "front", endpoints[0]);
    bind_socket(back, options, "back", endpoints[1]);
    if (write(ready, endpoints, sizeof(endpoints)) != sizeof(endpoints)) {
        fail("pipe");
    }
    zmq_proxy(front, back, NULL);
    exit(0);
}

/* Receives one message of the submitter's id and the payload and sends both back. */
static bool echo_one(void *socket)
{
    zmq_msg_t part;
    int more = 1;

    while (more) {
        zmq_msg_init(&part);
        if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&part);
            return false;
        }
        more = zmq_msg_more(&part);
        if (zmq_msg_send(&part, socket, more ? ZMQ_SNDMORE : 0) < 0) {
            fail("worker");
        }
    }
    return true;
}

_Noreturn static void run_worker(const char *endpoint)
{
    void *context = zmq_ctx_new();
    void *socket = open_socket(context, ZMQ_DEALER);
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};

    if (zmq_connect(socket, endpoint) != 0) {
        fail("connect");
    }
    for (;;) {
        if (zmq_poll(&item, 1, -1) < 0) {
            fail("poll");
        }
        while (echo_one(socket)) {
        }
    }
}

static pid_t start_child(void)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid < 0) {
        fail("fork");
    }
    if (pid == 0) {
        child_count = 0;
        signal(SIGINT, SIG_IGN);     /* the parent ends us */
        signal(SIGTERM, SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
        return 0;
    }
    children[child_count++] = pid;
    return pid;
}

static void start_processes(const struct floor_options *options, char front[ENDPOINT_SIZE])
{
    char endpoints[2][ENDPOINT_SIZE];
    int ready[2];

    if (pipe(ready) != 0) {
        fail("pipe");
    }
    if (start_child() == 0) {
        close(ready[0]);
        run_proxy(options, ready[1]);
    }
    close(ready[1]);
    if (read(ready[0], endpoints, sizeof(endpoints)) != sizeof(endpoints)) {
        fail("the proxy did not start");
    }
    close(ready[0]);
    for (uint64_t i = 0; i < options->workers; i++) {
        if (start_child() == 0) {
            run_worker(endpoints[1]);
        }
    }
    memcpy(front, endpoints[0], ENDPOINT_SIZE);
}

struct submitter {
    void *socket;
    struct echo_check check;
    struct histogram latency_ns;
    uint64_t *sent_ns; /* of each sequence number */
    uint64_t sent, done;
    uint64_t window;
};

static bool send_some(struct submitter *submitter, uint64_t tasks)
{
    bool any = false;

    for (int i = 0; i < IO_BURST && submitter->sent < tasks &&
                    submitter->sent - submitter->done < submitter->window;
         i++) {
        zmq_msg_t message;

        if (zmq_msg_init_size(&message, submitter->check.payload_bytes) != 0) {
            fail("memory");
        }
        echo_check_fill(&submitter->check, submitter->sent, zmq_msg_data(&message));
        submitter->sent_ns[submitter->sent] = bench_now_ns();
        if (zmq_msg_send(&message, submitter->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&message);
            break;
        }
        submitter->sent++;
        any = true;
    }
    return any;
}

static bool receive_some(struct submitter *submitter)
{
    zmq_msg_t message;
    uint64_t sequence;
    int i;

    zmq_msg_init(&message);
    for (i = 0; i < IO_BURST; i++) {
        if (zmq_msg_recv(&message, submitter->socket, ZMQ_DONTWAIT) < 0) {
            break;
        }
        submitter->done++;
        if (echo_check_reply(&submitter->check, zmq_msg_data(&message), zmq_msg_size(&message),
                             &sequence)) {
            histogram_add(&submitter->latency_ns, bench_now_ns() - submitter->sent_ns[sequence]);
        }
    }
    zmq_msg_close(&message);
    return i > 0;
}

/* Sends and receives until `tasks` have been answered, or nothing comes any more. */
static void run_submitter(struct submitter *submitter, uint64_t tasks)
{
    zmq_pollitem_t item = {.socket = submitter->socket, .events = ZMQ_POLLIN};

    while (submitter->done < tasks) {
        bool busy = send_some(submitter, tasks);

        busy = receive_some(submitter) || busy;
        if (!busy && zmq_poll(&item, 1, STALL_MS) == 0) {
            return;
        }
    }
}

static void submitter_init(struct submitter *submitter, const struct floor_options *options,
                           uint64_t tasks, void *socket)
{
    memset(submitter, 0, sizeof(*submitter));
    submitter->socket = socket;
    submitter->window = options->window;
    submitter->sent_ns = calloc(tasks, sizeof(submitter->sent_ns[0]));
    if (submitter->sent_ns == NULL ||
        !echo_check_init(&submitter->check, tasks, options->payload_bytes)) {
        fail("memory");
    }
}

static void submitter_deinit(struct submitter *submitter)
{
    echo_check_deinit(&submitter->check);
    free(submitter->sent_ns);
}

static double workers_cpu_s(void)
{
    double sum = 0;

    for (size_t i = 1; i < child_count; i++) {
        sum += bench_cpu_s(children[i]);
    }
    return sum;
}

static bool measure(const struct floor_options *options, void *socket)
{
    static struct submitter submitter; /* the histogram is too large for a stack */
    struct bench_result result = {.bench = "zmq_proxy",
                                  .transport = options->transport,
                                  .payload_bytes = options->payload_bytes,
                                  .window = options->window,
                                  .workers = options->workers,
                                  .tasks = options->tasks};
    uint64_t begin_ns;
    bool good;

    /* Every worker has to be connected before the clock starts: the DEALER deals
     * round robin, so a full window of answers shows that all of them take part
     * or that the late ones are connected by now. */
    submitter_init(&submitter, options, options->window, socket);
    run_submitter(&submitter, options->window);
    submitter_deinit(&submitter);

    submitter_init(&submitter, options, options->tasks, socket);
    result.broker_cpu_s = -bench_cpu_s(children[0]);
    result.workers_cpu_s = -workers_cpu_s();
    result.submitter_cpu_s = -bench_cpu_s(0);
    begin_ns = bench_now_ns();
    run_submitter(&submitter, options->tasks);
    result.wall_s = (double)(bench_now_ns() - begin_ns) / 1e9;
    result.broker_cpu_s += bench_cpu_s(children[0]);
    result.workers_cpu_s += workers_cpu_s();
    result.submitter_cpu_s += bench_cpu_s(0);
    result.check = &submitter.check;
    result.latency_ns = &submitter.latency_ns;
    bench_result_print(&result, stdout, options->json);
    good = bench_result_good(&result);
    submitter_deinit(&submitter);
    return good;
}

static const char usage[] =
    "usage: sluice-bench-proxy [--payload BYTES] [--window N] [--workers N] [--tasks N]\n"
    "                          [--transport tcp|ipc] [--json]\n"
    "\n"
    "Echo through zmq_proxy(ROUTER, DEALER): the floor for `sluice bench echo`.\n";

static uint64_t parse_count(const char *text, uint64_t min, uint64_t max)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || value < min || value > max) {
        fprintf(stderr, "sluice-bench-proxy: %s: a number from %llu to %llu is needed\n", text,
                (unsigned long long)min, (unsigned long long)max);
        exit(2);
    }
    return value;
}

static void parse(struct floor_options *options, int argc, char **argv)
{
    static const struct option names[] = {
        {"payload", required_argument, NULL, 'p'},   {"window", required_argument, NULL, 'w'},
        {"workers", required_argument, NULL, 'n'},   {"tasks", required_argument, NULL, 't'},
        {"transport", required_argument, NULL, 'x'}, {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},            {NULL, 0, NULL, 0},
    };
    int found;

    while ((found = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (found) {
        case 'p':
            options->payload_bytes = parse_count(optarg, ECHO_PAYLOAD_MIN, 16 * 1024 * 1024);
            break;
        case 'w':
            options->window = parse_count(optarg, 1, 1000000);
            break;
        case 'n':
            options->workers = parse_count(optarg, 1, WORKERS_MAX);
            break;
        case 't':
            options->tasks = parse_count(optarg, 1, 1000000000);
            break;
        case 'x':
            options->transport = optarg;
            break;
        case 'j':
            options->json = true;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            fputs(usage, stderr);
            exit(2);
        }
    }
    if (optind != argc ||
        (strcmp(options->transport, "tcp") != 0 && strcmp(options->transport, "ipc") != 0)) {
        fputs(usage, stderr);
        exit(2);
    }
}

static void make_directory(void)
{
    const char *base = getenv("TMPDIR");

    snprintf(directory, sizeof(directory), "%.60s/sluice-floor-XXXXXX",
             base != NULL && base[0] == '/' ? base : "/tmp");
    if (mkdtemp(directory) == NULL) {
        directory[0] = '\0';
        fail("a directory for the sockets");
    }
}

int main(int argc, char **argv)
{
    struct floor_options options = {
        .payload_bytes = 64, .window = 1000, .workers = 2, .tasks = 1000000, .transport = "tcp"};
    struct sigaction action = {.sa_handler = end_on_signal};
    char front[ENDPOINT_SIZE];
    void *context, *socket;
    bool good;

    parse(&options, argc, argv);
    owner = getpid();
    make_directory();
    atexit(end_children);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    start_processes(&options, front);
    context = zmq_ctx_new();
    socket = open_socket(context, ZMQ_DEALER);
    if (zmq_connect(socket, front) != 0) {
        fail("connect");
    }
    good = measure(&options, socket);
    zmq_close(socket);
    zmq_ctx_term(context);
    return good ? 0 : 1;
}
