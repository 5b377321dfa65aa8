/* directive: what an operator has said of a service or tenant, and a restart must not undo.
 *
 * With a store, the limits, pauses and drains that CONTROL has set are rows of it, one for each
 * scope: all that was said of its limits, one over the other; its pause; its drain. They are given
 * back when the config has been applied: what was said at run time wins.
 *
 * A directive holds at once, and nobody waits for the store: it is there within milliseconds. */
#ifndef SLUICE_BROKER_CORE_DIRECTIVE_H
#define SLUICE_BROKER_CORE_DIRECTIVE_H

#include "broker/core/limit.h"
#include "broker/core/store.h"

#define DIRECTIVES_MAX LIMIT_RULES_MAX

struct directive {
    struct list link; /* broker->directives */
    uint64_t key;     /* of its row */
    uint64_t said_unix_ms;
    bool over_config; /* limits: the config has some there, so that none is something to keep */
    /* CONTROL_LIMIT, with LIMIT_UNCHANGED for what was not said; CONTROL_PAUSE; CONTROL_DRAIN. Its
     * spans are in `text`. */
    struct control control;
    uint8_t text[SERVICE_NAME_MAX + PEER_NAME_MAX + KEY_MAX];
};

/* There is room to keep what `control` says; always, if that is nothing to be kept. For that, what
 * says nothing any more is forgotten: pauses that are over, limits that are none. */
bool directive_fits(struct broker *broker, const struct control *control);
/* Before it is done: it changes limits, the config's unless a directive has made them. */
bool directive_over_config(const struct broker *broker, const struct control *control);
/* It has been done, and is kept; `over_config`: what was said before. False: no memory, it holds
 * until the broker ends. */
bool directive_keep(struct broker *broker, const struct peer *peer,
                    const struct control *control, bool over_config);
/* Does again what the row says; of a pause later, for another row may say that it has ended. False:
 * no room for it. */
bool directive_restore(struct broker *broker, const struct store_row *row);
/* All rows are back: what was paused is. */
void directives_restored(struct broker *broker);
/* All go: the broker ends. */
void directive_clear(struct broker *broker);
void directive_check(const struct broker *broker);

#endif
