/* invariants: broker_check, every fact that must hold between two steps. */
#include "broker/core/dead.h"
#include "broker/core/directive.h"
#include "broker/core/durable.h"
#include "broker/core/join.h"
#include "broker/core/memo.h"
#include "broker/core/state.h"
#include "broker/core/stream.h"
#include "broker/core/watch.h"
#include "common/mutant.h"

struct tally {
    uint64_t states[TASK_STATE_COUNT];
    uint64_t memory_bytes, retained_bytes, retained_count, kept_bytes;
    uint64_t remembered_bytes, remembered_count, detached;
    uint64_t reserve_tasks, reserve_bytes;
    /* What must be in use of each pool. */
    uint64_t tasks, flows, lanes, extras, families, joins, need_chunks, waits, terms, causes;
    uint64_t flights, affinities, targets;
    uint64_t peers, labels, services, offers, strays;
    uint64_t streams, stream_blocks, readers, memos, signals, durables;
    uint64_t watchers;
};

static void see_label(struct label *label, struct tally *tally)
{
    if (label != NULL && label->seen++ == 0) {
        tally->labels++;
    }
}

static void unsee_label(struct label *label)
{
    if (label != NULL && label->seen > 0) {
        CHECK(label->seen == label->references);
        label->seen = 0;
    }
}

static void see_peer(struct peer *peer, struct tally *tally)
{
    tally->peers++;
    see_label(peer->name, tally);
}

/* A gone peer is found by the tasks that still name it. */
static void see_owner(struct peer *peer, struct tally *tally)
{
    if (peer->seen++ == 0 && peer->state == PEER_GONE) {
        see_peer(peer, tally);
    }
}

static void unsee_owner(struct peer *peer)
{
    if (peer->seen > 0) {
        CHECK(peer->seen == peer->tasks);
        peer->seen = 0;
    }
    unsee_label(peer->name);
}

static void check_flow(const struct broker *broker, const struct flow *flow)
{
    bool waits = turn_waits(&flow->turn);

    CHECK(flow->tasks > 0 && flow_placed(broker, flow));
    CHECK(flow->turn.weight > 0);
    CHECK(flow->turn.priority <= PRIORITY_MAX);
    CHECK((flow->submitter == 0) == (flow->key_size > 0));
    CHECK(waits == (!list_empty(&flow->ready) &&
                    (flow->account == NULL || !account_closed(flow->account))));
    CHECK((flow->account == NULL) == list_empty(&flow->account_link));
    CHECK(flow->account != NULL || flow->turn.weight == 1);
    CHECK(!waits || flow->turn.ring == &flow->service->ring || flow->target != NULL);
    CHECK(flow->target == NULL || flow->target->service == flow->service);
    CHECK((flow->target == NULL) == list_empty(&flow->target_link));
    list_each(link, &flow->ready) {
        const struct task *task = list_entry(link, struct task, link);

        CHECK(task->state == TASK_READY);
        CHECK(task->flow == flow);
    }
    CHECK(flow->serial > 0 && flow->serial <= broker->flow_serial);
}

static void see_flow(const struct broker *broker, struct flow *flow, struct tally *tally)
{
    if (flow->seen++ == 0) {
        tally->flows++;
        check_flow(broker, flow);
    }
}

static void unsee_flow(struct flow *flow)
{
    if (flow->seen > 0) {
        CHECK(flow->seen == flow->tasks);
        flow->seen = 0;
    }
}

static void check_lane(const struct lane *lane)
{
    CHECK(lane->tasks > 0);
    CHECK(lane->out != NULL || list_empty(&lane->waiting));
    CHECK(lane->out == NULL || lane->out->extra->lane == lane);
    list_each(link, &lane->waiting) {
        const struct task *task = list_entry(link, struct task, link);

        CHECK(task->state == TASK_READY);
        CHECK(task->extra->lane == lane);
        CHECK(task != lane->out);
    }
}

static void see_lane(struct lane *lane, struct tally *tally)
{
    if (lane != NULL && lane->seen++ == 0) {
        tally->lanes++;
        if (!MUTANT(LANE_FORGOTTEN) && !MUTANT(ORDER_IGNORED)) {
            check_lane(lane);
        }
    }
}

static void unsee_lane(struct lane *lane)
{
    if (lane != NULL && lane->seen > 0) {
        CHECK(lane->seen == lane->tasks);
        lane->seen = 0;
    }
}

