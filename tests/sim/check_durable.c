/* PROTOCOL.md, 4.9: what anybody was told of a durable task is safe by then: ACCEPTED and STARTED
 * its record, its outcome that of its end, TASK of one that may be started once that it may have
 * been.
 * What the store has is complete and right, and a broker that begins with it comes to exactly that;
 * so nothing that was accepted is lost, and no outcome told twice is two. It says so as soon as
 * it may, and records no more than its bounds allow. */
#include "tests/sim/check.h"
#include "tests/sim/shadow.h"
#include "tests/sim/shadow_dead.h"
#include "tests/sim/shadow_directive.h"
#include "tests/sim/shadow_memo.h"
#include "tests/sim/shadow_row.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>

#define PROPERTY "durable"

bool check_accepted(const struct shadow_task *task)
{
    return task->row == NULL || task->row->safe;
}

static bool forgets(const struct fact *fact)
{
    return fact->kind == FACT_RECORD && fact->what == STORE_FORGET;
}

size_t check_count_facts(const struct model *model)
{
    size_t count = 0;

    for (size_t i = 0; i < model->fact_count; i++) {
        count += !forgets(&model->facts[i]);
    }
    return count;
}

const struct fact *check_first_fact(const struct model *model)
{
    for (size_t i = 0; i < model->fact_count; i++) {
        if (!forgets(&model->facts[i])) {
            return &model->facts[i];
        }
    }
    return NULL;
}

/* ---- what is recorded -------------------------------------------------------------------- */

static void see_new_row(struct model *model, const struct fact *fact)
{
    struct submit submit = shadow_submit_of(model, fact);
    uint64_t bytes = submit.payload.bytes.size, unsafe = shadow_rows_unsafe_bytes(model);

    MODEL_CHECK(model, PROPERTY, submit.durable && model->store == STORE_OPEN,
                "%s is recorded; it is%s durable, and the store is %s", model_id_text(&fact->id),
                submit.durable ? "" : " not", store_state_name(model->store));
    MODEL_CHECK(model, PROPERTY,
                model_event_is(model, COMMAND_CONTROL) ||
                    fact->said == fact_submit_digest(&submit),
                "the record of %s is not what was submitted", model_id_text(&fact->id));
    MODEL_CHECK(model, PROPERTY, unsafe == 0 || unsafe + bytes <= model->core.unsafe_bytes,
                "%s of %" PRIu64 " bytes is accepted, and %" PRIu64 " are not safe yet",
                model_id_text(&fact->id), bytes, unsafe);
}

static uint64_t checkpoint_of(const struct shadow_task *task)
{
    return task->memo == NULL ? 0 : task->memo->checkpoint;
}

static void see_end_record(struct model *model, const struct fact *fact,
                           const struct shadow_row *row, const struct shadow_task *task)
{
    bool bound = task != NULL && task->row == row;

    MODEL_CHECK(model, PROPERTY,
                bound ? !shadow_ended(task) && task->state != SHADOW_STORING
                      : model->restoring && !row->bound,
                "an end of %s is recorded, which is %s", model_id_text(&row->id),
                task == NULL ? "unknown" : shadow_state_name(task->state));
    MODEL_CHECK(model, PROPERTY,
                bound ? fact->attempt == task->attempt
                      : shadow_row_attempt_fits(row, fact->attempt),
                "the record of the end of %s says attempt %" PRIu64, model_id_text(&row->id),
                fact->attempt);
    if (bound && fact->outcome == OUTCOME_DONE && model->current && model->subject == task) {
        MODEL_CHECK(model, PROPERTY,
                    fact->digest == fact_digest(model->event->message->done.payload.bytes),
                    "the record of the end of %s has another result", model_id_text(&row->id));
    }
}

/* The step takes it away: it is dropped, there is a newer row of its id, or no room for it. */
static bool letter_goes(const struct model *model, const struct shadow_dead *letter)
{
    const struct control *control =
        model_event_is(model, COMMAND_CONTROL) ? &model->event->message->control : NULL;

    if (control != NULL && control->what == CONTROL_DROP &&
        (id_is_nil(&control->task)
             ? span_equal(control->service, letter->said->submit.service)
             : id_equal(&control->task, &letter->id))) {
        return true;
    }
    list_each(at, &model->rows) {
        const struct shadow_row *row = list_entry(at, struct shadow_row, link);

        if (row->key > letter->key && row->directive == NULL && id_equal(&row->id, &letter->id)) {
            return true;
        }
    }
    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];

        if ((fact->kind == FACT_LETTER || (fact->kind == FACT_MOVE && fact->to == SHADOW_FAILED)) &&
            id_equal(&fact->id, &letter->id)) {
            return true; /* or takes the place of an older one */
        }
    }
    return false;
}

