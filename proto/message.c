#include "proto/message.h"

#include "common/check.h"

#define NAME_AT(table, index) ((index) < sizeof(table) / sizeof((table)[0]) ? (table)[index] : NULL)

const char *command_name(unsigned command)
{
    static const char *const names[] = {
        [COMMAND_HELLO] = "HELLO",
        [COMMAND_OFFER] = "OFFER",
        [COMMAND_WITHDRAW] = "WITHDRAW",
        [COMMAND_CREDIT] = "CREDIT",
        [COMMAND_SUBMIT] = "SUBMIT",
        [COMMAND_CANCEL] = "CANCEL",
        [COMMAND_DONE] = "DONE",
        [COMMAND_FAIL] = "FAIL",
        [COMMAND_CHUNK] = "CHUNK",
        [COMMAND_PROGRESS] = "PROGRESS",
        [COMMAND_CHECKPOINT] = "CHECKPOINT",
        [COMMAND_SIGNAL] = "SIGNAL",
        [COMMAND_QUERY] = "QUERY",
        [COMMAND_WATCH] = "WATCH",
        [COMMAND_PING] = "PING",
        [COMMAND_BYE] = "BYE",
        [COMMAND_READ] = "READ",
        [COMMAND_CONTROL] = "CONTROL",
        [COMMAND_SEQUENCE] = "SEQUENCE",
        [COMMAND_WELCOME] = "WELCOME",
        [COMMAND_ACCEPTED] = "ACCEPTED",
        [COMMAND_STARTED] = "STARTED",
        [COMMAND_TASK] = "TASK",
        [COMMAND_RESULT] = "RESULT",
        [COMMAND_CHUNK_OUT] = "CHUNK",
        [COMMAND_PROGRESS_OUT] = "PROGRESS",
        [COMMAND_CANCEL_OUT] = "CANCEL",
        [COMMAND_SIGNAL_OUT] = "SIGNAL",
        [COMMAND_REPLY] = "REPLY",
        [COMMAND_EVENT] = "EVENT",
        [COMMAND_PONG] = "PONG",
        [COMMAND_ERROR] = "ERROR",
        [COMMAND_FLOW] = "FLOW",
    };

    return NAME_AT(names, command);
}

const char *outcome_name(unsigned outcome)
{
    static const char *const names[OUTCOME_COUNT] = {
        [OUTCOME_DONE] = "done",
        [OUTCOME_FAILED] = "failed",
        [OUTCOME_CANCELLED] = "cancelled",
        [OUTCOME_EXPIRED] = "expired",
        [OUTCOME_REFUSED] = "refused",
    };

    return NAME_AT(names, outcome);
}

static const struct {
    const char *name;
    bool retryable;
} error_codes[ERROR_CODE_COUNT] = {
    [ERROR_NONE] = {"none", false},
    [ERROR_QUEUE_FULL] = {"queue_full", true},
    [ERROR_WINDOW_EXCEEDED] = {"window_exceeded", true},
    [ERROR_MEMORY_FULL] = {"memory_full", true},
    [ERROR_EXPIRED] = {"expired", false},
    [ERROR_CANCELLED] = {"cancelled", false},
    [ERROR_WORKER_LOST] = {"worker_lost", true},
    [ERROR_LEASE_EXPIRED] = {"lease_expired", true},
    [ERROR_UNKNOWN_SERVICE] = {"unknown_service", true},
    [ERROR_DEPENDENCY_FAILED] = {"dependency_failed", false},
    [ERROR_CONFLICT] = {"conflict", false},
    [ERROR_TOO_LARGE] = {"too_large", false},
    [ERROR_BAD_MESSAGE] = {"bad_message", false},
    [ERROR_NOT_FOUND] = {"not_found", false},
    [ERROR_DRAINING] = {"draining", true},
    [ERROR_HELLO_REQUIRED] = {"hello_required", true},
    [ERROR_UNSUPPORTED] = {"unsupported", false},
    [ERROR_LIMIT_EXCEEDED] = {"limit_exceeded", true},
    [ERROR_RATE_LIMITED] = {"rate_limited", true},
    [ERROR_BUDGET_EXHAUSTED] = {"budget_exhausted", true},
    [ERROR_CIRCUIT_OPEN] = {"circuit_open", true},
    [ERROR_SKIPPED] = {"skipped", false},
    [ERROR_STORE_UNAVAILABLE] = {"store_unavailable", true},
};

const char *error_code_name(unsigned code)
{
    return code < ERROR_CODE_COUNT ? error_codes[code].name : NULL;
}

bool error_code_retryable(enum error_code code)
{
    CHECK(code < ERROR_CODE_COUNT);
    return error_codes[code].retryable;
}

