#include "broker/shell/endpoint.h"

#include "common/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#define SCHEME_TCP "tcp://"
#define SCHEME_IPC "ipc://"

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* 1-65535 in decimal, or `*`. Port 0 is the same as `*` to libzmq, but reads like a mistake. */
static bool port_valid(const char *port)
{
    size_t digits = strspn(port, "0123456789");
    unsigned long number;

    if (strcmp(port, "*") == 0) {
        return true;
    }
    if (digits == 0 || digits > 5 || port[digits] != '\0') {
        return false;
    }
    number = strtoul(port, NULL, 10);
    return number > 0 && number <= UINT16_MAX;
}

static bool host_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* Splits HOST:PORT or [HOST]:PORT. */
static bool parse_tcp(struct endpoint *endpoint, const char *rest)
{
    const char *colon = strrchr(rest, ':');
    size_t host_size;

    if (colon == NULL || !port_valid(colon + 1)) {
        return false;
    }
    snprintf(endpoint->port, sizeof endpoint->port, "%.7s", colon + 1);
    host_size = (size_t)(colon - rest);
    if (host_size > 2 && rest[0] == '[' && rest[host_size - 1] == ']') {
        endpoint->ipv6 = true;
        rest++;
        host_size -= 2;
    } else if (memchr(rest, ':', host_size) != NULL) {
        return false; /* an IPv6 address needs its brackets */
    }
    if (host_size == 0 || memchr(rest, '[', host_size) != NULL ||
        memchr(rest, ']', host_size) != NULL) {
        return false;
    }
    snprintf(endpoint->host, sizeof endpoint->host, "%.*s", (int)host_size, rest);
    /* libzmq resolves no names when it binds, and this is the one that everybody tries. */
    if (strcmp(endpoint->host, "localhost") == 0) {
        snprintf(endpoint->host, sizeof endpoint->host, "127.0.0.1");
    }
    endpoint->loopback = host_is_loopback(endpoint->host);
    snprintf(endpoint->address, sizeof endpoint->address,
             endpoint->ipv6 ? SCHEME_TCP "[%.200s]:%s" : SCHEME_TCP "%.200s:%s", endpoint->host,
             endpoint->port);
    return true;
}

bool endpoint_parse(struct endpoint *endpoint, const char *text, char *problem, size_t problem_size)
{
    const char *path;

    memset(endpoint, 0, sizeof *endpoint);
    if (strlen(text) >= ENDPOINT_TEXT_MAX - 1) {
        snprintf(problem, problem_size, "an endpoint is longer than %d bytes",
                 ENDPOINT_TEXT_MAX - 2);
        return false;
    }
    snprintf(endpoint->text, sizeof endpoint->text, "%s", text);
    if (starts_with(text, SCHEME_TCP)) {
        endpoint->kind = ENDPOINT_TCP;
        if (!parse_tcp(endpoint, text + strlen(SCHEME_TCP))) {
            snprintf(problem, problem_size,
                     "'%s' is no tcp endpoint: write tcp://ADDRESS:PORT, with the port 1-65535 "
                     "or * for any free one, and IPv6 addresses in brackets",
                     text);
            return false;
        }
        return true;
    }
    if (!starts_with(text, SCHEME_IPC)) {
        snprintf(problem, problem_size,
                 "'%s' is no endpoint: write tcp://ADDRESS:PORT or ipc://PATH", text);
        return false;
    }
    endpoint->kind = ENDPOINT_IPC;
    memcpy(endpoint->address, endpoint->text, sizeof endpoint->address);
    path = text + strlen(SCHEME_IPC);
    if (*path == '\0' || *path == '*') {
        snprintf(problem, problem_size, "'%s' names no socket: write ipc://PATH", text);
        return false;
    }
    if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path) {
        snprintf(problem, problem_size,
                 "the path of '%s' is longer than %zu bytes, which is all a Unix socket's name "
                 "may have",
                 text, sizeof((struct sockaddr_un *)0)->sun_path - 1);
        return false;
    }
    return true;
}

bool endpoint_same(const struct endpoint *a, const struct endpoint *b)
{
    /* Any number of `*` ports may be asked for. */
    return strcmp(a->address, b->address) == 0 && strcmp(a->port, "*") != 0;
}

bool endpoint_private(const struct endpoint *endpoint)
{
    return endpoint->kind == ENDPOINT_IPC || endpoint->loopback;
}

