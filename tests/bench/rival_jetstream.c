/* What `sluice bench durable` is measured against: NATS JetStream, a stream in files with
 * work-queue retention. Publishes are asynchronous; a consumer with explicit acknowledgements is
 * fetched from in batches. The submitter is one process, each worker another: see
 * tests/bench/rival.h.
 *
 * Workers speak the protocol of fetching themselves, and ask for a batch before the last one is
 * used up, as newer clients do. natsSubscription_Fetch waits for each batch; that of cnats 3.4.1
 * was seen to return more messages than it was asked for, beyond the end of its list.
 *
 * What an acknowledged publish means is the server's setting: by default the message has been
 * written to a file, which is synced every now and then (sync_interval), not before the ack. */
#include "tests/bench/rival.h"

#include <nats/nats.h>
#include <stdlib.h>
#include <string.h>

#define STREAM "bench"
#define SUBJECT "bench.tasks"
#define CONSUMER "workers"
#define BATCH 1000
#define NEXT "$JS.API.CONSUMER.MSG.NEXT." STREAM "." CONSUMER
#define FETCH "{\"batch\": 1000, \"expires\": 600000000000}" /* ns: longer than any pass */
#define PENDING_MAX 100000 /* acknowledgements that are missing: never reached */

struct queue {
    natsConnection *connection;
    jsCtx *jetstream;
    struct rival *rival; /* the submitter's, whose acks come in the client's thread */
    uint64_t acked;
    natsSubscription *subscription; /* a worker's, for what it fetches */
    natsInbox *inbox;
    int wanted; /* asked for, and have not come */
};

static const struct rival_kind jetstream;

static void expect_ok(natsStatus status, const char *what)
{
    if (status != NATS_OK) {
        rival_fail(&jetstream, what, natsStatus_GetText(status));
    }
}

/* One stream has one order: acks come in that of the publishes. */
static void on_ack(jsCtx *context, natsMsg *message, jsPubAck *ack, jsPubAckErr *error, void *arg)
{
    struct queue *queue = arg;

    (void)context;
    (void)ack;
    if (error != NULL) {
        rival_fail(&jetstream, "publish", error->ErrText != NULL ? error->ErrText : "refused");
    }
    rival_confirm(queue->rival, queue->acked++);
    natsMsg_Destroy(message);
}

static struct queue *connect_queue(const struct rival *rival)
{
    struct queue *queue = calloc(1, sizeof(*queue));
    jsOptions options;
    char url[64];

    if (queue == NULL) {
        rival_fail(&jetstream, "connect", "no memory");
    }
    snprintf(url, sizeof(url), "nats://127.0.0.1:%u", (unsigned)rival->port);
    expect_ok(natsConnection_ConnectTo(&queue->connection, url), url);
    jsOptions_Init(&options);
    options.PublishAsync.MaxPending = (int64_t)rival->window;
    options.PublishAsync.StallWait = RIVAL_STALL_MS;
    options.PublishAsync.AckHandler = on_ack;
    options.PublishAsync.AckHandlerClosure = queue;
    expect_ok(natsConnection_JetStream(&queue->jetstream, queue->connection, &options),
              "JetStream");
    return queue;
}

static void *jetstream_open(const struct rival *rival)
{
    struct queue *queue = connect_queue(rival);
    const char *subjects[] = {SUBJECT};
    jsStreamConfig stream;
    jsConsumerConfig consumer;

    jsStreamConfig_Init(&stream);
    stream.Name = STREAM;
    stream.Subjects = subjects;
    stream.SubjectsLen = 1;
    stream.Storage = js_FileStorage;
    stream.Retention = js_WorkQueuePolicy;
    expect_ok(js_AddStream(NULL, queue->jetstream, &stream, NULL, NULL), "stream");
    jsConsumerConfig_Init(&consumer);
    consumer.Durable = CONSUMER;
    consumer.AckPolicy = js_AckExplicit;
    consumer.MaxAckPending = PENDING_MAX;
    expect_ok(js_AddConsumer(NULL, queue->jetstream, STREAM, &consumer, NULL, NULL), "consumer");
    return queue;
}

