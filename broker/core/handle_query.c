#include "broker/core/dead.h"
#include "broker/core/drain.h"
#include "broker/core/durable.h"
#include "broker/core/ending.h"
#include "broker/core/handle.h"
#include "broker/core/join.h"
#include "broker/core/page.h"
#include "broker/core/stream.h"

#define CATALOG_VERSIONS_MAX 8 /* of one service, told */

/* ---- catalog, peers ------------------------------------------------------------ */

static void versions_row(struct doc *doc, const struct service *service)
{
    unsigned rows = 0;

    list_each(link, &service->targets) {
        const struct target *target = list_entry(link, struct target, service_link);

        if (target->offers == 0 || target->lone || rows == CATALOG_VERSIONS_MAX) {
            continue;
        }
        if (rows++ == 0) {
            doc_list(doc, "versions");
        }
        doc_text(doc, NULL, target_version(target));
    }
    if (rows > 0) {
        doc_end(doc);
    }
}

static void service_row(const struct broker *broker, struct doc *doc,
                        const struct roster_place *place)
{
    const struct service *service = list_entry(place, struct service, place);
    struct list *first = list_first(&service->offers);

    doc_map(doc, NULL);
    doc_text(doc, "service", service_name(service));
    doc_uint(doc, "workers", service->offer_count);
    doc_uint(doc, "credit", service->credit);
    doc_uint(doc, "held", service->held);
    doc_uint(doc, "queued", service->queued);
    doc_uint(doc, "queued_bytes", service->queued_bytes);
    doc_uint(doc, "max_tasks", service->limits.max_tasks);
    doc_uint(doc, "max_bytes", service->limits.max_bytes);
    doc_uint(doc, "unfinished", service->unfinished);
    doc_bool(doc, "draining", service->draining);
    gate_row(broker, doc, service);
    if (first != NULL) {
        const struct offer *offer = list_entry(first, struct offer, service_link);

        if (offer->schema != NULL) {
            doc_text(doc, "schema", blob_span(offer->schema));
        }
        if (offer->target != NULL) {
            doc_text(doc, "version", target_version(offer->target));
        }
        if (offer->about != NULL) {
            doc_text(doc, "about", blob_span(offer->about));
        }
        versions_row(doc, service);
    }
    doc_end(doc);
}

static void peer_row(const struct broker *broker, struct doc *doc,
                     const struct roster_place *place)
{
    static const char *const states[] = {"connected", "suspended", "away", "gone"};
    const struct peer *peer = list_entry(place, struct peer, place);

    doc_map(doc, NULL);
    doc_text(doc, "name", label_span(peer->name));
    doc_text(doc, "agent", span_of(peer->agent, peer->agent_size));
    doc_word(doc, "state", states[peer->state]);
    doc_uint(doc, "peer", peer->place.serial);
    doc_bool(doc, "draining", peer->draining);
    doc_uint(doc, "offers", peer->offer_count);
    doc_uint(doc, "held", peer->held);
    doc_uint(doc, "submitted", peer->submitted_count);
    doc_uint(doc, "silent_ms", broker->now_ms - peer->heard_ms);
    doc_end(doc);
}

/* ---- one task --------------------------------------------------------------------- */

static void task_row(const struct broker *broker, struct doc *doc, const struct task *task)
{
    doc_id(doc, "id", &task->id);
    if (task_parent(task) != NULL) {
        doc_id(doc, "parent", &task_parent(task)->id);
    }
    doc_text(doc, "service", task_service_name(task));
    doc_word(doc, "state", task_state_name(task->state));
    doc_uint(doc, "attempt", task_attempt(task));
    doc_uint(doc, "waited_ms", task_waited_ms(broker, task));
    doc_uint(doc, "ran_ms", task_ran_ms(broker, task));
    if (task->worker != NULL) {
        doc_text(doc, "worker", label_span(task->worker));
    }
}

static const struct task *detached_task(const struct roster_place *place)
{
    return list_entry(place, struct terms, place)->task;
}

