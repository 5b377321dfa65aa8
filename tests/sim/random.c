#include "tests/sim/random.h"

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

void random_init(struct random *random, uint64_t seed, const char *purpose, uint64_t index)
{
    uint64_t state = seed;

    for (; *purpose != '\0'; purpose++) {
        state = splitmix(&state) ^ (uint64_t)(unsigned char)*purpose;
    }
    state = splitmix(&state) ^ index;
    for (unsigned i = 0; i < 4; i++) {
        random->s[i] = splitmix(&state);
    }
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t random_next(struct random *random)
{
    uint64_t *s = random->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t random_below(struct random *random, uint64_t bound)
{
    /* The bias of a plain modulo is far below what a simulation could notice. */
    return bound == 0 ? 0 : random_next(random) % bound;
}

uint64_t random_between(struct random *random, uint64_t low, uint64_t high)
{
    return high <= low ? low : low + random_below(random, high - low + 1);
}

bool random_chance(struct random *random, uint32_t permille)
{
    return random_below(random, 1000) < permille;
}

uint64_t random_wait(struct random *random, uint64_t mean)
{
    /* -ln(u) in integers, from a table of ln(2)/8 steps would do; a sum of two uniform
     * draws squared has a tail long enough, and no floating point to differ by build. */
    uint64_t a = random_below(random, 1024), b = random_below(random, 1024);

    return mean * (a * a / 1024 + b * b / 1024) * 3 / 2048;
}

struct id random_id(struct random *random)
{
    struct id id;

    for (unsigned i = 0; i < 2; i++) {
        uint64_t word = random_next(random);

        memcpy(id.bytes + 8 * i, &word, 8);
    }
    id.bytes[6] = 0x70 | (id.bytes[6] & 0x0f);
    return id;
}
