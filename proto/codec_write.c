/* Writing: one function a command, in the order of proto/PROTOCOL.md section 3. */

#include "proto/codec_pack.h"

#include "common/check.h"
#include "common/doc.h"

#include <stdlib.h>

/* One command in the making: its bytes, and where its payloads are attached. */
struct draft {
    struct pack pack;
    struct codec_writer *writer;
};

/* ---- payloads ---------------------------------------------------------- */

/* Attaches `blob`, taking over the caller's reference. */
static void put_frame(struct draft *draft, struct pack_list *list, struct blob *blob)
{
    struct codec_writer *writer = draft->writer;

    if (blob == NULL) {
        draft->pack.result = CODEC_NOMEM;
        return;
    }
    if (writer->frame_count == MESSAGE_FRAMES_MAX - 1) {
        draft->pack.result = CODEC_FULL;
        blob_unref(blob);
        return;
    }
    writer->frames[writer->frame_count++] = blob;
    writer->frame_bytes += blob_span(blob).size;
    put_uint(list, writer->frame_count);
}

static void put_payload(struct draft *draft, struct pack_list *list,
                        const struct payload *payload)
{
    if (payload->bytes.size <= PAYLOAD_INLINE_MAX) {
        pack_bytes(list->pack, payload->bytes);
        pack_keep(list);
    } else if (payload->blob != NULL) {
        CHECK(payload->bytes.data == blob_span(payload->blob).data);
        CHECK(payload->bytes.size == blob_span(payload->blob).size);
        put_frame(draft, list, blob_ref(payload->blob));
    } else {
        put_frame(draft, list, blob_new(payload->bytes));
    }
}

static void put_inputs(struct draft *draft, struct pack_list *list,
                       const struct result *result)
{
    struct pack inputs = {.bytes_max = PAYLOAD_BYTES_MAX};
    struct span bytes;
    struct blob *blob;

    CHECK(result->input_count <= NEEDS_MAX);
    pack_inputs(&inputs, result);
    CHECK(inputs.result != CODEC_FULL); /* pack_inputs leaves out what does not fit */
    bytes = span_of(inputs.data, inputs.size);
    if (inputs.result == CODEC_NOMEM) {
        draft->pack.result = CODEC_NOMEM;
        free(inputs.data);
    } else if (bytes.size <= PAYLOAD_INLINE_MAX) {
        pack_bytes(list->pack, bytes);
        pack_keep(list);
        free(inputs.data);
    } else {
        blob = blob_new_foreign(bytes, free, inputs.data);
        if (blob == NULL) {
            free(inputs.data);
        }
        put_frame(draft, list, blob);
    }
}

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

static void put_hello(struct pack_list *list, const struct hello *hello)
{
    struct pack_list map;

    put_uint(list, hello->version);
    put_id(list, &hello->session);
    put_text(list, hello->name);
    map = pack_begin(list->pack);
    option_put_text(&map, "agent", hello->agent);
    put_options(list, &map);
}

static void put_offer(struct pack_list *list, const struct offer_message *offer)
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
    put_options(list, &map);
}

static void option_put_needs(struct pack_list *map, const struct submit *submit)
{
    option_key(map, "needs");
    pack_put_array(map->pack, submit->needs_count);
    for (size_t i = 0; i < submit->needs_count; i++) {
        pack_id(map->pack, submit->needs + i * submit->needs_stride);
    }
    pack_keep(map);
}

static void put_submit(struct draft *draft, struct pack_list *list,
                       const struct submit *submit)
{
    struct pack_list map;

    put_id(list, &submit->id);
    put_text(list, submit->service);
    put_payload(draft, list, &submit->payload);
    map = pack_begin(list->pack);
    option_put_uint(&map, "deadline_ms", submit->deadline_ms);
    option_put_uint(&map, "queue_ttl_ms", submit->queue_ttl_ms);
    option_put_uint(&map, "lease_ms", submit->lease_ms);
    option_put_uint(&map, "attempts", submit->attempts);
    option_put_id(&map, "parent", &submit->parent);
    option_put_uint(&map, "parent_attempt", submit->parent_attempt);
    option_put_true(&map, "receipts", submit->receipts);
    option_put_true(&map, "held", submit->held);
    if (submit->if_absent == IF_ABSENT_WAIT) {
        option_put_text(&map, "if_absent", span_from_text("wait"));
    }
    if (submit->join != JOIN_NONE) {
        CHECK(submit->needs_count <= NEEDS_MAX);
        option_put_text(&map, "join", span_from_text(join_policy_name(submit->join)));
        option_put_needs(&map, submit);
    }
    put_options(list, &map);
}

static void put_query(struct pack_list *list, const struct query *query)
{
    put_uint(list, query->request);
    put_text(list, span_from_text(query_what_name(query->what)));
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
        break;
    }
}

/* ---- broker to peer ---------------------------------------------------- */

static void put_welcome(struct pack_list *list, const struct welcome *welcome)
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
    put_options(list, &map);
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
        put_inputs(draft, list, result);
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

static void put_attempt(struct pack_list *list, const struct id *id, uint64_t attempt)
{
    put_id(list, id);
    put_uint(list, attempt);
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
        return;
    case COMMAND_FAIL:
        put_attempt(list, &message->fail.id, message->fail.attempt);
        put_error(list, &message->fail.error);
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
    case COMMAND_CHECKPOINT:
    case COMMAND_SIGNAL:
    case COMMAND_WATCH:
    case COMMAND_CHUNK_OUT:
    case COMMAND_SIGNAL_OUT:
    case COMMAND_EVENT:
    case COMMAND_READ:
    case COMMAND_CONTROL:
    case COMMAND_SEQUENCE:
    case COMMAND_FLOW:
        break;
    }
    CHECK(!"a command that is reserved or unknown");
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
                 .bytes_max = BATCH_BYTES_MAX,
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
