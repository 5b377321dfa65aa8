/* scatter: a submit to every worker of a service, as a submit for each and a join over them. */
#include "broker/core/scatter.h"

#include "broker/core/handle.h"
#include "common/memory.h"

/* The id of one part: no other submit, this one's next life included, has the same. */
static struct id part_id(struct broker *broker, const struct id *scatter)
{
    uint64_t number = ++broker->serial;
    uint8_t text[sizeof scatter->bytes + sizeof number];
    struct id id;

    memcpy(text, scatter->bytes, sizeof scatter->bytes);
    memcpy(text + sizeof scatter->bytes, &number, sizeof number);
    broker_digest(broker, text, sizeof text, id.bytes);
    return id;
}

static bool supports(const struct submit *submit)
{
    return submit->join == JOIN_NONE && submit->order.size == 0 && submit->stream == 0 &&
           submit->idempotency_key.size == 0 && !submit->detached && !submit->dead_letter &&
           submit->affinity.size == 0 && !submit->durable;
}

static bool is_meant(const struct offer *offer, const struct submit *submit)
{
    return offer->attended &&
           (submit->version.size == 0 ||
            span_equal(target_version(offer->target), submit->version));
}

static size_t count_parts(const struct service *service, const struct submit *submit)
{
    size_t count = 0;

    list_each(link, &service->offers) {
        count += is_meant(list_entry(link, struct offer, service_link), submit);
    }
    return count;
}

/* One part: for `offer` alone, and its outcome for the join. */
static enum error_code create_part(struct broker *broker, struct peer *peer,
                                   const struct submit *submit, bool reserve,
                                   struct offer *offer, struct id *id,
                                   uint64_t *retry_after_ms)
{
    struct target *target = target_open_lone(broker, offer);
    struct submit part = *submit;
    struct task *task = NULL;
    enum error_code code;

    if (target == NULL) {
        *retry_after_ms = REFUSED_RETRY_MS;
        return ERROR_MEMORY_FULL;
    }
    *id = part_id(broker, &submit->id);
    part.id = *id;
    part.route = ROUTE_ONE;
    part.version = target_version(target);
    part.held = true;
    part.receipts = false;
    part.retain_ms = 0;
    code = submit_create(broker, peer, &part, reserve, &task, retry_after_ms);
    if (code == ERROR_NONE) {
        task_set_worker(broker, task, offer->peer->name); /* known, though it has not started */
    }
    target_done_lone(broker, target);
    return code;
}

static enum error_code create_join(struct broker *broker, struct peer *peer,
                                   const struct submit *submit, const struct id *ids,
                                   size_t count, struct task **task,
                                   uint64_t *retry_after_ms)
{
    struct submit join = {
        .id = submit->id,
        .parent = submit->parent,
        .parent_attempt = submit->parent_attempt,
        .deadline_ms = submit->deadline_ms,
        .receipts = submit->receipts,
        .held = submit->held,
        .retain_ms = submit->retain_ms,
        .priority = submit->priority,
        .join = JOIN_SETTLED,
        .needs = ids->bytes,
        .needs_count = count,
        .needs_stride = sizeof *ids,
    };

    return submit_create(broker, peer, &join, false, task, retry_after_ms);
}

/* All parts and the join begin, or none has been there. */
static enum error_code submit_all(struct broker *broker, struct peer *peer,
                                  const struct submit *submit, bool reserve,
                                  const struct service *service, struct id *ids,
                                  uint64_t *retry_after_ms)
{
    enum error_code code = ERROR_NONE;
    struct task *join = NULL;
    size_t count = 0;

    list_each(link, &service->offers) {
        struct offer *offer = list_entry(link, struct offer, service_link);

        if (code == ERROR_NONE && is_meant(offer, submit) &&
            !(MUTANT(SCATTER_MISSES_ONE) && count == 1)) {
            code = create_part(broker, peer, submit, reserve, offer, &ids[count],
                               retry_after_ms);
            count += code == ERROR_NONE;
        }
    }
    if (code == ERROR_NONE) {
        code = create_join(broker, peer, submit, ids, count, &join, retry_after_ms);
    }
    if (code != ERROR_NONE) {
        while (count > 0) {
            submit_discard(broker, task_find(broker, &ids[--count]));
        }
        return code;
    }
    for (size_t i = 0; i < count; i++) {
        submit_start(broker, task_find(broker, &ids[i]), NULL, submit->delay_ms);
    }
    submit_start(broker, join, NULL, 0);
    broker->stats.submitted += count;
    return ERROR_NONE;
}

/* What one part takes, roughly. */
static uint64_t part_bytes(const struct submit *submit)
{
    return submit->payload.bytes.size + blob_overhead() + sizeof(struct task) +
           sizeof(struct extra) + sizeof(struct flow) + terms_bytes_of(submit);
}

/* Not even into an empty window, queue, and half of the memory: some of it is always taken. */
static bool never_fits(const struct broker *broker, const struct service *service,
                       const struct submit *submit, size_t count)
{
    const struct broker_options *options = &broker->options;
    uint64_t bytes = count * submit->payload.bytes.size;

    return count + 1 > options->window_tasks || count > service->limits.max_tasks ||
           count * part_bytes(submit) > options->memory_max / 2 ||
           (count > 1 && (bytes > options->window_bytes || bytes > service->limits.max_bytes));
}

/* What can be said before anything is made. `reserve`: its parts go into a full queue. */
static enum error_code check(const struct broker *broker, const struct service *service,
                             const struct submit *submit, size_t count, bool *reserve)
{
    enum error_code code;

    if (!supports(submit)) {
        return ERROR_UNSUPPORTED;
    }
    if (count == 0) {
        return ERROR_UNKNOWN_SERVICE; /* it would be done at once, having reached nobody */
    }
    if (count > NEEDS_MAX || never_fits(broker, service, submit, count)) {
        return ERROR_TOO_LARGE;
    }
    /* Each part is admitted by itself, but is in the queue only when all of them begin. */
    code = service_admit(service, count, submit->payload.bytes.size);
    *reserve = code == ERROR_QUEUE_FULL &&
               submit_goes_before(broker, service, task_find(broker, &submit->parent), count);
    return *reserve ? ERROR_NONE : code;
}

enum error_code scatter_accept(struct broker *broker, struct peer *peer,
                               const struct submit *submit, uint64_t *retry_after_ms)
{
    const struct service *service = service_find(broker, submit->service);
    size_t count = service != NULL ? count_parts(service, submit) : 0;
    bool reserve = false;
    enum error_code code = check(broker, service, submit, count, &reserve);
    struct id *ids;

    if (code != ERROR_NONE) {
        *retry_after_ms = code == ERROR_QUEUE_FULL
                              ? service_retry_after_ms(service, broker->now_ms)
                          : error_code_retryable(code) ? REFUSED_RETRY_MS
                                                       : 0;
        return code;
    }
    ids = memory_new(count * sizeof *ids);
    if (ids == NULL) {
        *retry_after_ms = REFUSED_RETRY_MS;
        return ERROR_MEMORY_FULL;
    }
    code = submit_all(broker, peer, submit, reserve, service, ids, retry_after_ms);
    memory_free(ids);
    return code;
}
