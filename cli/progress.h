/* progress: what is going on, on standard error, while a command waits.
 *
 * On a terminal one line that is written over and over, with the time that has
 * passed; elsewhere a line for each thing that is new. */
#ifndef SLUICE_CLI_PROGRESS_H
#define SLUICE_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool tty;
    bool shown;         /* something is on the line */
    uint64_t begun_ns;
    char text[512];
};

void progress_init(struct progress *progress, const char *text);
/* Shows `text` from now on. */
void progress_set(struct progress *progress, const char *text);
/* Writes the line again, with the time of now; for a terminal only. */
void progress_tick(struct progress *progress);
/* Takes the line away. */
void progress_clear(struct progress *progress);

#endif
