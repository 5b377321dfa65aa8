#include "agents/program/program.h"

#include "common/standard.h"
#include "proto/limits.h"
#include "proto/message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define COMMON 4     /* options of every program */
#define SHOWN_MAX 60 /* bytes of a value that is refused */

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

/* Of `value`, for people: whole characters, and none that steers a terminal or begins a line. */
static const char *show(const char *value, char shown[SHOWN_MAX + 1])
{
    bool text = text_valid(span_from_text(value), SIZE_MAX);
    size_t size = strnlen(value, SHOWN_MAX);

    while (text && size > 0 && (value[size] & 0xc0) == 0x80) {
        size--;
    }
    for (size_t i = 0; i < size; i++) {
        shown[i] = text || (value[i] >= ' ' && value[i] <= '~') ? value[i] : '?';
    }
    shown[size] = '\0';
    return shown;
}

static bool name_good(const char *name)
{
    return name == NULL || (name[0] != '\0' && text_valid(span_from_text(name), PEER_NAME_MAX));
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
    char problem[256], shown[SHOWN_MAX + 1];

    standard_open();
    *status = PROGRAM_DONE;
    if (options_parse(sets, argc - 1, argv + 1, false, &arguments, problem, sizeof problem) < 0) {
        *status = program_usage(program, "%s", problem);
    } else if (help) {
        print_help(program, &sets[1]);
        *status = standard_flush(program->name, PROGRAM_DONE);
    } else if (version) {
        printf("%s %s\n", program->name, sluice_version());
        *status = standard_flush(program->name, PROGRAM_DONE);
    } else if (arguments.count > 0) {
        *status = program_usage(program, "what is '%.60s'?", arguments.items[0]);
    } else if (!name_good(peer->name)) {
        *status = program_usage(program, "--name needs 1 to %d bytes of text, not '%s'",
                                PEER_NAME_MAX, show(peer->name, shown));
    } else {
        return true;
    }
    return false;
}

struct sluice *program_peer(const struct program *program, const struct sluice_options *peer,
                            int *status)
{
    struct sluice *sluice = sluice_new(peer);
    const char *broker = peer->broker != NULL ? peer->broker : getenv("SLUICE_BROKER");
    char shown[SHOWN_MAX + 1];
    int rc;

    *status = PROGRAM_FAILED;
    if (sluice == NULL && errno == EINVAL && broker != NULL) { /* the name is good */
        *status = program_usage(program, "%s: '%s' is no broker's endpoint: an endpoint is "
                                "tcp://HOST:PORT or ipc://PATH",
                                peer->broker != NULL ? "--broker" : "$SLUICE_BROKER",
                                show(broker, shown));
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
    sluice = program_peer(program, &peer, &status);
    if (sluice == NULL) {
        return status;
    }
    status = program_run(program, sluice, offer(sluice, arg), NULL, NULL);
    sluice_free(sluice);
    return status;
}