static void detached_row(const struct broker *broker, struct doc *doc,
                         const struct roster_place *place)
{
    const struct task *task = detached_task(place);

    doc_map(doc, NULL);
    task_row(broker, doc, task);
    if (task_ended(task) && timer_armed(&task->timer)) {
        doc_uint(doc, "kept_ms", task->timer.due_ms - broker->now_ms);
    }
    doc_end(doc);
}

static bool detached_matches(const struct roster_place *place, const struct query *query)
{
    const struct task *task = detached_task(place);

    return (query->service.size == 0 || span_equal(task_service_name(task), query->service)) &&
           (query->state.size == 0 ||
            span_equal(span_from_text(task_state_name(task->state)), query->state) ||
            (task_ended(task) && span_is(query->state, "ended")));
}

static enum error_code answer_status(struct broker *broker, const struct task *task,
                                     struct doc *doc)
{
    doc_map(doc, NULL);
    task_row(broker, doc, task);
    doc_uint(doc, "attempts", task->attempts_before + task->attempts_max);
    doc_uint(doc, "children", task_live_children(task));
    if (task->extra != NULL && task->extra->stream != NULL) {
        const struct stream *stream = task->extra->stream;

        doc_uint(doc, "chunks", stream->next);
        doc_uint(doc, "chunks_kept", stream->next - stream->first);
        doc_uint(doc, "readers", stream->reader_count);
    }
    if (task->deadline_ms != WHEEL_NEVER && !task_ended(task)) {
        doc_uint(doc, "deadline_ms",
                 task->deadline_ms > broker->now_ms ? task->deadline_ms - broker->now_ms : 0);
    }
    if (task_ended(task)) {
        doc_word(doc, "outcome", outcome_name(task_outcome(task)));
        if (task->error != ERROR_NONE) {
            doc_word(doc, "code", error_code_name(task->error));
            doc_word(doc, "message", error_code_message(task->error));
        }
    }
    doc_end(doc);
    return ERROR_NONE;
}

struct reason {
    const char *word;
    const char *message;
    uint64_t ready_ms; /* 0, WHEEL_NEVER: not known */
    const struct limit *limit; /* NULL: none holds it */
};

static const char *key_hold_message(enum hold_reason reason)
{
    return reason == HOLD_CONCURRENCY
               ? "as many tasks of its fairness key run as a limit allows at once"
           : reason == HOLD_RATE
               ? "a limit allows its fairness key no more starts for now"
               : "its fairness key has used up the cost units of a limit's window";
}

static const char *hold_message(const struct hold *hold)
{
    if (hold->limit != NULL && hold->limit->key_size > 0) {
        return key_hold_message(hold->reason);
    }
    switch (hold->reason) {
    case HOLD_PAUSED:
        return "its service is paused, or resumes one by one; `sluice resume` ends a pause";
    case HOLD_BREAKER:
        return "too many attempts at its service have failed; it is tried again with probes";
    case HOLD_CONCURRENCY:
        return "as many tasks run as a limit allows at once";
    case HOLD_RATE:
        return "a limit allows no more starts for now";
    case HOLD_BUDGET:
        return "the cost units of a limit's window are used up";
    case HOLD_NONE:
        break;
    }
    return "";
}

/* The offers that would take a task of this flow, had they room. */
static uint64_t attended(const struct flow *flow)
{
    return flow->target != NULL ? flow->target->attended : flow->service->attended;
}

/* Nobody would take it. */
static struct reason absence(const struct flow *flow)
{
    if (flow->service->offer_count == 0) {
        return (struct reason){"no_worker", "nobody offers its service; start a worker", 0, NULL};
    }
    if (flow->target != NULL && flow->target->offers == 0) {
        return (struct reason){"no_worker", "nobody offers the version of its service that it asks "
                                            "for; `sluice services` shows them", 0, NULL};
    }
    return drain_holds(flow)
               ? (struct reason){"draining", "the workers that are there are drained; "
                                             "start another, or `sluice undrain`", 0, NULL}
               : (struct reason){"no_worker", "the connections of its workers are lost; "
                                              "they have some time to come back", 0, NULL};
}

static const char *busy_message(const struct target *target)
{
    return target == NULL ? "every worker of its service holds as many tasks as it takes"
           : target->lone ? "the worker that it is for holds as many tasks as it takes"
                          : "every worker of the version that it asks for holds as many tasks as "
                            "it takes";
}

