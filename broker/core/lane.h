/* lane: the tasks of one service with one ordering key.
 *
 * One at a time is out of the lane: in its flow, in a worker's hands, or delayed between two
 * attempts. The others wait here, in the order in which they became ready, whatever their
 * priorities and fairness keys. A task leaves for good when it has ended; then the next one
 * goes out. So no key holds up another, and none is ever overtaken by its own.
 *
 * A lane lives as long as tasks that have not ended name it. Owner: the broker's pool. */
#ifndef SLUICE_BROKER_CORE_LANE_H
#define SLUICE_BROKER_CORE_LANE_H

#include "common/list.h"
#include "common/span.h"
#include "common/table.h"
#include "proto/limits.h"

#include <stdint.h>

struct broker;
struct service;
struct task;

struct lane {
    struct table_node node;  /* broker->lanes */
    struct service *service;
    struct task *out;        /* NULL: nobody */
    struct list waiting;     /* tasks by `link` */
    uint64_t tasks;          /* that name it */
    uint64_t seen;           /* of those, by broker_check, which leaves 0 */
    uint8_t key_size;
    uint8_t key[KEY_MAX];
};

/* Finds or makes the lane of `task`, which has its rare part and no lane yet. False: no memory. */
bool lane_open(struct broker *broker, struct task *task, struct span key);
/* The task is about to be ready: true if it goes out (or is out already), false if it waits here
 * from now on. */
bool lane_pass(struct task *task);
/* True: it waits here. */
bool lane_holds(const struct task *task);
/* It waits here no more: it ends. */
void lane_remove(struct task *task);
/* `task` has ended, or is not to be: it lets go of its lane, and the next one becomes ready to be
 * handed out. */
void lane_leave(struct broker *broker, struct task *task);

#endif
