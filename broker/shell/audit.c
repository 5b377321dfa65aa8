#include "broker/shell/audit.h"

#include "broker/shell/audit_file.h"
#include "common/check.h"
#include "common/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define QUEUE_ENTRIES 16384 /* a power of two */
#define BATCH_ENTRIES 4096  /* so many are worth waking up for */
#define WAKE_MS 100         /* an entry waits no longer for others */
#define SYNC_MS 1000

/* A note, with texts of its own. */
struct kept {
    uint64_t at_ms;
    uint64_t attempt;
    struct id task;
    enum note_kind kind;
    uint16_t service_size, peer_size, detail_size;
    uint8_t service[SERVICE_NAME_MAX];
    uint8_t peer[PEER_NAME_MAX];
    uint8_t detail[EVENT_DETAIL_MAX];
};

struct audit {
    struct audit_file file; /* the thread's, until it has ended */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* All below: under the lock; but entries from `tail` to `head` are the thread's to read. */
    uint64_t head, tail;
    uint64_t lost;      /* no room in the queue */
    bool stopping;
    int error;          /* of the file; 0: none */
    uint64_t lost_all;  /* entries, whatever the reason */
    int error_logged;
    uint64_t lost_logged;
    struct kept queue[QUEUE_ENTRIES];
};

/* ---- the broker's side ---------------------------------------------------------- */

static uint16_t keep(uint8_t *to, size_t max, struct span from)
{
    size_t size = from.size < max ? from.size : max;

    if (size > 0) {
        memcpy(to, from.data, size);
    }
    return (uint16_t)size;
}

void audit_add(struct audit *audit, const struct note *note)
{
    struct kept *kept;

    pthread_mutex_lock(&audit->lock);
    if (audit->head - audit->tail == QUEUE_ENTRIES) {
        audit->lost++;
    } else {
        kept = &audit->queue[audit->head % QUEUE_ENTRIES];
        kept->at_ms = clock_unix_ms();
        kept->attempt = note->attempt;
        kept->task = note->task;
        kept->kind = note->kind;
        kept->service_size = keep(kept->service, sizeof kept->service, note->service);
        kept->peer_size = keep(kept->peer, sizeof kept->peer, note->peer);
        kept->detail_size = keep(kept->detail, sizeof kept->detail, note->detail);
        audit->head++;
        if (audit->head - audit->tail == BATCH_ENTRIES) {
            pthread_cond_signal(&audit->wake);
        }
    }
    pthread_mutex_unlock(&audit->lock);
}

void audit_look(struct audit *audit, struct journal *journal)
{
    int error;
    uint64_t lost;

    pthread_mutex_lock(&audit->lock);
    error = audit->error;
    lost = audit->lost_all;
    pthread_mutex_unlock(&audit->lock);
    if (error != audit->error_logged && error != 0) {
        journal_say(journal, LOG_ERROR, "audit_failing", LOG_WORD("why", strerror(error)));
    } else if (error != audit->error_logged) {
        journal_say(journal, LOG_INFO, "audit_works_again");
    }
    if (lost != audit->lost_logged) {
        journal_say(journal, LOG_ERROR, "audit_lost", LOG_UINT("entries", lost));
    }
    audit->error_logged = error;
    audit->lost_logged = lost;
}

/* ---- the thread's ------------------------------------------------------------------ */

static void file_add(struct audit *audit, const char *event, struct span detail)
{
    audit_file_add(&audit->file, &(struct audit_entry){
                                     .at_ms = clock_unix_ms(), .event = event, .detail = detail});
}

static void write_kept(struct audit *audit, const struct kept *kept)
{
    audit_file_add(&audit->file,
                   &(struct audit_entry){.at_ms = kept->at_ms,
                                         .event = note_kind_name(kept->kind),
                                         .task = kept->task,
                                         .attempt = kept->attempt,
                                         .service = span_of(kept->service, kept->service_size),
                                         .peer = span_of(kept->peer, kept->peer_size),
                                         .detail = span_of(kept->detail, kept->detail_size)});
}

/* Waits until there is something to do, or it is time. Under the lock. */
static void wait_for_entries(struct audit *audit)
{
    struct timespec until;
    uint64_t until_ms = clock_now_us() / 1000 + WAKE_MS;

    until.tv_sec = (time_t)(until_ms / 1000);
    until.tv_nsec = (long)(until_ms % 1000) * 1000000;
    while (!audit->stopping && audit->head - audit->tail < BATCH_ENTRIES &&
           pthread_cond_timedwait(&audit->wake, &audit->lock, &until) != ETIMEDOUT) {
    }
}

