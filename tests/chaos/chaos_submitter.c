/* links: runtime */
/* chaos_submitter ENDPOINT NAME SEED COUNT HISTORY: submits COUNT jobs and records what came of them.
 *
 * A job is a task, or a join and its members; which, and with what options, follows from SEED,
 * NAME and the job's number alone. `go N` on standard input lets N more jobs begin; after each
 * REPORT_EVERY jobs that have ended it prints `finished N`, and at the end of all
 * `all`. The end of standard input ends it. The file HISTORY gets a line for each event:
 *
 *   submit TIME ID KIND ATTEMPTS DEADLINE_MS    before the task is submitted
 *   member JOIN_ID ID                           of a join
 *   cancel TIME ID                              before the cancel is asked for
 *   end TIME ID OUTCOME ATTEMPT CODE ANSWER     when a fiber learns it
 *
 * TIME is CLOCK_MONOTONIC in ms; of submit it is the loop's, from which deadlines count.
 * ATTEMPTS is what is allowed, CODE `-` without an error, ANSWER `right`, `wrong`
 * or, if there is none, `-`. */
#include "tests/chaos/chaos.h"

#include <unistd.h>

#define REPORT_EVERY 20
#define MEMBERS_MAX 8
#define ATTEMPTS 20         /* of most: more than faults will take from one task */
#define LEASE_MS 400        /* of some */
#define BYTES_LARGE 20000   /* travels in a frame of its own */
#define CANCELLED_SLOW_MS 300

enum kind { QUICK, SLOW, TREE, FAIL, CRASH, CANCELLED, SHORT, JOIN_ALL, JOIN_SETTLED };
static const char *const kind_names[] = {"quick",  "slow",  "tree",     "fail",        "crash",
                                         "cancel", "short", "join_all", "join_settled"};
/* How many of a thousand jobs are of a kind; the rest are quick. */
static const unsigned kind_shares[] = {
    [SLOW] = 100, [TREE] = 50,     [FAIL] = 30,         [CRASH] = 1, [CANCELLED] = 40,
    [SHORT] = 30, [JOIN_ALL] = 15, [JOIN_SETTLED] = 15,
};

struct submitter {
    struct sluice *sluice;
    FILE *history;
    const char *name;
    unsigned long long seed;
    unsigned count, started, finished;
    uv_pipe_t input;
    char line[64];
    size_t line_size;
};

/* One task, from its submission to its end. */
struct job {
    struct sluice_future *future;
    struct sluice_bytes payload; /* owned */
};

static struct submitter self;

/* The random numbers of job `number`: SplitMix64 of Steele, Lea and Flood. */
static unsigned job_random(unsigned long long *state, unsigned below)
{
    unsigned long long z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (unsigned)((z ^ (z >> 31)) % below);
}

static enum kind job_kind(unsigned long long *random)
{
    unsigned at = job_random(random, 1000);

    for (int kind = SLOW; kind <= JOIN_SETTLED; kind++) {
        if (at < kind_shares[kind]) {
            return (enum kind)kind;
        }
        at -= kind_shares[kind];
    }
    return QUICK;
}

/* What its service makes of the number in a payload, see chaos_worker.c. */
static unsigned kind_number(enum kind kind, unsigned long long *random)
{
    switch (kind) {
    case SLOW:
        return job_random(random, 30);
    case TREE:
        return 1 + job_random(random, 4);
    case FAIL:
        return job_random(random, 2) ? CHAOS_ALWAYS : 1 + job_random(random, 3);
    case CRASH:
        return 1;
    case CANCELLED:
        return CANCELLED_SLOW_MS;
    case SHORT:
        return job_random(random, 300);
    case QUICK:
    case JOIN_ALL:
    case JOIN_SETTLED:
        break;
    }
    return 0;
}

static const char *kind_service(enum kind kind)
{
    static const char *const names[] = {"chaos.quick", "chaos.slow", "chaos.tree", "chaos.fail",
                                        "chaos.crash", "chaos.slow", "chaos.slow"};

    return names[kind];
}

