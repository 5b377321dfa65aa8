/* What `sluice bench echo` is measured against: gearmand, foreground jobs, not kept on disk, with
 * libgearman. The submitter is one client that does not wait and has a window of tasks, of which
 * each answer is searched for in a list. A worker asks for one job, answers it, asks for the next:
 * libgearman's cannot hold several. A job whose worker dies is given to another one. */
#include "tests/bench/echo_rival.h"

#include <libgearman/gearman.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char function[64]; /* the same in all processes */
static struct echo_rival *self;

static void expect_ok(struct echo_rival *rival, gearman_return_t code, const char *what)
{
    if (gearman_failed(code)) {
        echo_rival_fail(rival, what, gearman_strerror(code));
    }
}

static gearman_return_t echo(gearman_job_st *job, void *context)
{
    (void)context;
    return gearman_job_send_complete(job, gearman_job_workload(job), gearman_job_workload_size(job));
}

static void gearman_serve(struct echo_rival *rival)
{
    gearman_worker_st *worker = gearman_worker_create(NULL);

    if (worker == NULL) {
        echo_rival_fail(rival, "worker", "no memory");
    }
    gearman_worker_remove_options(worker, GEARMAN_WORKER_GRAB_UNIQ);
    expect_ok(rival, gearman_worker_add_server(worker, "127.0.0.1", (in_port_t)rival->port),
              "server");
    expect_ok(rival,
              gearman_worker_define_function(worker, function, strlen(function),
                                             gearman_function_create(echo), 0, NULL),
              "function");
    echo_rival_ready(rival); /* a job waits for those who come late */
    for (;;) {
        expect_ok(rival, gearman_worker_work(worker), "work");
    }
}

static gearman_return_t on_complete(gearman_task_st *task)
{
    echo_rival_reply(self, gearman_task_data(task), gearman_task_data_size(task));
    free(gearman_task_context(task));
    return GEARMAN_SUCCESS;
}

static gearman_return_t on_fail(gearman_task_st *task)
{
    echo_rival_failed(self);
    free(gearman_task_context(task));
    return GEARMAN_SUCCESS;
}

static void *gearman_open(struct echo_rival *rival)
{
    gearman_client_st *client = gearman_client_create(NULL);

    if (client == NULL) {
        echo_rival_fail(rival, "submitter", "no memory");
    }
    self = rival;
    gearman_client_add_options(client, GEARMAN_CLIENT_NON_BLOCKING);
    gearman_client_add_options(client, GEARMAN_CLIENT_FREE_TASKS);
    expect_ok(rival, gearman_client_add_server(client, "127.0.0.1", (in_port_t)rival->port),
              "server");
    gearman_client_set_complete_fn(client, on_complete);
    gearman_client_set_fail_fn(client, on_fail);
    return client;
}

/* libgearman borrows the payload until it has been sent; it is freed with the answer. */
static void gearman_send(void *client, struct echo_rival *rival, uint64_t sequence)
{
    void *payload = malloc(rival->payload_bytes);
    gearman_return_t code;

    if (payload == NULL) {
        echo_rival_fail(rival, "submitter", "no memory");
    }
    echo_rival_fill(rival, sequence, payload);
    gearman_client_add_task(client, NULL, payload, function, NULL, payload, rival->payload_bytes,
                            &code);
    expect_ok(rival, code, "submit");
}

static void run_tasks(gearman_client_st *client, struct echo_rival *rival)
{
    gearman_return_t code = gearman_client_run_tasks(client);

    if (code != GEARMAN_IO_WAIT) {
        expect_ok(rival, code, "tasks");
    }
}

static void gearman_receive(void *client, struct echo_rival *rival, int wait_ms)
{
    uint64_t before = rival->done;
    gearman_return_t code;

    run_tasks(client, rival);
    if (rival->done > before || wait_ms == 0) {
        return;
    }
    gearman_client_set_timeout(client, wait_ms);
    code = gearman_client_wait(client);
    if (code != GEARMAN_TIMEOUT) {
        expect_ok(rival, code, "wait");
    }
}

static void gearman_close(void *client)
{
    gearman_client_free(client);
}

static const struct echo_rival_kind gearman = {
    .program = "sluice-bench-echo-gearman",
    .name = "gearmand",
    .about = "Echo through gearmand, foreground jobs.",
    .serve = gearman_serve,
    .open = gearman_open,
    .send = gearman_send,
    .receive = gearman_receive,
    .close = gearman_close,
};

int main(int argc, char **argv)
{
    snprintf(function, sizeof(function), "sluice_bench_%d", (int)getpid());
    return echo_rival_main(&gearman, argc, argv);
}
