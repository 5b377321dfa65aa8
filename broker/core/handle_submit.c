#include "broker/core/drain.h"
#include "broker/core/durable.h"
#include "broker/core/ending.h"
#include "broker/core/flight.h"
#include "broker/core/handle.h"
#include "broker/core/join.h"
#include "broker/core/reserve.h"
#include "broker/core/retention.h"
#include "broker/core/scatter.h"
#include "broker/core/stream.h"
#include "common/mutant.h"

#define DRAINING_RETRY_MS 1000 /* people do that: it takes a while */

/* What a submit resolves to before anything is changed. */
struct admission {
    struct service *service; /* NULL: a pure join, or a service to be made */
    struct flow *flow;       /* that it belongs to; NULL: there is none yet */
    uint64_t flow_last;      /* serial of the peer's last flow, if it is of that; else 0 */
    uint32_t task_hash, flow_hash;
    bool flow_hashed;        /* else flow_hash says nothing */
    struct task *parent;     /* NULL: none */
    uint64_t retry_after_ms; /* refused by a limit */
    bool reserve;            /* only the reserve has room for it; before: it may */
    struct flight *flight;   /* that it follows; NULL: none */
    bool for_ever;           /* its conflict will not pass */
    bool terms;              /* it has some: see terms_wanted */
    uint16_t attempts_before; /* of its id, which some worker still holds */
};

static uint64_t payload_bytes(const struct submit *submit)
{
    return submit->payload.bytes.size;
}

/* ON RECV 1: the id is known. True: answered. */
static bool answer_known(struct broker *broker, struct peer *peer, const struct submit *submit,
                         uint32_t hash)
{
    struct task *task = task_find_by(broker, &submit->id, hash);

    if (task == NULL) {
        return false;
    }
    if (!id_equal(&task->owner->session, &peer->session)) {
        refusal_send(broker, peer, submit, ERROR_CONFLICT, 0);
        return true;
    }
    if (task->detached || (task->state == TASK_STORING && !task->orphan)) {
        peer_claim(broker, peer, task);
    }
    if (task->orphan && (!task_ended(task) || task->needed_by != NULL)) {
        /* Still stopping, or a join of it is, since this session was away for too long: soon
         * it can be submitted afresh. */
        refusal_send(broker, peer, submit, ERROR_CONFLICT, REFUSED_RETRY_MS);
        return true;
    }
    if (!task_ended(task)) {
        if (task->receipts && durable_accepted(task)) {
            struct message message = {.command = COMMAND_ACCEPTED};

            message.accepted.id = task->id;
            peer_send(broker, peer, &message);
        }
        if (submit->stream > 0) {
            stream_read_again(broker, task, submit->stream);
        }
        return true;
    }
    if (task->orphan) {
        /* It was cancelled because its submitter seemed gone. Here it is again: the
         * task is not lost, it starts anew. */
        retention_remove(broker, task);
        task_free(broker, task);
        return false;
    }
    if (!task->held) {
        result_send(broker, peer, task);
    }
    return true;
}

/* ON RECV 3. */
static enum error_code check_parent(const struct broker *broker, const struct peer *peer,
                                    const struct submit *submit, struct task **parent)
{
    struct task *task;

    *parent = NULL;
    if (id_is_nil(&submit->parent)) {
        return ERROR_NONE;
    }
    task = task_find(broker, &submit->parent);
    if (task == NULL) {
        return ERROR_NOT_FOUND;
    }
    if (task->state != TASK_LEASED ||
        (task_attempt(task) != submit->parent_attempt && !MUTANT(PAST_ATTEMPTS_HAVE_CHILDREN)) ||
        task->offer->peer != peer) {
        return ERROR_CANCELLED;
    }
    *parent = task;
    return ERROR_NONE;
}

static bool window_has_room(const struct broker *broker, const struct peer *peer, uint64_t bytes)
{
    return peer->submitted_count < broker->options.window_tasks + MUTANT(WINDOW_OFF_BY_ONE) &&
           (peer->submitted_count == 0 ||
            peer->submitted_bytes + bytes <= broker->options.window_bytes);
}

