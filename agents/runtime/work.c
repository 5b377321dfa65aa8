/* work: a function on the thread pool, while its strand waits. */
#include "agents/runtime/runtime.h"

struct work {
    uv_work_t request;
    void (*fn)(void *arg);
    void *arg;
    struct strand *strand;
};

static void on_pool(uv_work_t *request)
{
    struct work *work = request->data;

    work->fn(work->arg);
}

static void on_loop(uv_work_t *request, int status)
{
    struct work *work = request->data;

    (void)status;
    strand_wake(work->strand);
}

/* Neither a cancel nor a drain abandons it: `fn` uses what the caller owns. */
int sluice_work(struct sluice *sluice, void (*fn)(void *arg), void *arg)
{
    struct work work = {.fn = fn, .arg = arg, .strand = strand_here("sluice_work")};
    int rc;

    work.request.data = &work;
    rc = uv_queue_work(&sluice->loop, &work.request, on_pool, on_loop);
    if (rc == 0) {
        strand_park_firmly(work.strand);
    }
    return rc;
}
