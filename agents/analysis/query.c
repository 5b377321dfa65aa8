#include "agents/analysis/query.h"

#include "agents/analysis/word.h"

#include <math.h>
#include <strings.h>

#define SYNONYM_WEIGHT 0.5
#define PART_WEIGHT 0.4
#define NAME_BOOST 1.6      /* on the weight of identifiers */
#define DEFINES_SLOTS_MAX 3 /* of content words in a question that wants a definition */
#define PART_COMMON_SHARE 8 /* a part that one in so many sentences has says nothing */

/* Words of one line stand for each other. */
static const char *const thesaurus[][8] = {
    {"drop", "discard", "lose", "lost"},
    {"report", "return", "notify"},
    {"wait", "block", "hang"},
    {"limit", "bound", "maximum"},
    {"close", "destroy", "terminate", "shutdown"},
    {"stop", "end", "finish"},
    {"start", "begin", "launch"},
    {"crash", "die", "dies", "killed", "lost"},
    {"zeromq", "0mq", "zmq", "libzmq"},
    {"fail", "failure", "error"},
    {"remove", "delete"},
    {"unlimited", "infinite", "forever"},
    {"timeout", "expire", "expires"},
    {"retry", "retries", "retried", "resend"},
    {"add", "register", "offer"},
    {"install", "setup"},
    {"run", "execute"},
    {"agent", "worker"},
    {"outgoing", "outbound"},
    {"incoming", "inbound"},
};

static void slot_add(struct query_slot *slot, uint32_t term, double weight)
{
    size_t i;

    for (i = 0; i < slot->count; i++) {
        if (slot->terms[i] == term) {
            return;
        }
    }
    if (slot->count < QUERY_ALTERNATIVES_MAX) {
        slot->terms[slot->count] = term;
        slot->weights[slot->count++] = weight;
    }
}

static uint32_t corpus_term(struct corpus *corpus, const struct word *word)
{
    return vocabulary_add(&corpus->vocabulary, span_of(word->term, word->size), word->raw);
}

/* The one-word entries of the thesaurus, as terms. */
static bool thesaurus_word(const char *entry, struct word *word)
{
    struct word_reader reader;

    if (entry == NULL) {
        return false;
    }
    word_reader_init(&reader, span_from_text(entry));
    return word_next(&reader, word);
}

static void slot_expand(struct query_slot *slot, struct corpus *corpus, const struct word *asked)
{
    size_t i, k, m;

    for (i = 0; i < sizeof thesaurus / sizeof thesaurus[0]; i++) {
        for (k = 0; k < 8; k++) {
            struct word word;

            if (!thesaurus_word(thesaurus[i][k], &word) || word.size != asked->size ||
                memcmp(word.term, asked->term, word.size) != 0) {
                continue;
            }
            for (m = 0; m < 8; m++) {
                if (thesaurus_word(thesaurus[i][m], &word)) {
                    slot_add(slot, corpus_term(corpus, &word), SYNONYM_WEIGHT);
                }
            }
            break;
        }
    }
}

static bool query_has(const struct query *query, uint32_t term)
{
    size_t i;

    for (i = 0; i < query->count; i++) {
        if (query->slots[i].terms[0] == term) {
            return true;
        }
    }
    return false;
}

static bool question_opens(struct span question, const char *const *openings, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        size_t size = strlen(openings[i]);

        if (question.size > size &&
            strncasecmp((const char *)question.data, openings[i], size) == 0) {
            return true;
        }
    }
    return false;
}

static bool question_does(struct span question)
{
    static const char *const openings[] = {"how do i ",  "how do you ", "how do we ",   "how to ",
                                           "how can i ", "how can we ", "how should i "};

    return question_opens(question, openings, sizeof openings / sizeof openings[0]);
}

static bool question_counts(struct span question)
{
    static const char *const openings[] = {"how many ",
                                           "how long ",
                                           "how much ",
                                           "how often ",
                                           "how large ",
                                           "how big ",
                                           "what is the default ",
                                           "what is the maximum ",
                                           "what is the minimum ",
                                           "what is the size ",
                                           "what is the limit ",
                                           "what is the port ",
                                           "what port ",
                                           "which port ",
                                           "what is the value "};

    return question_opens(question, openings, sizeof openings / sizeof openings[0]);
}

static bool question_defines(struct span question)
{
    static const char *const openings[] = {"what is ", "what are ", "what does ", "what do ",
                                           "define ",  "explain ",  "describe "};

    return question_opens(question, openings, sizeof openings / sizeof openings[0]);
}