static void see_forget(struct model *model, const struct shadow_row *row,
                       const struct shadow_task *task)
{
    const struct shadow_dead *letter = model_dead(model, &row->id);

    MODEL_CHECK(model, PROPERTY, row->ended && !row->forgetting,
                "%s is forgotten, and has not ended for sure", model_id_text(&row->id));
    MODEL_CHECK(model, PROPERTY,
                task == NULL || task->row != row ||
                    (shadow_ended(task) && task->open_joins == 0),
                "%s is forgotten, and is %s; %" PRIu64 " joins need it", model_id_text(&row->id),
                shadow_state_name(task->state), task->open_joins);
    MODEL_CHECK(model, PROPERTY,
                letter == NULL || letter->key != row->key || letter_goes(model, letter),
                "%s is forgotten, and has a dead letter", model_id_text(&row->id));
}

/* All that an operator has said of it so far. */
static void see_directive(struct model *model)
{
    struct shadow_directive next;

    MODEL_CHECK(model, PROPERTY, model_event_is(model, COMMAND_CONTROL),
                "what nobody said of '%s' is recorded", model->directed->service);
    next = shadow_directive_next(model, &model->event->message->control);
    MODEL_CHECK(model, PROPERTY,
                next.what == model->directed->what && next.ms == model->directed->ms &&
                    strcmp(next.service, model->directed->service) == 0 &&
                    memcmp(&next.limits, &model->directed->limits, sizeof next.limits) == 0,
                "what is recorded of '%s' is not what was said", next.service);
}

/* It is said otherwise, or undone, or over; and that was recorded before. */
static void see_undirected(struct model *model, const struct shadow_row *row)
{
    const struct control *control =
        model_event_is(model, COMMAND_CONTROL) ? &model->event->message->control : NULL;
    bool undone = control != NULL && span_is(control->service, row->directive->service) &&
                  ((control->what == CONTROL_RESUME && row->directive->what == CONTROL_PAUSE) ||
                   (control->what == CONTROL_UNDRAIN && row->directive->what == CONTROL_DRAIN));

    MODEL_CHECK(model, PROPERTY,
                undone || shadow_directive_row(model, row->directive, NULL) != row ||
                    (model->restoring && shadow_directive_over(model, row)),
                "what was said of '%s' is forgotten", row->directive->service);
}

static void see_record(struct model *model, const struct fact *fact)
{
    const struct shadow_row *row = shadow_row_find(model, fact->key);
    const struct shadow_task *task;

    if (fact->what == STORE_DIRECTIVE) {
        see_directive(model);
        return;
    }
    if (fact->what == STORE_TASK) {
        MODEL_CHECK(model, PROPERTY, row == NULL, "row %" PRIu64 " is made a second time",
                    fact->key);
        see_new_row(model, fact);
        return;
    }
    MODEL_CHECK(model, PROPERTY, row != NULL, "a record of row %" PRIu64 ", which is not there",
                fact->key);
    if (row->directive != NULL) {
        see_undirected(model, row);
        return;
    }
    MODEL_CHECK(model, PROPERTY, fact->what == STORE_FORGET || !row->ending,
                "a record of %s after its end", model_id_text(&row->id));
    task = model_task(model, &row->id);
    switch (fact->what) {
    case STORE_TASK:
    case STORE_DIRECTIVE:
        break;
    case STORE_ATTEMPT:
        MODEL_CHECK(model, PROPERTY,
                    task != NULL && task->row == row &&
                        (task->attempt == 0 ? 0 : task->attempt - task->attempts_before) ==
                            fact->attempt,
                    "%" PRIu64 " attempts of %s are recorded", fact->attempt,
                    model_id_text(&row->id));
        break;
    case STORE_CHECKPOINT:
        MODEL_CHECK(model, PROPERTY,
                    task != NULL && task->row == row && checkpoint_of(task) == fact->digest,
                    "another checkpoint of %s is recorded", model_id_text(&row->id));
        MODEL_CHECK(model, PROPERTY, row->pending_checkpoints == 0,
                    "two checkpoints of %s are under way", model_id_text(&row->id));
        break;
    case STORE_END:
        see_end_record(model, fact, row, task);
        break;
    case STORE_FORGET:
        see_forget(model, row, task);
        break;
    }
}

