/* submission_receive: what the broker and the clock do to submissions. */
#include "agents/runtime/peer_state.h"

#include "common/check.h"
#include "common/prefetch.h"

#include <stdlib.h>

/* Pauses after refusals: doubled with each, from what the broker asked for. */
#define PAUSE_MS_MIN 10
#define PAUSE_MS_MAX 2000
#define PAUSE_DOUBLINGS_MAX 6

static bool code_is(const struct error *error, enum error_code code)
{
    return span_is(error->code, error_code_name(code));
}

static bool may_pass(struct peer *peer, const struct submission *submission,
                     const struct error *error)
{
    const struct submit *submit = &submission->message.submit;

    if (submission->no_wait || submission->cancelling) {
        return false;
    }
    if (code_is(error, ERROR_UNKNOWN_SERVICE)) {
        return submit->if_absent == IF_ABSENT_WAIT;
    }
    if (code_is(error, ERROR_NOT_FOUND)) {
        /* A join may have overtaken a need that was refused for now. */
        return submit->join != JOIN_NONE && !submission_needs_sent(peer, submission);
    }
    if (code_is(error, ERROR_CONFLICT)) {
        /* Our own task of before we were away: it is still being stopped. */
        return error->retryable;
    }
    return code_is(error, ERROR_QUEUE_FULL) || code_is(error, ERROR_WINDOW_EXCEEDED) ||
           code_is(error, ERROR_MEMORY_FULL) || code_is(error, ERROR_DRAINING) ||
           code_is(error, ERROR_RATE_LIMITED) || code_is(error, ERROR_BUDGET_EXHAUSTED) ||
           code_is(error, ERROR_CIRCUIT_OPEN) || code_is(error, ERROR_STORE_UNAVAILABLE);
}

/* Never before the broker said; later each time; not all at the same moment. */
static uint64_t pause_ms(struct peer *peer, struct submission *submission,
                         uint64_t retry_after_ms)
{
    uint64_t pause = retry_after_ms < PAUSE_MS_MIN ? PAUSE_MS_MIN : retry_after_ms;
    uint64_t most = pause > PAUSE_MS_MAX ? pause : PAUSE_MS_MAX;

    if (most > DURATION_MS_MAX) {
        pause = most = DURATION_MS_MAX;
    }
    pause <<= submission->refusals;
    if (pause > most) {
        pause = most;
    }
    if (submission->refusals < PAUSE_DOUBLINGS_MAX) {
        submission->refusals++;
    }
    return pause + peer_random(peer) % (pause / 4 + 1);
}

/* As many as may wait for memory at a time. */
#define EXPECT_MAX 8

void peer_expect(const struct peer *peer, const struct message *messages, size_t count)
{
    const struct submission *found[EXPECT_MAX];
    uint32_t hashes[EXPECT_MAX];
    size_t results = 0;

    for (size_t i = 0; i < count && results < EXPECT_MAX; i++) {
        if (messages[i].command == COMMAND_RESULT) {
            hashes[results++] = id_map_expect(&peer->submissions_by_id,
                                              &messages[i].result.record.id);
        }
    }
    for (size_t i = 0; i < results; i++) {
        struct id_node *node = id_map_at(&peer->submissions_by_id, hashes[i]);

        found[i] = node != NULL ? list_entry(node, struct submission, by_id) : NULL;
        prefetch_bytes(found[i], sizeof *found[i]);
    }
    for (size_t i = 0; i < results; i++) {
        if (found[i] != NULL) {
            prefetch_bytes(found[i]->user, peer->options.user_bytes);
        }
    }
}

bool submission_receive(struct peer *peer, const struct result *result)
{
    const struct outcome_record *record = &result->record;
    struct submission *submission = submission_find(peer, &record->id);

    if (submission == NULL) {
        return false; /* not ours; or ended here already: cancelled, expired, told twice */
    }
    if (record->outcome == OUTCOME_REFUSED) {
        if (submission->state != SUBMISSION_SENT) {
            return true; /* of an earlier sending */
        }
        if (may_pass(peer, submission, &record->error)) {
            submission->taken = false;
            submission_pause(peer, submission,
                             pause_ms(peer, submission, record->error.retry_after_ms));
            return true;
        }
        if (submission->cancelling) {
            submission_end(peer, submission, OUTCOME_CANCELLED, ERROR_CANCELLED,
                           "cancelled by its submitter");
            return true;
        }
    } else if (submission->again && submission->message.submit.stream > 0) {
        /* If the broker had forgotten it when it was submitted again, it runs once more. */
        reading_decline(peer, &record->id);
    }
    submission_finish(peer, submission, result);
    return true;
}

void submission_receive_accepted(struct peer *peer, const struct id *id)
{
    struct submission *submission = submission_find(peer, id);

    if (submission != NULL && !submission->abandoned && peer->sink.accepted != NULL) {
        peer->sink.accepted(peer->sink.context, submission);
    }
}

void submission_receive_started(struct peer *peer, const struct started *started)
{
    struct submission *submission = submission_find(peer, &started->id);

    if (submission != NULL && !submission->abandoned) {
        peer->sink.started(peer->sink.context, submission, started);
    }
}

