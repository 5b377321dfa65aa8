/* message: the commands of the protocol as plain data.
 *
 * One struct a command, in the field order of proto/PROTOCOL.md. Both the
 * broker's core and the runtime's peer machine speak in these; only the codec
 * knows bytes. No ZeroMQ, no MessagePack, no allocation here.
 *
 * Lifetime: every span and pointer in a message is borrowed. In a received
 * message they live until the receiver returns; in a sent one until the sink
 * it was given to returns. */
#ifndef SLUICE_PROTO_MESSAGE_H
#define SLUICE_PROTO_MESSAGE_H

#include "common/blob.h"
#include "common/span.h"
#include "proto/limits.h"

#include <stdbool.h>
#include <stdint.h>

struct doc;
struct outcome_record;

enum command {
    /* peer to broker */
    COMMAND_HELLO = 1,
    COMMAND_OFFER = 2,
    COMMAND_WITHDRAW = 3,
    COMMAND_CREDIT = 4,
    COMMAND_SUBMIT = 5,
    COMMAND_CANCEL = 6,
    COMMAND_DONE = 7,
    COMMAND_FAIL = 8,
    COMMAND_CHUNK = 9,
    COMMAND_PROGRESS = 10,
    COMMAND_CHECKPOINT = 11,
    COMMAND_SIGNAL = 12,
    COMMAND_QUERY = 13,
    COMMAND_WATCH = 14,
    COMMAND_PING = 15,
    COMMAND_BYE = 16,
    COMMAND_READ = 17,
    COMMAND_CONTROL = 18,
    COMMAND_SEQUENCE = 19, /* both ways */
    /* broker to peer */
    COMMAND_WELCOME = 32,
    COMMAND_ACCEPTED = 33,
    COMMAND_STARTED = 34,
    COMMAND_TASK = 35,
    COMMAND_RESULT = 36,
    COMMAND_CHUNK_OUT = 37,
    COMMAND_PROGRESS_OUT = 38,
    COMMAND_CANCEL_OUT = 39,
    COMMAND_SIGNAL_OUT = 40,
    COMMAND_REPLY = 41,
    COMMAND_EVENT = 42,
    COMMAND_PONG = 43,
    COMMAND_ERROR = 44,
    COMMAND_FLOW = 45,
};

/* How a task ended; the RESULT field `outcome`. */
enum outcome {
    OUTCOME_DONE = 0,
    OUTCOME_FAILED = 1,
    OUTCOME_CANCELLED = 2,
    OUTCOME_EXPIRED = 3,
    OUTCOME_REFUSED = 4, /* never accepted: no attempt was made */
};
#define OUTCOME_COUNT 5

/* The closed list of codes the broker itself uses. Text: error_code_name(). */
enum error_code {
    ERROR_NONE,
    ERROR_QUEUE_FULL,
    ERROR_WINDOW_EXCEEDED,
    ERROR_MEMORY_FULL,      /* the broker's whole budget is used */
    ERROR_EXPIRED,
    ERROR_CANCELLED,
    ERROR_WORKER_LOST,
    ERROR_LEASE_EXPIRED,
    ERROR_UNKNOWN_SERVICE,
    ERROR_DEPENDENCY_FAILED,
    ERROR_CONFLICT,
    ERROR_TOO_LARGE,
    ERROR_BAD_MESSAGE,
    ERROR_NOT_FOUND,
    ERROR_DRAINING,
    ERROR_HELLO_REQUIRED,
    ERROR_UNSUPPORTED,      /* version or reserved command */
    ERROR_LIMIT_EXCEEDED,   /* too many peers, offers, services, ... */
    ERROR_RATE_LIMITED,     /* a rate's tokens are used up, and it refuses */
    ERROR_BUDGET_EXHAUSTED, /* a budget's cost units are used up, and it refuses */
    ERROR_CIRCUIT_OPEN,     /* the service fails, and its breaker refuses */
    ERROR_SKIPPED,
    ERROR_STORE_UNAVAILABLE,          /* run_if did not hold */
};
#define ERROR_CODE_COUNT (ERROR_STORE_UNAVAILABLE + 1)

/* {code, message, retryable, retry_after_ms?, details?}
 *
 * Either `raw` holds the whole map as MessagePack bytes (an application's,
 * passed on as it came), and `retryable`, `retry_after_ms` repeat what is in
 * it; or `raw.size` is 0 and the other fields are the error. `code` is always
 * set in a received error, and lies in its `raw`. */
