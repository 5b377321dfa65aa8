/* doc: a small structured value under construction: what QUERY answers with.
 *
 * A flat list of tokens in a caller's array; the codec turns it into
 * MessagePack, a test into text. Building never fails half-way: past the array
 * or the text arena `overflow` is set and everything further is ignored, and
 * whoever reads it checks that first. Text is copied, so nothing it was built
 * from needs to live on. Pure; one thread. */
#ifndef SLUICE_COMMON_DOC_H
#define SLUICE_COMMON_DOC_H

#include "common/span.h"

enum doc_kind { DOC_MAP, DOC_LIST, DOC_END, DOC_TEXT, DOC_BYTES, DOC_UINT, DOC_BOOL, DOC_NIL };

struct doc_token {
    enum doc_kind kind;
    struct span key;    /* inside a map; else empty */
    uint32_t count;     /* MAP, LIST: entries, filled in by doc_end */
    union {
        uint64_t number; /* UINT, BOOL */
        struct span bytes; /* TEXT, BYTES */
    };
};

#define DOC_DEPTH_MAX 8

struct doc {
    struct doc_token *tokens;
    size_t token_count, token_max;
    uint8_t *arena;
    size_t arena_used, arena_max;
    uint32_t open[DOC_DEPTH_MAX];
    size_t depth;
    bool overflow;
};

/* `tokens` and `arena` are borrowed for the life of `doc`. */
void doc_init(struct doc *doc, struct doc_token *tokens, size_t token_max, uint8_t *arena,
              size_t arena_max);

/* `key` is a literal that outlives the doc, NULL inside a list or at the root. */
void doc_map(struct doc *doc, const char *key);
void doc_list(struct doc *doc, const char *key);
void doc_end(struct doc *doc); /* closes the innermost map or list */
void doc_text(struct doc *doc, const char *key, struct span text);
void doc_bytes(struct doc *doc, const char *key, struct span bytes);
void doc_uint(struct doc *doc, const char *key, uint64_t number);
void doc_bool(struct doc *doc, const char *key, bool value);
void doc_nil(struct doc *doc, const char *key);

#endif
