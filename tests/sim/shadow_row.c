#include "tests/sim/shadow_row.h"

#include "common/check.h"
#include "tests/sim/shadow.h"
#include "tests/sim/shadow_dead.h"
#include "tests/sim/shadow_directive.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shadow_row *shadow_row_find(const struct model *model, uint64_t key)
{
    for (struct list *at = model->rows.prev; at != &model->rows; at = at->prev) {
        struct shadow_row *row = list_entry(at, struct shadow_row, link);

        if (row->key == key) {
            return row;
        }
    }
    return NULL;
}

struct shadow_row *shadow_row_unbound(const struct model *model, const struct id *id)
{
    list_each(at, &model->rows) {
        struct shadow_row *row = list_entry(at, struct shadow_row, link);

        if (!row->bound && row->directive == NULL && id_equal(&row->id, id)) {
            return row;
        }
    }
    return NULL;
}

struct shadow_task *model_begins(const struct model *model, const struct fact *fact)
{
    struct shadow_task *task = NULL;

    if (fact->kind == FACT_MOVE && fact->to == SHADOW_LEASED) {
        task = model_task(model, &fact->id);
        return fact->starts ? task : NULL;
    }
    if (fact->kind == FACT_SEND && fact->command == COMMAND_TASK) {
        task = model_task(model, &fact->id);
        return task != NULL && !task->starting ? task : NULL;
    }
    return NULL;
}

struct shadow_session *model_taker(const struct model *model, const struct fact *fact)
{
    return fact->kind == FACT_MOVE ? model_session_by_id(model, &fact->session)
                                   : model_session(model, fact->connection);
}

static void row_free(struct shadow_row *row)
{
    list_unlink(&row->link);
    free(row->directive);
    free(row->said);
    free(row->needs);
    free(row);
}

static struct shadow_row *row_begin(struct model *model, const struct fact *fact)
{
    struct shadow_row *row = calloc(1, sizeof *row);

    CHECK(row != NULL);
    list_init(&row->link);
    list_push_back(&model->rows, &row->link);
    row->key = fact->key;
    row->accepted_ms = model->now_ms;
    return row;
}

static struct shadow_row *row_new(struct model *model, const struct fact *fact,
                                  const struct submit *submit, const struct id *session,
                                  uint64_t attempts_max)
{
    struct shadow_row *row = row_begin(model, fact);

    row->id = submit->id;
    row->session = *session;
    row->said = shadow_said_keep(submit);
    row->said->submit.attempts = attempts_max;
    if (submit->detached) {
        row->said->submit.parent = (struct id){{0}};
    }
    if (submit->idempotency_key.size > 0) {
        shadow_copy_text(row->twin, sizeof row->twin, submit->idempotency_key);
        row->content = fact_digest(submit->payload.bytes);
    }
    if (submit->needs_count > 0) {
        row->needs = calloc(submit->needs_count, sizeof *row->needs);
        CHECK(row->needs != NULL);
        for (size_t i = 0; i < submit->needs_count; i++) {
            memcpy(row->needs[i].bytes, submit->needs + i * submit->needs_stride, ID_BYTES);
        }
    }
    row->once = attempts_max == 1;
    return row;
}

static struct shadow_record *record_add(struct model *model)
{
    if (model->record_count == model->record_capacity) {
        model->record_capacity = model->record_capacity * 2 + 64;
        model->records = realloc(model->records,
                                 model->record_capacity * sizeof *model->records);
        CHECK(model->records != NULL);
    }
    return &model->records[model->record_count++];
}

void shadow_row_record(struct model *model, const struct fact *fact, const struct submit *submit,
                       const struct id *session, uint64_t attempts_max)
{
    struct shadow_row *row = fact->what == STORE_TASK
                                 ? row_new(model, fact, submit, session, attempts_max)
                                 : shadow_row_find(model, fact->key);
    struct shadow_record *record = record_add(model);
    struct shadow_task *task;

    CHECK(row != NULL); /* check_durable has looked */
    *record = (struct shadow_record){.what = fact->what,
                                     .sequence = fact->sequence,
                                     .row = row,
                                     .attempts = fact->attempt,
                                     .attempt = fact->attempt,
                                     .digest = fact->digest,
                                     .outcome = fact->outcome};
    memcpy(record->code, fact->code, sizeof record->code);
    task = fact->what == STORE_ATTEMPT ? model_task(model, &row->id) : NULL;
    record->before = task == NULL || !task->mourned ? 0
                     : fact->attempt == 0           ? task->attempts_buried
                                                    : task->attempts_before;
    row->pending++;
    row->pending_checkpoints += fact->what == STORE_CHECKPOINT;
    row->ending = row->ending || fact->what == STORE_END;
    row->attempts_said = fact->what == STORE_ATTEMPT ? fact->attempt : row->attempts_said;
    if (fact->what == STORE_FORGET) {
        row->forgetting = true;
        task = row->directive == NULL ? model_task(model, &row->id) : NULL;
        if (task != NULL && task->row == row) {
            task->row = NULL;
        }
    }
}

