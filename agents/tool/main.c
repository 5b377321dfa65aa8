/* sluice-tool: an agent with functions: fetch a page, calculate, tell the time, sleep. */
#include "agents/tool/service.h"
#include "common/standard.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: sluice-tool [OPTION]...\n"
    "\n"
    "Serves tool.fetch, tool.calc, tool.time and tool.sleep.\n"
    "\n"
    "  --allow-private  let tool.fetch reach private, loopback and link-local\n"
    "                   addresses; refused otherwise, so that nobody reaches your\n"
    "                   network through this agent\n"
    "  --broker E       the broker's endpoint; default $SLUICE_BROKER, else\n"
    "                   tcp://127.0.0.1:5570\n"
    "  --name N         how lists and timelines call this agent; default: program and pid\n"
    "  --version        print the version\n"
    "  --help           print this\n";

struct arguments {
    struct tool_options tool;
    struct sluice_options peer;
};

/* -1: go on; else the program's exit status. */
static int arguments_parse(int argc, char **argv, struct arguments *arguments)
{
    enum { ALLOW_PRIVATE = 1, BROKER, NAME, VERSION, HELP };
    static const struct option options[] = {
        {"allow-private", no_argument, NULL, ALLOW_PRIVATE},
        {"broker", required_argument, NULL, BROKER},
        {"name", required_argument, NULL, NAME},
        {"version", no_argument, NULL, VERSION},
        {"help", no_argument, NULL, HELP},
        {0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case ALLOW_PRIVATE:
            arguments->tool.allow_private = true;
            break;
        case BROKER:
            arguments->peer.broker = optarg;
            break;
        case NAME:
            arguments->peer.name = optarg;
            break;
        case VERSION:
            printf("sluice-tool %s\n", sluice_version());
            return 0;
        case HELP:
            fputs(usage, stdout);
            return 0;
        default:
            fputs("Try 'sluice-tool --help'.\n", stderr);
            return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "sluice-tool: what is '%s'? Try 'sluice-tool --help'.\n", argv[optind]);
        return 2;
    }
    return -1;
}

static int serve(struct sluice *sluice, const struct tool_options *options)
{
    int rc = sluice_stop_on_signals(sluice);

    rc = rc ? rc : serve_fetch(sluice, options);
    rc = rc ? rc : serve_calc(sluice);
    rc = rc ? rc : serve_time(sluice);
    rc = rc ? rc : serve_sleep(sluice);
    return rc ? rc : sluice_run(sluice, NULL, NULL);
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.tool = {.allow_private = false}};
    struct sluice *sluice;
    int status, rc;

    standard_open();
    status = arguments_parse(argc, argv, &arguments);
    if (status >= 0) {
        return status;
    }
    sluice = sluice_new(&arguments.peer);
    if (!sluice) {
        fprintf(stderr, "sluice-tool: cannot start: %s\n",
                errno == EINVAL ? "the broker's endpoint is not one" : strerror(errno));
        return 1;
    }
    rc = serve(sluice, &arguments.tool);
    if (rc != 0) {
        fprintf(stderr, "sluice-tool: %s\n", strerror(-rc));
    }
    sluice_free(sluice);
    return rc == 0 ? 0 : 1;
}
