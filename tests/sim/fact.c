/* What a step did, as facts: taken from effects and log records, hashed and printed. */
#include "tests/sim/shadow.h"
#include "tests/sim/shadow_directive.h"

#include "common/check.h"
#include "common/doc.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- what is seen ------------------------------------------------------------------- */

static void hash_bytes(struct model *model, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < size; i++) {
        model->hash = (model->hash ^ at[i]) * 0x100000001b3ULL; /* FNV-1a */
    }
}

void fact_hash_number(struct model *model, uint64_t number)
{
    model->hash = (model->hash ^ number) * 0x9e3779b97f4a7c15ULL;
    model->hash ^= model->hash >> 29;
}

uint64_t fact_digest(struct span bytes)
{
    uint64_t digest = 0xcbf29ce484222325ULL;

    for (size_t i = 0; i < bytes.size; i++) {
        digest = (digest ^ bytes.data[i]) * 0x100000001b3ULL; /* FNV-1a */
    }
    return bytes.size > 0 ? digest | 1 : 0;
}

static struct fact *fact_add(struct model *model, enum fact_kind kind)
{
    struct fact *fact;

    if (model->fact_count == model->fact_capacity) {
        model->fact_capacity = model->fact_capacity == 0 ? 64 : model->fact_capacity * 2;
        model->facts = realloc(model->facts, model->fact_capacity * sizeof *model->facts);
        CHECK(model->facts != NULL);
    }
    fact = &model->facts[model->fact_count++];
    memset(fact, 0, sizeof *fact);
    fact->kind = kind;
    return fact;
}

/* {service, state, cause, code} */
static void gate_logged(struct model *model, const struct log_record *record)
{
    struct fact *fact = fact_add(model, FACT_GATE);

    shadow_copy_text(fact->service, sizeof fact->service, record->fields[0].text);
    shadow_copy_text(fact->code, sizeof fact->code, record->fields[1].text);
    shadow_copy_text(fact->reason, sizeof fact->reason, record->fields[2].text);
    hash_bytes(model, fact->code, strlen(fact->code));
}

/* {task, ...} */
static void letter_logged(struct model *model, const struct log_record *record)
{
    struct fact *fact = fact_add(model, FACT_LETTER);

    fact->id = *record->fields[0].id;
    shadow_copy_text(fact->code, sizeof fact->code, span_from_text(record->event));
    hash_bytes(model, fact->code, strlen(fact->code));
    hash_bytes(model, fact->id.bytes, sizeof fact->id.bytes);
}

/* {task, session}: of the last move */
static void starting_logged(struct model *model, const struct log_record *record)
{
    struct fact *move = NULL;

    for (size_t i = 0; i < model->fact_count; i++) {
        if (model->facts[i].kind == FACT_MOVE) {
            move = &model->facts[i];
        }
    }
    CHECK(move != NULL && id_equal(&move->id, record->fields[0].id));
    move->starts = true;
    move->session = *record->fields[1].id;
}

void model_logged(struct model *model, const struct log_record *record)
{
    struct fact *fact;

    if (strcmp(record->event, "gate") == 0) {
        gate_logged(model, record);
    } else if (strcmp(record->event, "task_starting") == 0) {
        starting_logged(model, record);
    } else if (strncmp(record->event, "dead_letter", 11) == 0) {
        letter_logged(model, record);
    }

    if (strcmp(record->event, "worker_drained") == 0) {
        model_drained(model, record->fields[1].id, true);
    } else if (strcmp(record->event, "worker_undrained") == 0) {
        model_drained(model, record->fields[1].id, false);
    } else if (strcmp(record->event, "peer_ended") == 0) {
        model_drained(model, record->fields[1].id, false);
    }
    if (strcmp(record->event, "task_state") != 0) {
        return;
    }
    fact = fact_add(model, FACT_MOVE);
    fact->id = *record->fields[0].id;
    fact->from = shadow_state_from(record->fields[1].text);
    fact->to = shadow_state_from(record->fields[2].text);
    fact->aim = fact->to == SHADOW_STORING ? model->recorded_end : fact->to;
    fact->attempt = record->fields[3].number;
    hash_bytes(model, fact->id.bytes, sizeof fact->id.bytes);
    fact_hash_number(model, (uint64_t)fact->from << 8 | fact->to);
}

static uint64_t mix(uint64_t digest, uint64_t number)
{
    return (digest ^ number) * 0x100000001b3ULL;
}

