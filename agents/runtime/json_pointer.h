/* json_pointer: where in a JSON value we are, as RFC 6901 writes it.
 *
 * A chain of stack frames: each step of a recursive walk owns its own and
 * borrows its parent's, so walking costs nothing until there is an error to
 * report. Pure. */
#ifndef SLUICE_RUNTIME_JSON_POINTER_H
#define SLUICE_RUNTIME_JSON_POINTER_H

#include <stddef.h>

struct json_pointer {
    const struct json_pointer *parent; /* NULL: this is the root, and has no step */
    const char *name;                  /* a member's; NULL: an element's index */
    size_t index;
};

/* Writes `/a/0/b` with NUL into `text`, cut at `size` on a character's border.
 * Control characters become `?`, so that the result may travel as protocol
 * text. The root is the empty string. Returns the length. `size` > 0. */
size_t json_pointer_format(const struct json_pointer *at, char *text, size_t size);

#endif
