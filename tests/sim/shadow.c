/* The model's memory: a shadow of each task, session, offer, lease and service. */
#include "tests/sim/shadow.h"

#include "tests/sim/shadow_letter.h"
#include "tests/sim/shadow_dead.h"
#include "tests/sim/shadow_directive.h"
#include "tests/sim/shadow_memo.h"
#include "tests/sim/shadow_row.h"
#include "tests/sim/shadow_stream.h"
#include "tests/sim/shadow_watch.h"
#include "tests/sim/sometimes.h"

#include "common/check.h"
#include "common/doc.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const state_names[] = {"new",       "waiting",    "ready", "delayed",
                                          "leased",    "cancelling", "storing", "done",
                                          "failed",    "cancelled",  "expired"};

const char *shadow_state_name(enum shadow_state state)
{
    return state_names[state];
}

enum shadow_state shadow_state_from(struct span name)
{
    for (unsigned i = 0; i < sizeof state_names / sizeof *state_names; i++) {
        if (span_is(name, state_names[i])) {
            return (enum shadow_state)i;
        }
    }
    CHECK(!"a state that PROTOCOL.md does not know");
    return SHADOW_NEW;
}

enum shadow_state shadow_state_of(enum outcome outcome)
{
    return outcome == OUTCOME_DONE        ? SHADOW_DONE
           : outcome == OUTCOME_CANCELLED ? SHADOW_CANCELLED
           : outcome == OUTCOME_EXPIRED   ? SHADOW_EXPIRED
                                          : SHADOW_FAILED;
}

void shadow_copy_text(char *to, size_t size, struct span from)
{
    size_t length = from.size < size - 1 ? from.size : size - 1;

    if (length > 0) {
        memcpy(to, from.data, length);
    }
    to[length] = '\0';
}

const char *model_id_text(const struct id *id)
{
    static char texts[4][16];
    static unsigned next;
    char *text = texts[next++ % 4];
    char whole[ID_TEXT_SIZE];

    id_format(id, whole);
    snprintf(text, sizeof texts[0], "%.8s%.5s", whole, whole + 23);
    return text;
}

void model_init(struct model *model, const struct sim_options *options)
{
    *model = (struct model){.options = options, .hash = 0xcbf29ce484222325ULL};
    list_init(&model->tasks);
    list_init(&model->ended);
    list_init(&model->services);
    list_init(&model->sessions);
    list_init(&model->offers);
    list_init(&model->leases);
    list_init(&model->watches);
    list_init(&model->dead);
    list_init(&model->rows);
    model->directed = calloc(1, sizeof *model->directed);
    CHECK(model->directed != NULL);
    list_init(&model->streams_touched);
    list_init(&model->threads);
    CHECK(table_init(&model->tasks_by_id));
}

/* ---- shadows --------------------------------------------------------------------- */

uint32_t shadow_id_hash(const struct id *id)
{
    return table_hash(0, id->bytes, sizeof id->bytes);
}

struct shadow_task *model_task(const struct model *model, const struct id *id)
{
    struct table_node *node = table_chain(&model->tasks_by_id, shadow_id_hash(id));

    for (; node != NULL; node = node->next) {
        struct shadow_task *task = table_entry(node, struct shadow_task, node);

        if (id_equal(&task->id, id)) {
            return task;
        }
    }
    return NULL;
}

struct shadow_task *model_parent(const struct model *model, const struct shadow_task *task)
{
    struct shadow_task *parent = id_is_nil(&task->parent) ? NULL : model_task(model, &task->parent);

    return parent != NULL && parent->order == task->parent_order ? parent : NULL;
}

struct shadow_service *model_service(const struct model *model, struct span name)
{
    list_each(at, &model->services) {
        struct shadow_service *service = list_entry(at, struct shadow_service, link);

        if (span_is(name, service->name)) {
            return service;
        }
    }
    return NULL;
}

struct shadow_service *shadow_service_know(struct model *model, struct span name)
{
    struct shadow_service *service = model_service(model, name);

    if (service == NULL) {
        service = calloc(1, sizeof *service);
        CHECK(service != NULL);
        list_init(&service->link);
        list_init(&service->ready);
        shadow_copy_text(service->name, sizeof service->name, name);
        service->limits = model->core.service;
        list_push_back(&model->services, &service->link);
    }
    return service;
}

/* The operator's limits stand; else the newest offer that names some wins. */
void shadow_service_limit(struct shadow_service *service, const struct service_limits *limits)
{
    if (limits->max_tasks > 0) {
        service->limits.max_tasks = limits->max_tasks;
    }
    if (limits->max_bytes > 0) {
        service->limits.max_bytes = limits->max_bytes;
    }
    if (limits->attempts > 0) {
        service->limits.attempts = limits->attempts;
    }
}

struct shadow_session *model_session(const struct model *model, uint32_t connection)
{
    list_each(at, &model->sessions) {
        struct shadow_session *session = list_entry(at, struct shadow_session, link);

        if (session->connection == connection) {
            return session;
        }
    }
    return NULL;
}

