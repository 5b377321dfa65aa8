/* links: json */
/* The codec over any bytes, on both sides, with attached frames.
 *
 *   byte 0: 1: at the peer, else at the broker; / 2 % 8: how many frames
 *   each frame: n < 128: that many bytes; else (n - 127) * 128 bytes of n: over the inline bound
 *   the rest: frame 0
 *
 * What codec_read accepts, codec_write writes, and codec_read reads it back equal. The same
 * bytes are also a payload: codec_value_valid and the JSON bridge must agree about them. */
#include "tests/fuzz/input.h"

#include "common/check.h"
#include "common/json.h"
#include "proto/codec.h"

#include <stdlib.h>

#define FRAMES_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- equality, field by field ------------------------------------------ */

static void same_bytes(struct span a, struct span b)
{
    CHECK(span_equal(a, b));
}

static void same_id(const struct id *a, const struct id *b)
{
    CHECK(id_equal(a, b));
}

static void same_error(const struct error *a, const struct error *b)
{
    same_bytes(a->raw, b->raw);
    same_bytes(a->code, b->code);
    same_bytes(a->message, b->message);
    CHECK(a->retryable == b->retryable);
    CHECK(a->retry_after_ms == b->retry_after_ms);
    CHECK(a->scope_service == b->scope_service);
}

static void same_offer(const struct offer_message *a, const struct offer_message *b)
{
    same_bytes(a->service, b->service);
    CHECK(a->credit == b->credit);
    same_bytes(a->schema, b->schema);
    same_bytes(a->version, b->version);
    same_bytes(a->about, b->about);
    CHECK(a->max_tasks == b->max_tasks);
    CHECK(a->max_bytes == b->max_bytes);
    CHECK(a->lease_ms == b->lease_ms);
    CHECK(a->attempts == b->attempts);
    CHECK(a->max_run_ms == b->max_run_ms);
    CHECK(a->exclusive == b->exclusive);
}

static void same_policies(const struct submit *a, const struct submit *b)
{
    CHECK(a->k == b->k);
    CHECK(a->run_if == b->run_if);
    CHECK(a->no_inputs == b->no_inputs);
    CHECK(a->route == b->route);
    CHECK(a->priority == b->priority);
    same_bytes(a->key, b->key);
    same_bytes(a->order, b->order);
    same_bytes(a->affinity, b->affinity);
    same_bytes(a->version, b->version);
    CHECK(a->cost == b->cost);
    CHECK(a->delay_ms == b->delay_ms);
    CHECK(a->max_run_ms == b->max_run_ms);
    CHECK(a->backoff_ms == b->backoff_ms);
    CHECK(a->backoff_max_ms == b->backoff_max_ms);
    same_bytes(a->retry_on, b->retry_on);
    same_bytes(a->final_on, b->final_on);
    CHECK(a->dead_letter == b->dead_letter);
    same_bytes(a->idempotency_key, b->idempotency_key);
    CHECK(a->cache_ms == b->cache_ms);
    CHECK(a->detached == b->detached);
    CHECK(a->durable == b->durable);
    CHECK(a->retain_ms == b->retain_ms);
    CHECK(a->stream == b->stream);
}

static void same_submit(const struct submit *a, const struct submit *b)
{
    same_id(&a->id, &b->id);
    same_bytes(a->service, b->service);
    same_bytes(a->payload.bytes, b->payload.bytes);
    same_id(&a->parent, &b->parent);
    CHECK(a->parent_attempt == b->parent_attempt);
    CHECK(a->deadline_ms == b->deadline_ms);
    CHECK(a->queue_ttl_ms == b->queue_ttl_ms);
    CHECK(a->lease_ms == b->lease_ms);
    CHECK(a->attempts == b->attempts);
    CHECK(a->receipts == b->receipts);
    CHECK(a->held == b->held);
    CHECK(a->if_absent == b->if_absent);
    CHECK(a->join == b->join);
    same_policies(a, b);
    CHECK(a->needs_count == b->needs_count);
    for (size_t i = 0; i < a->needs_count; i++) {
        same_bytes(span_of(a->needs + i * a->needs_stride, ID_BYTES),
                   span_of(b->needs + i * b->needs_stride, ID_BYTES));
    }
}

