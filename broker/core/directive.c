#include "broker/core/directive.h"

#include "broker/core/drain.h"
#include "broker/core/durable.h"
#include "broker/core/handle.h"
#include "broker/core/state.h"
#include "common/mutant.h"

/* What it is kept as: what it undoes, or changes. */
static enum control_what kind_of(enum control_what what)
{
    switch (what) {
    case CONTROL_RESUME:
        return CONTROL_PAUSE;
    case CONTROL_UNDRAIN:
        return CONTROL_DRAIN;
    case CONTROL_LIMIT:
    case CONTROL_PAUSE:
    case CONTROL_DRAIN:
    case CONTROL_RETRY:
    case CONTROL_DROP:
    case CONTROL_BACKUP:
        break;
    }
    return what;
}

/* It ends one that is kept. */
static bool undoes(const struct control *control)
{
    return control->what != kind_of(control->what);
}

/* Or undoes what is. What is said of a session, or of this broker, ends with it. */
static bool is_kept(const struct broker *broker, const struct control *control)
{
    enum control_what kind = kind_of(control->what);

    return broker->effects.store != NULL &&
           (kind == CONTROL_LIMIT || kind == CONTROL_PAUSE ||
            (kind == CONTROL_DRAIN && control->service.size > 0));
}

/* What of it says what it is about, and what is to be kept: pauses and drains are of a service. */
static struct control essence(const struct control *control)
{
    struct control kept = {.what = control->what, .service = control->service, .ms = control->ms};

    if (control->what == CONTROL_LIMIT) {
        kept.key = control->key;
        kept.tenant = control->tenant;
    }
    kept.limits = control->limits;
    return kept;
}

static struct directive *find(const struct broker *broker, const struct control *said)
{
    const struct control key = essence(said), *control = &key;

    list_each(link, &broker->directives) {
        struct directive *directive = list_entry(link, struct directive, link);
        const struct control *other = &directive->control;

        if (other->what == kind_of(control->what) &&
            span_equal(other->service, control->service) &&
            span_equal(other->tenant, control->tenant) && span_equal(other->key, control->key)) {
            return directive;
        }
    }
    return NULL;
}

bool directive_over_config(const struct broker *broker, const struct control *control)
{
    const struct service *service =
        control->service.size > 0 ? service_find(broker, control->service) : NULL;

    if (control->what != CONTROL_LIMIT || (control->service.size > 0 && service == NULL)) {
        return false;
    }
    if (control->key.size > 0 || control->tenant.size > 0) {
        return limit_find(broker, service, control->tenant, control->key) != NULL;
    }
    return service != NULL && (service->configured || (service->limiter != NULL &&
                                                       service->limiter->limit != NULL));
}

static struct span copy(uint8_t **at, struct span text)
{
    struct span copied = span_of(*at, text.size);

    if (text.size > 0) {
        memcpy(*at, text.data, text.size);
    }
    *at += text.size;
    return copied;
}

/* NULL: no memory. */
static struct directive *directive_new(struct broker *broker, const struct control *said)
{
    struct control control = essence(said);
    struct directive *directive = pool_get(&broker->directive_pool);
    uint8_t *at;

    if (directive == NULL) {
        return NULL;
    }
    CHECK(control.service.size + control.tenant.size + control.key.size <= sizeof directive->text);
    at = directive->text;
    control.service = copy(&at, control.service);
    control.tenant = copy(&at, control.tenant);
    control.key = copy(&at, control.key);
    directive->control = control;
    list_init(&directive->link);
    list_push_back(&broker->directives, &directive->link);
    return directive;
}

static void directive_free(struct broker *broker, struct directive *directive)
{
    list_unlink(&directive->link);
    pool_put(&broker->directive_pool, directive);
}

/* A pause whose time has passed; limits of which none is left, that are none without it, too. */
static bool says_nothing(const struct broker *broker, const struct directive *directive)
{
    struct limit_values values = {0};
    uint64_t now = broker_unix_ms(broker, broker->now_ms);

    limit_values_merge(&values, &directive->control.limits);
    return directive->control.what == CONTROL_PAUSE
               ? directive->control.ms > 0 &&
                     now >= directive->said_unix_ms + directive->control.ms
               : directive->control.what == CONTROL_LIMIT && !directive->over_config &&
                     !limit_values_any(&values);
}

/* Forgets what says nothing any more. */
static bool make_room(struct broker *broker)
{
    list_each(link, &broker->directives) {
        struct directive *directive = list_entry(link, struct directive, link);

        if (says_nothing(broker, directive)) {
            durable_forget(broker, directive->key);
            directive_free(broker, directive);
        }
    }
    return broker->directive_pool.used < DIRECTIVES_MAX;
}

bool directive_fits(struct broker *broker, const struct control *control)
{
    return !is_kept(broker, control) || undoes(control) ||
           broker->directive_pool.used < DIRECTIVES_MAX || find(broker, control) != NULL ||
           make_room(broker);
}

