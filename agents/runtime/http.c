/* http: HTTP requests inside the peer's loop.
 *
 * libcurl's multi interface tells us which sockets and which timeout it waits for; they
 * are uv_poll and uv_timer handles here, and a finished transfer wakes its strand.
 *
 * Addresses are decided on in open_socket: it sees the address that is about to be
 * connected to, after DNS, for each redirect, so neither a name that resolves to a
 * private address nor one that changes its mind gets through. A connection that
 * was allowed to reach a private address is not kept, so that no other request can
 * inherit it.
 *
 * Debian's libcurl resolves names on threads of its own. Giving up a transfer in the
 * middle of that would wait for the thread; QUICK_EXIT lets it end by itself. */
#include "agents/runtime/address.h"
#include "agents/runtime/runtime.h"
#include "common/check.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define HTTP_TIMEOUT_MS_DEFAULT 30000
#define HTTP_BYTES_MAX_DEFAULT (4u * 1024 * 1024)
#define HTTP_HEADER_BYTES_MAX (256u * 1024) /* of all answers of a transfer; more is an attack */
#define HTTP_CONNECTIONS_MAX 256            /* at once; further transfers wait in libcurl */
#define HTTP_CONNECTIONS_KEPT 32
#define HTTP_URL_BYTES_MAX 8192

struct http {
    struct sluice *sluice;
    CURLM *multi;
    uv_timer_t timer;
    struct list transfers;
};

/* A socket that libcurl wants to be told about. */
struct http_socket {
    uv_poll_t poll;
    struct http *http;
    curl_socket_t fd;
};

/* On the heap, for the strand may be dropped with its stack while libcurl still runs. */
struct transfer {
    struct list link; /* http.transfers */
    struct http *http;
    struct strand *strand;
    CURL *easy;
    struct curl_slist *headers;
    bool allow_private;
    bool address_refused; /* at least one */
    bool truncated;
    bool finished;
    CURLcode code;
    char *body;
    size_t size, capacity, bytes_max;
    size_t header_bytes;
    char error[CURL_ERROR_SIZE];
};

/* ---- libcurl and the loop ----------------------------------------------- */

static void wake_finished(struct http *http)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        struct transfer *transfer;

        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        transfer->finished = true;
        transfer->code = message->data.result;
        strand_wake(transfer->strand);
    }
}

