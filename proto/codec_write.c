/* Writing: one function a command, in the order of proto/PROTOCOL.md section 3.
 *
 * What is said once in a session, or for people, is cold: the compiler is not to unfold it into
 * codec_write, at the expense of what is said of every task. */

#include "proto/codec_draft.h"

#include "common/check.h"
#include "common/doc.h"

#include <stdlib.h>

/* ---- errors and answers ------------------------------------------------ */

static void put_error(struct pack_list *list, const struct error *error)
{
    pack_error(list->pack, error);
    pack_keep(list);
}

static void put_reply(struct pack_list *list, const struct reply *reply)
{
    bool overflow = reply->ok && reply->body != NULL && reply->body->overflow;

    put_uint(list, reply->request);
    pack_bool(list->pack, reply->ok && !overflow);
    pack_keep(list);
    if (overflow) {
        /* half an answer would be a wrong one */
        put_error(list, &(struct error){
                            .code = span_from_text(error_code_name(ERROR_TOO_LARGE)),
                            .message = span_from_text("the answer does not fit into one page")});
    } else if (!reply->ok) {
        put_error(list, &reply->error);
    } else {
        if (reply->body != NULL) {
            pack_doc(list->pack, reply->body);
        } else if (reply->raw.size > 0) {
            pack_append(list->pack, reply->raw.data, reply->raw.size);
        } else {
            pack_put_map(list->pack, 0);
        }
        pack_keep(list);
    }
}

/* ---- peer to broker ---------------------------------------------------- */

static __attribute__((cold)) void put_hello(struct pack_list *list, const struct hello *hello)
{
    struct pack_list map;

    put_uint(list, hello->version);
    put_id(list, &hello->session);
    put_text(list, hello->name);
    map = pack_begin(list->pack);
    option_put_text(&map, "agent", hello->agent);
    option_put_true(&map, "resume", hello->resume);
    option_put_uint(&map, "received", hello->received);
    option_put_uint(&map, "greeting", hello->greeting);
    put_options(list, &map);
}

static __attribute__((cold)) void put_offer(struct pack_list *list,
                                            const struct offer_message *offer)
{
    struct pack_list map;

    put_text(list, offer->service);
    put_uint(list, offer->credit);
    map = pack_begin(list->pack);
    option_put_text(&map, "schema", offer->schema);
    option_put_text(&map, "version", offer->version);
    option_put_text(&map, "about", offer->about);
    option_put_uint(&map, "max_tasks", offer->max_tasks);
    option_put_uint(&map, "max_bytes", offer->max_bytes);
    option_put_uint(&map, "lease_ms", offer->lease_ms);
    option_put_uint(&map, "attempts", offer->attempts);
    option_put_uint(&map, "max_run_ms", offer->max_run_ms);
    option_put_true(&map, "exclusive", offer->exclusive);
    put_options(list, &map);
}

static void put_argument(struct pack_list *list, const struct query *query)
{
    switch (query->what) {
    case QUERY_CATALOG:
    case QUERY_PEERS:
    case QUERY_LIST:
    case QUERY_DEAD:
    case QUERY_LIMITS:
        put_text_or_default(list, query->argument);
        break;
    case QUERY_STATUS:
    case QUERY_WHY:
    case QUERY_TREE:
    case QUERY_RESULT:
    case QUERY_LETTER:
        CHECK(query->argument.size == ID_BYTES);
        pack_id(list->pack, query->argument.data);
        pack_keep(list);
        break;
    case QUERY_STATS:
        pack_default(list);
        break;
    }
}

static __attribute__((cold)) void put_query(struct pack_list *list, const struct query *query)
{
    struct pack_list map;

    put_uint(list, query->request);
    put_text(list, span_from_text(query_what_name(query->what)));
    put_argument(list, query);
    map = pack_begin(list->pack);
    option_put_text(&map, "service", query->service);
    option_put_text(&map, "state", query->state);
    put_options(list, &map);
}

/* ---- broker to peer ---------------------------------------------------- */

