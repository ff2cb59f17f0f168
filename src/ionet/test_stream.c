/* An event stream against a server in a process of its own, that ends it after each event. */
#include "api_int.h"

#include "sys/sys.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char       dir[] = "/tmp/ionet-stream-XXXXXX";
static struct cli cli;
static pid_t      server;

struct heard {
    int64_t  last;
    unsigned events, losses;
};

static void on_request(void *ctx, struct net_request *r)
{
    static const struct net_header head[] = { { { "content-type", 12 }, { "text/event-stream", 17 } } };
    static const char              full[] = "{\"detail\":\"there are streams enough\"}";
    static unsigned                count;
    char                           event[64];
    (void)ctx;
    if (str_eq(net_request_path(r), STR("/full"))) {
        net_reply(r, 503, NULL, 0, str_from(full));
        return;
    }
    int len = snprintf(event, sizeof event, ": a comment\n\ndata: {\"n\":\ndata: %u}\n\n", ++count);
    struct net_stream *s = net_reply_stream(r, 200, head, 1, NULL, NULL);
    assert_true(net_stream_send(s, (struct str){ event, (size_t)len }));
    net_stream_end(s);
}

static void serve(int told)
{
    struct net               *net;
    struct net_server        *listener;
    char                      cert[128], key[128];
    struct net_server_options o = {
        .address = "127.0.0.1", .cert_path = cert, .key_path = key, .on_request = on_request
    };
    snprintf(cert, sizeof cert, "%s/server.crt", dir);
    snprintf(key, sizeof key, "%s/server.key", dir);
    if (net_open(&net).code || net_listen(net, &o, &listener).code) _exit(1);
    uint16_t port = net_server_port(listener);
    if (write(told, &port, sizeof port) != sizeof port) _exit(1);
    net_run(net);
    _exit(0);
}

static int begin(void **state)
{
    static const char *const hosts[] = { "127.0.0.1" };
    struct net_pin           pin;
    uint16_t                 port;
    int                      ends[2];
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(net_authority_open(dir, &pin).code, ERR_NONE);
    assert_int_equal(net_authority_issue(dir, "server", hosts, 1, 30).code, ERR_NONE);
    assert_int_equal(pipe(ends), 0);
    server = fork();
    if (server == 0) serve(ends[1]);
    assert_int_equal(read(ends[0], &port, sizeof port), sizeof port);
    close(ends[0]);
    close(ends[1]);
    memcpy(cli.config.pin, pin.sha256, sizeof cli.config.pin);
    snprintf(cli.config.network, sizeof cli.config.network, "127.0.0.1:%u", port);
    return 0;
}

static int end(void **state)
{
    (void)state;
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    return sys_remove_tree(dir).code ? -1 : 0;
}

static struct err on_event(void *ctx, struct json_value data, struct str text, bool *enough)
{
    struct heard *h = ctx;
    (void)text;
    h->events++;
    TRY(json_as_i64(json_member(data, "n"), &h->last));
    *enough = h->events == 3;
    return OK;
}

static void on_lost(void *ctx, const char *why)
{
    struct heard *h = ctx;
    (void)why;
    h->losses++;
}

static const struct api_stream_calls calls = { .on_event = on_event, .on_lost = on_lost };

static void a_stream_that_breaks_is_opened_again_and_each_break_is_told(void **state)
{
    struct heard h = { 0 };
    (void)state;
    assert_int_equal(api_stream(&cli, "/events", &calls, &h).code, ERR_NONE);
    assert_int_equal(h.events, 3);
    assert_int_equal(h.last, 3);
    assert_int_equal(h.losses, 2);
}

static void a_stream_that_is_refused_at_once_says_why(void **state)
{
    struct heard h = { 0 };
    (void)state;
    struct err e = api_stream(&cli, "/full", &calls, &h);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_string_equal(e.why, "there are streams enough");
    assert_false(cli.unreachable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_that_breaks_is_opened_again_and_each_break_is_told),
        cmocka_unit_test(a_stream_that_is_refused_at_once_says_why),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
