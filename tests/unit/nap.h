/* nap: the store's thread sleeps as long as a test says.
 *
 * The linker's --wrap sends the store's waits and wake-ups here. Time passes for its thread when
 * nap_pass is called and not otherwise. One thread that sleeps, one that wakes it. */
#ifndef SLUICE_TESTS_UNIT_NAP_H
#define SLUICE_TESTS_UNIT_NAP_H

#include <stdbool.h>

/* Between them waits are ours: the thread starts after nap_begin and has ended before nap_end,
 * which also comes without it. */
void nap_begin(void);
void nap_end(void);
/* Waits until the thread sleeps (true), or `fd` is readable (false). `timed`: not NULL. */
bool nap_await(int fd, bool *timed);
/* The thread sleeps, for a time: that is over. */
void nap_pass(void);

#endif
