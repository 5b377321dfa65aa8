#include "tests/bench/core_load.h"

#include "common/check.h"
#include "common/id.h"

#include <stdio.h>
#include <stdlib.h>

#define BEGAN_UNIX_MS 1700000000000 /* any time: ids look like those of an hour somewhere */
#define TASKS_PER_MS 1000           /* of ids that are made in the same millisecond */
#define STALL_TURNS 100000          /* ten seconds of the world */

/* Sequence numbers that are no task's: they have these bits. */
#define JOIN_BIT (1ULL << 39)
#define WAITING_BIT (1ULL << 38)

/* ---- what follows from a sequence number -------------------------------- */

/* splitmix64 (Vigna, public domain) of the number-th step. */
static uint64_t random_of(const struct load *load, uint64_t number)
{
    uint64_t x = load->plan.seed + (number + 1) * UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* A UUIDv7 whose last 5 bytes are the number; the others before them are random. */
static struct id id_of(const struct load *load, uint64_t sequence)
{
    uint8_t random[ID_RANDOM_BYTES];
    uint64_t chance = random_of(load, sequence);

    memcpy(random, &chance, 5);
    for (size_t i = 0; i < 5; i++) {
        random[5 + i] = (uint8_t)(sequence >> 8 * (4 - i));
    }
    return id_make(BEGAN_UNIX_MS + (sequence & (WAITING_BIT - 1)) / TASKS_PER_MS, random);
}

/* False: not an id that was given out. */
static bool sequence_of(const struct load *load, const struct id *id, uint64_t *sequence)
{
    struct id expected;

    *sequence = 0;
    for (size_t i = 0; i < 5; i++) {
        *sequence = *sequence << 8 | id->bytes[sizeof id->bytes - 5 + i];
    }
    expected = id_of(load, *sequence);
    return id_equal(&expected, id);
}

static bool is_cancelled_waiting(const struct load *load, uint64_t sequence)
{
    return load->plan.cancel && sequence % 4 == 1;
}

static bool is_cancelled_running(const struct load *load, uint64_t sequence)
{
    return load->plan.cancel && sequence % 4 == 3;
}

/* ---- submitting --------------------------------------------------------- */

static void say_submit(struct load *load, struct submit *submit)
{
    submit->priority = PRIORITY_DEFAULT;
    world_say(load->world, WORLD_SUBMITTER,
              &(struct message){.command = COMMAND_SUBMIT, .submit = *submit});
}

static void submit_join(struct load *load, uint64_t sequence)
{
    struct submit submit = {.id = id_of(load, sequence | JOIN_BIT),
                            .join = JOIN_ALL,
                            .needs = load->needs[0].bytes,
                            .needs_count = load->need_count,
                            .needs_stride = sizeof load->needs[0]};

    say_submit(load, &submit);
    load->need_count = 0;
}

static void submit_next(struct load *load)
{
    const struct plan *plan = &load->plan;
    uint64_t sequence = load->submitted++, chance = random_of(load, ~sequence);
    char service[32], key[32];
    struct submit submit = {
        .id = id_of(load, sequence),
        .service = plan_service(plan, chance, service, sizeof service),
        .payload.bytes = span_of(load->payload, plan->payload_bytes),
        .delay_ms = plan->delay_ms > 0 ? 1 + chance % plan->delay_ms : 0,
        .held = plan->gather > 0,
        .receipts = is_cancelled_running(load, sequence),
        .stream = plan->chunks > 0 ? PLAN_STREAM_CREDIT : 0,
    };

    echo_check_fill(&load->check, sequence, load->payload);
    if (plan->keys > 0) {
        submit.key = span_of(key, (size_t)snprintf(key, sizeof key, "key.%05u",
                                                   (unsigned)(chance % plan->keys)));
    }
    say_submit(load, &submit);
    if (plan->gather > 0) {
        load->needs[load->need_count++] = submit.id;
        if (load->need_count == plan->gather || load->submitted == plan->tasks) {
            submit_join(load, sequence);
        }
    }
}

static void say_cancel(struct load *load, uint64_t sequence)
{
    world_say(load->world, WORLD_SUBMITTER,
              &(struct message){.command = COMMAND_CANCEL, .cancel.id = id_of(load, sequence)});
}

/* What workers end in a turn, and a quarter more, as far as the window allows: so it fills. Those of
 * the turn before that are to be cancelled while they wait are. */
static void submit_some(struct load *load)
{
    uint64_t before = load->submitted;

    for (uint64_t i = load->turn_began; i < before; i++) {
        if (is_cancelled_waiting(load, i)) {
            say_cancel(load, i);
        }
    }
    load->turn_began = before;
    for (int i = 0; i < PLAN_TURN_TASKS * 5 / 4 && load->submitted < load->plan.tasks &&
                    load->submitted - load->ended < load->plan.window;
         i++) {
        submit_next(load);
    }
}

/* ---- what comes back ----------------------------------------------------- */

static bool outcome_good(struct load *load, uint64_t sequence, const struct outcome_record *record)
{
    uint64_t number;

    if (record->outcome == OUTCOME_CANCELLED) {
        load->cancelled++;
        return is_cancelled_waiting(load, sequence) || is_cancelled_running(load, sequence);
    }
    return record->outcome == OUTCOME_DONE &&
           (load->plan.chunks == 0 || load->next_chunks[sequence] == load->plan.chunks) &&
           echo_check_reply(&load->check, record->payload.bytes.data, record->payload.bytes.size,
                            &number) &&
           number == sequence;
}

static void take_outcome(struct load *load, const struct outcome_record *record)
{
    uint64_t sequence;
    uint8_t bit;

    if (!sequence_of(load, &record->id, &sequence) || sequence >= load->submitted) {
        load->failed++;
        return;
    }
    bit = (uint8_t)(1u << sequence % 8);
    if (load->ended_bits[sequence / 8] & bit) {
        load->duplicated++;
        return;
    }
    load->ended_bits[sequence / 8] |= bit;
    load->ended++;
    load->failed += !outcome_good(load, sequence, record);
}

static void take_result(struct load *load, const struct result *result)
{
    struct outcome_record input;
    uint64_t sequence;
    size_t at = 0;

    if (load->plan.gather == 0) {
        take_outcome(load, &result->record);
        return;
    }
    load->failed += !sequence_of(load, &result->record.id, &sequence) ||
                    (sequence & JOIN_BIT) == 0 || result->record.outcome != OUTCOME_DONE;
    while (codec_read_input(result->record.payload.bytes, &at, &input)) {
        take_outcome(load, &input);
    }
}

static bool has_ended(const struct load *load, const struct id *id)
{
    uint64_t sequence;

    return sequence_of(load, id, &sequence) &&
           (load->ended_bits[sequence / 8] & 1u << sequence % 8) != 0;
}

/* More of a stream is to be asked for when all that came with this batch has been read. The
 * chunks of a task come one after another. */
static void note_read(struct load *load, const struct chunk *chunk)
{
    struct read read = {chunk->id, chunk->attempt, chunk->sequence + 1, PLAN_STREAM_CREDIT};

    if (load->read_count == 0 || !id_equal(&load->reads[load->read_count - 1].id, &chunk->id)) {
        CHECK(load->read_count < load->plan.window);
        load->read_count++;
    }
    load->reads[load->read_count - 1] = read;
}

static void take_chunk(struct load *load, const struct chunk *chunk)
{
    uint64_t sequence;
    struct span expected = span_of(load->payload, load->plan.payload_bytes);

    if (!sequence_of(load, &chunk->id, &sequence) || sequence >= load->submitted) {
        load->failed++;
        return;
    }
    echo_check_fill(&load->check, sequence, load->payload);
    if (chunk->sequence != load->next_chunks[sequence] ||
        !span_equal(chunk->payload.bytes, expected)) {
        load->failed++;
        return;
    }
    load->next_chunks[sequence]++;
    if (load->next_chunks[sequence] % PLAN_STREAM_CREDIT == 0) {
        note_read(load, chunk);
    }
}

/* A stream that has ended meanwhile, in the same batch, would be sent once more. */
static void say_reads(struct load *load)
{
    for (size_t i = 0; i < load->read_count; i++) {
        const struct read *read = &load->reads[i];

        if (read->sequence < load->plan.chunks && !has_ended(load, &read->id)) {
            world_say(load->world, WORLD_SUBMITTER,
                      &(struct message){.command = COMMAND_READ, .read = *read});
        }
    }
    load->read_count = 0;
}

static void hear_submitter(void *context, const struct message *message)
{
    struct load *load = context;
    uint64_t sequence;

    switch ((int)message->command) {
    case COMMAND_RESULT:
        take_result(load, &message->result);
        return;
    case COMMAND_CHUNK_OUT:
        take_chunk(load, &message->chunk);
        return;
    case COMMAND_STARTED:
        if (sequence_of(load, &message->started.id, &sequence)) {
            say_cancel(load, sequence);
        }
        return;
    case COMMAND_ACCEPTED:
    case COMMAND_PONG:
        return;
    default:
        load->failed++;
    }
}

/* ---- the whole ------------------------------------------------------------ */

static void hear_all(struct load *load)
{
    world_hear(load->world, WORLD_SUBMITTER, hear_submitter, load);
    say_reads(load);
    for (size_t i = 0; i < WORLD_WORKERS; i++) {
        worker_hear(&load->workers[i]);
    }
}

static void submit_waiting(struct load *load)
{
    memset(load->payload, 0, load->plan.payload_bytes);
    for (uint64_t i = 0; i < load->plan.depth; i++) {
        struct submit submit = {.id = id_of(load, i | WAITING_BIT),
                                .service = span_from_text("nobody"),
                                .payload.bytes = span_of(load->payload, load->plan.payload_bytes),
                                .if_absent = IF_ABSENT_WAIT};

        say_submit(load, &submit);
        if (i % PLAN_TURN_TASKS == 0) {
            world_turn(load->world);
            hear_all(load);
        }
    }
}

void load_init(struct load *load, const struct plan *plan, struct world *world)
{
    *load = (struct load){.plan = *plan, .world = world};
    load->payload = malloc(plan->payload_bytes);
    load->ended_bits = calloc(plan->tasks / 8 + 1, 1);
    load->next_chunks = calloc(plan->chunks > 0 ? plan->tasks : 1, sizeof *load->next_chunks);
    load->reads = calloc(plan->window, sizeof *load->reads);
    load->needs = calloc(plan->gather + 1, sizeof *load->needs);
    if (load->payload == NULL || load->ended_bits == NULL ||
        load->next_chunks == NULL || load->reads == NULL || load->needs == NULL ||
        !echo_check_init(&load->check, plan->tasks, plan->payload_bytes)) {
        world_fail("no memory for so many tasks");
    }
    for (size_t i = 0; i < WORLD_WORKERS; i++) {
        worker_init(&load->workers[i], &load->plan, world, WORLD_WORKER + i);
    }
    world_turn(world); /* a task of before the offers would be refused */
    submit_waiting(load);
}

uint64_t load_failed(const struct load *load)
{
    uint64_t failed = load->failed;

    for (size_t i = 0; i < WORLD_WORKERS; i++) {
        failed += load->workers[i].strange;
    }
    return failed;
}

void load_deinit(struct load *load)
{
    for (size_t i = 0; i < WORLD_WORKERS; i++) {
        worker_deinit(&load->workers[i]);
    }
    echo_check_deinit(&load->check);
    free(load->payload);
    free(load->ended_bits);
    free(load->next_chunks);
    free(load->reads);
    free(load->needs);
}

bool load_run(struct load *load, uint64_t ended)
{
    uint64_t idle = 0;

    while (load->ended < ended) {
        uint64_t before = load->ended;

        submit_some(load);
        for (size_t i = 0; i < WORLD_WORKERS; i++) {
            worker_answer_some(&load->workers[i]);
        }
        world_turn(load->world);
        hear_all(load);
        idle = load->ended > before ? 0 : idle + 1;
        if (idle == STALL_TURNS) {
            return false;
        }
    }
    return true;
}