struct error {
    struct span raw;
    struct span code;
    struct span message;
    bool retryable;
    uint64_t retry_after_ms; /* 0: absent */
    bool scope_service;      /* `scope` is "service": retry_after_ms holds for all of it */
    const struct doc *details; /* sending, without raw; NULL: none */
};

/* A payload of a command. `blob` is set when the bytes are already counted (an
 * attached frame, or the core's own copy): keep it with blob_ref. Otherwise
 * the bytes lie inside frame 0 and must be copied to be kept. */
struct payload {
    struct span bytes;
    struct blob *blob;
};

struct hello {
    uint64_t version;
    struct id session;
    struct span name;
    struct span agent;    /* option `agent`: language and version, for people */
    bool resume;          /* option: number the messages of this session, both ways */
    uint64_t received;    /* option, with resume: all messages up to this one have come */
    uint64_t greeting;    /* option: WELCOME says it again; 0: none */
};

struct offer_message {
    struct span service;
    uint64_t credit;      /* tasks held at once */
    struct span schema;   /* option `schema`: JSON text; empty: none */
    struct span version;  /* option `version` */
    struct span about;    /* option `about` */
    uint64_t max_tasks;   /* option; 0: the broker's default */
    uint64_t max_bytes;   /* option; 0: the broker's default */
    uint64_t lease_ms;    /* option; 0: none */
    uint64_t attempts;    /* option; 0: the broker's default */
    uint64_t max_run_ms;  /* option; 0: none */
    bool exclusive;       /* option: nobody else may offer it meanwhile (a mailbox) */
};

struct withdraw {
    struct span service;
};

struct credit {
    struct span service;
    uint64_t credit;
};

enum join_policy {
    JOIN_NONE,    /* not a join */
    JOIN_ALL,
    JOIN_SETTLED,
    JOIN_ANY,     /* the first that is done */
    JOIN_K,       /* the first `k` that are done */
};

/* When a task with needs and a service runs: by how its needs came out. */
enum run_if {
    RUN_IF_DONE,   /* the policy is fulfilled */
    RUN_IF_FAILED, /* it has become impossible */
    RUN_IF_ALWAYS,
};

enum route {
    ROUTE_ONE,
    ROUTE_ALL, /* one child for each worker, joined */
};

enum if_absent {
    IF_ABSENT_REFUSE, /* unknown service: refuse at once */
    IF_ABSENT_WAIT,   /* queue until somebody offers it */
};

struct submit {
    struct id id;
    struct span service;       /* empty: a pure join */
    struct payload payload;
    struct id parent;          /* option; nil: none */
    uint64_t parent_attempt;   /* option, with parent */
    uint64_t deadline_ms;      /* option: from receipt; 0: none */
    uint64_t queue_ttl_ms;     /* option; 0: none */
    uint64_t lease_ms;         /* option; 0: the offer's */
    uint64_t attempts;         /* option; 0: the service's */
    bool receipts;             /* option: ACCEPTED and STARTED wanted */
    bool held;                 /* option: result goes to a join, not to me */
    enum if_absent if_absent;  /* option */
    enum join_policy join;     /* option */
    const uint8_t *needs;      /* option: needs_count ids, ID_BYTES apart `needs_stride` */
    size_t needs_count;
    size_t needs_stride;       /* bytes from one id to the next: 16 or, on the wire, 18 */
    uint64_t k;                /* option, with JOIN_K: how many must be done */
    enum run_if run_if;        /* option, with needs and a service */
    bool no_inputs;            /* option `inputs` is false: the outcomes of needs are not sent */
    enum route route;          /* option */
    uint64_t priority;         /* option: 0-9, higher first. Senders set it, to
                                * PRIORITY_DEFAULT as a rule: 0 is the lowest */
    struct span key;           /* option: fairness key; empty: the submitter's session */
    struct span order;         /* option: ordering key; empty: none */
    struct span affinity;      /* option: affinity key; empty: none */
    struct span version;       /* option: of the offers that may serve it; empty: any */
    uint64_t cost;             /* option: units of the budget it will take; 0: none */
    uint64_t delay_ms;         /* option: not started before; 0: at once */
    uint64_t max_run_ms;       /* option: longest run of an attempt; 0: the offer's */
    uint64_t backoff_ms;       /* option: before the first retry; 0: the service's */
    uint64_t backoff_max_ms;   /* option: ceiling; 0: the service's */
    struct span retry_on;      /* option: codes, separated by spaces, that are tried again */
    struct span final_on;      /* option: codes that are final, whatever `retryable` says */
    bool dead_letter;          /* option: out of attempts it is kept as a dead letter */
    struct span idempotency_key; /* option; empty: none */
    uint64_t cache_ms;         /* option, with idempotency_key: its result answers so long */
    bool detached;             /* option: outlives its submitter's session */
    uint64_t retain_ms;        /* option: how long its outcome is kept; 0: the broker's */
    uint64_t stream;           /* option: chunks that the submitter will read at first; 0: none */
    bool durable;              /* option: what is said of it survives the broker and power loss */
};

