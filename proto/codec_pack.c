/* Packing what is more than one value: the buffer's growth, docs and errors. */

#include "proto/codec_pack.h"

#include "common/check.h"
#include "common/doc.h"

#include <stdlib.h>

#define PACK_BYTES_MIN 4096 /* the first allocation; a small batch needs no second */

bool pack_grow(struct pack *pack, size_t more)
{
    size_t capacity = pack->capacity < PACK_BYTES_MIN ? PACK_BYTES_MIN : pack->capacity;
    uint8_t *data;

    if (more > pack->bytes_max - pack->size) {
        pack->result = CODEC_FULL;
        return false;
    }
    while (capacity < pack->size + more) {
        capacity *= 2;
    }
    if (capacity > pack->bytes_max) {
        capacity = pack->bytes_max;
    }
    data = realloc(pack->data, capacity);
    if (data == NULL) {
        pack->result = CODEC_NOMEM;
        return false;
    }
    pack->data = data;
    pack->capacity = capacity;
    return true;
}

void pack_widen(struct pack_list *list, enum pack_shape shape)
{
    struct pack *pack = list->pack;
    size_t size = pack->size;
    uint8_t *header;

    CHECK(list->count > 15 && list->count <= UINT16_MAX);
    if (pack_append(pack, "\0", 2) != 0) {
        return;
    }
    header = pack->data + list->start;
    memmove(header + 3, header + 1, size - list->start - 1);
    header[0] = shape == PACK_MAP ? 0xde : 0xdc;
    header[1] = (uint8_t)(list->count >> 8);
    header[2] = (uint8_t)list->count;
}

static void pack_token(struct pack *pack, const struct doc_token *token)
{
    if (token->key.size > 0) {
        pack_text(pack, token->key);
    }
    switch (token->kind) {
    case DOC_MAP:
        pack_put_map(pack, token->count);
        break;
    case DOC_LIST:
        pack_put_array(pack, token->count);
        break;
    case DOC_END:
        break;
    case DOC_TEXT:
        pack_text(pack, token->bytes);
        break;
    case DOC_BYTES:
        pack_bytes(pack, token->bytes);
        break;
    case DOC_UINT:
        pack_uint(pack, token->number);
        break;
    case DOC_BOOL:
        pack_bool(pack, token->number != 0);
        break;
    case DOC_NIL:
        pack_nil(pack);
        break;
    }
}

void pack_doc(struct pack *pack, const struct doc *doc)
{
    CHECK(doc->depth == 0);
    CHECK(doc->token_count > 0);
    for (size_t i = 0; i < doc->token_count; i++) {
        pack_token(pack, &doc->tokens[i]);
    }
}

static void pack_error_fields(struct pack *pack, const struct error *error,
                              const struct doc *details)
{
    struct pack_list map = pack_begin(pack);

    option_key(&map, "code");
    put_text(&map, error->code);
    option_put_text(&map, "message", error->message);
    option_put_true(&map, "retryable", error->retryable);
    option_put_uint(&map, "retry_after_ms", error->retry_after_ms);
    option_put_text(&map, "scope", span_from_text(error->scope_service ? "service" : ""));
    if (details != NULL) {
        option_key(&map, "details");
        pack_doc(pack, details);
        pack_keep(&map);
    }
    pack_end(&map, PACK_MAP);
}

void pack_error(struct pack *pack, const struct error *error)
{
    size_t start = pack->size;

    if (error->raw.size > 0) {
        pack_append(pack, error->raw.data, error->raw.size);
        return;
    }
    if (error->details != NULL && !error->details->overflow) {
        pack_error_fields(pack, error, error->details);
        if (pack->size - start <= ERROR_BYTES_MAX) {
            return;
        }
        pack->size = start; /* details are for programs; the error itself must arrive */
    }
    pack_error_fields(pack, error, NULL);
}
