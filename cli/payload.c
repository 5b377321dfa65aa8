#include "cli/payload.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_BYTES_MAX (32u * 1024 * 1024) /* JSON text of the largest payload, with room */

/* All of standard input, NUL-terminated, yours. NULL: too large or unreadable. */
static char *input_read(size_t *size)
{
    size_t max = 65536;
    char *text = malloc(max);

    *size = 0;
    while (text != NULL) {
        ssize_t count = read(STDIN_FILENO, text + *size, max - *size - 1);
        char *grown;

        if (count == 0) {
            text[*size] = '\0';
            return text;
        }
        if (count < 0 || *size + (size_t)count > INPUT_BYTES_MAX) {
            break;
        }
        *size += (size_t)count;
        if (max - *size < 2) {
            max *= 2;
            grown = realloc(text, max);
            if (grown == NULL) {
                break;
            }
            text = grown;
        }
    }
    free(text);
    return NULL;
}

json_t *payload_read(const struct command *self, const char *argument)
{
    json_error_t error;
    json_t *value;
    size_t size;
    char *input = NULL;

    if (strcmp(argument, "-") == 0) {
        input = input_read(&size);
        if (input == NULL) {
            command_usage(self, "standard input cannot be read, or is larger than 32 MiB");
            return NULL;
        }
        value = json_loadb(input, size, JSON_DECODE_ANY, &error);
        free(input);
    } else {
        value = json_loads(argument, JSON_DECODE_ANY, &error);
    }
    if (value == NULL) {
        command_usage(self, "no JSON: %s (line %d, column %d)", error.text, error.line,
                      error.column);
    }
    return value;
}