static void check_family(const struct task *task)
{
    const struct family *family = task_family(task);
    uint64_t live = 0;

    CHECK(family->task == task);
    list_each(link, &family->children) {
        const struct family *child = list_entry(link, struct family, sibling);

        CHECK(child->parent == task);
        live += !task_ended(child->task);
    }
    CHECK(live == family->live_children);
    /* Below an ended task nothing runs on: it ends with it, or is being stopped. */
    if (task_ended(task)) {
        list_each(link, &family->children) {
            const struct task *child = list_entry(link, struct family, sibling)->task;

            CHECK(task_ended(child) || child->state == TASK_CANCELLING ||
                  child->state == TASK_STORING);
        }
    }
}

static void check_extra(const struct task *task)
{
    const struct extra *extra = task->extra;

    CHECK(extra->task == task);
    CHECK(list_empty(&extra->wake_link));
    CHECK(list_empty(&extra->doom_link));
    CHECK(!task_ended(task) || list_empty(&extra->waits));
    CHECK(extra->join == NULL || extra->family != NULL);
    if (extra->family != NULL) {
        check_family(task);
    }
}

static void check_join(const struct task *task)
{
    const struct join *join = task->extra->join;
    struct join_cursor cursor = join_cursor(task);
    uint64_t left = 0;

    CHECK(join->policy != JOIN_NONE);
    for (size_t i = 0; i < join->need_count; i++) {
        const struct need *need;

        while (i - cursor.first >= NEED_CHUNK) {
            cursor.chunk = cursor.chunk->next;
            cursor.first += NEED_CHUNK;
        }
        need = &cursor.chunk->needs[i - cursor.first];
        CHECK(need->join == task);
        CHECK(*need->at == need);
        left += !task_ended(need->task);
    }
    if (!task_ended(task)) {
        CHECK(left == join->left);
        CHECK(join->decided || !join_settled(join) || task->state == TASK_CANCELLING ||
              task->state == TASK_STORING);
        CHECK(!join->decided || task->service != NULL || task->state == TASK_STORING);
    }
}

static void check_reader(const struct reader *reader, const struct stream *stream)
{
    CHECK(reader->stream == stream);
    CHECK(reader->peer->state != PEER_GONE);
    CHECK(reader->until >= reader->sent || reader->away);
    CHECK(reader->away || reader->sent >= reader->asked);
    CHECK(!reader->away || reader == stream->pacer);
    /* What it takes and the ring has, it has been sent. */
    CHECK(reader->away || reader->sent >= stream->next || reader->sent >= reader->until);
}

static void check_stream(const struct broker *broker, const struct stream *stream,
                         struct tally *tally)
{
    uint64_t blocks = 0, bytes = 0, unread = 0, readers = 0, number = stream->base;
    const struct reader *pacer = stream->pacer;

    for (const struct stream_block *block = stream->head; block; block = block->next, blocks++) {
        for (size_t i = 0; i < STREAM_BLOCK; i++, number++) {
            uint64_t size = blob_span(block->chunks[i]).size;

            CHECK(block->chunks[i] == NULL || (number >= stream->first && number < stream->next));
            bytes += size;
            unread += pacer != NULL && number >= pacer->asked ? size : 0;
        }
    }
    list_each(link, &stream->readers) {
        check_reader(list_entry(link, struct reader, stream_link), stream);
        readers++;
    }
    CHECK(stream->base <= stream->first && stream->first <= stream->next);
    CHECK(stream->next <= number);
    CHECK(blocks == stream->block_count);
    CHECK(bytes == stream->bytes);
    CHECK(unread == stream->unread);
    CHECK(readers == stream->reader_count && readers <= broker->options.stream_readers);
    CHECK(readers == 0 || !task_ended(stream->task));
    CHECK(stream->next - stream->first <= broker->options.stream_chunks);
    CHECK(stream->bytes <= broker->options.stream_bytes);
    tally->streams++;
    tally->stream_blocks += blocks;
    tally->readers += readers;
}

static void check_memo(const struct memo *memo, struct tally *tally)
{
    uint64_t count = 0, bytes = 0;

    for (const struct kept_signal *at = memo->first; at != NULL; at = at->next) {
        count++;
        bytes += blob_span(at->payload).size;
        CHECK(at->next != NULL || at == memo->last);
    }
    CHECK(count == memo->count && count <= SIGNALS_MAX);
    CHECK(bytes == memo->bytes && bytes <= SIGNALS_BYTES_MAX);
    CHECK(memo->given <= memo->count);
    tally->memos++;
    tally->signals += count;
}

