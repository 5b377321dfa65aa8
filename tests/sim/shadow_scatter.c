#include "tests/sim/shadow_scatter.h"

#define WIDTH_MAX 256 /* more workers than any world has */

static bool appears(const struct fact *fact)
{
    return fact->kind == FACT_MOVE && fact->from == SHADOW_NEW;
}

/* How many tasks appeared in this step before. */
static size_t appeared_before(const struct model *model, const struct fact *fact,
                              uint8_t ids[WIDTH_MAX * ID_BYTES])
{
    size_t count = 0;

    for (const struct fact *at = model->facts; at < fact; at++) {
        if (appears(at)) {
            CHECK(count < WIDTH_MAX);
            if (ids != NULL) {
                memcpy(ids + count * ID_BYTES, at->id.bytes, ID_BYTES);
            }
            count++;
        }
    }
    return count;
}

struct submit shadow_scatter_submit(struct model *model, const struct fact *fact,
                                    const struct submit *said)
{
    static uint8_t needs[WIDTH_MAX * ID_BYTES];
    struct submit submit = *said;

    submit.id = fact->id;
    submit.route = ROUTE_ONE;
    if (!id_equal(&said->id, &fact->id)) {
        submit.held = true;
        submit.receipts = false;
        submit.retain_ms = 0;
        return submit;
    }
    submit.service = submit.version = submit.retry_on = submit.final_on = span_of(NULL, 0);
    submit.payload = (struct payload){.bytes = span_of(NULL, 0)};
    submit.attempts = submit.cost = submit.queue_ttl_ms = submit.lease_ms = submit.delay_ms = 0;
    submit.join = JOIN_SETTLED;
    submit.needs = needs;
    submit.needs_stride = ID_BYTES;
    submit.needs_count = appeared_before(model, fact, needs);
    return submit;
}

/* The worker would take a part, had it room. */
static bool is_meant(const struct shadow_offer *offer, const struct submit *submit)
{
    return !offer->withdrawn && model_takes(offer->session) &&
           span_is(submit->service, offer->service) &&
           (submit->version.size == 0 || span_is(submit->version, offer->version));
}

uint64_t shadow_scatter_offer(const struct model *model, const struct fact *fact)
{
    const struct submit *submit;
    size_t left;

    if (!model_event_is(model, COMMAND_SUBMIT)) {
        return 0;
    }
    submit = &model->event->message->submit;
    if (submit->route != ROUTE_ALL || id_equal(&submit->id, &fact->id)) {
        return 0;
    }
    left = appeared_before(model, fact, NULL);
    list_each(at, &model->offers) {
        const struct shadow_offer *offer = list_entry(at, struct shadow_offer, link);

        if (is_meant(offer, submit) && left-- == 0) {
            return offer->number;
        }
    }
    return UINT64_MAX; /* for nobody: check_scatters complains */
}

size_t shadow_scatter_width(const struct model *model, const struct submit *submit)
{
    size_t width = 0;

    list_each(at, &model->offers) {
        width += is_meant(list_entry(at, struct shadow_offer, link), submit);
    }
    return width;
}
