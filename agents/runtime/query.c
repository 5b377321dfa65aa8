/* query: asks the broker, and waits for what it says. */
#include "agents/runtime/future.h"
#include "agents/runtime/question.h"

#include "common/json.h"

#include <errno.h>

/* The broker confirms a cancel after its grace (10 s) at the latest. */
#define CANCEL_TIMEOUT_MS 30000

void query_replied(struct request *request, const struct reply *reply)
{
    struct asking *asking = peer_request_user(request);

    asking->replied(asking, reply);
}

void query_outcome(struct request *request, const struct result *result)
{
    struct asking *asking = peer_request_user(request);

    if (asking->outcome != NULL) {
        asking->outcome(asking, result);
    }
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

struct question question_new(const char *caller)
{
    return (struct question){.asking = {answer}, .strand = strand_here(caller)};
}

int question_wait(struct sluice *sluice, struct question *question, json_t **reply)
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
    struct question question = question_new("sluice_query");
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
        peer_query(runtime_peer(sluice), which, argument, QUESTION_TIMEOUT_MS, &question.asking);
    return question_wait(sluice, &question, reply);
}

int sluice_signal(struct sluice *sluice, const struct sluice_id *id, struct sluice_bytes payload,
                  json_t **reply)
{
    struct question question = question_new("sluice_signal");
    struct id task;

    *reply = NULL;
    if (payload.size > SIGNALS_BYTES_MAX) {
        return -EMSGSIZE;
    }
    memcpy(task.bytes, id->bytes, sizeof task.bytes);
    question.request = peer_signal(runtime_peer(sluice), &task, span_of(payload.data, payload.size),
                                   QUESTION_TIMEOUT_MS, &question.asking);
    return question_wait(sluice, &question, reply);
}

int sluice_cancel_id(struct sluice *sluice, const struct sluice_id *id, const char *reason,
                     json_t **reply)
{
    struct question question = question_new("sluice_cancel_id");
    struct span text = span_from_text(reason != NULL ? reason : "");
    struct id task;

    *reply = NULL;
    if (!text_valid(text, REASON_MAX)) {
        return -EINVAL;
    }
    memcpy(task.bytes, id->bytes, sizeof task.bytes);
    question.request =
        peer_cancel_id(runtime_peer(sluice), &task, text, CANCEL_TIMEOUT_MS, &question.asking);
    return question_wait(sluice, &question, reply);
}