static void tally_extra(const struct extra *extra, struct tally *tally)
{
    see_lane(extra->lane, tally);
    tally->extras++;
    tally->families += extra->family != NULL;
    list_each(link, &extra->waits) {
        tally->waits++;
    }
    if (extra->terms != NULL) {
        tally->terms++;
        tally->flights += flight_check(extra->task);
        tally->causes += cause_check(&extra->terms->causes);
    }
    tally->durables += extra->durable != NULL;
    if (extra->join != NULL) {
        tally->joins++;
        tally->need_chunks += (extra->join->need_count + NEED_CHUNK - 1) / NEED_CHUNK;
    }
}

static void check_task(const struct broker *broker, const struct task *task, struct tally *tally)
{
    enum task_state state = task->state;

    CHECK(state != TASK_NEW);
    tally->tasks++;
    see_owner(task->owner, tally);
    see_label(task->worker, tally);
    CHECK((task->flow == NULL) == (task->service == NULL));
    if (task->flow != NULL) {
        CHECK(task->flow->service == task->service);
        see_flow(broker, task->flow, tally);
    }
    if (task->extra != NULL) {
        tally_extra(task->extra, tally);
    }
    tally->states[state]++;
    tally->memory_bytes += task_bytes(task);
    if (task->reserve) {
        CHECK(!task_ended(task));
        tally->reserve_tasks++;
        tally->reserve_bytes += task_bytes(task);
    }
    CHECK(task->attempt <= task->attempts_max);
    CHECK((state == TASK_LEASED) ? task->offer != NULL : true);
    CHECK((state == TASK_READY || state == TASK_DELAYED) ? task->offer == NULL : true);
    bool alone = task->detached || (state == TASK_STORING && !task->orphan);

    CHECK((task_ended(task) || (alone && task->owner->state == PEER_GONE)) ==
          list_empty(&task->owner_link));
    if (task->detached) {
        CHECK(!list_empty(&task->extra->terms->place.lanes[0]));
        CHECK(task->extra->terms->task == task);
        tally->detached++;
    }
    if (task_ended(task)) {
        if (task->needed_by == NULL && task->remembered) {
            tally->remembered_count++;
            tally->remembered_bytes += task_bytes(task);
        } else if (task->needed_by == NULL) {
            tally->retained_count++;
            tally->retained_bytes += task_bytes(task);
        } else {
            tally->kept_bytes += task_bytes(task);
        }
        CHECK(task->offer == NULL);
        CHECK(timer_armed(&task->timer) == (task->remembered && task->needed_by == NULL));
        CHECK((task->needed_by == NULL) == !list_empty(&task->link));
    } else if (state == TASK_STORING) {
        CHECK(!timer_armed(&task->timer) && task->offer == NULL);
    } else if (task->deadline_ms != WHEEL_NEVER) {
        CHECK(timer_armed(&task->timer));
        CHECK(state == TASK_CANCELLING || task->timer.due_ms <= task->deadline_ms);
        CHECK(task->timer.due_ms >= broker->now_ms);
    }
    CHECK(state != TASK_DELAYED || timer_armed(&task->timer));
    CHECK(state != TASK_CANCELLING || timer_armed(&task->timer) || task->extra != NULL);
    if (task->extra != NULL) {
        check_extra(task);
        if (task->extra->stream != NULL) {
            CHECK(task->extra->stream->task == task);
            check_stream(broker, task->extra->stream, tally);
        }
        if (task->extra->memo != NULL) {
            CHECK(!task_ended(task));
            check_memo(task->extra->memo, tally);
        }
        if (task->extra->join != NULL) {
            check_join(task);
        }
    }
}