struct shadow_session *model_session_by_id(const struct model *model, const struct id *id)
{
    list_each(at, &model->sessions) {
        struct shadow_session *session = list_entry(at, struct shadow_session, link);

        if (id_equal(&session->id, id)) {
            return session;
        }
    }
    return NULL;
}

bool model_takes(const struct shadow_session *session)
{
    return session->connection != 0 && !session->suspended && !session->draining;
}

bool model_has_room(const struct shadow_offer *offer)
{
    return !offer->withdrawn && model_takes(offer->session) && offer->held < offer->credit;
}

bool model_suits(const struct shadow_offer *offer, const struct shadow_task *task)
{
    return strcmp(offer->service, task->service) == 0 &&
           (task->only != 0 ? offer->number == task->only
                            : task->version[0] == '\0' ||
                                  strcmp(offer->version, task->version) == 0);
}

bool model_room_for(const struct model *model, const struct shadow_task *task)
{
    list_each(at, &model->offers) {
        const struct shadow_offer *offer = list_entry(at, struct shadow_offer, link);

        if (model_has_room(offer) && model_suits(offer, task)) {
            return true;
        }
    }
    return false;
}

struct shadow_offer *model_offer(const struct model *model, const struct shadow_session *session,
                                 struct span service)
{
    list_each(at, &model->offers) {
        struct shadow_offer *offer = list_entry(at, struct shadow_offer, link);

        if (offer->session == session && !offer->withdrawn && span_is(service, offer->service)) {
            return offer;
        }
    }
    return NULL;
}

struct shadow_lease *model_lease(const struct model *model, const struct shadow_session *session,
                                 const struct id *task, uint64_t attempt)
{
    list_each(at, &model->leases) {
        struct shadow_lease *lease = list_entry(at, struct shadow_lease, link);

        if (lease->offer->session == session && lease->attempt == attempt &&
            id_equal(&lease->task, task)) {
            return lease;
        }
    }
    return NULL;
}

/* Its worker may still answer its cancel. (One that waits for what is below it goes on without.) */
static bool in_hands(const struct model *model, const struct shadow_task *task)
{
    return task->in_hands && (task->state != SHADOW_CANCELLING ||
                              model->now_ms < task->cancelled_ms + model->core.cancel_grace_ms);
}

uint64_t model_running(const struct model *model, const struct shadow_service *service,
                       uint64_t since_ms)
{
    uint64_t count = 0;

    list_each(at, &model->leases) {
        const struct shadow_lease *lease = list_entry(at, struct shadow_lease, link);
        const struct shadow_task *task = model_task(model, &lease->task);

        count += task != NULL && task->order == lease->task_order &&
                 (service == NULL || task->home == service) &&
                 task->attempt == lease->attempt && in_hands(model, task) &&
                 task->run_started_ms >= since_ms;
    }
    return count;
}

uint64_t model_rule_use(const struct model *model, const struct shadow_service *service,
                        unsigned index)
{
    return model_running(model, index < SHADOW_WIDE ? service : NULL, 0);
}

bool shadow_codes_name(const char *codes, struct span code)
{
    while (*codes != '\0') {
        size_t size = strcspn(codes, " ");

        if (size > 0 && span_equal(span_of((const uint8_t *)codes, size), code)) {
            return true;
        }
        codes += size + (codes[size] == ' ');
    }
    return false;
}

struct span shadow_failure_code(const struct model *model, const struct shadow_task *task)
{
    if (model->current && model->subject == task) {
        if (model->event->kind == EVENT_MALFORMED) {
            return span_from_text("bad_message");
        }
        if (model_event_is(model, COMMAND_FAIL)) {
            return model->event->message->fail.error.code;
        }
        if (model_event_is(model, COMMAND_DONE)) {
            return span_from_text("memory_full");
        }
        if (model->chunk_code != NULL) {
            return span_from_text(model->chunk_code);
        }
    }
    return span_from_text(task->lease_until_ms <= model->now_ms ? "lease_expired"
                                                                 : "worker_lost");
}

void shadow_task_drop(struct model *model, struct shadow_task *task)
{
    table_remove(&model->tasks_by_id, &task->node);
    list_unlink(&task->link);
    list_unlink(&task->ready_link);
    shadow_stream_free(task->stream);
    free(task->memo);
    free(task->said);
    free(task->needs);
    free(task);
}

void shadow_lease_drop(struct shadow_lease *lease)
{
    CHECK(lease->offer->held > 0);
    lease->offer->held--;
    list_unlink(&lease->link);
    free(lease);
}

/* A worker's half of a session starts over: nothing offered, nothing held. */
void shadow_session_reset(struct model *model, struct shadow_session *session)
{
    shadow_stream_away(model, session);
    shadow_watch_ended(model, session);
    list_each(at, &model->leases) {
        struct shadow_lease *lease = list_entry(at, struct shadow_lease, link);

        if (lease->offer->session == session) {
            shadow_lease_drop(lease);
        }
    }
    list_each(at, &model->offers) {
        struct shadow_offer *offer = list_entry(at, struct shadow_offer, link);

        if (offer->session == session) {
            list_unlink(&offer->link);
            free(offer);
        }
    }
}