bool directive_keep(struct broker *broker, const struct peer *peer,
                    const struct control *control, bool over_config)
{
    struct directive *directive;
    uint64_t before = 0;

    if (!is_kept(broker, control)) {
        return true;
    }
    directive = find(broker, control);
    if (undoes(control)) {
        if (directive != NULL) {
            durable_forget(broker, directive->key);
            directive_free(broker, directive);
        }
        return true;
    }
    if (directive == NULL) {
        directive = directive_new(broker, control);
        if (directive == NULL) {
            return false;
        }
        directive->over_config = over_config;
    } else {
        before = directive->key;
        directive->control.ms = control->ms;
        if (MUTANT(LIMIT_SAID_BEFORE_LOST)) {
            directive->control.limits = control->limits;
        }
        limit_values_merge(&directive->control.limits, &control->limits);
    }
    directive->said_unix_ms = broker_unix_ms(broker, broker->now_ms);
    directive->key = durable_direct(broker, peer, &directive->control);
    if (before != 0) {
        durable_forget(broker, before); /* after that: one of them is there whatever happens */
    }
    return true;
}

/* A pause that has ended meanwhile ends nothing else. */
static bool is_over(const struct broker *broker, const struct store_row *row)
{
    uint64_t now = broker_unix_ms(broker, broker->now_ms);

    return row->directive.what == CONTROL_PAUSE && row->directive.ms > 0 &&
           now >= row->accepted_unix_ms && now - row->accepted_unix_ms >= row->directive.ms;
}

static enum error_code carry_out(struct broker *broker, const struct control *control)
{
    struct service *service;

    if (control->what == CONTROL_LIMIT && !MUTANT(LIMIT_NOT_RESTORED)) {
        return limit_set(broker, control->service, control->key, control->tenant,
                         &control->limits);
    }
    service = service_open_waiting(broker, control->service);
    if (service == NULL) {
        return ERROR_LIMIT_EXCEEDED;
    }
    if (control->what == CONTROL_DRAIN) {
        drain_service(broker, service, true);
    }
    return ERROR_NONE;
}

static void not_restored(struct broker *broker, const struct control *control)
{
    BROKER_LOG(broker, LOG_ERROR, "control_not_restored",
               LOG_WORD("what", control_what_name(control->what)),
               LOG_TEXT("service", control->service), LOG_TEXT("key", control->key),
               LOG_TEXT("tenant", control->tenant));
}

bool directive_restore(struct broker *broker, const struct store_row *row)
{
    const struct control control = row->directive;
    struct directive *directive = find(broker, &control);
    bool over_config = directive != NULL ? directive->over_config
                                         : directive_over_config(broker, &control);

    if (directive != NULL) { /* of two rows the later one is what was said last */
        durable_forget(broker, directive->key);
        directive_free(broker, directive);
    }
    if (is_over(broker, row) || undoes(&control) || !is_kept(broker, &control)) {
        durable_forget(broker, row->key);
        return true;
    }
    directive = directive_new(broker, &control);
    if (directive == NULL) {
        return false;
    }
    directive->key = row->key;
    directive->said_unix_ms = row->accepted_unix_ms;
    directive->over_config = over_config;
    if (carry_out(broker, &control) != ERROR_NONE) {
        not_restored(broker, &control);
        return false;
    }
    BROKER_LOG(broker, LOG_INFO, "control_restored",
               LOG_WORD("what", control_what_name(control.what)),
               LOG_TEXT("service", control.service), LOG_TEXT("key", control.key),
               LOG_TEXT("tenant", control.tenant), LOG_TEXT("peer", row->peer));
    return true;
}

void directives_restored(struct broker *broker)
{
    uint64_t now = broker_unix_ms(broker, broker->now_ms);

    list_each(link, &broker->directives) {
        const struct directive *directive = list_entry(link, struct directive, link);
        const struct control *control = &directive->control;
        uint64_t left_ms = restore_left_ms(control->ms, directive->said_unix_ms, now);

        if (control->what != CONTROL_PAUSE) {
            continue;
        }
        service_open(broker, control->service); /* what was idle may have given way to others */
        if (limit_pause(broker, control->service, left_ms) != ERROR_NONE) {
            not_restored(broker, control);
        }
    }
}

void directive_clear(struct broker *broker)
{
    struct list *link;

    while ((link = list_first(&broker->directives)) != NULL) {
        directive_free(broker, list_entry(link, struct directive, link));
    }
}

void directive_check(const struct broker *broker)
{
    uint64_t count = 0;

    list_each(link, &broker->directives) {
        const struct directive *directive = list_entry(link, struct directive, link);

        CHECK(directive->key > 0 && directive->key < broker->store_key);
        CHECK(!undoes(&directive->control));
        count++;
    }
    CHECK(count == broker->directive_pool.used);
}
