#include "cli/fleet.h"

#include "cli/bench_result.h"
#include "cli/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATH_SIZE 4096
#define START_MS 10000 /* a broker that does not listen by then never will */
#define BROKER_ARGUMENTS_MAX 32
#define HELPER_ARGUMENTS_MAX 32
#define RESTART_MS 600000 /* of a broker that has a store to read */
#define STORE_FILES 4
#define STOP_MS 2000   /* to leave in good order */
#define LOOK_MS 2      /* between two looks at something that has no event */

static struct fleet {
    pid_t owner;
    pid_t broker; /* 0: none of ours */
    pid_t workers[FLEET_WORKERS_MAX];
    size_t worker_count;
    struct fleet_helper helpers[FLEET_HELPERS_MAX];
    size_t helper_count;
    char directory[128]; /* of an ipc endpoint; empty: none */
    const char *const *broker_options;
    char store[STORE_FILES][512]; /* all that SQLite may make of it; empty: none */
    char endpoint[256];
} fleet;

static void sleep_ms(long ms)
{
    struct timespec time = {.tv_nsec = ms * 1000000};

    nanosleep(&time, NULL);
}

/* Async-signal-safe, as all that the handler below calls. */
static void kill_now(void)
{
    for (size_t i = 0; i < fleet.worker_count; i++) {
        kill(fleet.workers[i], SIGKILL);
    }
    for (size_t i = 0; i < fleet.helper_count; i++) {
        if (fleet.helpers[i].pid > 0) {
            kill(fleet.helpers[i].pid, SIGKILL);
        }
    }
    if (fleet.broker > 0) {
        kill(fleet.broker, SIGKILL);
    }
}

static void remove_files(void)
{
    for (size_t i = 0; i < STORE_FILES; i++) {
        if (fleet.store[i][0] != '\0') {
            unlink(fleet.store[i]);
        }
    }
    if (fleet.directory[0] != '\0' && chdir(fleet.directory) == 0) {
        unlink("broker");
        rmdir(fleet.directory);
        fleet.directory[0] = '\0';
    }
}

static void on_signal(int number)
{
    kill_now();
    remove_files();
    _exit(128 + number);
}

/* Waits until `pid` has ended, kills it after wait_ms. True: it ended well. */
static bool process_end(pid_t pid, uint64_t wait_ms)
{
    int status = 0;

    for (uint64_t waited_ms = 0; waited_ms < wait_ms; waited_ms += LOOK_MS) {
        pid_t ended = waitpid(pid, &status, WNOHANG);

        if (ended == pid || (ended < 0 && errno == ECHILD)) {
            return ended == pid && status == 0;
        }
        sleep_ms(LOOK_MS);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return false;
}

bool fleet_dismiss(struct fleet_helper *helper)
{
    bool good;

    if (helper->pid == 0) {
        return true;
    }
    close(helper->in);
    close(helper->out);
    good = process_end(helper->pid, STOP_MS);
    helper->pid = 0;
    return good;
}

void fleet_stop(void)
{
    if (fleet.owner != getpid()) {
        return; /* a child between fork and exec */
    }
    for (size_t i = 0; i < fleet.worker_count; i++) {
        kill(fleet.workers[i], SIGTERM);
    }
    for (size_t i = 0; i < fleet.worker_count; i++) {
        process_end(fleet.workers[i], STOP_MS);
    }
    fleet.worker_count = 0;
    for (size_t i = 0; i < fleet.helper_count; i++) {
        if (fleet.helpers[i].pid > 0) {
            kill(fleet.helpers[i].pid, SIGTERM); /* not all of them look at their input */
        }
        fleet_dismiss(&fleet.helpers[i]);
    }
    fleet.helper_count = 0;
    if (fleet.broker > 0) {
        kill(fleet.broker, SIGTERM);
        process_end(fleet.broker, STOP_MS);
        fleet.broker = 0;
    }
    remove_files();
}

static void fleet_guard(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal};

    fleet.owner = getpid();
    signal(SIGPIPE, SIG_IGN); /* a helper may have ended; the child takes it back */
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        sigaction(numbers[i], &action, NULL);
    }
    atexit(fleet_stop);
}

