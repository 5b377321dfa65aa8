#include "agents/runtime/address.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct block4 {
    uint32_t address;
    unsigned bits;
};

static const struct block4 special4[] = {
    {0x00000000, 8},  /* 0.0.0.0/8 this network */
    {0x0a000000, 8},  /* 10.0.0.0/8 private */
    {0x64400000, 10}, /* 100.64.0.0/10 carrier-grade NAT */
    {0x7f000000, 8},  /* 127.0.0.0/8 loopback */
    {0xa9fe0000, 16}, /* 169.254.0.0/16 link-local; clouds answer for themselves there */
    {0xac100000, 12}, /* 172.16.0.0/12 private */
    {0xc0000000, 24}, /* 192.0.0.0/24 protocol assignments */
    {0xc0000200, 24}, /* 192.0.2.0/24 documentation */
    {0xc0586300, 24}, /* 192.88.99.0/24 6to4 relays, abandoned */
    {0xc0a80000, 16}, /* 192.168.0.0/16 private */
    {0xc6120000, 15}, /* 198.18.0.0/15 benchmarking */
    {0xc6336400, 24}, /* 198.51.100.0/24 documentation */
    {0xcb007100, 24}, /* 203.0.113.0/24 documentation */
    {0xe0000000, 4},  /* 224.0.0.0/4 multicast */
    {0xf0000000, 4},  /* 240.0.0.0/4 reserved, and broadcast */
};

struct block6 {
    uint8_t prefix[8];
    unsigned bits;
};

/* Outside of these, 2000::/3 is global unicast, and nothing else is. */
static const struct block6 special6[] = {
    {{0x20, 0x01, 0x00}, 23},             /* 2001::/23 protocol assignments, Teredo, ORCHID */
    {{0x20, 0x01, 0x0d, 0xb8}, 32},       /* 2001:db8::/32 documentation */
    {{0x3f, 0xff, 0x00}, 20},             /* 3fff::/20 documentation */
};

static bool is_public4(uint32_t address)
{
    for (size_t i = 0; i < sizeof special4 / sizeof *special4; i++) {
        uint32_t mask = UINT32_MAX << (32 - special4[i].bits);

        if ((address & mask) == special4[i].address) {
            return false;
        }
    }
    return true;
}

static bool begins_with(const uint8_t *address, const uint8_t *prefix, unsigned bits)
{
    unsigned rest = bits % 8;

    return memcmp(address, prefix, bits / 8) == 0 &&
           (rest == 0 || (address[bits / 8] ^ prefix[bits / 8]) >> (8 - rest) == 0);
}

static uint32_t embedded4(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool is_public6(const uint8_t *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};   /* ::ffff:0:0/96 */
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};      /* 64:ff9b::/96 */
    static const uint8_t six_to_four[2] = {0x20, 0x02};             /* 2002::/16 */
    static const uint8_t global[1] = {0x20};                        /* 2000::/3 */

    if (begins_with(address, mapped, 96) || begins_with(address, nat64, 96)) {
        return is_public4(embedded4(address + 12));
    }
    if (begins_with(address, six_to_four, 16)) {
        return is_public4(embedded4(address + 2));
    }
    if (!begins_with(address, global, 3)) {
        return false;
    }
    for (size_t i = 0; i < sizeof special6 / sizeof *special6; i++) {
        if (begins_with(address, special6[i].prefix, special6[i].bits)) {
            return false;
        }
    }
    return true;
}

bool address_is_public(const struct sockaddr *address)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;

    if (address->sa_family == AF_INET) {
        memcpy(&in4, address, sizeof in4);
        return is_public4(ntohl(in4.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        memcpy(&in6, address, sizeof in6);
        return is_public6(in6.sin6_addr.s6_addr);
    }
    return false;
}
