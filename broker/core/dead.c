#include "broker/core/dead.h"

#include "broker/core/durable.h"
#include "broker/core/ending.h"
#include "broker/core/handle.h"
#include "broker/core/page.h"
#include "broker/core/retention.h"
#include "broker/core/watch.h"
#include "common/mutant.h"

#define DEAD_SHARE 8              /* of memory_max: all letters, whatever dead_bytes says */
#define LETTERS_A_CONTROL 1000    /* one command must not keep everybody waiting */

struct letter *dead_find(const struct broker *broker, const struct id *id)
{
    uint32_t hash = broker_hash(broker, id->bytes, sizeof id->bytes);
    struct table_node *node = table_chain(&broker->letters, hash);

    for (; node != NULL; node = node->next) {
        struct letter *letter = table_entry(node, struct letter, node);

        if (node->hash == hash && id_equal(&letter->id, id)) {
            return letter;
        }
    }
    return NULL;
}

uint64_t letter_bytes(const struct letter *letter)
{
    return sizeof *letter + blob_span(letter->options).size + blob_span(letter->payload).size +
           2 * blob_overhead() + letter->causes.bytes;
}

struct span letter_service(const struct letter *letter)
{
    return terms_unpack(letter->options).service;
}

bool dead_keeps(const struct broker *broker, const struct id *id, uint64_t key)
{
    const struct letter *letter = dead_find(broker, id);

    return letter != NULL && letter->key == key;
}

/* Nor does what is remembered of its task keep the row. */
static bool is_last(const struct broker *broker, const struct letter *letter)
{
    const struct task *task = task_find(broker, &letter->id);
    const struct durable *durable = task != NULL ? task_durable(task) : NULL;

    return letter->key != 0 && (durable == NULL || durable->key != letter->key);
}

void dead_drop(struct broker *broker, struct letter *letter)
{
    if (is_last(broker, letter)) {
        durable_forget(broker, letter->key);
    }
    CHECK(broker->dead_bytes >= letter_bytes(letter));
    broker->dead_bytes -= letter_bytes(letter);
    table_remove(&broker->letters, &letter->node);
    roster_remove(&letter->place);
    cause_clear(broker, &letter->causes);
    blob_unref(letter->options);
    blob_unref(letter->payload);
    pool_put(&broker->letter_pool, letter);
}

static void note_forgotten(struct broker *broker, const struct id *id, struct span service)
{
    broker->stats.dead_forgotten++;
    BROKER_LOG(broker, LOG_WARN, "dead_letter_forgotten", LOG_ID("task", id),
               LOG_TEXT("service", service), LOG_UINT("kept", broker->letters.count));
    if (watch_wanted(broker, NOTE_LETTER_FORGOTTEN)) {
        watch_tell(broker, &(struct note){
                               .kind = NOTE_LETTER_FORGOTTEN, .task = *id, .service = service});
    }
}

/* True: another letter of `bytes` fits, for which the oldest may have had to go. */
static bool make_room(struct broker *broker, uint64_t bytes)
{
    uint64_t share = broker->options.memory_max / DEAD_SHARE;
    uint64_t max = broker->options.dead_bytes < share ? broker->options.dead_bytes : share;

    if (bytes > max || broker->options.dead_tasks == 0) {
        return false;
    }
    while (broker->letters.count >= broker->options.dead_tasks ||
           broker->dead_bytes + bytes > max) {
        struct list *oldest = list_first(&broker->dead.lanes[0]);
        struct letter *letter = list_entry(oldest, struct letter, place.lanes);

        note_forgotten(broker, &letter->id, letter_service(letter));
        dead_drop(broker, letter);
    }
    return true;
}

/* What fails again after a retry has one letter, the newer. */
static struct letter *letter_new(struct broker *broker, const struct task *task, uint64_t bytes)
{
    struct letter *letter = dead_find(broker, &task->id);

    if (letter != NULL) {
        dead_drop(broker, letter);
    }
    letter = make_room(broker, bytes) ? pool_get(&broker->letter_pool) : NULL;
    if (letter == NULL) {
        note_forgotten(broker, &task->id, service_name(task->service));
        return NULL;
    }
    broker->serial++;
    roster_append(&broker->dead, &letter->place, broker->serial,
                  broker_hash(broker, &broker->serial, sizeof broker->serial));
    return letter;
}

