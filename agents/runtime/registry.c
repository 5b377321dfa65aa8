#include "agents/runtime/registry.h"

#include <errno.h>
#include <stdlib.h>

/* Async handlers wait for something most of the time; sync ones are done at once, and
 * a deep queue at the worker keeps the batches large. */
#define CREDIT_ASYNC 16
#define CREDIT_SYNC 256

static struct service *find(const struct sluice *sluice, const char *name)
{
    list_each(at, &sluice->services) {
        struct service *service = list_entry(at, struct service, link);

        if (strcmp(service->name, name) == 0) {
            return service;
        }
    }
    return NULL;
}

static struct span optional(const char *text)
{
    return text != NULL ? span_from_text(text) : span_of(NULL, 0);
}

/* What is not valid, for the log; NULL: all of it is. */
static const char *fault_of(const struct sluice_service *from)
{
    if (from->name == NULL || !service_name_valid(span_from_text(from->name))) {
        return "name: 1 to 128 of A-Z a-z 0-9 _ . - are allowed";
    }
    if (from->handler == NULL) {
        return "handler: is missing";
    }
    if (from->credit > CREDIT_MAX) {
        return "credit: is above 65535";
    }
    if (from->attempts > ATTEMPTS_MAX) {
        return "attempts: is above 100";
    }
    if (from->lease_ms > DURATION_MS_MAX) {
        return "lease_ms: is above a year";
    }
    if (from->max_run_ms > DURATION_MS_MAX) {
        return "max_run_ms: is above a year";
    }
    if (from->schema != NULL && strlen(from->schema) > SCHEMA_BYTES_MAX) {
        return "schema: is longer than 16384 bytes";
    }
    if (from->about != NULL && !prose_valid(span_from_text(from->about), ABOUT_MAX)) {
        return "about: must be UTF-8 text of at most 1024 bytes";
    }
    if (from->version != NULL && !text_valid(span_from_text(from->version), VERSION_MAX)) {
        return "version: must be text of at most 32 bytes without control characters";
    }
    return NULL;
}

static void complain(struct sluice *sluice, const struct sluice_service *from, const char *fault)
{
    struct log_field fields[] = {LOG_TEXT("service", optional(from->name)),
                                 LOG_WORD("fault", fault)};

    runtime_log(sluice, LOG_ERROR, "service_invalid", fields, 2);
}

/* Offers `service` as `from` says, or leaves it as it is. */
static int offer(struct service *service, const struct sluice_service *from)
{
    unsigned credit = from->credit > 0 ? from->credit : from->sync ? CREDIT_SYNC : CREDIT_ASYNC;
    struct offer_message message = {
        .service = span_from_text(from->name),
        .credit = credit,
        .schema = optional(from->schema),
        .version = optional(from->version),
        .about = optional(from->about),
        .max_tasks = from->max_tasks,
        .max_bytes = from->max_bytes,
        .lease_ms = from->lease_ms,
        .attempts = from->attempts,
        .max_run_ms = from->max_run_ms,
        .exclusive = from->exclusive,
    };
    struct offering *offering = peer_offer(service->sluice->peer, &message, service);

    if (offering == NULL) {
        return -ENOSPC;
    }
    service->offering = offering;
    return 0;
}

static void service_free(struct service *service)
{
    schema_free(service->schema);
    free(service->name);
    free(service);
}

static struct service *service_new(struct sluice *sluice, const char *name)
{
    struct service *service = calloc(1, sizeof *service);

    if (service == NULL) {
        return NULL;
    }
    service->sluice = sluice;
    service->name = strdup(name);
    list_init(&service->link);
    if (service->name == NULL) {
        free(service);
        return NULL;
    }
    return service;
}

int sluice_serve(struct sluice *sluice, const struct sluice_service *from)
{
    const char *fault = fault_of(from);
    struct schema *schema = NULL;
    struct service *service;
    char error[256];
    int rc;

    if (fault != NULL) {
        complain(sluice, from, fault);
        return -EINVAL;
    }
    service = find(sluice, from->name);
    if (service != NULL && peer_offered(service->offering)) {
        return -EEXIST;
    }
    if (from->schema != NULL) {
        schema = schema_compile(from->schema, error, sizeof error);
        if (schema == NULL) {
            complain(sluice, from, error);
            return -EINVAL;
        }
    }
    if (service == NULL) {
        service = service_new(sluice, from->name);
        if (service == NULL) {
            schema_free(schema);
            return -ENOMEM;
        }
    }
    rc = offer(service, from);
    if (rc != 0) {
        schema_free(schema);
        if (list_empty(&service->link)) {
            service_free(service);
        }
        return rc;
    }
    schema_free(service->schema);
    service->schema = schema;
    service->handler = from->handler;
    service->arg = from->arg;
    service->sync = from->sync;
    if (list_empty(&service->link)) {
        list_push_back(&sluice->services, &service->link);
    }
    return 0;
}

int sluice_withdraw(struct sluice *sluice, const char *name)
{
    struct service *service = find(sluice, name);

    if (service == NULL || !peer_offered(service->offering)) {
        return -ENOENT;
    }
    peer_withdraw(sluice->peer, service->offering);
    return 0;
}

int sluice_use(struct sluice *sluice, const struct sluice_middleware *middleware)
{
    if (sluice->middleware_count == MIDDLEWARES_MAX) {
        return -ENOSPC;
    }
    sluice->middlewares[sluice->middleware_count++] = *middleware;
    return 0;
}

void registry_withdraw_all(struct sluice *sluice)
{
    list_each(at, &sluice->services) {
        peer_withdraw(sluice->peer, list_entry(at, struct service, link)->offering);
    }
}

void registry_free(struct sluice *sluice)
{
    while (!list_empty(&sluice->services)) {
        service_free(list_entry(list_pop_front(&sluice->services), struct service, link));
    }
}
