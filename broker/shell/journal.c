#include "broker/shell/journal.h"

#include <stdio.h>

void journal_init(struct journal *journal, FILE *stream, enum log_level level)
{
    memset(journal, 0, sizeof *journal);
    journal->stream = stream;
    journal->level = level;
}

static void print_suppressed(struct journal *journal)
{
    for (size_t i = 0; i < journal->event_count; i++) {
        struct journal_event *event = &journal->events[i];

        if (event->suppressed > 0) {
            const struct log_field fields[] = {LOG_WORD("event", event->name),
                                               LOG_UINT("count", event->suppressed)};

            log_print(journal->stream, &(struct log_record){LOG_WARN, "log_suppressed", fields, 2});
        }
        event->suppressed = 0;
        event->printed = 0;
    }
    journal->suppressing = false;
}

void journal_tick(struct journal *journal, uint64_t now_ms)
{
    journal->now_ms = now_ms;
    if (now_ms >= journal->second_ends_ms) {
        print_suppressed(journal);
        journal->second_ends_ms = now_ms + 1000;
    }
}

uint64_t journal_deadline(const struct journal *journal)
{
    return journal->suppressing ? journal->second_ends_ms : UINT64_MAX;
}

static struct journal_event *find_event(struct journal *journal, const char *name)
{
    struct journal_event *event;

    for (size_t i = 0; i < journal->event_count; i++) {
        if (strncmp(journal->events[i].name, name, JOURNAL_EVENT_NAME_MAX - 1) == 0) {
            return &journal->events[i];
        }
    }
    if (journal->event_count == JOURNAL_EVENTS_MAX) {
        return &journal->events[JOURNAL_EVENTS_MAX - 1];
    }
    event = &journal->events[journal->event_count++];
    snprintf(event->name, sizeof event->name, "%s", name);
    return event;
}

void journal_write(struct journal *journal, const struct log_record *record)
{
    if (record->level > journal->level) {
        return;
    }
    if (record->level != LOG_DEBUG) {
        struct journal_event *event = find_event(journal, record->event);
        unsigned max = record->level == LOG_INFO ? JOURNAL_INFOS_PER_S : JOURNAL_WARNINGS_PER_S;

        if (event->printed >= max) {
            event->suppressed++;
            journal->suppressing = true;
            return;
        }
        event->printed++;
    }
    log_print(journal->stream, record);
}
