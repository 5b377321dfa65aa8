/* program: what the mains of agents have in common: a command line, a peer, and how they end.
 *
 * An agent that only serves is a struct program and a call of program_main. Others go by its steps:
 * program_parse, program_peer and, once what they serve is offered, program_run. One thread. */
#ifndef SLUICE_PROGRAM_PROGRAM_H
#define SLUICE_PROGRAM_PROGRAM_H

#include "agents/runtime/sluice.h"
#include "common/option.h"

/* What a program exits with. */
enum {
    PROGRAM_DONE = 0,
    PROGRAM_FAILED = 1,
    PROGRAM_USAGE = 2, /* the command line, $SLUICE_BROKER or a file that is named is wrong */
};

struct program {
    const char *name;          /* as it is called: "sluice-tool" */
    const char *required;      /* what must be given: "--docs DIR..."; NULL: nothing */
    const char *about;         /* paragraphs for --help, 78 columns, each line ending in \n */
    struct option_set options; /* besides --broker, --name, --version and --help */
};

/* Offers what the program serves. 0 or a negative errno. */
typedef int program_offer_fn(struct sluice *sluice, void *arg);

/* Serves until it is told to stop. Returns the exit status. */
int program_main(const struct program *program, int argc, char **argv, program_offer_fn *offer,
                 void *arg);

/* Reads the command line into the targets of the options and into `peer`, whose other fields stay.
 * False: the program is over, and *status is what to exit with (help or the version was asked
 * for, or something was wrong: each is printed). Opens the descriptors 0 to 2 if they are not. */
bool program_parse(const struct program *program, int argc, char **argv,
                   struct sluice_options *peer, int *status);

/* Prints `NAME: PROBLEM` and where help is; returns PROGRAM_USAGE. */
int program_usage(const struct program *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A peer that SIGTERM and SIGINT stop. NULL: there is none, it has been said why, and *status is
 * what to exit with. */
struct sluice *program_peer(const struct program *program, const struct sluice_options *peer,
                            int *status);

/* Runs `fn`, NULL: until the program is told to stop. `offered` is how offering went: 0, or the
 * negative errno that ends it all. What went wrong is printed. Returns the exit status. */
int program_run(const struct program *program, struct sluice *sluice, int offered,
                sluice_main_fn *fn, void *arg);

#endif