static __attribute__((cold)) void put_welcome(struct pack_list *list, const struct welcome *welcome)
{
    struct pack_list map;

    put_uint(list, welcome->version);
    map = pack_begin(list->pack);
    option_put_true(&map, "known", welcome->known);
    option_put_id(&map, "broker", &welcome->broker);
    option_put_uint(&map, "shard", welcome->shard);
    option_put_uint(&map, "ping_ms", welcome->ping_ms);
    option_put_uint(&map, "silence_ms", welcome->silence_ms);
    option_put_uint(&map, "resume_ms", welcome->resume_ms);
    option_put_uint(&map, "window_tasks", welcome->window_tasks);
    option_put_uint(&map, "window_bytes", welcome->window_bytes);
    option_put_uint(&map, "payload_bytes", welcome->payload_bytes);
    option_put_uint(&map, "time_ms", welcome->time_ms);
    option_put_true(&map, "resume", welcome->resume);
    option_put_true(&map, "resumed", welcome->resumed);
    option_put_uint(&map, "received", welcome->received);
    option_put_uint(&map, "greeting", welcome->greeting);
    put_options(list, &map);
}

static void put_task(struct draft *draft, struct pack_list *list,
                     const struct task_message *task)
{
    struct pack_list map;

    put_id(list, &task->id);
    put_uint(list, task->attempt);
    put_text(list, task->service);
    put_payload(draft, list, &task->payload);
    map = pack_begin(list->pack);
    option_put_uint(&map, "deadline_ms", task->deadline_ms);
    option_put_uint(&map, "lease_ms", task->lease_ms);
    option_put_text(&map, "submitter", task->submitter);
    option_put_uint(&map, "max_run_ms", task->max_run_ms);
    option_put_uint(&map, "stream", task->stream);
    put_options(list, &map);
    if (task->input_at != NULL) {
        put_inputs(draft, list, &(struct input_list){task->input_count, task->input_at,
                                                     task->input_context});
    } else {
        pack_default(list);
    }
    if (task->checkpoint.bytes.size > 0) {
        put_payload(draft, list, &task->checkpoint);
    }
}

static void put_result(struct draft *draft, struct pack_list *list,
                       const struct result *result)
{
    const struct outcome_record *record = &result->record;

    put_id(list, &record->id);
    put_uint(list, record->outcome);
    if (record->outcome == OUTCOME_DONE) {
        put_payload(draft, list, &record->payload);
    } else {
        put_error(list, &record->error);
    }
    put_uint_or_default(list, record->attempt);
    put_uint_or_default(list, record->waited_ms);
    put_uint_or_default(list, record->ran_ms);
    put_text_or_default(list, record->worker);
    if (result->input_at != NULL) {
        put_inputs(draft, list, &(struct input_list){result->input_count, result->input_at,
                                                     result->input_context});
    }
}

static void put_error_message(struct pack_list *list, const struct error_message *error)
{
    put_error(list, &error->error);
    put_uint_or_default(list, error->command);
    put_text_or_default(list, error->field);
    if (!id_is_nil(&error->id)) {
        put_id(list, &error->id);
    }
}

/* ---- the command itself ------------------------------------------------ */

static void put_cost(struct pack_list *list, bool costed, uint64_t cost)
{
    if (costed) {
        put_uint(list, cost);
    }
}

