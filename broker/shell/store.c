#include "broker/shell/store.h"

#include "broker/shell/store_backup.h"
#include "broker/shell/store_batch.h"
#include "broker/shell/store_file.h"
#include "broker/shell/store_load.h"
#include "broker/shell/store_shrink.h"
#include "common/check.h"
#include "common/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct store {
    int fd;
    bool started;
    /* The broker's thread's. */
    struct store_encoder encoder;
    /* The store's thread's, between store_start and the join. */
    struct store_file file;
    struct store_queue writing;
    struct store_batch batch;
    bool log_full; /* a checkpoint found no room: no other before the next batch */
    bool worked;   /* it has written since it was last idle */
    struct store_backup backup; /* while `backing_up` */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* All below: under the lock. */
    struct store_queue queue;
    struct store_news news;
    bool urgent;   /* somebody waits for a record in the queue */
    bool sleeping; /* the thread waits for `wake`, */
    bool napping;  /* but not for long: records that nobody waits for are there */
    bool stopping;
    bool backing_up;
    const char *backup_folder;
};

/* ---- the broker's side --------------------------------------------------------------- */

/* Under the lock. */
static void signal_news(struct store *store)
{
    const uint64_t one = 1;

    if (write(store->fd, &one, sizeof one) != sizeof one) {
        CHECK(errno == EAGAIN); /* it is readable as it is */
    }
}

/* Under the lock. */
static void set_state(struct store *store, enum store_state state, const char *why)
{
    if (store->news.state == STORE_LOST) {
        return;
    }
    if (store->news.state != state || strcmp(store->news.why, why) != 0) {
        store->news.state = state;
        snprintf(store->news.why, sizeof store->news.why, "%s", why);
        signal_news(store);
    }
}

void store_add(struct store *store, const struct store_record *record)
{
    bool added = store_encode(&store->encoder, record);

    CHECK(record->key > 0 && record->key <= STORE_KEY_MAX);
    pthread_mutex_lock(&store->lock);
    if (store->news.state != STORE_LOST) {
        added = added && store_queue_add(&store->queue, record, &store->encoder);
        if (!added) {
            set_state(store, STORE_LOST, "out of memory");
        }
        store->urgent |= record->what != STORE_FORGET;
    }
    pthread_mutex_unlock(&store->lock);
}

void store_flush(struct store *store)
{
    bool wake;

    pthread_mutex_lock(&store->lock);
    wake = store->sleeping && (store->urgent || (store->queue.records > 0 && !store->napping));
    store->sleeping = store->sleeping && !wake;
    pthread_mutex_unlock(&store->lock);
    if (wake) {
        pthread_cond_signal(&store->wake); /* it would find the lock taken */
    }
}

int store_fd(const struct store *store)
{
    return store->fd;
}

void store_take_news(struct store *store, struct store_news *news)
{
    uint64_t count;

    /* Before the news is looked at: what comes after it makes the fd readable again. */
    if (read(store->fd, &count, sizeof count) != sizeof count) {
        CHECK(errno == EAGAIN || errno == EINTR);
    }
    pthread_mutex_lock(&store->lock);
    *news = store->news;
    store->news.backup_ended = false;
    pthread_mutex_unlock(&store->lock);
}

/* Under the lock. */
static void backup_end(struct store *store)
{
    store->backing_up = false;
    store->news.backup_ended = true;
    signal_news(store);
}

void store_back_up(struct store *store, const char *folder)
{
    bool wake;

    pthread_mutex_lock(&store->lock);
    CHECK(!store->backing_up);
    store->backup = (struct store_backup){.fd = -1};
    store->backing_up = true;
    store->backup_folder = folder;
    if (store->news.state == STORE_LOST) {
        problem_set(&store->backup.problem, "%s", store->news.why);
        backup_end(store);
    }
    wake = store->sleeping;
    store->sleeping = false;
    pthread_mutex_unlock(&store->lock);
    if (wake) {
        pthread_cond_signal(&store->wake);
    }
}

const struct store_backup *store_last_backup(const struct store *store)
{
    return &store->backup;
}

/* ---- the thread's -------------------------------------------------------------------- */