/* PROTOCOL.md, section 5. */
static struct reason task_reason(const struct broker *broker, const struct task *task)
{
    switch ((enum task_state)task->state) {
    case TASK_READY:
        if (attended(task->flow) == 0) {
            return absence(task->flow);
        }
        if (task->service->limiter != NULL) {
            struct hold hold = limit_ask(broker, task);

            if (hold.reason != HOLD_NONE) {
                return (struct reason){hold_reason_name(hold.reason), hold_message(&hold),
                                       hold.ready_ms, hold.limit};
            }
        }
        if (lane_holds(task)) {
            return (struct reason){"order_key",
                                   "a task of its ordering key has to end before it", 0, NULL};
        }
        if (!flow_is_next(task->flow)) {
            return (struct reason){"fairness",
                                   "every worker that may serve it is busy, and the next turn is "
                                   "that of another key, or of a higher priority", 0, NULL};
        }
        return (struct reason){"no_credit", busy_message(task->flow->target), 0, NULL};
    case TASK_WAITING:
        if (flight_follows(task)) {
            return (struct reason){"same_key", "a task of its idempotency key is under way: it "
                                               "gets the same outcome", 0, NULL};
        }
        return (struct reason){"needs", "some of the tasks that it needs have not ended", 0, NULL};
    case TASK_DELAYED:
        if (task->attempt == 0) {
            return (struct reason){"not_before", "its delay_ms has not passed", 0, NULL};
        }
        return (struct reason){"not_before", "its last attempt failed; the next one starts "
                                             "after the backoff", 0, NULL};
    case TASK_LEASED:
        if (durable_starting(task)) {
            return (struct reason){"storing", "it may start once, and does when that is safe on "
                                              "the broker's disk", 0, NULL};
        }
        if (task->extra != NULL && task->extra->stream != NULL &&
            stream_paused(task->extra->stream)) {
            return (struct reason){"reader", "a worker has it, and waits for its submitter to "
                                             "read the chunks of its stream", 0, NULL};
        }
        return (struct reason){"running", "a worker has it", 0, NULL};
    case TASK_CANCELLING:
        return (struct reason){"stopping", "it is cancelled, and waits for its worker or for "
                                           "the tasks below it to stop", 0, NULL};
    case TASK_STORING:
        return (struct reason){"storing", "it is certain how it ends, and is told when that is "
                                          "safe on the broker's disk", 0, NULL};
    case TASK_DONE:
    case TASK_FAILED:
    case TASK_CANCELLED:
    case TASK_EXPIRED:
        return (struct reason){"ended", "it has ended", 0, NULL};
    case TASK_NEW:
        break;
    }
    CHECK(task->state != TASK_NEW);
    return (struct reason){NULL, NULL, 0, NULL};
}

static enum error_code answer_why(struct broker *broker, const struct task *task, struct doc *doc)
{
    struct reason reason = task_reason(broker, task);

    doc_map(doc, NULL);
    doc_id(doc, "id", &task->id);
    doc_word(doc, "state", task_state_name(task->state));
    doc_word(doc, "reason", reason.word);
    doc_word(doc, "message", reason.message);
    doc_text(doc, "service", task_service_name(task));
    if (task->state == TASK_WAITING && task->extra->join != NULL) {
        doc_uint(doc, "needs_left", task->extra->join->left);
    }
    if (reason.limit != NULL && reason.limit->tenant_size > 0) {
        doc_text(doc, "tenant", limit_tenant(reason.limit));
    }
    if (reason.limit != NULL && reason.limit->key_size > 0) {
        doc_text(doc, "key", limit_key(reason.limit));
    }
    if (reason.ready_ms > broker->now_ms && reason.ready_ms != WHEEL_NEVER) {
        doc_uint(doc, "in_ms", reason.ready_ms - broker->now_ms);
    }
    if (task->state == TASK_DELAYED) {
        doc_uint(doc, "in_ms", task->timer.due_ms - broker->now_ms);
    }
    if (task->service != NULL) {
        doc_uint(doc, "workers", task->service->offer_count);
        doc_uint(doc, "queued", task->service->queued);
    }
    if (task->worker != NULL) {
        doc_text(doc, "worker", label_span(task->worker));
    }
    doc_end(doc);
    return ERROR_NONE;
}

