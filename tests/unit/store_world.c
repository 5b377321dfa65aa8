#include "tests/unit/store_world.h"

#include "common/check.h"
#include "tests/unit/disk_file.h"
#include "tests/unit/nap.h"

#include <stdlib.h>

struct world *world_new(void)
{
    struct world *world = calloc(1, sizeof *world);

    CHECK(world != NULL);
    world->next_key = 1;
    return world;
}

void world_free(struct world *world)
{
    CHECK(world->store == NULL);
    free(world);
}

void world_forget(struct world *world)
{
    world->sure.count = world->maybe.count = 0;
    world->next_key = 1;
}

void world_blame(struct world *world, const char *why, ...)
{
    va_list list;

    if (world->wrong == NULL) {
        va_start(list, why);
        vsnprintf(world->wrong_text, sizeof world->wrong_text, why, list);
        va_end(list);
        world->wrong = world->wrong_text;
    }
}

/* ---- records ------------------------------------------------------------------------- */

static struct payload checkpoint_of(struct sample *sample, uint64_t key, uint32_t number)
{
    return bytes_of(sample->checkpoint, key, (uint8_t)(number * 5));
}

static void add(struct world *world, enum store_what what, const struct world_row *row)
{
    struct store_record record = record_of(&world->sample, what, row->key);

    record.sequence = ++world->sequence;
    record.attempts = row->attempts;
    if (what == STORE_CHECKPOINT) {
        record.checkpoint = checkpoint_of(&world->sample, row->key, row->checkpoint);
    }
    world->records++;
    store_add(world->store, &record);
}

static void forget(struct world *world, struct world_row *row)
{
    struct world_rows *rows = &world->maybe;

    add(world, STORE_FORGET, row);
    memmove(row, row + 1, (size_t)(rows->rows + rows->count - row - 1) * sizeof *row);
    rows->count--;
}

static void add_any(struct world *world)
{
    struct world_rows *rows = &world->maybe;
    uint64_t drawn = disk_draw(10);
    struct world_row *row;

    if (rows->count == 0 || (drawn < 4 && rows->count < WORLD_ROWS_MAX)) {
        row = &rows->rows[rows->count++];
        *row = (struct world_row){.key = world->next_key++};
        add(world, STORE_TASK, row);
        return;
    }
    row = &rows->rows[disk_draw(rows->count)];
    if (row->ended) {
        forget(world, row);
    } else if (drawn < 6) {
        row->attempts++;
        add(world, STORE_ATTEMPT, row);
    } else if (drawn < 8) {
        row->checkpoint++;
        add(world, STORE_CHECKPOINT, row);
    } else {
        row->ended = true;
        add(world, STORE_END, row);
    }
}

/* Until the thread sleeps or has ended. What nobody waits for may stay in its queue. */
static bool rest(struct world *world)
{
    bool asleep, timed = false;

    do {
        asleep = nap_await(store_fd(world->store), &timed);
        store_take_news(world->store, &world->news);
    } while (!asleep && world->news.state != STORE_LOST);
    if (world->news.sequence > world->sequence) {
        world_blame(world, "%lu is acknowledged, and was not written", world->news.sequence);
    }
    if (world->news.sequence == world->sequence) {
        world->sure = world->maybe;
    } else if (world->news.state == STORE_OPEN && !timed) {
        world_blame(world, "it rests with records that are not safe");
    }
    return world->news.state == STORE_OPEN;
}

bool world_turn(struct world *world, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add_any(world);
    }
    store_flush(world->store);
    return rest(world);
}

bool world_pass(struct world *world)
{
    bool timed;

    if (nap_await(-1, &timed) && timed) {
        nap_pass();
    }
    return rest(world);
}

/* ---- what is found ------------------------------------------------------------------- */

static bool as_written(struct world *world, const struct store_row *row)
{
    static struct store_row plain;

    plain = *row;
    plain.attempts = 0;
    plain.checkpoint = (struct payload){0};
    return row_is_of(&plain, row->key);
}

