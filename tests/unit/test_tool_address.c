/* links: runtime */
/* address: what a request on a stranger's behalf must never reach, in every disguise. */
#include "agents/runtime/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static bool is_public(const char *text)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &in4.sin_addr) == 1) {
        return address_is_public((struct sockaddr *)&in4);
    }
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1) {
        fail_msg("no address: %s", text);
    }
    return address_is_public((struct sockaddr *)&in6);
}

static void special_addresses_are_not_public(void **state)
{
    static const char *const special[] = {
        "0.0.0.0",         "0.255.255.255",   "10.0.0.0",        "10.255.255.255",
        "100.64.0.0",      "100.127.255.255", "127.0.0.1",       "127.255.255.255",
        "169.254.169.254", "172.16.0.1",      "172.31.255.255",  "192.0.0.8",
        "192.0.2.1",       "192.88.99.1",     "192.168.1.1",     "198.18.0.1",
        "198.19.255.255",  "198.51.100.7",    "203.0.113.9",     "224.0.0.1",
        "239.255.255.255", "240.0.0.1",       "255.255.255.255", "::",
        "::1",             "fe80::1",         "fc00::1",         "fdff::1",
        "fec0::1",         "ff02::1",         "2001::1",         "2001:1ff::1",
        "2001:db8::1",     "3fff:fff::1",     "4000::1",         "100::1",
    };

    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        if (is_public(special[i])) {
            fail_msg("%s", special[i]);
        }
    }
}

static void neighbours_of_special_addresses_are_public(void **state)
{
    static const char *const plain[] = {
        "1.0.0.0",       "9.255.255.255",  "11.0.0.0",        "100.63.255.255", "100.128.0.0",
        "126.255.255.255", "128.0.0.0",    "169.253.255.255", "169.255.0.0",    "172.15.255.255",
        "172.32.0.0",    "192.0.1.0",      "192.167.255.255", "192.169.0.0",    "198.17.255.255",
        "198.20.0.0",    "223.255.255.255", "2000::1",        "2001:200::1",    "2001:db7::1",
        "2606:4700::1",  "3fff:1000::1",
    };

    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (!is_public(plain[i])) {
            fail_msg("%s", plain[i]);
        }
    }
}

static void embedded_addresses_count(void **state)
{
    assert_false(is_public("::ffff:127.0.0.1"));
    assert_false(is_public("::ffff:10.1.2.3"));
    assert_true(is_public("::ffff:8.8.8.8"));
    assert_false(is_public("64:ff9b::192.168.0.1"));
    assert_true(is_public("64:ff9b::8.8.8.8"));
    assert_false(is_public("64:ff9b:1::8.8.8.8")); /* a prefix for local use */
    assert_false(is_public("2002:7f00:1::"));
    assert_false(is_public("2002:c0a8:101::1"));
    assert_true(is_public("2002:808:808::1"));
    assert_false(is_public("::8.8.8.8")); /* the IPv4-compatible form is long gone */
}

static void other_families_are_not_public(void **state)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};

    assert_false(address_is_public((struct sockaddr *)&local));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_addresses_are_not_public),
        cmocka_unit_test(neighbours_of_special_addresses_are_public),
        cmocka_unit_test(embedded_addresses_count),
        cmocka_unit_test(other_families_are_not_public),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
