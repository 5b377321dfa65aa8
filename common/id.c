#include "common/id.h"

#include "common/check.h"
#include "common/clock.h"

#include <errno.h>
#include <pthread.h>
#include <sys/random.h>

/* Random bytes are fetched for 256 ids at a time: a system call for each would
 * cost more than everything else about a small task. */
#define BATCH_BYTES (256 * ID_RANDOM_BYTES)

struct batch {
    uint8_t bytes[BATCH_BYTES];
    size_t left;
};

static _Thread_local struct batch batch;
static pthread_once_t batch_once = PTHREAD_ONCE_INIT;

/* A forked child must not hand out what its parent will: the thread that forked
 * is the only one the child has. */
static void batch_drop(void)
{
    batch.left = 0;
}

static void batch_watch_forks(void)
{
    int rc = pthread_atfork(NULL, NULL, batch_drop);

    CHECK(rc == 0);
}

static void batch_fill(void)
{
    pthread_once(&batch_once, batch_watch_forks);
    while (batch.left < BATCH_BYTES) {
        ssize_t got = getrandom(batch.bytes + batch.left, BATCH_BYTES - batch.left, 0);

        CHECK(got >= 0 || errno == EINTR);
        batch.left += got > 0 ? (size_t)got : 0;
    }
}

struct id id_make(uint64_t unix_ms, const uint8_t random[ID_RANDOM_BYTES])
{
    struct id id;

    for (size_t i = 0; i < 6; i++) {
        id.bytes[i] = (uint8_t)(unix_ms >> (40 - 8 * i));
    }
    memcpy(id.bytes + 6, random, ID_RANDOM_BYTES);
    id.bytes[6] = (uint8_t)(0x70 | (id.bytes[6] & 0x0f)); /* version 7 */
    id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f)); /* the RFC's variant */
    return id;
}

struct id id_new(void)
{
    if (batch.left == 0) {
        batch_fill();
    }
    batch.left -= ID_RANDOM_BYTES;
    return id_make(clock_unix_ms(), batch.bytes + batch.left);
}
