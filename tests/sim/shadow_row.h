/* shadow_row: what is known of a broker's store: the rows of durable tasks, and of what an operator
 * has said (shadow_directive.h), what records have been made of each, and which of them are safe. By
 * PROTOCOL.md, 4.9. It outlives brokers: after a crash what is left is a prefix of the records, no
 * shorter than what was safe, and the next broker has to come to exactly that. */
#ifndef SLUICE_TESTS_SIM_SHADOW_ROW_H
#define SLUICE_TESTS_SIM_SHADOW_ROW_H

#include "tests/sim/model.h"

struct shadow_row {
    struct list link;         /* model->rows, by key */
    uint64_t key;
    struct id id, session;
    struct shadow_directive *directive; /* NULL: it is of a task */
    struct shadow_said *said; /* its SUBMIT; attempts: as its service said then */
    char twin[KEY_MAX + 1];   /* idempotency key */
    uint64_t content;         /* digest of its payload */
    struct id *needs;
    uint64_t accepted_ms;
    bool once;                /* it may have one attempt */
    /* What is safe. */
    bool safe, ended;
    uint64_t attempts, before, checkpoint; /* before: where the numbers of attempts begin */
    enum outcome outcome;
    uint64_t attempt, digest; /* of its end */
    char code[24];
    /* What has been recorded by this broker, and is not safe. */
    uint64_t pending, pending_checkpoints;
    bool ending, forgetting;
    uint64_t attempts_said;   /* of this broker's last record of it, or what was safe before */
    /* What others have seen, of all brokers. */
    bool accepted, handed, told;
    size_t input_count;       /* told: how the first needs of a join had ended */
    enum outcome inputs[16];
    bool fresh;               /* it has become safe in this step */
    bool bound;               /* this broker has a task of it, or had */
};

/* One record, until it is safe. */
struct shadow_record {
    enum store_what what;
    uint64_t sequence;
    struct shadow_row *row;
    uint64_t attempts, before, digest, attempt;
    enum outcome outcome;
    char code[24];
};

struct shadow_row *shadow_row_find(const struct model *model, uint64_t key); /* NULL: none */
/* The row of this id that no task of this broker has been made for yet; the oldest. NULL: none. */
struct shadow_row *shadow_row_unbound(const struct model *model, const struct id *id);
/* A record was made; of STORE_TASK with what was submitted. */
void shadow_row_record(struct model *model, const struct fact *fact, const struct submit *submit,
                       const struct id *session, uint64_t attempts_max);
/* The last record of it that is not safe; NULL: all are. */
const struct shadow_record *shadow_row_recorded(const struct model *model,
                                                const struct shadow_row *row);
/* A new row of what an operator has said. */
void shadow_row_direct(struct model *model, const struct fact *fact,
                       const struct shadow_directive *directive);
void shadow_rows_stored(struct model *model, uint64_t sequence);
/* What it was submitted with, as it is now that time has gone on. Texts live as long as the row. */
struct submit shadow_row_submit(const struct model *model, const struct shadow_row *row);
/* The number of its last attempt may be this. Those of a letter that was tried again go on from
 * those of its causes, and not every attempt before has one. */
bool shadow_row_attempt_fits(const struct shadow_row *row, uint64_t attempt);
/* Payload bytes of tasks that are not safe. */
uint64_t shadow_rows_unsafe_bytes(const struct model *model);
void shadow_rows_free(struct model *model);

#endif