static void on_socket_ready(uv_poll_t *poll, int status, int events)
{
    struct http_socket *watched = poll->data;
    struct http *http = watched->http;
    int flags = (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
                (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0) |
                (status < 0 ? CURL_CSELECT_ERR : 0);
    int running;

    /* `watched` may be gone when this returns. */
    curl_multi_socket_action(http->multi, watched->fd, flags, &running);
    wake_finished(http);
}

static void on_timeout(uv_timer_t *timer)
{
    struct http *http = timer->data;
    int running;

    curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    wake_finished(http);
}

static int set_timeout(CURLM *multi, long timeout_ms, void *arg)
{
    struct http *http = arg;

    if (timeout_ms < 0) {
        return uv_timer_stop(&http->timer);
    }
    return uv_timer_start(&http->timer, on_timeout, (uint64_t)timeout_ms, 0);
}

static void free_socket(uv_handle_t *handle)
{
    free(handle->data);
}

static struct http_socket *watch_socket(struct http *http, curl_socket_t fd)
{
    struct http_socket *watched = calloc(1, sizeof *watched);

    if (!watched || uv_poll_init_socket(&http->sluice->loop, &watched->poll, fd) != 0) {
        free(watched);
        return NULL;
    }
    watched->poll.data = watched;
    watched->http = http;
    watched->fd = fd;
    uv_unref((uv_handle_t *)&watched->poll); /* the peer decides how long the loop lives */
    curl_multi_assign(http->multi, fd, watched);
    return watched;
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct http *http = arg;
    struct http_socket *watched = socket_arg;
    int events =
        (what != CURL_POLL_OUT ? UV_READABLE : 0) | (what != CURL_POLL_IN ? UV_WRITABLE : 0);

    if (what == CURL_POLL_REMOVE) {
        if (watched) {
            uv_close((uv_handle_t *)&watched->poll, free_socket);
            curl_multi_assign(http->multi, fd, NULL);
        }
        return 0;
    }
    if (!watched) {
        watched = watch_socket(http, fd);
    }
    return watched ? uv_poll_start(&watched->poll, events, on_socket_ready) : -1;
}

/* ---- the multi of a peer ------------------------------------------------ */

static void free_http(uv_handle_t *handle)
{
    free(handle->data);
}

static void transfer_free(struct transfer *transfer)
{
    if (transfer->easy) {
        curl_multi_remove_handle(transfer->http->multi, transfer->easy);
        curl_easy_cleanup(transfer->easy);
    }
    curl_slist_free_all(transfer->headers);
    list_unlink(&transfer->link);
    free(transfer->body);
    free(transfer);
}

/* Called by sluice_free, which runs the loop until what is closed here is gone. */
static void http_close(struct sluice *sluice)
{
    struct http *http = sluice->http;

    while (!list_empty(&http->transfers)) {
        transfer_free(list_entry(http->transfers.next, struct transfer, link));
    }
    curl_multi_cleanup(http->multi);
    uv_close((uv_handle_t *)&http->timer, free_http);
    sluice->http = NULL;
}

static uv_once_t curl_once = UV_ONCE_INIT;
static CURLcode curl_ready;

static void init_curl(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static struct http *http_open(struct sluice *sluice)
{
    struct http *http;

    uv_once(&curl_once, init_curl);
    http = calloc(1, sizeof *http);
    if (!http || curl_ready != CURLE_OK || !(http->multi = curl_multi_init())) {
        free(http);
        return NULL;
    }
    http->sluice = sluice;
    list_init(&http->transfers);
    uv_timer_init(&sluice->loop, &http->timer);
    uv_unref((uv_handle_t *)&http->timer);
    http->timer.data = http;
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, set_timeout);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)HTTP_CONNECTIONS_MAX);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)HTTP_CONNECTIONS_KEPT);
    /* No sharing of live connections: a request must not ride on one that was allowed more. */
    curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    sluice->http = http;
    sluice->http_free = http_close;
    return http;
}

/* ---- a transfer --------------------------------------------------------- */

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *transfer = arg;

    if (!transfer->allow_private && !address_is_public(&address->addr)) {
        transfer->address_refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool body_reserve(struct transfer *transfer, size_t more)
{
    size_t capacity = transfer->capacity ? transfer->capacity : 16384;
    char *body;

    while (capacity - transfer->size <= more) { /* one byte stays for the NUL */
        capacity *= 2;
    }
    if (capacity == transfer->capacity) {
        return true;
    }
    body = realloc(transfer->body, capacity);
    if (!body) {
        return false;
    }
    transfer->body = body;
    transfer->capacity = capacity;
    return true;
}

/* Taking less than all ends the transfer; the flag tells a cut from a failure. */
static size_t take_body(char *bytes, size_t unit, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    size_t size = unit * count;

    if (size > transfer->bytes_max - transfer->size) {
        size = transfer->bytes_max - transfer->size;
        transfer->truncated = true;
    }
    if (!body_reserve(transfer, size)) {
        transfer->truncated = false;
        return 0;
    }
    memcpy(transfer->body + transfer->size, bytes, size);
    transfer->size += size;
    return transfer->truncated ? 0 : size;
}

static size_t take_header(char *bytes, size_t unit, size_t count, void *arg)
{
    struct transfer *transfer = arg;

    transfer->header_bytes += unit * count;
    return transfer->header_bytes > HTTP_HEADER_BYTES_MAX ? 0 : unit * count;
}

static bool set_headers(struct transfer *transfer, const struct sluice_http_request *request)
{
    for (size_t i = 0; request->headers && request->headers[i]; i++) {
        struct curl_slist *longer = curl_slist_append(transfer->headers, request->headers[i]);

        if (!longer) {
            return false;
        }
        transfer->headers = longer;
    }
    return curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers) == CURLE_OK;
}