void dead_bury(struct broker *broker, struct task *task)
{
    uint64_t before = task_bytes(task);
    struct terms *terms;
    struct letter *letter;

    if (!task_mourned(task) || (MUTANT(DEAD_LETTER_LOST) && task->attempt > 1)) {
        return;
    }
    terms = task->extra->terms;
    letter = letter_new(broker, task,
                        sizeof *letter + blob_span(terms->options).size +
                            blob_span(task->body).size + 2 * blob_overhead() +
                            terms->causes.bytes);
    if (letter == NULL) {
        return;
    }
    letter->id = task->id;
    letter->options = blob_ref(terms->options);
    letter->payload = blob_ref(task->body);
    letter->died_ms = broker->restoring != NULL
                          ? broker_ms_of_unix(broker, broker->restoring->ended_unix_ms)
                          : broker->now_ms;
    letter->attempt = (uint16_t)task_attempt(task);
    letter->key = task_durable(task) != NULL ? task_durable(task)->key : 0;
    letter->causes = terms->causes;
    terms->causes = (struct cause_chain){0};
    task_resized(broker, task, before);
    table_insert(&broker->letters, &letter->node,
                 broker_hash(broker, letter->id.bytes, sizeof letter->id.bytes));
    broker->dead_bytes += letter_bytes(letter);
    if (broker->restoring != NULL) {
        return; /* that was told in its time */
    }
    BROKER_LOG(broker, LOG_WARN, "dead_letter", LOG_ID("task", &letter->id),
               LOG_TEXT("service", service_name(task->service)),
               LOG_UINT("attempt", letter->attempt));
    if (watch_wanted(broker, NOTE_DEAD_LETTER)) {
        struct cause_said said = {0};

        if (letter->causes.last != NULL) {
            said = cause_read(letter->causes.last);
        }
        watch_task(broker, NOTE_DEAD_LETTER, task, label_span(task->worker), said.code);
    }
}

/* A task has the id, and must have it longer. */
static bool id_taken(const struct broker *broker, const struct id *id)
{
    const struct task *task = task_find(broker, id);

    return task != NULL && (!task_ended(task) || task->needed_by != NULL);
}

/* Whoever had it has ended. */
static void free_id(struct broker *broker, const struct id *id)
{
    struct task *task = task_find(broker, id);

    if (task != NULL) {
        retention_remove(broker, task);
        task_free(broker, task);
    }
}

enum error_code dead_retry(struct broker *broker, struct peer *peer, struct letter *letter)
{
    struct submit submit = terms_unpack(letter->options);
    enum error_code code;
    struct task *task;

    submit.id = letter->id;
    submit.payload = (struct payload){blob_span(letter->payload), letter->payload};
    submit.detached = true;
    submit.durable |= durable_by_service(broker, submit.service);
    submit.idempotency_key = span_of(NULL, 0); /* its past must not answer for it */
    if (letter->attempt > ATTEMPT_NUMBERS_MAX ||
        strays_too_many(strays_of(broker, NULL, &letter->id))) {
        return ERROR_LIMIT_EXCEEDED;
    }
    if (id_taken(broker, &letter->id)) {
        return ERROR_CONFLICT;
    }
    code = submit_ask(broker, peer, &submit);
    if (code != ERROR_NONE) {
        return code; /* the outcome stays, too */
    }
    free_id(broker, &letter->id);
    code = submit_accept(broker, peer, &submit, &task);
    if (code != ERROR_NONE) {
        return code;
    }
    broker->stats.submitted++;
    if (task->attempts_before < letter->attempt) {
        task->attempts_before = letter->attempt;
    }
    uint64_t before = task_bytes(task);

    broker->dead_bytes -= letter->causes.bytes;
    task->extra->terms->causes = letter->causes;
    letter->causes = (struct cause_chain){0};
    task_resized(broker, task, before);
    durable_attempt(broker, task); /* its past, which its record could not say yet */
    if (!MUTANT(LETTER_RETRIED_TWICE)) {
        dead_drop(broker, letter);
    }
    return ERROR_NONE;
}

