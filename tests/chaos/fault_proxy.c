/* links: codec */
/* fault_proxy TARGET_PORT: a TCP proxy on loopback that does harm when told to.
 *
 * Between peers and a broker it carries bytes as they come, until a line on
 * standard input says otherwise:
 *
 *   WHO VERB DIRECTION [NUMBER]
 *   WHO        a connection's number, `all` that are open, or `new`: those to come
 *   DIRECTION  up (to the target), down (from it), both
 *   VERB       delay MS     every byte arrives MS later
 *              rate BYTES   at most so many bytes a second
 *              trickle      one byte a write
 *              pause        nothing is read, so the sender's buffers fill
 *              swallow      read and thrown away; an end is not passed on either. Both
 *                           directions: a half-open connection. Stays for its life, for
 *                           a stream with a hole cannot be mended
 *              reset        RST to both sides (`new`: of each connection at once)
 *              clear        ends delay, rate, trickle, pause; `new`: reset and swallow too
 *
 * It prints `listening PORT`, then `open N` and `closed N` for each connection, and for
 * each line `ok COUNT`, the connections concerned, or `error WHY`. The end of
 * standard input ends it. One thread; at most CONNECTIONS_MAX connections, more are reset. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 512
#define READ_BYTES 16384
#define HELD_BYTES_MAX (1 << 20) /* of one direction; beyond it nothing is read */
#define WRITES_MAX 256           /* of one stream in one turn, so that it starves no other */
#define NEVER UINT64_MAX

enum direction { UP, DOWN };

struct fault {
    uint64_t delay_ms;
    uint64_t rate; /* bytes a second; 0: any */
    bool trickle, pause, swallow;
};

struct chunk {
    struct chunk *next;
    uint64_t due_ms;
    size_t size, sent;
    char bytes[];
};

/* One direction of a connection. */
struct stream {
    struct fault fault;
    struct chunk *first, **last; /* FIFO; owned */
    size_t held_bytes;
    uint64_t free_at_ms; /* of `rate`: when the next byte may go */
    bool ended;          /* the sender has; `shut`: and the receiver knows */
    bool shut;
};

struct connection {
    unsigned number;
    int fds[2]; /* [UP]: the client's, whence bytes go up; [DOWN]: the target's */
    struct stream streams[2];
    bool broken; /* to be reset at the end of this turn */
};

