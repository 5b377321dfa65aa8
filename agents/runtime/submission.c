/* submission: a task of ours, from peer_submit to its one result. */
#include "agents/runtime/peer_state.h"
#include "agents/runtime/terms.h"

#include "common/check.h"
#include "common/prefetch.h"
#include "proto/codec.h"

#include <stdlib.h>

/* The broker says when a task has expired; we say it ourselves so much later
 * if it does not (a RESULT may be under way when the deadline passes). */
#define OVERDUE_GRACE_MS 1000
/* Until the needs of a join have been sent. */
#define NEEDS_PAUSE_MS 10

struct submission *submission_find(const struct peer *peer, const struct id *id)
{
    struct id_node *node = id_map_find(&peer->submissions_by_id, id);

    return node != NULL ? list_entry(node, struct submission, by_id) : NULL;
}

/* ---- memory ---- */

/* One allocation: the struct, the needs, the service's name and a small payload. Most need
 * no more than SPARE_ROOM behind the struct, and are used again. */
#define SPARE_ROOM 256
#define SPARE_MAX 4096

static struct submission *take_memory(struct peer *peer, size_t room)
{
    struct submission *submission = peer->spare_submissions;
    bool roomy = room <= SPARE_ROOM;

    if (roomy && submission != NULL) {
        peer->spare_submissions = submission->user;
        peer->spare_submission_count--;
        prefetch_bytes(submission->user, sizeof *submission + SPARE_ROOM / 2); /* the next */
    } else {
        submission = malloc(sizeof *submission + (roomy ? SPARE_ROOM : room));
    }
    if (submission != NULL) {
        memset(submission, 0, offsetof(struct submission, message));
        submission->roomy = roomy;
    }
    return submission;
}

static void submission_free(struct peer *peer, struct submission *submission)
{
    blob_unref(submission->message.submit.payload.blob);
    if (submission->roomy && peer->spare_submission_count < SPARE_MAX) {
        submission->user = peer->spare_submissions;
        peer->spare_submissions = submission;
        peer->spare_submission_count++;
    } else {
        free(submission);
    }
}

/* ---- state ---- */

static void set_state(struct peer *peer, struct submission *submission, enum submission_state next)
{
    bool was_sent = submission->state == SUBMISSION_SENT;
    bool is_sent = next == SUBMISSION_SENT;

    if (was_sent != is_sent) {
        window_count(peer, submission, is_sent);
    }
    submission->state = next;
}

/* ---- time ---- */

static uint64_t absolute(const struct peer *peer, uint64_t duration_ms)
{
    return duration_ms == 0 ? TIMERS_NEVER : peer->now_ms + duration_ms;
}

/* Counts from when it is ready. When what waits for others, or for a time of the broker's clock,
 * will be, only the broker knows. */
static void set_ttl(const struct peer *peer, struct submission *submission)
{
    uint64_t ready_ms = peer->now_ms;

    if (submission->start_ms != TIMERS_NEVER && submission->start_ms > ready_ms) {
        ready_ms = submission->start_ms;
    }
    submission->ttl_ms = TIMERS_NEVER;
    if (submission->queue_ttl_ms > 0 && submission->message.submit.join == JOIN_NONE &&
        submission->run_at_ms == 0) {
        submission->ttl_ms = ready_ms + submission->queue_ttl_ms;
    }
}

/* There is room in the heap for every submission from the start, so this cannot fail. Most have no
 * time, and are never in it. */
void submission_set_timer(struct peer *peer, struct submission *submission)
{
    uint64_t at_ms = submission->deadline_ms;

    if (submission->overdue) {
        at_ms = peer->now_ms + OVERDUE_GRACE_MS;
    }
    if (!submission->taken && submission->ttl_ms < at_ms) {
        at_ms = submission->ttl_ms;
    }
    if (submission->state == SUBMISSION_PAUSING && submission->retry_ms < at_ms) {
        at_ms = submission->retry_ms;
    }
    if (submission->left) {
        at_ms = peer->now_ms;
    }
    if (at_ms == TIMERS_NEVER) {
        timers_clear(&peer->submission_timers, &submission->timer);
    } else {
        CHECK(timers_set(&peer->submission_timers, &submission->timer, at_ms));
    }
}

