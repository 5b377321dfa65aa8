/* children: the processes of a benchmark, forked before anything of a library is there.
 *
 * They die with the process that started them, whatever it dies of. One thread's. */
#ifndef SLUICE_TESTS_BENCH_CHILDREN_H
#define SLUICE_TESTS_BENCH_CHILDREN_H

#include <stddef.h>
#include <sys/types.h>

#define CHILDREN_MAX 65

/* Once, before the first start: SIGINT, SIGTERM, SIGHUP and exit() end the children first, and then
 * call `tidy`, which is async-signal-safe; NULL: nothing. */
void children_init(void (*tidy)(void));

/* 0: this is the child, which must not return to its parent's work; -1: errno says why there is
 * none. */
pid_t children_start(void);

size_t children_count(void);
/* In the order of their start. */
pid_t children_at(size_t index);

#endif