struct cancel {
    struct id id;
    struct span reason;
    uint64_t request;          /* 0: no REPLY wanted */
};

struct done {
    struct id id;
    uint64_t attempt;
    struct payload payload;
    uint64_t cost;  /* what it really took, if `costed` */
    bool costed;    /* the field was there */
};

struct fail {
    struct id id;
    uint64_t attempt;
    struct error error;
    uint64_t cost;
    bool costed;
};

/* Also CHUNK_OUT. Numbers start at 0 with every attempt. */
struct chunk {
    struct id id;
    uint64_t attempt;
    uint64_t sequence;
    struct payload payload;
};

/* "I read this stream, from `sequence` of `attempt` on, and take `credit` chunks beyond." */
struct read {
    struct id id;
    uint64_t attempt;  /* 0: the running one */
    uint64_t sequence; /* the next one wanted */
    uint64_t credit;   /* 0: no more of it */
};

/* A worker may send chunks numbered below `until`. */
struct flow_message {
    struct id id;
    uint64_t attempt;
    uint64_t until;
};

struct checkpoint {
    struct id id;
    uint64_t attempt;
    struct payload payload;
};

struct signal {
    uint64_t request; /* 0: no REPLY wanted */
    struct id id;
    struct payload payload;
};

struct signal_out {
    struct id id;
    uint64_t attempt;
    struct payload payload;
};

struct watch {
    uint64_t request;    /* names the watch; the same again changes its credit */
    uint64_t credit;     /* events beyond those sent so far; 0: ends the watch */
    struct span service; /* option: only of this service; empty: all */
    struct id task;      /* option: only of this task; nil: all */
};

struct event_message {
    uint64_t request;
    uint64_t sequence;  /* from 1, events lost counted in */
    uint64_t lost;      /* right before this one, for want of credit */
    struct span kind;   /* submitted, started, retried, ended, ... */
    struct id task;     /* nil: none */
    struct span service;
    struct span peer;   /* its name: worker, submitter or operator */
    uint64_t attempt;
    struct span detail; /* state, error code, ... */
};

enum control_what {
    CONTROL_LIMIT,     /* sets limits of a service, of one of its keys, or of a tenant */
    CONTROL_PAUSE,     /* nothing of the service starts until CONTROL_RESUME, or for ms */
    CONTROL_RESUME,
    CONTROL_DRAIN,     /* a worker gets nothing new; a service takes nothing new; the broker */
    CONTROL_UNDRAIN,
    CONTROL_RETRY,     /* a dead letter is submitted again */
    CONTROL_DROP,      /* a dead letter is forgotten */
    CONTROL_BACKUP,    /* a copy of the store is made; answered when it is there */
};
#define CONTROL_WHAT_COUNT (CONTROL_BACKUP + 1)

/* A number that may be left as it is. */
#define LIMIT_UNCHANGED UINT64_MAX

/* What CONTROL_LIMIT can set; LIMIT_UNCHANGED: as it was, 0: none (the default). */
struct limit_values {
    uint64_t max_tasks, max_bytes;         /* of the queue; services only */
    uint64_t concurrency;                  /* tasks leased at once */
    uint64_t rate, rate_ms, burst;         /* starts per rate_ms; rate_ms 0: 1,000; burst 0: 1 */
    uint64_t budget, budget_ms;            /* cost units per window; budget_ms 0: 60,000 */
    uint64_t refuse;                       /* 1: a used-up rate or budget refuses; 0: it holds */
    uint64_t weight;                       /* of a key's share; 0: 1 */
    uint64_t breaker_failures;             /* in a row; services only, as the rest */
    uint64_t breaker_percent, breaker_min; /* of attempts in breaker_ms, when at least so many */
    uint64_t breaker_ms, breaker_open_ms;  /* window; how long open; 0: 10,000, 5,000 */
    uint64_t breaker_probes;               /* successes that close it again; 0: 1 */
    uint64_t breaker_refuse;               /* 1: open refuses; 0: it holds */
    uint64_t attempts, backoff_ms, backoff_max_ms, max_run_ms, lease_ms;
};

