/* links: shell */
/* Rows as bytes: all of a task comes back, and nothing that was not written. */
#include "tests/unit/store_fixture.h"

/* A row made part by part, as the store's thread does it. */
struct kept {
    struct store_parts parts;
    uint8_t *bytes[STORE_PART_COUNT];
};

static void kept_init(struct kept *kept, uint64_t key)
{
    *kept = (struct kept){.parts.key = key};
    for (unsigned i = 0; i < STORE_PART_COUNT; i++) {
        kept->bytes[i] = malloc(STORE_NONE_BYTES);
        store_part_none(key, (enum store_part)i, kept->bytes[i]);
        kept->parts.parts[i] = span_of(kept->bytes[i], STORE_NONE_BYTES);
    }
}

static void kept_deinit(struct kept *kept)
{
    for (unsigned i = 0; i < STORE_PART_COUNT; i++) {
        free(kept->bytes[i]);
        blob_unref(kept->parts.large[i]);
    }
}

static void keep(struct kept *kept, const struct store_record *record)
{
    struct store_encoder encoder;

    store_encoder_init(&encoder);
    assert_true(store_encode(&encoder, record));
    for (size_t i = 0; i < encoder.count; i++) {
        const struct store_draft *draft = &encoder.drafts[i];
        size_t size = draft->head_size + draft->body.size + STORE_DIGEST_BYTES;
        uint8_t *bytes = malloc(size);

        memcpy(bytes, draft->head, draft->head_size);
        if (draft->body.size > 0) {
            memcpy(bytes + draft->head_size, draft->body.data, draft->body.size);
        }
        store_part_seal(record->key, draft->part, bytes, size, draft->large);
        free(kept->bytes[draft->part]);
        kept->bytes[draft->part] = bytes;
        kept->parts.parts[draft->part] = span_of(bytes, size);
        blob_unref(kept->parts.large[draft->part]);
        kept->parts.large[draft->part] = blob_ref(draft->large);
    }
    store_encoder_deinit(&encoder);
}

/* As a load does it: NULL, or what is wrong. */
static const char *read_back(const struct store_parts *parts, struct store_row *row)
{
    const char *why = NULL;
    size_t large;

    for (unsigned i = 0; why == NULL && i < STORE_PART_COUNT; i++) {
        why = store_part_check(parts->key, (enum store_part)i, parts->parts[i], &large);
        if (why == NULL) {
            assert_int_equal(large, blob_span(parts->large[i]).size);
        }
    }
    return why != NULL ? why : store_row_read(parts, row);
}

static void causes_come_back_with_attempts_and_ends(void **state)
{
    static struct sample sample;
    struct store_record record = record_of(&sample, STORE_TASK, 7);
    struct store_row row;
    struct kept kept;

    (void)state;
    kept_init(&kept, 7);
    keep(&kept, &record);
    record = record_of(&sample, STORE_ATTEMPT, 7);
    record.causes = span_from_text("torn");
    keep(&kept, &record);
    assert_null(read_back(&kept.parts, &row));
    assert_int_equal(row.attempts, 2);
    assert_true(span_is(row.causes, "torn"));
    record = record_of(&sample, STORE_END, 7);
    keep(&kept, &record);
    assert_null(read_back(&kept.parts, &row));
    assert_true(row.ended && span_is(row.causes, "torn"));
    record.attempts = 3;
    record.causes = span_from_text("torn burnt");
    keep(&kept, &record);
    assert_null(read_back(&kept.parts, &row));
    assert_int_equal(row.attempts, 3);
    assert_true(span_is(row.causes, "torn burnt"));
    kept_deinit(&kept);
}

