#include "agents/analysis/vocabulary.h"

#include "common/check.h"

#define VOCABULARY_SLOTS_MIN 1024

void vocabulary_init(struct vocabulary *vocabulary, struct arena *arena)
{
    *vocabulary = (struct vocabulary){.arena = arena, .slot_count = VOCABULARY_SLOTS_MIN};
    vocabulary->term_max = VOCABULARY_SLOTS_MIN / 2;
    vocabulary->slots = arena_new(arena, vocabulary->slot_count, sizeof *vocabulary->slots);
    vocabulary->terms = arena_new(arena, vocabulary->term_max, sizeof *vocabulary->terms);
}

/* FNV-1a (Fowler, Noll, Vo). Input is bounded, so a flood of collisions costs
 * the one request that brought it. */
static uint32_t text_hash(struct span text)
{
    uint32_t hash = 2166136261U;
    size_t i;

    for (i = 0; i < text.size; i++) {
        hash = (hash ^ text.data[i]) * 16777619U;
    }
    return hash;
}

/* The slot that holds `text`, or the free one where it belongs. */
static size_t slot_of(const struct vocabulary *vocabulary, struct span text, uint32_t hash)
{
    size_t mask = vocabulary->slot_count - 1;
    size_t slot = hash & mask;

    while (vocabulary->slots[slot] != 0) {
        const struct vocabulary_term *term = &vocabulary->terms[vocabulary->slots[slot] - 1];

        if (term->hash == hash && span_equal(term->text, text)) {
            break;
        }
        slot = (slot + 1) & mask;
    }
    return slot;
}

static void vocabulary_grow(struct vocabulary *vocabulary)
{
    struct vocabulary_term *terms;
    size_t i;

    vocabulary->slot_count *= 2;
    vocabulary->term_max *= 2;
    terms = arena_new(vocabulary->arena, vocabulary->term_max, sizeof *terms);
    memcpy(terms, vocabulary->terms, vocabulary->term_count * sizeof *terms);
    vocabulary->terms = terms;
    vocabulary->slots =
        arena_new(vocabulary->arena, vocabulary->slot_count, sizeof *vocabulary->slots);
    for (i = 0; i < vocabulary->term_count; i++) {
        vocabulary->slots[slot_of(vocabulary, terms[i].text, terms[i].hash)] = (uint32_t)i + 1;
    }
}

uint32_t vocabulary_add(struct vocabulary *vocabulary, struct span text, struct span shown)
{
    uint32_t hash = text_hash(text);
    size_t slot = slot_of(vocabulary, text, hash);
    const char *copy;

    if (vocabulary->slots[slot] != 0) {
        return vocabulary->slots[slot] - 1;
    }
    if (vocabulary->term_count == vocabulary->term_max) {
        vocabulary_grow(vocabulary);
        slot = slot_of(vocabulary, text, hash);
    }
    CHECK(vocabulary->term_count < TERM_NONE - 1);
    copy = arena_text(vocabulary->arena, (const char *)text.data, text.size);
    vocabulary->terms[vocabulary->term_count++] =
        (struct vocabulary_term){span_of(copy, text.size), shown, hash};
    vocabulary->slots[slot] = (uint32_t)vocabulary->term_count;
    return (uint32_t)vocabulary->term_count - 1;
}

uint32_t vocabulary_find(const struct vocabulary *vocabulary, struct span text)
{
    size_t slot = slot_of(vocabulary, text, text_hash(text));

    return vocabulary->slots[slot] == 0 ? TERM_NONE : vocabulary->slots[slot] - 1;
}