/* ---- what is told ------------------------------------------------------------------------ */

/* Told again, a join has the same results. (What it did not wait for may have ended since: after a
 * restart it shows as what became of it.) An orphan has let go of them, and of those of which one
 * is damaged nothing is told. */
static void check_inputs(struct model *model, const struct fact *fact,
                         const struct shadow_task *task, const struct shadow_row *row)
{
    bool whole = task->policy != JOIN_NONE && !task->orphan;

    for (size_t i = 0; i < row->input_count && whole; i++) {
        bool cut = row->inputs[i] == OUTCOME_CANCELLED || row->inputs[i] == OUTCOME_EXPIRED;

        MODEL_CHECK(model, PROPERTY,
                    i < fact->input_count && (cut || row->inputs[i] == fact->input_outcomes[i]),
                    "join %s is told again, its input %zu is %s and was %s",
                    model_id_text(&fact->id), i, outcome_name(fact->input_outcomes[i]),
                    outcome_name(row->inputs[i]));
    }
}

static void see_result(struct model *model, const struct fact *fact,
                       const struct shadow_task *task, struct shadow_row *row)
{
    if (fact->outcome == OUTCOME_REFUSED) {
        return;
    }
    MODEL_CHECK(model, PROPERTY, row->ended, "RESULT of %s, whose end is not safe",
                model_id_text(&fact->id));
    MODEL_CHECK(model, PROPERTY, row->outcome == fact->outcome && row->digest == fact->digest,
                "RESULT of %s is %s; the store says %s%s", model_id_text(&fact->id),
                outcome_name(fact->outcome), outcome_name(row->outcome),
                row->outcome == fact->outcome ? ", with something else" : "");
    MODEL_CHECK(model, PROPERTY, strcmp(row->code, fact->code) == 0,
                "RESULT of %s says '%s'; the store says '%s'", model_id_text(&fact->id), fact->code,
                row->code);
    if (row->told) {
        sometimes(SOMETIMES_OUTCOME_TOLD_AGAIN);
        check_inputs(model, fact, task, row);
    }
    row->told = true;
    row->input_count = fact->input_count < 16 ? fact->input_count : 16;
    memcpy(row->inputs, fact->input_outcomes, sizeof row->inputs);
}

static void see_send(struct model *model, const struct fact *fact)
{
    struct shadow_task *task = model_task(model, &fact->id);
    struct shadow_row *row = task != NULL ? task->row : NULL;

    if (row == NULL) {
        return;
    }
    switch (fact->command) {
    case COMMAND_ACCEPTED:
    case COMMAND_STARTED:
        MODEL_CHECK(model, PROPERTY, row->safe, "%s of %s, which is not safe",
                    command_name(fact->command), model_id_text(&fact->id));
        row->accepted = true;
        break;
    case COMMAND_TASK:
        MODEL_CHECK(model, PROPERTY, !row->once || row->attempts > 0,
                    "TASK %s, which may be started once: that it was is not safe",
                    model_id_text(&fact->id));
        MODEL_CHECK(model, PROPERTY, !row->once || !row->handed,
                    "TASK %s, which may be started once, a second time",
                    model_id_text(&fact->id));
        row->handed = true;
        break;
    case COMMAND_RESULT:
        see_result(model, fact, task, row);
        break;
    default:
        break;
    }
}

/* ---- what moves -------------------------------------------------------------------------- */

static enum shadow_state state_restored(const struct model *model, const struct shadow_row *row,
                                        enum shadow_state *aim)
{
    const struct submit *submit = &row->said->submit;

    *aim = SHADOW_STORING;
    if (row->ended) {
        return shadow_state_of(row->outcome);
    }
    if (!id_is_nil(&submit->parent)) {
        sometimes(SOMETIMES_RESTORED_CHILD);
        *aim = SHADOW_CANCELLED;
        return SHADOW_STORING;
    }
    if (submit->join != JOIN_NONE && shadow_row_submit(model, row).join == JOIN_NONE) {
        sometimes(SOMETIMES_RESTORED_JOIN_BROKEN);
        *aim = SHADOW_FAILED;
        return SHADOW_STORING;
    }
    if (row->attempts >= submit->attempts && row->attempts > 0) {
        sometimes(SOMETIMES_RESTORED_STARTED_ONCE);
        *aim = SHADOW_FAILED;
        return SHADOW_STORING;
    }
    return submit->join != JOIN_NONE ? SHADOW_WAITING
           : submit->delay_ms > 0    ? SHADOW_DELAYED
                                     : SHADOW_READY;
}

