/* What `sluice bench echo` is measured against: beanstalkd, without its log. Tasks are put into one
 * tube, replies into another. There is no client library in Debian; this one sends many commands at
 * once and reads their answers in order.
 *
 * A job is reserved one by one, so a process that has no more asks for several at once: the first
 * `reserve` waits, those behind it do not. It doubles how many when it got all of them. A worker
 * deletes a task after it has put the reply: if it dies before that, the task comes again. */
#include "tests/bench/echo_rival.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RESERVES_MAX 256
#define TIME_TO_RUN_S 600 /* longer than any run */
#define LINE_MAX_BYTES 64
#define READ_BYTES (256 * 1024)

struct buffer {
    char *bytes;
    size_t begin, end, size;
};

/* Blocking writes cannot meet a server that waits for us: it answers commands in order, and what it
 * says before the last of them is a few bytes each. */
struct link {
    struct echo_rival *rival;
    struct buffer in, out;
    int fd;
    struct link *replies;   /* of a worker's: where it puts them */
    unsigned asked, asking; /* jobs: by this many reserves, of which so many are not answered */
    unsigned got;
};

struct submitter {
    struct link *put, *take;
    char *payload;
};

static char tasks[LINE_MAX_BYTES], replies[LINE_MAX_BYTES]; /* tubes, the same in all processes */
static bool is_submitter;

_Noreturn static void fail(struct link *link, const char *what)
{
    echo_rival_fail(link->rival, what, strerror(errno));
}

/* Room for `size` more bytes at the end. */
static char *buffer_room(struct link *link, struct buffer *buffer, size_t size)
{
    if (buffer->begin > 0) {
        memmove(buffer->bytes, buffer->bytes + buffer->begin, buffer->end - buffer->begin);
        buffer->end -= buffer->begin;
        buffer->begin = 0;
    }
    if (buffer->size - buffer->end < size) {
        buffer->size = 2 * (buffer->end + size);
        buffer->bytes = realloc(buffer->bytes, buffer->size);
        if (buffer->bytes == NULL) {
            echo_rival_fail(link->rival, "buffer", "no memory");
        }
    }
    return buffer->bytes + buffer->end;
}

static void append(struct link *link, const void *bytes, size_t size)
{
    memcpy(buffer_room(link, &link->out, size), bytes, size);
    link->out.end += size;
}

static void append_text(struct link *link, const char *text)
{
    append(link, text, strlen(text));
}

static void flush(struct link *link)
{
    struct buffer *out = &link->out;

    while (out->begin < out->end) {
        ssize_t count = send(link->fd, out->bytes + out->begin, out->end - out->begin,
                             MSG_NOSIGNAL);

        if (count < 0 && errno != EINTR) {
            fail(link, "write");
        }
        out->begin += count > 0 ? (size_t)count : 0;
    }
    out->begin = out->end = 0;
}

/* Reads what is there, after waiting up to wait_ms for it. */
static void fill(struct link *link, int wait_ms)
{
    struct pollfd item = {.fd = link->fd, .events = POLLIN};
    ssize_t count;

    if (poll(&item, 1, wait_ms) <= 0) {
        return;
    }
    count = recv(link->fd, buffer_room(link, &link->in, READ_BYTES), READ_BYTES, 0);
    if (count <= 0) {
        echo_rival_fail(link->rival, "read", count == 0 ? "the server is gone" : strerror(errno));
    }
    link->in.end += (size_t)count;
}

static void put(struct link *link, const void *payload, size_t size)
{
    char line[LINE_MAX_BYTES];

    snprintf(line, sizeof(line), "put 0 0 %d %zu\r\n", TIME_TO_RUN_S, size);
    append_text(link, line);
    append(link, payload, size);
    append_text(link, "\r\n");
}

/* A job that was reserved: a worker answers it. */
static void handle_job(struct link *link, const char *id, const char *payload, size_t size)
{
    char line[LINE_MAX_BYTES];

    if (is_submitter) {
        echo_rival_reply(link->rival, payload, size);
    } else {
        put(link->replies, payload, size);
    }
    snprintf(line, sizeof(line), "delete %s\r\n", id);
    append_text(link, line);
    link->asking--;
    link->got++;
}

/* Works off one answer. False: it is not all there. */
static bool handle_answer(struct link *link)
{
    struct buffer *in = &link->in;
    char *line = in->bytes + in->begin, id[24];
    size_t there = in->end - in->begin, size;
    char *end = there > 0 ? memchr(line, '\n', there) : NULL;

    if (end == NULL) {
        return false;
    }
    *end = '\0';
    if (sscanf(line, "RESERVED %23[0-9] %zu", id, &size) == 2) {
        size_t whole = (size_t)(end + 1 - line) + size + 2;

        if (there < whole) {
            *end = '\n';
            return false;
        }
        handle_job(link, id, end + 1, size);
        in->begin += whole;
        return true;
    }
    if (strcmp(line, "TIMED_OUT\r") == 0) {
        link->asking--;
    } else if (strncmp(line, "INSERTED ", 9) != 0 && strcmp(line, "DELETED\r") != 0 &&
               strncmp(line, "USING ", 6) != 0 && strncmp(line, "WATCHING ", 9) != 0) {
        echo_rival_fail(link->rival, "the server says", line);
    }
    in->begin += (size_t)(end + 1 - line);
    return true;
}

