/* detached: work that outlives its submitter: is it accepted, what is there, how did it end. */
#include "agents/runtime/question.h"

#include <errno.h>

bool sluice_future_accepted(const struct sluice_future *future)
{
    return future->accepted || (future->outcome != SLUICE_PENDING &&
                                future->outcome != SLUICE_REFUSED && future->timing.attempt > 0);
}

bool sluice_accepted(struct sluice_future *future)
{
    struct strand *strand = strand_here("sluice_accepted");

    while (!future->accepted && future->outcome == SLUICE_PENDING) {
        list_push_back(&future->accepting, &strand->ready);
        if (strand_park(strand, STRAND_NEVER) != WAKE_EVENT) {
            break;
        }
    }
    return sluice_future_accepted(future);
}

struct sluice_future *sluice_attach(struct sluice *sluice, const struct sluice_id *id)
{
    static const struct sluice_submit_options defaults;
    struct sluice_future *future;

    runtime_peer(sluice); /* CHECKs that there is one */
    if (id_is_nil((const struct id *)id)) {
        return NULL;
    }
    future = future_new(sluice, "", (const struct id *)id, &defaults);
    if (future == NULL) {
        return NULL;
    }
    future->accepted = true;
    list_unlink(&future->scope); /* it could neither cancel nor hurry it, and would wait for ever */
    if (!future_fetch(future, true)) {
        future_delete(future);
        return NULL;
    }
    return future;
}

int sluice_list(struct sluice *sluice, const char *service, const char *state, const char *cursor,
                json_t **reply)
{
    struct question question = question_new("sluice_list");
    struct query query = {
        .what = QUERY_LIST,
        .argument = span_from_text(cursor != NULL ? cursor : ""),
        .service = span_from_text(service != NULL ? service : ""),
        .state = span_from_text(state != NULL ? state : ""),
    };

    *reply = NULL;
    if (query.argument.size > QUERY_ARGUMENT_MAX || query.state.size > KEY_MAX ||
        (query.service.size > 0 && !service_name_valid(query.service)) ||
        (query.state.size > 0 && !text_valid(query.state, KEY_MAX))) {
        return -EINVAL;
    }
    question.request =
        peer_ask(runtime_peer(sluice), &query, QUESTION_TIMEOUT_MS, &question.asking);
    return question_wait(sluice, &question, reply);
}
