#include "tests/sim/operator.h"

#include "common/check.h"
#include "common/doc.h"
#include "tests/sim/check.h"
#include "tests/sim/world.h"

#include <string.h>

#define FOUND_MAX 64

struct visit {
    struct sim_broker *broker;
    uint64_t numbers[FOUND_MAX]; /* of peers */
    struct id ids[FOUND_MAX];    /* of letters */
    size_t number_count, id_count;
    enum query_what asked;
    bool welcome, done; /* the last CONTROL was */
};

static void take_reply(struct visit *visit, const struct doc *doc)
{
    for (size_t i = 0; i < doc->token_count; i++) {
        const struct doc_token *token = &doc->tokens[i];

        if (token->kind == DOC_UINT && span_is(token->key, "peer") &&
            visit->number_count < FOUND_MAX) {
            visit->numbers[visit->number_count++] = token->number;
        } else if (span_is(token->key, "id") && token->bytes.size == ID_BYTES &&
                   visit->id_count < FOUND_MAX) {
            memcpy(visit->ids[visit->id_count++].bytes, token->bytes.data, ID_BYTES);
        }
    }
}

static void on_message(void *context, const struct message *message)
{
    struct visit *visit = context;

    if (message->command == COMMAND_WELCOME) {
        visit->welcome = true;
    } else if (message->command == COMMAND_REPLY) {
        visit->done = message->reply.ok;
        if (message->reply.ok && visit->asked == QUERY_LIMITS) {
            check_limits_told(visit->broker->model, message->reply.body);
        } else if (message->reply.ok) {
            take_reply(visit, message->reply.body);
        }
    }
}

static void say(struct visit *visit, const struct message *message)
{
    sim_broker_operate(visit->broker, message, on_message, visit);
}

static void ask(struct visit *visit, enum query_what what)
{
    struct message message = {.command = COMMAND_QUERY};

    message.query.request = 1;
    message.query.what = visit->asked = what;
    say(visit, &message);
}

/* False: not let in. */
static bool begin(struct visit *visit, struct sim_broker *broker)
{
    struct message message = {.command = COMMAND_HELLO};

    *visit = (struct visit){.broker = broker};
    message.hello.version = 1;
    memset(message.hello.session.bytes, 0x0b, sizeof message.hello.session.bytes);
    broker->visits++;
    memcpy(message.hello.session.bytes, &broker->visits, sizeof broker->visits);
    message.hello.name = span_from_text("operator");
    say(visit, &message);
    return visit->welcome;
}

static struct message control_of(enum control_what what, const char *service)
{
    struct message message = {.command = COMMAND_CONTROL};

    message.control.request = 2;
    message.control.what = what;
    message.control.service = span_from_text(service);
    memset(&message.control.limits, 0xff, sizeof message.control.limits);
    return message;
}

static void control(struct visit *visit, enum control_what what, uint64_t peer,
                    const char *service)
{
    struct message message = control_of(what, service);

    message.control.peer = peer;
    say(visit, &message);
}

/* Not without a look at what there is: check_told.c compares it. */
static void end(struct visit *visit)
{
    ask(visit, QUERY_LIMITS);
    say(visit, &(struct message){.command = COMMAND_BYE});
}

void operator_drain(struct sim_broker *broker, struct random *random, unsigned services)
{
    enum control_what what = random_chance(random, 500) ? CONTROL_DRAIN : CONTROL_UNDRAIN;
    uint64_t choice = random_below(random, 10);
    struct visit visit;

    if (!begin(&visit, broker)) {
        return;
    }
    ask(&visit, QUERY_PEERS);
    if (choice == 0) {
        control(&visit, what, 0, "");
    } else if (choice < 5) {
        control(&visit, what, 0, world_service((unsigned)random_below(random, services)));
    } else {
        control(&visit, what, visit.numbers[random_below(random, visit.number_count)], "");
    }
    end(&visit);
}

void operator_limit(struct sim_broker *broker, const char *service,
                    const struct limit_values *values)
{
    struct message message = control_of(CONTROL_LIMIT, service);
    struct visit visit;

    if (begin(&visit, broker)) {
        message.control.limits = *values;
        say(&visit, &message);
        end(&visit);
    }
}

void operator_pause(struct sim_broker *broker, struct random *random, unsigned services)
{
    bool pause = random_chance(random, 600);
    struct message message = control_of(pause ? CONTROL_PAUSE : CONTROL_RESUME,
                                        world_service((unsigned)random_below(random, services)));
    struct visit visit;

    message.control.ms = random_chance(random, 700) ? random_between(random, 1, 3000) : 0;
    if (begin(&visit, broker)) {
        say(&visit, &message);
        end(&visit);
    }
}

void operator_exhume(struct sim_broker *broker, struct random *random, unsigned services)
{
    bool retry = random_chance(random, 700), all = random_chance(random, 200);
    const char *service = world_service((unsigned)random_below(random, services));
    struct message message = control_of(retry ? CONTROL_RETRY : CONTROL_DROP, all ? service : "");
    struct visit visit;

    if (!begin(&visit, broker)) {
        return;
    }
    ask(&visit, QUERY_DEAD);
    if (!all) {
        message.control.task = visit.id_count > 0
                                   ? visit.ids[random_below(random, visit.id_count)]
                                   : random_id(random);
    }
    say(&visit, &message);
    if (!all && random_chance(random, 200)) {
        say(&visit, &message); /* impatient: the letter is gone, or was refused */
    }
    end(&visit);
}

bool operator_let_go(struct sim_broker *broker, unsigned services)
{
    struct visit visit;

    if (!begin(&visit, broker)) {
        return false;
    }
    ask(&visit, QUERY_PEERS);
    for (size_t i = 0; i < visit.number_count; i++) {
        control(&visit, CONTROL_UNDRAIN, visit.numbers[i], "");
    }
    for (unsigned i = 0; i < services; i++) {
        control(&visit, CONTROL_RESUME, 0, world_service(i));
        control(&visit, CONTROL_UNDRAIN, 0, world_service(i));
    }
    control(&visit, CONTROL_UNDRAIN, 0, "");
    CHECK(visit.done);
    end(&visit);
    return true;
}
