#include "tests/sim/agenda.h"

#include "common/check.h"

#include <stdlib.h>

void agenda_init(struct agenda *agenda)
{
    *agenda = (struct agenda){0};
}

void agenda_deinit(struct agenda *agenda)
{
    free(agenda->heap);
    *agenda = (struct agenda){0};
}

static bool before(const struct agenda_entry *a, const struct agenda_entry *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void swap(struct agenda *agenda, size_t a, size_t b)
{
    struct agenda_entry kept = agenda->heap[a];

    agenda->heap[a] = agenda->heap[b];
    agenda->heap[b] = kept;
}

void agenda_enter(struct agenda *agenda, uint64_t at_us, agenda_fn *fn, void *context,
                  uint64_t argument)
{
    size_t at = agenda->count;

    if (agenda->count == agenda->capacity) {
        agenda->capacity = agenda->capacity == 0 ? 1024 : agenda->capacity * 2;
        agenda->heap = realloc(agenda->heap, agenda->capacity * sizeof *agenda->heap);
        CHECK(agenda->heap != NULL);
    }
    agenda->heap[agenda->count++] = (struct agenda_entry){
        at_us > agenda->now_us ? at_us : agenda->now_us, agenda->order++, fn, context, argument};
    while (at > 0 && before(&agenda->heap[at], &agenda->heap[(at - 1) / 2])) {
        swap(agenda, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void sift_down(struct agenda *agenda)
{
    size_t at = 0;

    for (;;) {
        size_t least = at;

        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < agenda->count; child++) {
            if (before(&agenda->heap[child], &agenda->heap[least])) {
                least = child;
            }
        }
        if (least == at) {
            return;
        }
        swap(agenda, at, least);
        at = least;
    }
}

bool agenda_step(struct agenda *agenda, uint64_t until_us)
{
    struct agenda_entry entry;

    if (agenda->count == 0 || agenda->heap[0].at_us > until_us) {
        agenda->now_us = until_us;
        return false;
    }
    entry = agenda->heap[0];
    agenda->heap[0] = agenda->heap[--agenda->count];
    sift_down(agenda);
    agenda->now_us = entry.at_us;
    agenda->fired++;
    entry.fn(entry.context, entry.argument);
    return true;
}
