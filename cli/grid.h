/* grid: rows and columns of text, printed aligned.
 *
 * Cells are copied and cleaned of control characters. On a terminal that is too
 * narrow the columns that may shrink are cut with '~'; elsewhere nothing is
 * cut. One thread. */
#ifndef SLUICE_CLI_GRID_H
#define SLUICE_CLI_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct grid_column {
    const char *title;
    bool right;      /* numbers */
    bool shrinks;    /* may be cut on a narrow terminal */
};

#define GRID_COLUMNS_MAX 12

struct grid {
    const struct grid_column *columns; /* borrowed */
    size_t column_count;
    char **cells;                      /* row by row */
    size_t cell_count, cell_max;
};

/* Needs: 1..GRID_COLUMNS_MAX columns. */
void grid_init(struct grid *grid, const struct grid_column *columns, size_t column_count);
void grid_deinit(struct grid *grid);

/* Appends the next cell, left to right, row by row. Aborts when out of memory. */
void grid_text(struct grid *grid, const char *text);
void grid_count(struct grid *grid, uint64_t count);
void grid_ms(struct grid *grid, uint64_t ms);
void grid_bytes(struct grid *grid, uint64_t bytes);

/* Prints the titles and at most `rows_max` full rows. Needs: the last row is full. */
void grid_print(const struct grid *grid, FILE *stream, size_t rows_max);

#endif