static void what_an_operator_said_comes_back(void **state)
{
    struct control said = {.what = CONTROL_LIMIT, .service = span_from_text("echo"),
                           .key = span_from_text("ann")};
    struct store_record record = {.what = STORE_DIRECTIVE, .key = 7, .directive = &said,
                                  .session = SESSION, .peer = span_from_text("operator"),
                                  .accepted_unix_ms = 1700000000000};
    struct message message = {.command = COMMAND_CONTROL}, other = message;
    struct store_row row;
    struct kept kept;

    (void)state;
    memset(&said.limits, 0xff, sizeof said.limits);
    said.limits.concurrency = 0;
    said.limits.weight = 3;
    kept_init(&kept, 7);
    keep(&kept, &record);
    assert_null(read_back(&kept.parts, &row));
    assert_true(row.is_directive && !row.ended);
    message.control = said;
    other.control = row.directive;
    assert_true(same_message(&message, &other));
    assert_int_equal(row.accepted_unix_ms, 1700000000000);
    assert_true(span_is(row.peer, "operator"));
    kept_deinit(&kept);
}

static void every_option_comes_back(void **state)
{
    static struct sample sample;
    struct store_record record;
    struct store_row row;
    struct kept kept;

    (void)state;
    for (uint64_t key = 1; key <= 16; key++) {
        kept_init(&kept, key);
        record = record_of(&sample, STORE_TASK, key);
        keep(&kept, &record);
        assert_null(read_back(&kept.parts, &row));
        assert_true(row_is_of(&row, key));
        assert_int_equal(row.attempts, 0);
        assert_int_equal(row.checkpoint.bytes.size, 0);
        assert_false(row.ended);
        assert_int_equal(row.submit.stream, 11);
        assert_int_equal(row.submit.needs_count, key % 2 == 0 ? 3 : 0);
        assert_int_equal(row.submit.payload.blob != NULL, key % 8 == 0);
        for (enum store_what what = STORE_ATTEMPT; what <= STORE_END; what++) {
            record = record_of(&sample, what, key);
            keep(&kept, &record);
        }
        assert_null(read_back(&kept.parts, &row));
        assert_true(row_is_of(&row, key));
        assert_int_equal(row.attempts, 2);
        assert_true(row.checkpoint.bytes.size > 0 && row.ended);
        kept_deinit(&kept);
    }
}

static void a_plain_task_comes_back(void **state)
{
    struct submit submit = {.id = id_of(1), .service = span_from_text("s")};
    struct store_record record = {.what = STORE_TASK, .key = 1, .submit = &submit};
    struct store_row row;
    struct kept kept;

    (void)state;
    kept_init(&kept, 1);
    keep(&kept, &record);
    assert_null(read_back(&kept.parts, &row));
    assert_true(same_submit(&row.submit, &submit)); /* priority 0 among it */
    assert_int_equal(row.peer.size, 0);
    kept_deinit(&kept);
}

static void a_task_that_begins_with_attempts_keeps_them(void **state)
{
    static struct sample sample;
    struct store_record record = record_of(&sample, STORE_CHECKPOINT, 5);
    struct store_row row;
    struct kept kept;

    (void)state;
    record.what = STORE_TASK;
    record.attempts = 2;
    kept_init(&kept, 5);
    keep(&kept, &record);
    assert_null(read_back(&kept.parts, &row));
    assert_true(row_is_of(&row, 5));
    assert_int_equal(row.attempts, 2);
    assert_true(row.checkpoint.bytes.size > 0);
    kept_deinit(&kept);
}

/* Of the needs as they came from the wire, too. */
static void the_longest_list_of_needs_comes_back(void **state)
{
    uint8_t *needs = malloc(NEEDS_MAX * 18);
    struct submit submit = {.id = id_of(1),
                            .join = JOIN_ALL,
                            .needs = needs,
                            .needs_count = NEEDS_MAX,
                            .needs_stride = 18};
    struct store_record record = {.what = STORE_TASK, .key = 1, .submit = &submit};
    struct store_row row;
    struct kept kept;

    (void)state;
    for (size_t i = 0; i < NEEDS_MAX * 18; i++) {
        needs[i] = (uint8_t)(i / 18 + i);
    }
    kept_init(&kept, 1);
    keep(&kept, &record);
    assert_null(read_back(&kept.parts, &row));
    assert_true(same_submit(&row.submit, &submit));
    kept_deinit(&kept);
    free(needs);
}