static void note_restored(const struct shadow_row *row)
{
    if (row->ended) {
        sometimes(SOMETIMES_RESTORED_OUTCOME);
    } else if (row->said->submit.join != JOIN_NONE) {
        sometimes(SOMETIMES_RESTORED_JOIN);
    } else if (row->checkpoint != 0) {
        sometimes(SOMETIMES_RESTORED_CHECKPOINT);
    } else if (row->attempts > 0) {
        sometimes(SOMETIMES_RESTORED_RETRIED);
    }
    if (!row->ended && row->twin[0] != '\0') {
        sometimes(SOMETIMES_RESTORED_TWIN);
    }
}

static void see_restored(struct model *model, const struct fact *fact)
{
    const struct shadow_row *row = shadow_row_unbound(model, &fact->id);
    enum shadow_state to, aim;
    bool follows;

    MODEL_CHECK(model, PROPERTY, row != NULL && row->safe, "%s is restored, which was not safe",
                model_id_text(&fact->id));
    to = state_restored(model, row, &aim);
    note_restored(row);
    follows = fact->to == SHADOW_WAITING && row->twin[0] != '\0' &&
              (to == SHADOW_READY || to == SHADOW_DELAYED); /* check_one_run_a_key */
    MODEL_CHECK(model, PROPERTY,
                follows || (fact->to == to && (to != SHADOW_STORING || fact->aim == aim)),
                "%s is restored as %s, and was %s", model_id_text(&fact->id),
                shadow_state_name(fact->to), shadow_state_name(to));
    MODEL_CHECK(model, PROPERTY, shadow_row_attempt_fits(row, fact->attempt),
                "%s is restored with attempt %" PRIu64, model_id_text(&fact->id), fact->attempt);
}

static void see_move(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task;

    if (model->restoring && fact->from == SHADOW_NEW) {
        see_restored(model, fact);
        return;
    }
    task = fact->from == SHADOW_NEW ? NULL : model_task(model, &fact->id);
    if (task != NULL && fact->to == SHADOW_LEASED) {
        MODEL_CHECK(model, PROPERTY, fact->starts == (task->row != NULL && task->row->once),
                    "%s is handed out%s", model_id_text(&fact->id),
                    fact->starts ? " later" : ", and nobody has recorded that");
    }
    if (task != NULL && task->row != NULL && fact->from == SHADOW_LEASED &&
        (fact->to == SHADOW_READY || fact->to == SHADOW_DELAYED)) {
        MODEL_CHECK(model, PROPERTY,
                    task->row->attempts_said == task->attempt - task->attempts_before,
                    "%s is tried again after attempt %" PRIu64 ", which is not recorded",
                    model_id_text(&fact->id), task->attempt);
    }
    if (task == NULL || fact->to < SHADOW_STORING) {
        return;
    }
    if (!task->durable) {
        MODEL_CHECK(model, PROPERTY, fact->to != SHADOW_STORING, "%s is storing, and not durable",
                    model_id_text(&fact->id));
        return;
    }
    if (fact->to == SHADOW_STORING) {
        sometimes(task->starting && model->store == STORE_LOST ? SOMETIMES_START_LOST
                                                               : SOMETIMES_STORING);
        return;
    }
    MODEL_CHECK(model, PROPERTY,
                fact->from == SHADOW_STORING && task->row != NULL && task->row->ended,
                "%s is %s, which is not safe", model_id_text(&fact->id),
                shadow_state_name(fact->to));
}

static void on_fact(struct model *model, const struct fact *fact)
{
    if (fact->kind == FACT_RECORD) {
        see_record(model, fact);
    } else if (fact->kind == FACT_SEND) {
        see_send(model, fact);
        if (fact->command == COMMAND_RESULT && strcmp(fact->code, "store_unavailable") == 0) {
            sometimes(SOMETIMES_REFUSED_STORE);
            MODEL_CHECK(model, PROPERTY, model->store != STORE_OPEN || model->record_count > 0,
                        "%s is refused, and the store has room", model_id_text(&fact->id));
        }
    } else if (fact->kind == FACT_MOVE) {
        see_move(model, fact);
    }
}