/* ---- ending ---- */

static void detach(struct peer *peer, struct submission *submission)
{
    set_state(peer, submission, SUBMISSION_WAITING);
    id_map_remove(&peer->submissions_by_id, &submission->by_id);
    timers_clear(&peer->submission_timers, &submission->timer);
    list_unlink(&submission->all);
    window_leave(peer, submission);
    peer->submission_count--;
    peer->ended_count++;
    peer->submission_bytes -= submission->cost_bytes;
    if (!submission->message.submit.held) {
        peer->open_count--;
        peer->open_bytes -= submission->cost_bytes;
    }
    if (submission->cancel_request != 0) {
        id_map_remove(&peer->cancels, &submission->by_cancel);
        submission->cancel_request = 0;
    }
}

static struct submission *need_at(const struct peer *peer, const struct submit *submit,
                                  size_t index)
{
    struct id id;

    memcpy(id.bytes, submit->needs + index * submit->needs_stride, sizeof id.bytes);
    return submission_find(peer, &id);
}

static void count_join(struct peer *peer, const struct submission *join, bool begin)
{
    for (size_t i = 0; i < join->message.submit.needs_count; i++) {
        struct submission *need = need_at(peer, &join->message.submit, i);

        if (need != NULL && begin) {
            need->join_count++;
        } else if (need != NULL && need->join_count > 0) {
            need->join_count--;
        }
    }
}

/* A held task whose join has ended without telling of it was cancelled with the
 * join; no RESULT will come. The CANCEL asks for the word that it has stopped. */
void submission_leave(struct peer *peer, struct submission *need)
{
    if (need->message.submit.held && need->join_count == 0) {
        peer_cancel(peer, need, span_from_text("its join has ended"));
    }
}

void peer_leave_needs(struct peer *peer, const struct submit *join)
{
    for (size_t i = 0; i < join->needs_count; i++) {
        struct submission *need = need_at(peer, join, i);

        if (need != NULL) {
            submission_leave(peer, need);
        }
    }
}

void peer_leave_need(struct peer *peer, struct submission *need)
{
    need->left = true;
    submission_set_timer(peer, need);
}

void submission_finish(struct peer *peer, struct submission *submission,
                       const struct result *result)
{
    detach(peer, submission);
    count_join(peer, submission, false);
    if (!submission->abandoned) {
        peer->sink.result(peer->sink.context, submission, result);
    } else if (result->input_count > 0) {
        peer_settle(peer, result->record.payload.bytes);
    }
    peer_leave_needs(peer, &submission->message.submit);
    submission_free(peer, submission);
}

static struct result result_of(const struct id *id, enum outcome outcome, enum error_code code,
                               const char *message)
{
    return (struct result){
        .record = {
            .id = *id,
            .outcome = outcome,
            .error = {
                .code = span_from_text(error_code_name(code)),
                .message = span_from_text(message),
                .retryable = error_code_retryable(code),
            },
        },
    };
}

void submission_end(struct peer *peer, struct submission *submission, enum outcome outcome,
                        enum error_code code, const char *message)
{
    struct result result = result_of(&submission->by_id.id, outcome, code, message);

    submission_finish(peer, submission, &result);
}

void submission_expire(struct peer *peer, struct submission *submission)
{
    const char *why = submission->state == SUBMISSION_SENT
                          ? "its deadline passed and the broker has not answered"
                      : submission->state == SUBMISSION_PAUSING
                          ? "its time passed while the broker refused it"
                      : peer->state == SESSION_OPEN ? "its time passed while it waited for room"
                                                    : "its time passed without a broker";

    submission_end(peer, submission, OUTCOME_EXPIRED, ERROR_EXPIRED, why);
}

/* ---- sending ---- */

