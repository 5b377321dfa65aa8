/* links: runtime codec */
/* What a handler reads of the tasks that its own has waited for. */
#include "agents/runtime/inputs.h"
#include "proto/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void some_input(void *context, size_t index, struct outcome_record *record)
{
    (void)context;
    record->id.bytes[0] = (uint8_t)(index + 1);
    if (index == 1) {
        record->outcome = OUTCOME_FAILED;
        record->error.code = span_from_text("busy");
        record->error.message = span_from_text("come again");
        record->error.retryable = true;
        record->error.scope_service = true;
    } else {
        record->payload.bytes = span_from_text(index == 0 ? "first" : "third");
    }
}

/* A TASK with three inputs, as a worker's codec reads it. */
static void three_inputs(struct codec_writer *writer, struct message *task)
{
    struct message message = {.command = COMMAND_TASK};
    struct codec_reader reader;
    struct codec_error error;

    message.task = (struct task_message){.id = {{1}},
                                         .attempt = 1,
                                         .service = span_from_text("s"),
                                         .input_count = 3,
                                         .input_at = some_input};
    codec_writer_init(writer);
    assert_int_equal(codec_write(writer, &message), CODEC_WRITTEN);
    codec_reader_init(&reader, span_of(writer->data, writer->size), NULL, 0);
    assert_int_equal(codec_read(&reader, CODEC_AT_PEER, task, &error), CODEC_OK);
    assert_int_equal(task->task.input_count, 3);
}

static void they_are_read_in_any_order(void **state)
{
    static const size_t order[] = {0, 1, 2, 2, 0, 1};
    struct codec_writer writer;
    struct sluice_input input;
    struct message message;
    struct inputs inputs;

    (void)state;
    three_inputs(&writer, &message);
    inputs_init(&inputs, &message.task.inputs, message.task.input_count);
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        assert_true(inputs_at(&inputs, order[i], &input));
        assert_int_equal(input.id.bytes[0], order[i] + 1);
        if (order[i] == 1) {
            assert_int_equal(input.outcome, SLUICE_FAILED);
            assert_string_equal(input.error.code, "busy");
            assert_string_equal(input.error.message, "come again");
            assert_true(input.error.retryable);
            assert_true(input.error.scope_service);
        } else {
            assert_int_equal(input.outcome, SLUICE_DONE);
            assert_int_equal(input.payload.size, 5);
            assert_memory_equal(input.payload.data, order[i] == 0 ? "first" : "third", 5);
        }
    }
    assert_false(inputs_at(&inputs, 3, &input));
    inputs_deinit(&inputs);
    codec_writer_deinit(&writer);
}

static void they_are_kept_beyond_their_message(void **state)
{
    struct codec_writer writer;
    struct sluice_input input;
    struct message message;
    struct inputs inputs;

    (void)state;
    three_inputs(&writer, &message);
    inputs_init(&inputs, &message.task.inputs, message.task.input_count);
    assert_true(inputs_keep(&inputs, &message.task.inputs));
    codec_writer_deinit(&writer);
    assert_true(inputs_at(&inputs, 2, &input));
    assert_memory_equal(input.payload.data, "third", 5);
    inputs_deinit(&inputs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_read_in_any_order),
        cmocka_unit_test(they_are_kept_beyond_their_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
