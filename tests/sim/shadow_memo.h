/* shadow_memo: what is known of what a task keeps for its next attempt: the last checkpoint that
 * was taken, and signals. By PROTOCOL.md, CHECKPOINT and SIGNAL. */
#ifndef SLUICE_TESTS_SIM_SHADOW_MEMO_H
#define SLUICE_TESTS_SIM_SHADOW_MEMO_H

#include "tests/sim/model.h"

struct shadow_memo {
    uint64_t checkpoint; /* its digest; 0: none */
    struct {
        uint64_t digest, bytes;
    } signals[SIGNALS_MAX];
    unsigned count;
    unsigned given; /* of those: some attempt has had them */
    unsigned told;  /* of those: the attempt that runs has had them */
};

/* It begins with a checkpoint of another life; 0: without. */
void shadow_memo_restore(struct shadow_task *task, uint64_t checkpoint);
/* NULL: nothing is kept. */
void shadow_memo_event(struct model *model);
void shadow_memo_fact(struct model *model, const struct fact *fact);

#endif