static enum error_code control_one(struct broker *broker, struct peer *peer,
                                   enum control_what what, struct letter *letter)
{
    if (what == CONTROL_RETRY) {
        return dead_retry(broker, peer, letter);
    }
    dead_drop(broker, letter);
    return ERROR_NONE;
}

enum error_code control_letters(struct broker *broker, struct peer *peer,
                                const struct control *control, struct doc *body)
{
    bool one = !id_is_nil(&control->task);
    struct letter *letter = one ? dead_find(broker, &control->task) : NULL;
    enum error_code code = ERROR_NONE;
    uint64_t count = 0, left = 0;

    if (one && letter == NULL) {
        return ERROR_NOT_FOUND;
    }
    if (!one && control->service.size == 0) {
        return ERROR_BAD_MESSAGE;
    }
    if (one) {
        code = control_one(broker, peer, control->what, letter);
        count = code == ERROR_NONE;
    } else {
        list_each(link, &broker->dead.lanes[0]) {
            letter = list_entry(link, struct letter, place.lanes);
            if (!span_equal(letter_service(letter), control->service)) {
                continue;
            }
            if (code == ERROR_NONE && count < LETTERS_A_CONTROL) {
                code = control_one(broker, peer, control->what, letter);
                count += code == ERROR_NONE;
                left += code != ERROR_NONE;
            } else {
                left++;
            }
        }
    }
    if (count == 0 && code != ERROR_NONE) {
        return code;
    }
    doc_uint(body, control->what == CONTROL_RETRY ? "retried" : "dropped", count);
    doc_uint(body, "left", left);
    return ERROR_NONE;
}

/* ---- queries --------------------------------------------------------------------- */

static void letter_head(const struct broker *broker, struct doc *doc, const struct letter *letter)
{
    doc_id(doc, "id", &letter->id);
    doc_text(doc, "service", letter_service(letter));
    doc_uint(doc, "attempt", letter->attempt);
    doc_uint(doc, "died_ms", broker_unix_ms(broker, letter->died_ms));
    doc_uint(doc, "payload_bytes", blob_span(letter->payload).size);
}

static void cause_said_row(struct doc *doc, const struct cause_said *said)
{
    doc_text(doc, "worker", said->worker);
    doc_text(doc, "code", said->code);
    doc_text(doc, "message", said->message);
}

static void letter_row(const struct broker *broker, struct doc *doc,
                       const struct roster_place *place)
{
    const struct letter *letter = list_entry(place, struct letter, place);

    doc_map(doc, NULL);
    letter_head(broker, doc, letter);
    if (letter->causes.last != NULL) {
        struct cause_said said = cause_read(letter->causes.last);

        cause_said_row(doc, &said);
    }
    doc_end(doc);
}

static bool letter_matches(const struct roster_place *place, const struct query *query)
{
    return query->service.size == 0 ||
           span_equal(letter_service(list_entry(place, struct letter, place)), query->service);
}

enum error_code answer_dead(const struct broker *broker, const struct query *query,
                            struct doc *doc)
{
    return page_answer(broker, doc,
                       &(struct page_source){.name = "letters",
                                             .roster = &broker->dead,
                                             .row = letter_row,
                                             .matches = letter_matches},
                       query);
}

enum error_code answer_letter(const struct broker *broker, const struct query *query,
                              struct doc *doc)
{
    const struct letter *letter;
    struct id id;

    if (query->argument.size != sizeof id.bytes) {
        return ERROR_BAD_MESSAGE;
    }
    memcpy(id.bytes, query->argument.data, sizeof id.bytes);
    letter = dead_find(broker, &id);
    if (letter == NULL) {
        return ERROR_NOT_FOUND;
    }
    doc_map(doc, NULL);
    letter_head(broker, doc, letter);
    doc_list(doc, "causes");
    for (const struct cause *cause = letter->causes.first; cause != NULL; cause = cause->next) {
        struct cause_said said = cause_read(cause);

        doc_map(doc, NULL);
        doc_uint(doc, "attempt", said.attempt);
        doc_uint(doc, "at_ms", broker_unix_ms(broker, cause->at_ms));
        cause_said_row(doc, &said);
        doc_end(doc);
    }
    doc_end(doc);
    doc_uint(doc, "causes_dropped", letter->causes.dropped);
    doc_end(doc);
    return ERROR_NONE;
}
