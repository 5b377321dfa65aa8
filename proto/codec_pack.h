/* codec_pack: a bounded, growing buffer and msgpack-c's packers for it; private
 * to the codec.
 *
 * msgpack-c offers its packers as a template over any buffer; taken that way
 * (pack_put_uint64 and so on) they are inlined to a few stores, where its
 * msgpack_packer would make a call per byte written. A failure sticks in
 * `result`: write everything, then look once. */
#ifndef SLUICE_PROTO_CODEC_PACK_H
#define SLUICE_PROTO_CODEC_PACK_H

#include "proto/codec.h"

#include <limits.h>
#include <msgpack/sysdep.h>
#include <msgpack/timestamp.h>

struct pack {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t bytes_max;              /* never grows beyond it */
    enum codec_write_result result;
};

/* Room for `more` bytes, or false with pack->result set. */
bool pack_grow(struct pack *pack, size_t more) __attribute__((cold));

/* False: there is none. */
static inline bool pack_room(struct pack *pack, size_t size)
{
    return __builtin_expect(size <= pack->capacity - pack->size, 1) || pack_grow(pack, size);
}

static inline int pack_append(struct pack *pack, const void *bytes, size_t size)
{
    if (!pack_room(pack, size)) {
        return -1;
    }
    if (size > 0) {
        memcpy(pack->data + pack->size, bytes, size);
    }
    pack->size += size;
    return 0;
}

#define msgpack_pack_inline_func(name) static inline int pack_put##name
#define msgpack_pack_inline_func_cint(name) static inline int pack_put##name
#define msgpack_pack_inline_func_fixint(name) static inline int pack_put_fix##name
#define msgpack_pack_user struct pack *
#define msgpack_pack_append_buffer(user, bytes, size) return pack_append(user, bytes, size)
#include <msgpack/pack_template.h>

static inline void pack_uint(struct pack *pack, uint64_t value)
{
    pack_put_uint64(pack, value);
}

/* Short texts and bytes, as most are, are made in their place: one look for room is enough, and
 * what was just put together elsewhere could not be loaded at once. */
#define PACK_FIXSTR_MAX 31
#define PACK_BIN8_MAX 255

static inline void pack_text(struct pack *pack, struct span text)
{
    uint8_t *to;

    if (text.size > PACK_FIXSTR_MAX) {
        pack_put_str(pack, text.size);
        pack_append(pack, text.data, text.size);
    } else if (pack_room(pack, 1 + text.size)) {
        to = pack->data + pack->size;
        to[0] = (uint8_t)(0xa0 | text.size);
        if (text.size > 0) {
            memcpy(to + 1, text.data, text.size);
        }
        pack->size += 1 + text.size;
    }
}

static inline void pack_bytes(struct pack *pack, struct span bytes)
{
    uint8_t *to;

    if (bytes.size > PACK_BIN8_MAX) {
        pack_put_bin(pack, bytes.size);
        pack_append(pack, bytes.data, bytes.size);
    } else if (pack_room(pack, 2 + bytes.size)) {
        to = pack->data + pack->size;
        to[0] = 0xc4;
        to[1] = (uint8_t)bytes.size;
        if (bytes.size > 0) {
            memcpy(to + 2, bytes.data, bytes.size);
        }
        pack->size += 2 + bytes.size;
    }
}

static inline void pack_id(struct pack *pack, const void *id)
{
    pack_bytes(pack, span_of(id, ID_BYTES));
}

static inline void pack_bool(struct pack *pack, bool value)
{
    if (value) {
        pack_put_true(pack);
    } else {
        pack_put_false(pack);
    }
}

static inline void pack_nil(struct pack *pack)
{
    pack_put_nil(pack);
}

/* ---- arrays and maps whose count is known when they end ---------------- */

/* A fixarray or fixmap in the making: its header is patched at the end, and
 * trailing elements that have their default, a nil each, are dropped, so every
 * writer simply names all fields in order. One of more than 15 elements, which is
 * rare, is moved to make room for its header. */
struct pack_list {
    struct pack *pack;
    size_t start;      /* of the header byte */
    unsigned count;
    unsigned defaults; /* of these, so many at the end */
};

static inline struct pack_list pack_begin(struct pack *pack)
{
    struct pack_list list = {.pack = pack, .start = pack->size};

    pack_nil(pack); /* stands for the header */
    return list;
}

