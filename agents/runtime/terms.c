#include "agents/runtime/terms.h"

#include <string.h>

static uint64_t at_most(uint64_t value, uint64_t max)
{
    return value < max ? value : max;
}

static struct span optional(const char *text)
{
    return span_from_text(text != NULL ? text : "");
}

/* A key that is there has 1 to KEY_MAX bytes. */
static bool key_valid(const char *key)
{
    return key == NULL || (key[0] != '\0' && text_valid(span_from_text(key), KEY_MAX));
}

/* Error codes with single spaces between them. */
static bool codes_valid(const char *codes)
{
    const char *code = codes;

    if (codes == NULL) {
        return true;
    }
    if (strlen(codes) > CODES_MAX) {
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

static const char *fault_of(const struct sluice_submit_options *options)
{
    if (options->priority < SLUICE_PRIORITY_LOWEST || options->priority > PRIORITY_MAX) {
        return "priority: 1 to 9, 0 for the default or SLUICE_PRIORITY_LOWEST";
    }
    if (!key_valid(options->key) || !key_valid(options->order) || !key_valid(options->affinity) ||
        !key_valid(options->idempotency_key)) {
        return "a key has 1 to 64 bytes of text without control characters";
    }
    if (!text_valid(optional(options->version), VERSION_MAX)) {
        return "version: text of at most 32 bytes without control characters";
    }
    if (!codes_valid(options->retry_on) || !codes_valid(options->final_on)) {
        return "retry_on, final_on: error codes with single spaces between them, 256 bytes at most";
    }
    if (options->cache_ms > 0 && options->idempotency_key == NULL) {
        return "cache_ms: needs idempotency_key";
    }
    return NULL;
}

const char *terms_set(struct submit *submit, const struct sluice_submit_options *options)
{
    const char *fault = fault_of(options);

    if (fault != NULL) {
        return fault;
    }
    submit->priority = options->priority > 0   ? (uint64_t)options->priority
                       : options->priority < 0 ? 0
                                               : PRIORITY_DEFAULT;
    submit->key = optional(options->key);
    submit->order = optional(options->order);
    submit->affinity = optional(options->affinity);
    submit->version = optional(options->version);
    submit->cost = at_most(options->cost, COST_MAX);
    submit->delay_ms = at_most(options->delay_ms, DURATION_MS_MAX);
    submit->max_run_ms = at_most(options->max_run_ms, DURATION_MS_MAX);
    submit->backoff_ms = at_most(options->backoff_ms, DURATION_MS_MAX);
    submit->backoff_max_ms = at_most(options->backoff_max_ms, DURATION_MS_MAX);
    submit->retry_on = optional(options->retry_on);
    submit->final_on = optional(options->final_on);
    submit->dead_letter = options->dead_letter;
    submit->detached = options->detached;
    submit->durable = options->durable;
    submit->retain_ms = at_most(options->retain_ms, DURATION_MS_MAX);
    submit->idempotency_key = optional(options->idempotency_key);
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
    }
    *text = span_of(*to, text->size);
    *to += text->size;
}

uint8_t *terms_copy_texts(struct submit *submit, uint8_t *to)
{
#define TEXT_COPY(name) copy(&submit->name, &to);
    TEXTS(TEXT_COPY)
    return to;
}