const struct shadow_record *shadow_row_recorded(const struct model *model,
                                                const struct shadow_row *row)
{
    for (size_t i = model->record_count; i > 0; i--) {
        if (model->records[i - 1].row == row) {
            return &model->records[i - 1];
        }
    }
    return NULL;
}

void shadow_row_direct(struct model *model, const struct fact *fact,
                       const struct shadow_directive *directive)
{
    struct shadow_row *row = row_begin(model, fact);

    row->directive = malloc(sizeof *directive);
    CHECK(row->directive != NULL);
    *row->directive = *directive;
    row->bound = true;
    row->pending = 1;
    *record_add(model) = (struct shadow_record){
        .what = STORE_DIRECTIVE, .sequence = fact->sequence, .row = row};
}

static void apply(struct shadow_row *row, const struct shadow_record *record)
{
    row->pending--;
    row->pending_checkpoints -= record->what == STORE_CHECKPOINT;
    switch (record->what) {
    case STORE_TASK:
        row->safe = row->fresh = true;
        row->attempts = record->attempts;
        break;
    case STORE_ATTEMPT:
        row->attempts = record->attempts;
        row->before = record->before;
        break;
    case STORE_CHECKPOINT:
        row->checkpoint = record->digest;
        break;
    case STORE_END:
        row->ended = true;
        row->outcome = record->outcome;
        row->attempt = record->attempt;
        row->digest = record->digest;
        memcpy(row->code, record->code, sizeof row->code);
        break;
    case STORE_DIRECTIVE:
        row->safe = true;
        break;
    case STORE_FORGET:
        CHECK(row->pending == 0);
        row_free(row);
        break;
    }
}

void shadow_rows_stored(struct model *model, uint64_t sequence)
{
    size_t count = 0;

    while (count < model->record_count && model->records[count].sequence <= sequence) {
        apply(model->records[count].row, &model->records[count]);
        count++;
    }
    if (count == 0) {
        return;
    }
    model->record_count -= count;
    memmove(model->records, model->records + count, model->record_count * sizeof *model->records);
}

void model_crashed(struct model *model, uint64_t kept)
{
    shadow_rows_stored(model, kept);
    model->record_count = 0;
    list_each(at, &model->rows) {
        struct shadow_row *row = list_entry(at, struct shadow_row, link);

        if (!row->safe) {
            row_free(row);
            continue;
        }
        row->pending = row->pending_checkpoints = 0;
        row->attempts_said = row->attempts;
        row->ending = row->forgetting = row->bound = row->fresh = false;
    }
}

void model_damaged(struct model *model, uint64_t key)
{
    struct shadow_row *row = shadow_row_find(model, key);

    CHECK(row != NULL && row->pending == 0);
    if (model->trace) {
        printf("[%8" PRIu64 "] row %" PRIu64 " (%s) cannot be read\n", model->now_ms, key,
               row->directive != NULL ? row->directive->service : model_id_text(&row->id));
    }
    row_free(row);
}

static uint64_t left_ms(uint64_t ms, uint64_t gone_ms)
{
    return ms == 0 ? 0 : ms > gone_ms ? ms - gone_ms : 1;
}

struct submit shadow_row_submit(const struct model *model, const struct shadow_row *row)
{
    struct submit submit = row->said->submit;
    uint64_t gone_ms = model->now_ms - row->accepted_ms;

    submit.deadline_ms = left_ms(submit.deadline_ms, gone_ms);
    submit.delay_ms = left_ms(submit.delay_ms, gone_ms);
    submit.idempotency_key = span_from_text(row->twin);
    submit.needs = (const uint8_t *)row->needs;
    submit.needs_stride = sizeof *row->needs;
    for (size_t i = 0; i < submit.needs_count; i++) {
        if (model_task(model, &row->needs[i]) == NULL) { /* all of them, or none */
            submit.needs_count = 0;
            submit.join = JOIN_NONE;
        }
    }
    return submit;
}

bool shadow_row_attempt_fits(const struct shadow_row *row, uint64_t attempt)
{
    uint64_t before = row->attempts > 0 ? row->before : 0;

    return row->ended ? attempt == row->attempt
                      : attempt >= row->attempts && attempt <= row->attempts + before;
}

uint64_t shadow_rows_unsafe_bytes(const struct model *model)
{
    uint64_t bytes = 0;

    list_each(at, &model->rows) {
        const struct shadow_row *row = list_entry(at, struct shadow_row, link);

        bytes += row->safe || row->directive != NULL ? 0 : row->said->submit.payload.bytes.size;
    }
    return bytes;
}

void shadow_rows_free(struct model *model)
{
    list_each(at, &model->rows) {
        row_free(list_entry(at, struct shadow_row, link));
    }
    free(model->records);
}