struct shadow_session *shadow_session_restore(struct model *model, const struct id *id)
{
    struct shadow_session *session = model_session_by_id(model, id);

    if (session == NULL) {
        session = calloc(1, sizeof *session);
        CHECK(session != NULL);
        list_init(&session->link);
        session->id = *id;
        session->away_ms = model->now_ms;
        session->spoken = true;
        list_push_back(&model->sessions, &session->link);
    }
    return session;
}

void shadow_session_drop(struct model *model, struct shadow_session *session)
{
    shadow_session_reset(model, session);
    list_unlink(&session->link);
    free(session);
}

static void forget_all(struct model *model)
{
    list_each(at, &model->sessions) {
        shadow_session_drop(model, list_entry(at, struct shadow_session, link));
    }
    list_each(at, &model->tasks) {
        shadow_task_drop(model, list_entry(at, struct shadow_task, link));
    }
    list_each(at, &model->ended) {
        shadow_task_drop(model, list_entry(at, struct shadow_task, link));
    }
    list_each(at, &model->services) {
        list_unlink(at);
        free(list_entry(at, struct shadow_service, link)->keys);
        free(list_entry(at, struct shadow_service, link));
    }
    list_each(at, &model->dead) {
        shadow_dead_drop(model, list_entry(at, struct shadow_dead, link));
    }
    memset(model->levels, 0, sizeof model->levels);
    model->starting = 0;
}

void model_started(struct model *model, const struct broker_options *options)
{
    forget_all(model);
    model->core = *options;
    model->incarnation++;
    model->running = true;
    model->draining = false;
    model->limits_changed = false;
    model->wide_rule = (struct shadow_rule){.values = {0}};
    model->ambiguous = false;
    model->notes = model->options->watchers_noted > 0;
}

void model_stopped(struct model *model)
{
    model->running = false;
    forget_all(model);
}

void model_limited(struct model *model, const char *service, const struct service_limits *limits)
{
    struct shadow_service *known = shadow_service_know(model, span_from_text(service));

    model->limits_changed = true;
    known->configured = true;
    shadow_service_limit(known, limits);
    known->limits.lease_ms = limits->lease_ms;
}

static void rule_set(struct model *model, struct shadow_rule *rule, const char *who,
                     const char *service, const struct limit_values *said)
{
    const struct limit_values *v = &rule->values;

    shadow_rule_set(rule, said, model->now_ms);
    if (model->levels[SHADOW_READY] > 0 && model->levels[SHADOW_LEASED] > 0) {
        sometimes(SOMETIMES_LIMIT_CHANGED_UNDER_LOAD);
    }
    if (model->trace) {
        printf("[%8" PRIu64 "] %s '%s' may start %" PRIu64 " at once, %" PRIu64 " in %" PRIu64
               " ms (burst %" PRIu64 "), %" PRIu64 " units in %" PRIu64 " ms%s\n",
               model->now_ms, who, service, v->concurrency, v->rate, v->rate_ms, v->burst,
               v->budget, v->budget_ms, v->refuse == 1 ? ", or refuses" : "");
    }
}

void model_policed(struct model *model, const char *service, const struct limit_values *said)
{
    rule_set(model, &shadow_service_know(model, span_from_text(service))->rule, "all of", service,
             said);
}

void model_tenant_policed(struct model *model, const char *service,
                          const struct limit_values *said)
{
    struct shadow_rule *rule =
        service[0] == '\0' ? &model->wide_rule
                           : &shadow_service_know(model, span_from_text(service))->tenant_rule;

    rule_set(model, rule, "the tenant at", service, said);
}

void model_key_policed(struct model *model, const char *service, unsigned rule,
                       const struct limit_values *values)
{
    struct shadow_service *known = shadow_service_know(model, span_from_text(service));

    if (known->keys == NULL) {
        known->keys = calloc(1, sizeof *known->keys);
        CHECK(known->keys != NULL);
    }
    if (model->trace) {
        printf("[%8" PRIu64 "] key %u of '%s' may start %" PRIu64 " at once, %" PRIu64 " in %" PRIu64
               " ms (burst %" PRIu64 "), weight %" PRIu64 "\n",
               model->now_ms, rule + 1, service, values->concurrency, values->rate,
               values->rate_ms, values->burst, values->weight);
    }
    shadow_keys_set(model, known->keys, rule, values);
}

void model_deinit(struct model *model)
{
    forget_all(model);
    shadow_rows_free(model);
    free(model->directed);
    shadow_letters_forget(model);
    table_deinit(&model->tasks_by_id);
    free(model->facts);
}

const char *shadow_error_told(const struct model *model)
{
    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];

        if (fact->kind == FACT_SEND && fact->command == COMMAND_ERROR &&
            fact->connection == model->event->from) {
            return fact->code;
        }
    }
    return NULL;
}
