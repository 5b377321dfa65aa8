/* sluice-broker: routes tasks between agents. docs/broker.md says how to run it. */
#include "broker/shell/arguments.h"
#include "broker/shell/process.h"
#include "broker/shell/server.h"
#include "common/blob.h"
#include "common/heap.h"
#include "common/standard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_USAGE 2 /* a mistake on the command line or in the config file */

/* Descriptors that are no connections of peers. */
#define FILES_SPARE 64

static int complain(const struct problem *problem, int status)
{
    fprintf(stderr, "sluice-broker: %s\n", problem->text);
    return status;
}

static void log_start(struct journal *journal, const struct config *config,
                      const struct server *server, size_t files_max)
{
    const struct broker_options *broker = &config->broker;

    journal_say(journal, LOG_INFO, "broker_started", LOG_WORD("name", config->name),
                LOG_WORD("version", SLUICE_VERSION), LOG_WORD("endpoints", server_bound(server)),
                LOG_UINT("pid", (uint64_t)getpid()), LOG_UINT("memory", broker->memory_max),
                LOG_UINT("max_peers", broker->peers_max), LOG_UINT("max_tasks", broker->tasks_max),
                LOG_UINT("max_payload", broker->payload_max),
                LOG_UINT("services", config->service_count), LOG_UINT("files_max", files_max));
}

/* Better now than when somebody needs one; but it may be there by then. */
static void log_backups(struct journal *journal, const char *folder)
{
    if (folder[0] != '\0' && access(folder, W_OK | X_OK) != 0) {
        journal_say(journal, LOG_WARN, "backups_unusable", LOG_WORD("folder", folder),
                    LOG_WORD("error", strerror(errno)));
    }
}

/* Every peer needs a descriptor. With none left libzmq's listener would spin on a
 * connection that it cannot accept, so the bound on peers stays below. */
static void fit_peers(struct config *config, size_t files_max)
{
    size_t peers_max = files_max > 2 * FILES_SPARE ? files_max - FILES_SPARE : FILES_SPARE;

    if (config->broker.peers_max > peers_max) {
        config->broker.peers_max = peers_max;
    }
}

static int serve(struct config *config)
{
    struct journal journal;
    struct problem problem;
    struct server *server;
    size_t files_max = process_raise_files_max();
    int signals = process_open_signals();
    bool good;

    if (signals < 0) {
        problem_set(&problem, "cannot receive signals");
        return complain(&problem, EXIT_FAILURE);
    }
    fit_peers(config, files_max);
    journal_init(&journal, stderr, config->log_level);
    heap_keep();
    blob_stock_open(BLOB_STOCK_BROKER);
    server = server_new(config, &journal, signals, &problem);
    if (server == NULL) {
        blob_stock_close();
        close(signals);
        return complain(&problem, EXIT_FAILURE);
    }
    log_start(&journal, config, server, files_max);
    log_backups(&journal, config->backups);
    process_notify_ready(server_bound(server));
    good = server_run(server);
    server_free(server);
    blob_stock_close();
    close(signals);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
    struct problem problem;
    struct config config;
    int status = EXIT_SUCCESS;

    standard_open();
    /* czmq reads the config file and does nothing else: no signal handlers of its own. */
    setenv("ZSYS_SIGHANDLER", "false", 1);
    config_init(&config);
    switch (arguments_read(&config, argc, argv, &problem)) {
    case ARGUMENTS_RUN:
        status = serve(&config);
        break;
    case ARGUMENTS_CHECK:
        printf("the config is good\n");
        break;
    case ARGUMENTS_HELP:
        arguments_print_help(stdout);
        break;
    case ARGUMENTS_VERSION:
        printf("sluice-broker %s\n", SLUICE_VERSION);
        break;
    case ARGUMENTS_BAD:
        status = complain(&problem, EXIT_USAGE);
        break;
    }
    config_deinit(&config);
    return status;
}
