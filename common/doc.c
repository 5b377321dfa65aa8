#include "common/doc.h"

#include "common/check.h"

void doc_init(struct doc *doc, struct doc_token *tokens, size_t token_max, uint8_t *arena,
              size_t arena_max)
{
    *doc = (struct doc){.tokens = tokens,
                        .token_max = token_max,
                        .arena = arena,
                        .arena_max = arena_max};
}

static struct doc_token *doc_push(struct doc *doc, enum doc_kind kind, const char *key)
{
    struct doc_token *token;

    if (doc->overflow || doc->token_count == doc->token_max) {
        doc->overflow = true;
        return NULL;
    }
    if (doc->depth > 0) {
        doc->tokens[doc->open[doc->depth - 1]].count++;
    }
    token = &doc->tokens[doc->token_count++];
    *token = (struct doc_token){.kind = kind};
    token->key = key != NULL ? span_from_text(key) : span_of(NULL, 0);
    return token;
}

static void doc_open(struct doc *doc, enum doc_kind kind, const char *key)
{
    struct doc_token *token = doc_push(doc, kind, key);

    if (token == NULL) {
        return;
    }
    CHECK(doc->depth < DOC_DEPTH_MAX);
    doc->open[doc->depth++] = (uint32_t)(token - doc->tokens);
}

void doc_map(struct doc *doc, const char *key)
{
    doc_open(doc, DOC_MAP, key);
}

void doc_list(struct doc *doc, const char *key)
{
    doc_open(doc, DOC_LIST, key);
}

void doc_end(struct doc *doc)
{
    size_t depth = doc->depth;

    if (doc->overflow) {
        return;
    }
    CHECK(depth > 0);
    doc->depth = 0; /* an END is not an entry of anything */
    doc_push(doc, DOC_END, NULL);
    doc->depth = depth - 1;
}

static struct span doc_copy(struct doc *doc, struct span bytes)
{
    uint8_t *to = doc->arena + doc->arena_used;

    if (bytes.size > doc->arena_max - doc->arena_used) {
        doc->overflow = true;
        return span_of(NULL, 0);
    }
    if (bytes.size > 0) {
        memcpy(to, bytes.data, bytes.size);
    }
    doc->arena_used += bytes.size;
    return span_of(to, bytes.size);
}

void doc_text(struct doc *doc, const char *key, struct span text)
{
    struct doc_token *token = doc_push(doc, DOC_TEXT, key);

    if (token != NULL) {
        token->bytes = doc_copy(doc, text);
    }
}

void doc_bytes(struct doc *doc, const char *key, struct span bytes)
{
    struct doc_token *token = doc_push(doc, DOC_BYTES, key);

    if (token != NULL) {
        token->bytes = doc_copy(doc, bytes);
    }
}

void doc_uint(struct doc *doc, const char *key, uint64_t number)
{
    struct doc_token *token = doc_push(doc, DOC_UINT, key);

    if (token != NULL) {
        token->number = number;
    }
}

void doc_bool(struct doc *doc, const char *key, bool value)
{
    struct doc_token *token = doc_push(doc, DOC_BOOL, key);

    if (token != NULL) {
        token->number = value;
    }
}

void doc_nil(struct doc *doc, const char *key)
{
    doc_push(doc, DOC_NIL, key);
}
