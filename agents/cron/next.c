#include "agents/cron/next.h"

#define HOUR_S 3600
#define DAY_S (24 * HOUR_S)
#define OFFSET_S_MAX (16 * HOUR_S) /* of any zone, also before there were zones */
/* How far around a moment its changes of clocks are looked for: none sets them further. */
#define NEAR_S (2 * DAY_S)
/* Each round passes a change of the clocks, or leaps to what is due. */
#define ROUNDS_MAX 10000

struct clock {
    const struct zone *zone;
    bool broken;
};

static int32_t offset_at(struct clock *clock, int64_t unix_s)
{
    struct zone_time time;

    if (!zone_show(clock->zone, unix_s, &time)) {
        clock->broken = true;
    }
    return time.offset_s;
}

/* The first moment in (from_s, to_s] from which on the offset is another one. Zones keep an
 * offset for longer than an hour. */
static bool find_change(struct clock *clock, int64_t from_s, int64_t to_s, int64_t *change_s)
{
    int32_t offset_s = offset_at(clock, from_s);
    int64_t low = from_s;

    while (low < to_s) {
        int64_t high = low + HOUR_S < to_s ? low + HOUR_S : to_s;

        if (offset_at(clock, high) != offset_s) {
            while (high - low > 1) {
                int64_t middle = low + (high - low) / 2;

                if (offset_at(clock, middle) == offset_s) {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            *change_s = high;
            return true;
        }
        low = high;
    }
    return false;
}

/* The first moment at which the clock shows `civil_s` or later. */
static int64_t first_shown(struct clock *clock, int64_t civil_s)
{
    int64_t at_s = civil_s - OFFSET_S_MAX;

    for (;;) {
        int64_t due_s = civil_s - offset_at(clock, at_s);
        int64_t change_s;

        if (due_s <= at_s) {
            return at_s; /* the clock was set past it */
        }
        if (!find_change(clock, at_s, due_s, &change_s)) {
            return due_s;
        }
        at_s = change_s;
    }
}

/* It names times of day. */
static bool next_of_day(const struct expression *expression, struct clock *clock, int64_t after_s,
                        int64_t *next_s)
{
    int64_t civil_s = after_s + offset_at(clock, after_s);

    for (int round = 0; round < ROUNDS_MAX && !clock->broken; round++) {
        if (!expression_next(expression, civil_s, &civil_s)) {
            return false;
        }
        *next_s = first_shown(clock, civil_s);
        if (*next_s > after_s) {
            return !clock->broken;
        }
        civil_s++; /* it was shown before: of a time that comes twice, this is the second */
    }
    return false;
}

/* It is about time that passes. */
static bool next_shown(const struct expression *expression, struct clock *clock, int64_t after_s,
                       int64_t *next_s)
{
    int64_t at_s = after_s + 1;

    for (int round = 0; round < ROUNDS_MAX && !clock->broken; round++) {
        int32_t offset_s = offset_at(clock, at_s);
        int64_t civil_s, near_s;

        if (!expression_next(expression, at_s + offset_s, &civil_s)) {
            return false;
        }
        *next_s = civil_s - offset_s;
        near_s = *next_s - at_s < NEAR_S ? *next_s : at_s + NEAR_S;
        if (find_change(clock, at_s, near_s, &at_s)) {
            continue;
        }
        if (near_s == *next_s) {
            return !clock->broken;
        }
        /* Whatever the clocks do in between, they show nothing that fits. */
        at_s = *next_s - near_s > NEAR_S ? *next_s - NEAR_S : near_s;
    }
    return false;
}

bool next_time(const struct expression *expression, const struct zone *zone, int64_t after_s,
               int64_t *next_s)
{
    struct clock clock = {.zone = zone};

    return expression_every_hour(expression) ? next_shown(expression, &clock, after_s, next_s)
                                             : next_of_day(expression, &clock, after_s, next_s);
}
