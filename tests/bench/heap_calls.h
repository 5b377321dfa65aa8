/* heap_calls: how often the program asks the heap for something or gives it back.
 *
 * Only what is linked with the linker's --wrap for malloc, calloc, realloc, aligned_alloc and
 * free is counted: our own code, not what libraries do inside. One thread. */
#ifndef SLUICE_TESTS_BENCH_HEAP_CALLS_H
#define SLUICE_TESTS_BENCH_HEAP_CALLS_H

#include <stdint.h>

/* Since the start of the process. free(NULL) is none. */
uint64_t heap_calls(void);

#endif