static bool set_method(struct transfer *transfer, const struct sluice_http_request *request)
{
    CURLcode failed = CURLE_OK;

    if (request->body.size > 0) {
        failed |= curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                                   (curl_off_t)request->body.size);
        failed |= curl_easy_setopt(transfer->easy, CURLOPT_COPYPOSTFIELDS, request->body.data);
    }
    if (!request->method || strcmp(request->method, "GET") == 0) {
        return failed == CURLE_OK && request->body.size == 0;
    }
    if (strcmp(request->method, "HEAD") == 0) {
        failed |= curl_easy_setopt(transfer->easy, CURLOPT_NOBODY, 1L);
    } else if (strcmp(request->method, "POST") == 0) {
        failed |= curl_easy_setopt(transfer->easy, CURLOPT_POST, 1L);
        if (request->body.size == 0) {
            failed |= curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE, 0L);
        }
    } else {
        failed |= curl_easy_setopt(transfer->easy, CURLOPT_CUSTOMREQUEST, request->method);
    }
    return failed == CURLE_OK;
}

static bool set_bounds(struct transfer *transfer, const struct sluice_http_request *request)
{
    CURL *easy = transfer->easy;
    CURLcode failed = CURLE_OK;

    failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    failed |= curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    failed |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, request->redirects_max > 0 ? 1L : 0L);
    failed |= curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)request->redirects_max);
    failed |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    failed |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
    /* A proxy of the environment would connect for us, to wherever it likes. */
    failed |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
    failed |= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, transfer->allow_private ? 1L : 0L);
    failed |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    failed |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    return failed == CURLE_OK;
}

/* No netrc, no cookies, no HSTS or alt-svc store: they are off unless asked for. */
static bool set_options(struct transfer *transfer, const struct sluice_http_request *request)
{
    CURL *easy = transfer->easy;
    CURLcode failed = CURLE_OK;

    failed |= curl_easy_setopt(easy, CURLOPT_URL, request->url);
    failed |= curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    failed |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    failed |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    failed |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "sluice/" SLUICE_VERSION);
    failed |= curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    return failed == CURLE_OK && set_bounds(transfer, request) && set_method(transfer, request) &&
           set_headers(transfer, request);
}

static struct transfer *transfer_new(struct http *http, struct strand *strand,
                                     const struct sluice_http_request *request)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);

    if (!transfer) {
        return NULL;
    }
    list_init(&transfer->link);
    list_push_back(&http->transfers, &transfer->link);
    transfer->http = http;
    transfer->strand = strand;
    transfer->allow_private = request->allow_private;
    transfer->bytes_max = request->bytes_max ? request->bytes_max : HTTP_BYTES_MAX_DEFAULT;
    transfer->easy = curl_easy_init();
    if (!transfer->easy || !body_reserve(transfer, 0) || !set_options(transfer, request)) {
        transfer_free(transfer);
        return NULL;
    }
    return transfer;
}

/* ---- answers ------------------------------------------------------------ */

__attribute__((format(printf, 3, 4))) static int
fail(struct sluice_http_response *response, int code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(response->error, sizeof response->error, format, arguments);
    va_end(arguments);
    for (char *c = response->error; *c; c++) { /* it may quote the server */
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c;
    }
    return code;
}

