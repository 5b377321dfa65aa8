/* options: the command line of sluice-retriever. */
#ifndef SLUICE_RETRIEVER_OPTIONS_H
#define SLUICE_RETRIEVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_RESCAN_MS 30000U
#define OPTIONS_ERROR_SIZE 256

struct options {
    const char **docs; /* malloc'd array of borrowed arguments */
    size_t docs_count;
    const char *index;  /* NULL: temporary */
    const char *broker; /* NULL: the runtime's default */
    const char *name;   /* NULL: likewise */
    uint64_t rescan_ms;
    bool help, version, debug;
};

/* False: `error` is a sentence about the argument that is wrong. Deinit in both cases. */
bool options_parse(struct options *options, int argc, char **argv, char error[OPTIONS_ERROR_SIZE]);
void options_deinit(struct options *options);

extern const char options_usage[];

#endif
