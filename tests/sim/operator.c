#include "tests/sim/operator.h"

#include "common/check.h"
#include "common/doc.h"
#include "tests/sim/world.h"

#include <string.h>

#define NUMBERS_MAX 64

struct visit {
    struct sim_broker *broker;
    uint64_t numbers[NUMBERS_MAX];
    size_t number_count;
    bool welcome, done; /* the last CONTROL was */
};

static void take_numbers(struct visit *visit, const struct doc *doc)
{
    for (size_t i = 0; i < doc->token_count; i++) {
        const struct doc_token *token = &doc->tokens[i];

        if (token->kind == DOC_UINT && span_is(token->key, "peer") &&
            visit->number_count < NUMBERS_MAX) {
            visit->numbers[visit->number_count++] = token->number;
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
        if (message->reply.ok) {
            take_numbers(visit, message->reply.body);
        }
    }
}

static void say(struct visit *visit, const struct message *message)
{
    sim_broker_operate(visit->broker, message, on_message, visit);
}

/* False: not let in. */
static bool begin(struct visit *visit, struct sim_broker *broker)
{
    struct message message = {.command = COMMAND_HELLO};

    *visit = (struct visit){.broker = broker};
    message.hello.version = 1;
    memset(message.hello.session.bytes, 0x0b, sizeof message.hello.session.bytes);
    message.hello.name = span_from_text("operator");
    say(visit, &message);
    message = (struct message){.command = COMMAND_QUERY};
    message.query.request = 1;
    message.query.what = QUERY_PEERS;
    if (visit->welcome) {
        say(visit, &message);
    }
    return visit->welcome;
}

static void control(struct visit *visit, enum control_what what, uint64_t peer,
                    const char *service)
{
    struct message message = {.command = COMMAND_CONTROL};

    message.control.request = 2;
    message.control.what = what;
    message.control.peer = peer;
    message.control.service = span_from_text(service);
    memset(&message.control.limits, 0xff, sizeof message.control.limits);
    say(visit, &message);
}

static void end(struct visit *visit)
{
    say(visit, &(struct message){.command = COMMAND_BYE});
}

void operator_visit(struct sim_broker *broker, struct random *random, unsigned services)
{
    enum control_what what = random_chance(random, 500) ? CONTROL_DRAIN : CONTROL_UNDRAIN;
    uint64_t choice = random_below(random, 10);
    struct visit visit;

    if (!begin(&visit, broker)) {
        return;
    }
    if (choice == 0) {
        control(&visit, what, 0, "");
    } else if (choice < 5) {
        control(&visit, what, 0, world_service((unsigned)random_below(random, services)));
    } else {
        control(&visit, what, visit.numbers[random_below(random, visit.number_count)], "");
    }
    end(&visit);
}

bool operator_undrain_all(struct sim_broker *broker, unsigned services)
{
    struct visit visit;

    if (!begin(&visit, broker)) {
        return false;
    }
    for (size_t i = 0; i < visit.number_count; i++) {
        control(&visit, CONTROL_UNDRAIN, visit.numbers[i], "");
    }
    for (unsigned i = 0; i < services; i++) {
        control(&visit, CONTROL_UNDRAIN, 0, world_service(i));
    }
    control(&visit, CONTROL_UNDRAIN, 0, "");
    CHECK(visit.done);
    end(&visit);
    return true;
}