void submission_receive_progress(struct peer *peer, const struct progress *progress)
{
    struct submission *submission = submission_find(peer, &progress->id);

    if (submission != NULL && !submission->abandoned) {
        peer->sink.progress(peer->sink.context, submission, progress->payload.bytes);
    }
}

void submission_receive_error(struct peer *peer, const struct error_message *error)
{
    struct submission *submission = submission_find(peer, &error->id);
    struct result result;

    if (submission == NULL) {
        return;
    }
    if (error->command == COMMAND_CANCEL && submission->cancelling) {
        submission_end(peer, submission, OUTCOME_CANCELLED, ERROR_CANCELLED,
                       "cancelled by its submitter");
    } else if (error->command == COMMAND_SUBMIT && submission->state == SUBMISSION_SENT) {
        result = (struct result){
            .record = {.id = error->id, .outcome = OUTCOME_REFUSED, .error = error->error}};
        submission_finish(peer, submission, &result);
    }
}

/* PROTOCOL.md, CANCEL: the outcome is `cancelled` from then on. Whether all has
 * stopped or the broker knows of no such task: it is over. */
void submission_cancelled(struct peer *peer, struct submission *submission)
{
    submission_end(peer, submission, OUTCOME_CANCELLED, ERROR_CANCELLED,
                   "cancelled by its submitter");
}

/* ---- a new session ---- */

/* What it needs from us before it can go on; true: nothing, it is over. A task
 * whose parent was taken back is cancelled by a broker that still knows it, and
 * must not be brought to life again in one that does not. */
static bool resume(struct peer *peer, struct submission *submission, bool known)
{
    window_leave(peer, submission);
    if (submission->has_parent) {
        return true;
    }
    if (submission->cancelling) {
        if (known) {
            submission_send_cancel(peer, submission, span_from_text("cancelled again"), true);
        }
        return !known;
    }
    if (submission->was_sent) {
        /* Its workers may need a moment longer than we do to come back. */
        submission->message.submit.if_absent = IF_ABSENT_WAIT;
        submission->again = true;
    }
    if (submission->state != SUBMISSION_PAUSING) {
        submission_enqueue(peer, submission);
    }
    return false;
}

/* First all lists are put in order, then upcalls are made, which may do anything. */
void submissions_resume(struct peer *peer, bool known)
{
    struct list over;
    struct list *next;

    list_init(&over);
    for (struct list *at = peer->submissions.next; at != &peer->submissions; at = next) {
        struct submission *submission = list_entry(at, struct submission, all);

        next = at->next;
        if (resume(peer, submission, known)) {
            list_push_back(&over, &submission->waiting);
        }
    }
    while (!list_empty(&over)) {
        struct submission *submission = list_entry(over.next, struct submission, waiting);

        submission_end(peer, submission, OUTCOME_CANCELLED, ERROR_CANCELLED,
                       submission->has_parent ? "its parent's lease was lost with the connection"
                                              : "cancelled by its submitter");
    }
    window_pump(peer);
}

/* ---- time ---- */

/* How long a broker has the outcome of a held task, for a join that is yet to come. */
#define HELD_KEPT_MS 60000

/* Of a held one the broker tells with its join. */
static bool told_by_join(const struct peer *peer, const struct submission *submission)
{
    return submission->message.submit.held &&
           (submission->join_count > 0 || peer->now_ms < submission->deadline_ms + HELD_KEPT_MS);
}

static void fire(struct peer *peer, struct submission *submission)
{
    bool at_broker = submission->state == SUBMISSION_SENT && peer->state == SESSION_OPEN;

    if (submission->left) {
        submission->left = false;
        submission_set_timer(peer, submission);
        submission_leave(peer, submission);
        return;
    }
    if (peer->now_ms >= submission->deadline_ms) {
        /* The broker tells of it. */
        if (!at_broker || (submission->overdue && !told_by_join(peer, submission))) {
            submission_expire(peer, submission);
            return;
        }
        submission->overdue = true;
    } else if (!submission->taken && peer->now_ms >= submission->ttl_ms) {
        submission_expire(peer, submission);
        return;
    } else if (submission->state == SUBMISSION_PAUSING && peer->now_ms >= submission->retry_ms) {
        submission_enqueue(peer, submission);
    }
    submission_set_timer(peer, submission);
}

void submissions_advance(struct peer *peer)
{
    struct timer *first;

    while ((first = timers_first(&peer->submission_timers)) != NULL &&
           first->at_ms <= peer->now_ms) {
        fire(peer, list_entry(first, struct submission, timer));
    }
}

void submissions_free(struct peer *peer)
{
    while (!list_empty(&peer->submissions)) {
        struct submission *submission =
            list_entry(peer->submissions.next, struct submission, all);

        submission->abandoned = true;
        submission_end(peer, submission, OUTCOME_CANCELLED, ERROR_CANCELLED, "");
    }
    while (peer->spare_submissions != NULL) {
        struct submission *spare = peer->spare_submissions;

        peer->spare_submissions = spare->user;
        free(spare);
    }
}