static void same_query(const struct query *a, const struct query *b)
{
    CHECK(a->request == b->request);
    CHECK(a->what == b->what);
    same_bytes(a->argument, b->argument);
    same_bytes(a->service, b->service);
    same_bytes(a->state, b->state);
}

static void same_welcome(const struct welcome *a, const struct welcome *b)
{
    CHECK(a->version == b->version);
    CHECK(a->known == b->known);
    same_id(&a->broker, &b->broker);
    CHECK(a->shard == b->shard);
    CHECK(a->ping_ms == b->ping_ms);
    CHECK(a->silence_ms == b->silence_ms);
    CHECK(a->resume_ms == b->resume_ms);
    CHECK(a->window_tasks == b->window_tasks);
    CHECK(a->window_bytes == b->window_bytes);
    CHECK(a->payload_bytes == b->payload_bytes);
    CHECK(a->time_ms == b->time_ms);
    CHECK(a->resume == b->resume);
    CHECK(a->resumed == b->resumed);
    CHECK(a->received == b->received);
    CHECK(a->greeting == b->greeting);
}

/* All but the payload, which is a body here and a list of inputs there. */
static void same_record(const struct outcome_record *a, const struct outcome_record *b)
{
    same_id(&a->id, &b->id);
    CHECK(a->outcome == b->outcome);
    same_error(&a->error, &b->error);
    CHECK(a->left_out == b->left_out);
    CHECK(a->attempt == b->attempt);
    CHECK(a->waited_ms == b->waited_ms);
    CHECK(a->ran_ms == b->ran_ms);
    same_bytes(a->worker, b->worker);
}

static void same_inputs(struct span a, struct span b, size_t count)
{
    struct outcome_record input_a, input_b;
    size_t at_a = 0, at_b = 0;

    for (size_t i = 0; i < count; i++) {
        CHECK(codec_read_input(a, &at_a, &input_a));
        CHECK(codec_read_input(b, &at_b, &input_b));
        same_record(&input_a, &input_b);
        same_bytes(input_a.payload.bytes, input_b.payload.bytes);
    }
    CHECK(!codec_read_input(b, &at_b, &input_b));
    CHECK(at_b != SIZE_MAX);
}

static void same_task(const struct task_message *a, const struct task_message *b)
{
    same_id(&a->id, &b->id);
    CHECK(a->attempt == b->attempt);
    same_bytes(a->service, b->service);
    same_bytes(a->payload.bytes, b->payload.bytes);
    CHECK(a->deadline_ms == b->deadline_ms);
    CHECK(a->lease_ms == b->lease_ms);
    same_bytes(a->submitter, b->submitter);
    CHECK(a->max_run_ms == b->max_run_ms);
    CHECK(a->stream == b->stream);
    CHECK(a->input_count == b->input_count);
    if (a->input_count > 0) {
        same_inputs(a->inputs.bytes, b->inputs.bytes, a->input_count);
    }
    same_bytes(a->checkpoint.bytes, b->checkpoint.bytes);
}

static void same_result(const struct result *a, const struct result *b)
{
    same_record(&a->record, &b->record);
    CHECK(a->input_count == b->input_count);
    if (a->input_count == 0) {
        same_bytes(a->record.payload.bytes, b->record.payload.bytes);
        return;
    }
    same_inputs(a->record.payload.bytes, b->record.payload.bytes, a->input_count);
}

static void same_reply(const struct reply *a, const struct reply *b)
{
    CHECK(a->request == b->request);
    CHECK(a->ok == b->ok);
    same_bytes(a->raw, b->raw);
    same_error(&a->error, &b->error);
}

