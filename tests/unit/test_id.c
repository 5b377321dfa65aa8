/* links: codec */
/* UUIDv7: its bits in their places, and no id twice, not even across a fork. */
#include "common/id.h"
#include "common/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void bits_are_in_their_places(void **state)
{
    static const uint8_t ones[ID_RANDOM_BYTES] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    static const uint8_t zeros[ID_RANDOM_BYTES];
    char text[ID_TEXT_SIZE];
    struct id id;

    /* the time of the example in RFC 9562, appendix A.6 */
    id = id_make(0x017f22e279b0, zeros);
    id_format(&id, text);
    assert_string_equal(text, "017f22e2-79b0-7000-8000-000000000000");
    id = id_make(0x017f22e279b0, ones);
    id_format(&id, text);
    assert_string_equal(text, "017f22e2-79b0-7fff-bfff-ffffffffffff");
    id = id_make(UINT64_MAX, zeros);
    id_format(&id, text);
    assert_string_equal(text, "ffffffff-ffff-7000-8000-000000000000");
}

static uint64_t unix_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t id_ms(const struct id *id)
{
    uint64_t ms = 0;

    for (int i = 0; i < 6; i++) {
        ms = ms << 8 | id->bytes[i];
    }
    return ms;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct id));
}

#define IDS 10000 /* more than one batch of random bytes */

static void ids_differ_and_tell_the_time(void **state)
{
    struct id *ids = malloc(IDS * sizeof *ids);
    uint64_t before = unix_ms(), after;

    for (size_t i = 0; i < IDS; i++) {
        ids[i] = id_new();
    }
    after = unix_ms();
    qsort(ids, IDS, sizeof *ids, by_bytes);
    for (size_t i = 0; i < IDS; i++) {
        assert_true(id_ms(&ids[i]) >= before && id_ms(&ids[i]) <= after);
        assert_true(i == 0 || !id_equal(&ids[i - 1], &ids[i]));
    }
    free(ids);
}

/* Only what is random: the time alone could make two ids differ. */
static bool same_random(const struct id *a, const struct id *b)
{
    return memcmp(a->bytes + 6, b->bytes + 6, ID_RANDOM_BYTES) == 0;
}

static void a_fork_makes_its_own(void **state)
{
    struct id child, parent;
    int pipe_ends[2], status;
    pid_t pid;

    id_new(); /* so that there is a batch to share */
    assert_int_equal(pipe(pipe_ends), 0);
    pid = fork();
    if (pid == 0) {
        child = id_new();
        _exit(write(pipe_ends[1], &child, sizeof child) != sizeof child);
    }
    assert_true(pid > 0);
    assert_int_equal(read(pipe_ends[0], &child, sizeof child), sizeof child);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    parent = id_new();
    assert_false(same_random(&parent, &child));
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void text_is_read_back(void **state)
{
    char text[ID_TEXT_SIZE];
    struct id id = id_new(), back;

    id_format(&id, text);
    assert_int_equal(strlen(text), 36);
    assert_true(id_parse(text, &back));
    assert_true(id_equal(&id, &back));
    assert_true(id_parse("017F22E279B07000800000000000ABCD", &back));
    assert_int_equal(back.bytes[15], 0xcd);
    assert_false(id_parse("", &back));
    assert_false(id_parse("017f22e279b07000800000000000abc", &back));   /* 31 */
    assert_false(id_parse("017f22e279b07000800000000000abcg", &back));  /* no digit */
    assert_false(id_parse("017f22e2-79b0-7000-8000-00000000000", &back)); /* 35 */
    assert_false(id_parse("017f22e2079b0-7000-8000-000000000000", &back)); /* no dash */
    assert_false(id_parse("017f22e2-79b0-7000-8000-0000000000-0", &back)); /* one too many */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_are_in_their_places), cmocka_unit_test(ids_differ_and_tell_the_time),
        cmocka_unit_test(a_fork_makes_its_own),     cmocka_unit_test(text_is_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