static void take(void *context, const struct store_row *row)
{
    struct world *world = context;
    struct world_rows *rows = &world->found;
    struct world_row *found;

    if (rows->count > 0 && rows->rows[rows->count - 1].key >= row->key) {
        world_blame(world, "key %lu comes out of order", row->key);
    }
    if (rows->count == WORLD_ROWS_MAX) {
        world_blame(world, "too many rows");
        return;
    }
    found = &rows->rows[rows->count++];
    *found = (struct world_row){
        .key = row->key, .attempts = (uint32_t)row->attempts, .ended = row->ended};
    if (!as_written(world, row)) {
        world_blame(world, "row %lu is not what was written", row->key);
    }
    for (uint32_t i = 1; row->checkpoint.bytes.size > 0 && found->checkpoint == 0; i++) {
        if (i > 50) {
            world_blame(world, "the checkpoint of row %lu is not what was written", row->key);
            return;
        }
        if (span_equal(row->checkpoint.bytes,
                       checkpoint_of(&world->sample, row->key, i).bytes)) {
            found->checkpoint = i;
        }
    }
}

static void miss(void *context, uint64_t key, const char *why)
{
    ((struct world *)context)->was_damaged = true;
}

static bool same_row(const struct world_row *a, const struct world_row *b)
{
    return a->key == b->key && a->attempts == b->attempts && a->checkpoint == b->checkpoint &&
           a->ended == b->ended;
}

static bool same(const struct world_rows *a, const struct world_rows *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        if (!same_row(&a->rows[i], &b->rows[i])) {
            return false;
        }
    }
    return a->count == b->count;
}

bool world_rows_within(const struct world_rows *some, const struct world_rows *all)
{
    size_t at = 0;

    for (size_t i = 0; i < some->count; i++) {
        while (at < all->count && !same_row(&some->rows[i], &all->rows[at])) {
            at++;
        }
        if (at++ == all->count) {
            return false;
        }
    }
    return true;
}

static void compare(struct world *world)
{
    const struct world_rows *found = &world->found;

    if (world->may_be_old) {
        return; /* each was compared with what was written */
    }
    if (world->may_miss) {
        if (!world_rows_within(found, &world->sure) && !world_rows_within(found, &world->maybe)) {
            world_blame(world, "it has a row that was never so");
        }
    } else if (!same(found, &world->maybe) && !same(found, &world->sure)) {
        world_blame(world, "it has %zu rows, and neither the %zu that were acknowledged nor the %zu after",
              found->count, world->sure.count, world->maybe.count);
    }
    if (found->count > 0 && world->next_key <= found->rows[found->count - 1].key) {
        world_blame(world, "key %lu would be used again", world->next_key);
    }
}

static bool start(struct world *world)
{
    struct store_taker taker = {.context = world, .take = take, .damaged = miss};
    uint64_t before = world->next_key;

    if (!store_load(world->store, &taker, &world->next_key, &world->report, &world->problem)) {
        world->next_key = before;
        return false;
    }
    compare(world);
    world->logs_cut += world->report.log.state == STORE_LOG_CUT;
    if (world->wrong != NULL) {
        return false;
    }
    nap_begin();
    return store_start(world->store, &world->problem) && rest(world);
}

bool world_open(struct world *world)
{
    CHECK(world->store == NULL);
    world->found.count = 0;
    world->was_damaged = false;
    world->sequence = 0;
    world->news = (struct store_news){0};
    world->report = (struct store_report){0};
    world->store = store_open(WORLD_PATH, &world->problem);
    if (world->store == NULL) {
        return false;
    }
    if (!start(world)) {
        world_close(world);
        return false;
    }
    world->sure = world->maybe = world->found;
    return true;
}

void world_close(struct world *world)
{
    if (world->store != NULL) {
        store_close(world->store);
        world->store = NULL;
        nap_end();
    }
}