static void same_attempt(const struct id *a, uint64_t attempt_a, const struct id *b,
                         uint64_t attempt_b)
{
    same_id(a, b);
    CHECK(attempt_a == attempt_b);
}

static void same_event(const struct event_message *a, const struct event_message *b)
{
    CHECK(a->request == b->request);
    CHECK(a->sequence == b->sequence);
    CHECK(a->lost == b->lost);
    same_bytes(a->kind, b->kind);
    same_id(&a->task, &b->task);
    same_bytes(a->service, b->service);
    same_bytes(a->peer, b->peer);
    CHECK(a->attempt == b->attempt);
    same_bytes(a->detail, b->detail);
}

static void same_control(const struct control *a, const struct control *b)
{
    CHECK(a->request == b->request);
    CHECK(a->what == b->what);
    same_bytes(a->service, b->service);
    same_bytes(a->key, b->key);
    same_bytes(a->tenant, b->tenant);
    CHECK(a->peer == b->peer);
    same_id(&a->task, &b->task);
    CHECK(a->ms == b->ms);
#define SAME_LIMIT(name, max) CHECK(a->limits.name == b->limits.name);
    LIMIT_VALUES(SAME_LIMIT)
}

static void same_message(const struct message *a, const struct message *b)
{
    CHECK(a->command == b->command);
    switch (a->command) {
    case COMMAND_HELLO:
        CHECK(a->hello.version == b->hello.version);
        same_id(&a->hello.session, &b->hello.session);
        same_bytes(a->hello.name, b->hello.name);
        same_bytes(a->hello.agent, b->hello.agent);
        CHECK(a->hello.resume == b->hello.resume);
        CHECK(a->hello.received == b->hello.received);
        CHECK(a->hello.greeting == b->hello.greeting);
        return;
    case COMMAND_OFFER:
        same_offer(&a->offer, &b->offer);
        return;
    case COMMAND_WITHDRAW:
        same_bytes(a->withdraw.service, b->withdraw.service);
        return;
    case COMMAND_CREDIT:
        same_bytes(a->credit.service, b->credit.service);
        CHECK(a->credit.credit == b->credit.credit);
        return;
    case COMMAND_SUBMIT:
        same_submit(&a->submit, &b->submit);
        return;
    case COMMAND_CANCEL:
        same_id(&a->cancel.id, &b->cancel.id);
        same_bytes(a->cancel.reason, b->cancel.reason);
        CHECK(a->cancel.request == b->cancel.request);
        return;
    case COMMAND_DONE:
        same_attempt(&a->done.id, a->done.attempt, &b->done.id, b->done.attempt);
        same_bytes(a->done.payload.bytes, b->done.payload.bytes);
        CHECK(a->done.costed == b->done.costed);
        CHECK(a->done.cost == b->done.cost);
        return;
    case COMMAND_FAIL:
        same_attempt(&a->fail.id, a->fail.attempt, &b->fail.id, b->fail.attempt);
        same_error(&a->fail.error, &b->fail.error);
        CHECK(a->fail.costed == b->fail.costed);
        CHECK(a->fail.cost == b->fail.cost);
        return;
    case COMMAND_PROGRESS:
    case COMMAND_PROGRESS_OUT:
        same_attempt(&a->progress.id, a->progress.attempt, &b->progress.id, b->progress.attempt);
        same_bytes(a->progress.payload.bytes, b->progress.payload.bytes);
        return;
    case COMMAND_QUERY:
        same_query(&a->query, &b->query);
        return;
    case COMMAND_PING:
        CHECK(a->ping.nonce == b->ping.nonce);
        return;
    case COMMAND_BYE:
        same_bytes(a->bye.reason, b->bye.reason);
        return;
    case COMMAND_WELCOME:
        same_welcome(&a->welcome, &b->welcome);
        return;
    case COMMAND_ACCEPTED:
        same_id(&a->accepted.id, &b->accepted.id);
        return;
    case COMMAND_STARTED:
        same_attempt(&a->started.id, a->started.attempt, &b->started.id, b->started.attempt);
        same_bytes(a->started.worker, b->started.worker);
        return;
    case COMMAND_TASK:
        same_task(&a->task, &b->task);
        return;
    case COMMAND_RESULT:
        same_result(&a->result, &b->result);
        return;
    case COMMAND_CANCEL_OUT:
        same_attempt(&a->cancel_out.id, a->cancel_out.attempt, &b->cancel_out.id,
                     b->cancel_out.attempt);
        same_bytes(a->cancel_out.reason, b->cancel_out.reason);
        return;
    case COMMAND_REPLY:
        same_reply(&a->reply, &b->reply);
        return;
    case COMMAND_PONG:
        CHECK(a->pong.nonce == b->pong.nonce);
        return;
    case COMMAND_ERROR:
        same_error(&a->error.error, &b->error.error);
        CHECK(a->error.command == b->error.command);
        same_bytes(a->error.field, b->error.field);
        same_id(&a->error.id, &b->error.id);
        return;
    case COMMAND_CHUNK:
    case COMMAND_CHUNK_OUT:
        same_attempt(&a->chunk.id, a->chunk.attempt, &b->chunk.id, b->chunk.attempt);
        CHECK(a->chunk.sequence == b->chunk.sequence);
        same_bytes(a->chunk.payload.bytes, b->chunk.payload.bytes);
        return;
    case COMMAND_READ:
        same_attempt(&a->read.id, a->read.attempt, &b->read.id, b->read.attempt);
        CHECK(a->read.sequence == b->read.sequence);
        CHECK(a->read.credit == b->read.credit);
        return;
    case COMMAND_FLOW:
        same_attempt(&a->flow.id, a->flow.attempt, &b->flow.id, b->flow.attempt);
        CHECK(a->flow.until == b->flow.until);
        return;
    case COMMAND_CHECKPOINT:
        same_attempt(&a->checkpoint.id, a->checkpoint.attempt, &b->checkpoint.id,
                     b->checkpoint.attempt);
        same_bytes(a->checkpoint.payload.bytes, b->checkpoint.payload.bytes);
        return;
    case COMMAND_SIGNAL:
        CHECK(a->signal.request == b->signal.request);
        same_id(&a->signal.id, &b->signal.id);
        same_bytes(a->signal.payload.bytes, b->signal.payload.bytes);
        return;
    case COMMAND_SIGNAL_OUT:
        same_attempt(&a->signal_out.id, a->signal_out.attempt, &b->signal_out.id,
                     b->signal_out.attempt);
        same_bytes(a->signal_out.payload.bytes, b->signal_out.payload.bytes);
        return;
    case COMMAND_WATCH:
        CHECK(a->watch.request == b->watch.request);
        CHECK(a->watch.credit == b->watch.credit);
        same_bytes(a->watch.service, b->watch.service);
        same_id(&a->watch.task, &b->watch.task);
        return;
    case COMMAND_EVENT:
        same_event(&a->event, &b->event);
        return;
    case COMMAND_CONTROL:
        same_control(&a->control, &b->control);
        return;
    case COMMAND_SEQUENCE:
        CHECK(a->sequence.number == b->sequence.number);
        CHECK(a->sequence.acknowledged == b->sequence.acknowledged);
        return;
    }
    CHECK(!"codec_read accepts no unknown command");
}

