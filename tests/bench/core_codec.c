#include "tests/bench/core_codec.h"

#include "cli/bench_result.h"
#include "tests/bench/core_world.h"
#include "tests/bench/heap_calls.h"

#include <stdlib.h>

#define BATCH_TASKS 100

enum { KIND_SUBMIT, KIND_TASK, KIND_DONE, KIND_RESULT, KIND_COUNT };

static const enum codec_side reader_of[KIND_COUNT] = {CODEC_AT_BROKER, CODEC_AT_PEER,
                                                      CODEC_AT_BROKER, CODEC_AT_PEER};

struct batches {
    struct message said[KIND_COUNT][BATCH_TASKS];
    struct message read[KIND_COUNT][BATCH_TASKS];
    struct codec_writer writers[KIND_COUNT];
    size_t count; /* tasks of them */
    uint8_t *payload;
    size_t payload_bytes;
};

void measured_encode(struct batches *batches);
bool measured_decode(struct batches *batches);

/* Fills one batch of each kind. */
__attribute__((noinline, used)) void measured_encode(struct batches *batches)
{
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        codec_writer_clear(&batches->writers[kind]);
        for (size_t i = 0; i < batches->count; i++) {
            if (codec_write(&batches->writers[kind], &batches->said[kind][i]) != CODEC_WRITTEN) {
                world_fail("a batch has no room for its commands");
            }
        }
    }
}

/* False: some command cannot be read, or there are more or fewer of them. */
__attribute__((noinline, used)) bool measured_decode(struct batches *batches)
{
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        struct codec_writer *writer = &batches->writers[kind];
        struct codec_reader reader;
        struct codec_error error;
        struct message beyond;

        codec_reader_init(&reader, span_of(writer->data, writer->size), writer->frames,
                          writer->frame_count);
        for (size_t i = 0; i < batches->count; i++) {
            if (codec_read(&reader, reader_of[kind], &batches->read[kind][i], &error) != CODEC_OK) {
                return false;
            }
        }
        if (codec_read(&reader, reader_of[kind], &beyond, &error) != CODEC_END) {
            return false;
        }
    }
    return true;
}

/* What peers and broker say of task `i` of this batch, whose id begins with a `number`. */
static void compose(struct batches *batches, size_t i, uint64_t number)
{
    struct payload payload = {.bytes = span_of(batches->payload, batches->payload_bytes)};
    struct span service = span_from_text("echo.00000");
    struct id id = {.bytes = {1, 0x8b, 0xcf, 0xe5, 0x68, 0, 0x70, 0, 0x80}};

    memcpy(id.bytes + 8, &number, sizeof number);
    batches->said[KIND_SUBMIT][i] = (struct message){
        .command = COMMAND_SUBMIT,
        .submit = {.id = id, .service = service, .payload = payload,
                   .priority = PRIORITY_DEFAULT}};
    batches->said[KIND_TASK][i] = (struct message){
        .command = COMMAND_TASK,
        .task = {.id = id, .attempt = 1, .service = service, .payload = payload,
                 .submitter = span_from_text("submitter")}};
    batches->said[KIND_DONE][i] = (struct message){
        .command = COMMAND_DONE, .done = {.id = id, .attempt = 1, .payload = payload}};
    batches->said[KIND_RESULT][i] = (struct message){
        .command = COMMAND_RESULT,
        .result.record = {.id = id, .outcome = OUTCOME_DONE, .payload = payload, .attempt = 1,
                          .waited_ms = 1, .ran_ms = 2, .worker = span_from_text("worker")}};
}

static bool same(const struct id *a, const struct payload *payload_a, const struct id *b,
                 const struct payload *payload_b)
{
    return id_equal(a, b) && span_equal(payload_a->bytes, payload_b->bytes);
}

/* How many commands did not come back as they were. */
static uint64_t count_corrupt(const struct batches *batches)
{
    const struct message(*said)[BATCH_TASKS] = batches->said, (*read)[BATCH_TASKS] = batches->read;
    uint64_t corrupt = 0;

    for (size_t i = 0; i < batches->count; i++) {
        const struct submit *submit = &read[KIND_SUBMIT][i].submit;
        const struct task_message *task = &read[KIND_TASK][i].task;
        const struct done *done = &read[KIND_DONE][i].done;
        const struct outcome_record *record = &read[KIND_RESULT][i].result.record;
        const struct done *all = &said[KIND_DONE][i].done;

        corrupt += !same(&submit->id, &submit->payload, &all->id, &all->payload);
        corrupt += !same(&task->id, &task->payload, &all->id, &all->payload);
        corrupt += !same(&done->id, &done->payload, &all->id, &all->payload);
        corrupt += !same(&record->id, &record->payload, &all->id, &all->payload);
    }
    return corrupt;
}

static void measure_batch(struct batches *batches, struct codec_times *times)
{
    uint64_t calls = heap_calls();
    double begun_s = bench_cpu_s(0), encoded_s;
    bool good;

    measured_encode(batches);
    encoded_s = bench_cpu_s(0);
    good = measured_decode(batches);
    times->decode_s += bench_cpu_s(0) - encoded_s;
    times->encode_s += encoded_s - begun_s;
    times->heap_calls += heap_calls() - calls;
    times->corrupt += good ? count_corrupt(batches) : batches->count;
}

void codec_measure(uint64_t tasks, uint64_t payload_bytes, uint64_t seed,
                   struct codec_times *times)
{
    struct batches *batches = calloc(1, sizeof *batches);

    *times = (struct codec_times){0};
    if (batches == NULL || (batches->payload = malloc(payload_bytes)) == NULL) {
        world_fail("no memory for the batches");
    }
    memset(batches->payload, (int)(seed & 255), payload_bytes);
    batches->payload_bytes = payload_bytes;
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        codec_writer_init(&batches->writers[kind]);
    }
    for (uint64_t done = 0; done < tasks; done += batches->count) {
        batches->count = tasks - done < BATCH_TASKS ? (size_t)(tasks - done) : BATCH_TASKS;
        for (size_t i = 0; i < batches->count; i++) {
            compose(batches, i, (seed + done + i) * UINT64_C(0x9e3779b97f4a7c15));
        }
        measure_batch(batches, times);
    }
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        codec_writer_deinit(&batches->writers[kind]);
    }
    free(batches->payload);
    free(batches);
}
