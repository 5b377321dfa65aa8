/* sluice-retriever: an agent that finds passages in real documents.
 *
 * Two threads of our own: the loop (tasks, answers) and the watch (reads files,
 * writes the index); searches run on libuv's pool. The services are offered
 * when the first scan is through, so nobody gets "nothing found" from an index
 * that is still empty. */
#include "agents/retriever/options.h"
#include "agents/retriever/service.h"
#include "agents/retriever/watch.h"
#include "common/standard.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct retriever {
    struct sluice *sluice;
    struct index *index;
    struct watch *watch;
    uv_async_t ready; /* from the watch to the loop */
    bool debug;
    int rc;
};

static void on_log(void *arg, const struct log_record *record)
{
    const struct retriever *retriever = arg;

    if (record->level != LOG_DEBUG || retriever->debug) {
        log_print(stderr, record); /* one write a line: threads do not mix */
    }
}

static void on_first_scan(void *arg)
{
    uv_async_send(&((struct retriever *)arg)->ready);
}

static void on_ready(uv_async_t *async)
{
    struct retriever *retriever = async->data;

    retriever->rc = service_offer(retriever->sluice, retriever->index);
    if (retriever->rc != 0) {
        sluice_log(retriever->sluice, "offer_failed", "error=\"%s\"", strerror(-retriever->rc));
        sluice_stop(retriever->sluice);
        return;
    }
    sluice_log(retriever->sluice, "retriever_ready", "endpoint=%s",
               sluice_endpoint(retriever->sluice));
}

static int retriever_run(struct retriever *retriever, const struct options *options)
{
    struct watch_options watch = {
        .index = retriever->index,
        .roots = options->docs,
        .root_count = options->docs_count,
        .rescan_ms = options->rescan_ms,
        .log = on_log,
        .ready = on_first_scan,
        .arg = retriever,
    };
    int rc = sluice_stop_on_signals(retriever->sluice);

    if (rc != 0) {
        return rc;
    }
    rc = uv_async_init(sluice_loop(retriever->sluice), &retriever->ready, on_ready);
    if (rc != 0) {
        return rc;
    }
    retriever->ready.data = retriever; /* sluice_free closes the handle */
    retriever->watch = watch_start(&watch);
    if (retriever->watch == NULL) {
        return -EAGAIN;
    }
    rc = sluice_run(retriever->sluice, NULL, NULL);
    watch_stop(retriever->watch);
    return rc != 0 ? rc : retriever->rc;
}

static int retriever_main(const struct options *options)
{
    struct sluice_options peer = {
        .broker = options->broker, .name = options->name, .log_debug = options->debug};
    struct retriever retriever = {.debug = options->debug};
    char error[INDEX_ERROR_SIZE];
    int rc = 0;

    retriever.index = index_open(options->index, error);
    if (retriever.index == NULL) {
        fprintf(stderr, "sluice-retriever: cannot open the index%s%s: %s\n",
                options->index == NULL ? "" : " ", options->index == NULL ? "" : options->index,
                error);
        return 1;
    }
    retriever.sluice = sluice_new(&peer);
    if (retriever.sluice == NULL) {
        fprintf(stderr, "sluice-retriever: cannot start: %s\n",
                errno == EINVAL ? "the broker's endpoint is not one" : strerror(errno));
        rc = 1;
    } else {
        rc = retriever_run(&retriever, options);
        if (rc != 0) {
            fprintf(stderr, "sluice-retriever: %s\n", strerror(-rc));
        }
    }
    sluice_free(retriever.sluice);
    index_close(retriever.index);
    return rc == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    char error[OPTIONS_ERROR_SIZE];
    struct options options;
    int status = 0;

    standard_open();
    if (!options_parse(&options, argc, argv, error)) {
        fprintf(stderr, "sluice-retriever: %s\nTry 'sluice-retriever --help'.\n", error);
        status = 2;
    } else if (options.help) {
        fputs(options_usage, stdout);
    } else if (options.version) {
        printf("sluice-retriever %s\n", sluice_version());
    } else {
        status = retriever_main(&options);
    }
    options_deinit(&options);
    return status;
}
