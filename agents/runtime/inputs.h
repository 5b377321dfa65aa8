/* inputs: what became of the tasks that one in a handler's hands has waited for. */
#ifndef SLUICE_RUNTIME_INPUTS_H
#define SLUICE_RUNTIME_INPUTS_H

#include "agents/runtime/sluice.h"
#include "proto/message.h"

struct inputs {
    struct span records; /* one after another, as they came */
    size_t count;
    struct blob *blob;   /* holds the records; NULL: they are borrowed, or there are none */
    size_t next;         /* which record is at `at` */
    size_t at;
    char *text;          /* of the last one asked for: worker, error code and message */
};

/* Borrows the records, as a message has them: for as long as that lives. */
void inputs_init(struct inputs *inputs, const struct payload *records, size_t count);
/* Holds them beyond that. False: no memory. */
bool inputs_keep(struct inputs *inputs, const struct payload *records);
void inputs_deinit(struct inputs *inputs);

/* As sluice_task_input. */
bool inputs_at(struct inputs *inputs, size_t index, struct sluice_input *input);

#endif