/* After an element was packed: it stays, and what came before it. */
static inline void pack_keep(struct pack_list *list)
{
    list->count++;
    list->defaults = 0;
}

/* Packs nil for a default: it goes if nothing follows. */
static inline void pack_default(struct pack_list *list)
{
    pack_nil(list->pack);
    list->count++;
    list->defaults++;
}

enum pack_shape { PACK_ARRAY = 0x90, PACK_MAP = 0x80 };

/* Makes room for a header of 16 bits; `shape` is that of the short one. */
void pack_widen(struct pack_list *list, enum pack_shape shape) __attribute__((cold));

static inline void pack_end(struct pack_list *list, enum pack_shape shape)
{
    if (list->pack->result != CODEC_WRITTEN) {
        return;
    }
    list->pack->size -= list->defaults;
    list->count -= list->defaults;
    if (__builtin_expect(list->count > 15, 0)) {
        pack_widen(list, shape);
    } else {
        list->pack->data[list->start] = (uint8_t)(shape | list->count);
    }
}

/* Fields of a command: defaults are nil where something follows. */
static inline void put_uint(struct pack_list *list, uint64_t value)
{
    pack_uint(list->pack, value);
    pack_keep(list);
}

static inline void put_uint_or_default(struct pack_list *list, uint64_t value)
{
    if (value == 0) {
        pack_default(list);
    } else {
        put_uint(list, value);
    }
}

static inline void put_text(struct pack_list *list, struct span text)
{
    pack_text(list->pack, text);
    pack_keep(list);
}

static inline void put_text_or_default(struct pack_list *list, struct span text)
{
    if (text.size == 0) {
        pack_default(list);
    } else {
        put_text(list, text);
    }
}

static inline void put_id(struct pack_list *list, const struct id *id)
{
    pack_id(list->pack, id->bytes);
    pack_keep(list);
}

static inline void put_id_or_default(struct pack_list *list, const struct id *id)
{
    if (id_is_nil(id)) {
        pack_default(list);
    } else {
        put_id(list, id);
    }
}

static inline void put_attempt(struct pack_list *list, const struct id *id, uint64_t attempt)
{
    put_id(list, id);
    put_uint(list, attempt);
}

/* Options: an entry that has its default is not written at all. `key` is a literal. */
static inline void option_key(struct pack_list *map, const char *key)
{
    pack_text(map->pack, span_from_text(key));
}

static inline void option_put_uint(struct pack_list *map, const char *key, uint64_t value)
{
    if (value != 0) {
        option_key(map, key);
        put_uint(map, value);
    }
}

static inline void option_put_true(struct pack_list *map, const char *key, bool value)
{
    if (value) {
        option_key(map, key);
        pack_bool(map->pack, true);
        pack_keep(map);
    }
}

static inline void option_put_text(struct pack_list *map, const char *key, struct span value)
{
    if (value.size > 0) {
        option_key(map, key);
        put_text(map, value);
    }
}

static inline void option_put_id(struct pack_list *map, const char *key, const struct id *value)
{
    if (!id_is_nil(value)) {
        option_key(map, key);
        put_id(map, value);
    }
}

/* Ends an option map that is the last element of `list` so far; an empty one is a default,
 * for which the nil that stands for its header is right as it is. */
static inline void put_options(struct pack_list *list, struct pack_list *map)
{
    if (map->count > 0) {
        pack_end(map, PACK_MAP);
        pack_keep(list);
    } else {
        list->count++;
        list->defaults++;
    }
}

/* ---- larger values ------------------------------------------------------ */

/* A doc that is complete: no overflow, nothing open. */
void pack_doc(struct pack *pack, const struct doc *doc);

/* An error map: as it came, or made from its fields. Details that would make it
 * larger than ERROR_BYTES_MAX are left out. */
void pack_error(struct pack *pack, const struct error *error);

/* Outcomes of needs, handed out one by one: `at` fills `record` for `index` < count. */
struct input_list {
    size_t count;
    void (*at)(void *context, size_t index, struct outcome_record *record);
    void *context;
};

/* The inputs of a join, one record after another, into `pack`, which grows to
 * at most PAYLOAD_BYTES_MAX. Bodies that do not fit are left out. */
void pack_inputs(struct pack *pack, const struct input_list *inputs);

#endif