static int error_of(const struct audit_file *file)
{
    return file->error != 0 ? file->error : file->rotate_error;
}

/* One turn; under the lock, which it lets go of while it writes. */
static void write_queued(struct audit *audit)
{
    uint64_t lost = audit->lost, tail = audit->tail, head = audit->head;

    head = head - tail < BATCH_ENTRIES ? head : tail + BATCH_ENTRIES;
    audit->lost = 0;
    pthread_mutex_unlock(&audit->lock);
    for (uint64_t i = tail; i < head; i++) {
        write_kept(audit, &audit->queue[i % QUEUE_ENTRIES]);
    }
    audit_file_flush(&audit->file);
    pthread_mutex_lock(&audit->lock);
    audit->tail = head;
    audit_file_lose(&audit->file, lost); /* they came after those */
    audit->lost_all = audit->file.lost_all;
    audit->error = error_of(&audit->file);
}

static void *run(void *context)
{
    struct audit *audit = context;
    uint64_t synced_ms = clock_now_us() / 1000;
    bool stopping, unsynced = true;

    pthread_mutex_lock(&audit->lock);
    do {
        wait_for_entries(audit);
        stopping = audit->stopping;
        unsynced = unsynced || audit->head != audit->tail;
        write_queued(audit);
        if (unsynced && clock_now_us() / 1000 - synced_ms >= SYNC_MS) {
            pthread_mutex_unlock(&audit->lock);
            audit_file_sync(&audit->file);
            synced_ms = clock_now_us() / 1000;
            unsynced = false;
            pthread_mutex_lock(&audit->lock);
        }
    } while (!stopping || audit->head != audit->tail);
    pthread_mutex_unlock(&audit->lock);
    return NULL;
}

/* ---- start and end ------------------------------------------------------------------ */

static bool start_thread(struct audit *audit)
{
    pthread_condattr_t attributes;
    bool started;

    pthread_mutex_init(&audit->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&audit->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    started = pthread_create(&audit->thread, NULL, run, audit) == 0;
    if (!started) {
        pthread_cond_destroy(&audit->wake);
        pthread_mutex_destroy(&audit->lock);
    }
    return started;
}

static void log_standing(const struct audit *audit, struct journal *journal, const char *event,
                         uint64_t torn)
{
    char hash[CHAIN_TEXT_SIZE];

    chain_text(&audit->file.chain, hash);
    journal_say(journal, torn > 0 ? LOG_WARN : LOG_INFO, event,
                LOG_WORD("path", audit->file.path), LOG_UINT("n", audit->file.number),
                LOG_WORD("hash", hash), LOG_UINT("torn_bytes", torn));
}

struct audit *audit_open(const struct config *config, struct journal *journal,
                         struct problem *problem)
{
    struct audit *audit = calloc(1, sizeof *audit);
    uint64_t torn;
    char text[40];

    if (audit == NULL) {
        problem_set(problem, "out of memory");
        return NULL;
    }
    if (!audit_file_open(&audit->file, config->audit, config->audit_bytes, config->audit_files,
                         &torn, problem)) {
        free(audit);
        return NULL;
    }
    signal(SIGXFSZ, SIG_IGN); /* a bound on the size of files is as a full disk */
    log_standing(audit, journal, "audit_opened", torn);
    snprintf(text, sizeof text, "torn_bytes=%" PRIu64, torn);
    file_add(audit, "audit_opened", span_from_text(torn > 0 ? text : ""));
    if (!audit_file_flush(&audit->file) || !start_thread(audit)) {
        problem_set(problem, "cannot write the audit %s: %s", config->audit,
                    strerror(audit->file.error != 0 ? audit->file.error : EAGAIN));
        audit_file_close(&audit->file);
        free(audit);
        return NULL;
    }
    return audit;
}

void audit_close(struct audit *audit, struct journal *journal)
{
    if (audit == NULL) {
        return;
    }
    pthread_mutex_lock(&audit->lock);
    audit->stopping = true;
    pthread_cond_signal(&audit->wake);
    pthread_mutex_unlock(&audit->lock);
    pthread_join(audit->thread, NULL);
    file_add(audit, "audit_closed", span_of(NULL, 0));
    audit_file_close(&audit->file);
    audit->error = error_of(&audit->file);
    audit->lost_all = audit->file.lost_all;
    audit_look(audit, journal);
    log_standing(audit, journal, "audit_closed", 0);
    pthread_cond_destroy(&audit->wake);
    pthread_mutex_destroy(&audit->lock);
    free(audit);
}