/* The names of its members, which are those on the wire, each with its bound. */
#define LIMIT_VALUES(X)                                                                            \
    X(max_tasks, UINT64_MAX - 1)                                                                   \
    X(max_bytes, UINT64_MAX - 1)                                                                   \
    X(concurrency, LIMIT_VALUE_MAX)                                                                \
    X(rate, LIMIT_RATE_MAX)                                                                        \
    X(rate_ms, LIMIT_WINDOW_MS_MAX)                                                                \
    X(burst, LIMIT_RATE_MAX)                                                                       \
    X(budget, LIMIT_VALUE_MAX)                                                                     \
    X(budget_ms, LIMIT_WINDOW_MS_MAX)                                                              \
    X(refuse, 1)                                                                                   \
    X(weight, WEIGHT_MAX)                                                                          \
    X(breaker_failures, LIMIT_VALUE_MAX)                                                           \
    X(breaker_percent, 100)                                                                        \
    X(breaker_min, LIMIT_VALUE_MAX)                                                                \
    X(breaker_ms, LIMIT_WINDOW_MS_MAX)                                                             \
    X(breaker_open_ms, LIMIT_WINDOW_MS_MAX)                                                        \
    X(breaker_probes, CREDIT_MAX)                                                                  \
    X(breaker_refuse, 1)                                                                           \
    X(attempts, ATTEMPTS_MAX)                                                                      \
    X(backoff_ms, DURATION_MS_MAX)                                                                 \
    X(backoff_max_ms, DURATION_MS_MAX)                                                             \
    X(max_run_ms, DURATION_MS_MAX)                                                                 \
    X(lease_ms, DURATION_MS_MAX)

struct control {
    uint64_t request;
    enum control_what what;
    struct span service; /* option; empty: none named */
    struct span key;     /* option: fairness key; "*": each key by itself; empty: none */
    struct span tenant;  /* option; empty: none */
    uint64_t peer;       /* option: number as in QUERY peers; 0: none */
    struct id task;      /* option: a dead letter; nil: none */
    uint64_t ms;         /* option: for how long; 0: until told otherwise */
    struct limit_values limits;
};

/* Of numbered sessions: the first command of a batch. */
struct sequence {
    uint64_t number;       /* of this message, from 1; 0: carries nothing but the acknowledgement */
    uint64_t acknowledged; /* all messages up to this one have come */
};

struct progress {
    struct id id;
    uint64_t attempt;
    struct payload payload;
};

enum query_what {
    QUERY_CATALOG, /* services; argument: cursor (name to continue after) */
    QUERY_PEERS,   /* argument: cursor */
    QUERY_STATUS,  /* argument: task id */
    QUERY_WHY,     /* argument: task id */
    QUERY_TREE,    /* argument: task id */
    QUERY_STATS,   /* no argument */
    QUERY_RESULT,  /* argument: task id; answers with the stored outcome */
    QUERY_LIST,    /* detached tasks; argument: cursor; filtered by service, state */
    QUERY_DEAD,    /* dead letters; argument: cursor; filtered by service */
    QUERY_LETTER,  /* argument: task id of a dead letter: all its attempts and causes */
    QUERY_LIMITS,  /* limits and gates; argument: cursor; filtered by service */
};
#define QUERY_WHAT_COUNT (QUERY_LIMITS + 1)

struct query {
    uint64_t request;
    enum query_what what;
    struct span argument; /* bin(16) id or str cursor; empty: none */
    struct span service;  /* option: only rows of it; empty: all */
    struct span state;    /* option: only tasks in it; empty: all */
};

struct ping {
    uint64_t nonce;
};

struct bye {
    struct span reason;
};

struct welcome {
    uint64_t version;
    bool known;             /* the broker still has this session's tasks */
    bool resume;            /* the session is numbered */
    bool resumed;           /* and goes on where it stopped: leases and offers are as they were */
    uint64_t received;      /* all messages of the peer up to this one have come */
    uint64_t greeting;      /* of the HELLO that it answers */
    struct id broker;       /* new at each start of the broker */
    uint64_t shard;
    uint64_t ping_ms;       /* send something at least this often */
    uint64_t silence_ms;    /* silent for longer: lost */
    uint64_t resume_ms;     /* a lost session's tasks are kept this long */
    uint64_t window_tasks;
    uint64_t window_bytes;
    uint64_t payload_bytes; /* largest payload it takes */
    uint64_t time_ms;       /* wall clock, Unix ms; for logs, never for decisions */
};