static struct sluice_bytes payload_new(const char *name, enum kind kind, unsigned number,
                                       unsigned part, unsigned long long *random)
{
    size_t size = job_random(random, 200) == 0 ? BYTES_LARGE : 96;
    char *text = malloc(size + 1);

    if (text == NULL) {
        abort();
    }
    memset(text, '.', size);
    /* The text's end becomes a space: what follows is filler. */
    text[snprintf(text, size, "%u %s-%llu-%u-%u", kind_number(kind, random), name, self.seed,
                  number, part)] = ' ';
    return (struct sluice_bytes){text, size};
}

static void record_submit(const struct sluice_id *id, enum kind kind, const char *prefix,
                          const struct sluice_submit_options *options)
{
    char text[SLUICE_ID_TEXT_SIZE];

    sluice_id_format(id, text);
    fprintf(self.history, "submit %llu %s %s%s %u %llu\n",
            (unsigned long long)sluice_now_ms(self.sluice), text, prefix, kind_names[kind],
            options->attempts, (unsigned long long)options->deadline_ms);
}

static void record_end(const struct job *job)
{
    const struct sluice_error *error = sluice_future_error(job->future);
    enum sluice_outcome outcome = sluice_future_outcome(job->future);
    char text[SLUICE_ID_TEXT_SIZE];
    const char *answer = "-";

    if (outcome == SLUICE_DONE && job->payload.data != NULL) {
        answer = chaos_answer_right(job->payload, sluice_future_payload(job->future)) ? "right"
                                                                                      : "wrong";
    }
    sluice_id_format(sluice_future_id(job->future), text);
    fprintf(self.history, "end %llu %s %s %u %s %s\n", chaos_now_ms(), text,
            sluice_outcome_name(outcome), sluice_future_timing(job->future).attempt,
            error != NULL ? error->code : "-", answer);
}

/* `prefix` goes before the kind in the history. */
static struct job job_submit(enum kind kind, unsigned number, unsigned part, const char *prefix,
                             unsigned long long *random)
{
    struct sluice_id id = sluice_id_new();
    struct sluice_submit_options options = {.wait_absent = true, .attempts = ATTEMPTS, .id = &id};
    struct job job = {.payload = payload_new(self.name, kind, number, part, random)};

    options.held = prefix[0] != '\0';
    if (job_random(random, 20) == 0) {
        options.attempts = 1 + job_random(random, 3);
    }
    if (job_random(random, 10) == 0) {
        options.lease_ms = LEASE_MS;
    }
    if (kind == SHORT) {
        options.deadline_ms = 1 + job_random(random, 300);
    }
    record_submit(&id, kind, prefix, &options);
    job.future = sluice_submit(self.sluice, kind_service(kind), job.payload, &options);
    if (job.future == NULL) {
        abort();
    }
    return job;
}

static void job_end(struct job *job)
{
    record_end(job);
    sluice_future_free(job->future);
    free((void *)job->payload.data);
}

static void run_task(enum kind kind, unsigned number, unsigned long long *random)
{
    struct job job = job_submit(kind, number, 0, "", random);

    if (kind == CANCELLED &&
        sluice_await_ms(job.future, 1 + job_random(random, CANCELLED_SLOW_MS)) == SLUICE_PENDING) {
        char text[SLUICE_ID_TEXT_SIZE];

        sluice_id_format(sluice_future_id(job.future), text);
        fprintf(self.history, "cancel %llu %s\n", chaos_now_ms(), text);
        sluice_cancel(job.future, "as told");
    }
    sluice_await(job.future);
    job_end(&job);
}

static void record_member(const struct sluice_id *join, const struct sluice_future *member)
{
    char join_text[SLUICE_ID_TEXT_SIZE], text[SLUICE_ID_TEXT_SIZE];

    sluice_id_format(join, join_text);
    sluice_id_format(sluice_future_id(member), text);
    fprintf(self.history, "member %s %s\n", join_text, text);
}

