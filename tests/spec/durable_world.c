#include "tests/spec/durable_world.h"

#include "broker/core/broker.h"
#include "common/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STEPS 400
#define TASKS 40
#define WORKERS 2
#define HELD 64
#define LARGE 9000 /* beside its row, in a store that makes a difference */

enum { SUBMITTER = 1, WORKER = 2 }; /* connections of a life; each life has its own */

struct task_seen {
    struct submit options;
    bool sent, accepted, ended;
    unsigned starts;
    enum outcome outcome;
    uint64_t question; /* its payload */
    uint64_t answer;   /* that its outcome has: payloads are all different */
    uint64_t life;     /* of the broker that it was first submitted to */
};

struct held {
    unsigned task;
    uint64_t attempt;
};

/* What the store has of a task. */
struct found {
    bool is_there, ended;
    enum outcome outcome;
    uint64_t answer;
};

static struct world {
    uint64_t random;
    struct broker *broker;
    const struct keeper *keeper;
    uint64_t now_ms, safe, answers, lives;
    struct task_seen tasks[TASKS];
    struct found found[TASKS]; /* at the last restart */
    struct held held[WORKERS][HELD];
    size_t held_count[WORKERS];
    struct durable_sums sums;
    char wrong[256];      /* empty: nothing */
    uint64_t seed, steps; /* for a message */
    uint8_t said[8 + LARGE], expected[8 + LARGE];
} at;

uint64_t durable_draw(uint64_t below)
{
    uint64_t z = at.random += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (z ^ (z >> 31)) % below;
}

void durable_blame(const char *why, ...)
{
    va_list list;
    int used;

    if (at.wrong[0] != '\0') {
        return;
    }
    used = snprintf(at.wrong, sizeof at.wrong, "seed %llu, step %llu: ",
                    (unsigned long long)at.seed, (unsigned long long)at.steps);
    va_start(list, why);
    vsnprintf(at.wrong + used, sizeof at.wrong - (size_t)used, why, list);
    va_end(list);
}

static void wrong(const char *what, unsigned task)
{
    durable_blame("task %u: %s", task, what);
}

static struct id id_of(unsigned number)
{
    struct id id = {{0}};

    id.bytes[0] = 1;
    id.bytes[15] = (uint8_t)number;
    return id;
}

/* A number, and bytes that follow from it: one in ten are large. */
static struct payload payload_of(uint8_t *room, uint64_t number)
{
    size_t size = sizeof number + (number % 10 == 7 ? LARGE : number * 13 % 300);

    memcpy(room, &number, sizeof number);
    for (size_t i = sizeof number; i < size; i++) {
        room[i] = (uint8_t)(number * 31 + i * 7 + i / 256);
    }
    return (struct payload){.bytes = span_of(room, size)};
}

/* 0: none. */
static uint64_t number_in(struct span payload, unsigned task)
{
    uint64_t number = 0;

    if (payload.size == 0) {
        return 0;
    }
    if (payload.size >= sizeof number) {
        memcpy(&number, payload.data, sizeof number);
    }
    if (!span_equal(payload, payload_of(at.expected, number).bytes)) {
        wrong("a payload is not what was sent", task);
    }
    return number;
}

static connection_id connection(unsigned who)
{
    return (connection_id)(at.lives * 16 + who);
}

/* ---- what the broker says ------------------------------------------------------------ */

static void take_result(const struct outcome_record *record)
{
    unsigned number = record->id.bytes[15];
    struct task_seen *task = &at.tasks[number];
    uint64_t answer = number_in(record->payload.bytes, number);

    if (record->outcome == OUTCOME_REFUSED) {
        return; /* it is submitted again */
    }
    if (task->ended && (task->outcome != record->outcome || task->answer != answer)) {
        wrong("two outcomes were told", number);
    }
    if (!task->accepted && task->options.durable && task->life == at.lives) {
        wrong("an outcome was told before ACCEPTED", number);
    }
    task->ended = task->accepted = true;
    task->outcome = record->outcome;
    task->answer = answer;
    at.sums.told++;
}

static void on_send(void *context, connection_id to, const struct message *message)
{
    unsigned who = (unsigned)(to - at.lives * 16);

    if (message->command == COMMAND_RESULT && who == SUBMITTER) {
        take_result(&message->result.record);
    } else if (message->command == COMMAND_ACCEPTED) {
        at.tasks[message->accepted.id.bytes[15]].accepted = true;
        at.sums.accepted++;
    } else if (message->command == COMMAND_TASK) {
        size_t worker = who - WORKER;
        unsigned number = message->task.id.bytes[15];

        if (at.tasks[number].starts++ > 0 && at.tasks[number].options.attempts == 1 &&
            at.tasks[number].options.durable) {
            wrong("it was to start once", number);
        }
        if (number_in(message->task.payload.bytes, number) != at.tasks[number].question) {
            wrong("it starts with another payload", number);
        }
        CHECK(at.held_count[worker] < HELD);
        at.held[worker][at.held_count[worker]++] =
            (struct held){number, message->task.attempt};
    }
}