/* ---- a round trip ------------------------------------------------------ */

/* Hands out a received join's inputs one by one, as a sender does. */
struct inputs {
    struct span bytes;
    size_t at, next;
};

static void input_at(void *context, size_t index, struct outcome_record *record)
{
    struct inputs *inputs = context;

    CHECK(index == inputs->next++);
    CHECK(codec_read_input(inputs->bytes, &inputs->at, record));
}

static enum codec_write_result write_message(struct codec_writer *writer,
                                             const struct message *message)
{
    struct message outgoing = *message;
    struct inputs inputs = {0};

    if (message->command == COMMAND_TASK && message->task.input_count > 0) {
        inputs.bytes = message->task.inputs.bytes;
        outgoing.task.input_at = input_at;
        outgoing.task.input_context = &inputs;
    }
    if (message->command == COMMAND_RESULT && message->result.input_count > 0) {
        inputs.bytes = message->result.record.payload.bytes;
        outgoing.result.record.payload = (struct payload){0};
        outgoing.result.input_at = input_at;
        outgoing.result.input_context = &inputs;
    }
    return codec_write(writer, &outgoing);
}

static void round_trip(struct codec_writer *writer, enum codec_side side,
                       const struct message *message)
{
    struct codec_reader reader;
    struct codec_error error;
    struct message back;

    codec_writer_clear(writer);
    CHECK(write_message(writer, message) == CODEC_WRITTEN);
    codec_reader_init(&reader, span_of(writer->data, writer->size), writer->frames,
                      writer->frame_count);
    CHECK(codec_read(&reader, side, &back, &error) == CODEC_OK);
    same_message(message, &back);
    CHECK(codec_read(&reader, side, &back, &error) == CODEC_END);
}

