#include "common/chain.h"

#include <assert.h>
#include <sodium.h>

static_assert(CHAIN_HASH_BYTES == crypto_hash_sha256_BYTES, "a chain is of SHA-256");

void chain_add(struct chain *chain, struct span line)
{
    crypto_hash_sha256(chain->hash, line.data, line.size);
}

void chain_text(const struct chain *chain, char text[CHAIN_TEXT_SIZE])
{
    sodium_bin2hex(text, CHAIN_TEXT_SIZE, chain->hash, sizeof chain->hash);
}