/* What is left until its time has come. The broker's clock says when `run_at_ms` is. */
static uint64_t delay_left_ms(const struct peer *peer, const struct submission *submission)
{
    uint64_t clock_ms = peer->welcome.time_ms + (peer->now_ms - peer->welcome_ms);
    uint64_t left_ms = 0;

    if (submission->start_ms != TIMERS_NEVER && submission->start_ms > peer->now_ms) {
        left_ms = submission->start_ms - peer->now_ms;
    }
    if (submission->run_at_ms > clock_ms && submission->run_at_ms - clock_ms > left_ms) {
        left_ms = submission->run_at_ms - clock_ms;
    }
    return left_ms < DURATION_MS_MAX ? left_ms : DURATION_MS_MAX;
}

/* With what is left of its deadline, its delay and its TTL now. But if a broker may have had it, it
 * may have been started in time: then its TTL begins anew. */
static void send_submit(struct peer *peer, struct submission *submission)
{
    struct submit *submit = &submission->message.submit;

    if (submission->deadline_ms != TIMERS_NEVER) {
        submit->deadline_ms = submission->deadline_ms - peer->now_ms;
    }
    submit->delay_ms = delay_left_ms(peer, submission);
    if (submission->taken) {
        set_ttl(peer, submission);
    }
    submit->queue_ttl_ms = submission->queue_ttl_ms;
    if (submission->ttl_ms - peer->now_ms < submit->queue_ttl_ms) {
        submit->queue_ttl_ms = submission->ttl_ms - peer->now_ms;
    }
    set_state(peer, submission, SUBMISSION_SENT);
    submission->was_sent = true;
    submission->taken = true;
    peer_send(peer, &submission->message);
}

void submission_pause(struct peer *peer, struct submission *submission, uint64_t pause_ms)
{
    window_leave(peer, submission);
    set_state(peer, submission, SUBMISSION_PAUSING);
    submission->retry_ms = peer->now_ms + pause_ms;
    submission_set_timer(peer, submission);
}

bool submission_needs_sent(const struct peer *peer, const struct submission *submission)
{
    const struct submit *submit = &submission->message.submit;

    for (size_t i = 0; i < submit->needs_count; i++) {
        const struct submission *need = need_at(peer, submit, i);

        if (need != NULL && need->state != SUBMISSION_SENT) {
            return false;
        }
    }
    return true;
}

void submission_dispatch(struct peer *peer, struct submission *submission)
{
    const struct submit *submit = &submission->message.submit;

    window_leave(peer, submission);
    if (peer->now_ms >= submission->deadline_ms ||
        (!submission->taken && peer->now_ms >= submission->ttl_ms)) {
        submission_expire(peer, submission);
    } else if (submit->payload.bytes.size > peer->welcome.payload_bytes) {
        submission_end(peer, submission, OUTCOME_REFUSED, ERROR_TOO_LARGE,
                    "the payload is larger than the broker takes: pass it by reference");
    } else if (submit->join != JOIN_NONE && !submission_needs_sent(peer, submission)) {
        submission_pause(peer, submission, NEEDS_PAUSE_MS);
    } else {
        send_submit(peer, submission);
    }
}

void submission_enqueue(struct peer *peer, struct submission *submission)
{
    set_state(peer, submission, SUBMISSION_WAITING);
    window_wait(peer, submission);
}

/* ---- the application's calls ---- */

static struct submission *submission_new(struct peer *peer, const struct submit *submit)
{
    bool small = submit->payload.blob == NULL && submit->payload.bytes.size <= PAYLOAD_INLINE_MAX;
    size_t needs_bytes = submit->needs_count * ID_BYTES;
    size_t payload_bytes = small ? submit->payload.bytes.size : 0;
    struct submission *submission =
        take_memory(peer, needs_bytes + terms_text_bytes(submit) + payload_bytes);
    uint8_t *to = (uint8_t *)(submission + 1);
    struct submit *copy;