const char *query_what_name(unsigned what)
{
    static const char *const names[QUERY_WHAT_COUNT] = {
        [QUERY_CATALOG] = "catalog", [QUERY_PEERS] = "peers", [QUERY_STATUS] = "status",
        [QUERY_WHY] = "why",         [QUERY_TREE] = "tree",   [QUERY_STATS] = "stats",
        [QUERY_RESULT] = "result",   [QUERY_LIST] = "list",   [QUERY_DEAD] = "dead",
        [QUERY_LETTER] = "letter",   [QUERY_LIMITS] = "limits",
    };

    return NAME_AT(names, what);
}

const char *join_policy_name(unsigned policy)
{
    static const char *const names[] = {
        [JOIN_NONE] = "none",
        [JOIN_ALL] = "all",
        [JOIN_SETTLED] = "settled",
        [JOIN_ANY] = "any",
        [JOIN_K] = "k",
    };

    return NAME_AT(names, policy);
}

const char *run_if_name(unsigned run_if)
{
    static const char *const names[] = {
        [RUN_IF_DONE] = "done",
        [RUN_IF_FAILED] = "failed",
        [RUN_IF_ALWAYS] = "always",
    };

    return NAME_AT(names, run_if);
}

const char *control_what_name(unsigned what)
{
    static const char *const names[CONTROL_WHAT_COUNT] = {
        [CONTROL_LIMIT] = "limit",     [CONTROL_PAUSE] = "pause",
        [CONTROL_RESUME] = "resume",   [CONTROL_DRAIN] = "drain",
        [CONTROL_UNDRAIN] = "undrain", [CONTROL_RETRY] = "retry",
        [CONTROL_DROP] = "drop",       [CONTROL_BACKUP] = "backup",
    };

    return NAME_AT(names, what);
}

bool service_name_valid(struct span name)
{
    static const bool legal[256] = {
        ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['0' ... '9'] = true,
        ['_'] = true,         ['.'] = true,         ['-'] = true,
    };

    const uint8_t *at = name.data;
    size_t left = name.size;
    bool good = true;

    if (name.size == 0 || name.size > SERVICE_NAME_MAX) {
        return false;
    }
    /* Names are short, and good as a rule: no way out in the middle. */
    for (; left >= 4; left -= 4, at += 4) {
        good &= legal[at[0]] & legal[at[1]] & legal[at[2]] & legal[at[3]];
    }
    for (; left > 0; left--, at++) {
        good &= legal[*at];
    }
    return good;
}

/* Length of the UTF-8 sequence at `p`, which is not ASCII; 0 if malformed (RFC 3629: no overlong
 * forms, no surrogates, nothing past U+10FFFF). */
static size_t utf8_length(const uint8_t *p, size_t left)
{
    uint8_t low = 0x80, high = 0xbf;
    size_t length;

    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        length = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        length = 3;
        low = p[0] == 0xe0 ? 0xa0 : 0x80;
        high = p[0] == 0xed ? 0x9f : 0xbf;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        length = 4;
        low = p[0] == 0xf0 ? 0x90 : 0x80;
        high = p[0] == 0xf4 ? 0x8f : 0xbf;
    } else {
        return 0;
    }
    if (length > left || p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if (p[i] < 0x80 || p[i] > 0xbf) {
            return 0;
        }
    }
    return length;
}

static bool prose_control(uint8_t c)
{
    return c == '\t' || c == '\n' || c == '\r';
}

/* Eight bytes of ASCII without control characters, as most texts have: no byte has its high bit,
 * and adding what lacks to 0x80 sets it from 0x20 on, and for 0x7f. No byte carries into the
 * next. */
static bool plain_word(const uint8_t *p)
{
    const uint64_t ones = 0x0101010101010101, highs = 0x80 * ones;
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return (word & highs) == 0 && ((word + 0x60 * ones) & highs) == highs &&
           ((word + ones) & highs) == 0;
}

/* The same of all of a text: its last eight bytes are one word, too, if some of them are looked at
 * once more. Of what is shorter it does not know. */
static bool plain(struct span text)
{
    const uint8_t *last;

    if (text.size < 8) {
        return text.size == 0;
    }
    last = text.data + text.size - 8;
    for (const uint8_t *at = text.data; at < last; at += 8) {
        if (!plain_word(at)) {
            return false;
        }
    }
    return plain_word(last);
}

static bool utf8_valid(struct span text, bool prose)
{
    size_t at = 0;

    while (at < text.size) {
        uint8_t c = text.data[at];
        size_t length = 1;

        if (text.size - at >= 8 && plain_word(text.data + at)) {
            length = 8;
        } else if (c >= 0x80) {
            length = utf8_length(text.data + at, text.size - at);
        } else if ((c < 0x20 || c == 0x7f) && !(prose && prose_control(c))) {
            return false;
        }
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}

bool text_valid(struct span text, size_t max)
{
    return text.size <= max && (plain(text) || utf8_valid(text, false));
}

bool prose_valid(struct span text, size_t max)
{
    return text.size <= max && (plain(text) || utf8_valid(text, true));
}
