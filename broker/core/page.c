#include "broker/core/page.h"

/* Bytes of text that one row can need: stop a page before it could overflow. */
#define ROW_ARENA_BYTES (SCHEMA_BYTES_MAX + ABOUT_MAX + VERSION_MAX + SERVICE_NAME_MAX + 256)

bool page_has_room(const struct doc *doc, size_t rows)
{
    return rows < PAGE_ITEMS_MAX && doc->token_max - doc->token_count > PAGE_ROW_TOKENS + 8 &&
           doc->arena_max - doc->arena_used > ROW_ARENA_BYTES;
}

void doc_id(struct doc *doc, const char *key, const struct id *id)
{
    doc_bytes(doc, key, span_of(id->bytes, sizeof id->bytes));
}

void doc_word(struct doc *doc, const char *key, const char *word)
{
    doc_text(doc, key, span_from_text(word));
}

/* Cursors are the serial number of the last row of the page before, in decimal. */
static uint64_t cursor_parse(struct span text)
{
    uint64_t serial = 0;

    for (size_t i = 0; i < text.size && i < 19; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return 0;
        }
        serial = serial * 10 + (text.data[i] - '0');
    }
    return serial;
}

static void doc_cursor(struct doc *doc, uint64_t serial)
{
    uint8_t digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (uint8_t)('0' + serial % 10);
        serial /= 10;
    } while (serial > 0);
    doc_text(doc, "next", span_of(digits + at, sizeof digits - at));
}

enum error_code page_answer(const struct broker *broker, struct doc *doc,
                            const struct page_source *source, const struct query *query)
{
    const struct list *end = &source->roster->lanes[0];
    const struct list *link = roster_seek(source->roster, cursor_parse(query->argument));
    size_t rows = 0, looked_at = 0;
    uint64_t last = 0;

    doc_map(doc, NULL);
    doc_list(doc, source->name);
    while ((link = link->next) != end && page_has_room(doc, rows) &&
           looked_at < PAGE_LOOKED_AT_MAX) {
        const struct roster_place *place = list_entry(link, struct roster_place, lanes);

        if (source->matches == NULL || source->matches(place, query)) {
            source->row(broker, doc, place);
            rows++;
        }
        last = place->serial;
        looked_at++;
    }
    doc_end(doc);
    if (link != end) {
        doc_cursor(doc, last);
    }
    doc_end(doc);
    return ERROR_NONE;
}
