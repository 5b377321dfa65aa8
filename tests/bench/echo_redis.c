/* What `sluice bench echo` is measured against: Redis, by lists or with --streams by streams, with
 * hiredis. Tasks are pushed to one key and replies to another, many at once; whoever pops gets many
 * at once, and asks for the next ones before it looks at those.
 *
 * Each process has two connections, for a command that waits holds up those behind it: one always
 * waits in a pop; the other pushes and gets no answers (CLIENT REPLY OFF). What is refused there is
 * missing in the end, and counted as lost. A list forgets a task when it is popped; a stream's
 * group keeps it until it is acknowledged. Streams are trimmed to about a window. */
#include "tests/bench/echo_rival.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH 256                 /* values of one command, pushed or popped */
#define BATCH_BYTES (1024 * 1024) /* and their sum, if there is more than one: more only waits */
#define KEY_SIZE 64
#define GROUP "workers"
#define COMMAND_WORDS 8 /* before the values */

struct link {
    struct echo_rival *rival;
    redisContext *push, *pop;
    const char *push_key, *pop_key;
    char last_id[KEY_SIZE]; /* of a stream, what the submitter has read */
    bool in_group;          /* a worker of a stream, which acknowledges */
    /* What the next command pushes: */
    const char *words[COMMAND_WORDS + BATCH];
    size_t sizes[COMMAND_WORDS + BATCH];
    size_t count, count_max; /* the most of one command */
    char *payloads; /* the submitter's, of count_max tasks */
};

static char tasks_key[KEY_SIZE], replies_key[KEY_SIZE]; /* the same in all processes */
static bool streams;

static void expect_ok(struct echo_rival *rival, const redisContext *context, const char *what)
{
    if (context == NULL || context->err != 0) {
        echo_rival_fail(rival, what, context != NULL ? context->errstr : "no memory");
    }
}

static redisContext *connect_server(struct echo_rival *rival)
{
    redisContext *context = redisConnect("127.0.0.1", (int)rival->port);

    expect_ok(rival, context, "connect");
    return context;
}

/* Writes what was appended. */
static void write_out(struct link *link, redisContext *context)
{
    int done = 0;

    while (!done) {
        if (redisBufferWrite(context, &done) != REDIS_OK) {
            expect_ok(link->rival, context, "write");
        }
    }
}

static void ask(struct link *link)
{
    redisContext *pop = link->pop;

    if (!streams) {
        redisAppendCommand(pop, "BLMPOP 0 1 %s LEFT COUNT %d", link->pop_key, (int)link->count_max);
    } else if (link->in_group) {
        redisAppendCommand(pop, "XREADGROUP GROUP %s %d COUNT %d BLOCK 0 STREAMS %s >", GROUP,
                           (int)getpid(), (int)link->count_max, link->pop_key);
    } else {
        redisAppendCommand(pop, "XREAD COUNT %d BLOCK 0 STREAMS %s %s", (int)link->count_max, link->pop_key,
                           link->last_id);
    }
    write_out(link, pop);
}

static struct link *connect_link(struct echo_rival *rival, const char *push_key,
                                 const char *pop_key)
{
    struct link *link = calloc(1, sizeof(*link));

    if (link == NULL) {
        echo_rival_fail(rival, "connect", "no memory");
    }
    link->rival = rival;
    link->push_key = push_key;
    link->pop_key = pop_key;
    link->push = connect_server(rival);
    link->pop = connect_server(rival);
    link->pop->reader->maxbuf = 0; /* what hiredis advises for large values: it keeps its buffer */
    link->count_max = BATCH_BYTES / rival->payload_bytes;
    link->count_max = link->count_max > BATCH ? BATCH : link->count_max;
    link->count_max = link->count_max > 0 ? link->count_max : 1;
    snprintf(link->last_id, sizeof(link->last_id), "0");
    redisAppendCommand(link->push, "CLIENT REPLY OFF");
    write_out(link, link->push);
    return link;
}