/* Under the lock. `for_ms` 0: until there is something to do. False: the time has passed. */
static bool sleep_for(struct store *store, unsigned for_ms)
{
    struct timespec until;

    if (for_ms == 0) {
        pthread_cond_wait(&store->wake, &store->lock);
        return true;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(for_ms % 1000) * 1000000;
    until.tv_sec += (time_t)(for_ms / 1000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return pthread_cond_timedwait(&store->wake, &store->lock, &until) != ETIMEDOUT;
}

/* Lets go of the lock meanwhile. False: lost. */
static bool checkpoint(struct store *store)
{
    enum store_file_result result;

    pthread_mutex_unlock(&store->lock);
    result = store_file_checkpoint(&store->file);
    pthread_mutex_lock(&store->lock);
    store->log_full = result == STORE_FILE_FULL;
    if (result == STORE_FILE_FAILED) {
        set_state(store, STORE_LOST, store->file.why);
    }
    return result != STORE_FILE_FAILED;
}

/* In an idle moment, when the log is empty. Under the lock, which it lets go of. */
static void shrink(struct store *store)
{
    enum store_file_result result = STORE_FILE_OK;

    pthread_mutex_unlock(&store->lock);
    if (store_file_wal_bytes(&store->file) == 0 && store_shrink_pays(&store->file)) {
        result = store_shrink(&store->file);
    }
    pthread_mutex_lock(&store->lock);
    if (result == STORE_FILE_FAILED) {
        set_state(store, STORE_LOST, store->file.why);
    }
}

/* Copies some more, if there is a backup to be made. Under the lock, which it lets go of. */
static void back_up(struct store *store)
{
    enum store_backup_result result;

    if (!store->backing_up) {
        return;
    }
    pthread_mutex_unlock(&store->lock);
    result = store->backup.to == NULL
                 ? store_backup_begin(&store->backup, &store->file, store->backup_folder,
                                      clock_unix_ms())
                 : store_backup_step(&store->backup);
    pthread_mutex_lock(&store->lock);
    if (result != STORE_BACKUP_MORE) {
        backup_end(store);
    }
}

/* The same. */
static void stop_backup(struct store *store, const char *why)
{
    if (!store->backing_up) {
        return;
    }
    pthread_mutex_unlock(&store->lock);
    store_backup_cancel(&store->backup, why);
    pthread_mutex_lock(&store->lock);
    backup_end(store);
}

/* Until there is something to write (true), or all is over. Under the lock. */
static bool wait_for_records(struct store *store)
{
    while (!store->urgent && !store->stopping && store->news.state != STORE_LOST) {
        bool tidy = store->log_full || !store->worked;
        bool in_time;

        if (store->backing_up && store->queue.records > 0) {
            break; /* it may be long until there is nothing else to do */
        }
        if (store->backing_up) {
            back_up(store);
            continue;
        }
        store->sleeping = true;
        store->napping = store->queue.records > 0;
        in_time = sleep_for(store, store->napping ? STORE_LAZY_MS : tidy ? 0 : STORE_IDLE_MS);
        store->sleeping = false;
        if (!in_time && store->napping) {
            break;
        }
        if (!in_time && store->queue.records == 0) {
            if (checkpoint(store)) {
                shrink(store);
            }
            store->worked = store_file_wal_bytes(&store->file) > 0; /* it was written anew */
        }
    }
    return store->queue.records > 0 && store->news.state != STORE_LOST;
}

/* The batch is on the disk, or needed none. Under the lock. */
static void publish(struct store *store, bool committed)
{
    if (store->news.state == STORE_LOST) {
        return;
    }
    store->news.sequence = store->writing.sequence;
    store->news.records += store->writing.records;
    store->news.writes += store->batch.writes;
    store->news.commits += committed;
    set_state(store, STORE_OPEN, "");
    signal_news(store);
}

/* No room: what the log holds may make some. Under the lock. False: give up. */
static bool wait_for_room(struct store *store)
{
    set_state(store, STORE_FULL, store->file.why);
    stop_backup(store, "no room");
    if (store->stopping || !checkpoint(store)) {
        return false;
    }
    /* Nobody is `sleeping`, so only store_close ends this early. */
    if (!store->stopping) {
        sleep_for(store, STORE_RETRY_MS);
    }
    return true;
}

/* Writes the batch until it fits. Under the lock, which it lets go of. False: it is not written. */
static bool write_batch(struct store *store)
{
    enum store_file_result result;

    for (;;) {
        pthread_mutex_unlock(&store->lock);
        result = store_file_write(&store->file, &store->batch);
        pthread_mutex_lock(&store->lock);
        switch (result) {
        case STORE_FILE_OK:
            return true;
        case STORE_FILE_FULL:
            if (!wait_for_room(store)) {
                return false;
            }
            break;
        case STORE_FILE_FAILED:
            set_state(store, STORE_LOST, store->file.why);
            return false;
        }
    }
}

static bool is_light(const struct store_queue *queue)
{
    return queue->records <= STORE_LIGHT_RECORDS &&
           queue->size + queue->large_bytes <= STORE_LIGHT_BYTES;
}

/* One turn: all that is queued. Under the lock, which it lets go of. False: it is over. */
static bool write_queued(struct store *store)
{
    struct store_queue empty = store->writing;
    uint64_t log_bytes;
    bool made;

    store->writing = store->queue;
    store->queue = empty;
    store->urgent = false;
    pthread_mutex_unlock(&store->lock);
    made = store_batch_make(&store->batch, &store->writing);
    pthread_mutex_lock(&store->lock);
    if (!made) {
        set_state(store, STORE_LOST, "out of memory");
        return false;
    }
    if (!write_batch(store)) {
        return false;
    }
    publish(store, store->batch.writes > 0);
    log_bytes = is_light(&store->writing) ? STORE_LOG_LIGHT_BYTES : STORE_LOG_BYTES;
    pthread_mutex_unlock(&store->lock);
    store_queue_clear(&store->writing);
    pthread_mutex_lock(&store->lock);
    store->log_full = false;
    store->worked = true;
    return store_file_wal_bytes(&store->file) < log_bytes || checkpoint(store);
}

static void *run(void *context)
{
    struct store *store = context;

    pthread_mutex_lock(&store->lock);
    while (wait_for_records(store) && write_queued(store)) {
        back_up(store);
    }
    stop_backup(store, store->news.state == STORE_LOST ? store->news.why : "the broker ends");
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

/* ---- start and end ------------------------------------------------------------------- */

struct store *store_open(const char *path, struct problem *problem)
{
    struct store *store = calloc(1, sizeof *store);
    pthread_condattr_t attributes;

    if (store == NULL) {
        problem_set(problem, "out of memory");
        return NULL;
    }
    store->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (store->fd < 0) {
        problem_set(problem, "cannot make an eventfd: %s", strerror(errno));
        free(store);
        return NULL;
    }
    if (!store_file_open(&store->file, path, problem)) {
        close(store->fd);
        free(store);
        return NULL;
    }
    signal(SIGXFSZ, SIG_IGN); /* a bound on the size of files is as a full disk */
    store_encoder_init(&store->encoder);
    store->news.state = STORE_OPEN;
    pthread_mutex_init(&store->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&store->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    return store;
}

bool store_load(struct store *store, const struct store_taker *taker, uint64_t *next_key,
                struct store_report *report, struct problem *problem)
{
    CHECK(!store->started);
    return store_file_load(&store->file, taker, next_key, report, problem);
}

bool store_start(struct store *store, struct problem *problem)
{
    int error;

    CHECK(!store->started);
    error = pthread_create(&store->thread, NULL, run, store);
    if (error != 0) {
        problem_set(problem, "cannot start the store's thread: %s", strerror(error));
    }
    store->started = error == 0;
    return store->started;
}

void store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    if (store->started) {
        pthread_mutex_lock(&store->lock);
        store->stopping = true;
        pthread_cond_signal(&store->wake);
        pthread_mutex_unlock(&store->lock);
        pthread_join(store->thread, NULL);
    }
    store_file_close(&store->file, store->news.state == STORE_LOST);
    store_queue_deinit(&store->queue);
    store_queue_deinit(&store->writing);
    store_batch_deinit(&store->batch);
    store_encoder_deinit(&store->encoder);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->lock);
    close(store->fd);
    free(store);
}
