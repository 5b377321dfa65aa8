#include "agents/runtime/inputs.h"

#include "proto/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void inputs_init(struct inputs *inputs, const struct payload *records, size_t count)
{
    *inputs = (struct inputs){.records = records->bytes, .count = count};
}

bool inputs_keep(struct inputs *inputs, const struct payload *records)
{
    if (inputs->count == 0) {
        return true;
    }
    inputs->blob = records->blob != NULL ? blob_ref(records->blob) : blob_new(records->bytes);
    if (inputs->blob == NULL) {
        return false;
    }
    inputs->records = blob_span(inputs->blob);
    return true;
}

void inputs_deinit(struct inputs *inputs)
{
    blob_unref(inputs->blob);
    free(inputs->text);
}

/* Steps from where the last call stopped, or anew from the start. */
static bool find(struct inputs *inputs, size_t index, struct outcome_record *record)
{
    if (index < inputs->next) {
        inputs->next = inputs->at = 0;
    }
    while (codec_read_input(inputs->records, &inputs->at, record)) {
        if (inputs->next++ == index) {
            return true;
        }
    }
    return false;
}

#define TEXT_SIZE (PEER_NAME_MAX + 1 + ERROR_CODE_MAX + 1 + ERROR_MESSAGE_MAX + 1)

static struct sluice_error error_of(struct inputs *inputs, const struct error *error)
{
    char *code = inputs->text + PEER_NAME_MAX + 1;
    char *message = code + error->code.size + 1;

    snprintf(code, ERROR_CODE_MAX + 1, "%.*s", (int)error->code.size,
             (const char *)error->code.data);
    snprintf(message, ERROR_MESSAGE_MAX + 1, "%.*s", (int)error->message.size,
             error->message.size > 0 ? (const char *)error->message.data : "");
    return (struct sluice_error){.code = code,
                                 .message = message,
                                 .retryable = error->retryable,
                                 .retry_after_ms = error->retry_after_ms,
                                 .scope_service = error->scope_service};
}

bool inputs_at(struct inputs *inputs, size_t index, struct sluice_input *input)
{
    struct outcome_record record;

    if (index >= inputs->count || !find(inputs, index, &record)) {
        return false;
    }
    if (inputs->text == NULL) {
        inputs->text = malloc(TEXT_SIZE);
    }
    if (inputs->text == NULL) {
        return false;
    }
    snprintf(inputs->text, PEER_NAME_MAX + 1, "%.*s", (int)record.worker.size,
             record.worker.size > 0 ? (const char *)record.worker.data : "");
    *input = (struct sluice_input){.outcome = (enum sluice_outcome)record.outcome,
                                   .left_out = record.left_out,
                                   .worker = inputs->text};
    memcpy(input->id.bytes, record.id.bytes, sizeof input->id.bytes);
    if (record.outcome == OUTCOME_DONE) {
        input->payload.data = record.payload.bytes.data;
        input->payload.size = record.payload.bytes.size;
    } else {
        input->error = error_of(inputs, &record.error);
    }
    return true;
}
