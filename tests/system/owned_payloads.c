/* links: runtime */
/* owned_payloads BROKER: payloads that are not copied come back whole, and each is released once.
 *
 * Prints why and exits 1 when that does not hold. Run by test_runtime.py. */
#include "agents/runtime/sluice.h"
#include "tests/system/require.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWNED 6

static struct owned {
    size_t size;
    const char *service;
    uint8_t *bytes;
    _Atomic unsigned released;
} owned[OWNED] = {{0, "owned", NULL, 0},       {100, "owned", NULL, 0},
                  {1 << 20, "owned", NULL, 0}, {3 << 20, "owned", NULL, 0},
                  {100, "no such", NULL, 0},   {1 << 20, "no such", NULL, 0}};
static _Atomic unsigned answers, answers_released;

static void release_owned(void *owner)
{
    struct owned *one = owner;

    one->released++;
    free(one->bytes); /* whoever reads it after this is found out by a sanitizer */
    one->bytes = NULL;
}

static void release_answer(void *owner)
{
    answers_released++;
    free(owner);
}

/* Gives back what it got, in memory of its own. */
static void answer(struct sluice_task *task, void *arg)
{
    struct sluice_bytes payload = sluice_task_payload(task);
    uint8_t *copy = malloc(payload.size + 1);

    (void)arg;
    if (payload.size > 0) {
        memcpy(copy, payload.data, payload.size);
    }
    answers++;
    sluice_done_owned(task, (struct sluice_bytes){copy, payload.size}, release_answer, copy);
}

static int submit_all(struct sluice *sluice, void *arg)
{
    struct sluice_future *futures[OWNED];

    (void)arg;
    for (size_t i = 0; i < OWNED; i++) {
        owned[i].bytes = malloc(owned[i].size + 1);
        memset(owned[i].bytes, 'a' + (int)i, owned[i].size);
        futures[i] = sluice_submit_owned(sluice, owned[i].service,
                                         (struct sluice_bytes){owned[i].bytes, owned[i].size},
                                         release_owned, &owned[i], NULL);
    }
    REQUIRE(owned[1].released == 1 && owned[2].released == 0); /* it is the very memory */
    REQUIRE(sluice_gather(futures, OWNED) == 2);
    for (size_t i = 0; i < 4; i++) {
        struct sluice_bytes result = sluice_future_payload(futures[i]);
        const uint8_t *bytes = result.data;

        REQUIRE(result.size == owned[i].size);
        REQUIRE(result.size == 0 || (bytes[0] == 'a' + i && bytes[result.size - 1] == 'a' + i));
    }
    for (size_t i = 0; i < OWNED; i++) {
        REQUIRE(sluice_future_outcome(futures[i]) == (i < 4 ? SLUICE_DONE : SLUICE_REFUSED));
        sluice_future_free(futures[i]);
    }
    return 0;
}

/* After sluice_free. */
static int all_released(void)
{
    for (size_t i = 0; i < OWNED; i++) {
        REQUIRE(owned[i].released == 1);
    }
    REQUIRE(answers_released == answers);
    return 0;
}

int main(int argc, char **argv)
{
    struct sluice_options options = {
        .broker = argc == 2 ? argv[1] : NULL, .connect_ms = 10000, .quiet = true};
    struct sluice_service service = {.name = "owned", .handler = answer, .sync = true};
    struct sluice *sluice;
    int status;

    if (argc != 2 || (sluice = sluice_new(&options)) == NULL) {
        fprintf(stderr, "usage: owned_payloads BROKER\n");
        return 2;
    }
    REQUIRE(sluice_serve(sluice, &service) == 0);
    status = sluice_run(sluice, submit_all, NULL);
    sluice_free(sluice);
    return status < 0 ? 3 : status > 0 ? status : all_released();
}
