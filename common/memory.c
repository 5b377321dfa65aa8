#include "common/memory.h"

#include <stdlib.h>

void *memory_new(size_t bytes)
{
    return calloc(1, bytes);
}

void memory_free(void *memory)
{
    free(memory);
}