static struct family *first_child(const struct family *family)
{
    struct list *link = list_first(&family->children);

    return link == NULL ? NULL : list_entry(link, struct family, sibling);
}

static struct family *next_sibling(const struct family *family)
{
    const struct list *children = &task_family(family->parent)->children;

    return family->sibling.next == children
               ? NULL
               : list_entry(family->sibling.next, struct family, sibling);
}

/* The one after `family` in depth-first order below `root`; NULL: that was the last. */
static struct family *tree_next(const struct family *root, struct family *family, size_t *depth)
{
    struct family *next = first_child(family);

    if (next != NULL) {
        ++*depth;
        return next;
    }
    while (family != root) {
        next = next_sibling(family);
        if (next != NULL) {
            return next;
        }
        family = task_family(family->parent);
        --*depth;
    }
    return NULL;
}

static enum error_code answer_tree(struct broker *broker, const struct task *task,
                                   struct doc *doc)
{
    struct family *root = task_family(task), *at = root;
    size_t depth = 0, rows = 0;

    doc_map(doc, NULL);
    doc_list(doc, "tasks");
    do {
        doc_map(doc, NULL);
        task_row(broker, doc, at != NULL ? at->task : task);
        doc_uint(doc, "depth", depth);
        doc_end(doc);
        rows++;
        at = at == NULL ? NULL : tree_next(root, at, &depth);
    } while (at != NULL && page_has_room(doc, rows));
    doc_end(doc);
    doc_bool(doc, "more", at != NULL);
    doc_end(doc);
    return ERROR_NONE;
}

/* The stored outcome goes out as a RESULT ahead of the REPLY: it may be large. */
static enum error_code answer_result(struct broker *broker, struct peer *peer,
                                     const struct task *task, struct doc *doc)
{
    if (task_ended(task)) {
        result_send(broker, peer, task);
    }
    doc_task_state(doc, task);
    return ERROR_NONE;
}

static enum error_code answer_stats(const struct broker *broker, struct doc *doc)
{
    struct broker_stats stats;

    broker_stats(broker, &stats);
    doc_map(doc, NULL);
    doc_uint(doc, "uptime_ms", broker->now_ms - broker->started_ms);
    doc_bool(doc, "draining", broker->draining);
    doc_uint(doc, "peers", stats.peers);
    doc_uint(doc, "services", stats.services);
    doc_uint(doc, "offers", stats.offers);
    doc_uint(doc, "tasks", stats.tasks);
    doc_uint(doc, "waiting", stats.waiting);
    doc_uint(doc, "delayed", stats.delayed);
    doc_uint(doc, "queued", stats.ready);
    doc_uint(doc, "leased", stats.leased);
    doc_uint(doc, "cancelling", stats.cancelling);
    doc_uint(doc, "storing", stats.storing);
    doc_uint(doc, "retained", stats.retained);
    doc_uint(doc, "queued_bytes", stats.queued_bytes);
    doc_uint(doc, "memory_bytes", stats.memory_bytes);
    doc_uint(doc, "memory_max_bytes", broker->options.memory_max);
    doc_uint(doc, "submitted", stats.submitted);
    doc_uint(doc, "refused", stats.refused);
    doc_uint(doc, "done", stats.done);
    doc_uint(doc, "failed", stats.failed);
    doc_uint(doc, "cancelled", stats.cancelled);
    doc_uint(doc, "expired", stats.expired);
    doc_uint(doc, "attempts", stats.attempts);
    doc_uint(doc, "retries", stats.retries);
    doc_uint(doc, "stale", stats.stale);
    doc_uint(doc, "bad_messages", stats.bad_messages);
    doc_uint(doc, "peers_lost", stats.peers_lost);
    doc_uint(doc, "detached", stats.detached);
    doc_uint(doc, "remembered", stats.remembered);
    doc_uint(doc, "remembered_forgotten", stats.remembered_forgotten);
    doc_uint(doc, "dead", stats.dead);
    doc_uint(doc, "dead_bytes", stats.dead_bytes);
    doc_uint(doc, "dead_forgotten", stats.dead_forgotten);
    doc_uint(doc, "chunks", stats.chunks);
    doc_uint(doc, "checkpoints", stats.checkpoints);
    doc_uint(doc, "signals", stats.signals);
    doc_uint(doc, "shared", stats.shared);
    doc_word(doc, "store", store_state_name(broker->store_state));
    doc_uint(doc, "unsafe_bytes", broker->unsafe_bytes);
    doc_uint(doc, "store_records", broker->store_sequence);
    doc_uint(doc, "store_commits", stats.store_commits);
    doc_end(doc);
    return ERROR_NONE;
}