/* An error as a worker made it, with details that are its own business. */
static void an_error_keeps_its_details(void **state)
{
    static const uint8_t raw[] = "\x82\xa4" "code\xa1" "x\xa7" "details\x81\xa1" "a\x01";
    struct outcome_record outcome = {.id = id_of(1),
                                     .outcome = OUTCOME_FAILED,
                                     .error = {.raw = {raw, sizeof raw - 1},
                                               .code = span_from_text("x")}};
    struct store_record record = {.what = STORE_END, .key = 6, .outcome = &outcome};
    static struct sample sample;
    struct store_record task = record_of(&sample, STORE_TASK, 6);
    struct store_row row;
    struct kept kept;

    (void)state;
    kept_init(&kept, 6);
    keep(&kept, &task);
    keep(&kept, &record);
    assert_null(read_back(&kept.parts, &row));
    assert_true(span_equal(row.outcome.error.raw, outcome.error.raw));
    assert_true(span_is(row.outcome.error.code, "x"));
    kept_deinit(&kept);
}

static void a_large_blob_is_not_copied(void **state)
{
    static struct sample sample;
    struct store_record record = record_of(&sample, STORE_CHECKPOINT, 8);
    struct blob *blob = blob_new(record.checkpoint.bytes);
    struct store_encoder encoder;

    (void)state;
    record.checkpoint = (struct payload){blob_span(blob), blob};
    store_encoder_init(&encoder);
    assert_true(store_encode(&encoder, &record));
    assert_ptr_equal(encoder.drafts[0].large, blob);
    store_encoder_deinit(&encoder);
    blob_unref(blob);
}

static void each_flipped_bit_is_found(void **state)
{
    static struct sample sample;
    struct store_row row;
    struct kept kept;

    (void)state;
    kept_init(&kept, 7);
    for (enum store_what what = STORE_TASK; what <= STORE_END; what++) {
        struct store_record record = record_of(&sample, what, 7);

        keep(&kept, &record);
    }
    for (unsigned part = 0; part < STORE_PART_COUNT; part++) {
        for (size_t bit = 0; bit < kept.parts.parts[part].size * 8; bit++) {
            kept.bytes[part][bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_non_null(read_back(&kept.parts, &row));
            kept.bytes[part][bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
    assert_null(read_back(&kept.parts, &row));
    kept_deinit(&kept);
}

static void a_part_is_good_for_one_row_and_place(void **state)
{
    static struct sample sample;
    struct store_record record = record_of(&sample, STORE_TASK, 7);
    struct store_row row;
    struct kept kept;

    (void)state;
    kept_init(&kept, 7);
    keep(&kept, &record);
    kept.parts.key = 8;
    assert_non_null(read_back(&kept.parts, &row));
    kept.parts.key = 7;
    kept.parts.parts[STORE_PART_OUTCOME] = kept.parts.parts[STORE_PART_ATTEMPTS];
    assert_non_null(read_back(&kept.parts, &row));
    kept_deinit(&kept);
}

static void a_large_body_is_checked(void **state)
{
    static struct sample sample;
    struct store_record record = record_of(&sample, STORE_TASK, 8);
    struct store_row row;
    struct kept kept;
    struct blob *body;

    (void)state;
    kept_init(&kept, 8);
    keep(&kept, &record);
    body = kept.parts.large[STORE_PART_TASK];
    sample.payload[LARGE_BYTES - 1] ^= 1;
    kept.parts.large[STORE_PART_TASK] = blob_new(span_of(sample.payload, LARGE_BYTES));
    assert_non_null(read_back(&kept.parts, &row));
    blob_unref(body);
    kept_deinit(&kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_comes_back),
        cmocka_unit_test(causes_come_back_with_attempts_and_ends),
        cmocka_unit_test(what_an_operator_said_comes_back),
        cmocka_unit_test(a_plain_task_comes_back),
        cmocka_unit_test(a_task_that_begins_with_attempts_keeps_them),
        cmocka_unit_test(the_longest_list_of_needs_comes_back),
        cmocka_unit_test(an_error_keeps_its_details),
        cmocka_unit_test(a_large_blob_is_not_copied),
        cmocka_unit_test(each_flipped_bit_is_found),
        cmocka_unit_test(a_part_is_good_for_one_row_and_place),
        cmocka_unit_test(a_large_body_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
