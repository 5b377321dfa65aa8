/* query: asks the broker, and waits for what it says. */
#include "agents/runtime/future.h"

#include "common/json.h"

#include <errno.h>

#define QUERY_TIMEOUT_MS 10000
/* The broker confirms a cancel after its grace (10 s) at the latest. */
#define CANCEL_TIMEOUT_MS 30000

struct question {
    struct asking asking;
    struct strand *strand;
    struct request *request; /* NULL: answered */
    int rc;
    json_t *reply;
};

void query_replied(struct request *request, const struct reply *reply)
{
    struct asking *asking = peer_request_user(request);

    asking->replied(asking, reply);
}

static json_t *error_json(const struct error *error)
{
    if (error->raw.size > 0) {
        return json_unpack_bytes(error->raw);
    }
    return json_pack("{s:s%, s:s%, s:b}", "code", error->code.data, error->code.size, "message",
                     error->message.data, error->message.size, "retryable", error->retryable);
}

static void answer(struct asking *asking, const struct reply *reply)
{
    struct question *question = list_entry(asking, struct question, asking);

    question->request = NULL;
    if (reply == NULL) {
        question->rc = -ETIMEDOUT;
    } else {
        question->rc = reply->ok ? 0 : -EREMOTEIO;
        question->reply = reply->ok ? json_unpack_bytes(reply->raw) : error_json(&reply->error);
        if (question->reply == NULL) {
            question->rc = -EBADMSG;
        }
    }
    strand_wake(question->strand);
}

static int wait_for_answer(struct sluice *sluice, struct question *question, json_t **reply)
{
    if (question->request == NULL) {
        return -ENOMEM;
    }
    while (question->request != NULL) {
        if (strand_park(question->strand, STRAND_NEVER) == WAKE_CANCELLED &&
            question->request != NULL) {
            peer_request_drop(sluice->peer, question->request);
            return -ECANCELED;
        }
    }
    *reply = question->reply;
    return question->rc;
}

static bool what_parse(const char *name, enum query_what *what)
{
    for (unsigned i = 0; i < QUERY_WHAT_COUNT; i++) {
        if (strcmp(query_what_name(i), name) == 0) {
            *what = (enum query_what)i;
            return true;
        }
    }
    return false;
}

int sluice_query(struct sluice *sluice, const char *what, const struct sluice_id *id,
                 const char *cursor, json_t **reply)
{
    struct question question = {.asking = {answer}, .strand = strand_here("sluice_query")};
    struct span argument = span_of(NULL, 0);
    enum query_what which;

    *reply = NULL;
    if (id != NULL) {
        argument = span_of(id->bytes, sizeof id->bytes);
    } else if (cursor != NULL) {
        argument = span_from_text(cursor);
    }
    if (!what_parse(what, &which) || argument.size > QUERY_ARGUMENT_MAX) {
        return -EINVAL;
    }
    question.request =
        peer_query(runtime_peer(sluice), which, argument, QUERY_TIMEOUT_MS, &question.asking);
    return wait_for_answer(sluice, &question, reply);
}

int sluice_signal(struct sluice *sluice, const struct sluice_id *id, struct sluice_bytes payload,
                  json_t **reply)
{
    struct question question = {.asking = {answer}, .strand = strand_here("sluice_signal")};
    struct id task;

    *reply = NULL;
    if (payload.size > SIGNALS_BYTES_MAX) {
        return -EMSGSIZE;
    }
    memcpy(task.bytes, id->bytes, sizeof task.bytes);
    question.request = peer_signal(runtime_peer(sluice), &task, span_of(payload.data, payload.size),
                                   QUERY_TIMEOUT_MS, &question.asking);
    return wait_for_answer(sluice, &question, reply);
}

int sluice_cancel_id(struct sluice *sluice, const struct sluice_id *id, const char *reason,
                     json_t **reply)
{
    struct question question = {.asking = {answer}, .strand = strand_here("sluice_cancel_id")};
    struct span text = span_from_text(reason != NULL ? reason : "");
    struct id task;

    *reply = NULL;
    if (!text_valid(text, REASON_MAX)) {
        return -EINVAL;
    }
    memcpy(task.bytes, id->bytes, sizeof task.bytes);
    question.request =
        peer_cancel_id(runtime_peer(sluice), &task, text, CANCEL_TIMEOUT_MS, &question.asking);
    return wait_for_answer(sluice, &question, reply);
}

int sluice_control_letters(struct sluice *sluice, const char *what, const struct sluice_id *id,
                           const char *service, json_t **reply)
{
    struct question question = {.asking = {answer},
                                .strand = strand_here("sluice_control_letters")};
    struct control control = {
        .what = strcmp(what, "retry") == 0 ? CONTROL_RETRY : CONTROL_DROP,
        .service = span_from_text(service != NULL ? service : ""),
    };

    *reply = NULL;
    memset(&control.limits, 0xff, sizeof control.limits); /* LIMIT_UNCHANGED, each of them */
    if ((strcmp(what, "retry") != 0 && strcmp(what, "drop") != 0) ||
        (service != NULL && !service_name_valid(control.service))) {
        return -EINVAL;
    }
    if (id != NULL) {
        memcpy(control.task.bytes, id->bytes, sizeof control.task.bytes);
    }
    question.request =
        peer_control(runtime_peer(sluice), &control, QUERY_TIMEOUT_MS, &question.asking);
    return wait_for_answer(sluice, &question, reply);
}

int sluice_control_drain(struct sluice *sluice, const char *what, uint64_t peer,
                         const char *service, json_t **reply)
{
    struct question question = {.asking = {answer},
                                .strand = strand_here("sluice_control_drain")};
    struct control control = {
        .what = strcmp(what, "drain") == 0 ? CONTROL_DRAIN : CONTROL_UNDRAIN,
        .service = span_from_text(service != NULL ? service : ""),
        .peer = peer,
    };

    *reply = NULL;
    memset(&control.limits, 0xff, sizeof control.limits); /* LIMIT_UNCHANGED, each of them */
    if ((strcmp(what, "drain") != 0 && strcmp(what, "undrain") != 0) ||
        (service != NULL && !service_name_valid(control.service))) {
        return -EINVAL;
    }
    question.request =
        peer_control(runtime_peer(sluice), &control, QUERY_TIMEOUT_MS, &question.asking);
    return wait_for_answer(sluice, &question, reply);
}