/* A handler may have one child beyond its peer's window: were the window full of parents that
 * wait, none of them could ever go on. A chain of such children is no way around the window:
 * twice as much and a little more is the end, deeper than anybody recurses. */
static bool may_overdraw(const struct broker *broker, const struct peer *peer,
                         const struct task *parent)
{
    return is_first_child(parent) && !MUTANT(OVERDRAFT_REFUSED) &&
           peer->submitted_count < 2 * broker->options.window_tasks + OVERDRAFT_TASKS &&
           peer->submitted_bytes <= 2 * broker->options.window_bytes;
}

/* What a task takes beside its payload, roughly: before it is made. */
static uint64_t record_bytes(uint64_t payload_bytes)
{
    return payload_bytes + sizeof(struct task) + sizeof(struct extra);
}

static bool memory_has_room(struct broker *broker, uint64_t wanted)
{
    while (broker->task_pool.used >= broker->options.tasks_max) {
        if (!retention_evict(broker)) {
            return false;
        }
    }
    return retention_make_room(broker, wanted) || MUTANT(MEMORY_UNBOUNDED);
}

static enum error_code check_memory(struct broker *broker, uint64_t bytes,
                                    struct admission *admission)
{
    uint64_t wanted = record_bytes(bytes);

    if (memory_has_room(broker, wanted)) {
        return ERROR_NONE;
    }
    admission->reserve = reserve_has_room(broker, admission->parent, wanted);
    return admission->reserve ? ERROR_NONE : ERROR_MEMORY_FULL;
}

/* A service that nobody has offered yet is not known because somebody waits for it:
 * the next one with the same typing error would wait, too. */
static bool is_known(const struct broker *broker, const struct service *service,
                     struct span version)
{
    const struct target *target;

    if (service == NULL || (!service->offered && !service->configured)) {
        return false;
    }
    target = version.size > 0 ? target_find(broker, service, version) : NULL;
    return version.size == 0 || (target != NULL && target->offers > 0);
}

static uint32_t flow_hash_of(const struct broker *broker, const struct peer *peer,
                             const struct submit *submit, struct admission *admission)
{
    if (!admission->flow_hashed) {
        admission->flow_hash = flow_hash(broker, peer->place.serial, submit);
        admission->flow_hashed = true;
    }
    return admission->flow_hash;
}

/* NULL: there is none. */
static struct flow *find_flow(const struct broker *broker, struct peer *peer,
                              const struct submit *submit, struct admission *admission)
{
    struct flow *flow = flow_last(peer);

    if (flow == NULL || flow->serial != admission->flow_last) {
        flow = admission->flow_hashed ? NULL : flow_of_last(peer, submit);
    }
    return flow != NULL ? flow
                        : flow_find(broker, peer, submit,
                                    flow_hash_of(broker, peer, submit, admission));
}

/* Most submit to the service that they submitted to before, whatever the key. */
static struct service *find_service(const struct broker *broker, const struct peer *peer,
                                    struct span name)
{
    const struct flow *last = flow_last(peer);

    return last != NULL && span_equal(service_name(last->service), name)
               ? last->service
               : service_find(broker, name);
}

static bool version_may_wait(const struct broker *broker, const struct service *service,
                             const struct submit *submit)
{
    return submit->version.size == 0 || target_may_wait(broker, service, submit->version);
}

bool submit_goes_before(const struct broker *broker, const struct service *service,
                        const struct task *parent, uint64_t count)
{
    return service->laned > 0 && reserve_has_place(broker, parent, count);
}

/* ON RECV 6 and 7. A task that waits for needs is counted by its queue from when it is ready; that
 * it was let in now is what counts. */
