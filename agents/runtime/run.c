/* run: from sluice_run to its end: the main function, stopping, draining, leaving. */
#include "agents/runtime/runtime.h"

#include "common/check.h"

#include <errno.h>
#include <signal.h>

static void main_enter(struct sluice *sluice, void *arg)
{
    (void)arg;
    sluice->result = sluice->main_fn(sluice, sluice->main_arg);
    sluice->main_strand = NULL;
}

void run_start_main(struct sluice *sluice)
{
    if (sluice->main_fn == NULL || sluice->main_started || sluice->state != RUN_SERVING) {
        return;
    }
    sluice->main_started = true;
    sluice->result = -ECANCELED; /* until main_fn has returned something else */
    sluice->main_strand = strand_start(sluice, main_enter, NULL, NULL);
    if (sluice->main_strand == NULL) {
        sluice->result = -ENOMEM;
    }
}

static void drain(struct sluice *sluice)
{
    sluice->state = RUN_DRAINING;
    sluice->drain_at_ms = runtime_deadline_ms(sluice, sluice->drain_ms);
    registry_withdraw_all(sluice);
    if (!list_empty(&sluice->services)) {
        peer_probe(sluice->peer);
    }
    if (sluice->main_strand != NULL) {
        strand_cancel(sluice->main_strand);
    }
}

/* True: there is a broker to hear it. */
static bool leave(struct sluice *sluice)
{
    bool connected = peer_connected(sluice->peer);

    peer_bye(sluice->peer, span_from_text(""));
    sluice->state = RUN_LEAVING;
    sluice->drain_at_ms = runtime_deadline_ms(sluice, LEAVE_MS);
    return connected;
}

static void settle(struct sluice *sluice)
{
    sluice->state = RUN_SETTLING;
    list_each(at, &sluice->strands) {
        strand_cancel(list_entry(at, struct strand, all));
    }
}

/* How far the end has come. Each state falls through to the next when it has
 * nothing to wait for. */
void run_advance(struct sluice *sluice)
{
    bool late = sluice->drain_at_ms <= uv_now(&sluice->loop);
    unsigned stops = __atomic_load_n(&sluice->stop_count, __ATOMIC_RELAXED);

    if (sluice->state == RUN_SERVING) {
        bool main_over = sluice->main_started && sluice->main_strand == NULL;

        if (sluice->connect_at_ms <= uv_now(&sluice->loop)) {
            sluice->result = -ETIMEDOUT;
        } else if (stops == 0 && !main_over) {
            return;
        }
        drain(sluice);
        late = false;
    }
    if (stops > 1) {
        late = true;
    }
    if (sluice->state == RUN_DRAINING &&
        (late || (list_empty(&sluice->tasks) && sluice->main_strand == NULL &&
                  peer_lease_count(sluice->peer) == 0 && peer_probed(sluice->peer)))) {
        settle(sluice);
    }
    if (sluice->state == RUN_SETTLING && (late || sluice->strand_count == 0)) {
        late = !leave(sluice);
    }
    if (sluice->state == RUN_LEAVING && (connection_flush(&sluice->connection) || late)) {
        sluice->state = RUN_OVER;
        uv_stop(&sluice->loop);
    }
}

int sluice_run(struct sluice *sluice, sluice_main_fn *main_fn, void *arg)
{
    CHECK(sluice->state == RUN_IDLE);
    uv_update_time(&sluice->loop);
    sluice->state = RUN_SERVING;
    sluice->main_fn = main_fn;
    sluice->main_arg = arg;
    if (sluice->connect_ms > 0 && !peer_connected(sluice->peer)) {
        sluice->connect_at_ms = runtime_deadline_ms(sluice, sluice->connect_ms);
    } else {
        run_start_main(sluice);
    }
    runtime_turns_start(sluice);
    blob_stock_open(BLOB_STOCK_AGENT); /* payloads come and go in this thread */
    while (sluice->state != RUN_OVER) {
        uv_run(&sluice->loop, UV_RUN_DEFAULT);
    }
    blob_stock_close();
    runtime_turns_stop(sluice);
    return sluice->result;
}

void sluice_stop(struct sluice *sluice)
{
    __atomic_add_fetch(&sluice->stop_count, 1, __ATOMIC_RELAXED);
    uv_async_send(&sluice->stopper);
}

static void on_signal(uv_signal_t *signal, int number)
{
    (void)number;
    sluice_stop(signal->data);
}

int sluice_stop_on_signals(struct sluice *sluice)
{
    static const int numbers[] = {SIGINT, SIGTERM};

    for (size_t i = 0; i < 2; i++) {
        int rc;

        if (!sluice->signals_open) {
            uv_signal_init(&sluice->loop, &sluice->signals[i]);
            sluice->signals[i].data = sluice;
        }
        rc = uv_signal_start(&sluice->signals[i], on_signal, numbers[i]);
        if (rc != 0) {
            return rc;
        }
    }
    sluice->signals_open = true;
    return 0;
}
