#include "common/siphash.h"

#include "common/little.h"

#define ROUNDS_BLOCK 2
#define ROUNDS_END 4

struct sip {
    uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static void sip_mix(struct sip *sip, unsigned rounds)
{
    while (rounds-- > 0) {
        sip->a += sip->b;
        sip->c += sip->d;
        sip->b = rotate(sip->b, 13) ^ sip->a;
        sip->d = rotate(sip->d, 16) ^ sip->c;
        sip->a = rotate(sip->a, 32);
        sip->c += sip->b;
        sip->a += sip->d;
        sip->b = rotate(sip->b, 17) ^ sip->c;
        sip->d = rotate(sip->d, 21) ^ sip->a;
        sip->c = rotate(sip->c, 32);
    }
}

static void sip_take(struct sip *sip, uint64_t word)
{
    sip->d ^= word;
    sip_mix(sip, ROUNDS_BLOCK);
    sip->a ^= word;
}

void siphash128(const uint8_t key[16], const void *data, size_t size,
                uint8_t digest[DIGEST_BYTES])
{
    const uint64_t low = little_get8(key), high = little_get8(key + 8);
    struct sip sip = {low ^ 0x736f6d6570736575, high ^ 0x646f72616e646f6d ^ 0xee,
                      low ^ 0x6c7967656e657261, high ^ 0x7465646279746573};
    const uint8_t *at = data;
    size_t left = size;

    for (; left >= 8; left -= 8, at += 8) {
        sip_take(&sip, little_get8(at));
    }
    sip_take(&sip, (uint64_t)size << 56 | little_get(at, left));
    sip.c ^= 0xee;
    sip_mix(&sip, ROUNDS_END);
    little_put(digest, sip.a ^ sip.b ^ sip.c ^ sip.d, 8);
    sip.b ^= 0xdd;
    sip_mix(&sip, ROUNDS_END);
    little_put(digest + 8, sip.a ^ sip.b ^ sip.c ^ sip.d, 8);
}
