/* sluice-cron: an agent that submits tasks at planned times. */
#include "agents/cron/preview.h"
#include "agents/cron/service.h"
#include "agents/program/program.h"
#include "common/standard.h"

#include <stdio.h>
#include <string.h>

struct files {
    const char *config, *state; /* NULL: none */
};

static int serve(const struct program *program, struct schedule *schedule)
{
    int rc = service_start(schedule), saved, status;

    status = program_run(program, schedule->sluice, rc ? rc : schedule_start(schedule), NULL, NULL);
    saved = schedule->state.dirty ? state_save(&schedule->state, &schedule->entries) : 0;
    if (saved != 0) {
        fprintf(stderr, "sluice-cron: %s: %s\n", schedule->state.path, strerror(-saved));
        return PROGRAM_FAILED;
    }
    return status;
}

static int start(const struct program *program, struct schedule *schedule,
                 const struct files *files, bool check, const struct sluice_options *peer)
{
    char error[1024];
    int status;

    if (files->config != NULL &&
        !entries_load(&schedule->entries, files->config, error, sizeof error)) {
        fprintf(stderr, "sluice-cron: %s\n", error);
        return PROGRAM_USAGE;
    }
    if (check) {
        printf("%s: %zu entries\n", files->config, schedule->entries.count);
        return standard_flush(program->name, PROGRAM_DONE);
    }
    schedule->sluice = program_peer(program, peer, &status);
    if (schedule->sluice == NULL) { /* before there are files */
        return status;
    }
    if (!state_open(&schedule->state, files->state, &schedule->entries, schedule_now_ms() / 1000,
                    error, sizeof error)) {
        fprintf(stderr, "sluice-cron: %s\n", error);
        return PROGRAM_USAGE;
    }
    return serve(program, schedule);
}

int main(int argc, char **argv)
{
    struct schedule schedule = {.state = {.lock_fd = -1}};
    struct files files = {.config = NULL};
    struct sluice_options peer = {0};
    bool check = false;
    const struct option_spec options[] = {
        OPTION_TEXT_SPEC("config", &files.config, "FILE",
                         "the entries, {\"entries\": [{\"name\": ...}]}: see docs/cron.md"),
        OPTION_TEXT_SPEC("state", &files.state, "FILE",
                         "serve cron.add and cron.remove; keep what they bring, and what has run"),
        OPTION_FLAG_SPEC("check", &check, "say whether --config is good, and end"),
    };
    const struct program program = {
        .name = "sluice-cron",
        .about = "Submits tasks at planned times: those of a file, and with --state also those\n"
                 "that tasks of cron.add bring. Several agents with the same file run each entry\n"
                 "once.\n"
                 "\n"
                 "       sluice-cron next EXPRESSION [--zone ZONE] [--count N] [--after TIME]\n"
                 "\n"
                 "prints the next times of a cron expression.\n",
        .options = {options, sizeof options / sizeof options[0]},
    };
    int status;

    if (argc > 1 && strcmp(argv[1], "next") == 0) {
        return preview_run(argc - 1, argv + 1);
    }
    if (!program_parse(&program, argc, argv, &peer, &status)) {
        return status;
    }
    if (check && files.config == NULL) {
        return program_usage(&program, "--check needs --config FILE");
    }
    if (files.config == NULL && files.state == NULL) {
        return program_usage(&program, "there is nothing to plan: give --config FILE, "
                                       "--state FILE or both");
    }
    entries_init(&schedule.entries);
    status = start(&program, &schedule, &files, check, &peer);
    entries_deinit(&schedule.entries);
    sluice_free(schedule.sluice);
    state_close(&schedule.state);
    return status;
}