static void add_word(struct link *link, size_t at, const char *word, size_t size)
{
    link->words[at] = word;
    link->sizes[at] = size;
}

/* Lists take many values with one command; a stream takes one. */
static void append_pushes(struct link *link)
{
    char kept[KEY_SIZE];
    const char *add[] = {"XADD", link->push_key, "MAXLEN", "~", kept, "*", "p"};
    size_t add_words = sizeof(add) / sizeof(add[0]);

    if (!streams) {
        add_word(link, COMMAND_WORDS - 2, "RPUSH", strlen("RPUSH"));
        add_word(link, COMMAND_WORDS - 1, link->push_key, strlen(link->push_key));
        redisAppendCommandArgv(link->push, (int)link->count + 2, &link->words[COMMAND_WORDS - 2],
                               &link->sizes[COMMAND_WORDS - 2]);
        return;
    }
    snprintf(kept, sizeof(kept), "%llu", (unsigned long long)link->rival->window);
    for (size_t i = 0; i < link->count; i++) {
        const char *words[COMMAND_WORDS];
        size_t sizes[COMMAND_WORDS];

        for (size_t j = 0; j < add_words; j++) {
            words[j] = add[j];
            sizes[j] = strlen(add[j]);
        }
        words[add_words] = link->words[COMMAND_WORDS + i];
        sizes[add_words] = link->sizes[COMMAND_WORDS + i];
        redisAppendCommandArgv(link->push, (int)add_words + 1, words, sizes);
    }
}

static void flush(struct link *link)
{
    if (link->count > 0) {
        append_pushes(link);
        link->count = 0;
    }
    write_out(link, link->push);
}

static void push(struct link *link, const char *value, size_t size)
{
    add_word(link, COMMAND_WORDS + link->count++, value, size);
}

/* What was popped, once it is all there; NULL: not within wait_ms. The next pop is under way. */
static redisReply *take(struct link *link, int wait_ms)
{
    struct pollfd item = {.fd = link->pop->fd, .events = POLLIN};
    void *reply = NULL;

    while (redisGetReplyFromReader(link->pop, &reply) == REDIS_OK && reply == NULL) {
        int ready = poll(&item, 1, wait_ms);

        if (ready == 0) {
            return NULL;
        }
        if (ready > 0 && redisBufferRead(link->pop) != REDIS_OK) {
            break;
        }
    }
    expect_ok(link->rival, link->pop, "pop");
    return reply;
}

/* The values or entries of a reply: a list's [key, values], a stream's [[key, entries]]. */
static const redisReply *values_of(struct link *link, const redisReply *reply)
{
    if (streams && reply->type == REDIS_REPLY_ARRAY && reply->elements == 1) {
        reply = reply->element[0];
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[1]->type != REDIS_REPLY_ARRAY || reply->element[1]->elements == 0 ||
        reply->element[1]->elements > BATCH) {
        echo_rival_fail(link->rival, "pop",
                        reply->type == REDIS_REPLY_ERROR ? reply->str : "an unexpected answer");
    }
    return reply->element[1];
}

/* The payload of a list's value, or of a stream's entry [id, [field, value]]. */
static const redisReply *payload_of(struct link *link, const redisReply *value)
{
    if (streams && value->type == REDIS_REPLY_ARRAY && value->elements == 2 &&
        value->element[1]->type == REDIS_REPLY_ARRAY && value->element[1]->elements == 2) {
        value = value->element[1]->element[1];
    }
    if (value->type != REDIS_REPLY_STRING) {
        echo_rival_fail(link->rival, "pop", "a value of an unexpected kind");
    }
    return value;
}

/* Before payloads are looked at, so that the server has something to do meanwhile. */
static void ask_again(struct link *link, const redisReply *values)
{
    const redisReply *last = values->element[values->elements - 1];

    if (streams && last->type == REDIS_REPLY_ARRAY && last->elements > 0) {
        snprintf(link->last_id, sizeof(link->last_id), "%s", last->element[0]->str);
    }
    ask(link);
}

