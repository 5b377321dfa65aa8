/* sluice-retriever: an agent that finds passages in real documents.
 *
 * Two threads of our own: the loop (tasks, answers) and the watch (reads files,
 * writes the index); searches run on libuv's pool. The services are offered
 * when the first scan is through, so nobody gets "nothing found" from an index
 * that is still empty. */
#include "agents/program/program.h"
#include "agents/retriever/service.h"
#include "agents/retriever/watch.h"
#include "common/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define RESCAN_MS_DEFAULT 30000
#define RESCAN_MS_MIN 100
#define RESCAN_MS_MAX 86400000 /* a day */

struct options {
    const char **docs; /* as many as there are words on the command line, at most */
    size_t docs_count;
    const char *index; /* NULL: temporary */
    uint64_t rescan_ms;
    bool debug;
};

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

/* Returns the exit status. */
static int retriever_run(const struct program *program, struct retriever *retriever,
                         const struct options *options)
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
    int rc = uv_async_init(sluice_loop(retriever->sluice), &retriever->ready, on_ready), status;

    if (rc == 0) {
        retriever->ready.data = retriever; /* sluice_free closes the handle */
        retriever->watch = watch_start(&watch);
        rc = retriever->watch != NULL ? 0 : -EAGAIN;
    }
    status = program_run(program, retriever->sluice, rc, NULL, NULL);
    if (retriever->watch != NULL) {
        watch_stop(retriever->watch);
    }
    return retriever->rc == 0 ? status : PROGRAM_FAILED;
}

static int retriever_main(const struct program *program, const struct options *options,
                          struct sluice_options *peer)
{
    struct retriever retriever = {.debug = options->debug};
    char error[INDEX_ERROR_SIZE];
    int status;

    peer->log_debug = options->debug;
    retriever.sluice = program_peer(program, peer, &status); /* first: it may not make files */
    if (retriever.sluice == NULL) {
        return status;
    }
    retriever.index = index_open(options->index, error);
    if (retriever.index == NULL) {
        fprintf(stderr, "sluice-retriever: cannot open the index%s%s: %s\n",
                options->index == NULL ? "" : " ", options->index == NULL ? "" : options->index,
                error);
        status = PROGRAM_FAILED;
    } else {
        status = retriever_run(program, &retriever, options);
    }
    sluice_free(retriever.sluice);
    index_close(retriever.index);
    return status;
}

static bool docs_take(void *target, const char *word, char *problem, size_t problem_size)
{
    struct options *options = target;
    struct stat status;

    if (word[0] == '\0' || stat(word, &status) != 0) {
        snprintf(problem, problem_size, "--docs: cannot read '%.128s': %s", word,
                 word[0] == '\0' ? "the name is empty" : strerror(errno));
        return false;
    }
    options->docs[options->docs_count++] = word;
    return true;
}

static int run(struct options *options, int argc, char **argv)
{
    const struct option_spec specs[] = {
        OPTION_WORDS_SPEC("docs", options, docs_take, "DIR...",
                          "folders, or single files, to index; may be repeated"),
        OPTION_TEXT_SPEC("index", &options->index, "FILE",
                         "keep the index there between runs; else a temporary one"),
        OPTION_UINT_SPEC("rescan-ms", &options->rescan_ms, "N", RESCAN_MS_MIN, RESCAN_MS_MAX,
                         "look for changes at least so often, 100 to 86400000 (30000)"),
        OPTION_FLAG_SPEC("debug", &options->debug, "log every file that is left out, and why"),
    };
    const struct program program = {
        .name = "sluice-retriever",
        .required = "--docs DIR...",
        .about = "Indexes documents (md, txt, html, manual pages, pdf) and serves\n"
                 "retriever.search, retriever.passage and retriever.sources.\n",
        .options = {specs, sizeof specs / sizeof specs[0]},
    };
    struct sluice_options peer = {0};
    int status;

    if (!program_parse(&program, argc, argv, &peer, &status)) {
        return status;
    }
    if (options->docs_count == 0) {
        return program_usage(&program, "--docs DIR is missing: what is to be indexed?");
    }
    return retriever_main(&program, options, &peer);
}

int main(int argc, char **argv)
{
    struct options options = {.rescan_ms = RESCAN_MS_DEFAULT};
    int status;

    options.docs = calloc((size_t)argc, sizeof *options.docs);
    CHECK(options.docs != NULL);
    status = run(&options, argc, argv);
    free(options.docs);
    return status;
}
