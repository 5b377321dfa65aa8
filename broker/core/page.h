/* page: answers of QUERY that are lists: rows in the order in which the broker met them, as many
 * as fit, and a cursor to go on with. */
#ifndef SLUICE_BROKER_CORE_PAGE_H
#define SLUICE_BROKER_CORE_PAGE_H

#include "broker/core/state.h"

/* Rows looked at for one page: a filter that matches little must not stop the broker. Such a page
 * may be short, even empty, and yet have a `next`. */
#define PAGE_LOOKED_AT_MAX 10000

/* Writes the row of what `place` is inside of. */
typedef void page_row_fn(const struct broker *broker, struct doc *doc,
                         const struct roster_place *place);
/* True when the filters of `query` let it through. */
typedef bool page_matches_fn(const struct roster_place *place, const struct query *query);

struct page_source {
    const char *name; /* of the list of rows */
    const struct roster *roster;
    page_row_fn *row;
    page_matches_fn *matches; /* NULL: all */
};

/* {NAME: [row, ...], next?}: what comes after the cursor in query->argument. */
enum error_code page_answer(const struct broker *broker, struct doc *doc,
                            const struct page_source *source, const struct query *query);

/* One more row fits, whatever is in it. */
bool page_has_room(const struct doc *doc, size_t rows);
void doc_id(struct doc *doc, const char *key, const struct id *id);
void doc_word(struct doc *doc, const char *key, const char *word);

#endif
