#include "agents/runtime/terms.h"

#include <string.h>

static uint64_t at_most(uint64_t value, uint64_t max)
{
    return value < max ? value : max;
}

/* Those below put a text into its place if it is there. False: something is wrong with it. */

/* A key has 1 to KEY_MAX bytes. */
static bool take_key(struct span *to, const char *key)
{
    if (key == NULL) {
        return true;
    }
    *to = span_from_text(key);
    return to->size > 0 && text_valid(*to, KEY_MAX);
}

static bool take_version(struct span *to, const char *version)
{
    if (version == NULL) {
        return true;
    }
    *to = span_from_text(version);
    return text_valid(*to, VERSION_MAX);
}

/* Error codes with single spaces between them. */
static bool take_codes(struct span *to, const char *codes)
{
    const char *code = codes;

    if (codes == NULL) {
        return true;
    }
    *to = span_from_text(codes);
    if (to->size > CODES_MAX) {
        return false;
    }
    for (;;) {
        size_t size = strcspn(code, " ");

        if (size > ERROR_CODE_MAX || !service_name_valid(span_of(code, size))) {
            return false;
        }
        if (code[size] == '\0') {
            return true;
        }
        code += size + 1;
    }
}

/* NULL: all of them are right. */
static const char *take_texts(struct submit *submit, const struct sluice_submit_options *options)
{
    if (!take_key(&submit->key, options->key) || !take_key(&submit->order, options->order) ||
        !take_key(&submit->affinity, options->affinity) ||
        !take_key(&submit->idempotency_key, options->idempotency_key)) {
        return "a key has 1 to 64 bytes of text without control characters";
    }
    if (!take_version(&submit->version, options->version)) {
        return "version: text of at most 32 bytes without control characters";
    }
    if (!take_codes(&submit->retry_on, options->retry_on) ||
        !take_codes(&submit->final_on, options->final_on)) {
        return "retry_on, final_on: error codes with single spaces between them, 256 bytes at most";
    }
    return NULL;
}

const char *terms_set(struct submit *submit, const struct sluice_submit_options *options)
{
    const char *fault;

    if (options->priority < SLUICE_PRIORITY_LOWEST || options->priority > PRIORITY_MAX) {
        return "priority: 1 to 9, 0 for the default or SLUICE_PRIORITY_LOWEST";
    }
    fault = take_texts(submit, options);
    if (fault != NULL) {
        return fault;
    }
    if (options->cache_ms > 0 && options->idempotency_key == NULL) {
        return "cache_ms: needs idempotency_key";
    }
    submit->priority = options->priority > 0   ? (uint64_t)options->priority
                       : options->priority < 0 ? 0
                                               : PRIORITY_DEFAULT;
    submit->cost = at_most(options->cost, COST_MAX);
    submit->delay_ms = at_most(options->delay_ms, DURATION_MS_MAX);
    submit->max_run_ms = at_most(options->max_run_ms, DURATION_MS_MAX);
    submit->backoff_ms = at_most(options->backoff_ms, DURATION_MS_MAX);
    submit->backoff_max_ms = at_most(options->backoff_max_ms, DURATION_MS_MAX);
    submit->dead_letter = options->dead_letter;
    submit->detached = options->detached;
    submit->durable = options->durable;
    submit->retain_ms = at_most(options->retain_ms, DURATION_MS_MAX);
    submit->cache_ms = at_most(options->cache_ms, DURATION_MS_MAX);
    submit->route = options->all_workers ? ROUTE_ALL : ROUTE_ONE;
    return NULL;
}

#define TEXTS(X)                                                                                   \
    X(service) X(key) X(order) X(affinity) X(version) X(retry_on) X(final_on) X(idempotency_key)

size_t terms_text_bytes(const struct submit *submit)
{
#define TEXT_BYTES(name) +submit->name.size
    return 0 TEXTS(TEXT_BYTES);
}

static void copy(struct span *text, uint8_t **to)
{
    if (text->size > 0) {
        memcpy(*to, text->data, text->size);
        text->data = *to;
        *to += text->size;
    }
}

uint8_t *terms_copy_texts(struct submit *submit, uint8_t *to)
{
#define TEXT_COPY(name) copy(&submit->name, &to);
    TEXTS(TEXT_COPY)
    return to;
}
