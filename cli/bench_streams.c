/* sluice bench streams: many tasks that send chunks, each read as it comes. */
#include "cli/bench.h"
#include "cli/bench_result.h"
#include "cli/bench_stream.h"
#include "cli/failure.h"
#include "cli/progress.h"
#include "cli/record.h"

#include <stdlib.h>

#define RING_CHUNKS 256 /* that our broker keeps of a stream: so far may a worker be ahead of us */
#define LOOK_MS 10
#define TEXT_OF_(number) #number
#define TEXT_OF(number) TEXT_OF_(number)

static const char *const broker_options[] = {"--stream-chunks", TEXT_OF(RING_CHUNKS), NULL};

struct streams {
    struct cli *cli;
    struct fleet_options fleet;
    uint64_t streams, chunks, chunk_bytes, window;
    struct sluice *sluice;
    struct echo_check check;
    uint64_t open;          /* streams that have not ended */
    uint64_t misplaced;     /* chunks that were right, and not the next one */
    uint64_t skipped;       /* what a reader missed, as it was told */
    uint64_t failed;        /* streams that did not end well */
    uint64_t held_chunks;   /* what its worker sent of a stream that nobody read meanwhile */
    bool failure_shown;
    uint64_t ended_ns;      /* when the last of them did */
    uint64_t received;      /* chunks of those that ran at once */
    struct bench_result result; /* of those: wall_s and CPU */
};

struct reader {
    struct streams *all;
    struct bench_stream asked;
    struct sluice_future *future;
};

static void judge(struct reader *reader, const struct sluice_chunk *chunk, uint64_t expected)
{
    struct streams *all = reader->all;
    uint64_t number;

    all->skipped += chunk->lost;
    if (echo_check_reply(&all->check, chunk->bytes.data, chunk->bytes.size, &number)) {
        all->misplaced += number != reader->asked.first + expected ||
                          chunk->sequence != expected || chunk->attempt != 1;
    }
}

static void show_failure(struct streams *all, const struct sluice_future *future)
{
    all->failed++;
    if (!all->failure_shown && sluice_future_error(future) != NULL) {
        all->failure_shown = true;
        failure_print("bench streams", sluice_future_outcome(future), sluice_future_error(future));
    }
}

static bool reader_open(struct reader *reader, struct streams *all, uint64_t index)
{
    struct sluice_submit_options options = {.stream = (unsigned)all->window,
                                            .wait_absent = all->cli->broker_given};
    struct sluice_bytes payload = {&reader->asked, sizeof(reader->asked)};

    reader->all = all;
    reader->asked = (struct bench_stream){all->chunks, all->chunk_bytes, index * all->chunks};
    reader->future = sluice_submit(all->sluice, all->fleet.service, payload, &options);
    return reader->future != NULL;
}

/* Takes all chunks. SUSPENDS. */
static void reader_run(struct sluice *sluice, void *arg)
{
    struct reader *reader = arg;
    struct sluice_stream *stream = sluice_future_stream(reader->future);
    struct sluice_chunk chunk;
    uint64_t count = 0;

    (void)sluice;
    while (sluice_next_chunk(stream, &chunk) == 1) {
        judge(reader, &chunk, count++);
    }
    if (sluice_await(reader->future) != SLUICE_DONE || count != reader->all->chunks) {
        show_failure(reader->all, reader->future);
    }
    reader->all->ended_ns = bench_now_ns();
    reader->all->open--;
}

/* SUSPENDS until all streams have ended, or nothing has come for half a minute. */
static void wait_all(struct streams *all)
{
    struct bench_stall stall = {0, 0};
    struct progress progress;
    char text[64];

    progress_init(&progress, "starting");
    while (all->open > 0 && sluice_sleep_ms(all->sluice, LOOK_MS) == 0 &&
           !bench_stalls(&stall, all->sluice, all->check.received)) {
        if (progress.tty) {
            snprintf(text, sizeof(text), "%llu of %llu chunks",
                     (unsigned long long)all->check.received,
                     (unsigned long long)all->check.tasks);
            progress_set(&progress, text);
        }
    }
    progress_clear(&progress);
}

/* How many chunks its worker has sent so far. SUSPENDS. */
static uint64_t chunks_sent(const struct reader *reader)
{
    json_t *reply = NULL;
    uint64_t chunks = 0;

    if (sluice_query(reader->all->sluice, "status", sluice_future_id(reader->future), NULL,
                     &reply) == 0) {
        chunks = record_uint(reply, "chunks");
    }
    json_decref(reply);
    return chunks;
}

static void measure(struct streams *all, struct reader *readers)
{
    double broker_s = fleet_broker_cpu_s(), workers_s = fleet_workers_cpu_s();
    double submitter_s = bench_cpu_s(0);
    uint64_t begun_ns = bench_now_ns();

    all->open = all->streams;
    for (uint64_t i = 0; i < all->streams; i++) {
        if (!reader_open(&readers[i], all, i) ||
            sluice_spawn(all->sluice, reader_run, &readers[i]) != 0) {
            all->failed++;
            all->open--;
        }
    }
    wait_all(all);
    all->failed += all->open;
    all->received = all->check.received;
    all->result.wall_s = (double)(all->ended_ns - begun_ns) / 1e9;
    all->result.broker_cpu_s = broker_s < 0 ? CPU_UNKNOWN : fleet_broker_cpu_s() - broker_s;
    all->result.workers_cpu_s = fleet_workers_cpu_s() - workers_s;
    all->result.submitter_cpu_s = bench_cpu_s(0) - submitter_s;
}