static void jetstream_submit(void *arg, struct rival *rival)
{
    struct queue *queue = arg;
    uint8_t *payload = malloc(rival->payload_bytes);
    jsPubOptions options;

    if (payload == NULL) {
        rival_fail(&jetstream, "submit", "no memory");
    }
    queue->rival = rival;
    queue->acked = 0;
    for (uint64_t i = 0; i < rival->tasks; i++) {
        rival_fill(rival, i, payload);
        expect_ok(
            js_PublishAsync(queue->jetstream, SUBJECT, payload, (int)rival->payload_bytes, NULL),
            "publish");
    }
    jsPubOptions_Init(&options);
    options.MaxWait = RIVAL_STALL_MS;
    expect_ok(js_PublishAsyncComplete(queue->jetstream, &options), "acks of publishes");
    while (rival->confirmed < rival->tasks) {
        nats_Sleep(1); /* the last ones are being told to on_ack */
    }
    free(payload);
}

static uint64_t jetstream_left(void *arg)
{
    struct queue *queue = arg;
    jsStreamInfo *info = NULL;
    uint64_t left;

    expect_ok(js_GetStreamInfo(&info, queue->jetstream, STREAM, NULL, NULL), "stream");
    left = info->State.Msgs;
    jsStreamInfo_Destroy(info);
    return left;
}

static void jetstream_close(void *arg)
{
    struct queue *queue = arg;

    expect_ok(js_DeleteStream(queue->jetstream, STREAM, NULL, NULL), "removing the stream");
    jsCtx_Destroy(queue->jetstream);
    natsConnection_Destroy(queue->connection);
    free(queue);
}

static void *jetstream_attach(const struct rival *rival)
{
    struct queue *queue = connect_queue(rival);

    expect_ok(natsInbox_Create(&queue->inbox), "inbox");
    expect_ok(natsConnection_SubscribeSync(&queue->subscription, queue->connection, queue->inbox),
              "subscribe");
    expect_ok(natsSubscription_SetPendingLimits(queue->subscription, -1, -1), "limits");
    return queue;
}

/* The next batch is asked for while half of the last one is still to come. */
static void fetch(struct queue *queue)
{
    if (queue->wanted <= BATCH / 2) {
        expect_ok(natsConnection_PublishRequestString(queue->connection, NEXT, queue->inbox, FETCH),
                  "fetch");
        queue->wanted += BATCH;
    }
}

static void judge(struct queue *queue, struct rival *rival, natsMsg *message)
{
    const char *reply = natsMsg_GetReply(message);

    if (reply == NULL) {
        rival_fail(&jetstream, "fetch", "the server ends it");
    }
    rival_judge(rival, natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message));
    expect_ok(natsConnection_PublishString(queue->connection, reply, "+ACK"), "ack");
    queue->wanted--;
}

static uint64_t jetstream_serve(void *arg, struct rival *rival)
{
    struct queue *queue = arg;
    uint64_t count = 0, here = 1;

    fetch(queue);
    for (; count < here && count < BATCH / 2; count++) {
        natsMsg *message = NULL;
        natsStatus status = natsSubscription_NextMsg(&message, queue->subscription, RIVAL_WAIT_MS);

        if (status == NATS_TIMEOUT) {
            break;
        }
        expect_ok(status, "fetch");
        judge(queue, rival, message);
        natsMsg_Destroy(message);
        if (count == 0) {
            expect_ok(natsSubscription_QueuedMsgs(queue->subscription, &here), "fetch");
            here++;
        }
    }
    return count;
}

static void jetstream_settle(void *arg)
{
    struct queue *queue = arg;

    expect_ok(natsConnection_FlushTimeout(queue->connection, RIVAL_STALL_MS), "flush");
}

static const struct rival_kind jetstream = {
    .name = "jetstream",
    .open = jetstream_open,
    .submit = jetstream_submit,
    .left = jetstream_left,
    .close = jetstream_close,
    .attach = jetstream_attach,
    .serve = jetstream_serve,
    .settle = jetstream_settle,
};

int main(int argc, char **argv)
{
    return rival_main(&jetstream, argc, argv);
}
