/* links: runtime */
/* sluice_http: methods, bounds and what is shared between requests, against a server in a thread.
 * No broker: main functions run at once when connect_ms is 0. */
#include "agents/runtime/sluice.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define REQUEST_BYTES_MAX 65536

/* Serves one connection after another, and keeps each open until the client goes. */
struct server {
    int listener;
    unsigned port;
    const char *answer;            /* to every request; NULL: none, ever */
    char request[REQUEST_BYTES_MAX]; /* the last one */
    unsigned requests, connections;
    pthread_t thread;
};

/* Reads one request with its body into server->request. False: the client has gone. */
static bool read_request(struct server *server, int fd)
{
    size_t used = 0;

    for (;;) {
        ssize_t count = recv(fd, server->request + used, sizeof server->request - 1 - used, 0);
        char *end, *length;
        size_t body;

        if (count <= 0) {
            return false;
        }
        used += (size_t)count;
        server->request[used] = '\0';
        end = strstr(server->request, "\r\n\r\n");
        length = strcasestr(server->request, "content-length:");
        body = length ? strtoul(length + strlen("content-length:"), NULL, 10) : 0;
        if (end && used >= (size_t)(end + 4 - server->request) + body) {
            return true;
        }
    }
}

static void *serve(void *arg)
{
    struct server *server = arg;
    int fd;

    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        server->connections++;
        while (read_request(server, fd)) {
            server->requests++;
            if (server->answer) {
                send(fd, server->answer, strlen(server->answer), MSG_NOSIGNAL);
            }
        }
        close(fd);
    }
    return NULL;
}

static void server_open(struct server *server, const char *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;

    *server = (struct server){.answer = answer};
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->listener, 8), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

/* Needs: every client has gone. What was counted may be read from here on. */
static void server_close(struct server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
}

/* One peer, and the requests that it makes one after another. */
struct script {
    const struct sluice_http_request *requests;
    struct sluice_http_response *responses;
    int *results;
    size_t count;
};

static int run_script(struct sluice *sluice, void *arg)
{
    struct script *script = arg;

    for (size_t i = 0; i < script->count; i++) {
        script->results[i] = sluice_http(sluice, &script->requests[i], &script->responses[i]);
    }
    return 0;
}

static void perform(struct script script)
{
    /* Nobody answers there; that is no business of sluice_http. */
    struct sluice_options options = {.broker = "ipc:///tmp/sluice-test-nobody", .quiet = true};
    struct sluice *sluice = sluice_new(&options);

    assert_non_null(sluice);
    assert_int_equal(sluice_run(sluice, run_script, &script), 0);
    sluice_free(sluice);
}

static int request_one(const struct sluice_http_request *request,
                       struct sluice_http_response *response)
{
    int result = 1;

    perform((struct script){request, response, &result, 1});
    return result;
}

static const char *url_of(const struct server *server, char url[64])
{
    snprintf(url, 64, "http://127.0.0.1:%u/path", server->port);
    return url;
}

static void an_answer_comes_back_whole(void **state)
{
    struct server server;
    struct sluice_http_request request = {.allow_private = true};
    struct sluice_http_response response;
    const char *headers[] = {"X-One: 1", "Accept: text/x", NULL};
    char url[64];

    server_open(&server, "HTTP/1.1 418 Teapot\r\nContent-Type: text/x\r\nContent-Length: 5\r\n"
                         "\r\nhello");
    request.url = url_of(&server, url);
    request.headers = headers;
    assert_int_equal(request_one(&request, &response), 0);
    server_close(&server);
    assert_int_equal(response.status, 418);
    assert_string_equal(response.url, url);
    assert_string_equal(response.content_type, "text/x");
    assert_string_equal(response.body, "hello");
    assert_int_equal(response.size, 5);
    assert_false(response.truncated);
    assert_ptr_equal(strstr(server.request, "GET /path HTTP/1.1\r\n"), server.request);
    assert_non_null(strstr(server.request, "X-One: 1\r\n"));
    assert_non_null(strstr(server.request, "User-Agent: sluice/"));
    sluice_http_response_deinit(&response);
    sluice_http_response_deinit(&response); /* twice does no harm */
}

static void a_body_is_posted(void **state)
{
    struct server server;
    struct sluice_http_request request = {.method = "POST", .allow_private = true,
                                          .body = {"a\0b", 3}};
    struct sluice_http_response response;
    char url[64];

    server_open(&server, "HTTP/1.1 204 No Content\r\n\r\n");
    request.url = url_of(&server, url);
    assert_int_equal(request_one(&request, &response), 0);
    server_close(&server);
    assert_int_equal(response.status, 204);
    assert_int_equal(response.size, 0);
    assert_string_equal(response.body, "");
    assert_ptr_equal(strstr(server.request, "POST /path HTTP/1.1\r\n"), server.request);
    assert_memory_equal(strstr(server.request, "\r\n\r\n") + 4, "a\0b", 3);
    sluice_http_response_deinit(&response);
}

