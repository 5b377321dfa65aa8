/* listing: the broker's tables of services and of peers, as grids. */
#ifndef SLUICE_CLI_LISTING_H
#define SLUICE_CLI_LISTING_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* `rows`: arrays as QUERY catalog and peers answer, sorted by name in place.
 * Prints at most rows_max of them and says how many are left out. */
void listing_services(json_t *rows, FILE *stream, size_t rows_max, bool about);
void listing_peers(json_t *rows, FILE *stream, size_t rows_max);

#endif