static void on_forget(void *context, connection_id gone)
{
}

static void on_log(void *context, const struct log_record *record)
{
}

static void on_store(void *context, const struct store_record *record)
{
    at.keeper->add(at.keeper->context, record);
}

/* ---- what happens ---------------------------------------------------------------------- */

static void step(struct event *event)
{
    if (at.wrong[0] != '\0') {
        return; /* it would go on from what should not be */
    }
    event->now_ms = at.now_ms;
    broker_step(at.broker, event);
    broker_check(at.broker);
}

static void say(unsigned who, const struct message *message)
{
    struct event event = {
        .kind = EVENT_MESSAGE, .from = connection(who), .message = message};

    step(&event);
}

static void submit(unsigned number)
{
    struct message message = {.command = COMMAND_SUBMIT, .submit = at.tasks[number].options};

    if (!at.tasks[number].sent) {
        at.tasks[number].life = at.lives;
    }
    at.tasks[number].sent = true;
    message.submit.id = id_of(number);
    message.submit.payload = payload_of(at.said, at.tasks[number].question);
    say(SUBMITTER, &message);
}

static void hello(unsigned who, const char *name)
{
    struct message message = {.command = COMMAND_HELLO};

    message.hello.version = PROTOCOL_VERSION;
    message.hello.session.bytes[0] = (uint8_t)(100 + who);
    message.hello.name = span_from_text(name);
    say(who, &message);
}

static void everybody_comes(void)
{
    struct message message = {.command = COMMAND_OFFER};

    hello(SUBMITTER, "submitter");
    for (unsigned number = 0; number < TASKS; number++) {
        if (at.tasks[number].sent && !at.tasks[number].ended) {
            submit(number);
        }
    }
    message.offer.service = span_from_text("echo");
    message.offer.credit = 5;
    for (unsigned worker = 0; worker < WORKERS; worker++) {
        at.held_count[worker] = 0;
        hello(WORKER + worker, "worker");
        say(WORKER + worker, &message);
    }
}

static void restore(void *taker, const struct store_row *row)
{
    unsigned number = row->submit.id.bytes[15];

    CHECK(number < TASKS);
    at.found[number] = (struct found){.is_there = true, .ended = row->ended};
    if (row->ended) {
        at.found[number].outcome = row->outcome.outcome;
        at.found[number].answer = number_in(row->outcome.payload.bytes, number);
    }
    if (!broker_restore(at.broker, row)) {
        wrong("it is not taken back", number);
    }
}

static void start(bool calm)
{
    struct broker_options options = broker_options_default();
    struct effects effects = {.send = on_send,
                              .forget = on_forget,
                              .log = on_log,
                              .log_level = LOG_ERROR,
                              .store = on_store};
    struct event open = {.kind = EVENT_STORE, .store = STORE_OPEN};
    uint64_t next_key;

    options.hash_seed = durable_draw(UINT64_MAX);
    options.started_unix_ms = 1000000000000 + at.now_ms;
    options.silence_ms = options.probe_ms = 1000000000;
    options.ping_ms = 1000000;
    options.backoff_ms = 5;
    options.retain_ms = 1000000000;
    at.lives++;
    at.broker = broker_new(&options, &effects, at.now_ms);
    CHECK(at.broker != NULL);
    memset(at.found, 0, sizeof at.found);
    next_key = at.keeper->restart(at.keeper->context, at.safe, calm, restore, NULL);
    at.safe = 0;
    if (next_key == 0 || at.wrong[0] != '\0') {
        return;
    }
    broker_restored(at.broker, next_key);
    step(&open);
}

/* What was told is there. */
static void check_found(unsigned number)
{
    const struct task_seen *task = &at.tasks[number];
    const struct found *found = &at.found[number];

    if (!task->options.durable || !task->accepted) {
        return;
    }
    if (!found->is_there) {
        wrong("it was accepted, and is lost", number);
    } else if (task->ended && (!found->ended || found->outcome != task->outcome ||
                               found->answer != task->answer)) {
        wrong("its outcome was told, and is lost", number);
    }
}

static void crash(bool calm)
{
    broker_free(at.broker);
    at.sums.crashes++;
    at.now_ms += durable_draw(3000);
    start(calm);
    for (unsigned number = 0; number < TASKS; number++) {
        check_found(number);
        if (!at.tasks[number].options.durable) {
            at.tasks[number].accepted = false;
        }
    }
    everybody_comes();
}

/* The broker hears of all that is safe, or of some of it, or it has to go. */
static void keep(bool all)
{
    struct event stored = {.kind = EVENT_STORED};
    uint64_t safe = at.safe;
    bool goes_on = at.keeper->keep(at.keeper->context, &safe);

    CHECK(safe >= at.safe);
    at.safe = all ? safe : at.safe + durable_draw(safe - at.safe + 1);
    stored.stored = at.safe;
    step(&stored);
    if (!goes_on) {
        crash(all);
    }
}