static void check_offer(const struct offer *offer, struct tally *tally)
{
    uint64_t held = 0;

    list_each(link, &offer->leases) {
        const struct task *task = list_entry(link, struct task, link);

        CHECK(task->offer == offer);
        CHECK(task->state == TASK_LEASED || task->state == TASK_CANCELLING);
        held++;
    }
    list_each(link, &offer->strays) {
        tally->strays++;
        held++;
    }
    list_each(link, &offer->affinities) {
        const struct affinity *affinity = list_entry(link, struct affinity, offer_link);

        CHECK(affinity->offer == offer);
        CHECK(affinity->digest != 0);
        CHECK(!list_empty(&affinity->age_link));
        CHECK(!offer_withdrawn(offer));
        tally->affinities++;
    }
    tally->offers++;
    CHECK(held == offer->held);
    CHECK(offer->attended == (!offer_withdrawn(offer) && peer_takes(offer->peer)));
    CHECK(list_empty(&offer->load_link) == (!offer->attended || offer->held >= offer->credit));
    CHECK(list_empty(&offer->target_link) ==
          (offer->target == NULL || list_empty(&offer->load_link)));
    CHECK(list_empty(&offer->lone_link) ==
          (offer->lone == NULL || list_empty(&offer->load_link)));
    CHECK(!offer_withdrawn(offer) || (offer->target == NULL && offer->lone == NULL));
    CHECK(!offer_withdrawn(offer) || offer->held > 0);
}

/* The ready tasks of the flows on one of the rings of `service` and its targets. */
static uint64_t check_ring(const struct ring *ring, const struct service *service)
{
    uint64_t ready = 0;

    for (unsigned priority = 0; priority <= PRIORITY_MAX; priority++) {
        CHECK(list_empty(&ring->turns[priority]) == !(ring->occupied >> priority & 1));
        list_each(link, &ring->turns[priority]) {
            const struct turn *turn = list_entry(link, struct turn, link);
            const struct flow *flow = list_entry(turn, struct flow, turn);

            CHECK(flow->service == service);
            CHECK(turn->priority == priority);
            CHECK(turn->ring == ring);
            CHECK(ring == &service->ring || ring == &service->called ||
                  ring == &flow->target->parked);
            CHECK(ring != &service->called || flow->target->called >> priority & 1);
            CHECK(!list_empty(&flow->ready));
            list_each(task, &flow->ready) {
                ready++;
            }
        }
    }
    return ready;
}

static uint64_t check_target(const struct target *target, const struct service *service)
{
    uint64_t room = 0, offers = 0, attended = 0;

    CHECK(target->service == service);
    CHECK(!list_empty(&target->flows) || (target->offers > 0 && !target->lone));
    CHECK(target->version_size > 0 && target->version_size <= VERSION_MAX);
    CHECK(target->lone || target->only == NULL);
    CHECK(!target->kept);
    CHECK(!target->lone || target->offers == (target->only != NULL));
    list_each(link, &service->offers) {
        const struct offer *offer = list_entry(link, struct offer, service_link);

        if (target_takes(target, offer)) {
            CHECK((target->only == offer) == (offer->lone == target));
            offers++;
            attended += offer->attended;
            room += !list_empty(&offer->load_link);
        }
    }
    CHECK(offers == target->offers);
    CHECK(attended == target->attended);
    CHECK((room > 0) == (target->loads.occupied != 0));
    CHECK(list_empty(&target->delayed) || (target->lone && !target_stranded(target)));
    list_each(link, &target->flows) {
        const struct flow *flow = list_entry(link, struct flow, target_link);

        CHECK(flow->target == target);
        CHECK(!target_stranded(target) || list_empty(&flow->ready));
    }
    return check_ring(&target->parked, service);
}

/* Some limit forbids the task whose turn it is to start. */
static bool held_back(const struct broker *broker, const struct service *service)
{
    const struct flow *flow = flow_next(service);

    return service->limiter != NULL &&
           limit_ask(broker, list_entry(list_first(&flow->ready), struct task, link)).reason !=
               HOLD_NONE;
}

static void check_service(const struct broker *broker, const struct service *service,
                          struct tally *tally)
{
    uint64_t ready, parked = 0, offers = 0, credit = 0, held = 0, attended = 0;
    uint64_t flows = 0, versions = 0;

    CHECK(list_empty(&service->dirty_link));
    list_each(link, &service->flows) {
        CHECK(list_entry(link, struct flow, service_link)->service == service);
        flows++;
    }
    CHECK(flows == service->flow_count);
    ready = check_ring(&service->ring, service) + check_ring(&service->called, service);
    list_each(link, &service->targets) {
        const struct target *target = list_entry(link, struct target, service_link);

        parked += check_target(target, service);
        CHECK(target->parked.occupied == 0 || target->loads.occupied == 0 || ready > 0);
        versions += !target->lone;
        tally->targets++;
    }
    CHECK(versions == service->target_count && versions <= VERSIONS_PER_SERVICE_MAX);
    CHECK(ready + parked + service->laned <= service->queued);
    list_each(link, &service->offers) {
        const struct offer *offer = list_entry(link, struct offer, service_link);

        CHECK(offer->service == service);
        offers++;
        credit += offer->credit;
        held += offer->held;
        attended += offer->attended;
        /* A worker with room and a ready task never coexist. */
        CHECK(ready == 0 || offer->held >= offer->credit ||
              !offer->attended || held_back(broker, service) || MUTANT(PARKED_KEY_BLOCKS));
    }
    CHECK(offers == service->offer_count);
    CHECK(credit == service->credit);
    CHECK(held == service->held);
    CHECK(attended == service->attended);
    CHECK(timer_armed(&service->linger) != list_empty(&service->idle_link));
    CHECK(list_empty(&service->idle_link) ==
          (offers > 0 || service->tasks > 0 || service_pinned(service)));
}