    if (submission == NULL) {
        return NULL;
    }
    submission->message.command = COMMAND_SUBMIT; /* take_memory has left all of it as it was */
    copy = &submission->message.submit;
    *copy = *submit;
    copy->needs = to;
    copy->needs_stride = ID_BYTES;
    for (size_t i = 0; i < submit->needs_count; i++, to += ID_BYTES) {
        memcpy(to, submit->needs + i * submit->needs_stride, ID_BYTES);
    }
    to = terms_copy_texts(copy, to);
    if (payload_bytes > 0) {
        memcpy(to, submit->payload.bytes.data, payload_bytes);
    }
    if (small) {
        copy->payload.bytes = span_of(to, payload_bytes);
        return submission;
    }
    copy->payload.blob = submit->payload.blob != NULL ? blob_ref(submit->payload.blob)
                                                      : blob_new(submit->payload.bytes);
    if (copy->payload.blob == NULL) {
        free(submission);
        return NULL;
    }
    copy->payload.bytes = blob_span(copy->payload.blob);
    return submission;
}

static void set_terms(const struct peer *peer, struct submission *submission,
                      const struct submission_options *options)
{
    struct submit *submit = &submission->message.submit;

    submission->by_id.id = submit->id;
    submission->user = options->user;
    submission->no_wait = options->no_wait;
    submission->cost_bytes = submit->payload.bytes.size;
    submission->deadline_ms = absolute(peer, submit->deadline_ms);
    submission->start_ms = absolute(peer, submit->delay_ms);
    submission->queue_ttl_ms = submit->queue_ttl_ms;
    submission->run_at_ms = options->run_at_ms;
    set_ttl(peer, submission);
    submit->parent = (struct id){{0}};
    submit->parent_attempt = 0;
    if (options->parent != NULL) {
        submission->has_parent = true;
        submit->parent = options->parent->by_id.id;
        submit->parent_attempt = options->parent->attempt;
    }
    list_init(&submission->all);
    list_init(&submission->waiting);
    list_init(&submission->sibling);
}

/* False: no memory. */
static bool attach(struct peer *peer, struct submission *submission)
{
    if (!timers_reserve(&peer->submission_timers, peer->submission_count + 1)) {
        return false;
    }
    id_map_insert(&peer->submissions_by_id, &submission->by_id);
    list_push_back(&peer->submissions, &submission->all);
    peer->submission_count++;
    peer->submission_bytes += submission->cost_bytes;
    if (!submission->message.submit.held) {
        peer->open_count++;
        peer->open_bytes += submission->cost_bytes;
    }
    count_join(peer, submission, true);
    return true;
}

/* Why it cannot even wait here; ERROR_NONE: it can. */
static enum error_code bar(struct peer *peer, const struct submission *submission,
                           const struct submission_options *options)
{
    if (submission_find(peer, &submission->by_id.id) != NULL) {
        return ERROR_CONFLICT;
    }
    if (submission->cost_bytes > PAYLOAD_BYTES_MAX ||
        (peer->state == SESSION_OPEN && submission->cost_bytes > peer->welcome.payload_bytes)) {
        return ERROR_TOO_LARGE;
    }
    if (peer->submission_count >= peer->options.submissions_max ||
        peer->submission_bytes + submission->cost_bytes > peer->options.submissions_bytes_max) {
        return ERROR_WINDOW_EXCEEDED;
    }
    if (options->no_wait && peer->state == SESSION_OPEN &&
        !window_takes_now(peer, submission)) {
        return ERROR_WINDOW_EXCEEDED;
    }
    if (options->parent != NULL && options->parent->lost) {
        return ERROR_CANCELLED;
    }
    return ERROR_NONE;
}

static const char *bar_message(enum error_code code)
{
    switch (code) {
    case ERROR_CONFLICT:
        return "a task with this id is under way already";
    case ERROR_TOO_LARGE:
        return "the payload is larger than the broker takes";
    case ERROR_WINDOW_EXCEEDED:
        return "too many tasks of this process are under way";
    case ERROR_CANCELLED:
        return "the task that this one belongs to has been taken away";
    default:
        return "refused before it was sent";
    }
}