static enum error_code admit_service(struct broker *broker, struct peer *peer,
                                     const struct submit *submit, struct admission *admission)
{
    enum error_code code = ERROR_NONE;

    admission->flow = find_flow(broker, peer, submit, admission);
    admission->service = admission->flow != NULL ? admission->flow->service
                                                 : find_service(broker, peer, submit->service);
    if (submit->if_absent == IF_ABSENT_REFUSE &&
        !is_known(broker, admission->service, submit->version)) {
        return ERROR_UNKNOWN_SERVICE;
    }
    if (!version_may_wait(broker, admission->service, submit)) {
        return ERROR_LIMIT_EXCEEDED;
    }
    if (admission->service != NULL && drain_refuses(broker, admission->service, submit)) {
        return ERROR_DRAINING;
    }
    if (admission->service != NULL) {
        code = service_admit(admission->service, 1, payload_bytes(submit));
        if (code == ERROR_QUEUE_FULL &&
            (admission->reserve ||
             submit_goes_before(broker, admission->service, admission->parent, 1))) {
            admission->reserve = true; /* whether there is memory for it is looked at later */
            code = ERROR_NONE;
        }
    }
    if (code == ERROR_NONE) {
        code = limit_admit(broker, admission->service, peer, submit, &admission->retry_after_ms);
    }
    return code;
}

/* A join without a service needs no worker, and is in no queue. */
static bool is_pure_join(const struct submit *submit)
{
    return submit->join != JOIN_NONE && submit->service.size == 0;
}

static bool is_ancestor(const struct task *above, const struct task *task)
{
    while (task != NULL && task != above) {
        task = task_parent(task);
    }
    return task != NULL;
}

/* A task of the same key is there already: what follows it needs no place in the queue, and no
 * limit concerns it. Memory first: making room may forget that task. */
static enum error_code admit_key(struct broker *broker, const struct peer *peer,
                                 const struct submit *submit, uint64_t rare_bytes,
                                 struct admission *admission)
{
    enum error_code code = check_memory(broker, payload_bytes(submit) + rare_bytes, admission);
    struct flight *flight;

    if (code != ERROR_NONE) {
        return code;
    }
    flight = flight_find(broker, peer, submit);
    if (flight == NULL) {
        return ERROR_NONE;
    }
    /* Nor may a task wait for one that waits for it. */
    if (!flight_same_content(broker, flight, submit) ||
        is_ancestor(flight->task, admission->parent)) {
        admission->for_ever = true;
        return ERROR_CONFLICT;
    }
    admission->flight = flight;
    admission->service = flight->task->service;
    return version_may_wait(broker, admission->service, submit) ? ERROR_NONE
                                                                : ERROR_LIMIT_EXCEEDED;
}

/* Of a version that nobody has offered or asked for. */
static uint64_t target_bytes_of(const struct broker *broker, const struct submit *submit)
{
    const struct service *service =
        submit->version.size > 0 ? service_find(broker, submit->service) : NULL;

    if (submit->version.size == 0 ||
        (service != NULL && target_find(broker, service, submit->version) != NULL)) {
        return 0;
    }
    return sizeof(struct target);
}

/* ON RECV 2 to 7, in their order. */
static enum error_code admit(struct broker *broker, struct peer *peer,
                             const struct submit *submit, struct admission *admission)
{
    const struct broker_options *options = &broker->options;
    uint64_t bytes = payload_bytes(submit);
    bool terms = admission->terms = terms_wanted(submit);
    uint64_t rare_bytes = (terms ? terms_bytes_of(submit) : 0) +
                          (submit->stream > 0 ? sizeof(struct stream) + READER_BYTES : 0) +
                          (submit->order.size > 0 ? sizeof(struct lane) : 0) +
                          (submit->durable ? sizeof(struct durable) : 0) +
                          target_bytes_of(broker, submit) +
                          sizeof(struct flow);
    enum error_code code;

    if (!is_pure_join(submit) && drain_refuses(broker, NULL, submit)) {
        return ERROR_DRAINING;
    }
    if (broker->strays.count > 0) {
        struct strays strays = strays_of(broker, NULL, &submit->id);

        if (strays_too_many(strays)) {
            return ERROR_LIMIT_EXCEEDED;
        }
        admission->attempts_before = strays.last_attempt;
    }
    if (submit->idempotency_key.size > 0 && submit->join != JOIN_NONE) {
        return ERROR_UNSUPPORTED; /* better than a promise that is not kept */
    }
    if (submit->durable) {
        code = durable_admit(broker, submit);
        if (code != ERROR_NONE) {
            return code;
        }
    }
    code = check_parent(broker, peer, submit, &admission->parent);
    if (code != ERROR_NONE) {
        return code;
    }
    if (submit->detached) {
        admission->parent = NULL; /* from here on it stands alone */
    }
    if (bytes > options->payload_max) {
        return ERROR_TOO_LARGE;
    }
    if (!window_has_room(broker, peer, bytes) && !may_overdraw(broker, peer, admission->parent)) {
        return ERROR_WINDOW_EXCEEDED;
    }
    if (submit->idempotency_key.size > 0) {
        code = admit_key(broker, peer, submit, rare_bytes, admission);
        if (code != ERROR_NONE || admission->flight != NULL) {
            return code;
        }
    }
    if (!is_pure_join(submit)) {
        code = admit_service(broker, peer, submit, admission);
        if (code != ERROR_NONE) {
            return code;
        }
    }
    if (submit->join != JOIN_NONE) {
        /* Memory first: making room may forget ended tasks, and a need may be one of them. */
        code = check_memory(broker,
                            bytes + rare_bytes + sizeof(struct join) +
                                needs_bytes(submit->needs_count),
                            admission);
        return code != ERROR_NONE ? code : join_check_needs(broker, peer, submit);
    }
    return check_memory(broker, bytes + rare_bytes, admission);
}

