/* The promise of test_durable, over many worlds: whatever happens, and whenever the broker is
 * killed, with whatever part of the records that nobody was told of, what was told holds, an outcome
 * that was told twice is the same, what may start once does, and every task ends. */
#include "broker/core/broker.h"
#include "tests/lib/shelf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define WORLDS 400
#define STEPS 400
#define TASKS 40
#define WORKERS 2
#define HELD 64

enum { SUBMITTER = 1, WORKER = 2 }; /* connections of a life; each life has its own */

struct task_seen {
    struct submit options;
    bool sent, accepted, ended;
    unsigned starts;
    enum outcome outcome;
    uint64_t answer; /* that its outcome has: payloads are all different */
    uint64_t life;   /* of the broker that it was first submitted to */
};

struct held {
    unsigned task;
    uint64_t attempt;
};

static struct world {
    uint64_t random;
    struct broker *broker;
    struct shelf *shelf;
    uint64_t now_ms, safe, answers, crashes, told, accepted, lives;
    struct task_seen tasks[TASKS];
    struct held held[WORKERS][HELD];
    size_t held_count[WORKERS];
    uint64_t again[2]; /* seed, step: for a message */
} at;

static uint64_t pick(uint64_t below)
{
    uint64_t z = at.random += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (z ^ (z >> 31)) % below;
}

static void wrong(const char *what, unsigned task)
{
    fail_msg("seed %llu, step %llu: task %u: %s", (unsigned long long)at.again[0],
             (unsigned long long)at.again[1], task, what);
}

static struct id id_of(unsigned number)
{
    struct id id = {{0}};

    id.bytes[0] = 1;
    id.bytes[15] = (uint8_t)number;
    return id;
}

