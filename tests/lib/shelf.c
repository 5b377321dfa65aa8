#include "tests/lib/shelf.h"

#include "common/check.h"

#include <stdlib.h>
#include <string.h>

/* One record, and the texts of it. Applied to the row when it is certain. */
struct kept {
    struct kept *next;
    struct store_record record;
    struct submit submit;
    struct outcome_record outcome;
    struct control directive;
    uint8_t *texts;
    size_t used, size;
};

struct row {
    struct store_row row;
    struct kept *task, *attempt, *checkpoint, *end; /* whose texts it borrows */
};

struct shelf {
    struct row *rows; /* by key */
    size_t count, capacity;
    struct kept *first, **last; /* since the last crash, in order; those of rows before: forgotten */
    uint64_t sequence, applied, next_key;
};

static void *checked(void *memory)
{
    CHECK(memory != NULL);
    return memory;
}

static struct span copy(struct kept *kept, struct span from)
{
    uint8_t *to = kept->texts + kept->used;

    CHECK(kept->used + from.size <= kept->size);
    if (from.size > 0) {
        memcpy(to, from.data, from.size);
    }
    kept->used += from.size;
    return span_of(to, from.size);
}

#define EACH_TEXT(X)                                                                               \
    X(submit.service) X(submit.payload.bytes) X(submit.key) X(submit.order) X(submit.affinity)     \
    X(submit.version) X(submit.retry_on) X(submit.final_on) X(submit.idempotency_key)              \
    X(record.peer) X(record.causes) X(record.checkpoint.bytes) X(outcome.payload.bytes)            \
    X(outcome.error.raw) X(outcome.error.code) X(outcome.error.message) X(outcome.worker)          \
    X(directive.service) X(directive.key) X(directive.tenant)

static struct kept *keep(const struct store_record *record)
{
    struct kept *kept = checked(calloc(1, sizeof *kept));
    size_t needs;

    kept->record = *record;
    if (record->submit != NULL) {
        kept->submit = *record->submit;
        kept->submit.payload.blob = NULL;
    }
    if (record->outcome != NULL) {
        kept->outcome = *record->outcome;
        kept->outcome.payload.blob = NULL;
        kept->outcome.error.details = NULL;
    }
    if (record->directive != NULL) {
        kept->directive = *record->directive;
    }
    kept->record.checkpoint.blob = NULL;
    needs = kept->submit.needs_count;
#define SIZE(text) kept->size += kept->text.size;
    EACH_TEXT(SIZE)
#undef SIZE
    kept->size += needs * ID_BYTES;
    kept->texts = checked(malloc(kept->size + 1));
#define COPY(text) kept->text = copy(kept, kept->text);
    EACH_TEXT(COPY)
#undef COPY
    if (needs > 0) {
        const uint8_t *from = kept->submit.needs;

        kept->submit.needs = kept->texts + kept->used;
        for (size_t i = 0; i < needs; i++) {
            copy(kept, span_of(from + i * kept->submit.needs_stride, ID_BYTES));
        }
        kept->submit.needs_stride = ID_BYTES;
    }
    return kept;
}

static void drop(struct kept *kept)
{
    if (kept != NULL) {
        free(kept->texts);
        free(kept);
    }
}

struct shelf *shelf_new(void)
{
    struct shelf *shelf = checked(calloc(1, sizeof *shelf));

    shelf->last = &shelf->first;
    shelf->next_key = 1;
    return shelf;
}