static void other_methods_are_sent_as_they_are(void **state)
{
    static const char *const methods[] = {"HEAD", "DELETE", "POST", "OPTIONS"};

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        struct server server;
        struct sluice_http_request request = {.method = methods[i], .allow_private = true};
        struct sluice_http_response response;
        char url[64], line[32];

        server_open(&server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        request.url = url_of(&server, url);
        assert_int_equal(request_one(&request, &response), 0);
        server_close(&server);
        snprintf(line, sizeof line, "%s /path", methods[i]);
        assert_ptr_equal(strstr(server.request, line), server.request);
        sluice_http_response_deinit(&response);
    }
}

static void a_redirect_is_an_answer_unless_asked_for(void **state)
{
    struct server server;
    struct sluice_http_request request = {.allow_private = true};
    struct sluice_http_response response;
    char url[64];

    server_open(&server, "HTTP/1.1 302 Found\r\nLocation: /path\r\nContent-Length: 0\r\n\r\n");
    request.url = url_of(&server, url);
    assert_int_equal(request_one(&request, &response), 0);
    assert_int_equal(response.status, 302);
    sluice_http_response_deinit(&response);
    request.redirects_max = 3;
    assert_int_equal(request_one(&request, &response), -ELOOP);
    assert_true(response.error[0] != '\0');
    sluice_http_response_deinit(&response);
    server_close(&server);
    assert_int_equal(server.requests, 1 + 4);
}

static void a_body_is_cut_at_the_bound(void **state)
{
    struct server server;
    struct sluice_http_request request = {.bytes_max = 4, .allow_private = true};
    struct sluice_http_response response;
    char url[64];

    server_open(&server, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    request.url = url_of(&server, url);
    assert_int_equal(request_one(&request, &response), 0);
    assert_true(response.truncated);
    assert_string_equal(response.body, "hell");
    sluice_http_response_deinit(&response);
    request.bytes_max = 5;
    assert_int_equal(request_one(&request, &response), 0);
    assert_false(response.truncated);
    assert_string_equal(response.body, "hello");
    sluice_http_response_deinit(&response);
    server_close(&server);
}

static void silence_is_a_timeout(void **state)
{
    struct server server;
    struct sluice_http_request request = {.timeout_ms = 50, .allow_private = true};
    struct sluice_http_response response;
    char url[64];

    server_open(&server, NULL);
    request.url = url_of(&server, url);
    assert_int_equal(request_one(&request, &response), -ETIMEDOUT);
    assert_string_equal(response.error, "no complete answer within 50 ms");
    sluice_http_response_deinit(&response);
    server_close(&server);
}

/* A connection that is kept for reuse is not checked again: it must not be there to be found. */
static void what_one_request_may_reach_another_may_not(void **state)
{
    struct server server;
    struct sluice_http_request requests[3] = {
        {.allow_private = true}, {.allow_private = false}, {.allow_private = true}};
    struct sluice_http_response responses[3];
    int results[3] = {1, 1, 1};
    char url[64];

    server_open(&server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    requests[0].url = requests[1].url = requests[2].url = url_of(&server, url);
    perform((struct script){requests, responses, results, 3});
    server_close(&server);
    assert_int_equal(results[0], 0);
    assert_int_equal(results[1], -EACCES);
    assert_true(responses[1].refused_address);
    assert_non_null(strstr(responses[1].error, "not allowed"));
    assert_int_equal(results[2], 0);
    assert_int_equal(server.requests, 2);
    for (size_t i = 0; i < 3; i++) {
        sluice_http_response_deinit(&responses[i]);
    }
}

static void other_schemes_are_refused(void **state)
{
    static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/", "127.0.0.1", "",
                                       "gopher://127.0.0.1:1/x", "HTTPX://127.0.0.1/", NULL};

    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct sluice_http_request request = {.url = urls[i], .allow_private = true};
        struct sluice_http_response response;

        assert_int_equal(request_one(&request, &response), -EINVAL);
        assert_true(response.error[0] != '\0');
        sluice_http_response_deinit(&response);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes_back_whole),
        cmocka_unit_test(a_body_is_posted),
        cmocka_unit_test(other_methods_are_sent_as_they_are),
        cmocka_unit_test(a_redirect_is_an_answer_unless_asked_for),
        cmocka_unit_test(a_body_is_cut_at_the_bound),
        cmocka_unit_test(silence_is_a_timeout),
        cmocka_unit_test(what_one_request_may_reach_another_may_not),
        cmocka_unit_test(other_schemes_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
