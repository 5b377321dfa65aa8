#include "cli/endpoint.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HOST_SIZE 256

/* 0, or the errno of a connect that did not succeed within wait_ms. */
static int connect_within(int family, const struct sockaddr *address, socklen_t size,
                          unsigned wait_ms)
{
    int socket_fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct pollfd item = {.fd = socket_fd, .events = POLLOUT};
    socklen_t error_size = sizeof(int);
    int error = 0;

    if (socket_fd < 0) {
        return errno;
    }
    if (connect(socket_fd, address, size) != 0) {
        error = errno;
        if (error == EINPROGRESS) {
            error = ETIMEDOUT;
            if (poll(&item, 1, (int)wait_ms) == 1) {
                getsockopt(socket_fd, SOL_SOCKET, SO_ERROR, &error, &error_size);
            }
        } else if (error == EAGAIN) {
            error = 0; /* a unix socket whose backlog is full: somebody listens */
        }
    }
    close(socket_fd);
    return error;
}

/* getaddrinfo would take a greater number for what is left of it in 16 bits. */
static bool is_port(const char *text)
{
    size_t size = strlen(text);

    return size <= 5 && strspn(text, "0123456789") == size && strtoul(text, NULL, 10) - 1 < 65535;
}

/* Splits HOST:PORT or [HOST]:PORT. */
static bool address_split(const char *address, char host[HOST_SIZE], const char **port)
{
    const char *colon = strrchr(address, ':');
    size_t size;

    if (colon == NULL || colon == address) {
        return false;
    }
    size = (size_t)(colon - address);
    if (address[0] == '[' && address[size - 1] == ']') {
        address++;
        size -= 2;
    }
    if (size == 0 || size >= HOST_SIZE) {
        return false;
    }
    memcpy(host, address, size);
    host[size] = '\0';
    *port = colon + 1;
    return is_port(*port);
}

static enum endpoint_state tcp_probe(const char *address, unsigned wait_ms, char *reason,
                                     size_t reason_size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char host[HOST_SIZE];
    const char *port;
    int error;

    if (!address_split(address, host, &port)) {
        snprintf(reason, reason_size, "an address is tcp://HOST:PORT, its port 1 to 65535");
        return ENDPOINT_INVALID;
    }
    error = getaddrinfo(host, port, &hints, &found);
    if (error != 0) {
        snprintf(reason, reason_size, "%s", gai_strerror(error));
        return ENDPOINT_SILENT;
    }
    error = ECONNREFUSED;
    for (struct addrinfo *at = found; at != NULL && error != 0; at = at->ai_next) {
        error = connect_within(at->ai_family, at->ai_addr, at->ai_addrlen, wait_ms);
    }
    freeaddrinfo(found);
    snprintf(reason, reason_size, "%s", strerror(error));
    return error == 0 ? ENDPOINT_LISTENS : ENDPOINT_SILENT;
}

static enum endpoint_state ipc_probe(const char *path, unsigned wait_ms, char *reason,
                                     size_t reason_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(path);
    socklen_t address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    int error;

    if (size == 0 || size >= sizeof(address.sun_path)) {
        snprintf(reason, reason_size, "a path has 1 to %zu bytes", sizeof(address.sun_path) - 1);
        return ENDPOINT_INVALID;
    }
    memcpy(address.sun_path, path, size);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* an abstract name, as ZeroMQ writes it */
    } else {
        address_size++;
    }
    error = connect_within(AF_UNIX, (struct sockaddr *)&address, address_size, wait_ms);
    snprintf(reason, reason_size, "%s", strerror(error));
    return error == 0 ? ENDPOINT_LISTENS : ENDPOINT_SILENT;
}

enum endpoint_state endpoint_probe(const char *endpoint, unsigned wait_ms, char *reason,
                                   size_t reason_size)
{
    if (strncmp(endpoint, "tcp://", 6) == 0) {
        return tcp_probe(endpoint + 6, wait_ms, reason, reason_size);
    }
    if (strncmp(endpoint, "ipc://", 6) == 0) {
        return ipc_probe(endpoint + 6, wait_ms, reason, reason_size);
    }
    snprintf(reason, reason_size, "an endpoint is tcp://HOST:PORT or ipc://PATH");
    return ENDPOINT_INVALID;
}
