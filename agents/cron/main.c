/* sluice-cron: an agent that submits tasks at planned times. */
#include "agents/cron/preview.h"
#include "agents/cron/service.h"
#include "common/standard.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: sluice-cron [OPTION]...\n"
    "       sluice-cron next EXPRESSION [--zone ZONE] [--count N] [--after TIME]\n"
    "\n"
    "Submits tasks at planned times: those of a file, and with --state also those that\n"
    "tasks of cron.add bring. Several agents with the same file run each entry once.\n"
    "next prints the next times of a cron expression.\n"
    "\n"
    "  --config FILE    the entries, {\"entries\": [{\"name\": ...}]}: see docs/cron.md\n"
    "  --state FILE     serve cron.add and cron.remove, and keep here what they bring and\n"
    "                   what has been run; the file is made when it is not there\n"
    "  --check          say whether --config is good, and end\n"
    "  --broker E       the broker's endpoint; default $SLUICE_BROKER, else\n"
    "                   tcp://127.0.0.1:5570\n"
    "  --name N         how lists and timelines call this agent; default: program and pid\n"
    "  --version        print the version\n"
    "  --help           print this\n";

struct arguments {
    const char *config, *state; /* NULL: none */
    bool check;
    struct sluice_options peer;
};

/* -1: go on; else the program's exit status. */
static int arguments_parse(int argc, char **argv, struct arguments *arguments)
{
    enum { CONFIG = 1, STATE, CHECK_ONLY, BROKER, NAME, VERSION, HELP };
    static const struct option options[] = {
        {"config", required_argument, NULL, CONFIG},
        {"state", required_argument, NULL, STATE},
        {"check", no_argument, NULL, CHECK_ONLY},
        {"broker", required_argument, NULL, BROKER},
        {"name", required_argument, NULL, NAME},
        {"version", no_argument, NULL, VERSION},
        {"help", no_argument, NULL, HELP},
        {0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case CONFIG:
            arguments->config = optarg;
            break;
        case STATE:
            arguments->state = optarg;
            break;
        case CHECK_ONLY:
            arguments->check = true;
            break;
        case BROKER:
            arguments->peer.broker = optarg;
            break;
        case NAME:
            arguments->peer.name = optarg;
            break;
        case VERSION:
            printf("sluice-cron %s\n", sluice_version());
            return 0;
        case HELP:
            fputs(usage, stdout);
            return 0;
        default:
            fputs("Try 'sluice-cron --help'.\n", stderr);
            return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "sluice-cron: what is '%s'? Try 'sluice-cron --help'.\n", argv[optind]);
        return 2;
    }
    if (arguments->config == NULL && (arguments->state == NULL || arguments->check)) {
        fputs("sluice-cron: there is nothing to plan: give --config FILE, --state FILE or both.\n",
              stderr);
        return 2;
    }
    return -1;
}

/* Until it is told to stop. */
static int serve(struct schedule *schedule)
{
    int rc = sluice_stop_on_signals(schedule->sluice), saved;

    rc = rc ? rc : service_start(schedule);
    rc = rc ? rc : schedule_start(schedule);
    rc = rc ? rc : sluice_run(schedule->sluice, NULL, NULL);
    if (rc != 0) {
        fprintf(stderr, "sluice-cron: %s\n", strerror(-rc));
    }
    saved = schedule->state.dirty ? state_save(&schedule->state, &schedule->entries) : 0;
    if (saved != 0) {
        fprintf(stderr, "sluice-cron: %s: %s\n", schedule->state.path, strerror(-saved));
    }
    return rc == 0 && saved == 0 ? 0 : 1;
}

static int start(struct schedule *schedule, const struct arguments *arguments)
{
    char error[1024];

    if (arguments->config != NULL &&
        !entries_load(&schedule->entries, arguments->config, error, sizeof error)) {
        fprintf(stderr, "sluice-cron: %s\n", error);
        return 2;
    }
    if (arguments->check) {
        printf("%s: %zu entries\n", arguments->config, schedule->entries.count);
        return 0;
    }
    if (!state_open(&schedule->state, arguments->state, &schedule->entries,
                    schedule_now_ms() / 1000, error, sizeof error)) {
        fprintf(stderr, "sluice-cron: %s\n", error);
        return 2;
    }
    schedule->sluice = sluice_new(&arguments->peer);
    if (schedule->sluice == NULL) {
        fprintf(stderr, "sluice-cron: cannot start: %s\n",
                errno == EINVAL ? "the broker's endpoint is not one" : strerror(errno));
        return 1;
    }
    return serve(schedule);
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.config = NULL};
    struct schedule schedule = {.state = {.lock_fd = -1}};
    int status;

    standard_open();
    if (argc > 1 && strcmp(argv[1], "next") == 0) {
        return preview_run(argc - 1, argv + 1);
    }
    status = arguments_parse(argc, argv, &arguments);
    if (status >= 0) {
        return status;
    }
    entries_init(&schedule.entries);
    status = start(&schedule, &arguments);
    entries_deinit(&schedule.entries);
    sluice_free(schedule.sluice);
    state_close(&schedule.state);
    return status;
}
