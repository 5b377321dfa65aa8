#include "agents/cron/firing.h"

#include "common/check.h"
#include "common/id.h"
#include "common/siphash.h"

#include <stdio.h>
#include <string.h>

#define TEXT_BYTES_MAX 256 /* a name, a service's name and a number are shorter */

/* A UUIDv7 of the planned time; its random part is a digest, under a key that everybody knows:
 * what matters is that all come to the same. */
struct sluice_id firing_id(const struct work *work, int64_t planned_s)
{
    static const uint8_t key[16] = "sluice-cron-id-1";
    uint8_t digest[DIGEST_BYTES];
    char text[TEXT_BYTES_MAX];
    int size = snprintf(text, sizeof text, "%s %s %lld", work->name, work->service,
                        (long long)planned_s);
    struct sluice_id id;
    struct id made;

    CHECK(size > 0 && (size_t)size < sizeof text);
    siphash128(key, text, (size_t)size, digest);
    made = id_make((uint64_t)planned_s * 1000, digest);
    memcpy(id.bytes, made.bytes, sizeof id.bytes);
    return id;
}

void firing_start(struct firing *firing, struct sluice *sluice, const struct work *work,
                  int64_t planned_s, int64_t now_ms)
{
    struct sluice_submit_options options = work->options;
    struct sluice_id id = firing_id(work, planned_s);
    int64_t ahead_ms = planned_s * 1000 - now_ms;

    firing_drop(firing);
    options.id = &id;
    options.run_at_ms = (uint64_t)planned_s * 1000;
    options.detached = true;
    options.deadline_ms += options.deadline_ms > 0 && ahead_ms > 0 ? (uint64_t)ahead_ms : 0;
    firing->future =
        sluice_submit_json(sluice, work->service, json_incref(work->payload), &options);
    firing->planned_s = planned_s;
    firing->state = firing->future != NULL ? FIRING_SENT : FIRING_NONE;
}

static void set_outcome(struct firing *firing, enum firing_state state, struct sluice *sluice)
{
    const struct sluice_error *error = sluice_future_error(firing->future);

    firing->state = state;
    firing->outcome = sluice_future_outcome(firing->future);
    firing->refused_ms = sluice_now_ms(sluice);
    snprintf(firing->code, sizeof firing->code, "%s", error != NULL ? error->code : "");
    snprintf(firing->reason, sizeof firing->reason, "%s", error != NULL ? error->message : "");
    sluice_future_free(firing->future);
    firing->future = NULL;
}

/* The broker has a task of this id already: the same firing, and somebody else's. */
static bool follow(struct firing *firing, struct sluice *sluice, const struct work *work)
{
    struct sluice_id id = firing_id(work, firing->planned_s);

    firing->future = sluice_attach(sluice, &id);
    firing->shared = firing->future != NULL;
    if (firing->shared) {
        firing->state = FIRING_ACCEPTED;
        firing->code[0] = firing->reason[0] = '\0'; /* nothing has gone wrong */
    }
    return firing->shared;
}

bool firing_poll(struct firing *firing, struct sluice *sluice, const struct work *work)
{
    enum sluice_outcome outcome;

    if (firing->future == NULL) {
        return false;
    }
    outcome = sluice_future_outcome(firing->future);
    if (firing->state == FIRING_SENT && sluice_future_accepted(firing->future)) {
        firing->state = FIRING_ACCEPTED;
        return true;
    }
    if (outcome == SLUICE_PENDING) {
        return false;
    }
    if (outcome != SLUICE_REFUSED) {
        set_outcome(firing, FIRING_ENDED, sluice);
        return true;
    }
    /* Also one that was followed, and was lost with its submitter and the broker. */
    set_outcome(firing, FIRING_REFUSED, sluice);
    if (!firing->shared && strcmp(firing->code, "conflict") == 0) {
        follow(firing, sluice, work);
    }
    return true;
}

void firing_drop(struct firing *firing)
{
    sluice_future_free(firing->future);
    *firing = (struct firing){.state = FIRING_NONE};
}

void firing_forget(struct firing *firing)
{
    if (firing->state == FIRING_SENT) {
        sluice_future_forget(firing->future);
        firing->future = NULL;
    }
    firing_drop(firing);
}