static const char *ipc_path(const struct endpoint *endpoint)
{
    return endpoint->address + strlen(SCHEME_IPC);
}

/* `@name` is an abstract socket: no file, gone with its owner. */
static void ipc_address(const char *path, struct sockaddr_un *address, socklen_t *size)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    CHECK(strlen(path) < sizeof address->sun_path);
    memcpy(address->sun_path, path, strlen(path));
    if (path[0] == '@') {
        address->sun_path[0] = '\0';
    }
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) +
                        (path[0] == '@' ? 0 : 1));
}

/* True when libzmq may unlink what lies at the path: nothing, or a socket that
 * nobody listens on. */
static bool ipc_free(const struct endpoint *endpoint, char *problem, size_t problem_size)
{
    const char *path = ipc_path(endpoint);
    struct sockaddr_un address;
    struct stat status;
    socklen_t size;
    int probe, error;

    if (path[0] != '@' && lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode)) {
        snprintf(problem, problem_size,
                 "cannot bind %s: there is a file of that name which is no socket; move it away "
                 "or choose another path",
                 endpoint->text);
        return false;
    }
    ipc_address(path, &address, &size);
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) {
        snprintf(problem, problem_size, "cannot make a socket: %s", strerror(errno));
        return false;
    }
    /* EAGAIN: somebody listens, and is busy. */
    error = connect(probe, (struct sockaddr *)&address, size) == 0 ? EAGAIN : errno;
    close(probe);
    if (error == EAGAIN) {
        snprintf(problem, problem_size,
                 "cannot bind %s: another process listens on it, perhaps a broker that still "
                 "runs; stop it or choose another path",
                 endpoint->text);
        return false;
    }
    if (error == EACCES) {
        snprintf(problem, problem_size,
                 "cannot bind %s: the socket that is there belongs to somebody else; remove it "
                 "or choose another path",
                 endpoint->text);
        return false;
    }
    return true;
}

static void explain_tcp(const struct endpoint *endpoint, int error, char *problem, size_t size)
{
    switch (error) {
    case EADDRINUSE:
        snprintf(problem, size,
                 "cannot bind %s: port %s is in use, perhaps by a broker that already runs. Find "
                 "it with `ss -ltnp 'sport = :%s'` and stop it, or choose another port with "
                 "--endpoint",
                 endpoint->text, endpoint->port, endpoint->port);
        return;
    case ENODEV:
    case EADDRNOTAVAIL:
        snprintf(problem, size,
                 "cannot bind %s: '%s' is no address or interface of this machine; `ip address` "
                 "lists them",
                 endpoint->text, endpoint->host);
        return;
    case EACCES:
        snprintf(problem, size, "cannot bind %s: ports below 1024 need a privilege; choose another",
                 endpoint->text);
        return;
    default:
        snprintf(problem, size, "cannot bind %s: %s", endpoint->text, zmq_strerror(error));
    }
}

static void explain_ipc(const struct endpoint *endpoint, int error, char *problem, size_t size)
{
    switch (error) {
    case ENOENT:
        snprintf(problem, size, "cannot bind %s: its directory does not exist; create it first",
                 endpoint->text);
        return;
    case EADDRINUSE:
    case EACCES:
    case EPERM:
        snprintf(problem, size,
                 "cannot bind %s: no permission to create or replace that socket; look at its "
                 "directory",
                 endpoint->text);
        return;
    default:
        snprintf(problem, size, "cannot bind %s: %s", endpoint->text, zmq_strerror(error));
    }
}

bool endpoint_bind(const struct endpoint *endpoint, void *router, char bound[ENDPOINT_TEXT_MAX],
                   char *problem, size_t problem_size)
{
    size_t bound_size = ENDPOINT_TEXT_MAX;
    int on = 1;

    if (endpoint->kind == ENDPOINT_IPC && !ipc_free(endpoint, problem, problem_size)) {
        return false;
    }
    if (endpoint->ipv6) {
        zmq_setsockopt(router, ZMQ_IPV6, &on, sizeof on);
    }
    if (zmq_bind(router, endpoint->address) != 0) {
        if (endpoint->kind == ENDPOINT_TCP) {
            explain_tcp(endpoint, zmq_errno(), problem, problem_size);
        } else {
            explain_ipc(endpoint, zmq_errno(), problem, problem_size);
        }
        return false;
    }
    if (zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, bound, &bound_size) != 0) {
        snprintf(bound, ENDPOINT_TEXT_MAX, "%s", endpoint->address);
    }
    return true;
}
