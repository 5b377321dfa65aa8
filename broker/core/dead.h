/* dead: dead letters: tasks that failed for good, kept until somebody retries or drops them.
 *
 * A letter has all it takes to submit the task again, its payload and its options as they were
 * said, and why its attempts failed. Bounded by count and bytes; the oldest is forgotten first,
 * counted and logged. Owner of letters: the broker's pool. */
#ifndef SLUICE_BROKER_CORE_DEAD_H
#define SLUICE_BROKER_CORE_DEAD_H

#include "broker/core/state.h"

struct letter {
    struct table_node node;    /* broker->letters, by id */
    struct roster_place place; /* broker->dead, in order of death */
    struct id id;
    struct blob *options;      /* as in struct terms */
    struct blob *payload;
    struct cause_chain causes;
    uint64_t died_ms;
    uint16_t attempt;          /* the last one, as peers saw it */
    uint64_t key;              /* of its row in the store; 0: none */
};

/* `task` is about to end as failed and still has its payload: keeps its letter, if it is to
 * have one. Takes the causes over. */
void dead_bury(struct broker *broker, struct task *task);

struct letter *dead_find(const struct broker *broker, const struct id *id); /* NULL: none */
/* There is a letter of that row. */
bool dead_keeps(const struct broker *broker, const struct id *id, uint64_t key);
void dead_drop(struct broker *broker, struct letter *letter);
struct span letter_service(const struct letter *letter);
uint64_t letter_bytes(const struct letter *letter);

/* Submits the letter's task again for `peer`, detached and under the same id; on ERROR_NONE the
 * letter is gone, else it stays. */
enum error_code dead_retry(struct broker *broker, struct peer *peer, struct letter *letter);

/* CONTROL retry and drop, of one letter or of all of a service. */
enum error_code control_letters(struct broker *broker, struct peer *peer,
                                const struct control *control, struct doc *body);

/* QUERY dead and letter. */
enum error_code answer_dead(const struct broker *broker, const struct query *query,
                            struct doc *doc);
enum error_code answer_letter(const struct broker *broker, const struct query *query,
                              struct doc *doc);

#endif