static void acknowledge(struct link *link, const redisReply *entries)
{
    const char *words[3 + BATCH] = {"XACK", link->pop_key, GROUP};

    for (size_t i = 0; i < entries->elements; i++) {
        words[3 + i] = entries->element[i]->element[0]->str;
    }
    redisAppendCommandArgv(link->push, 3 + (int)entries->elements, words, NULL);
}

static void make_group(struct link *link)
{
    redisReply *reply = redisCommand(link->pop, "XGROUP CREATE %s %s $ MKSTREAM", link->pop_key,
                                     GROUP);

    expect_ok(link->rival, link->pop, "group");
    freeReplyObject(reply); /* another worker may have made it */
}

static void redis_serve(struct echo_rival *rival)
{
    struct link *link = connect_link(rival, replies_key, tasks_key);

    if (streams) {
        link->in_group = true;
        make_group(link);
    }
    ask(link);
    echo_rival_ready(rival);
    for (;;) {
        redisReply *reply = take(link, -1);
        const redisReply *values = values_of(link, reply);

        ask_again(link, values);
        for (size_t i = 0; i < values->elements; i++) {
            const redisReply *payload = payload_of(link, values->element[i]);

            push(link, payload->str, payload->len);
        }
        append_pushes(link);
        link->count = 0;
        if (streams) {
            acknowledge(link, values);
        }
        flush(link);
        freeReplyObject(reply);
    }
}

static void *redis_open(struct echo_rival *rival)
{
    struct link *link = connect_link(rival, tasks_key, replies_key);

    if (streams) {
        rival->bench = "redis-stream";
    }
    link->payloads = malloc(link->count_max * rival->payload_bytes);
    if (link->payloads == NULL) {
        echo_rival_fail(rival, "submitter", "no memory");
    }
    ask(link);
    return link;
}

static void redis_send(void *arg, struct echo_rival *rival, uint64_t sequence)
{
    struct link *link = arg;
    char *payload = link->payloads + link->count * rival->payload_bytes;

    echo_rival_fill(rival, sequence, payload);
    push(link, payload, rival->payload_bytes);
    if (link->count == link->count_max) {
        flush(link);
    }
}

static void redis_receive(void *arg, struct echo_rival *rival, int wait_ms)
{
    struct link *link = arg;
    const redisReply *values;
    redisReply *reply;

    flush(link);
    reply = take(link, wait_ms);
    if (reply == NULL) {
        return;
    }
    values = values_of(link, reply);
    ask_again(link, values);
    for (size_t i = 0; i < values->elements; i++) {
        const redisReply *payload = payload_of(link, values->element[i]);

        echo_rival_reply(rival, payload->str, payload->len);
    }
    freeReplyObject(reply);
}

/* Workers are waiting at a key until they are ended, in a moment: it goes after that. */
static void redis_close(void *arg)
{
    struct link *link = arg;
    redisContext *context = connect_server(link->rival);

    freeReplyObject(redisCommand(context, "EXPIRE %s 2", tasks_key));
    freeReplyObject(redisCommand(context, "EXPIRE %s 2", replies_key));
    redisFree(context);
    redisFree(link->push);
    redisFree(link->pop);
    free(link->payloads);
    free(link);
}

int main(int argc, char **argv)
{
    const struct option_spec spec =
        OPTION_FLAG_SPEC("streams", &streams, "streams and a group instead of lists");
    const struct option_set options = {&spec, 1};
    const struct echo_rival_kind redis = {
        .program = "sluice-bench-echo-redis",
        .name = "redis-list",
        .about = "Echo through lists of Redis (7.0 or later), or its streams.",
        .options = &options,
        .serve = redis_serve,
        .open = redis_open,
        .send = redis_send,
        .receive = redis_receive,
        .close = redis_close,
    };

    snprintf(tasks_key, sizeof(tasks_key), "sluice:bench:%d:tasks", (int)getpid());
    snprintf(replies_key, sizeof(replies_key), "sluice:bench:%d:replies", (int)getpid());
    return echo_rival_main(&redis, argc, argv);
}
