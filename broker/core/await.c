/* await: peers that wait for the end of a task. */
#include "broker/core/ending.h"
#include "broker/core/retention.h"
#include "common/mutant.h"

/* A cancel frees memory, and may wait whatever is left of it. */
static bool wait_fits(struct broker *broker, const struct peer *peer, enum wait_kind kind)
{
    return peer->wait_count[kind] < broker->options.window_tasks &&
           (kind == WAIT_CANCEL ||
            retention_make_room(broker, sizeof(struct extra) + sizeof(struct wait)));
}

bool task_await(struct broker *broker, struct peer *peer, struct task *task, uint64_t request,
                enum wait_kind kind)
{
    struct extra *extra;
    struct wait *wait;

    CHECK(!task_ended(task));
    if (!wait_fits(broker, peer, kind)) {
        return false;
    }
    extra = task_extra(broker, task);
    wait = extra == NULL ? NULL : pool_get(&broker->wait_pool);
    if (wait == NULL) {
        return false;
    }
    peer->wait_count[kind]++;
    wait->peer = peer;
    wait->request = request;
    wait->kind = kind;
    list_init(&wait->task_link);
    list_init(&wait->peer_link);
    list_push_back(&extra->waits, &wait->task_link);
    list_push_back(&peer->waits, &wait->peer_link);
    return true;
}

void doc_task_state(struct doc *doc, const struct task *task)
{
    doc_map(doc, NULL);
    doc_bytes(doc, "id", span_of(task->id.bytes, sizeof task->id.bytes));
    doc_text(doc, "state", span_from_text(task_state_name(task->state)));
    doc_bool(doc, "ended", task_ended(task));
    doc_end(doc);
}

static void wait_tell(struct broker *broker, const struct wait *wait, const struct task *task)
{
    struct message message = {.command = COMMAND_REPLY};
    struct doc_token tokens[8];
    uint8_t arena[64];
    struct doc body;

    doc_init(&body, tokens, sizeof tokens / sizeof *tokens, arena, sizeof arena);
    if (wait->kind == WAIT_RESULT) {
        result_send(broker, wait->peer, task);
        doc_task_state(&body, task);
    } else {
        doc_map(&body, NULL);
        doc_text(&body, "state", span_from_text(task_state_name(task->state)));
        doc_uint(&body, "stopped", task_stopped_below(task) + (task->state == TASK_CANCELLED));
        doc_end(&body);
    }
    message.reply.request = wait->request;
    message.reply.ok = true;
    message.reply.body = &body;
    if (!MUTANT(CANCEL_UNTOLD)) {
        peer_send(broker, wait->peer, &message);
    }
}

void task_notify_waits(struct broker *broker, struct task *task)
{
    struct list *link;

    if (task->extra == NULL) {
        return;
    }
    while ((link = list_first(&task->extra->waits)) != NULL) {
        struct wait *wait = list_entry(link, struct wait, task_link);

        wait_tell(broker, wait, task);
        list_unlink(&wait->task_link);
        list_unlink(&wait->peer_link);
        CHECK(wait->peer->wait_count[wait->kind] > 0);
        wait->peer->wait_count[wait->kind]--;
        pool_put(&broker->wait_pool, wait);
    }
}