/* ZMQ_LINGER, zmq_poll, PUB: an underscore, or capitals and no small letter. */
static bool word_is_name(struct span word)
{
    size_t capitals = 0, small = 0;
    size_t i;

    for (i = 0; i < word.size; i++) {
        capitals += word.data[i] >= 'A' && word.data[i] <= 'Z';
        small += word.data[i] >= 'a' && word.data[i] <= 'z';
    }
    return memchr(word.data, '_', word.size) != NULL || (capitals >= 2 && small == 0);
}

void query_init(struct query *query, struct corpus *corpus, struct span question)
{
    struct word_reader reader;
    struct word word;
    struct query_slot *slot = NULL;
    bool bare = true; /* nothing but content words */

    *query = (struct query){.defines = question_defines(question),
                            .does = question_does(question),
                            .counts = question_counts(question)};
    word_reader_init(&reader, question);
    while (word_next(&reader, &word)) {
        uint32_t term = word.stop ? TERM_NONE : corpus_term(corpus, &word);

        bare &= !word.stop;
        if (word.part) {
            if (slot != NULL && term != TERM_NONE) {
                slot_add(slot, term, PART_WEIGHT);
            }
            continue;
        }
        slot = NULL;
        if (term == TERM_NONE || query_has(query, term) || query->count == QUERY_SLOTS_MAX) {
            continue;
        }
        slot = &query->slots[query->count++];
        slot->shown = word.raw;
        slot->name = word_is_name(word.raw);
        slot_add(slot, term, 1);
        slot_expand(slot, corpus, &word);
    }
    /* "ZMQ_DEALER"; but "What is the default size of the queue?" asks for a value. */
    query->defines =
        (query->defines || bare) && !query->counts && query->count <= DEFINES_SLOTS_MAX;
}

double query_slot_strength(const struct query_slot *slot, const struct term_vector *vector)
{
    double strength = 0;
    size_t i;

    for (i = 0; i < slot->count; i++) {
        strength += slot->weights[i] * term_vector_get(vector, slot->terms[i]);
    }
    return strength;
}

/* A word that no sentence has cannot tell sentences apart, but it is a part of
 * what was asked: it weighs as much as the mean of those that were found, so
 * that its absence lowers every coverage. */
static void query_weigh_missing(struct query *query, double found_sum, size_t found_count)
{
    double mean = found_count > 0 ? found_sum / (double)found_count : 1;
    size_t i;

    for (i = 0; i < query->count; i++) {
        if (!query->slots[i].found) {
            query->slots[i].idf = mean;
        }
        query->idf_sum += query->slots[i].idf;
    }
}

static size_t units_having(const struct corpus *corpus, uint32_t term)
{
    size_t having = 0;
    size_t i;

    for (i = 0; i < corpus->unit_count; i++) {
        having += term_vector_get(&corpus->units[i].terms, term) > 0;
    }
    return having;
}

/* Parts of an identifier that are everywhere ("zmq") are no sign of it. */
static void slot_drop_common_parts(struct query_slot *slot, const struct corpus *corpus)
{
    size_t kept = 1;
    size_t i;

    for (i = 1; i < slot->count; i++) {
        if (slot->weights[i] != PART_WEIGHT ||
            units_having(corpus, slot->terms[i]) * PART_COMMON_SHARE < corpus->unit_count) {
            slot->terms[kept] = slot->terms[i];
            slot->weights[kept++] = slot->weights[i];
        }
    }
    slot->count = kept;
}

void query_weigh(struct query *query, const struct corpus *corpus)
{
    double units = (double)corpus->unit_count;
    double found_sum = 0;
    size_t found_count = 0;
    size_t i, k;

    query->idf_sum = 0;
    for (i = 0; i < query->count; i++) {
        struct query_slot *slot = &query->slots[i];
        double having = 0;

        slot_drop_common_parts(slot, corpus);
        for (k = 0; k < corpus->unit_count; k++) {
            having += query_slot_strength(slot, &corpus->units[k].terms) > 0;
        }
        slot->found = having > 0;
        for (k = 0; k < corpus->passage_count && !slot->found; k++) {
            slot->found = query_slot_strength(slot, &corpus->titles[k]) > 0;
        }
        slot->idf = log(1 + (units - having + 0.5) / (having + 0.5));
        slot->idf *= slot->name ? NAME_BOOST : 1;
        if (slot->found) {
            found_sum += slot->idf;
            found_count++;
        }
    }
    query_weigh_missing(query, found_sum, found_count);
}