static void run_join(enum kind kind, unsigned number, unsigned long long *random)
{
    enum sluice_join_policy policy = kind == JOIN_ALL ? SLUICE_JOIN_ALL : SLUICE_JOIN_SETTLED;
    struct sluice_id id = sluice_id_new();
    struct sluice_submit_options options = {.id = &id, .attempts = 1};
    struct sluice_future *futures[MEMBERS_MAX];
    struct job members[MEMBERS_MAX], join = {0};
    unsigned count = 1 + job_random(random, MEMBERS_MAX);

    for (unsigned i = 0; i < count; i++) {
        unsigned at = job_random(random, 20);
        enum kind member = at == 0 ? FAIL : at < 5 ? SLOW : QUICK;

        members[i] = job_submit(member, number, i + 1, "member_", random);
        futures[i] = members[i].future;
        record_member(&id, futures[i]);
    }
    record_submit(&id, kind, "", &options);
    join.future = sluice_join(self.sluice, futures, count, policy, &options);
    sluice_await(join.future);
    for (unsigned i = 0; i < count; i++) {
        sluice_await(futures[i]);
        job_end(&members[i]);
    }
    job_end(&join);
}

static void run_job(struct sluice *sluice, void *arg)
{
    unsigned number = (unsigned)(uintptr_t)arg;
    unsigned long long random =
        self.seed * 1000003 + number + chaos_hash(self.name, strlen(self.name));
    enum kind kind = job_kind(&random);

    (void)sluice;
    if (kind == JOIN_ALL || kind == JOIN_SETTLED) {
        run_join(kind, number, &random);
    } else {
        run_task(kind, number, &random);
    }
    if (++self.finished % REPORT_EVERY == 0 || self.finished == self.count) {
        printf("finished %u\n", self.finished);
    }
    if (self.finished == self.count) {
        fflush(self.history);
        printf("all\n");
        sluice_stop(self.sluice);
    }
}

static void let_go(unsigned count)
{
    for (; count > 0 && self.started < self.count; count--) {
        if (sluice_spawn(self.sluice, run_job, (void *)(uintptr_t)self.started++) != 0) {
            fprintf(stderr, "the director lets too many go at once\n");
            abort();
        }
    }
}

static void on_alloc(uv_handle_t *input, size_t size, uv_buf_t *buffer)
{
    (void)input, (void)size;
    *buffer = uv_buf_init(self.line + self.line_size,
                          (unsigned)(sizeof self.line - 1 - self.line_size));
}

static void on_input(uv_stream_t *input, ssize_t size, const uv_buf_t *buffer)
{
    char *end;
    unsigned count;

    (void)input, (void)buffer;
    if (size < 0) {
        _exit(1);
    }
    self.line_size += (size_t)size;
    self.line[self.line_size] = '\0';
    while ((end = strchr(self.line, '\n')) != NULL) {
        size_t used = (size_t)(end - self.line) + 1;

        if (sscanf(self.line, "go %u", &count) == 1) {
            let_go(count);
        }
        self.line_size -= used;
        memmove(self.line, self.line + used, self.line_size + 1);
    }
}

int main(int argc, char **argv)
{
    struct sluice_options options = {.quiet = true, .drain_ms = 2000};
    int result;

    if (argc != 6 || (self.history = fopen(argv[5], "w")) == NULL) {
        fprintf(stderr, "usage: chaos_submitter ENDPOINT NAME SEED COUNT HISTORY\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(self.history, NULL, _IOLBF, 0); /* whole lines, should we be killed */
    options.broker = argv[1];
    options.name = self.name = argv[2];
    self.seed = strtoull(argv[3], NULL, 10);
    self.count = (unsigned)strtoul(argv[4], NULL, 10);
    self.sluice = sluice_new(&options);
    uv_pipe_init(sluice_loop(self.sluice), &self.input, 0);
    uv_pipe_open(&self.input, STDIN_FILENO);
    uv_read_start((uv_stream_t *)&self.input, on_alloc, on_input);
    result = sluice_run(self.sluice, NULL, NULL);
    fclose(self.history);
    return result == 0 && self.finished == self.count ? 0 : 1;
}