static int code_of(CURLcode code)
{
    switch (code) {
    case CURLE_URL_MALFORMAT:
        return -EINVAL;
    case CURLE_UNSUPPORTED_PROTOCOL: /* of a redirect: the request's own was checked */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_PEER_FAILED_VERIFICATION:
        return -EPROTO;
    case CURLE_TOO_MANY_REDIRECTS:
        return -ELOOP;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
        return -EHOSTUNREACH;
    case CURLE_COULDNT_CONNECT:
        return -ECONNREFUSED;
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

/* Where the transfer was when it ended: after redirects. */
static const char *place_of(const struct transfer *transfer)
{
    char *url = NULL;

    curl_easy_getinfo(transfer->easy, CURLINFO_EFFECTIVE_URL, &url);
    return url ? url : "";
}

static int take_answer(struct transfer *transfer, struct sluice_http_response *response)
{
    char *content_type = NULL;

    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &response->status);
    curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &content_type);
    response->url = strdup(place_of(transfer));
    response->content_type = content_type ? strdup(content_type) : NULL;
    if (!response->url || (content_type && !response->content_type)) {
        return fail(response, -ENOMEM, "no memory");
    }
    response->body = transfer->body;
    response->size = transfer->size;
    response->body[response->size] = '\0';
    response->truncated = transfer->truncated;
    transfer->body = NULL;
    return 0;
}

static int transfer_result(struct transfer *transfer, struct sluice_http_response *response)
{
    CURLcode code = transfer->code;

    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && transfer->truncated)) {
        return take_answer(transfer, response);
    }
    if (transfer->address_refused && code == CURLE_COULDNT_CONNECT) {
        response->refused_address = true;
        return fail(response, -EACCES, "%.150s is at a private or special address: not allowed",
                    place_of(transfer));
    }
    if (transfer->header_bytes > HTTP_HEADER_BYTES_MAX) {
        return fail(response, -EPROTO, "more than %u bytes of headers", HTTP_HEADER_BYTES_MAX);
    }
    return fail(response, code_of(code), "%s",
                transfer->error[0] ? transfer->error : curl_easy_strerror(code));
}

/* ---- public ------------------------------------------------------------- */

static bool is_http(const char *url)
{
    return strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;
}

int sluice_http(struct sluice *sluice, const struct sluice_http_request *request,
                struct sluice_http_response *response)
{
    struct strand *strand = strand_here("sluice_http");
    uint64_t timeout_ms = request->timeout_ms ? request->timeout_ms : HTTP_TIMEOUT_MS_DEFAULT;
    struct http *http = sluice->http ? sluice->http : http_open(sluice);
    struct transfer *transfer;
    enum wake wake = WAKE_EVENT;
    int result;

    *response = (struct sluice_http_response){0};
    if (!request->url || !is_http(request->url) ||
        strnlen(request->url, HTTP_URL_BYTES_MAX + 1) > HTTP_URL_BYTES_MAX) {
        return fail(response, -EINVAL, "only http and https addresses of at most %d bytes",
                    HTTP_URL_BYTES_MAX);
    }
    transfer = http ? transfer_new(http, strand, request) : NULL;
    if (!transfer) {
        return fail(response, -ENOMEM, "the request could not be made: no memory, or a body "
                                       "where none belongs");
    }
    if (curl_multi_add_handle(http->multi, transfer->easy) != CURLM_OK) {
        transfer_free(transfer);
        return fail(response, -ENOMEM, "no memory");
    }
    wake = strand_park(strand, runtime_deadline_ms(sluice, timeout_ms));
    if (transfer->finished) {
        result = transfer_result(transfer, response);
    } else if (wake == WAKE_CANCELLED) {
        result = fail(response, -ECANCELED, "cancelled");
    } else {
        CHECK(wake == WAKE_TIMEOUT);
        result = fail(response, -ETIMEDOUT, "no complete answer within %llu ms",
                      (unsigned long long)timeout_ms);
    }
    transfer_free(transfer);
    return result;
}

void sluice_http_response_deinit(struct sluice_http_response *response)
{
    free(response->url);
    free(response->content_type);
    free(response->body);
    response->url = response->content_type = response->body = NULL;
}