static void ask(struct link *link)
{
    unsigned next = link->got == link->asked ? 2 * link->asked : link->got;

    next = next > RESERVES_MAX ? RESERVES_MAX : next;
    link->asked = link->asking = next > 0 ? next : 1;
    link->got = 0;
    append_text(link, "reserve\r\n");
    for (unsigned i = 1; i < link->asked; i++) {
        append_text(link, "reserve-with-timeout 0\r\n");
    }
}

/* Works off what is there, after waiting up to wait_ms for it, and asks for more. */
static void take(struct link *link, int wait_ms)
{
    fill(link, wait_ms);
    while (handle_answer(link)) {
    }
    if (link->asking == 0) {
        ask(link);
        flush(link);
    }
}

static struct link *connect_link(struct echo_rival *rival, const char *tube_put,
                                 const char *tube_take)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)rival->port)};
    struct link *link = calloc(1, sizeof(*link));
    char line[4 * LINE_MAX_BYTES];
    int on = 1;

    if (link == NULL) {
        echo_rival_fail(rival, "connect", "no memory");
    }
    link->rival = rival;
    link->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (link->fd < 0 || connect(link->fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
        fail(link, "connect");
    }
    snprintf(line, sizeof(line), "use %s\r\nwatch %s\r\nignore default\r\n", tube_put, tube_take);
    append_text(link, line);
    return link;
}

static void beanstalk_serve(struct echo_rival *rival)
{
    struct link *link = connect_link(rival, replies, tasks);

    link->replies = connect_link(rival, replies, tasks);
    ask(link);
    flush(link);
    echo_rival_ready(rival); /* a task waits in its tube for those who come late */
    for (;;) {
        take(link, ECHO_RIVAL_STALL_MS);
        flush(link->replies);
        fill(link->replies, 0);
        while (handle_answer(link->replies)) {
        }
    }
}

static void *beanstalk_open(struct echo_rival *rival)
{
    struct submitter *submitter = calloc(1, sizeof(*submitter));

    is_submitter = true;
    if (submitter == NULL || (submitter->payload = malloc(rival->payload_bytes)) == NULL) {
        echo_rival_fail(rival, "submitter", "no memory");
    }
    submitter->put = connect_link(rival, tasks, replies);
    submitter->take = connect_link(rival, tasks, replies);
    ask(submitter->take);
    flush(submitter->take);
    return submitter;
}

static void beanstalk_send(void *arg, struct echo_rival *rival, uint64_t sequence)
{
    struct submitter *submitter = arg;

    echo_rival_fill(rival, sequence, submitter->payload);
    put(submitter->put, submitter->payload, rival->payload_bytes);
    if (submitter->put->out.end > READ_BYTES) {
        flush(submitter->put);
    }
}

static void beanstalk_receive(void *arg, struct echo_rival *rival, int wait_ms)
{
    struct submitter *submitter = arg;

    (void)rival;
    flush(submitter->put);
    take(submitter->take, wait_ms);
    fill(submitter->put, 0);
    while (handle_answer(submitter->put)) {
    }
}

static void link_free(struct link *link)
{
    close(link->fd);
    free(link->in.bytes);
    free(link->out.bytes);
    free(link);
}

/* The last replies are deleted; tubes go when they are empty and nobody uses them. */
static void beanstalk_close(void *arg)
{
    struct submitter *submitter = arg;

    flush(submitter->take);
    link_free(submitter->put);
    link_free(submitter->take);
    free(submitter->payload);
    free(submitter);
}

static const struct echo_rival_kind beanstalk = {
    .program = "sluice-bench-echo-beanstalk",
    .name = "beanstalkd",
    .about = "Echo through tubes of beanstalkd, whose -z must be as large as a payload.",
    .serve = beanstalk_serve,
    .open = beanstalk_open,
    .send = beanstalk_send,
    .receive = beanstalk_receive,
    .close = beanstalk_close,
};

int main(int argc, char **argv)
{
    snprintf(tasks, sizeof(tasks), "sluice-bench-%d-tasks", (int)getpid());
    snprintf(replies, sizeof(replies), "sluice-bench-%d-replies", (int)getpid());
    return echo_rival_main(&beanstalk, argc, argv);
}