static void check_peer(const struct broker *broker, const struct peer *peer, struct tally *tally)
{
    uint64_t offers = 0, held = 0, tasks = 0, bytes = 0, readers = 0;
    uint64_t waits[WAIT_KIND_COUNT] = {0};
    uint64_t watchers = 0;

    CHECK(peer->state != PEER_GONE);
    CHECK(timer_armed(&peer->timer));
    list_each(link, &peer->offers) {
        const struct offer *offer = list_entry(link, struct offer, peer_link);

        CHECK(offer->peer == peer);
        check_offer(offer, tally);
        offers++;
        held += offer->held;
    }
    CHECK(offers == peer->offer_count);
    CHECK(held == peer->held);
    CHECK(peer->state != PEER_AWAY || offers == 0);
    CHECK(peer->state != PEER_SUSPENDED || peer->numbered);
    CHECK(peer->state != PEER_AWAY || !peer->numbered);
    list_each(link, &peer->submitted) {
        const struct task *task = list_entry(link, struct task, owner_link);

        CHECK(task->owner == peer);
        CHECK(!task_ended(task));
        tasks++;
        bytes += blob_span(task->body).size;
    }
    list_each(link, &peer->waits) {
        waits[list_entry(link, struct wait, peer_link)->kind]++;
    }
    list_each(link, &peer->readers) {
        CHECK(list_entry(link, struct reader, peer_link)->peer == peer);
        readers++;
    }
    CHECK(readers == peer->reader_count);
    list_each(link, &peer->watchers) {
        CHECK(list_entry(link, struct watcher, peer_link)->peer == peer);
        watchers++;
    }
    CHECK(flow_last(peer) == NULL || flow_placed(broker, peer->flow));
    CHECK(memcmp(waits, peer->wait_count, sizeof waits) == 0);
    CHECK(watchers == peer->watcher_count);
    CHECK(watchers == 0 || peer->state != PEER_AWAY);
    tally->watchers += watchers;
    CHECK(tasks == peer->submitted_count);
    CHECK(bytes == peer->submitted_bytes);
    CHECK(peer->tasks >= tasks);
    CHECK(peer->tasks == peer->seen);
}

#define each_task(task, broker)                                                                    \
    for (size_t i_ = 0; i_ < (broker)->tasks.bucket_count; i_++)                                   \
        for (const struct table_node *node_ =                                                      \
                 (broker)->tasks.segments[i_ / TABLE_SEGMENT_BUCKETS][i_ % TABLE_SEGMENT_BUCKETS]; \
             node_ != NULL; node_ = node_->next)                                                   \
            for (const struct task *task = table_entry(node_, struct task, node); task != NULL;    \
                 task = NULL)

static void check_tasks(const struct broker *broker, struct tally *tally)
{
    each_task(task, broker) {
        check_task(broker, task, tally);
    }
    for (unsigned state = 0; state < TASK_STATE_COUNT; state++) {
        CHECK(tally->states[state] == broker->state_count[state]);
    }
    CHECK(tally->memory_bytes == broker->memory_bytes);
    CHECK(tally->reserve_tasks == broker->reserve.tasks);
    CHECK(tally->reserve_bytes == broker->reserve.bytes);
    CHECK(tally->retained_bytes == broker->retained_bytes);
    CHECK(tally->kept_bytes == broker->kept_bytes);
    CHECK(tally->retained_count == broker->retained_count);
    CHECK(tally->remembered_bytes == broker->remembered_bytes);
    CHECK(tally->remembered_count == broker->remembered_count);
    CHECK(tally->detached == broker->detached_count);
}

