/* command: one subcommand of `sluice`, and what all of them have in common. */
#ifndef SLUICE_CLI_COMMAND_H
#define SLUICE_CLI_COMMAND_H

#include "common/option.h"

/* What the shell is told. */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_TASK = 1,      /* the task failed, was refused, cancelled, or does not exist */
    EXIT_USAGE = 2,     /* the command line was wrong */
    EXIT_NO_BROKER = 3, /* nobody to ask */
};

/* The options of every command. */
struct cli {
    const char *broker; /* endpoint; never NULL */
    bool broker_given;  /* by option, not by environment or default */
    bool json;
    bool help;
};

struct command {
    const char *name;
    const char *arguments; /* as in the usage line; "" for none */
    const char *summary;   /* a few words, for the list of commands */
    const char *about;     /* paragraphs for --help, 78 columns; NULL: none */
    size_t arguments_min, arguments_max;
    bool hidden;           /* not in the list: for our own use */
    int (*run)(struct cli *cli, const struct command *self, int argc, char **argv);
};

/* Reads the words after a command's name. False: the command is over, and *code
 * is what to exit with (help was asked for, or something was wrong: both are
 * printed). The broker in `cli` is that of the option, the environment or the default. */
bool command_parse(struct cli *cli, const struct command *self, const struct option_set *options,
                   int argc, char **argv, struct arguments *arguments, int *code);

/* The options every command has. */
struct option_set command_common_options(struct cli *cli, struct option_spec specs[3]);

/* Prints `sluice NAME: PROBLEM` and where help is; returns EXIT_USAGE. */
int command_usage(const struct command *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

extern const struct command command_ask;
extern const struct command command_submit;
extern const struct command command_status;
extern const struct command command_cancel;
extern const struct command command_why;
extern const struct command command_tail;
extern const struct command command_signal;
extern const struct command command_tree;
extern const struct command command_services;
extern const struct command command_peers;
extern const struct command command_stats;
extern const struct command command_top;
extern const struct command command_list;
extern const struct command command_result;
extern const struct command command_dead;
extern const struct command command_audit;
extern const struct command command_cron;
extern const struct command command_drain;
extern const struct command command_events;
extern const struct command command_undrain;
extern const struct command command_limit;
extern const struct command command_store;
extern const struct command command_backup;
extern const struct command command_pause;
extern const struct command command_resume;
extern const struct command command_bench;
extern const struct command command_bench_worker;
extern const struct command command_bench_client;
extern const struct command command_bench_crowd;
extern const struct command command_version;

#endif