static struct row *find(const struct shelf *shelf, uint64_t key)
{
    size_t low = 0, high = shelf->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (shelf->rows[middle].row.key < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < shelf->count && shelf->rows[low].row.key == key ? &shelf->rows[low] : NULL;
}

static void row_free(struct row *row)
{
    drop(row->task);
    drop(row->attempt);
    drop(row->checkpoint);
    drop(row->end);
}

static void add_row(struct shelf *shelf, struct kept *kept)
{
    const struct store_record *record = &kept->record;
    struct row *row;

    CHECK(record->key >= shelf->next_key);
    shelf->next_key = record->key + 1;
    if (shelf->count == shelf->capacity) {
        shelf->capacity = shelf->capacity * 2 + 16;
        shelf->rows = checked(realloc(shelf->rows, shelf->capacity * sizeof *shelf->rows));
    }
    row = &shelf->rows[shelf->count++];
    *row = (struct row){.task = kept,
                        .row = {.key = record->key,
                                .submit = kept->submit,
                                .session = record->session,
                                .peer = record->peer,
                                .accepted_unix_ms = record->accepted_unix_ms,
                                .attempts = record->attempts,
                                .is_directive = record->what == STORE_DIRECTIVE,
                                .directive = kept->directive}};
}

static void row_remove(struct shelf *shelf, struct row *row)
{
    row_free(row);
    memmove(row, row + 1, (size_t)(shelf->rows + shelf->count - row - 1) * sizeof *row);
    shelf->count--;
}

static void apply(struct shelf *shelf, struct kept *kept)
{
    const struct store_record *record = &kept->record;
    struct row *row = find(shelf, record->key);

    CHECK((row == NULL) == (record->what == STORE_TASK || record->what == STORE_DIRECTIVE));
    switch (record->what) {
    case STORE_TASK:
    case STORE_DIRECTIVE:
        add_row(shelf, kept);
        return;
    case STORE_ATTEMPT:
        CHECK(!row->row.ended);
        drop(row->attempt);
        row->attempt = kept;
        row->row.attempts = record->attempts;
        row->row.causes = record->causes;
        return;
    case STORE_CHECKPOINT:
        CHECK(!row->row.ended);
        drop(row->checkpoint);
        row->checkpoint = kept;
        row->row.checkpoint = record->checkpoint;
        return;
    case STORE_END:
        CHECK(!row->row.ended);
        row->end = kept;
        row->row.ended = true;
        if (record->causes.size > 0) {
            row->row.attempts = record->attempts;
            row->row.causes = record->causes;
        }
        row->row.outcome = kept->outcome;
        row->row.ended_unix_ms = record->ended_unix_ms;
        return;
    case STORE_FORGET:
        row_remove(shelf, row);
        break;
    }
    drop(kept);
}

/* What is certain to have been kept. */
static void apply_to(struct shelf *shelf, uint64_t sequence)
{
    while (shelf->first != NULL && shelf->first->record.sequence <= sequence) {
        struct kept *kept = shelf->first;

        shelf->first = kept->next;
        if (shelf->first == NULL) {
            shelf->last = &shelf->first;
        }
        apply(shelf, kept);
    }
}

void shelf_add(struct shelf *shelf, const struct store_record *record)
{
    struct kept *kept = keep(record);

    CHECK(record->sequence == shelf->sequence + 1);
    shelf->sequence = record->sequence;
    *shelf->last = kept;
    shelf->last = &kept->next;
}

void shelf_crash(struct shelf *shelf, uint64_t sequence)
{
    apply_to(shelf, sequence);
    while (shelf->first != NULL) {
        struct kept *kept = shelf->first;

        shelf->first = kept->next;
        drop(kept);
    }
    shelf->last = &shelf->first;
    shelf->sequence = 0;
}

uint64_t shelf_last(const struct shelf *shelf)
{
    return shelf->sequence;
}

uint64_t shelf_next_key(const struct shelf *shelf)
{
    return shelf->next_key;
}

size_t shelf_count(const struct shelf *shelf)
{
    return shelf->count;
}

const struct store_row *shelf_row(struct shelf *shelf, size_t index)
{
    CHECK(index < shelf->count);
    return &shelf->rows[index].row;
}

void shelf_lose(struct shelf *shelf, size_t index)
{
    CHECK(index < shelf->count);
    row_remove(shelf, &shelf->rows[index]);
}

void shelf_free(struct shelf *shelf)
{
    if (shelf == NULL) {
        return;
    }
    shelf_crash(shelf, 0);
    for (size_t i = 0; i < shelf->count; i++) {
        row_free(&shelf->rows[i]);
    }
    free(shelf->rows);
    free(shelf);
}
