/* sluice: the command line of a cluster. Every subcommand is a file of this
 * folder and a line of the table below. */
#include "cli/command.h"

#include "common/heap.h"
#include "common/standard.h"

#include <stdlib.h>
#include <string.h>

static const struct command *const commands[] = {
    &command_ask,    &command_submit,   &command_status, &command_cancel,       &command_why,
    &command_tail,   &command_signal,   &command_list,   &command_result,
    &command_tree,   &command_services, &command_peers,  &command_stats,        &command_top,
    &command_limit,  &command_pause,    &command_resume, &command_drain,        &command_undrain,
    &command_events, &command_dead,     &command_cron,   &command_audit,        &command_store,
    &command_backup,
    &command_bench,  &command_version,  &command_bench_worker,
    &command_bench_client, &command_bench_crowd,
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_overview(FILE *stream)
{
    struct cli cli = {0};
    struct option_spec specs[3];
    struct option_set common = command_common_options(&cli, specs);

    fprintf(stream, "usage: sluice [OPTION]... COMMAND [ARGUMENT]...\n\ncommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (!commands[i]->hidden) {
            char left[64];

            snprintf(left, sizeof(left), "%s %s", commands[i]->name, commands[i]->arguments);
            fprintf(stream, "  %-24s %s\n", left, commands[i]->summary);
        }
    }
    fprintf(stream, "  %-24s %s\n", "help [COMMAND]", "this text, or a command's");
    fprintf(stream, "\noptions of every command:\n");
    options_print(&common, stream);
    fprintf(stream, "\nexit codes: 0 done, 1 the task failed or was refused, 2 wrong usage, "
                    "3 no broker\n");
}

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static int command_unknown(const char *name)
{
    fprintf(stderr, "sluice: there is no command '%.60s'; the list: sluice help\n", name);
    return EXIT_USAGE;
}

/* `sluice help [COMMAND]`; argv[0] is "help". */
static int help(int argc, char **argv)
{
    const struct command *command;
    struct cli cli = {.help = true};

    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        print_overview(stdout);
        return EXIT_DONE;
    }
    command = command_find(argv[1]);
    if (command == NULL) {
        return command_unknown(argv[1]);
    }
    return command->run(&cli, command, 0, NULL);
}

static int run(int argc, char **argv)
{
    struct cli cli = {0};
    struct option_spec specs[3];
    struct option_set sets[2] = {command_common_options(&cli, specs), {NULL, 0}};
    const struct command *command;
    struct arguments arguments;
    char problem[160];
    int words = options_parse(sets, argc - 1, argv + 1, true, &arguments, problem, sizeof(problem));

    if (words < 0) {
        fprintf(stderr, "sluice: %s; the list: sluice help\n", problem);
        return EXIT_USAGE;
    }
    argc -= 1 + words;
    argv += 1 + words;
    if (argc == 0) {
        print_overview(cli.help ? stdout : stderr);
        return cli.help ? EXIT_DONE : EXIT_USAGE;
    }
    if (strcmp(argv[0], "help") == 0) {
        return help(argc, argv);
    }
    command = command_find(argv[0]);
    return command != NULL ? command->run(&cli, command, argc - 1, argv + 1)
                           : command_unknown(argv[0]);
}

int main(int argc, char **argv)
{
    char version[] = "version";

    standard_open();
    heap_keep();
    /* The one option that other programs have, too, where we have a command. */
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        argv[1] = version;
    }
    return standard_flush("sluice", run(argc, argv));
}