uint64_t fact_submit_digest(const struct submit *submit)
{
    const struct span texts[] = {submit->service, submit->payload.bytes, submit->key,
                                 submit->order, submit->affinity, submit->version,
                                 submit->retry_on, submit->final_on, submit->idempotency_key,
                                 span_of(submit->id.bytes, ID_BYTES)};
    const uint64_t numbers[] = {submit->deadline_ms, submit->queue_ttl_ms, submit->lease_ms,
                                submit->receipts, submit->held, submit->join, submit->needs_count,
                                submit->k, submit->run_if, submit->no_inputs, submit->priority,
                                submit->cost, submit->delay_ms, submit->max_run_ms,
                                submit->backoff_ms, submit->backoff_max_ms, submit->dead_letter,
                                submit->cache_ms, submit->detached, submit->retain_ms,
                                submit->stream};
    uint64_t digest = 0xcbf29ce484222325ULL;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        digest = mix(digest, fact_digest(texts[i]));
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        digest = mix(digest, numbers[i]);
    }
    for (size_t i = 0; i < submit->needs_count; i++) {
        digest = mix(digest, fact_digest(span_of(submit->needs + i * submit->needs_stride,
                                                 ID_BYTES)));
    }
    return mix(digest, submit->detached ? 0
                                        : fact_digest(span_of(submit->parent.bytes, ID_BYTES)));
}

static void fact_of_error(struct fact *fact, const struct error *error);

static void fact_of_end(struct fact *fact, const struct outcome_record *outcome)
{
    fact->id = outcome->id;
    fact->attempt = outcome->attempt;
    fact->outcome = outcome->outcome;
    if (fact->outcome == OUTCOME_DONE) {
        fact->digest = fact_digest(outcome->payload.bytes);
    } else {
        fact_of_error(fact, &outcome->error);
        fact->digest = fact_digest(outcome->error.raw);
    }
}

void model_recorded(struct model *model, const struct store_record *record)
{
    struct fact *fact = fact_add(model, FACT_RECORD);

    fact->what = record->what;
    fact->key = record->key;
    fact->sequence = record->sequence;
    fact->attempt = record->attempts;
    fact->digest = fact_digest(record->checkpoint.bytes);
    if (record->what == STORE_DIRECTIVE) {
        *model->directed = shadow_directive_of(record->directive);
    } else if (record->what == STORE_TASK) {
        fact->id = record->submit->id;
        fact->attempts_max = record->submit->attempts;
        fact->said = fact_submit_digest(record->submit);
    } else if (record->what == STORE_END) {
        fact_of_end(fact, record->outcome);
        model->recorded_end = shadow_state_of(fact->outcome);
    }
    fact_hash_number(model, (uint64_t)fact->what << 56 | fact->sequence << 28 | fact->key);
    fact_hash_number(model, fact->digest);
}

void model_forgot(struct model *model, uint32_t connection)
{
    fact_add(model, FACT_FORGET)->connection = connection;
    fact_hash_number(model, connection);
}

static void fact_of_error(struct fact *fact, const struct error *error)
{
    if (error->raw.size > 0) {
        shadow_copy_text(fact->code, sizeof fact->code, span_from_text("(application)"));
    } else {
        shadow_copy_text(fact->code, sizeof fact->code, error->code);
    }
    fact->retry_after_ms = error->retry_after_ms;
    for (size_t i = 0; error->details != NULL && i < error->details->token_count; i++) {
        if (span_is(error->details->tokens[i].key, "unconfirmed")) {
            fact->unconfirmed = true;
        }
        if (span_is(error->details->tokens[i].key, "id") &&
            error->details->tokens[i].bytes.size == ID_BYTES) {
            memcpy(fact->culprit.bytes, error->details->tokens[i].bytes.data, ID_BYTES);
        }
    }
}

static void fact_of_inputs(struct fact *fact,
                           void (*input_at)(void *, size_t, struct outcome_record *),
                           void *context)
{
    for (size_t i = 0; i < fact->input_count && i < 16; i++) {
        struct outcome_record input;

        input_at(context, i, &input);
        fact->inputs[i] = input.id;
        fact->input_outcomes[i] = input.outcome;
    }
}

static void fact_of_result(struct fact *fact, const struct result *result)
{
    fact->id = result->record.id;
    fact->attempt = result->record.attempt;
    fact->outcome = result->record.outcome;
    fact->input_count = result->input_count;
    if (fact->outcome != OUTCOME_DONE) {
        fact_of_error(fact, &result->record.error);
        fact->digest = fact_digest(result->record.error.raw);
    } else {
        fact->digest = fact_digest(result->record.payload.bytes);
    }
    fact_of_inputs(fact, result->input_at, result->input_context);
}

static const char *const note_kinds[NOTE_COUNT] = {
#define NOTE_KIND(name, text) [NOTE_##name] = text,
    NOTES(NOTE_KIND)
#undef NOTE_KIND
};

