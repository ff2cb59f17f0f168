/* What an address takes of a server's time for which nobody vouches, and what it costs the others. */
#include "world_int.h"

#include "strangers_int.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

static const char get[]   = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                  known[] = "GET /known HTTP/1.1\r\nHost: localhost\r\n\r\n";

static void on_request(void *ctx, struct net_request *r)
{
    (void)ctx;
    if (str_eq(net_request_path(r), STR("/known"))) net_request_vouch(r, true);
    net_reply(r, 200, NULL, 0, STR("ok"));
}

static uint64_t now_ms(void)
{
    struct timespec now;
    check(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* From 127.0.0.`last`; -1 if nobody answers within so long. */
static int dial_from(const struct world *w, uint8_t last, int within_ms)
{
    struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET };
    struct timeval     patience = { .tv_sec = 5 };
    from.sin_addr.s_addr        = htonl(0x7f000000u | last);
    to.sin_addr.s_addr          = htonl(INADDR_LOOPBACK);
    to.sin_port                 = htons(w->target.port);
    int fd                      = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    check(fd >= 0 && bind(fd, (struct sockaddr *)&from, sizeof from) == 0);
    struct pollfd p = { fd, POLLOUT, 0 };
    if (connect(fd, (struct sockaddr *)&to, sizeof to) &&
        (errno != EINPROGRESS || poll(&p, 1, within_ms) != 1)) {
        close(fd);
        return -1;
    }
    check(fcntl(fd, F_SETFL, 0) == 0);
    check(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    return fd;
}

static bool ask(int fd, const char *what)
{
    char room[256];
    return send(fd, what, strlen(what), MSG_NOSIGNAL) == (ssize_t)strlen(what) &&
           recv(fd, room, sizeof room, 0) > 0;
}

/* Connects until the system itself says nothing any more. Meanwhile, and then, another address is served. */
static void flood_the_door(struct world *w)
{
    int opened = 0, fd;
    while (opened < 20000 && (fd = dial_from(w, 2, 300)) >= 0) {
        close(fd);
        opened++;
    }
    w->gone = opened;
    fd      = dial_from(w, 3, 2000);
    w->status |= fd >= 0 && ask(fd, get) ? 1 : 0;
    if (fd >= 0) close(fd);
    for (uint64_t start = now_ms(); now_ms() - start < 20000 && !(w->status & 2);) {
        fd = dial_from(w, 2, 500);
        if (fd >= 0 && ask(fd, get)) w->status |= 2;
        if (fd >= 0) close(fd);
    }
}

static void who_comes_too_often_is_kept_out_by_the_kernel_for_a_while(void **state)
{
    struct world *w = *state;
    world_listen(
        w, (struct net_server_options){ .on_request = on_request, .plain = true, .stranger_us_per_s = 100000 });
    meet(w, flood_the_door);
    assert_in_range(w->gone, STRANGERS_BURST_US / STRANGERS_ARRIVAL_US, 10000);
    assert_int_equal(w->status, 3);
}

/* How many requests one connection is answered within so long. */
static int asked_within(struct world *w, uint8_t last, const char *what, uint64_t ms)
{
    int count = 0, fd = dial_from(w, last, 2000);
    for (uint64_t start = now_ms(); fd >= 0 && now_ms() - start < ms && ask(fd, what);) count++;
    if (fd >= 0) close(fd);
    return count;
}

static void ask_and_ask(struct world *w)
{
    (void)asked_within(w, 2, get, 3000); /* its burst */
    w->status = (unsigned)asked_within(w, 3, known, 1000);
    w->gone   = asked_within(w, 2, get, 1000);
    w->gone += asked_within(w, 2, get, 1000);
}

static void a_stranger_is_read_no_faster_than_his_time_allows(void **state)
{
    struct world *w = *state;
    world_listen(
        w, (struct net_server_options){ .on_request = on_request, .plain = true, .stranger_us_per_s = 1000 });
    meet(w, ask_and_ask);
    assert_true(w->status > 2000); /* who is vouched for does not wait */
    assert_in_range(w->gone, 0, 1000);
}

static void an_address_wears_off_and_what_is_vouched_for_is_paid_back(void **state)
{
    static struct strangers s;
    uint8_t one[16] = { [10] = 0xff, 0xff, 10, 0, 0, 1 }, next[16] = { [10] = 0xff, 0xff, 10, 0, 0, 2 };
    uint8_t six[16] = { 0x20, 1, [15] = 1 }, same[16] = { 0x20, 1, [15] = 2 };
    (void)state;
    strangers_init(&s, 10000);
    strangers_charge(&s, one, 0, STRANGERS_BURST_US + 10000);
    strangers_charge(&s, six, 0, STRANGERS_BURST_US + 10000);
    assert_false(strangers_may(&s, one, 0));
    assert_false(strangers_may(&s, same, 0));
    assert_true(strangers_may(&s, next, 0));
    assert_false(strangers_may(&s, one, 900000));
    assert_true(strangers_may(&s, one, 1000000));
    strangers_charge(&s, six, 0, -10000);
    assert_true(strangers_may(&s, same, 0));
    strangers_charge(&s, six, 0, -1000000);
    strangers_charge(&s, six, 0, STRANGERS_BURST_US + 1); /* nobody has credit */
    assert_false(strangers_may(&s, six, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_wears_off_and_what_is_vouched_for_is_paid_back),
        world_test(who_comes_too_often_is_kept_out_by_the_kernel_for_a_while),
        world_test(a_stranger_is_read_no_faster_than_his_time_allows),
    };
    return cmocka_run_group_tests_name("strangers", tests, NULL, NULL);
}
