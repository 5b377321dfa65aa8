/* sluice events: what happens, as it happens. */
#include "cli/record.h"
#include "cli/visit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

struct events {
    struct cli *cli;
    const char *service; /* NULL: all */
    const char *task;    /* text; NULL: all */
    struct sluice_id id;
    uint64_t count;      /* leave after so many; 0: never */
};

static void print_time(void)
{
    struct timeval now;
    struct tm local;
    char text[16];

    gettimeofday(&now, NULL);
    localtime_r(&now.tv_sec, &local);
    strftime(text, sizeof(text), "%H:%M:%S", &local);
    printf("%s.%03ld", text, (long)now.tv_usec / 1000);
}

static void print_event(const json_t *event)
{
    static const char *const rest[] = {"peer", "detail", "task"};
    uint64_t attempt = record_uint(event, "attempt");
    char value[RECORD_VALUE_SIZE];

    print_time();
    printf("  %-16s  %-16s", record_text(event, "kind"), record_value(event, "service", value));
    if (attempt > 0) {
        printf("  #%-3" PRIu64, attempt);
    } else {
        printf("      ");
    }
    for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++) {
        const char *text = record_text(event, rest[i]);

        if (text[0] != '\0') {
            printf("  %s", record_value(event, rest[i], value));
        }
    }
    printf("\n");
}

/* What this watcher has not seen must not look as if it had not happened. */
static void print_loss(const json_t *event)
{
    uint64_t lost = record_uint(event, "lost");

    if (json_is_true(json_object_get(event, "restarted"))) {
        printf("(the connection was lost; what happened meanwhile is not known)\n");
    }
    if (lost > 0) {
        printf("(%" PRIu64 " events lost: we read too slowly)\n", lost);
    }
}

static int events_print(struct sluice_watch *watch, const struct events *events)
{
    json_t *event = NULL;
    uint64_t seen = 0;
    int result = 0;

    while ((events->count == 0 || seen < events->count) &&
           (result = sluice_next_event(watch, &event)) == 0) {
        if (events->cli->json) {
            record_dump(event, stdout, false);
        } else {
            print_loss(event);
            print_event(event);
        }
        fflush(stdout);
        json_decref(event);
        seen++;
        if (ferror(stdout)) {
            break; /* whoever read it is gone */
        }
    }
    return result;
}

static int events_main(struct sluice *sluice, void *arg)
{
    const struct events *events = arg;
    struct sluice_watch *watch =
        sluice_watch(sluice, events->service, events->task != NULL ? &events->id : NULL);
    int result;

    if (watch == NULL) {
        fprintf(stderr, "sluice: that cannot be watched\n");
        return EXIT_USAGE;
    }
    result = events_print(watch, events);
    sluice_watch_free(watch);
    if (result == -EAGAIN) {
        fprintf(stderr, "sluice: too many watch this broker already\n");
    } else if (result != 0) {
        fprintf(stderr, "sluice: no more events: %s\n", strerror(-result));
    }
    return result == 0 ? EXIT_DONE : EXIT_TASK;
}

static int events_run(struct cli *cli, const struct command *self, int argc, char **argv)
{
    struct events events = {.cli = cli};
    struct option_spec specs[] = {
        OPTION_TEXT_SPEC("service", &events.service, "NAME", "only events of this service"),
        OPTION_TEXT_SPEC("task", &events.task, "TASK", "only events of this task"),
        OPTION_UINT_SPEC("count", &events.count, "N", 1, 0, "leave after so many"),
    };
    struct option_set set = {specs, sizeof(specs) / sizeof(specs[0])};
    struct arguments arguments;
    int code;

    if (!command_parse(cli, self, &set, argc, argv, &arguments, &code)) {
        return code;
    }
    if (events.task != NULL && !visit_id(self, events.task, &events.id)) {
        return EXIT_USAGE;
    }
    return visit(cli, self, events_main, &events);
}

const struct command command_events = {
    .name = "events",
    .arguments = "",
    .summary = "what happens, live",
    .about = "A line an event: time, kind, service, attempt, peer, detail, task; what they mean\n"
             "is in PROTOCOL.md, EVENT. It slows nobody: events that it was too slow for are\n"
             "counted. With --json: an object a line, with sequence and lost.\n",
    .run = events_run,
};
