#include "cli/store/line_file.h"

#include <errno.h>
#include <stdlib.h>

#define CAPACITY_MIN 65536

static bool grow(struct line_file *file)
{
    size_t capacity = file->capacity > 0 ? file->capacity * 2 : CAPACITY_MIN;
    char *data = realloc(file->data, capacity);

    if (data == NULL) {
        return false;
    }
    file->data = data;
    file->capacity = capacity;
    return true;
}

enum line_file_result line_file_next(struct line_file *file)
{
    int c;

    errno = 0;
    file->size = 0;
    file->number++;
    while ((c = getc_unlocked(file->stream)) != EOF && c != '\n') {
        if (file->size == LINE_BYTES_MAX) {
            return LINE_FILE_LONG;
        }
        if (file->size == file->capacity && !grow(file)) {
            return LINE_FILE_FAILED;
        }
        file->data[file->size++] = (char)c;
    }
    if (c == EOF && ferror(file->stream)) {
        return LINE_FILE_FAILED;
    }
    return c == EOF && file->size == 0 ? LINE_FILE_END : LINE_FILE_LINE;
}

void line_file_deinit(struct line_file *file)
{
    free(file->data);
    file->data = NULL;
}
