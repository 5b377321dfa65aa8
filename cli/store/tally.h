/* tally: rows of a store that went by, and on standard error how many, when it takes long. */
#ifndef SLUICE_CLI_STORE_TALLY_H
#define SLUICE_CLI_STORE_TALLY_H

#include <stdbool.h>
#include <stdint.h>

struct tally {
    const char *doing; /* "reading" */
    uint64_t rows;
    uint64_t next_ms;
    bool shown;        /* something is on the terminal's line */
};

void tally_begin(struct tally *tally, const char *doing);
void tally_add(struct tally *tally);
/* Takes the line away. */
void tally_end(struct tally *tally);

#endif
