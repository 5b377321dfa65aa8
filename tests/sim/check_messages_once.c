/* Each message of a numbered session is taken once and in the order in which they were said,
 * whatever becomes of its connections; what has not come is kept, and not more than a session may
 * keep. Both directions. */
#include "tests/sim/check.h"

#include "common/check.h"
#include "tests/sim/shadow_letter.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>
#include <stdlib.h>

#define PROPERTY "messages_once"

static struct shadow_thread *thread_of(struct model *model, const struct shadow_thread *key)
{
    struct shadow_thread *thread;

    list_each(at, &model->threads) {
        thread = list_entry(at, struct shadow_thread, link);
        if (thread->start == key->start && thread->direction == key->direction &&
            id_equal(&thread->session, &key->session)) {
            return thread;
        }
    }
    thread = calloc(1, sizeof *thread);
    CHECK(thread != NULL);
    *thread = *key;
    list_init(&thread->link);
    list_push_front(&model->threads, &thread->link);
    return thread;
}

static const char *way(const struct shadow_thread *thread)
{
    return thread->direction == UP ? "to the broker" : "to the peer";
}

void shadow_letter_said(struct model *model, const struct shadow_thread *key, uint64_t number,
                        uint64_t digest)
{
    struct shadow_thread *thread = thread_of(model, key);

    MODEL_CHECK(model, PROPERTY, number == thread->start + thread->said + 1,
                "message %" PRIu64 " %s is numbered %" PRIu64 ", expected %" PRIu64,
                thread->said + 1, way(thread), number, thread->start + thread->said + 1);
    if (thread->said == thread->capacity) {
        thread->capacity = thread->capacity == 0 ? 64 : thread->capacity * 2;
        thread->digests =
            realloc(thread->digests, thread->capacity * sizeof *thread->digests);
        CHECK(thread->digests != NULL);
    }
    thread->digests[thread->said++] = digest;
}

void shadow_letter_taken(struct model *model, const struct shadow_thread *key, uint64_t number,
                         uint64_t digest)
{
    struct shadow_thread *thread = thread_of(model, key);

    MODEL_CHECK(model, PROPERTY,
                thread->taken < thread->said && number == thread->start + thread->taken + 1,
                "message %" PRIu64 " %s is taken as number %" PRIu64 " of the %" PRIu64
                " said since %" PRIu64, number, way(thread), thread->taken + 1, thread->said,
                thread->start);
    MODEL_CHECK(model, PROPERTY, thread->digests[thread->taken] == digest,
                "message %" PRIu64 " %s is not the one that was said", number, way(thread));
    thread->taken++;
}

void shadow_letters_kept(struct model *model, const struct shadow_thread *key,
                         const struct session *session)
{
    const struct shadow_thread *thread = thread_of(model, key);

    MODEL_CHECK(model, PROPERTY, thread->said - thread->taken <= session->kept_count,
                "%" PRIu64 " messages %s have not come, and %zu are kept",
                thread->said - thread->taken, way(thread), session->kept_count);
    MODEL_CHECK(model, PROPERTY,
                session->kept_count <= SESSION_MESSAGES_MAX &&
                    (session->kept_bytes <= SESSION_BYTES_MAX || session->kept_count == 1),
                "%zu messages of %zu bytes are kept %s", session->kept_count,
                session->kept_bytes, way(thread));
}

void shadow_letter_missing(struct model *model, const struct shadow_thread *key,
                           const struct sequence *sequence, const struct session *session)
{
    bool other = sequence->acknowledged < key->start || sequence->acknowledged > session->sent ||
                 sequence->number > key->start + SESSION_STRIDE;

    MODEL_CHECK(model, PROPERTY, other,
                "message %" PRIu64 " %s came after %" PRIu64, sequence->number, way(key),
                session->received);
}

void shadow_letters_forget(struct model *model)
{
    struct list *at;

    while ((at = list_pop_front(&model->threads)) != NULL) {
        struct shadow_thread *thread = list_entry(at, struct shadow_thread, link);

        free(thread->digests);
        free(thread);
    }
}

const struct checker check_messages_once = {.property = PROPERTY};