static uint64_t retry_after_ms(const struct broker *broker, enum error_code code,
                               const struct admission *admission)
{
    if (admission->retry_after_ms > 0) {
        return admission->retry_after_ms;
    }
    if (code == ERROR_DRAINING) {
        return DRAINING_RETRY_MS;
    }
    if (code == ERROR_QUEUE_FULL) {
        return service_retry_after_ms(admission->service, broker->now_ms);
    }
    if (admission->for_ever) {
        return 0;
    }
    /* Any other conflict that gets here is with the past of a need, and passes. */
    return code == ERROR_CONFLICT || error_code_retryable(code) ? REFUSED_RETRY_MS : 0;
}

static void adopt(struct broker *broker, struct task *task, struct task *parent)
{
    struct family *above = task_family(parent);
    struct family *family = task_family(task);

    CHECK(above != NULL && family != NULL);
    family->parent = parent;
    list_push_back(&above->children, &family->sibling);
    above->live_children++;
    if (parent->deadline_ms < task->deadline_ms && !MUTANT(DEADLINE_NOT_INHERITED)) {
        task->deadline_ms = parent->deadline_ms;
    }
}

static void set_options(struct broker *broker, struct task *task, const struct submit *submit)
{
    uint64_t attempts = submit->attempts;

    if (attempts == 0 && task->service != NULL) {
        attempts = task->service->limits.attempts;
    }
    if (attempts == 0) {
        attempts = 1;
    }
    task->attempts_max = (uint8_t)(attempts > ATTEMPTS_MAX ? ATTEMPTS_MAX : attempts);
    task->receipts = submit->receipts;
    task->held = submit->held;
    task->detached = submit->detached;
    task->remembered = submit->detached || submit->retain_ms > 0 || submit->cache_ms > 0;
    if (submit->deadline_ms > 0) {
        task->deadline_ms = broker->now_ms + submit->deadline_ms;
    }
    if (submit->queue_ttl_ms > 0 || submit->lease_ms > 0) {
        CHECK(task->extra != NULL);
        task->extra->queue_ttl_ms = MUTANT(QUEUE_TTL_IGNORED) ? 0 : submit->queue_ttl_ms;
        task->extra->lease_ms = submit->lease_ms;
    }
}

/* The rare parts that this submit needs, of the task and of its parent. There may be as many as
 * tasks; false: but no memory for one. */
static bool make_extras(struct broker *broker, struct task *task, const struct submit *submit,
                        const struct admission *admission)
{
    struct task *parent = admission->parent;
    bool related = parent != NULL || submit->join != JOIN_NONE;
    bool rare = submit->queue_ttl_ms > 0 || submit->lease_ms > 0 || submit->stream > 0 ||
                submit->order.size > 0 || submit->durable || admission->terms;

    if (!related) {
        return !rare || task_extra(broker, task) != NULL;
    }
    return task_family_open(broker, task) != NULL &&
           (parent == NULL || task_family_open(broker, parent) != NULL);
}

static struct blob *keep_payload(const struct submit *submit)
{
    return submit->payload.blob != NULL ? blob_ref(submit->payload.blob)
                                        : blob_new(submit->payload.bytes);
}