static enum error_code answer_task(struct broker *broker, struct peer *peer,
                                   const struct query *query, struct doc *doc)
{
    struct task *task;
    struct id id;

    if (query->argument.size != sizeof id.bytes) {
        return ERROR_BAD_MESSAGE;
    }
    memcpy(id.bytes, query->argument.data, sizeof id.bytes);
    task = task_find(broker, &id);
    if (task == NULL) {
        return ERROR_NOT_FOUND;
    }
    switch (query->what) {
    case QUERY_STATUS:
        return answer_status(broker, task, doc);
    case QUERY_WHY:
        return answer_why(broker, task, doc);
    case QUERY_TREE:
        return answer_tree(broker, task, doc);
    case QUERY_RESULT:
        if (!task_ended(task) && span_is(query->state, "ended")) {
            return task_await(broker, peer, task, query->request, WAIT_RESULT)
                       ? ERROR_NONE
                       : ERROR_LIMIT_EXCEEDED;
        }
        return answer_result(broker, peer, task, doc);
    case QUERY_CATALOG:
    case QUERY_PEERS:
    case QUERY_STATS:
    case QUERY_LIST:
    case QUERY_DEAD:
    case QUERY_LETTER:
    case QUERY_LIMITS:
        break;
    }
    return ERROR_BAD_MESSAGE;
}

static enum error_code answer(struct broker *broker, struct peer *peer, const struct query *query,
                              struct doc *doc)
{
    switch (query->what) {
    case QUERY_CATALOG:
        return page_answer(
            broker, doc,
            &(struct page_source){
                .name = "services", .roster = &broker->services, .row = service_row},
            query);
    case QUERY_PEERS:
        return page_answer(
            broker, doc,
            &(struct page_source){.name = "peers", .roster = &broker->peers, .row = peer_row},
            query);
    case QUERY_LIMITS:
        return page_answer(
            broker, doc,
            &(struct page_source){
                .name = "limits", .roster = &broker->limit_rows, .row = limit_row,
                .matches = limit_matches},
            query);
    case QUERY_STATS:
        return answer_stats(broker, doc);
    case QUERY_STATUS:
    case QUERY_WHY:
    case QUERY_TREE:
    case QUERY_RESULT:
        return answer_task(broker, peer, query, doc);
    case QUERY_LIST:
        return page_answer(
            broker, doc,
            &(struct page_source){.name = "tasks",
                                  .roster = &broker->detached,
                                  .row = detached_row,
                                  .matches = detached_matches},
            query);
    case QUERY_DEAD:
        return answer_dead(broker, query, doc);
    case QUERY_LETTER:
        return answer_letter(broker, query, doc);
    }
    return ERROR_BAD_MESSAGE;
}

void handle_query(struct broker *broker, struct peer *peer, const struct query *query)
{
    struct page *page = broker->page;
    struct message message = {.command = COMMAND_REPLY};
    enum error_code code;
    struct doc doc;

    doc_init(&doc, page->tokens, sizeof page->tokens / sizeof *page->tokens, page->arena,
             sizeof page->arena);
    code = answer(broker, peer, query, &doc);
    if (code == ERROR_NONE && doc.token_count == 0) {
        return; /* answered when the task has ended */
    }
    CHECK(!doc.overflow);
    message.reply.request = query->request;
    message.reply.ok = code == ERROR_NONE;
    message.reply.body = &doc;
    if (code != ERROR_NONE) {
        message.reply.error = error_of(code);
    }
    peer_send(broker, peer, &message);
}