/* In the child: dies with its parent, hears no Ctrl-C, talks on standard error only, or through
 * `pipes` (NULL: none). */
_Noreturn static void child_exec(pid_t parent, char *const argv[], const int pipes[2])
{
    int nowhere = open("/dev/null", O_RDWR);

    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1);
    }
    dup2(pipes != NULL ? pipes[0] : nowhere, STDIN_FILENO);
    dup2(pipes != NULL ? pipes[1] : nowhere, STDOUT_FILENO);
    execvp(argv[0], argv);
    fprintf(stderr, "sluice bench: %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static pid_t child_start(char *const argv[], const int pipes[2])
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid == 0) {
        child_exec(parent, argv, pipes);
    }
    if (pid < 0) {
        fprintf(stderr, "sluice bench: fork: %s\n", strerror(errno));
    }
    return pid;
}

/* A port that was free a moment ago; 0: none. */
static unsigned port_find(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unsigned port = 0;

    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &size) == 0) {
        port = ntohs(address.sin_port);
    }
    if (fd >= 0) {
        close(fd);
    }
    return port;
}

static bool endpoint_choose(const char *transport)
{
    const char *base = getenv("TMPDIR");
    unsigned port;

    if (strcmp(transport, "tcp") == 0) {
        port = port_find();
        snprintf(fleet.endpoint, sizeof(fleet.endpoint), "tcp://127.0.0.1:%u", port);
        return port != 0;
    }
    /* A unix socket's path has 107 bytes at most: a long TMPDIR is no use. */
    if (base == NULL || base[0] != '/' || strlen(base) > 60) {
        base = "/tmp";
    }
    snprintf(fleet.directory, sizeof(fleet.directory), "%s/sluice-bench-XXXXXX", base);
    if (mkdtemp(fleet.directory) == NULL) {
        fleet.directory[0] = '\0';
        return false;
    }
    snprintf(fleet.endpoint, sizeof(fleet.endpoint), "ipc://%s/broker", fleet.directory);
    return true;
}

/* sluice-broker beside this program, else wherever PATH finds it. */
static const char *broker_path(char path[PATH_SIZE])
{
    ssize_t size = readlink("/proc/self/exe", path, PATH_SIZE - 32);
    char *slash;

    if (size > 0) {
        path[size] = '\0';
        slash = strrchr(path, '/');
        strcpy(slash + 1, "sluice-broker");
        if (access(path, X_OK) == 0) {
            return path;
        }
    }
    return "sluice-broker";
}

static bool broker_start(uint64_t wait_ms)
{
    char path[PATH_SIZE], reason[160] = "";
    char *argv[BROKER_ARGUMENTS_MAX] = {(char *)broker_path(path), "--endpoint", fleet.endpoint,
                                        "--log-level", "warn"};
    const char *const *options = fleet.broker_options;
    size_t count = 5;

    while (options != NULL && *options != NULL && count + 3 < BROKER_ARGUMENTS_MAX) {
        argv[count++] = (char *)*options++;
    }
    if (fleet.store[0][0] != '\0') {
        argv[count++] = "--store";
        argv[count++] = fleet.store[0];
    }
    fleet.broker = child_start(argv, NULL);
    if (fleet.broker < 0) {
        fleet.broker = 0;
        return false;
    }
    for (uint64_t waited_ms = 0; waited_ms < wait_ms; waited_ms += LOOK_MS) {
        if (!fleet_intact()) {
            fprintf(stderr, "sluice bench: the private broker ended at its start\n");
            return false;
        }
        if (endpoint_probe(fleet.endpoint, 1000, reason, sizeof(reason)) == ENDPOINT_LISTENS) {
            return true;
        }
        sleep_ms(LOOK_MS);
    }
    fprintf(stderr, "sluice bench: the private broker does not listen: %s\n", reason);
    return false;
}

