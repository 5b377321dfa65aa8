/* value: ids and MessagePack values, as sluice.h hands them out. */
#include "common/json.h"
#include "common/log.h"
#include "proto/message.h"

#include "agents/runtime/runtime.h"

#include <endian.h>
#include <sys/random.h>
#include <time.h>

static_assert(SLUICE_ID_TEXT_SIZE == ID_TEXT_SIZE, "one is filled in as the other");
static_assert((int)SLUICE_REFUSED == (int)OUTCOME_REFUSED, "outcomes are the protocol's");

void sluice_id_format(const struct sluice_id *id, char text[SLUICE_ID_TEXT_SIZE])
{
    id_format((const struct id *)id, text);
}

bool sluice_id_parse(const char *text, struct sluice_id *id)
{
    return id_parse(text, (struct id *)id);
}

/* splitmix64 (Sebastiano Vigna, public domain), seeded by the kernel: fast enough for a
 * million ids a second. They need to be unique, not secret. */
static uint64_t random_next(void)
{
    static _Thread_local uint64_t state;
    static _Thread_local bool seeded;
    uint64_t z;

    if (!seeded) {
        seeded = getrandom(&state, sizeof state, 0) == (ssize_t)sizeof state;
    }
    z = (state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

/* RFC 9562, version 7: 48 bits of Unix milliseconds, version, 12 bits of the shard, variant, 62
 * random bits. Two words: what was stored byte by byte could not be loaded as a whole at once. */
struct id id_of_shard(uint64_t shard)
{
    struct timespec now;
    struct id id;
    uint64_t ms, words[2];

    clock_gettime(CLOCK_REALTIME_COARSE, &now); /* some ms late is as good, and faster */
    ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    words[0] = htobe64(ms << 16 | 0x7000 | (shard & 0xfff));
    words[1] = htobe64(UINT64_C(2) << 62 | random_next() >> 2);
    memcpy(id.bytes, words, sizeof id.bytes);
    return id;
}

struct payload payload_own(struct sluice_bytes bytes, sluice_release_fn *release, void *owner)
{
    struct payload payload = {.bytes = span_of(bytes.data, bytes.size)};

    if (bytes.size > PAYLOAD_INLINE_MAX) {
        payload.blob = blob_new_foreign(payload.bytes, release, owner); /* NULL: copied, too */
    }
    return payload;
}

void payload_leave(const struct payload *payload, sluice_release_fn *release, void *owner)
{
    if (payload->blob != NULL) {
        blob_unref(payload->blob);
    } else {
        release(owner);
    }
}

struct sluice_id sluice_id_new(void)
{
    struct id made = id_of_shard(0);
    struct sluice_id id;

    memcpy(id.bytes, made.bytes, sizeof id.bytes);
    return id;
}

const char *sluice_outcome_name(enum sluice_outcome outcome)
{
    return outcome == SLUICE_PENDING ? "pending" : outcome_name((unsigned)outcome);
}

struct sluice_bytes sluice_pack_json(const json_t *value)
{
    struct sluice_bytes bytes = {.data = NULL};

    bytes.data = json_pack_bytes(value, &bytes.size);
    return bytes;
}

json_t *sluice_unpack_json(struct sluice_bytes bytes)
{
    return json_unpack_bytes(span_of(bytes.data, bytes.size));
}