void model_noted(struct model *model, const struct note *note)
{
    struct fact *fact = fact_add(model, FACT_NOTE);

    fact->id = note->task;
    fact->attempt = note->attempt;
    shadow_copy_text(fact->code, sizeof fact->code, span_from_text(note_kinds[note->kind]));
    shadow_copy_text(fact->service, sizeof fact->service, note->service);
    hash_bytes(model, fact->code, strlen(fact->code));
}

/* {sequence, lost} of a REPLY to WATCH. */
static void fact_of_standing(struct fact *fact, const struct doc *body)
{
    for (size_t i = 0; i < body->token_count; i++) {
        if (span_is(body->tokens[i].key, "sequence")) {
            fact->sequence = body->tokens[i].number;
        } else if (span_is(body->tokens[i].key, "lost")) {
            fact->lost = body->tokens[i].number;
        }
    }
}

/* {retried or dropped, left} of a REPLY to CONTROL. */
static void fact_of_letters(struct fact *fact, const struct doc *body)
{
    for (size_t i = 0; i < body->token_count; i++) {
        if (span_is(body->tokens[i].key, "retried") || span_is(body->tokens[i].key, "dropped")) {
            fact->sequence = body->tokens[i].number;
        } else if (span_is(body->tokens[i].key, "left")) {
            fact->lost = body->tokens[i].number;
        }
    }
}

static void fact_of_event(struct fact *fact, const struct event_message *event)
{
    fact->id = event->task;
    fact->attempt = event->attempt;
    fact->request = event->request;
    fact->sequence = event->sequence;
    fact->lost = event->lost;
    shadow_copy_text(fact->code, sizeof fact->code, event->kind);
}

/* Of streams, checkpoints, signals and watches. */
static void fact_of_rest(struct fact *fact, const struct message *message)
{
    switch (message->command) {
    case COMMAND_CHUNK_OUT:
        fact->id = message->chunk.id;
        fact->attempt = message->chunk.attempt;
        fact->sequence = message->chunk.sequence;
        fact->digest = fact_digest(message->chunk.payload.bytes);
        break;
    case COMMAND_FLOW:
        fact->id = message->flow.id;
        fact->attempt = message->flow.attempt;
        fact->sequence = message->flow.until;
        break;
    case COMMAND_SIGNAL_OUT:
        fact->id = message->signal_out.id;
        fact->attempt = message->signal_out.attempt;
        fact->digest = fact_digest(message->signal_out.payload.bytes);
        break;
    case COMMAND_EVENT:
        fact_of_event(fact, &message->event);
        break;
    default:
        break;
    }
}

void model_sent(struct model *model, uint32_t to, const struct message *message)
{
    struct fact *fact = fact_add(model, FACT_SEND);

    fact->connection = to;
    fact->command = message->command;
    switch (message->command) {
    case COMMAND_ACCEPTED:
        fact->id = message->accepted.id;
        break;
    case COMMAND_STARTED:
        fact->id = message->started.id;
        fact->attempt = message->started.attempt;
        break;
    case COMMAND_TASK:
        fact->id = message->task.id;
        fact->attempt = message->task.attempt;
        fact->deadline_ms = message->task.deadline_ms;
        fact->sequence = message->task.stream;
        fact->digest = fact_digest(message->task.checkpoint.bytes);
        fact->input_count = message->task.input_count;
        fact_of_inputs(fact, message->task.input_at, message->task.input_context);
        break;
    case COMMAND_RESULT:
        fact_of_result(fact, &message->result);
        break;
    case COMMAND_PROGRESS_OUT:
        fact->id = message->progress.id;
        fact->attempt = message->progress.attempt;
        break;
    case COMMAND_CANCEL_OUT:
        fact->id = message->cancel_out.id;
        fact->attempt = message->cancel_out.attempt;
        shadow_copy_text(fact->reason, sizeof fact->reason, message->cancel_out.reason);
        break;
    case COMMAND_REPLY:
        fact->request = message->reply.request;
        if (!message->reply.ok) {
            fact_of_error(fact, &message->reply.error);
        } else if (model_event_is(model, COMMAND_WATCH)) {
            fact_of_standing(fact, message->reply.body);
        } else if (model_event_is(model, COMMAND_CONTROL)) {
            fact_of_letters(fact, message->reply.body);
        }
        break;
    case COMMAND_ERROR:
        fact->id = message->error.id;
        fact_of_error(fact, &message->error.error);
        break;
    case COMMAND_WELCOME:
        fact->numbered = message->welcome.resume;
        fact->resumed = message->welcome.resumed;
        fact->known = message->welcome.known;
        break;
    default:
        fact_of_rest(fact, message);
        break;
    }
    fact_hash_number(model, (uint64_t)to << 32 | fact->command);
    hash_bytes(model, fact->id.bytes, sizeof fact->id.bytes);
    fact_hash_number(model, fact->attempt << 8 | fact->outcome);
    fact_hash_number(model, fact->sequence);
    fact_hash_number(model, fact->digest);
    hash_bytes(model, fact->code, strlen(fact->code));
}

