/* line_file: the lines of a file, each of which is bounded. One thread. */
#ifndef SLUICE_CLI_STORE_LINE_FILE_H
#define SLUICE_CLI_STORE_LINE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The longest line of an export: three payloads of 16 MiB, written as badly as JSON can. */
#define LINE_BYTES_MAX (320u * 1024 * 1024)

struct line_file {
    FILE *stream;    /* borrowed */
    char *data;      /* the line without its newline */
    size_t size, capacity;
    uint64_t number; /* of the line, from 1 */
};

enum line_file_result {
    LINE_FILE_LINE,
    LINE_FILE_END,
    LINE_FILE_LONG,   /* longer than LINE_BYTES_MAX */
    LINE_FILE_FAILED, /* it cannot be read, or there is no memory: errno */
};

/* Zeroed but for its stream it stands before the first line. */
enum line_file_result line_file_next(struct line_file *file);
void line_file_deinit(struct line_file *file);

#endif