struct accepted {
    struct id id;
};

struct started {
    struct id id;
    uint64_t attempt;
    struct span worker;
};

struct task_message {
    struct id id;
    uint64_t attempt;
    struct span service;
    struct payload payload;
    uint64_t deadline_ms;  /* option: time left; 0: none */
    uint64_t lease_ms;     /* option; 0: none */
    struct span submitter; /* option: its name */
    uint64_t max_run_ms;   /* option; 0: none */
    uint64_t stream;       /* option: chunks it may send at first; 0: nobody reads yet */
    /* Outcomes of its needs, when it has some: as in struct result. */
    size_t input_count;
    void (*input_at)(void *context, size_t index, struct outcome_record *record);
    void *input_context;
    struct payload inputs;     /* receiving */
    struct payload checkpoint; /* of an earlier attempt; empty: none */
};

/* What became of one task; RESULT, and each input of a join. */
struct outcome_record {
    struct id id;
    enum outcome outcome;
    struct payload payload;  /* OUTCOME_DONE */
    struct error error;      /* any other outcome */
    bool left_out;           /* an input whose body did not fit: QUERY result */
    uint64_t attempt;        /* the last one; 0: never started */
    uint64_t waited_ms;      /* from acceptance to the last start (or end) */
    uint64_t ran_ms;         /* from the last start to the end */
    struct span worker;      /* of the last attempt; empty: none */
};

/* `inputs` are the outcomes of a join's needs, in their order. A sender hands
 * them out one by one, so that 16,384 of them need no array: input_at fills
 * `record` for `index` < input_count. NULL when not a join. A receiver gets
 * input_count and reads them from `payload` with codec_read_input. */
struct result {
    struct outcome_record record;
    size_t input_count;
    void (*input_at)(void *context, size_t index, struct outcome_record *record);
    void *input_context;
};

struct cancel_out {
    struct id id;
    uint64_t attempt;
    struct span reason; /* an error code: cancelled, expired, lease_expired */
};

struct reply {
    uint64_t request;
    bool ok;
    struct error error;     /* !ok */
    const struct doc *body; /* ok, sending */
    struct span raw;        /* ok, receiving: one MessagePack value */
};

struct pong {
    uint64_t nonce;
};

/* `command` and `field` name what was wrong; `id` the task, if one was named. */
struct error_message {
    struct error error;
    uint64_t command; /* 0: unknown */
    struct span field;
    struct id id;     /* nil: none */
};

struct message {
    enum command command;
    union {
        struct hello hello;
        struct offer_message offer;
        struct chunk chunk; /* also CHUNK_OUT */
        struct read read;
        struct flow_message flow;
        struct checkpoint checkpoint;
        struct signal signal;
        struct signal_out signal_out;
        struct watch watch;
        struct event_message event;
        struct control control;
        struct sequence sequence;
        struct withdraw withdraw;
        struct credit credit;
        struct submit submit;
        struct cancel cancel;
        struct done done;
        struct fail fail;
        struct progress progress; /* also PROGRESS_OUT */
        struct query query;
        struct ping ping;
        struct bye bye;           /* also from the broker */
        struct welcome welcome;
        struct accepted accepted;
        struct started started;
        struct task_message task;
        struct result result;
        struct cancel_out cancel_out;
        struct reply reply;
        struct pong pong;
        struct error_message error;
    };
};

/* Names as they stand in PROTOCOL.md; NULL for a value outside the enum. */
const char *command_name(unsigned command);
const char *outcome_name(unsigned outcome);
const char *error_code_name(unsigned code);
const char *query_what_name(unsigned what);
const char *join_policy_name(unsigned policy);
const char *run_if_name(unsigned run_if);
const char *control_what_name(unsigned what);

/* True when trying again later may succeed (queue_full, worker_lost, ...). */
bool error_code_retryable(enum error_code code);

/* True when `name` is 1..SERVICE_NAME_MAX of [A-Za-z0-9_.-]. */
bool service_name_valid(struct span name);

/* True when `text` is valid UTF-8 without control characters, `max` bytes at most. */
bool text_valid(struct span text, size_t max);

/* The same, but tabs and line breaks are welcome: what people and programs say at length
 * (messages of errors, schemas, abouts). */
bool prose_valid(struct span text, size_t max);

#endif