/* A worker answers one of the tasks that it has. */
static void answer(unsigned worker, bool well)
{
    struct message message = {.command = COMMAND_DONE};
    size_t which = (size_t)durable_draw(at.held_count[worker]);
    struct held held = at.held[worker][which];
    struct payload payload = payload_of(at.said, ++at.answers);
    uint64_t how = well ? 0 : durable_draw(10);

    if (how == 9) {
        message.command = COMMAND_CHECKPOINT;
        message.checkpoint.id = id_of(held.task);
        message.checkpoint.attempt = held.attempt;
        message.checkpoint.payload = payload;
        say(WORKER + worker, &message);
        return;
    }
    at.held[worker][which] = at.held[worker][--at.held_count[worker]];
    if (how < 7) {
        message.done.id = id_of(held.task);
        message.done.attempt = held.attempt;
        message.done.payload = payload;
    } else {
        message.command = COMMAND_FAIL;
        message.fail.id = id_of(held.task);
        message.fail.attempt = held.attempt;
        message.fail.error.raw = span_of("\x81\xa4" "code\xa1x", 8);
        message.fail.error.code = span_of(message.fail.error.raw.data + 7, 1);
        message.fail.error.retryable = how == 7;
    }
    say(WORKER + worker, &message);
}

static void pass(uint64_t ms)
{
    struct event tick = {.kind = EVENT_TICK};

    at.now_ms += ms;
    step(&tick);
}

static void cancel(unsigned number)
{
    struct message message = {.command = COMMAND_CANCEL};

    message.cancel.id = id_of(number);
    say(SUBMITTER, &message);
}

static void anything(void)
{
    unsigned number = (unsigned)durable_draw(TASKS), worker = (unsigned)durable_draw(WORKERS);
    uint64_t what = durable_draw(100);

    if (what < 35) {
        if (!at.tasks[number].sent) {
            submit(number);
        }
    } else if (what < 65) {
        if (at.held_count[worker] > 0) {
            answer(worker, false);
        }
    } else if (what < 85) {
        keep(false);
    } else if (what < 90) {
        pass(durable_draw(50));
    } else if (what < 93) {
        if (at.tasks[number].sent) {
            cancel(number);
        }
    } else if (what < 94) {
        crash(false);
    }
}

static void draw_tasks(void)
{
    static const char *const keys[] = {"", "", "", "k1", "k2"};

    for (unsigned number = 0; number < TASKS; number++) {
        struct submit *submit = &at.tasks[number].options;

        submit->service = span_from_text("echo");
        submit->if_absent = IF_ABSENT_WAIT;
        submit->priority = durable_draw(10);
        submit->durable = durable_draw(10) > 0;
        submit->receipts = true;
        submit->attempts = 1 + durable_draw(3);
        submit->detached = durable_draw(4) == 0;
        submit->dead_letter = durable_draw(4) == 0;
        submit->order = span_from_text(keys[durable_draw(5)]);
        submit->delay_ms = durable_draw(5) == 0 ? 1 + durable_draw(100) : 0;
        submit->deadline_ms = durable_draw(10) == 0 ? 1 + durable_draw(5000) : 0;
        at.tasks[number].question = 1000 + number;
        if (durable_draw(5) == 0) { /* those of one key are the same task */
            uint64_t key = durable_draw(2);

            submit->idempotency_key = span_from_text(keys[3 + key]);
            at.tasks[number].question = 2000 + key;
        }
    }
}

static bool all_ended(void)
{
    for (unsigned number = 0; number < TASKS; number++) {
        if (at.tasks[number].sent && !at.tasks[number].ended) {
            return false;
        }
    }
    return true;
}

/* All that was submitted ends. */
static void finish(void)
{
    for (unsigned round = 0; round < 2000 && !all_ended() && at.wrong[0] == '\0'; round++) {
        for (unsigned worker = 0; worker < WORKERS; worker++) {
            while (at.held_count[worker] > 0) {
                answer(worker, true);
            }
        }
        keep(true);
        pass(100);
    }
    for (unsigned number = 0; number < TASKS; number++) {
        if (at.tasks[number].sent && !at.tasks[number].ended) {
            wrong("it did not end", number);
        }
    }
}

const char *durable_world_run(uint64_t seed, const struct keeper *keeper, struct durable_sums *sums)
{
    at = (struct world){.random = seed, .seed = seed, .keeper = keeper, .now_ms = 1};
    draw_tasks();
    start(false);
    everybody_comes();
    while (at.steps < STEPS && at.wrong[0] == '\0') {
        anything();
        at.steps++;
    }
    finish();
    broker_free(at.broker);
    sums->worlds++;
    sums->crashes += at.sums.crashes;
    sums->accepted += at.sums.accepted;
    sums->told += at.sums.told;
    return at.wrong[0] != '\0' ? at.wrong : NULL;
}
