/* limits: every bound of the protocol, in one place, with its reason.
 *
 * These are hard limits: a peer that exceeds one gets ERROR `too_large` or
 * `bad_message` naming the field. What a broker allows below them is its
 * configuration, and part of WELCOME. Plain constants; libc only. */
#ifndef SLUICE_PROTO_LIMITS_H
#define SLUICE_PROTO_LIMITS_H

#include <assert.h>

#define PROTOCOL_VERSION 1

/* One message: frame 0 (the batch) and attached payloads. */
#define BATCH_BYTES_MAX (1024 * 1024)        /* frame 0; a peer's receive buffer */
#define PAYLOAD_BYTES_MAX (16 * 1024 * 1024) /* one payload; larger data goes by reference */
#define PAYLOAD_INLINE_MAX 8192              /* larger payloads are attached, never copied */
#define SEQUENCE_BYTES_MAX 20                /* at the head of a batch; writers leave room for it */
#define MESSAGE_FRAMES_MAX 64                /* frame 0 and 63 attached ones */
#define BATCH_COMMANDS_MAX 65536             /* a one-byte command costs work, not bytes */

/* Inside a command. */
#define COMMAND_FIELDS_MAX 32   /* elements of one command's array */
#define OPTIONS_ENTRIES_MAX 64  /* entries of an option map */
#define DEPTH_MAX 32            /* nesting, of commands and of payloads by convention */
#define SERVICE_NAME_MAX 128    /* also the bound of MCP tool names */
#define PEER_NAME_MAX 64
#define REASON_MAX 256          /* text of CANCEL and BYE */
#define SCHEMA_BYTES_MAX 16384  /* JSON Schema of an offer */
#define ABOUT_MAX 1024          /* one paragraph that says what a service does */
#define VERSION_MAX 32          /* version of an offer */
#define VERSIONS_PER_SERVICE_MAX 64 /* offered or asked for; a quarter for those who offer */
#define NEEDS_MAX 16384         /* tasks one join waits for: 288 KiB of ids */
#define ERROR_CODE_MAX 64
#define ERROR_MESSAGE_MAX 1024
#define ERROR_BYTES_MAX 8192    /* a whole error map, details and all */
#define QUERY_ARGUMENT_MAX 256
#define KEY_MAX 64              /* fairness, ordering, affinity, idempotency key */
#define CODES_MAX 256           /* retry_on, final_on */
#define CHECKPOINT_MAX (1024 * 1024)
#define SIGNALS_MAX 16          /* kept for a task's next attempt */
#define SIGNALS_BYTES_MAX 65536 /* of their payloads together */
#define CHUNK_BYTES_MAX 65536   /* one chunk of a stream */
#define STREAM_CREDIT_MAX 65535
#define EVENT_KIND_MAX 64
#define EVENT_DETAIL_MAX 256
#define PAGE_ITEMS_MAX 100      /* rows of one REPLY: a page stays far below a batch */

/* Numbers. */
#define CREDIT_MAX 65535
#define ATTEMPTS_MAX 100
#define PRIORITY_MAX 9
#define PRIORITY_DEFAULT 4      /* as in JMS */
#define COST_MAX (1ULL << 40)   /* cost units of one task */
#define DURATION_MS_MAX (366ULL * 24 * 3600 * 1000) /* a year: longer is a mistake */
#define LIMIT_VALUE_MAX (1ULL << 36) /* a rate, a budget: times a window it fits 64 bits */
#define LIMIT_RATE_MAX 1000000000ULL /* starts: one a nanosecond */
#define LIMIT_WINDOW_MS_MAX (24ULL * 3600 * 1000) /* of rates, budgets and breakers: a day */
#define WEIGHT_MAX 1000         /* of a fairness key */

#define ID_BYTES 16

static_assert(NEEDS_MAX * (ID_BYTES + 2) < BATCH_BYTES_MAX / 2, "a full needs list fits a batch");
static_assert(PAYLOAD_INLINE_MAX * 4 < BATCH_BYTES_MAX, "inline payloads batch");
static_assert(ERROR_BYTES_MAX < BATCH_BYTES_MAX / 4, "errors are inline");
static_assert(LIMIT_VALUE_MAX <= (1ULL << 63) / LIMIT_WINDOW_MS_MAX, "no product overflows");

#endif