/* Reads the batch to its end, as a receiver does. */
static void read_batch(struct codec_writer *writer, enum codec_side side, struct span batch,
                       struct blob *const *frames, size_t frame_count)
{
    struct codec_reader reader;
    size_t steps = 0;

    codec_reader_init(&reader, batch, frames, frame_count);
    for (;;) {
        struct message message;
        struct codec_error error;
        enum codec_result result = codec_read(&reader, side, &message, &error);

        CHECK(steps++ <= batch.size + 1); /* a command is a byte at least */
        if (result == CODEC_END) {
            return;
        }
        if (result == CODEC_OK) {
            round_trip(writer, side, &message);
            continue;
        }
        CHECK(error.code == ERROR_BAD_MESSAGE || error.code == ERROR_TOO_LARGE ||
              error.code == ERROR_UNSUPPORTED);
        CHECK(error.field != NULL && error.message != NULL);
        if (result == CODEC_BROKEN) {
            CHECK(codec_read(&reader, side, &message, &error) == CODEC_END);
            return;
        }
    }
}

static void read_value(struct span bytes)
{
    bool valid = codec_value_valid(bytes);
    json_t *json = json_unpack_bytes(bytes);
    struct outcome_record record;
    size_t at = 0;

    if (json != NULL) {
        size_t size;
        uint8_t *packed = json_pack_bytes(json, &size);
        json_t *back;

        CHECK(valid);
        CHECK(packed != NULL);
        CHECK(codec_value_valid(span_of(packed, size)));
        back = json_unpack_bytes(span_of(packed, size));
        CHECK(back != NULL);
        CHECK(json_equal(json, back));
        json_decref(back);
        free(packed);
        json_decref(json);
    }
    while (codec_read_input(bytes, &at, &record)) {
    }
    CHECK(at == bytes.size || at == SIZE_MAX);
}

static struct blob *take_frame(struct input *input)
{
    uint8_t code = take_byte(input);
    static uint8_t large[129 * 128];

    if (code < 128) {
        return blob_new(take_span(input, code));
    }
    memset(large, code, sizeof large);
    return blob_new(span_of(large, (size_t)(code - 127) * 128));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct codec_writer writer; /* keeps its buffer from run to run */
    struct input input = input_of(data, size);
    uint8_t head = take_byte(&input);
    struct blob *frames[FRAMES_MAX];
    size_t frame_count = head / 2 % FRAMES_MAX;
    struct span batch;

    for (size_t i = 0; i < frame_count; i++) {
        frames[i] = take_frame(&input);
    }
    batch = take_span(&input, input_left(&input));
    read_batch(&writer, head & 1 ? CODEC_AT_PEER : CODEC_AT_BROKER, batch, frames, frame_count);
    codec_writer_clear(&writer);
    read_value(batch);
    for (size_t i = 0; i < frame_count; i++) {
        blob_unref(frames[i]);
    }
    return 0;
}