/* Making room may have forgotten the flow that was there when the submit was looked at. */
static struct flow *open_flow(struct broker *broker, struct peer *peer,
                              const struct submit *submit, struct admission *admission)
{
    return admission->flow != NULL && admission->flow == flow_last(peer)
               ? admission->flow
               : flow_open(broker, admission->service, peer, submit,
                           flow_hash_of(broker, peer, submit, admission));
}

/* A record of the submit's flow (none: a pure join). NULL: no memory, nothing has changed. */
static struct task *create_record(struct broker *broker, struct peer *peer,
                                  const struct submit *submit, struct admission *admission,
                                  struct blob *body)
{
    struct flow *flow = NULL;
    struct task *task;

    if (admission->service != NULL) {
        flow = open_flow(broker, peer, submit, admission);
        if (flow == NULL) {
            return NULL;
        }
    }
    task = task_new(broker, &submit->id, admission->task_hash, peer, flow, body);
    if (task == NULL && flow != NULL) {
        flow_release(broker, flow);
    }
    return task;
}

/* All that the submit says of it; last, what is told to others. False: no memory for a part. */
static bool equip(struct broker *broker, struct task *task, const struct submit *submit,
                  const struct admission *admission)
{
    if (!make_extras(broker, task, submit, admission)) {
        return false;
    }
    set_options(broker, task, submit);
    return (submit->order.size == 0 || task->service == NULL ||
            lane_open(broker, task, submit->order)) &&
           (!admission->terms || terms_open(broker, task, submit)) &&
           (submit->join == JOIN_NONE || join_open(broker, task, submit)) &&
           (submit->idempotency_key.size == 0 || admission->flight != NULL ||
            flight_open(broker, task, submit)) &&
           (submit->stream == 0 || stream_open_paced(broker, task, submit->stream)) &&
           (!submit->durable || durable_open(broker, task, submit));
}

/* Makes the task. NULL: pools or memory are used up, nothing has changed. */
static struct task *create(struct broker *broker, struct peer *peer, const struct submit *submit,
                           struct admission *admission)
{
    struct blob *body = NULL;
    struct task *task;

    if (payload_bytes(submit) > 0) {
        body = keep_payload(submit);
        if (body == NULL) {
            return NULL;
        }
    }
    task = create_record(broker, peer, submit, admission, body);
    if (task == NULL) {
        blob_unref(body);
        return NULL;
    }
    if (!equip(broker, task, submit, admission)) {
        lane_leave(broker, task);
        task_free(broker, task);
        return NULL;
    }
    task->attempts_before = admission->attempts_before;
    if (admission->parent != NULL) {
        adopt(broker, task, admission->parent);
    }
    if (admission->reserve) {
        reserve_take(broker, task, admission->parent);
    }
    if (submit->detached) {
        terms_enlist(broker, task->extra->terms);
    }
    list_push_back(&peer->submitted, &task->owner_link);
    peer->submitted_count++;
    peer->submitted_bytes += payload_bytes(submit);
    return task;
}

/* ON RECV 8. */
static void start(struct broker *broker, struct task *task, struct flight *flight,
                  uint64_t delay_ms)
{
    if (task->receipts && durable_accepted(task)) {
        struct message message = {.command = COMMAND_ACCEPTED};

        message.accepted.id = task->id;
        peer_send(broker, task->owner, &message);
    }
    if (task->extra != NULL && task->extra->join != NULL) {
        task_set_state(broker, task, TASK_WAITING);
        task_wake(broker, task);
        task_arm(broker, task, WHEEL_NEVER);
        return;
    }
    if (flight != NULL) {
        flight_follow(broker, flight, task, delay_ms);
    } else {
        task_begin(broker, task, broker->now_ms + delay_ms);
    }
}

/* As submit_create; `admission` tells what it was refused for. */
static enum error_code prepare(struct broker *broker, struct peer *peer,
                               const struct submit *submit, struct admission *admission,
                               struct task **task)
{
    enum error_code code = admit(broker, peer, submit, admission);