static void put_fields(struct draft *draft, struct pack_list *list,
                       const struct message *message)
{
    switch (message->command) {
    case COMMAND_HELLO:
        put_hello(list, &message->hello);
        return;
    case COMMAND_OFFER:
        put_offer(list, &message->offer);
        return;
    case COMMAND_WITHDRAW:
        put_text(list, message->withdraw.service);
        return;
    case COMMAND_CREDIT:
        put_text(list, message->credit.service);
        put_uint(list, message->credit.credit);
        return;
    case COMMAND_SUBMIT:
        put_submit(draft, list, &message->submit);
        return;
    case COMMAND_CANCEL:
        put_id(list, &message->cancel.id);
        put_text_or_default(list, message->cancel.reason);
        put_uint_or_default(list, message->cancel.request);
        return;
    case COMMAND_DONE:
        put_attempt(list, &message->done.id, message->done.attempt);
        put_payload(draft, list, &message->done.payload);
        put_cost(list, message->done.costed, message->done.cost);
        return;
    case COMMAND_FAIL:
        put_attempt(list, &message->fail.id, message->fail.attempt);
        put_error(list, &message->fail.error);
        put_cost(list, message->fail.costed, message->fail.cost);
        return;
    case COMMAND_PROGRESS:
    case COMMAND_PROGRESS_OUT:
        put_attempt(list, &message->progress.id, message->progress.attempt);
        if (message->progress.payload.bytes.size > 0) {
            put_payload(draft, list, &message->progress.payload);
        }
        return;
    case COMMAND_QUERY:
        put_query(list, &message->query);
        return;
    case COMMAND_PING:
        put_uint_or_default(list, message->ping.nonce);
        return;
    case COMMAND_BYE:
        put_text_or_default(list, message->bye.reason);
        return;
    case COMMAND_WELCOME:
        put_welcome(list, &message->welcome);
        return;
    case COMMAND_ACCEPTED:
        put_id(list, &message->accepted.id);
        return;
    case COMMAND_STARTED:
        put_attempt(list, &message->started.id, message->started.attempt);
        put_text(list, message->started.worker);
        return;
    case COMMAND_TASK:
        put_task(draft, list, &message->task);
        return;
    case COMMAND_RESULT:
        put_result(draft, list, &message->result);
        return;
    case COMMAND_CANCEL_OUT:
        put_attempt(list, &message->cancel_out.id, message->cancel_out.attempt);
        put_text(list, message->cancel_out.reason);
        return;
    case COMMAND_REPLY:
        put_reply(list, &message->reply);
        return;
    case COMMAND_PONG:
        put_uint(list, message->pong.nonce);
        return;
    case COMMAND_ERROR:
        put_error_message(list, &message->error);
        return;
    case COMMAND_CHUNK:
    case COMMAND_CHUNK_OUT:
        put_chunk(draft, list, &message->chunk);
        return;
    case COMMAND_READ:
        put_read(list, &message->read);
        return;
    case COMMAND_FLOW:
        put_flow(list, &message->flow);
        return;
    case COMMAND_CHECKPOINT:
        put_checkpoint(draft, list, &message->checkpoint);
        return;
    case COMMAND_SIGNAL:
        put_signal(draft, list, &message->signal);
        return;
    case COMMAND_SIGNAL_OUT:
        put_signal_out(draft, list, &message->signal_out);
        return;
    case COMMAND_WATCH:
        put_watch(list, &message->watch);
        return;
    case COMMAND_EVENT:
        put_event(list, &message->event);
        return;
    case COMMAND_CONTROL:
        put_control(list, &message->control);
        return;
    case COMMAND_SEQUENCE:
        put_sequence(list, &message->sequence);
        return;
    }
    CHECK(!"a command that is unknown");
}

static void writer_drop_frames(struct codec_writer *writer, size_t frame_count)
{
    while (writer->frame_count > frame_count) {
        struct blob *blob = writer->frames[--writer->frame_count];

        writer->frame_bytes -= blob_span(blob).size;
        blob_unref(blob);
    }
}

void codec_writer_init(struct codec_writer *writer)
{
    *writer = (struct codec_writer){0};
}

void codec_writer_clear(struct codec_writer *writer)
{
    writer_drop_frames(writer, 0);
    writer->size = 0;
    writer->frame_bytes = 0; /* the frames may have been taken over */
    writer->command_count = 0;
}

void codec_writer_deinit(struct codec_writer *writer)
{
    codec_writer_clear(writer);
    free(writer->data);
    *writer = (struct codec_writer){0};
}

enum codec_write_result codec_write(struct codec_writer *writer, const struct message *message)
{
    struct draft draft = {
        .pack = {.data = writer->data,
                 .size = writer->size,
                 .capacity = writer->capacity,
                 .bytes_max = BATCH_BYTES_MAX - SEQUENCE_BYTES_MAX,
                 .result = CODEC_WRITTEN},
        .writer = writer,
    };
    size_t frame_count = writer->frame_count;
    struct pack_list list;

    if (writer->command_count == BATCH_COMMANDS_MAX) {
        return CODEC_FULL;
    }
    list = pack_begin(&draft.pack);
    put_uint(&list, message->command);
    put_fields(&draft, &list, message);
    pack_end(&list, PACK_ARRAY);
    writer->data = draft.pack.data;
    writer->capacity = draft.pack.capacity;
    if (draft.pack.result != CODEC_WRITTEN) {
        writer_drop_frames(writer, frame_count);
        return draft.pack.result;
    }
    writer->size = draft.pack.size;
    writer->command_count++;
    return CODEC_WRITTEN;
}
