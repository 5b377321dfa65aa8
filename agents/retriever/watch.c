#include "agents/retriever/watch.h"

#include "common/check.h"

#include <stdlib.h>
#include <uv.h>

struct watched {
    uv_fs_event_t event; /* first: what libuv hands back */
    char *path;
    bool wanted; /* the last walk came by here */
};

struct watch {
    struct watch_options options;
    uv_thread_t thread;
    uv_loop_t loop;
    uv_async_t stopper;
    uv_timer_t settle; /* runs: something changed */
    uv_timer_t rescan;
    atomic_bool stop;
    struct scan scan;
    struct watched **watched;
    size_t watched_count;
    bool ready;
    bool limited; /* said that not every folder can be watched */
};

static void scan_start(struct watch *watch);

static void on_settled(uv_timer_t *timer)
{
    scan_start(timer->data);
}

static void settle(struct watch *watch)
{
    uint64_t wait_ms = watch->scan.took_ms * 2;

    if (!uv_is_active((uv_handle_t *)&watch->settle)) {
        uv_timer_start(&watch->settle, on_settled,
                       wait_ms > WATCH_SETTLE_MS ? wait_ms : WATCH_SETTLE_MS, 0);
    }
}

static void on_change(uv_fs_event_t *event, const char *name, int events, int status)
{
    settle(event->data);
}

/* ---- which folders are watched ------------------------------------------------------ */

static void on_watched_closed(uv_handle_t *handle)
{
    struct watched *watched = (struct watched *)handle;

    free(watched->path);
    free(watched);
}

static void watched_close(struct watched *watched)
{
    uv_close((uv_handle_t *)&watched->event, on_watched_closed);
}

static void limited_log(struct watch *watch, const char *path, const char *why)
{
    struct log_field fields[] = {LOG_WORD("folder", path), LOG_WORD("why", why),
                                 LOG_UINT("rescan_ms", watch->options.rescan_ms)};
    struct log_record record = {LOG_WARN, "watch_limited", fields, 3};

    if (!watch->limited) {
        watch->limited = true;
        watch->options.log(watch->options.arg, &record);
    }
}

/* True: watched from now on, and was not before. */
static bool watched_add(struct watch *watch, const char *path)
{
    struct watched *watched;
    int rc;

    for (size_t i = 0; i < watch->watched_count; i++) {
        if (strcmp(watch->watched[i]->path, path) == 0) {
            watch->watched[i]->wanted = true;
            return false;
        }
    }
    if (watch->watched_count == WATCH_FOLDERS_MAX) {
        limited_log(watch, path, "too many folders");
        return false;
    }
    watched = calloc(1, sizeof *watched);
    CHECK(watched != NULL);
    watched->path = strdup(path);
    CHECK(watched->path != NULL);
    watched->wanted = true;
    uv_fs_event_init(&watch->loop, &watched->event);
    watched->event.data = watch;
    rc = uv_fs_event_start(&watched->event, on_change, path, 0);
    if (rc != 0) {
        limited_log(watch, path, uv_strerror(rc));
        watched_close(watched);
        return false;
    }
    watch->watched[watch->watched_count++] = watched;
    return true;
}

/* For a root that is a file: editors replace files, so it is the folder that tells. */
static bool parent_add(struct watch *watch, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct buffer parent = {0};
    bool added;

    buffer_add(&parent, path, slash == NULL ? 0 : (size_t)(slash - path));
    if (parent.size == 0) {
        buffer_add_text(&parent, slash == NULL ? "." : "/");
    }
    added = watched_add(watch, parent.data);
    buffer_deinit(&parent);
    return added;
}

static bool roots_add(struct watch *watch, const struct folder *folder)
{
    bool added = false;

    for (size_t i = 0; i < watch->options.root_count; i++) {
        if (folder_find(folder, watch->options.roots[i]) != NULL) {
            added = parent_add(watch, watch->options.roots[i]) || added;
        }
    }
    return added;
}

/* Watches what the walk found and forgets what it did not. What changed between the
 * walk and the beginning of the watch has told nobody, so a new one calls for
 * another look. */
static void watched_update(struct watch *watch, const struct folder *folder)
{
    bool added = false;
    size_t kept = 0;

    for (size_t i = 0; i < watch->watched_count; i++) {
        watch->watched[i]->wanted = false;
    }
    for (size_t i = 0; i < folder->folder_count; i++) {
        added = watched_add(watch, folder->folders[i]) || added;
    }
    added = roots_add(watch, folder) || added;
    for (size_t i = 0; i < watch->watched_count; i++) {
        if (watch->watched[i]->wanted || folder->incomplete) {
            watch->watched[kept++] = watch->watched[i];
        } else {
            watched_close(watch->watched[i]);
        }
    }
    watch->watched_count = kept;
    if (added) {
        settle(watch);
    }
}

/* ---- the thread ------------------------------------------------------------------------ */

static void scan_start(struct watch *watch)
{
    struct folder folder = {0};
    bool done = scan_run(&watch->scan, &folder);

    if (!atomic_load(&watch->stop)) {
        uv_update_time(&watch->loop);
        watched_update(watch, &folder);
        uv_timer_again(&watch->rescan);
    }
    folder_deinit(&folder);
    if (done && !watch->ready) {
        watch->ready = true;
        watch->options.ready(watch->options.arg);
    }
}

static void on_rescan(uv_timer_t *timer)
{
    scan_start(timer->data);
}

static void on_stop(uv_async_t *async)
{
    struct watch *watch = async->data;

    for (size_t i = 0; i < watch->watched_count; i++) {
        watched_close(watch->watched[i]);
    }
    watch->watched_count = 0;
    uv_close((uv_handle_t *)&watch->settle, NULL);
    uv_close((uv_handle_t *)&watch->rescan, NULL);
    uv_close((uv_handle_t *)&watch->stopper, NULL);
}

static void watch_main(void *arg)
{
    struct watch *watch = arg;

    uv_timer_start(&watch->rescan, on_rescan, 0, watch->options.rescan_ms);
    uv_run(&watch->loop, UV_RUN_DEFAULT);
}

struct watch *watch_start(const struct watch_options *options)
{
    struct watch *watch = calloc(1, sizeof *watch);

    CHECK(watch != NULL);
    CHECK(options->rescan_ms > 0);
    watch->options = *options;
    watch->scan = (struct scan){
        .index = options->index,
        .roots = options->roots,
        .root_count = options->root_count,
        .stop = &watch->stop,
        .log = options->log,
        .log_arg = options->arg,
    };
    watch->watched = calloc(WATCH_FOLDERS_MAX, sizeof *watch->watched);
    CHECK(watch->watched != NULL);
    CHECK(uv_loop_init(&watch->loop) == 0);
    CHECK(uv_async_init(&watch->loop, &watch->stopper, on_stop) == 0);
    uv_timer_init(&watch->loop, &watch->settle);
    uv_timer_init(&watch->loop, &watch->rescan);
    watch->stopper.data = watch->settle.data = watch->rescan.data = watch;
    if (uv_thread_create(&watch->thread, watch_main, watch) != 0) {
        on_stop(&watch->stopper);
        uv_run(&watch->loop, UV_RUN_DEFAULT);
        uv_loop_close(&watch->loop);
        free(watch->watched);
        free(watch);
        return NULL;
    }
    return watch;
}

void watch_stop(struct watch *watch)
{
    if (watch == NULL) {
        return;
    }
    atomic_store(&watch->stop, true);
    uv_async_send(&watch->stopper);
    uv_thread_join(&watch->thread);
    CHECK(uv_loop_close(&watch->loop) == 0);
    free(watch->watched);
    free(watch);
}