static uint64_t number_in(struct span payload)
{
    uint64_t number = 0;

    if (payload.size == sizeof number) {
        memcpy(&number, payload.data, sizeof number);
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
    uint64_t answer = number_in(record->payload.bytes);

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
    at.told++;
}

static void on_send(void *context, connection_id to, const struct message *message)
{
    unsigned who = (unsigned)(to - at.lives * 16);

    if (message->command == COMMAND_RESULT && who == SUBMITTER) {
        take_result(&message->result.record);
    } else if (message->command == COMMAND_ACCEPTED) {
        at.tasks[message->accepted.id.bytes[15]].accepted = true;
        at.accepted++;
    } else if (message->command == COMMAND_TASK) {
        size_t worker = who - WORKER;
        unsigned number = message->task.id.bytes[15];

        if (at.tasks[number].starts++ > 0 && at.tasks[number].options.attempts == 1 &&
            at.tasks[number].options.durable) {
            wrong("it was to start once", number);
        }

        assert_true(at.held_count[worker] < HELD);
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
    shelf_add(at.shelf, record);
}

/* ---- what happens ---------------------------------------------------------------------- */

static void step(struct event *event)
{
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

static void start(void)
{
    struct broker_options options = broker_options_default();
    struct effects effects = {.send = on_send,
                              .forget = on_forget,
                              .log = on_log,
                              .log_level = LOG_ERROR,
                              .store = on_store};
    struct event open = {.kind = EVENT_STORE, .store = STORE_OPEN};

    options.hash_seed = pick(UINT64_MAX);
    options.started_unix_ms = 1000000000000 + at.now_ms;
    options.silence_ms = options.probe_ms = 1000000000;
    options.ping_ms = 1000000;
    options.backoff_ms = 5;
    options.retain_ms = 1000000000;
    at.lives++;
    at.broker = broker_new(&options, &effects, at.now_ms);
    assert_non_null(at.broker);
    for (size_t i = 0; i < shelf_count(at.shelf); i++) {
        assert_true(broker_restore(at.broker, shelf_row(at.shelf, i)));
    }
    broker_restored(at.broker, shelf_next_key(at.shelf));
    step(&open);
}

static void store_some(uint64_t sequence)
{
    struct event stored = {.kind = EVENT_STORED, .stored = sequence};

    at.safe = sequence;
    step(&stored);
}

static const struct store_row *find_row(unsigned number)
{
    struct id id = id_of(number);

    for (size_t i = shelf_count(at.shelf); i > 0; i--) {
        const struct store_row *row = shelf_row(at.shelf, i - 1);

        if (id_equal(&row->submit.id, &id)) {
            return row;
        }
    }
    return NULL;
}

/* What was told is there. */
static void check_row(unsigned number)
{
    const struct task_seen *task = &at.tasks[number];
    const struct store_row *row = find_row(number);

    if (!task->options.durable || !task->accepted) {
        return;
    }
    if (row == NULL) {
        wrong("it was accepted, and is lost", number);
    }
    if (task->ended && (!row->ended || row->outcome.outcome != task->outcome ||
                        number_in(row->outcome.payload.bytes) != task->answer)) {
        wrong("its outcome was told, and is lost", number);
    }
}

static void crash(void)
{
    uint64_t last = shelf_last(at.shelf);
    uint64_t kept = at.safe + pick(last - at.safe + 1);

    broker_free(at.broker);
    shelf_crash(at.shelf, kept);
    at.safe = 0;
    at.crashes++;
    for (unsigned number = 0; number < TASKS; number++) {
        check_row(number);
        if (!at.tasks[number].options.durable) {
            at.tasks[number].accepted = false;
        }
    }
    at.now_ms += pick(3000);
    start();
    everybody_comes();
}

/* A worker answers one of the tasks that it has. */
static void answer(unsigned worker, bool well)
{
    struct message message = {.command = COMMAND_DONE};
    size_t which = (size_t)pick(at.held_count[worker]);
    struct held held = at.held[worker][which];
    uint64_t payload = ++at.answers;
    uint64_t how = well ? 0 : pick(10);

    if (how == 9) {
        message.command = COMMAND_CHECKPOINT;
        message.checkpoint.id = id_of(held.task);
        message.checkpoint.attempt = held.attempt;
        message.checkpoint.payload.bytes = span_of(&payload, sizeof payload);
        say(WORKER + worker, &message);
        return;
    }
    at.held[worker][which] = at.held[worker][--at.held_count[worker]];
    if (how < 7) {
        message.done.id = id_of(held.task);
        message.done.attempt = held.attempt;
        message.done.payload.bytes = span_of(&payload, sizeof payload);
    } else {
        message.command = COMMAND_FAIL;
        message.fail.id = id_of(held.task);
        message.fail.attempt = held.attempt;
        message.fail.error.raw = span_of("\x81\xa4" "code\xa1x", 8);
        message.fail.error.code = span_from_text("x");
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
    unsigned number = (unsigned)pick(TASKS), worker = (unsigned)pick(WORKERS);
    uint64_t what = pick(100);

    if (what < 35) {
        if (!at.tasks[number].sent) {
            submit(number);
        }
    } else if (what < 65) {
        if (at.held_count[worker] > 0) {
            answer(worker, false);
        }
    } else if (what < 85) {
        store_some(at.safe + pick(shelf_last(at.shelf) - at.safe + 1));
    } else if (what < 90) {
        pass(pick(50));
    } else if (what < 93) {
        if (at.tasks[number].sent) {
            cancel(number);
        }
    } else if (what < 94) {
        crash();
    }
}

static void draw_tasks(void)
{
    static const char *const keys[] = {"", "", "", "k1", "k2"};

    for (unsigned number = 0; number < TASKS; number++) {
        struct submit *submit = &at.tasks[number].options;

        submit->service = span_from_text("echo");
        submit->if_absent = IF_ABSENT_WAIT;
        submit->priority = pick(10);
        submit->durable = pick(10) > 0;
        submit->receipts = true;
        submit->attempts = 1 + pick(3);
        submit->detached = pick(4) == 0;
        submit->dead_letter = pick(4) == 0;
        submit->order = span_from_text(keys[pick(5)]);
        submit->delay_ms = pick(5) == 0 ? 1 + pick(100) : 0;
        submit->deadline_ms = pick(10) == 0 ? 1 + pick(5000) : 0;
        if (pick(5) == 0) {
            submit->idempotency_key = span_from_text(keys[3 + pick(2)]);
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

/* No more crashes: all that was submitted ends. */
static void finish(void)
{
    for (unsigned round = 0; round < 2000 && !all_ended(); round++) {
        for (unsigned worker = 0; worker < WORKERS; worker++) {
            while (at.held_count[worker] > 0) {
                answer(worker, true);
            }
        }
        store_some(shelf_last(at.shelf));
        pass(100);
    }
    for (unsigned number = 0; number < TASKS; number++) {
        if (at.tasks[number].sent && !at.tasks[number].ended) {
            wrong("it did not end", number);
        }
    }
}

static void run_world(uint64_t seed)
{
    at = (struct world){.random = seed, .again = {seed, 0}};
    at.shelf = shelf_new();
    at.now_ms = 1;
    draw_tasks();
    start();
    everybody_comes();
    for (at.again[1] = 0; at.again[1] < STEPS; at.again[1]++) {
        anything();
    }
    finish();
    broker_free(at.broker);
    shelf_free(at.shelf);
}

static void what_was_told_holds_after_any_crash(void **state)
{
    uint64_t crashes = 0, told = 0, accepted = 0;

    for (uint64_t seed = 1; seed <= WORLDS; seed++) {
        run_world(seed);
        crashes += at.crashes;
        told += at.told;
        accepted += at.accepted;
    }
    print_message("%llu crashes, %llu accepted, %llu outcomes told\n",
                  (unsigned long long)crashes, (unsigned long long)accepted,
                  (unsigned long long)told);
    assert_true(crashes > WORLDS && told > 10 * WORLDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_told_holds_after_any_crash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
