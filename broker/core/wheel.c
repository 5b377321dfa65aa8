#include "broker/core/wheel.h"
#include "common/mutant.h"

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
    wheel->now_ms = now_ms;
    wheel->armed = 0;
    list_init(&wheel->due);
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        wheel->occupied[level] = 0;
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++) {
            list_init(&wheel->slots[level][slot]);
        }
    }
}

void wheel_deinit(struct wheel *wheel)
{
    CHECK(wheel->armed == 0);
}

void timer_init(struct timer *timer, unsigned kind)
{
    list_init(&timer->link);
    timer->due_ms = 0;
    timer->kind = (uint8_t)kind;
}

bool timer_armed(const struct timer *timer)
{
    return !list_empty(&timer->link);
}

static unsigned slot_of(uint64_t due_ms, unsigned level)
{
    return (unsigned)(due_ms >> (level * WHEEL_BITS)) & (WHEEL_SLOTS - 1);
}

/* The level is that of the highest digit in which `due_ms` differs from now: all
 * digits above are equal, so the slot comes up in this turn of its level. */
static void wheel_place(struct wheel *wheel, struct timer *timer)
{
    uint64_t due_ms = timer->due_ms;
    unsigned level, slot;

    if (due_ms <= wheel->now_ms) {
        list_push_back(&wheel->due, &timer->link);
        return;
    }
    level = (unsigned)(63 - __builtin_clzll(wheel->now_ms ^ due_ms)) / WHEEL_BITS;
    if (level >= WHEEL_LEVELS) {
        /* Differs above the top digit: parked in the top level's last slot before
         * it turns over, and placed again from there. */
        level = WHEEL_LEVELS - 1;
        slot = WHEEL_SLOTS - 1;
        if (slot_of(wheel->now_ms, level) == slot) {
            slot = 0; /* comes up as the level turns over */
        }
    } else {
        slot = slot_of(due_ms, level);
    }
    list_push_back(&wheel->slots[level][slot], &timer->link);
    wheel->occupied[level] |= 1ULL << slot;
}

void wheel_arm(struct wheel *wheel, struct timer *timer, uint64_t due_ms)
{
    wheel_cancel(wheel, timer);
    if (due_ms > wheel->now_ms + WHEEL_REACH_MS) {
        due_ms = wheel->now_ms + WHEEL_REACH_MS;
    }
    timer->due_ms = due_ms & ((1ULL << 56) - 1);
    wheel->armed++;
    wheel_place(wheel, timer);
}

void wheel_cancel(struct wheel *wheel, struct timer *timer)
{
    if (!timer_armed(timer)) {
        return;
    }
    /* The slot's bit may stay behind: an empty slot costs one look when it comes up. */
    list_unlink(&timer->link);
    CHECK(wheel->armed > 0);
    wheel->armed--;
}

/* The next occupied slot of a level, and when it begins. The current slot counts: it
 * holds something only when time has just reached it. */
static uint64_t level_next_ms(const struct wheel *wheel, unsigned level, unsigned *slot)
{
    unsigned shift = level * WHEEL_BITS;
    unsigned here = slot_of(wheel->now_ms, level);
    uint64_t occupied = wheel->occupied[level];
    uint64_t turned;
    unsigned ahead;

    if (occupied == 0) {
        return WHEEL_NEVER;
    }
    turned = (occupied >> here) | (here == 0 ? 0 : occupied << (WHEEL_SLOTS - here));
    ahead = (unsigned)__builtin_ctzll(turned);
    *slot = (here + ahead) & (WHEEL_SLOTS - 1);
    return (((wheel->now_ms >> shift) + ahead) << shift);
}

static uint64_t wheel_next_slot(const struct wheel *wheel, unsigned *level, unsigned *slot)
{
    uint64_t next = WHEEL_NEVER;

    for (unsigned i = 0; i < WHEEL_LEVELS; i++) {
        unsigned candidate = 0;
        uint64_t at = level_next_ms(wheel, i, &candidate);

        if (at < next) {
            next = at;
            *level = i;
            *slot = candidate;
        }
    }
    return next;
}

void wheel_advance(struct wheel *wheel, uint64_t now_ms)
{
    CHECK(now_ms >= wheel->now_ms);
    for (;;) {
        unsigned level = 0, slot = 0;
        uint64_t next = wheel_next_slot(wheel, &level, &slot);
        struct list moved;
        struct list *link;

        if (next > now_ms) {
            break;
        }
        if (next > wheel->now_ms) {
            wheel->now_ms = next;
        }
        list_init(&moved);
        list_append(&moved, &wheel->slots[level][slot]);
        wheel->occupied[level] &= ~(1ULL << slot);
        while ((link = list_pop_front(&moved)) != NULL) {
            if (MUTANT(TIMER_LOST_ON_CASCADE) && level > 1 && list_empty(&moved)) {
                break;
            }
            wheel_place(wheel, list_entry(link, struct timer, link));
        }
    }
    wheel->now_ms = now_ms;
}

struct timer *wheel_pop(struct wheel *wheel)
{
    struct list *link = list_first(&wheel->due);
    struct timer *timer;

    if (link == NULL) {
        return NULL;
    }
    timer = list_entry(link, struct timer, link);
    wheel_cancel(wheel, timer);
    return timer;
}

uint64_t wheel_next_ms(const struct wheel *wheel)
{
    unsigned level, slot;

    if (!list_empty(&wheel->due)) {
        return wheel->now_ms;
    }
    if (wheel->armed == 0) {
        return WHEEL_NEVER;
    }
    return wheel_next_slot(wheel, &level, &slot);
}
