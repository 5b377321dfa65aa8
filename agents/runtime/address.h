/* address: which network addresses a request on a stranger's behalf may reach.
 *
 * Pure; any thread. */
#ifndef SLUICE_RUNTIME_ADDRESS_H
#define SLUICE_RUNTIME_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* True: a global unicast address. False: everything else of the IANA special-purpose
 * registries (RFC 6890 and what followed): private, loopback, link-local, carrier-grade
 * NAT, documentation, benchmarking, multicast, reserved, unspecified, and families other
 * than IPv4 and IPv6. An IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4) is
 * judged by that. */
bool address_is_public(const struct sockaddr *address);

#endif
