#include "agents/program/program.h"

#include "common/standard.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define COMMON 4 /* options of every program */

static void print_help(const struct program *program, const struct option_set *common)
{
    printf("usage: %s %s%s[OPTION]...\n\n%s\noptions:\n", program->name,
           program->required != NULL ? program->required : "",
           program->required != NULL ? " " : "", program->about);
    options_print(&program->options, stdout);
    options_print(common, stdout);
}

int program_usage(const struct program *program, const char *format, ...)
{
    va_list values;

    fprintf(stderr, "%s: ", program->name);
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fprintf(stderr, "\nTry '%s --help'.\n", program->name);
    return PROGRAM_USAGE;
}

bool program_parse(const struct program *program, int argc, char **argv,
                   struct sluice_options *peer, int *status)
{
    bool help = false, version = false;
    const struct option_spec common[COMMON] = {
        OPTION_TEXT_SPEC("broker", &peer->broker, "ENDPOINT",
                         "which broker; else $SLUICE_BROKER, else tcp://127.0.0.1:5570"),
        OPTION_TEXT_SPEC("name", &peer->name, "NAME",
                         "how lists and timelines call it; else program and pid"),
        OPTION_FLAG_SPEC("version", &version, "print the version"),
        OPTION_FLAG_SPEC("help", &help, "this text"),
    };
    const struct option_set sets[2] = {program->options, {common, COMMON}};
    struct arguments arguments;
    char problem[256];

    standard_open();
    *status = PROGRAM_DONE;
    if (options_parse(sets, argc - 1, argv + 1, false, &arguments, problem, sizeof problem) < 0) {
        *status = program_usage(program, "%s", problem);
    } else if (help) {
        print_help(program, &sets[1]);
    } else if (version) {
        printf("%s %s\n", program->name, sluice_version());
    } else if (arguments.count > 0) {
        *status = program_usage(program, "what is '%.60s'?", arguments.items[0]);
    } else {
        return true;
    }
    return false;
}

struct sluice *program_peer(const struct program *program, const struct sluice_options *peer)
{
    struct sluice *sluice = sluice_new(peer);
    int rc;

    if (sluice == NULL && errno == EINVAL) {
        program_usage(program, "'%s' is no broker's endpoint%s%s%s",
                      peer->broker != NULL ? peer->broker : "$SLUICE_BROKER",
                      peer->name != NULL ? ", or '" : "", peer->name != NULL ? peer->name : "",
                      peer->name != NULL ? "' no name" : "");
    } else if (sluice == NULL) {
        fprintf(stderr, "%s: cannot start: %s\n", program->name, strerror(errno));
    } else if ((rc = sluice_stop_on_signals(sluice)) != 0) {
        fprintf(stderr, "%s: cannot start: %s\n", program->name, strerror(-rc));
        sluice_free(sluice);
        sluice = NULL;
    }
    return sluice;
}

int program_run(const struct program *program, struct sluice *sluice, int offered,
                sluice_main_fn *fn, void *arg)
{
    int rc = offered != 0 ? offered : sluice_run(sluice, fn, arg);

    if (rc == -ETIMEDOUT) {
        fprintf(stderr, "%s: no broker at %s; start one: sluice-broker\n", program->name,
                sluice_endpoint(sluice));
    } else if (rc < 0) {
        fprintf(stderr, "%s: %s\n", program->name, strerror(-rc));
    }
    return rc == 0 ? PROGRAM_DONE : PROGRAM_FAILED;
}

int program_main(const struct program *program, int argc, char **argv, program_offer_fn *offer,
                 void *arg)
{
    struct sluice_options peer = {0};
    struct sluice *sluice;
    int status;

    if (!program_parse(program, argc, argv, &peer, &status)) {
        return status;
    }
    sluice = program_peer(program, &peer);
    if (sluice == NULL) {
        return PROGRAM_FAILED;
    }
    status = program_run(program, sluice, offer(sluice, arg), NULL, NULL);
    sluice_free(sluice);
    return status;
}