struct submission *peer_submit(struct peer *peer, const struct submit *submit,
                               const struct submission_options *options)
{
    struct submission *submission;
    struct id id = submit->id;
    enum error_code code;
    uint64_t ended;

    CHECK(submit->needs_count <= NEEDS_MAX);
    CHECK(submit->join != JOIN_NONE || service_name_valid(submit->service));
    submission = submission_new(peer, submit);
    if (submission == NULL) {
        return NULL;
    }
    set_terms(peer, submission, options);
    code = bar(peer, submission, options);
    if (code != ERROR_NONE) {
        struct result result = result_of(&submission->by_id.id,
                                         code == ERROR_CANCELLED ? OUTCOME_CANCELLED
                                                                 : OUTCOME_REFUSED,
                                         code, bar_message(code));

        peer->sink.result(peer->sink.context, submission, &result);
        peer_leave_needs(peer, &submission->message.submit);
        submission_free(peer, submission);
        return NULL;
    }
    if (!attach(peer, submission)) {
        submission_free(peer, submission);
        return NULL;
    }
    if (submission->deadline_ms != TIMERS_NEVER || submission->ttl_ms != TIMERS_NEVER) {
        submission_set_timer(peer, submission);
    }
    ended = peer->ended_count;
    window_enter(peer, submission);
    /* If anything has ended meanwhile, it may have been this one. */
    return ended == peer->ended_count ? submission : submission_find(peer, &id);
}

void submission_send_cancel(struct peer *peer, struct submission *submission, struct span reason,
                        bool confirm)
{
    struct message message = {.command = COMMAND_CANCEL,
                              .cancel = {.id = submission->by_id.id, .reason = reason}};

    if (confirm && submission->cancel_request == 0) {
        submission->cancel_request = ++peer->request_last;
        submission->by_cancel.id = id_of_number(submission->cancel_request);
        id_map_insert(&peer->cancels, &submission->by_cancel);
    }
    message.cancel.request = submission->cancel_request;
    if (peer_speaks(peer)) {
        peer_send(peer, &message);
    }
}

void peer_cancel(struct peer *peer, struct submission *submission, struct span reason)
{
    if (submission->cancelling) {
        return;
    }
    submission->cancelling = true;
    if (submission->state == SUBMISSION_SENT) {
        submission_send_cancel(peer, submission, reason, submission->message.submit.held);
        return;
    }
    if (submission->was_sent && submission->state == SUBMISSION_WAITING) {
        /* The broker may know it from before the session was opened again. If not, it says so. */
        window_leave(peer, submission);
        set_state(peer, submission, SUBMISSION_SENT);
        submission_send_cancel(peer, submission, reason, true);
    } else {
        submission_end(peer, submission, OUTCOME_CANCELLED, ERROR_CANCELLED,
                       "cancelled by its submitter");
    }
    window_pump_soon(peer);
}

void peer_abandon(struct peer *peer, struct submission *submission)
{
    submission->abandoned = true;
    submission->user = NULL;
    if (submission->message.submit.detached) {
        return; /* it goes on: it is sent until the broker has it, and nobody hears of its end */
    }
    peer_cancel(peer, submission, span_from_text("abandoned"));
}

void peer_forget(struct peer *peer, struct submission *submission)
{
    CHECK(submission->message.submit.detached);
    submission->abandoned = true;
    submission->user = NULL;
    submission_end(peer, submission, OUTCOME_CANCELLED, ERROR_CANCELLED, "");
    window_pump_soon(peer);
}

void peer_settle(struct peer *peer, struct span inputs)
{
    struct result result = {0};
    size_t at = 0;

    while (codec_read_input(inputs, &at, &result.record)) {
        struct submission *submission = submission_find(peer, &result.record.id);

        if (submission != NULL && submission->message.submit.held) {
            submission_finish(peer, submission, &result);
        }
    }
}

const struct id *peer_submission_id(const struct submission *submission)
{
    return &submission->by_id.id;
}

void *peer_submission_user(const struct submission *submission)
{
    return submission->user;
}
