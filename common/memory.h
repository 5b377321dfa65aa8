/* memory: where the few large objects of a process's start come from.
 *
 * The broker's core takes all its memory through this, pool, table and blob, so
 * that tidy can hold it to its promise of no other allocation. */
#ifndef SLUICE_COMMON_MEMORY_H
#define SLUICE_COMMON_MEMORY_H

#include <stddef.h>

void *memory_new(size_t bytes); /* zeroed; NULL: none */
void memory_free(void *memory); /* accepts NULL */

#endif