const struct id *fact_event_task(const struct event *event)
{
    const struct message *message = event->message;

    if (event->kind == EVENT_MALFORMED) {
        return &event->malformed->id;
    }
    if (event->kind != EVENT_MESSAGE) {
        return NULL;
    }
    switch (message->command) {
    case COMMAND_SUBMIT:
        return &message->submit.id;
    case COMMAND_CANCEL:
        return &message->cancel.id;
    case COMMAND_DONE:
        return &message->done.id;
    case COMMAND_FAIL:
        return &message->fail.id;
    case COMMAND_PROGRESS:
        return &message->progress.id;
    case COMMAND_CHUNK:
        return &message->chunk.id;
    case COMMAND_READ:
        return &message->read.id;
    case COMMAND_CHECKPOINT:
        return &message->checkpoint.id;
    case COMMAND_SIGNAL:
        return &message->signal.id;
    default:
        return NULL;
    }
}

static void print_id(const struct id *id)
{
    printf(" %s", model_id_text(id));
}

static void print_fact(const struct model *model, const struct fact *fact)
{
    static const char *const records[] = {[STORE_TASK] = "task", [STORE_ATTEMPT] = "attempt",
                                          [STORE_CHECKPOINT] = "checkpoint",
                                          [STORE_END] = "end", [STORE_FORGET] = "forget",
                                          [STORE_DIRECTIVE] = "directive"};

    printf("[%8" PRIu64 "]   ", model->now_ms);
    if (fact->kind == FACT_MOVE) {
        print_id(&fact->id);
        printf(" %s -> %s attempt=%" PRIu64 "\n", shadow_state_name(fact->from),
               shadow_state_name(fact->to), fact->attempt);
    } else if (fact->kind == FACT_NOTE) {
        printf(" note %s", fact->code);
        print_id(&fact->id);
        printf("\n");
    } else if (fact->kind == FACT_RECORD) {
        printf(" record %" PRIu64 " of row %" PRIu64 ": %s", fact->sequence, fact->key,
               records[fact->what]);
        print_id(&fact->id);
        printf(" attempt=%" PRIu64 "\n", fact->attempt);
    } else if (fact->kind == FACT_FORGET) {
        printf(" forget c%u\n", fact->connection);
    } else if (fact->kind == FACT_LETTER) {
        printf(" %s", fact->code);
        print_id(&fact->id);
        printf("\n");
    } else if (fact->kind == FACT_GATE) {
        printf(" '%s' is %s: %s\n", fact->service, fact->code, fact->reason);
    } else {
        printf(" c%u <- %s", fact->connection, command_name(fact->command));
        if (!id_is_nil(&fact->id)) {
            print_id(&fact->id);
        }
        if (fact->attempt > 0) {
            printf(" attempt=%" PRIu64, fact->attempt);
        }
        if (fact->sequence > 0 || fact->command == COMMAND_CHUNK_OUT) {
            printf(" sequence=%" PRIu64, fact->sequence);
        }
        if (fact->lost > 0) {
            printf(" lost=%" PRIu64, fact->lost);
        }
        if (fact->command == COMMAND_RESULT) {
            printf(" %s", outcome_name(fact->outcome));
        }
        printf("%s%s%s", fact->known ? " known" : "", fact->numbered ? " numbered" : "",
               fact->resumed ? " resumed" : "");
        printf("%s%s%s%s\n", fact->code[0] ? " code=" : "", fact->code,
               fact->reason[0] ? " reason=" : "", fact->reason);
    }
}

void fact_print_step(const struct model *model)
{
    static const char *const kinds[] = {
        [EVENT_MESSAGE] = "MESSAGE", [EVENT_MALFORMED] = "MALFORMED", [EVENT_PROBE] = "PROBE",
        [EVENT_LOST] = "LOST",       [EVENT_BROKEN] = "BROKEN",       [EVENT_TICK] = "TICK",
        [EVENT_DRAIN] = "DRAIN",     [EVENT_STORED] = "STORED",       [EVENT_STORE] = "STORE",
    };
    const struct event *event = model->event;
    const struct id *id = fact_event_task(event);

    printf("[%8" PRIu64 "] c%u -> %s", event->now_ms, event->from,
           event->kind == EVENT_MESSAGE ? command_name(event->message->command)
                                        : kinds[event->kind]);
    if (id != NULL) {
        print_id(id);
    }
    if (event->kind == EVENT_STORED) {
        printf(" %" PRIu64, event->stored);
    } else if (event->kind == EVENT_STORE) {
        printf(" %s", store_state_name(event->store));
    }
    printf("\n");
    for (size_t i = 0; i < model->fact_count; i++) {
        print_fact(model, &model->facts[i]);
    }
}
