/* state: what a broker is made of. Only the files of this folder look inside. */
#ifndef SLUICE_BROKER_CORE_STATE_H
#define SLUICE_BROKER_CORE_STATE_H

#include "broker/core/account.h"
#include "broker/core/affinity.h"
#include "broker/core/broker.h"
#include "broker/core/flight.h"
#include "broker/core/flow.h"
#include "broker/core/lane.h"
#include "broker/core/lease.h"
#include "broker/core/limit.h"
#include "broker/core/offer.h"
#include "broker/core/peer.h"
#include "broker/core/service.h"
#include "broker/core/store.h"
#include "broker/core/task.h"
#include "broker/core/target.h"
#include "broker/core/terms.h"
#include "common/doc.h"
#include "common/pool.h"
#include "common/prefetch.h"
#include "common/siphash.h"

enum timer_kind { TIMER_TASK, TIMER_PEER, TIMER_SERVICE, TIMER_RETENTION, TIMER_LIMITER,
                  TIMER_ACCOUNT };

/* What a QUERY's answer is built in. Sized for a full page: PAGE_ITEMS_MAX rows of
 * at most PAGE_ROW_TOKENS tokens. */
#define PAGE_ROW_TOKENS 48
#define PAGE_ARENA_BYTES (256 * 1024)
struct page {
    struct doc_token tokens[PAGE_ITEMS_MAX * PAGE_ROW_TOKENS + 64];
    uint8_t arena[PAGE_ARENA_BYTES];
};

/* A handler may have one child more than there is room for, or nothing would ever make room:
 * beyond its peer's window, up to this many tasks more than twice as much; and beyond the
 * memory budget, of which a quarter more is for that. */
#define OVERDRAFT_TASKS 1024
#define RESERVE_SHARE 4

/* Tasks whose progress watchers were told of lately. */
#define PROGRESS_SLOTS 256
#define PROGRESS_MS 1000

/* What the one tree that has the reserve has taken of it. */
struct reserve {
    struct id root; /* of the tree; meaningless while tasks is 0 */
    uint64_t tasks; /* that have not ended */
    uint64_t bytes; /* when they were accepted */
};

struct broker {
    struct broker_options options;
    struct effects effects;
    uint64_t now_ms, started_ms;
    uint64_t awake_ms; /* when it was last stepped much too late */
    bool draining; /* takes nothing new */
    bool stopping; /* and will not do so again */
    uint64_t serial;
    uint64_t random; /* of jitter */

    struct list watchers;
    uint64_t notes;    /* kinds that somebody wants to know of; 0: nobody watches */
    struct progress_told { /* lately, by the task's hash: see watch_progress */
        uint32_t hash;
        uint64_t again_ms; /* not before */
    } told[PROGRESS_SLOTS];
    struct span cause; /* code of the FAIL under way; empty: none */

    struct wheel wheel;
    struct table limits;      /* rules of tenants and of keys */
    struct roster limit_rows; /* all rules */
    uint64_t wide_rules;      /* of tenants, whatever the service */
    struct table accounts;
    uint64_t flow_serial; /* of the last flow that was made */
    struct list accounts_by_age; /* those without a flow, the first to be forgotten first */
    uint64_t accounts_idle;
    struct pool limit_pool, limiter_pool, account_pool;
    struct table tasks, flows, lanes, strays, flights, affinities;
    struct table services_by_name, targets, peers_by_connection, peers_by_session;
    struct roster services, peers;
    struct list idle; /* services that nobody would miss, oldest first */

    struct list affinities_by_age;

    /* Work that one step leaves for broker_settle, so that nothing recurses. */
    struct list wake;   /* extras: something they wait for has ended */
    struct list doomed; /* extras: to be cancelled */
    struct list dirty;  /* services: may have something to hand out */

    enum store_state store_state;
    uint64_t store_sequence; /* of the last record */
    uint64_t store_key;      /* of the next row */
    struct list flights_restored; /* struct flight: have ended; until all rows are back */
    struct list unaccepted;  /* struct durable: a receipt waits for the store, */
    struct list unsafe;      /* by sequence: somebody waits for the store, for that or another */
    uint64_t unsafe_bytes;   /* of their records, about */
    bool durable_services;   /* there are some whose tasks all are */
    uint64_t durable_count[TASK_STATE_COUNT]; /* of state_count, the durable ones */
    bool backing_up;         /* for this request of this session */
    struct id backup_session;
    uint64_t backup_request;
    struct list directives;  /* that it keeps, the oldest first */
#define WORKERS_RESTORED 64
    struct label *workers_restored[WORKERS_RESTORED]; /* by hashes of names, until all is */
    const struct store_row *restoring; /* that is being given back; NULL: none */

