#include "cli/terminal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool terminal_is(FILE *stream)
{
    return isatty(fileno(stream)) == 1;
}

static bool terminal_size(FILE *stream, struct winsize *size)
{
    return terminal_is(stream) && ioctl(fileno(stream), TIOCGWINSZ, size) == 0 &&
           size->ws_col > 0 && size->ws_row > 0;
}

size_t terminal_columns(FILE *stream)
{
    struct winsize size;

    return terminal_size(stream, &size) ? size.ws_col : SIZE_MAX;
}

size_t terminal_rows(FILE *stream)
{
    struct winsize size;

    return terminal_size(stream, &size) ? size.ws_row : SIZE_MAX;
}

size_t terminal_width(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

void terminal_clean(char *text, bool lines)
{
    for (unsigned char *at = (unsigned char *)text; *at != '\0'; at++) {
        bool kept = lines && (*at == '\n' || *at == '\t');

        if ((*at < 0x20 && !kept) || *at == 0x7f) {
            *at = '?';
        } else if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0) {
            at[0] = at[1] = '?'; /* U+0080..U+009F: C1, among them a one-byte ESC [ */
        }
    }
}

void terminal_print(FILE *stream, const char *text)
{
    char *copy = terminal_is(stream) ? strdup(text) : NULL;

    if (copy != NULL) {
        terminal_clean(copy, true);
    }
    fputs(copy != NULL ? copy : text, stream);
    free(copy);
}
