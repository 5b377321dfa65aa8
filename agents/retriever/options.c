#include "agents/retriever/options.h"

#include "common/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define RESCAN_MS_MIN 100U
#define RESCAN_MS_MAX 86400000U /* a day */

const char options_usage[] =
    "usage: sluice-retriever --docs DIR... [OPTION]...\n"
    "\n"
    "Indexes documents (md, txt, html, manual pages, pdf) and serves retriever.search,\n"
    "retriever.passage and retriever.sources.\n"
    "\n"
    "  --docs DIR...    folders, or single files, to index; may be repeated\n"
    "  --index FILE     keep the index there between runs (default: a temporary one)\n"
    "  --rescan-ms N    look for changes at least so often, besides being told of them\n"
    "                   (100 to 86400000, default 30000)\n"
    "  --broker E       endpoint (default: $SLUICE_BROKER, else tcp://127.0.0.1:5570)\n"
    "  --name N         name of this process in lists (default: program and pid)\n"
    "  --debug          log every file that is left out, and why\n"
    "  --help           this text\n"
    "  --version        the version\n";

static bool number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
    char *end;

    errno = 0;
    *number = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *number >= min &&
           *number <= max;
}

/* Takes every argument up to the next option. */
static bool docs_take(struct options *options, int argc, char **argv, int *at, char *error)
{
    size_t before = options->docs_count;

    while (*at + 1 < argc && strncmp(argv[*at + 1], "--", 2) != 0) {
        struct stat status;
        const char *path = argv[++*at];

        if (path[0] == '\0' || stat(path, &status) != 0) {
            snprintf(error, OPTIONS_ERROR_SIZE, "--docs: cannot read '%.128s': %s", path,
                     path[0] == '\0' ? "the name is empty" : strerror(errno));
            return false;
        }
        options->docs[options->docs_count++] = path;
    }
    if (options->docs_count == before) {
        snprintf(error, OPTIONS_ERROR_SIZE, "--docs needs at least one folder");
        return false;
    }
    return true;
}

static const char **text_option(struct options *options, const char *name)
{
    if (strcmp(name, "--index") == 0) {
        return &options->index;
    }
    if (strcmp(name, "--broker") == 0) {
        return &options->broker;
    }
    return strcmp(name, "--name") == 0 ? &options->name : NULL;
}

/* One option with its value, which is at *at. */
static bool option_take(struct options *options, int argc, char **argv, int *at, char *error)
{
    const char *name = argv[*at];
    const char **text = text_option(options, name);
    bool rescan = strcmp(name, "--rescan-ms") == 0;

    if (text == NULL && !rescan) {
        snprintf(error, OPTIONS_ERROR_SIZE, "unknown argument '%.128s'", name);
        return false;
    }
    if (*at + 1 == argc || argv[*at + 1][0] == '\0') {
        snprintf(error, OPTIONS_ERROR_SIZE, "%.64s needs a value", name);
        return false;
    }
    ++*at;
    if (text != NULL) {
        *text = argv[*at];
        return true;
    }
    if (!number_parse(argv[*at], RESCAN_MS_MIN, RESCAN_MS_MAX, &options->rescan_ms)) {
        snprintf(error, OPTIONS_ERROR_SIZE, "--rescan-ms: '%.64s' is not a number from %u to %u",
                 argv[*at], RESCAN_MS_MIN, RESCAN_MS_MAX);
        return false;
    }
    return true;
}

bool options_parse(struct options *options, int argc, char **argv, char error[OPTIONS_ERROR_SIZE])
{
    *options = (struct options){.rescan_ms = OPTIONS_RESCAN_MS};
    options->docs = calloc((size_t)argc + 1, sizeof *options->docs);
    CHECK(options->docs != NULL);
    for (int at = 1; at < argc; at++) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            options->help = true;
            return true;
        }
        if (strcmp(argv[at], "--version") == 0) {
            options->version = true;
            return true;
        }
        if (strcmp(argv[at], "--debug") == 0) {
            options->debug = true;
        } else if (strcmp(argv[at], "--docs") == 0) {
            if (!docs_take(options, argc, argv, &at, error)) {
                return false;
            }
        } else if (!option_take(options, argc, argv, &at, error)) {
            return false;
        }
    }
    if (options->docs_count == 0) {
        snprintf(error, OPTIONS_ERROR_SIZE, "--docs DIR is missing: what is to be indexed?");
        return false;
    }
    return true;
}

void options_deinit(struct options *options)
{
    free(options->docs);
    *options = (struct options){0};
}
