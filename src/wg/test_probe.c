#include "sys/sys.h"
#include "wg_int.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* On loopback, with plain sockets in the devices' place; needs root, for raw sockets. */

struct side {
    int              device; /* a socket that has the port */
    uint16_t         port;
    char             place[WG_PLACE_TEXT];
    struct wg_probe *probe;
    bool             over;
    unsigned         reached;
};

static struct net *net;
static struct side a, b;

static void on_reached(void *ctx)
{
    struct side *s = ctx;
    s->reached++;
}

static void on_over(void *ctx)
{
    struct side *s = ctx;
    s->over        = true;
}

static void side_open(struct side *s)
{
    struct sockaddr_in at   = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t          size = sizeof at;
    *s                      = (struct side){ .device = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0) };
    assert_int_equal(bind(s->device, (struct sockaddr *)&at, size), 0);
    assert_int_equal(getsockname(s->device, (struct sockaddr *)&at, &size), 0);
    s->port = ntohs(at.sin_port);
    snprintf(s->place, sizeof s->place, "127.0.0.1:%u", s->port);
}

static struct err probe(struct side *s, const char *place)
{
    static const struct wg_probe_calls calls = { on_reached, on_over };
    return wg_probe(net, s->port, place, &calls, s, &s->probe);
}

static void run_until(const bool *over)
{
    uint64_t by_ms = net_now_ms(net) + 3 * WG_PROBE_MS;
    while (!*over && net_now_ms(net) < by_ms) uv_run(net_uv_loop(net), UV_RUN_ONCE);
    assert_true(*over);
}

static int open_world(void **state)
{
    (void)state;
    if (net_open(&net).code) return -1;
    side_open(&a);
    side_open(&b);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    close(a.device);
    close(b.device);
    net_stop(net);
    net_run(net);
    net_close(net);
    return 0;
}

static void two_that_ask_each_other_find_that_they_are_reached(void **state)
{
    (void)state;
    assert_int_equal(probe(&a, b.place).code, ERR_NONE);
    for (int i = 0; i < 20; i++) uv_run(net_uv_loop(net), UV_RUN_ONCE); /* b is told a little later */
    assert_int_equal(a.reached, 0);
    assert_int_equal(probe(&b, a.place).code, ERR_NONE);
    run_until(&b.over);
    assert_true(a.over);
    assert_int_equal(a.reached, 1);
    assert_int_equal(b.reached, 1);
}

static void who_is_asked_and_does_not_ask_is_not_reached(void **state)
{
    (void)state;
    assert_int_equal(probe(&a, b.place).code, ERR_NONE);
    run_until(&a.over);
    assert_int_equal(a.reached, 0);
    char    bytes[4096];
    ssize_t got = recv(b.device, bytes, sizeof bytes, 0);
    assert_true(got >= 1420 + 32); /* it came, and as large as a packet of the mesh */
    assert_true(bytes[0] > 4);     /* which is no message of WireGuard */
}

/* Another port of the same machine answers with what it has seen. */
static void an_answer_from_elsewhere_counts_for_nothing(void **state)
{
    (void)state;
    char               bytes[4096];
    struct side        c;
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    side_open(&c);
    assert_int_equal(probe(&a, b.place).code, ERR_NONE);
    to.sin_port = htons(a.port);
    while (!a.over) {
        uv_run(net_uv_loop(net), UV_RUN_ONCE);
        ssize_t got = recv(b.device, bytes, sizeof bytes, 0);
        if (got <= 0) continue;
        bytes[4] = 2; /* asked becomes answered */
        (void)!sendto(c.device, bytes, (size_t)got, 0, (struct sockaddr *)&to, sizeof to);
    }
    assert_int_equal(a.reached, 0);
    close(c.device);
}

static void what_is_no_place_is_refused_and_one_that_is_ended_says_nothing_more(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", "[::1]:5", "host:5" };
    for (size_t i = 0; i < countof(bad); i++) assert_int_equal(probe(&a, bad[i]).code, ERR_INVALID);
    assert_int_equal(probe(&a, b.place).code, ERR_NONE);
    assert_int_equal(probe(&b, a.place).code, ERR_NONE);
    wg_probe_end(a.probe);
    run_until(&b.over);
    assert_false(a.over);
    assert_int_equal(b.reached, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_that_ask_each_other_find_that_they_are_reached),
        TEST(who_is_asked_and_does_not_ask_is_not_reached),
        TEST(an_answer_from_elsewhere_counts_for_nothing),
        TEST(what_is_no_place_is_refused_and_one_that_is_ended_says_nothing_more),
    };
    return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
