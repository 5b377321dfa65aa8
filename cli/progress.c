#include "cli/progress.h"

#include "cli/bench_result.h"
#include "cli/quantity.h"
#include "cli/terminal.h"

#include <stdio.h>
#include <string.h>

void progress_init(struct progress *progress, const char *text)
{
    progress->tty = terminal_is(stderr);
    progress->shown = false;
    progress->begun_ns = bench_now_ns();
    snprintf(progress->text, sizeof(progress->text), "%s", text);
    progress_tick(progress);
}

void progress_set(struct progress *progress, const char *text)
{
    if (strncmp(progress->text, text, sizeof(progress->text) - 1) == 0) {
        return;
    }
    snprintf(progress->text, sizeof(progress->text), "%s", text);
    terminal_clean(progress->text, false);
    if (progress->tty) {
        progress_tick(progress);
    } else {
        fprintf(stderr, "%s\n", progress->text);
    }
}

void progress_tick(struct progress *progress)
{
    char elapsed[QUANTITY_SIZE];
    size_t columns = terminal_columns(stderr);
    int room = columns < sizeof(progress->text) + 16 && columns > 16 ? (int)columns - 16 : 512;

    if (!progress->tty) {
        return;
    }
    quantity_ms((bench_now_ns() - progress->begun_ns) / 1000000, elapsed);
    fprintf(stderr, "\r\033[K%9s  %.*s", elapsed, room, progress->text);
    fflush(stderr);
    progress->shown = true;
}

void progress_clear(struct progress *progress)
{
    if (progress->shown) {
        fprintf(stderr, "\r\033[K");
        fflush(stderr);
        progress->shown = false;
    }
}
