/* orders: a workflow with branches. Inventory and shipping are asked together, promotions are
 * reckoned meanwhile; what is not in stock declines the order and stops the rest, a shipping quote
 * that comes too late is replaced by the standard rate, and only a whole order is finalised. */
#include "agents/examples/example.h"

#include <string.h>

#define STANDARD_RATE_CENTS 990

static const char *text_of(struct sluice_task *task, const char *key)
{
    const char *text = json_string_value(json_object_get(sluice_task_args(task), key));

    return text != NULL ? text : "";
}

static void inventory(struct sluice_task *task, void *arg)
{
    const char *item = text_of(task, "item");

    if (!example_work(task, example_work_ms() / 2)) {
        return;
    }
    if (strcmp(item, "unicorn") == 0) {
        sluice_failf(task, "out_of_stock", "there is no %s", item);
        return;
    }
    sluice_done_json(task, json_pack("{s:s, s:i}", "item", item, "reserved", 1));
}

static void shipping(struct sluice_task *task, void *arg)
{
    bool far = strcmp(text_of(task, "to"), "the moon") == 0;

    if (example_work(task, far ? 60 * example_work_ms() : example_work_ms())) {
        sluice_done_json(task, json_pack("{s:i, s:s}", "cents", 450, "by", "courier"));
    }
}

static void finalise(struct sluice_task *task, void *arg)
{
    json_t *order = sluice_task_args(task);

    sluice_done_json(task, json_pack("{s:s, s:O}", "state", "finalised", "order", order));
}

/* A tenth off from 100.00 on: nobody has to be asked for it. */
static int promotion_cents(int price_cents)
{
    return price_cents >= 10000 ? price_cents / 10 : 0;
}

static struct sluice_future *ask_inventory(struct sluice *sluice, struct sluice_task *task)
{
    return sluice_submit_json(sluice, "example.inventory",
                              json_pack("{s:s}", "item", text_of(task, "item")), NULL);
}

static struct sluice_future *ask_shipping(struct sluice *sluice, struct sluice_task *task)
{
    struct sluice_submit_options options = {.deadline_ms = 2 * example_work_ms()};

    return sluice_submit_json(sluice, "example.shipping",
                              json_pack("{s:s}", "to", text_of(task, "to")), &options);
}

static json_t *shipping_or_standard(struct sluice_future *shipped)
{
    if (sluice_await(shipped) == SLUICE_DONE) {
        return json_incref(sluice_future_json(shipped));
    }
    return json_pack("{s:i, s:s}", "cents", STANDARD_RATE_CENTS, "by", "post");
}

/* In stock: completes the order, and has it finalised. */
static void complete(struct sluice_task *task, struct sluice_future *shipped, int discount_cents)
{
    struct sluice *sluice = sluice_task_peer(task);
    int price_cents = (int)json_integer_value(json_object_get(sluice_task_args(task), "cents"));
    json_t *rate = shipping_or_standard(shipped);
    int total = price_cents - discount_cents +
                (int)json_integer_value(json_object_get(rate, "cents"));
    struct sluice_future *final = sluice_submit_json(
        sluice, "example.finalise",
        json_pack("{s:s, s:o, s:i}", "item", text_of(task, "item"), "shipping", rate,
                  "total_cents", total),
        NULL);

    if (sluice_await(final) == SLUICE_DONE) {
        sluice_done_json(task, json_incref(sluice_future_json(final)));
    } else {
        example_fail_as(task, final);
    }
}

static void order(struct sluice_task *task, void *arg)
{
    struct sluice *sluice = sluice_task_peer(task);
    int price_cents = (int)json_integer_value(json_object_get(sluice_task_args(task), "cents"));
    struct sluice_scope *scope = sluice_scope_open(sluice, 0);
    struct sluice_future *stocked = ask_inventory(sluice, task);
    struct sluice_future *shipped = ask_shipping(sluice, task);
    int discount_cents = promotion_cents(price_cents);

    if (sluice_await(stocked) == SLUICE_DONE) {
        complete(task, shipped, discount_cents);
    } else {
        const struct sluice_error *error = sluice_future_error(stocked);

        sluice_done_json(task, json_pack("{s:s, s:s}", "state", "declined", "why",
                                         error != NULL ? error->code : "unknown"));
    }
    sluice_scope_close(scope, SLUICE_SCOPE_CANCEL); /* nobody quotes for an order that is off */
}

static int ask(struct sluice *sluice, void *arg)
{
    static const char *const orders[][2] = {
        {"lamp", "the next town"}, {"unicorn", "the next town"}, {"lamp", "the moon"}};

    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        int rc = example_ask(sluice, "example.order",
                             json_pack("{s:s, s:s, s:i}", "item", orders[i][0], "to", orders[i][1],
                                       "cents", 12000));

        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

#define ORDER_SCHEMA                                                                               \
    "{\"type\": \"object\", \"required\": [\"item\", \"to\", \"cents\"], \"properties\": {"        \
    "\"item\": {\"type\": \"string\"}, \"to\": {\"type\": \"string\"},"                            \
    "\"cents\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": 100000000}}}"

static const struct sluice_service services[] = {
    {.name = "example.inventory", .handler = inventory, .about = "Reserves an item"},
    {.name = "example.shipping", .handler = shipping, .about = "Quotes for a shipment"},
    {.name = "example.finalise", .handler = finalise, .about = "Finalises an order"},
    {.name = "example.order", .handler = order, .schema = ORDER_SCHEMA, .about = "Takes an order"},
};

static const struct example example = {
    .name = "orders",
    .about = "An order workflow: inventory and shipping together, promotions meanwhile. One order\n"
             "that goes well, one that is out of stock and stops the rest, and one whose\n"
             "shipping quote comes too late.\n",
    .services = services,
    .service_count = sizeof services / sizeof *services,
    .ask = ask,
};

int main(int argc, char **argv)
{
    return example_main(&example, argc, argv);
}