/* Nobody reads the last stream while all others run; then it is read too. SUSPENDS. */
static bool run(struct streams *all, struct reader *readers)
{
    struct reader *held = &readers[all->streams];

    if (!reader_open(held, all, all->streams)) {
        fprintf(stderr, "sluice bench streams: out of memory\n");
        return false;
    }
    measure(all, readers);
    all->held_chunks = chunks_sent(held);
    all->open = 1;
    if (sluice_spawn(all->sluice, reader_run, held) != 0) {
        fprintf(stderr, "sluice bench streams: out of memory\n");
        return false;
    }
    wait_all(all);
    all->failed += all->open;
    return true;
}

static bool print(const struct streams *all)
{
    const struct echo_check *check = &all->check;
    uint64_t ended = check->received + check->corrupt;
    uint64_t lost = ended < check->tasks ? check->tasks - ended : 0;
    double chunks = (double)all->received;
    double per_s = all->result.wall_s > 0 ? chunks / all->result.wall_s : 0;
    bool paced = all->cli->broker_given ||
                 (all->held_chunks > 0 && all->held_chunks <= RING_CHUNKS + all->window);
    bool good = check->received == check->tasks && check->duplicated == 0 &&
                check->corrupt == 0 && all->misplaced == 0 && all->skipped == 0 &&
                all->failed == 0 && paced;

    printf(all->cli->json
               ? "{\"bench\": \"streams\", \"streams\": %llu, \"chunks\": %llu, \"payload\": %llu, "
                 "\"window\": %llu, \"wall_s\": %.4f, \"chunks_per_s\": %.0f, "
                 "\"bytes_per_s\": %.0f, \"lost\": %llu, \"duplicated\": %llu, \"corrupt\": %llu, "
                 "\"misplaced\": %llu, \"failed\": %llu, \"held_chunks\": %llu, "
               : "streams: %llu at once of %llu chunks of %llu B, %llu read ahead: %.3f s, "
                 "%.0f chunks/s, %.0f bytes/s\n  %llu lost, %llu duplicated, %llu corrupt, %llu "
                 "out of order, %llu streams failed; of one that nobody read, %llu were sent\n",
           (unsigned long long)all->streams, (unsigned long long)all->chunks,
           (unsigned long long)all->chunk_bytes, (unsigned long long)all->window,
           all->result.wall_s, per_s, per_s * (double)all->chunk_bytes,
           (unsigned long long)lost, (unsigned long long)check->duplicated,
           (unsigned long long)check->corrupt, (unsigned long long)all->misplaced,
           (unsigned long long)all->failed, (unsigned long long)all->held_chunks);
    if (!all->cli->json) {
        printf("  all good: %s\n", good ? "true" : "false");
        return good;
    }
    bench_cpu_print(&all->result, chunks, stdout, true);
    printf(", \"good\": %s}\n", good ? "true" : "false");
    return good;
}

static int streams_main(struct sluice *sluice, void *arg)
{
    struct streams *all = arg;
    struct reader *readers;
    int code = bench_wait_workers(sluice, all->fleet.service, all->fleet.workers);
    bool good;

    if (code != EXIT_DONE) {
        return code;
    }
    all->sluice = sluice;
    readers = calloc(all->streams + 1, sizeof(readers[0]));
    if (readers == NULL ||
        !echo_check_init(&all->check, (all->streams + 1) * all->chunks, all->chunk_bytes)) {
        fprintf(stderr, "sluice bench streams: out of memory\n");
        free(readers);
        return EXIT_TASK;
    }
    good = run(all, readers) && print(all);
    if (all->open == 0) { /* else fibers wait for them: the process ends */
        for (uint64_t i = 0; i <= all->streams; i++) {
            sluice_future_free(readers[i].future);
        }
        free(readers);
        echo_check_deinit(&all->check);
    }
    return good ? EXIT_DONE : EXIT_TASK;
}

static int streams_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    static struct streams all; /* fibers have it, whatever becomes of this function */
    struct option_spec specs[] = {
        OPTION_UINT_SPEC("streams", &all.streams, "N", 1, 4000, "at once (16)"),
        OPTION_UINT_SPEC("chunks", &all.chunks, "N", 1, 100000000, "of each stream (20,000)"),
        OPTION_UINT_SPEC("payload", &all.chunk_bytes, "BYTES", ECHO_PAYLOAD_MIN, 65536,
                         "size of a chunk (1,024)"),
        OPTION_UINT_SPEC("window", &all.window, "N", 1, 65535, "chunks read ahead (64)"),
        BENCH_WORKERS_SPEC(&all.fleet),
        BENCH_TRANSPORT_SPEC(&all.fleet),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct arguments arguments;
    int code;

    all = (struct streams){
        .cli = cli,
        .fleet = {.transport = "tcp", .service = bench_service("streams"), .work = "stream",
                  .workers = 2, .broker_options = broker_options},
        .streams = 16,
        .chunks = 20000,
        .chunk_bytes = 1024,
        .window = 64,
    };
    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    all.fleet.credit = all.streams + 1;
    return bench_visit(cli, self, &all.fleet, streams_main, &all);
}

const struct command command_bench_streams = {
    .name = "bench streams",
    .arguments = "",
    .summary = "chunks of streams: 16 at once of 20,000 chunks of 1 KiB",
    .about = "Workers send chunks, and the submitter reads all streams at once. Every chunk is\n"
             "checked: its place in the stream and its bytes. One stream more is not read\n"
             "before all others have ended: its worker must have stopped when our window and\n"
             "the broker's ring of 256 chunks were full. CPU is of a million chunks.\n"
             "Exit code 1: a chunk was lost, doubled, changed or out of order, a stream failed,\n"
             "or a worker sent more than it might.\n",
    .run = streams_run,
};
