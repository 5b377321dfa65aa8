/* The promise: a task with an affinity key goes to the worker that served the key last, if that
 * has room; and never waits for it. */
#include "tests/spec/fixture.h"

static void submit_near(struct fixture *f, const char *peer, const char *task, const char *key)
{
    struct submit options = {.affinity = span_from_text(key)};

    submit_with(f, peer, task, "echo", "", &options);
}

/* Two workers, w1 and w2; w1 has served "a" and w2 "b". */
static void given_two(struct fixture *f)
{
    given_echo(f, 2);
    hello(f, "w2");
    offer(f, "w2", "echo", 2);
    submit_near(f, "s1", "a1", "a");
    submit_near(f, "s1", "b1", "b");
    done(f, "w1", "a1", 1, "");
    done(f, "w2", "b1", 1, "");
    drop_trace(f);
}

static void the_worker_that_served_the_key_is_preferred(void **state)
{
    struct fixture *f = *state;

    given_two(f);
    submit_near(f, "s1", "b2", "b");
    submit_near(f, "s1", "b3", "b"); /* though w1 holds fewer */
    expect_trace(f, "[   0] w2 <- TASK b2 attempt=1\n"
                    "[   0] w2 <- TASK b3 attempt=1\n");
}

static void a_worker_without_room_is_not_waited_for(void **state)
{
    struct fixture *f = *state;

    given_two(f);
    submit_near(f, "s1", "b2", "b");
    submit_near(f, "s1", "b3", "b");
    submit_near(f, "s1", "b4", "b");
    done(f, "w2", "b2", 1, "");
    done(f, "w2", "b3", 1, "");
    drop_trace(f);
    submit_near(f, "s1", "b5", "b"); /* w1 has served it last, now */
    expect_trace(f, "[   0] w1 <- TASK b5 attempt=1\n");
}

static void keys_go_with_their_workers_offer(void **state)
{
    struct fixture *f = *state;

    given_two(f);
    bye(f, "w2");
    hello(f, "w3");
    offer(f, "w3", "echo", 10);
    drop_trace(f);
    submit_near(f, "s1", "b2", "b");
    expect_trace(f, "[   0] w1 <- TASK b2 attempt=1\n");
}

static void a_key_means_what_its_service_means(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.affinity = span_from_text("b")};

    given_two(f);
    offer(f, "w1", "leaf", 1);
    offer(f, "w2", "leaf", 1);
    submit_with(f, "s1", "l1", "leaf", "", &options);
    expect_trace(f, "[   0] w1 <- TASK l1 attempt=1\n");
}

static void without_a_key_the_least_loaded_is_taken(void **state)
{
    struct fixture *f = *state;
    struct submit join = {.join = JOIN_ALL, .needs_stride = 16, .affinity = span_from_text("b")};

    given_two(f);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    submit_with(f, "s1", "j1", "", "", &join); /* to no worker: the key means nothing */
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n"
                    "[   0] w2 <- TASK t2 attempt=1\n"
                    "[   0] s1 <- RESULT j1 done\n");
}

static void the_key_used_least_lately_is_forgotten(void **state)
{
    struct fixture *f = *state;

    given_two(f);
    f->quiet = true;
    for (unsigned i = 0; i < 16383; i++) { /* "a", the oldest, is one too many */
        const char *name = numbered("f", i);

        submit_near(f, "s1", name, name);
        done(f, "w1", name, 1, ""); /* one of them has it */
        done(f, "w2", name, 1, "");
    }
    f->quiet = false;
    submit_near(f, "s1", "b2", "b");
    drop_trace(f);
    submit_near(f, "s1", "b3", "b");
    expect_trace(f, "[   0] w2 <- TASK b3 attempt=1\n");
    done(f, "w2", "b2", 1, "");
    done(f, "w2", "b3", 1, "");
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    done(f, "w2", "t1", 1, "");
    done(f, "w2", "t2", 1, ""); /* now w1 holds one, and w2 none */
    drop_trace(f);
    submit_near(f, "s1", "a2", "a");
    expect_trace(f, "[   0] w2 <- TASK a2 attempt=1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(the_worker_that_served_the_key_is_preferred),
        SPEC(a_worker_without_room_is_not_waited_for),
        SPEC(keys_go_with_their_workers_offer),
        SPEC(a_key_means_what_its_service_means),
        SPEC(without_a_key_the_least_loaded_is_taken),
        SPEC(the_key_used_least_lately_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
