#include "agents/cron/preview.h"

#include "agents/cron/moment.h"
#include "agents/cron/plan.h"
#include "common/calendar.h"
#include "common/option.h"
#include "common/standard.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define COUNT_DEFAULT 5
#define COUNT_MAX 1000
#define DAY_S 86400

struct preview {
    const char *text, *zone;
    uint64_t count;
    int64_t after_s;
};

static bool read_after(const char *text, int64_t *after_s)
{
    if (moment_parse(text, after_s) && *after_s >= 0) {
        return true;
    }
    fprintf(stderr, "sluice-cron next: --after needs a time like 2026-11-21T03:00:00Z, not '%s'\n",
            text);
    return false;
}

/* False: it is over, with what *status says; what was wrong, or the help, is printed. */
static bool arguments_parse(int argc, char **argv, struct preview *preview, int *status)
{
    const char *after = NULL;
    bool help = false;
    const struct option_spec specs[] = {
        OPTION_TEXT_SPEC("zone", &preview->zone, "ZONE",
                         "an IANA name, such as Europe/Berlin (UTC)"),
        OPTION_UINT_SPEC("count", &preview->count, "N", 1, COUNT_MAX,
                         "how many, 1 to 1000 (5)"),
        OPTION_TEXT_SPEC("after", &after, "TIME",
                         "the first is later than this: 2026-11-21T03:00:00Z, in UTC (now)"),
        OPTION_FLAG_SPEC("help", &help, "this text"),
    };
    const struct option_set sets[2] = {{specs, sizeof specs / sizeof specs[0]}, {NULL, 0}};
    struct arguments arguments;
    char problem[256];

    *status = 2;
    if (options_parse(sets, argc - 1, argv + 1, false, &arguments, problem, sizeof problem) < 0) {
        fprintf(stderr, "sluice-cron next: %s; see 'sluice-cron next --help'\n", problem);
        return false;
    }
    if (help) {
        printf("usage: sluice-cron next EXPRESSION [OPTION]...\n\n"
               "Prints the next times of a cron expression, such as '0 3 * * mon-fri'.\n\n");
        options_print(&sets[0], stdout);
        *status = 0;
        return false;
    }
    if (arguments.count != 1) {
        fputs("sluice-cron next: one expression is needed, in quotes: '0 3 * * mon-fri'; "
              "see 'sluice-cron next --help'\n", stderr);
        return false;
    }
    preview->text = arguments.items[0];
    return after == NULL || read_after(after, &preview->after_s);
}

/* 2026-11-22T02:00:00Z  Sunday 2026-11-22 03:00 CET */
static void print_time(const char *zone_name, int64_t at_s)
{
    char text[MOMENT_SIZE], date[CALENDAR_DATE_SIZE];
    struct zone_time zone;
    int64_t local_s, day;

    moment_format(at_s, text);
    zone_at(ZONE_DIRECTORY, zone_name, at_s, &zone);
    local_s = at_s + zone.offset_s;
    day = local_s / DAY_S - (local_s % DAY_S < 0);
    calendar_format(day, date);
    printf("%s  %-9s %s %02d:%02d %s\n", text, calendar_weekday(day), date,
           (int)(local_s - day * DAY_S) / 3600, (int)(local_s - day * DAY_S) / 60 % 60,
           zone.abbreviation);
}

static int print_next(int argc, char **argv)
{
    struct preview preview = {.zone = "UTC", .count = COUNT_DEFAULT, .after_s = time(NULL)};
    struct plan plan = {.every_s = 0};
    char error[EXPRESSION_ERROR_SIZE];
    struct zone zone;
    int status;

    if (!arguments_parse(argc, argv, &preview, &status)) {
        return status;
    }
    if (!expression_parse(preview.text, &plan.expression, error, sizeof error)) {
        fprintf(stderr, "sluice-cron next: %s\n", error);
        return 2;
    }
    if (zone_load(ZONE_DIRECTORY, preview.zone, &zone) != ZONE_OK) {
        fprintf(stderr, "sluice-cron next: no time zone '%s'; use an IANA name such as "
                        "Europe/Berlin\n", preview.zone);
        return 2;
    }
    zone_unload(&zone);
    snprintf(plan.zone, sizeof plan.zone, "%s", preview.zone);
    for (int64_t at_s = preview.after_s; preview.count > 0 && plan_next(&plan, at_s, &at_s);
         preview.count--) {
        print_time(plan.zone, at_s);
    }
    return 0;
}

int preview_run(int argc, char **argv)
{
    standard_open();
    return standard_flush("sluice-cron next", print_next(argc, argv));
}