struct proxy {
    struct sockaddr_in target;
    int listener;
    unsigned numbers;
    struct connection *connections[CONNECTIONS_MAX];
    size_t count;
    struct fault fresh[2]; /* faults of connections to come */
    bool refuses;
    char line[256];
    size_t line_size;
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- streams -------------------------------------------------------------- */

static void stream_pop(struct stream *stream)
{
    struct chunk *chunk = stream->first;

    stream->first = chunk->next;
    if (stream->first == NULL) {
        stream->last = &stream->first;
    }
    free(chunk);
}

static void stream_push(struct stream *stream, const char *bytes, size_t size)
{
    struct chunk *chunk = malloc(sizeof *chunk + size);

    if (chunk == NULL) {
        abort();
    }
    chunk->next = NULL;
    chunk->due_ms = now_ms() + stream->fault.delay_ms;
    chunk->size = size;
    chunk->sent = 0;
    memcpy(chunk->bytes, bytes, size);
    *stream->last = chunk;
    stream->last = &chunk->next;
    stream->held_bytes += size;
}

static void stream_clear(struct stream *stream)
{
    while (stream->first != NULL) {
        stream_pop(stream);
    }
    stream->held_bytes = 0;
}

static bool stream_reads(const struct stream *stream)
{
    return !stream->ended && !stream->fault.pause && stream->held_bytes < HELD_BYTES_MAX;
}

/* When it has something to write; NEVER: nothing is held. */
static uint64_t stream_due_ms(const struct stream *stream)
{
    if (stream->first == NULL || stream->shut) {
        return NEVER;
    }
    return stream->first->due_ms > stream->free_at_ms ? stream->first->due_ms : stream->free_at_ms;
}

/* False: the connection is broken. */
static bool stream_read(struct stream *stream, int from)
{
    char bytes[READ_BYTES];
    ssize_t size = read(from, bytes, sizeof bytes);

    if (size < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    if (size == 0) {
        stream->ended = true;
    } else if (!stream->fault.swallow) {
        stream_push(stream, bytes, (size_t)size);
    }
    return true;
}

/* How many of `size` bytes one write may take. */
static size_t stream_portion(const struct stream *stream, size_t size)
{
    size_t slice = stream->fault.rate / 20 + 1; /* 50 ms of it: smooth, and few wakes */

    if (stream->fault.trickle) {
        return 1;
    }
    return stream->fault.rate > 0 && slice < size ? slice : size;
}

/* False: the byte before has not left yet, and the kernel would join this one to it. */
static bool stream_separates(struct stream *stream, int to, uint64_t now)
{
    int unsent = 0;

    if (stream->fault.trickle && ioctl(to, SIOCOUTQNSD, &unsent) == 0 && unsent > 0) {
        stream->free_at_ms = now + 1;
        return false;
    }
    return true;
}

/* Writes what is due. False: the connection is broken. */
static bool stream_write(struct stream *stream, int to)
{
    for (unsigned writes = 0; writes < WRITES_MAX; writes++) {
        struct chunk *chunk = stream->first;
        uint64_t now = now_ms();
        ssize_t size;

        if (stream_due_ms(stream) > now || !stream_separates(stream, to, now)) {
            return true;
        }
        size = send(to, chunk->bytes + chunk->sent,
                    stream_portion(stream, chunk->size - chunk->sent), MSG_NOSIGNAL);
        if (size < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        if (stream->fault.rate > 0) {
            stream->free_at_ms = now + (uint64_t)size * 1000 / stream->fault.rate;
        }
        chunk->sent += (size_t)size;
        stream->held_bytes -= (size_t)size;
        if (chunk->sent == chunk->size) {
            stream_pop(stream);
        }
    }
    return true;
}

/* ---- connections ---------------------------------------------------------- */

static void fd_reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

static int target_connect(const struct proxy *proxy)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&proxy->target, sizeof proxy->target) < 0 &&
        errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

static void proxy_accept(struct proxy *proxy)
{
    int near = accept4(proxy->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int far = near < 0 || proxy->refuses || proxy->count == CONNECTIONS_MAX
                  ? -1
                  : target_connect(proxy);
    struct connection *connection;

    if (far < 0) {
        if (near >= 0) {
            fd_reset(near);
        }
        return;
    }
    connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        abort();
    }
    connection->number = ++proxy->numbers;
    connection->fds[UP] = near;
    connection->fds[DOWN] = far;
    for (int way = UP; way <= DOWN; way++) {
        connection->streams[way].fault = proxy->fresh[way];
        connection->streams[way].last = &connection->streams[way].first;
        setsockopt(connection->fds[way], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    }
    proxy->connections[proxy->count++] = connection;
    printf("open %u\n", connection->number);
}

/* Passes on an end, once all before it has gone. */
static void connection_pass_end(struct connection *connection, enum direction way)
{
    struct stream *stream = &connection->streams[way];

    if (stream->ended && !stream->shut && stream->first == NULL && !stream->fault.swallow) {
        shutdown(connection->fds[!way], SHUT_WR);
        stream->shut = true;
    }
}

static bool connection_over(const struct connection *connection)
{
    for (int way = UP; way <= DOWN; way++) {
        const struct stream *stream = &connection->streams[way];

        if (!stream->ended || (!stream->shut && !stream->fault.swallow)) {
            return false;
        }
    }
    return true;
}

static void connection_free(struct connection *connection)
{
    for (int way = UP; way <= DOWN; way++) {
        stream_clear(&connection->streams[way]);
        if (connection->broken) {
            fd_reset(connection->fds[way]);
        } else {
            close(connection->fds[way]);
        }
    }
    printf("closed %u\n", connection->number);
    free(connection);
}

/* An error of one side breaks both, but for a half-open one: there each side is on its own. */
static void connection_fail(struct connection *connection, enum direction way)
{
    if (connection->streams[UP].fault.swallow && connection->streams[DOWN].fault.swallow) {
        connection->streams[way].ended = true;
    } else {
        connection->broken = true;
    }
}

static void connection_turn(struct connection *connection, const struct pollfd *polled)
{
    for (int way = UP; way <= DOWN; way++) {
        short events = polled[way].revents;
        struct stream *stream = &connection->streams[way];

        if ((events & (POLLIN | POLLHUP | POLLERR)) && stream_reads(stream) &&
            !stream_read(stream, connection->fds[way])) {
            connection_fail(connection, way);
        }
    }
    for (int way = UP; way <= DOWN; way++) {
        if (!connection->broken &&
            !stream_write(&connection->streams[way], connection->fds[!way])) {
            connection_fail(connection, !way);
        }
        connection_pass_end(connection, way);
    }
}

/* ---- commands ------------------------------------------------------------- */

static bool fault_apply(struct fault *fault, const char *verb, uint64_t number)
{
    if (strcmp(verb, "delay") == 0) {
        fault->delay_ms = number;
    } else if (strcmp(verb, "rate") == 0) {
        fault->rate = number;
    } else if (strcmp(verb, "trickle") == 0) {
        fault->trickle = true;
    } else if (strcmp(verb, "pause") == 0) {
        fault->pause = true;
    } else if (strcmp(verb, "swallow") == 0) {
        fault->swallow = true;
    } else if (strcmp(verb, "clear") == 0) {
        *fault = (struct fault){.swallow = fault->swallow};
    } else {
        return strcmp(verb, "reset") == 0;
    }
    return true;
}

static void connection_command(struct connection *connection, const char *verb, bool ways[2],
                               uint64_t number)
{
    for (int way = UP; way <= DOWN; way++) {
        struct stream *stream = &connection->streams[way];

        if (ways[way]) {
            fault_apply(&stream->fault, verb, number);
        }
        if (stream->fault.swallow) {
            stream_clear(stream);
        }
    }
    connection->broken |= strcmp(verb, "reset") == 0;
}

static void proxy_command_new(struct proxy *proxy, const char *verb, bool ways[2], uint64_t number)
{
    bool clears = strcmp(verb, "clear") == 0;

    proxy->refuses = (proxy->refuses && !clears) || strcmp(verb, "reset") == 0;
    for (int way = UP; way <= DOWN; way++) {
        if (ways[way]) {
            fault_apply(&proxy->fresh[way], verb, number);
            proxy->fresh[way].swallow &= !clears;
        }
    }
}

static void proxy_command(struct proxy *proxy, const char *line)
{
    char who[16], verb[16], direction[8];
    unsigned long long number = 0;
    unsigned count = 0;
    bool ways[2];

    if (sscanf(line, "%15s %15s %7s %llu", who, verb, direction, &number) < 3 ||
        !fault_apply(&(struct fault){0}, verb, number)) {
        printf("error no such command: %s\n", line);
        return;
    }
    ways[UP] = strcmp(direction, "down") != 0;
    ways[DOWN] = strcmp(direction, "up") != 0;
    if (strcmp(who, "new") == 0) {
        proxy_command_new(proxy, verb, ways, number);
    }
    for (size_t i = 0; i < proxy->count; i++) {
        if (strcmp(who, "all") == 0 ||
            strtoul(who, NULL, 10) == proxy->connections[i]->number) {
            connection_command(proxy->connections[i], verb, ways, number);
            count++;
        }
    }
    printf("ok %u\n", count);
}

/* False: standard input has ended. */
static bool proxy_read_commands(struct proxy *proxy)
{
    ssize_t size = read(STDIN_FILENO, proxy->line + proxy->line_size,
                        sizeof proxy->line - 1 - proxy->line_size);
    char *end;

    if (size <= 0) {
        return false;
    }
    proxy->line_size += (size_t)size;
    proxy->line[proxy->line_size] = '\0';
    while ((end = strchr(proxy->line, '\n')) != NULL) {
        size_t used = (size_t)(end - proxy->line) + 1;

        *end = '\0';
        proxy_command(proxy, proxy->line);
        proxy->line_size -= used;
        memmove(proxy->line, proxy->line + used, proxy->line_size + 1);
    }
    return proxy->line_size < sizeof proxy->line - 1; /* or a line without an end */
}

/* ---- the loop ------------------------------------------------------------- */

/* Fills polls[2] with what the connection waits for; when it is next due, in *due_ms. */
static void connection_poll(const struct connection *connection, struct pollfd *polls,
                            uint64_t now, uint64_t *due_ms)
{
    for (int way = UP; way <= DOWN; way++) {
        uint64_t due = stream_due_ms(&connection->streams[!way]);

        polls[way].events = stream_reads(&connection->streams[way]) ? POLLIN : 0;
        if (due <= now) {
            polls[way].events |= POLLOUT;
        } else if (due < *due_ms) {
            *due_ms = due;
        }
        /* A descriptor that waits for nothing would still report its hang-up, for ever. */
        polls[way].fd = polls[way].events != 0 ? connection->fds[way] : -1;
        polls[way].revents = 0;
    }
}

static void proxy_sweep(struct proxy *proxy)
{
    for (size_t i = proxy->count; i-- > 0;) {
        struct connection *connection = proxy->connections[i];

        if (connection->broken || connection_over(connection)) {
            proxy->connections[i] = proxy->connections[--proxy->count];
            connection_free(connection);
        }
    }
    fflush(stdout);
}

/* False: the end. */
static bool proxy_turn(struct proxy *proxy)
{
    struct pollfd polls[2 + 2 * CONNECTIONS_MAX];
    uint64_t now = now_ms(), due_ms = NEVER;
    size_t count = proxy->count;

    polls[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
    for (size_t i = 0; i < count; i++) {
        connection_poll(proxy->connections[i], &polls[2 + 2 * i], now, &due_ms);
    }
    if (poll(polls, 2 + 2 * count, due_ms == NEVER ? -1 : (int)(due_ms - now)) < 0) {
        return errno == EINTR;
    }
    for (size_t i = 0; i < count; i++) {
        connection_turn(proxy->connections[i], &polls[2 + 2 * i]);
    }
    if (polls[0].revents != 0 && !proxy_read_commands(proxy)) {
        return false;
    }
    if (polls[1].revents != 0) {
        proxy_accept(proxy);
    }
    proxy_sweep(proxy);
    return true;
}

static bool proxy_listen(struct proxy *proxy)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (proxy->listener < 0 ||
        bind(proxy->listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(proxy->listener, CONNECTIONS_MAX) < 0 ||
        getsockname(proxy->listener, (struct sockaddr *)&address, &size) < 0) {
        return false;
    }
    printf("listening %u\n", ntohs(address.sin_port));
    return fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
    static struct proxy proxy;

    if (argc != 2) {
        fprintf(stderr, "usage: fault_proxy TARGET_PORT\n");
        return 2;
    }
    proxy.target.sin_family = AF_INET;
    proxy.target.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    proxy.target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!proxy_listen(&proxy)) {
        perror("fault_proxy");
        return 1;
    }
    while (proxy_turn(&proxy)) {
    }
    while (proxy.count > 0) {
        connection_free(proxy.connections[--proxy.count]);
    }
    close(proxy.listener);
    return 0;
}