    /* Ended tasks, oldest first. Those that a join needs stay as long as it, and are not
     * here: no join may use up what is remembered for others. */
    struct list retained;
    uint64_t retained_bytes, retained_count;
    uint64_t kept_bytes; /* of ended tasks that joins need */
    struct timer retention;

    /* Those whose outcome is kept for a time of their own, in order of their ends: each has its
     * timer. Apart, so that no flood of others pushes them out. */
    struct list remembered;
    uint64_t remembered_bytes, remembered_count;

    struct roster detached; /* terms of tasks, in order of acceptance, until they are forgotten */
    uint64_t detached_count;

    struct table letters; /* dead letters */
    struct roster dead;   /* the same, in order of death */
    uint64_t dead_bytes;

    uint64_t memory_bytes; /* of tasks, with payloads and results */
    uint64_t pooled_bytes; /* of flows, lanes, readers and the like: see count_pools */
    struct reserve reserve;
    uint64_t text_bytes;   /* of offers: schema, version, about */
    struct broker_stats stats; /* sums, peers, queued_bytes; the rest is filled in when asked */
    uint64_t state_count[TASK_STATE_COUNT];

    struct blob *options_last; /* of the last terms that were made; NULL: none */
    struct pool task_pool, flow_pool, lane_pool, extra_pool, family_pool, join_pool, need_pool;
    struct pool wait_pool;
    struct pool durable_pool, directive_pool;
    struct pool terms_pool, cause_pool, letter_pool, flight_pool, affinity_pool;
    struct pool target_pool, stream_pool, stream_block_pool, reader_pool, memo_pool, signal_pool;
    struct pool peer_pool, label_pool, service_pool, offer_pool, stray_pool, watcher_pool;
    struct page *page;
};

#define BROKER_LOG(broker, severity, name, ...)                                                    \
    do {                                                                                           \
        if ((severity) <= (broker)->effects.log_level) {                                           \
            const struct log_field log_fields_[] = {__VA_ARGS__};                                  \
            (broker)->effects.log((broker)->effects.context,                                       \
                                  &(struct log_record){(severity), (name), log_fields_,            \
                                                       sizeof log_fields_ / sizeof *log_fields_}); \
        }                                                                                          \
    } while (0)

static inline uint32_t broker_hash(const struct broker *broker, const void *key, size_t size)
{
    return table_hash(broker->options.hash_seed, key, size);
}

/* The same, too wide for anybody to find two texts of one digest: these may stand for the texts. */
static inline void broker_digest(const struct broker *broker, const void *text, size_t size,
                                 uint8_t digest[DIGEST_BYTES])
{
    uint64_t secret[2] = {broker->options.hash_seed, ~broker->options.hash_seed};

    siphash128((const uint8_t *)secret, text, size, digest);
}

/* Of one reader of a stream, as counted. */
#define READER_BYTES 96

/* Wall clock, for people and for what outlives this process. */
static inline uint64_t broker_unix_ms(const struct broker *broker, uint64_t at_ms)
{
    return broker->options.started_unix_ms + (at_ms - broker->started_ms);
}

/* Before this broker began it wraps around, and differences are right all the same. */
static inline uint64_t broker_ms_of_unix(const struct broker *broker, uint64_t unix_ms)
{
    return broker->started_ms + (unix_ms - broker->options.started_unix_ms);
}

/* What counts against memory_max: tasks, and what else peers can make without an end. */
static inline uint64_t broker_memory_used(const struct broker *broker)
{
    uint64_t gone = broker->peer_pool.used - broker->stats.peers;

    return broker->memory_bytes + broker->text_bytes + broker->dead_bytes + broker->pooled_bytes +
           gone * (sizeof(struct peer) + sizeof(struct label));
}

/* A sentence that says what to do about `code`. */
const char *error_code_message(enum error_code code);
struct error error_of(enum error_code code);

void send_error(struct broker *broker, connection_id to, enum error_code code,
                enum command command, const char *field, const struct id *id);

#endif
