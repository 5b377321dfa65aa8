/* sluice-analysis: extracts, summarises, compares and writes, by published
 * algorithms and without a model. docs/analysis.md says which. */
#include "agents/analysis/service.h"
#include "common/standard.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: sluice-analysis [OPTION]...\n"
    "\n"
    "Serves analysis.extract, analysis.summarize, analysis.compare and analysis.report.\n"
    "\n"
    "  --broker ENDPOINT  where the broker is (default: $SLUICE_BROKER, else\n"
    "                     tcp://127.0.0.1:5570)\n"
    "  --name NAME        shown in lists and timelines (default: program and pid)\n"
    "  --help             this text\n"
    "  --version          the version\n";

enum { OPTION_BROKER = 256, OPTION_NAME, OPTION_HELP, OPTION_VERSION };

static const struct option long_options[] = {
    {"broker", required_argument, NULL, OPTION_BROKER},
    {"name", required_argument, NULL, OPTION_NAME},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {0},
};

/* -1: go on; else what to exit with. */
static int options_parse(int argc, char **argv, struct sluice_options *options)
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
        case OPTION_HELP:
            fputs(usage, stdout);
            return 0;
        case OPTION_VERSION:
            printf("sluice-analysis %s\n", sluice_version());
            return 0;
        default:
            fputs("Try 'sluice-analysis --help'.\n", stderr);
            return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "sluice-analysis: what is '%s'? Try 'sluice-analysis --help'.\n",
                argv[optind]);
        return 2;
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct sluice_options options = {0};
    struct sluice *sluice;
    int status;

    standard_open();
    status = options_parse(argc, argv, &options);
    if (status >= 0) {
        return status;
    }
    sluice = sluice_new(&options);
    if (sluice == NULL) {
        fprintf(stderr, "sluice-analysis: %s: %s\n",
                options.broker != NULL ? options.broker : "$SLUICE_BROKER", strerror(errno));
        return 1;
    }
    status = service_offer_all(sluice);
    if (status == 0) {
        status = sluice_stop_on_signals(sluice);
    }
    if (status == 0) {
        status = sluice_run(sluice, NULL, NULL);
    }
    if (status != 0) {
        fprintf(stderr, "sluice-analysis: %s\n", strerror(-status));
    }
    sluice_free(sluice);
    return status == 0 ? 0 : 1;
}