static void check_letters(const struct broker *broker, struct tally *tally)
{
    uint64_t count = 0, bytes = 0;

    list_each(link, &broker->dead.lanes[0]) {
        const struct letter *letter = list_entry(link, struct letter, place.lanes);

        CHECK(dead_find(broker, &letter->id) == letter);
        tally->causes += cause_check(&letter->causes);
        bytes += letter_bytes(letter);
        count++;
    }
    CHECK(bytes == broker->dead_bytes);
    CHECK(bytes <= broker->options.dead_bytes);
    CHECK(count <= broker->options.dead_tasks);
    CHECK(count == broker->letters.count);
    CHECK(count == broker->letter_pool.used);
}

/* What is taken from each pool is what the state explains: a leak shows at once. */
static void check_pools(const struct broker *broker, const struct tally *tally)
{
    CHECK(tally->tasks == broker->task_pool.used);
    CHECK(tally->tasks == broker->tasks.count);
    CHECK(tally->lanes == broker->lane_pool.used);
    CHECK(tally->flights == broker->flight_pool.used);
    CHECK(tally->flights == broker->flights.count);
    CHECK(tally->affinities == broker->affinity_pool.used);
    CHECK(tally->affinities == broker->affinities.count);
    CHECK(tally->lanes == broker->lanes.count);
    CHECK(tally->targets == broker->target_pool.used);
    CHECK(tally->targets == broker->targets.count);
    CHECK(tally->flows == broker->flow_pool.used);
    CHECK(tally->flows == broker->flows.count);
    CHECK(tally->extras == broker->extra_pool.used);
    CHECK(tally->families == broker->family_pool.used);
    CHECK(tally->joins == broker->join_pool.used);
    CHECK(tally->need_chunks == broker->need_pool.used);
    CHECK(tally->waits == broker->wait_pool.used);
    CHECK(tally->terms == broker->terms_pool.used);
    CHECK(tally->causes == broker->cause_pool.used);
    CHECK(tally->streams == broker->stream_pool.used);
    CHECK(tally->stream_blocks == broker->stream_block_pool.used);
    CHECK(tally->readers == broker->reader_pool.used);
    CHECK(tally->memos == broker->memo_pool.used);
    CHECK(tally->durables == broker->durable_pool.used);
    CHECK(tally->signals == broker->signal_pool.used);
    CHECK(tally->peers == broker->peer_pool.used);
    CHECK(tally->labels == broker->label_pool.used);
    CHECK(tally->services == broker->service_pool.used);
    CHECK(tally->services == broker->services_by_name.count);
    CHECK(tally->offers == broker->offer_pool.used);
    CHECK(tally->strays == broker->stray_pool.used);
    CHECK(tally->strays == broker->strays.count);
    CHECK(tally->watchers == broker->watcher_pool.used);
}

/* Takes back the marks that the tally left. */
static void unsee_all(const struct broker *broker)
{
    each_task(task, broker) {
        unsee_owner(task->owner);
        if (task->flow != NULL) {
            unsee_flow(task->flow);
        }
        if (task->extra != NULL) {
            unsee_lane(task->extra->lane);
        }
        unsee_label(task->worker);
    }
    list_each(link, &broker->peers.lanes[0]) {
        unsee_label(list_entry(link, struct peer, place.lanes)->name);
    }
}

void broker_check(const struct broker *broker)
{
    struct tally tally = {.memory_bytes = 0};
    uint64_t queued_bytes = 0;

    CHECK(list_empty(&broker->wake));
    CHECK(list_empty(&broker->doomed));
    CHECK(list_empty(&broker->dirty));
    CHECK(broker->notes == (broker->watcher_pool.used > 0 ? NOTES_ALL : broker->effects.notes));
    CHECK(broker->cause.size == 0);
    check_tasks(broker, &tally);
    list_each(link, &broker->services.lanes[0]) {
        const struct service *service = list_entry(link, struct service, place.lanes);

        check_service(broker, service, &tally);
        queued_bytes += service->queued_bytes;
        tally.services++;
    }
    CHECK(queued_bytes == broker->stats.queued_bytes);
    list_each(link, &broker->peers.lanes[0]) {
        struct peer *peer = list_entry(link, struct peer, place.lanes);

        check_peer(broker, peer, &tally);
        see_peer(peer, &tally);
    }
    check_letters(broker, &tally);
    limit_check(broker);
    directive_check(broker);
    durable_check(broker);
    check_pools(broker, &tally);
    unsee_all(broker);
}