/* ---- what must have been told ------------------------------------------------------------ */

static void check_told(struct model *model, const struct shadow_task *task)
{
    struct shadow_row *row = task->row;
    const struct shadow_session *session;

    MODEL_CHECK(model, PROPERTY, task->state != SHADOW_STORING || !row->ended,
                "the end of %s is safe, and it is storing", model_id_text(&task->id));
    /* Whatever else of it is on its way. */
    session = model_session_by_id(model, &task->session);
    if (row->fresh && task->receipts && !task->orphan && !task->alone && session != NULL &&
        session->connection != 0) {
        MODEL_CHECK(model, PROPERTY, row->accepted, "%s is safe, and its submitter is not told",
                    model_id_text(&task->id));
    }
    row->fresh = false;
    if (row->pending > 0) {
        return;
    }
    MODEL_CHECK(model, PROPERTY, !task->starting,
                "%s may be started, and its worker has not got it", model_id_text(&task->id));
    MODEL_CHECK(model, PROPERTY,
                task->state == SHADOW_STORING || row->checkpoint == checkpoint_of(task),
                "all records of %s are safe, and its checkpoint is not", model_id_text(&task->id));
}

static void check_restored(struct model *model)
{
    list_each(at, &model->rows) {
        const struct shadow_row *row = list_entry(at, struct shadow_row, link);

        MODEL_CHECK(model, PROPERTY, row->bound, "%s was stored, and is not restored",
                    model_id_text(&row->id));
    }
}

/* The step has said that a CONTROL is done. */
static bool is_granted(const struct model *model)
{
    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];

        if (fact->kind == FACT_SEND && fact->command == COMMAND_REPLY) {
            return fact->code[0] == '\0';
        }
    }
    return false;
}

/* What an operator has said is on its way to the store, and nothing that it takes back. */
static void check_directed(struct model *model, const struct control *control)
{
    struct shadow_directive directive = shadow_directive_of(control);
    bool undoes = directive.what == CONTROL_RESUME || directive.what == CONTROL_UNDRAIN;
    const struct shadow_row *row;

    directive.what = directive.what == CONTROL_RESUME    ? CONTROL_PAUSE
                     : directive.what == CONTROL_UNDRAIN ? CONTROL_DRAIN
                                                         : directive.what;
    if (directive.what != CONTROL_LIMIT && directive.what != CONTROL_PAUSE &&
        (directive.what != CONTROL_DRAIN || directive.service[0] == '\0')) {
        return;
    }
    row = shadow_directive_row(model, &directive, NULL);
    MODEL_CHECK(model, PROPERTY, undoes ? row == NULL : row != NULL && row->pending > 0,
                "what was said of '%s' is not %s", directive.service,
                undoes ? "forgotten" : "recorded");
    MODEL_CHECK(model, PROPERTY, row == NULL || shadow_directive_row(model, &directive, row) == NULL,
                "what was said of '%s' before is not forgotten", directive.service);
}

static void after(struct model *model, const struct broker *core)
{
    if (model_event_is(model, COMMAND_CONTROL) && is_granted(model)) {
        check_directed(model, &model->event->message->control);
    }
    if (model->restoring) {
        check_restored(model);
    }
    MODEL_CHECK(model, PROPERTY, model->store != STORE_LOST || model->starting == 0,
                "%" PRIu64 " wait for a lost store to start", model->starting);
    if (model->event->kind != EVENT_STORED) {
        return;
    }
    list_each(at, &model->tasks) {
        const struct shadow_task *task = list_entry(at, struct shadow_task, link);

        if (task->row != NULL) {
            check_told(model, task);
        }
    }
}

/* Each that was ever accepted has ended, in whichever life of the broker. */
static void rest(struct model *model, const struct broker *core)
{
    for (size_t i = 0; i < model->record_count; i++) {
        MODEL_CHECK(model, PROPERTY,
                    model->records[i].what == STORE_FORGET ||
                        model->records[i].what == STORE_DIRECTIVE,
                    "at rest record %" PRIu64 " is not safe", model->records[i].sequence);
    }
    list_each(at, &model->rows) {
        const struct shadow_row *row = list_entry(at, struct shadow_row, link);

        MODEL_CHECK(model, PROPERTY, row->ended || row->directive != NULL,
                    "at rest %s has not ended", model_id_text(&row->id));
    }
}

const struct checker check_durable = {
    .property = PROPERTY, .fact = on_fact, .after = after, .rest = rest};
