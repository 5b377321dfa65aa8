/* links: cli */
/* What people see: quantities, cleaned text, aligned grids. */
#include "cli/grid.h"
#include "cli/quantity.h"
#include "cli/terminal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void durations_read_well_at_every_size(void **state)
{
    char text[QUANTITY_SIZE];

    assert_string_equal(quantity_ms(0, text), "0 ms");
    assert_string_equal(quantity_ms(999, text), "999 ms");
    assert_string_equal(quantity_ms(1000, text), "1.0 s");
    assert_string_equal(quantity_ms(59999, text), "59.9 s");
    assert_string_equal(quantity_ms(306000, text), "5 m 06 s");
    assert_string_equal(quantity_ms(3 * 3600000 + 60000, text), "3 h 01 m");
    assert_string_equal(quantity_ms(UINT64_C(49) * 3600000, text), "2 d 01 h");
    quantity_ms(UINT64_MAX, text);
}

static void sizes_and_counts_read_well(void **state)
{
    char text[QUANTITY_SIZE];

    assert_string_equal(quantity_bytes(1023, text), "1023 B");
    assert_string_equal(quantity_bytes(1536, text), "1.5 KiB");
    assert_string_equal(quantity_bytes(1024 * 1024 - 1, text), "1.0 MiB");
    assert_string_equal(quantity_bytes(UINT64_C(5) << 30, text), "5.0 GiB");
    assert_string_equal(quantity_count(0, text), "0");
    assert_string_equal(quantity_count(999, text), "999");
    assert_string_equal(quantity_count(1000, text), "1,000");
    assert_string_equal(quantity_count(1234567, text), "1,234,567");
    assert_string_equal(quantity_count(UINT64_MAX, text), "18,446,744,073,709,551,615");
    assert_string_equal(quantity_bytes(UINT64_MAX, text), "16777216.0 TiB");
}

static void control_characters_never_reach_a_terminal(void **state)
{
    char text[] = "a\033[31mb\x7f\xc2\x9b" "c\n\td";

    terminal_clean(text, true);
    assert_string_equal(text, "a?[31mb???c\n\td");
    terminal_clean(text, false);
    assert_string_equal(text, "a?[31mb???c??d");
}

static void letters_of_other_alphabets_stay(void **state)
{
    char text[] = "Gr\xc3\xbc\xc3\x9f" "e";

    terminal_clean(text, false);
    assert_string_equal(text, "Gr\xc3\xbc\xc3\x9f" "e");
    assert_int_equal(terminal_width(text), 5);
}

static const struct grid_column columns[] = {{"NAME", false, true}, {"COUNT", true, false}};

static char *grid_to_text(struct grid *grid, size_t rows_max)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    grid_print(grid, stream, rows_max);
    fclose(stream);
    return text;
}

static void columns_are_aligned_by_what_they_hold(void **state)
{
    struct grid grid;
    char *text;

    grid_init(&grid, columns, 2);
    grid_text(&grid, "a");
    grid_count(&grid, 1);
    grid_text(&grid, "\xc3\xbc-name");
    grid_count(&grid, 1234567);
    text = grid_to_text(&grid, SIZE_MAX);
    assert_string_equal(text, "NAME        COUNT\n"
                              "a               1\n"
                              "\xc3\xbc-name  1,234,567\n");
    free(text);
    grid_deinit(&grid);
}

static void rows_beyond_the_bound_are_left_out(void **state)
{
    struct grid grid;
    char *text;

    grid_init(&grid, columns, 2);
    for (int i = 0; i < 100; i++) {
        grid_text(&grid, "x");
        grid_count(&grid, 1);
    }
    text = grid_to_text(&grid, 1);
    assert_string_equal(text, "NAME  COUNT\nx         1\n");
    free(text);
    grid_deinit(&grid);
}

static void an_empty_grid_is_its_titles(void **state)
{
    struct grid grid;
    char *text;

    grid_init(&grid, columns, 2);
    text = grid_to_text(&grid, SIZE_MAX);
    assert_string_equal(text, "NAME  COUNT\n");
    free(text);
    grid_deinit(&grid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_read_well_at_every_size),
        cmocka_unit_test(sizes_and_counts_read_well),
        cmocka_unit_test(control_characters_never_reach_a_terminal),
        cmocka_unit_test(letters_of_other_alphabets_stay),
        cmocka_unit_test(columns_are_aligned_by_what_they_hold),
        cmocka_unit_test(rows_beyond_the_bound_are_left_out),
        cmocka_unit_test(an_empty_grid_is_its_titles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
