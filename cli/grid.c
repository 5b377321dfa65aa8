#include "cli/grid.h"

#include "cli/quantity.h"
#include "cli/terminal.h"
#include "common/check.h"

#include <stdlib.h>
#include <string.h>

#define GAP 2        /* columns between two columns */
#define WIDTH_MIN 8  /* no column is cut below this */

void grid_init(struct grid *grid, const struct grid_column *columns, size_t column_count)
{
    CHECK(column_count >= 1);
    CHECK(column_count <= GRID_COLUMNS_MAX);
    memset(grid, 0, sizeof(*grid));
    grid->columns = columns;
    grid->column_count = column_count;
}

void grid_deinit(struct grid *grid)
{
    for (size_t i = 0; i < grid->cell_count; i++) {
        free(grid->cells[i]);
    }
    free(grid->cells);
    memset(grid, 0, sizeof(*grid));
}

void grid_text(struct grid *grid, const char *text)
{
    if (grid->cell_count == grid->cell_max) {
        grid->cell_max = grid->cell_max == 0 ? 64 : 2 * grid->cell_max;
        grid->cells = realloc(grid->cells, grid->cell_max * sizeof(grid->cells[0]));
        CHECK(grid->cells != NULL);
    }
    grid->cells[grid->cell_count] = strdup(text);
    CHECK(grid->cells[grid->cell_count] != NULL);
    terminal_clean(grid->cells[grid->cell_count], false);
    grid->cell_count++;
}

void grid_count(struct grid *grid, uint64_t count)
{
    char text[QUANTITY_SIZE];

    grid_text(grid, quantity_count(count, text));
}

void grid_ms(struct grid *grid, uint64_t ms)
{
    char text[QUANTITY_SIZE];

    grid_text(grid, quantity_ms(ms, text));
}

void grid_bytes(struct grid *grid, uint64_t bytes)
{
    char text[QUANTITY_SIZE];

    grid_text(grid, quantity_bytes(bytes, text));
}

static void widths_measure(const struct grid *grid, size_t rows, size_t widths[])
{
    for (size_t i = 0; i < grid->column_count; i++) {
        widths[i] = terminal_width(grid->columns[i].title);
    }
    for (size_t i = 0; i < rows * grid->column_count; i++) {
        size_t width = terminal_width(grid->cells[i]);
        size_t column = i % grid->column_count;

        widths[column] = width > widths[column] ? width : widths[column];
    }
}

/* Takes columns from the widest one that may shrink until all of it fits. */
static void widths_fit(const struct grid *grid, size_t columns, size_t widths[])
{
    for (;;) {
        size_t total = (grid->column_count - 1) * GAP;
        size_t widest = grid->column_count;

        for (size_t i = 0; i < grid->column_count; i++) {
            total += widths[i];
            if (grid->columns[i].shrinks && widths[i] > WIDTH_MIN &&
                (widest == grid->column_count || widths[i] > widths[widest])) {
                widest = i;
            }
        }
        if (total <= columns || widest == grid->column_count) {
            return;
        }
        widths[widest]--;
    }
}

/* Bytes of the first `width` code points of `text`. */
static size_t prefix_bytes(const char *text, size_t width)
{
    size_t bytes = 0;

    while (text[bytes] != '\0') {
        if (((unsigned char)text[bytes] & 0xc0) != 0x80 && width-- == 0) {
            break;
        }
        bytes++;
    }
    return bytes;
}

static void print_cell(const char *text, size_t width, bool right, bool last, FILE *stream)
{
    size_t used = terminal_width(text);
    size_t pad = used < width ? width - used : 0;

    if (right) {
        fprintf(stream, "%*s", (int)pad, "");
    }
    if (used > width) {
        fprintf(stream, "%.*s~", (int)prefix_bytes(text, width - 1), text);
    } else {
        fputs(text, stream);
    }
    if (!last) {
        fprintf(stream, "%*s", (int)((right ? 0 : pad) + GAP), "");
    }
}

void grid_print(const struct grid *grid, FILE *stream, size_t rows_max)
{
    size_t rows = grid->cell_count / grid->column_count;
    size_t widths[GRID_COLUMNS_MAX];
    size_t last = grid->column_count - 1;

    CHECK(grid->cell_count % grid->column_count == 0);
    rows = rows < rows_max ? rows : rows_max;
    widths_measure(grid, rows, widths);
    widths_fit(grid, terminal_columns(stream), widths);
    for (size_t i = 0; i <= last; i++) {
        print_cell(grid->columns[i].title, widths[i], grid->columns[i].right, i == last, stream);
    }
    fputc('\n', stream);
    for (size_t i = 0; i < rows * grid->column_count; i++) {
        size_t column = i % grid->column_count;

        print_cell(grid->cells[i], widths[column], grid->columns[column].right, column == last,
                   stream);
        if (column == last) {
            fputc('\n', stream);
        }
    }
}
