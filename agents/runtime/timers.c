#include "agents/runtime/timers.h"

#include "common/check.h"

#include <stdlib.h>

void timers_init(struct timers *timers)
{
    *timers = (struct timers){0};
}

void timers_deinit(struct timers *timers)
{
    CHECK(timers->count == 0);
    free(timers->heap);
    timers->heap = NULL;
}

static void put(struct timers *timers, size_t place, struct timer *timer)
{
    timers->heap[place - 1] = timer;
    timer->place = place;
}

static void rise(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;

    while (place > 1 && timers->heap[place / 2 - 1]->at_ms > timer->at_ms) {
        put(timers, place, timers->heap[place / 2 - 1]);
        place /= 2;
    }
    put(timers, place, timer);
}

static void fall(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;

    for (;;) {
        size_t child = place * 2;

        if (child > timers->count) {
            break;
        }
        if (child < timers->count && timers->heap[child]->at_ms < timers->heap[child - 1]->at_ms) {
            child++;
        }
        if (timers->heap[child - 1]->at_ms >= timer->at_ms) {
            break;
        }
        put(timers, place, timers->heap[child - 1]);
        place = child;
    }
    put(timers, place, timer);
}

bool timers_reserve(struct timers *timers, size_t count)
{
    size_t capacity = timers->capacity == 0 ? 64 : timers->capacity;
    struct timer **heap;

    if (count <= timers->capacity) {
        return true;
    }
    while (capacity < count) {
        capacity *= 2;
    }
    heap = realloc(timers->heap, capacity * sizeof(struct timer *));
    if (heap == NULL) {
        return false;
    }
    timers->heap = heap;
    timers->capacity = capacity;
    return true;
}

bool timers_set(struct timers *timers, struct timer *timer, uint64_t at_ms)
{
    if (timer->place == 0) {
        if (!timers_reserve(timers, timers->count + 1)) {
            return false;
        }
        timers->count++;
        put(timers, timers->count, timer);
    }
    timer->at_ms = at_ms;
    rise(timers, timer);
    fall(timers, timer);
    return true;
}

void timers_clear(struct timers *timers, struct timer *timer)
{
    struct timer *last;

    if (timer->place == 0) {
        return;
    }
    CHECK(timers->heap[timer->place - 1] == timer);
    last = timers->heap[timers->count - 1];
    timers->count--;
    if (last != timer) {
        put(timers, timer->place, last);
        rise(timers, last);
        fall(timers, last);
    }
    timer->place = 0;
}

struct timer *timers_first(const struct timers *timers)
{
    return timers->count > 0 ? timers->heap[0] : NULL;
}

uint64_t timers_next_ms(const struct timers *timers)
{
    return timers->count > 0 ? timers->heap[0]->at_ms : TIMERS_NEVER;
}
