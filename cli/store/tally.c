#include "cli/store/tally.h"

#include "cli/bench_result.h"
#include "cli/quantity.h"
#include "cli/terminal.h"

#define SAID_MS 2000
#define ROWS_UNSEEN 1024 /* between two looks at the clock */

static uint64_t now_ms(void)
{
    return bench_now_ns() / 1000000;
}

void tally_begin(struct tally *tally, const char *doing)
{
    *tally = (struct tally){
        .doing = doing, .next_ms = now_ms() + SAID_MS, .shown = terminal_is(stderr)};
    if (tally->shown) {
        fprintf(stderr, "\r\033[K%s", doing);
    }
}

void tally_add(struct tally *tally)
{
    char count[QUANTITY_SIZE];

    if (++tally->rows % ROWS_UNSEEN != 0 || now_ms() < tally->next_ms) {
        return;
    }
    tally->next_ms = now_ms() + SAID_MS;
    tally->shown = terminal_is(stderr);
    fprintf(stderr, tally->shown ? "\r\033[K%s: %s rows" : "%s: %s rows\n", tally->doing,
            quantity_count(tally->rows, count));
}

void tally_end(struct tally *tally)
{
    if (tally->shown) {
        fprintf(stderr, "\r\033[K");
        tally->shown = false;
    }
}