static bool workers_start(const struct fleet_options *options)
{
    char work_ms[24], credit[24], services[24];
    char *argv[] = {"/proc/self/exe",  "bench-worker",           "--broker",  fleet.endpoint,
                    "--service",       (char *)options->service, "--work",    (char *)options->work,
                    "--work-ms",       work_ms,                  "--credit",  credit,
                    "--services",      services,                 NULL};

    snprintf(work_ms, sizeof(work_ms), "%llu", (unsigned long long)options->work_ms);
    snprintf(services, sizeof(services), "%llu", (unsigned long long)options->services);
    snprintf(credit, sizeof(credit), "%llu", (unsigned long long)options->credit);
    while (fleet.worker_count < options->workers) {
        pid_t pid = child_start(argv, NULL);

        if (pid < 0) {
            return false;
        }
        fleet.workers[fleet.worker_count++] = pid;
    }
    return true;
}

bool fleet_crash(uint64_t *begun_ns)
{
    kill(fleet.broker, SIGKILL);
    waitpid(fleet.broker, NULL, 0);
    *begun_ns = bench_now_ns();
    return broker_start(RESTART_MS);
}

static void store_choose(const char *path)
{
    static const char *const ends[STORE_FILES] = {"", "-wal", "-shm", "-journal"};

    for (size_t i = 0; path != NULL && i < STORE_FILES; i++) {
        snprintf(fleet.store[i], sizeof(fleet.store[i]), "%.480s%s", path, ends[i]);
    }
}

const char *fleet_start(const struct fleet_options *options)
{
    fleet.broker_options = options->broker_options;
    store_choose(options->store);
    fleet_guard();
    if (options->broker != NULL) {
        snprintf(fleet.endpoint, sizeof(fleet.endpoint), "%s", options->broker);
    } else if (!endpoint_choose(options->transport)) {
        fprintf(stderr, "sluice bench: no endpoint for a private broker: %s\n", strerror(errno));
        return NULL;
    } else if (!broker_start(START_MS)) {
        fleet_stop();
        return NULL;
    }
    if (!workers_start(options)) {
        fleet_stop();
        return NULL;
    }
    return fleet.endpoint;
}

/* Its ends of both pipes are closed in any case. */
static bool helper_start(struct fleet_helper *helper, char *const argv[])
{
    int in[2], out[2];

    if (pipe2(in, O_CLOEXEC) != 0) {
        return false;
    }
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        close(in[1]);
        return false;
    }
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    *helper = (struct fleet_helper){child_start(argv, (int[]){in[0], out[1]}), in[1], out[0]};
    close(in[0]);
    close(out[1]);
    if (helper->pid < 0) {
        close(helper->in);
        close(helper->out);
        return false;
    }
    return true;
}

struct fleet_helper *fleet_add(const char *const *words)
{
    char *argv[HELPER_ARGUMENTS_MAX] = {"/proc/self/exe"};
    struct fleet_helper *helper = &fleet.helpers[fleet.helper_count];
    size_t count = 1;

    while (*words != NULL && count + 3 < HELPER_ARGUMENTS_MAX) {
        argv[count++] = (char *)*words++;
    }
    argv[count++] = "--broker";
    argv[count] = fleet.endpoint;
    if (fleet.helper_count == FLEET_HELPERS_MAX || !helper_start(helper, argv)) {
        fprintf(stderr, "sluice bench: no more processes: %s\n", strerror(errno));
        return NULL;
    }
    fleet.helper_count++;
    return helper;
}

bool fleet_intact(void)
{
    siginfo_t info = {0};

    /* WNOWAIT: who has ended stays to be collected by fleet_stop. */
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0;
}

uint64_t fleet_broker_bytes(void)
{
    unsigned long long pages = 0;
    char path[64];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%ld/statm", (long)fleet.broker);
    file = fleet.broker > 0 ? fopen(path, "r") : NULL;
    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%*u %llu", &pages) != 1) {
        pages = 0;
    }
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

double fleet_broker_cpu_s(void)
{
    return fleet.broker > 0 ? bench_cpu_s(fleet.broker) : CPU_UNKNOWN;
}

double fleet_workers_cpu_s(void)
{
    double sum = 0;

    for (size_t i = 0; i < fleet.worker_count; i++) {
        sum += bench_cpu_s(fleet.workers[i]);
    }
    return sum;
}
