/* journal: the broker's log, which nobody outside can flood.
 *
 * Records of one event beyond so many a second are counted instead of printed; the
 * count follows as `log_suppressed` when the second is over. Records of level
 * debug are asked for by an operator and never held back. One thread. */
#ifndef SLUICE_BROKER_SHELL_JOURNAL_H
#define SLUICE_BROKER_SHELL_JOURNAL_H

#include "common/log.h"

#define JOURNAL_EVENTS_MAX 64 /* distinct names; what comes later shares the last slot */
#define JOURNAL_EVENT_NAME_MAX 40
#define JOURNAL_WARNINGS_PER_S 10 /* of one event; errors and warnings */
#define JOURNAL_INFOS_PER_S 200   /* of one event: a thousand agents that start are news */

struct journal_event {
    char name[JOURNAL_EVENT_NAME_MAX];
    unsigned printed;    /* in this second */
    uint64_t suppressed; /* in this second */
};

struct journal {
    FILE *stream;
    enum log_level level; /* records above it are dropped */
    uint64_t now_ms;
    uint64_t second_ends_ms;
    bool suppressing; /* something was held back in this second */
    size_t event_count;
    struct journal_event events[JOURNAL_EVENTS_MAX];
};

void journal_init(struct journal *journal, FILE *stream, enum log_level level);

/* Moves the clock; prints what was suppressed in the second that has ended. */
void journal_tick(struct journal *journal, uint64_t now_ms);

/* When to tick next, to print what was held back; UINT64_MAX: nothing was. */
uint64_t journal_deadline(const struct journal *journal);

void journal_write(struct journal *journal, const struct log_record *record);

/* journal_say(&journal, LOG_WARN, "event", LOG_UINT("n", 1), ...) */
#define journal_say(journal, level, event, ...)                                                    \
    journal_write((journal),                                                                       \
                  &(struct log_record){(level), (event), (const struct log_field[]){__VA_ARGS__},  \
                                       sizeof((const struct log_field[]){__VA_ARGS__}) /           \
                                           sizeof(struct log_field)})

#endif
