/* Caps and deadlines: who is slow, silent or too many. */
#include "world_int.h"

#include <sys/resource.h>
#include <time.h>

static void on_request(void *ctx, struct net_request *r)
{
    struct world *w = ctx;
    w->done++;
    net_reply(r, 200, NULL, 0, STR("ok"));
}

static const char get[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/* ---- deadlines ------------------------------------------------------------------------------------- */

static uint64_t monotonic_ms(void)
{
    struct timespec now;
    check(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* One is silent before the handshake, one stops within a head, one sends a byte of its body each half second, and
 * one of its head. None may live long, and each is cut by its own deadline. */
enum { SILENT, HALF_HEAD, SLOW_BODY, SLOW_HEAD, SLOW_COUNT };

static void be_slow(struct world *w)
{
    static const char body[] = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n";
    struct line       lines[SLOW_COUNT];
    bool              open[SLOW_COUNT] = { true, true, true, true };
    uint64_t          start            = monotonic_ms();
    lines[SILENT]                      = (struct line){ .fd = line_dial(w, 0) };
    for (int i = HALF_HEAD; i < SLOW_COUNT; i++) lines[i] = line_open(w, "http/1.1", NULL, 0);
    check(line_send(&lines[HALF_HEAD], get, 10));
    check(line_send(&lines[SLOW_BODY], body, sizeof body - 1));
    check(line_send(&lines[SLOW_HEAD], get, 10));
    for (int left = SLOW_COUNT; left && monotonic_ms() - start < 25000;) {
        struct pollfd fds[SLOW_COUNT];
        for (int i = 0; i < SLOW_COUNT; i++)
            fds[i] = (struct pollfd){ open[i] ? lines[i].fd : -1, POLLIN | POLLRDHUP, 0 };
        (void)poll(fds, SLOW_COUNT, 500);
        for (int i = 0; i < SLOW_COUNT; i++) {
            char room[4096];
            if (!open[i] || !(fds[i].revents & (POLLIN | POLLHUP | POLLRDHUP))) continue;
            if (line_read(&lines[i], room, sizeof room) > 0) continue; /* the answer of a refusal */
            open[i] = false;
            left--;
            w->status |= 1u << i;
            if (monotonic_ms() - start < 9000) say(w, STR("too early "));
        }
        if (open[SLOW_BODY]) (void)line_send(&lines[SLOW_BODY], "x", 1);
        if (open[SLOW_HEAD]) (void)line_send(&lines[SLOW_HEAD], "x", 1);
    }
    for (int i = 0; i < SLOW_COUNT; i++) line_close(&lines[i]);
}

static void who_is_slow_is_cut(void **state)
{
    struct world *w = *state;
    world_listen(w, (struct net_server_options){ .on_request = on_request });
    meet(w, be_slow);
    assert_int_equal(w->status, (1u << SLOW_COUNT) - 1);
    assert_string_equal(w->said, "");
    assert_int_equal(w->done, 1); /* the stranger left; nobody was asked */
}

struct mark {
    struct deadline deadline;
    struct world   *world;
    int             number;
};

static void on_mark(struct deadline *d)
{
    struct mark *m = (struct mark *)(void *)d;
    char         c = (char)('a' + m->number);
    say(m->world, (struct str){ &c, 1 });
    if (m->number == 4) net_stop(m->world->net);
}

static void deadlines_come_in_order_and_can_be_moved(void **state)
{
    struct world *w = *state;
    struct mark   marks[5];
    uint64_t      after[5] = { 300, 100, 200, 100, 600 };
    for (int i = 0; i < 5; i++) {
        marks[i] = (struct mark){ .world = w, .number = i };
        deadline_init(&marks[i].deadline, on_mark);
        deadline_set(w->net, &marks[i].deadline, after[i]);
    }
    deadline_clear(w->net, &marks[3].deadline);
    deadline_set(w->net, &marks[1].deadline, 400);
    net_run(w->net);
    assert_string_equal(w->said, "cabe");
}

/* ---- caps ------------------------------------------------------------------------------------------ */

static bool is_answered(struct line *l, int wait_ms)
{
    char          room[1024];
    struct pollfd fd = { l->fd, POLLIN, 0 };
    return poll(&fd, 1, wait_ms) == 1 && line_read(l, room, sizeof room) > 0;
}

/* The cap is 8: of twelve, eight are answered and four wait; one leaving lets one in. */
static void come_in_numbers(struct world *w)
{
    struct line lines[12];
    for (int i = 0; i < 12; i++) {
        lines[i] = (struct line){ .fd = line_dial(w, 0) };
        check(line_send(&lines[i], get, sizeof get - 1));
    }
    int answered = 0;
    for (int i = 0; i < 12; i++) answered += is_answered(&lines[i], i < 8 ? 5000 : 50);
    w->status = (unsigned)answered;
    line_close(&lines[0]);
    w->gone = is_answered(&lines[8], 5000);
    for (int i = 1; i < 12; i++) line_close(&lines[i]);
}

static void too_many_connections_wait_at_the_door(void **state)
{
    struct world *w = *state;
    world_listen(w, (struct net_server_options){ .on_request = on_request, .plain = true });
    w->net->caps.most = 8;
    meet(w, come_in_numbers);
    assert_int_equal(w->status, 8);
    assert_int_equal(w->gone, true);
}

static void come_from_one_address(struct world *w)
{
    struct line lines[6];
    for (int i = 0; i < 6; i++) {
        lines[i] = (struct line){ .fd = line_dial(w, 0) };
        (void)line_send(&lines[i], get, sizeof get - 1);
    }
    for (int i = 0; i < 6; i++) w->status += is_answered(&lines[i], 2000);
    for (int i = 0; i < 6; i++) line_close(&lines[i]);
    (void)usleep(50000);
    struct line again = { .fd = line_dial(w, 0) };
    check(line_send(&again, get, sizeof get - 1));
    w->gone = is_answered(&again, 2000);
    line_close(&again);
}

static void an_address_has_a_share_of_its_own(void **state)
{
    struct world *w = *state;
    world_listen(w, (struct net_server_options){ .on_request = on_request, .plain = true });
    w->net->caps.most_per_address = 5;
    meet(w, come_from_one_address);
    assert_int_equal(w->status, 5);
    assert_int_equal(w->gone, true);
}

static void an_ipv6_subscriber_is_one_address(void **state)
{
    struct caps c;
    uint8_t     one[16] = { 0x20, 1, [15] = 1 }, same[16] = { 0x20, 1, [15] = 2 },
            other[16] = { 0x20, 2, [15] = 1 };
    uint8_t ipv4[16] = { [10] = 0xff, 0xff, 10, 0, 0, 1 }, next[16] = { [10] = 0xff, 0xff, 10, 0, 0, 2 };
    (void)state;
    caps_init(&c, 100, 1);
    assert_true(caps_take(&c, one));
    assert_false(caps_take(&c, same));
    assert_true(caps_take(&c, other));
    assert_true(caps_take(&c, ipv4));
    assert_true(caps_take(&c, next));
    caps_give(&c, one);
    assert_true(caps_take(&c, same));
    uint8_t *all[] = { same, other, ipv4, next };
    for (size_t i = 0; i < countof(all); i++) caps_give(&c, all[i]);
    caps_finish(&c);
}

static void the_cap_stays_below_the_descriptors(void **state)
{
    struct rlimit before, few;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few          = before;
    few.rlim_cur = 256;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    uint32_t most = caps_by_descriptors();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(most, 192);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(deadlines_come_in_order_and_can_be_moved),
        world_test(too_many_connections_wait_at_the_door),
        world_test(an_address_has_a_share_of_its_own),
        cmocka_unit_test(an_ipv6_subscriber_is_one_address),
        cmocka_unit_test(the_cap_stays_below_the_descriptors),
        world_test(who_is_slow_is_cut),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