    if (code == ERROR_NONE && !is_pure_join(submit) && admission->service == NULL) {
        admission->service = service_open_waiting(broker, submit->service);
        code = admission->service == NULL ? ERROR_LIMIT_EXCEEDED : ERROR_NONE;
    }
    if (code != ERROR_NONE) {
        return code;
    }
    *task = create(broker, peer, submit, admission);
    return *task == NULL ? ERROR_MEMORY_FULL : ERROR_NONE;
}

static enum error_code accept(struct broker *broker, struct peer *peer,
                              const struct submit *submit, struct admission *admission,
                              struct task **task)
{
    enum error_code code = prepare(broker, peer, submit, admission, task);

    if (code == ERROR_NONE) {
        start(broker, *task, admission->flight, submit->delay_ms);
    }
    return code;
}

enum error_code submit_create(struct broker *broker, struct peer *peer,
                              const struct submit *submit, bool reserve, struct task **task,
                              uint64_t *after_ms)
{
    struct admission admission = {.task_hash = task_hash(broker, &submit->id),
                                  .reserve = reserve};
    enum error_code code;

    CHECK(submit->idempotency_key.size == 0);
    code = prepare(broker, peer, submit, &admission, task);
    if (code != ERROR_NONE) {
        *after_ms = retry_after_ms(broker, code, &admission);
    }
    return code;
}

void submit_start(struct broker *broker, struct task *task, struct flight *flight,
                  uint64_t delay_ms)
{
    start(broker, task, flight, delay_ms);
}

struct task *submit_restore(struct broker *broker, struct peer *peer,
                            const struct submit *submit, struct flight **flight)
{
    struct admission admission = {.task_hash = task_hash(broker, &submit->id),
                                  .terms = terms_wanted(submit)};

    if (submit->idempotency_key.size > 0) {
        admission.flight = flight_restore(broker, peer, submit);
    }
    *flight = admission.flight;
    if (submit->service.size > 0) {
        admission.service = service_open(broker, submit->service);
        if (admission.service == NULL) {
            return NULL;
        }
    }
    return create(broker, peer, submit, &admission);
}

void submit_discard(struct broker *broker, struct task *task)
{
    CHECK(task->state == TASK_NEW);
    if (task_parent(task) != NULL) {
        task_family(task_parent(task))->live_children--;
    }
    reserve_leave(broker, task);
    task->owner->submitted_count--;
    task->owner->submitted_bytes -= blob_span(task->body).size;
    list_unlink(&task->owner_link);
    task_free(broker, task);
}

enum error_code submit_ask(struct broker *broker, struct peer *peer, const struct submit *submit)
{
    struct admission admission = {0};

    return admit(broker, peer, submit, &admission);
}

enum error_code submit_accept(struct broker *broker, struct peer *peer,
                              const struct submit *submit, struct task **task)
{
    struct admission admission = {.task_hash = task_hash(broker, &submit->id)};

    return accept(broker, peer, submit, &admission, task);
}

void handle_submit(struct broker *broker, struct peer *peer, const struct submit *submit,
                   const struct hint *hint)
{
    struct admission admission = {
        .task_hash = hint->task_known ? hint->task : task_hash(broker, &submit->id),
        .flow_last = hint->last,
        .flow_hash = hint->flow,
        .flow_hashed = hint->peer == peer->place.serial, /* not of its session before this one */
    };
    struct submit durable;
    struct task *task = NULL;
    enum error_code code;
    uint64_t after_ms = 0;

    broker->stats.submitted++;
    if (!submit->durable && durable_by_service(broker, submit->service)) {
        durable = *submit;
        durable.durable = true;
        submit = &durable;
    }
    if (answer_known(broker, peer, submit, admission.task_hash)) {
        return;
    }
    if (submit->route == ROUTE_ALL) {
        code = scatter_accept(broker, peer, submit, &after_ms);
    } else {
        code = accept(broker, peer, submit, &admission, &task);
        after_ms = code != ERROR_NONE ? retry_after_ms(broker, code, &admission) : 0;
    }
    if (code != ERROR_NONE) {
        if (MUTANT(REFUSAL_TAKES_WINDOW) && code == ERROR_QUEUE_FULL) {
            peer->submitted_bytes += 1;
        }
        refusal_send(broker, peer, submit, code, after_ms);
    }
}
