#include "common/heap.h"

#include <stdlib.h> /* __GLIBC__ */

#ifdef __GLIBC__
#include <malloc.h>
#endif

#define MAPPED_BYTES_MIN (4 * 1024 * 1024)
#define FREE_BYTES_MAX (16 * 1024 * 1024)

void heap_keep(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
    mallopt(M_TRIM_THRESHOLD, FREE_BYTES_MAX);
#endif
}
