/* limit: what services, tenants and keys may take, as a table. */
#ifndef SLUICE_CLI_LIMIT_H
#define SLUICE_CLI_LIMIT_H

#include <jansson.h>
#include <stddef.h>

/* `rows`: an array as QUERY limits answers. Prints at most rows_max of them. */
void limits_print(const json_t *rows, size_t rows_max);

#endif
