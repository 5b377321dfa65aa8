/* sluice-research: answers questions from documents, with citations that hold:
 * it plans, scatters over retrievers and tools, has analysis weigh and write,
 * and checks. docs/research.md says how. */
#include "agents/research/ask.h"
#include "common/standard.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: sluice-research [OPTION]...\n"
    "\n"
    "Serves research.ask.\n"
    "\n"
    "  --broker ENDPOINT  where the broker is (default: $SLUICE_BROKER, else\n"
    "                     tcp://127.0.0.1:5570)\n"
    "  --name NAME        shown in lists and timelines (default: program and pid)\n"
    "  --deadline-ms N    how long a question may take that names no time of its own\n"
    "                     (default: 30000)\n"
    "  --help             this text\n"
    "  --version          the version\n";

enum { OPTION_BROKER = 256, OPTION_NAME, OPTION_DEADLINE, OPTION_HELP, OPTION_VERSION };

static const struct option long_options[] = {
    {"broker", required_argument, NULL, OPTION_BROKER},
    {"name", required_argument, NULL, OPTION_NAME},
    {"deadline-ms", required_argument, NULL, OPTION_DEADLINE},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {0},
};

static bool deadline_parse(const char *text, uint64_t *deadline_ms)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < ASK_DEADLINE_MS_MIN ||
        value > ASK_DEADLINE_MS_MAX) {
        fprintf(stderr, "sluice-research: --deadline-ms: %s is not a number from %d to %d\n", text,
                ASK_DEADLINE_MS_MIN, ASK_DEADLINE_MS_MAX);
        return false;
    }
    *deadline_ms = value;
    return true;
}

/* -1: go on; else what to exit with. */
static int options_parse(int argc, char **argv, struct sluice_options *options,
                         struct ask_options *ask)
{
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case OPTION_BROKER:
            options->broker = optarg;
            break;
        case OPTION_NAME:
            options->name = optarg;
            break;
        case OPTION_DEADLINE:
            if (!deadline_parse(optarg, &ask->deadline_ms)) {
                return 2;
            }
            break;
        case OPTION_HELP:
            fputs(usage, stdout);
            return 0;
        case OPTION_VERSION:
            printf("sluice-research %s\n", sluice_version());
            return 0;
        default:
            fputs("Try 'sluice-research --help'.\n", stderr);
            return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "sluice-research: what is '%s'? Try 'sluice-research --help'.\n",
                argv[optind]);
        return 2;
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct sluice_options options = {0};
    struct ask_options ask = {.deadline_ms = ASK_DEADLINE_MS_DEFAULT};
    struct sluice *sluice;
    int status;

    standard_open();
    status = options_parse(argc, argv, &options, &ask);
    if (status >= 0) {
        return status;
    }
    sluice = sluice_new(&options);
    if (sluice == NULL) {
        fprintf(stderr, "sluice-research: %s: %s\n",
                options.broker != NULL ? options.broker : "$SLUICE_BROKER", strerror(errno));
        return 1;
    }
    status = ask_offer(sluice, &ask);
    if (status == 0) {
        status = sluice_stop_on_signals(sluice);
    }
    if (status == 0) {
        status = sluice_run(sluice, NULL, NULL);
    }
    if (status != 0) {
        fprintf(stderr, "sluice-research: %s\n", strerror(-status));
    }
    sluice_free(sluice);
    return status == 0 ? 0 : 1;
}
