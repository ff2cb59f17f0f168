/* The gateway's moves: taking a connection over at its first head, and joining two byte streams. */
#include "raw_int.h"
#include "world_int.h"

#include <errno.h>

#define BULK_BYTES (24 * 1024 * 1024)
#define STEP_BYTES 60000

static void refuse_request(void *ctx, struct net_request *r)
{
    (void)ctx;
    net_reply(r, 421, NULL, 0, STR(""));
}

/* ---- an echo behind a tunnel ----------------------------------------------------------------------- */

static void echo_bytes(void *ctx, struct net_raw *r, struct str bytes)
{
    (void)ctx;
    net_raw_send(r, bytes);
    if (net_raw_waiting(r) > 100000) net_raw_pause(r, true);
}

static void echo_drain(void *ctx, struct net_raw *r)
{
    (void)ctx;
    net_raw_pause(r, false);
}

static void echo_end(void *ctx, struct net_raw *r)
{
    (void)ctx;
    net_raw_end(r);
}

static const struct net_raw_calls echo_calls = {
    .on_bytes = echo_bytes,
    .on_drain = echo_drain,
    .on_end   = echo_end,
    .on_close = nothing_closes,
};

static void tunnel_upgrade(void *ctx, struct net_request *r)
{
    check(net_raw_accept(r, STR("ionet-bytes"), &echo_calls, ctx) != NULL);
}

static void on_over(void *ctx, uint64_t a_to_b, uint64_t b_to_a)
{
    struct world *w = ctx;
    w->a_to_b       = a_to_b;
    w->b_to_a       = b_to_a;
    w->gone++;
    if (w->stranger_left == NULL) net_stop(w->net);
}

static void tunnel_open(void *ctx, struct net_raw *tunnel)
{
    struct world *w = ctx;
    (void)net_splice(w->raw, tunnel, on_over, w);
}

static const struct net_raw_calls tunnel_calls = { .on_open = tunnel_open, .on_close = nothing_closes };
static const struct net_raw_calls no_calls     = { 0 };

static void dial_tunnel(struct world *w)
{
    struct net_raw *tunnel;
    net_raw_pause(w->raw, true);
    check(!net_raw_connect(w->net, &w->target, STR("/tunnel"), STR("ionet-bytes"), NULL, 0, &tunnel_calls, w,
                           &tunnel)
               .code);
}

static bool take_first(void *ctx, struct net_request *r)
{
    struct world *w = ctx;
    if (!str_eq(net_request_host(r), net_request_sni(r))) return false;
    w->raw = net_raw_take(r, &no_calls, w);
    dial_tunnel(w);
    return true;
}

/* The front server takes over, the back one echoes; both are in one loop. */
static void two_servers(struct world *w)
{
    struct net_server        *front;
    struct net_server_options o = { .on_request = refuse_request, .on_upgrade = tunnel_upgrade };
    world_listen(w, o);
    o = (struct net_server_options){ .address       = "127.0.0.1",
                                     .cert_path     = w->cert,
                                     .key_path      = w->key,
                                     .ctx           = w,
                                     .on_request    = refuse_request,
                                     .on_first_head = take_first };
    assert_int_equal(net_listen(w->net, &o, &front).code, ERR_NONE);
    w->status = net_server_port(front); /* where the stranger goes */
}

static struct line line_to_front(const struct world *w, const char *sni)
{
    struct world there = { .target = { .port = (uint16_t)w->status } };
    return line_open(&there, "http/1.1", sni, 0);
}

static const char first_head[] =
    "GET /any?x=1 HTTP/1.1\r\nHost:  RAY--abc.gate.test\r\nX-Odd: \t A \r\n\r\nand more";

static void say_hello_to_front(struct world *w)
{
    char        all[4096];
    struct line l = line_to_front(w, "ray--abc.gate.test");
    check(line_send(&l, first_head, 20));
    (void)usleep(20000);
    check(line_send(&l, first_head + 20, sizeof first_head - 1 - 20));
    check(SSL_shutdown(l.ssl) == 0); /* our half only */
    say(w, (struct str){ all, line_read_all(&l, all, sizeof all) });
    check(SSL_get_shutdown(l.ssl) & SSL_RECEIVED_SHUTDOWN);
    line_close(&l);
    (void)usleep(100000); /* for the news that it is over */
}

static void a_first_head_is_handed_on_unchanged(void **state)
{
    struct world *w = *state;
    two_servers(w);
    meet(w, say_hello_to_front);
    assert_string_equal(w->said, first_head);
    assert_int_equal(w->gone, 1);
    assert_int_equal(w->a_to_b, sizeof first_head - 1);
    assert_int_equal(w->b_to_a, sizeof first_head - 1);
}

static void ask_for_another_host(struct world *w)
{
    char        all[4096];
    struct line l = line_to_front(w, "other.gate.test");
    check(line_send(&l, first_head, sizeof first_head - 1));
    say(w, (struct str){ all, line_read(&l, all, sizeof all) });
    line_close(&l);
}

static void a_head_that_is_not_taken_is_a_request(void **state)
{
    struct world *w = *state;
    two_servers(w);
    meet(w, ask_for_another_host);
    assert_true(str_starts(str_from(w->said), STR("HTTP/1.1 421 Misdirected Request\r\n")));
}

/* Empty lines before a request are allowed, and kept in case it is taken over. */
static void send_empty_lines_to_front(struct world *w)
{
    static char lines[4 * NET_HEAD_BYTES_MAX];
    char        all[4096];
    struct line l = line_to_front(w, "ray--abc.gate.test");
    for (size_t i = 0; i < sizeof lines; i++) lines[i] = i % 2 ? '\n' : '\r';
    (void)line_send(&l, lines, sizeof lines);
    say(w, (struct str){ all, line_read(&l, all, sizeof all) });
    line_close(&l);
}

static void a_first_head_that_does_not_begin_is_refused(void **state)
{
    struct world *w = *state;
    two_servers(w);
    meet(w, send_empty_lines_to_front);
    assert_true(str_starts(str_from(w->said), STR("HTTP/1.1 431 ")));
}

static void send_bulk_to_front(struct world *w)
{
    static char out[STEP_BYTES], in[STEP_BYTES];
    struct line l = line_to_front(w, "ray--abc.gate.test");
    check(line_send(&l, first_head, sizeof first_head - 1));
    for (size_t got = 0; got < sizeof first_head - 1;) got += line_read(&l, in, sizeof first_head - 1 - got);
    for (size_t sent = 0; sent < BULK_BYTES; sent += STEP_BYTES) {
        for (size_t i = 0; i < STEP_BYTES; i++) out[i] = (char)((sent + i) * 2654435761u >> 11);
        check(line_send(&l, out, STEP_BYTES));
        for (size_t got = 0; got < STEP_BYTES;) {
            size_t n = line_read(&l, in + got, STEP_BYTES - got);
            check(n > 0);
            got += n;
        }
        check(memcmp(out, in, STEP_BYTES) == 0);
    }
    line_close(&l);
}

static void much_goes_through_two_layers_of_tls_unharmed(void **state)
{
    struct world *w = *state;
    two_servers(w);
    meet(w, send_bulk_to_front);
}

/* ---- a plain listener, as `ionet forward` has ----------------------------------------------------- */

static void on_accept(void *ctx, struct net_raw *r)
{
    struct world *w = ctx;
    w->raw          = r;
    dial_tunnel(w);
}

static void *write_bulk(void *arg)
{
    static char  out[STEP_BYTES];
    struct line *l = arg;
    for (size_t sent = 0; sent < BULK_BYTES; sent += STEP_BYTES) {
        memset(out, (int)(sent / STEP_BYTES), STEP_BYTES);
        check(line_send(l, out, STEP_BYTES));
    }
    check(shutdown(l->fd, SHUT_WR) == 0);
    return NULL;
}

/* The writer runs far ahead of the reader, so that everything in between has to push back. */
static void read_bulk_late(struct world *w)
{
    static char  in[STEP_BYTES];
    struct world there = { .target = { .port = (uint16_t)w->status } };
    struct line  l     = { .fd = line_dial(&there, 0) };
    pthread_t    writer;
    size_t       all = 0, got;
    check(pthread_create(&writer, NULL, write_bulk, &l) == 0);
    (void)usleep(300000);
    while ((got = line_read(&l, in, sizeof in)) > 0) {
        for (size_t i = 0; i < got; i += 997) check((uint8_t)in[i] == (uint8_t)((all + i) / STEP_BYTES));
        all += got;
    }
    check(pthread_join(writer, NULL) == 0);
    w->done = all == (BULK_BYTES + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
    line_close(&l);
    (void)usleep(100000);
}

static void a_forwarded_port_pushes_back_and_closes_half_by_half(void **state)
{
    struct world        *w = *state;
    struct net_listener *l;
    world_listen(w, (struct net_server_options){ .on_request = refuse_request, .on_upgrade = tunnel_upgrade });
    assert_int_equal(net_tcp_listen(w->net, "127.0.0.1", 0, on_accept, w, &l).code, ERR_NONE);
    w->status = net_listener_port(l);
    meet(w, read_bulk_late);
    assert_int_equal(w->done, 2); /* all came, and the stranger left */
    assert_int_equal(w->gone, 1);
    assert_int_equal(w->a_to_b, w->b_to_a);
}

/* The system itself would cut a reader whose window stays shut: all that it keeps of that is looked at, since half a
 * minute is too long for a test. */
static unsigned silence_ms_of(const struct conn *c)
{
    uv_os_fd_t fd;
    unsigned   ms   = 1;
    socklen_t  size = sizeof ms;
    check(uv_fileno((const uv_handle_t *)&c->tcp, &fd) == 0);
    check(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, &size) == 0);
    return ms;
}

static void look_at_silence(void *ctx, struct net_raw *r, struct str bytes)
{
    struct world *w = ctx;
    (void)bytes;
    w->status = silence_ms_of(r->conn);
    net_stop(w->net);
}

static void forward_and_speak(void *ctx, struct net_raw *r)
{
    static const struct net_raw_calls calls = { .on_bytes = look_at_silence };
    struct world                     *w     = ctx;
    check(silence_ms_of(r->conn) == 0); /* accepted by the listener */
    net_raw_set(r, &calls, w);
}

static void on_tunnel_open(void *ctx, struct net_raw *r)
{
    struct world *w = ctx;
    w->done         = silence_ms_of(r->conn) == 0; /* dialled */
    net_stop(w->net);
}

static void a_reader_of_raw_bytes_may_rest_as_long_as_he_likes(void **state)
{
    static const struct net_raw_calls calls = { .on_open = on_tunnel_open };
    struct world                     *w     = *state;
    struct net_raw                   *r;
    world_listen(w, (struct net_server_options){ .on_request = refuse_request, .on_upgrade = tunnel_upgrade });
    check(!net_raw_connect(w->net, &w->target, STR("/t"), STR("ionet-bytes"), NULL, 0, &calls, w, &r).code);
    net_run(w->net);
    assert_int_equal(w->done, 1);
}

static void an_accepted_reader_of_raw_bytes_may_rest_too(void **state)
{
    struct world        *w = *state;
    struct net_listener *l;
    assert_int_equal(net_tcp_listen(w->net, "127.0.0.1", 0, forward_and_speak, w, &l).code, ERR_NONE);
    struct world there = { .target = { .port = net_listener_port(l) } };
    struct line  line  = { .fd = line_dial(&there, 0) };
    check(line_send(&line, "x", 1));
    w->status = 1;
    net_run(w->net);
    assert_int_equal(w->status, 0);
    line_close(&line);
}

/* ---- ends ------------------------------------------------------------------------------------------ */

static void two_pairs(struct world *w, int ours[2], struct net_raw *raws[2])
{
    for (int i = 0; i < 2; i++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        ours[i] = pair[0];
        assert_int_equal(net_raw_adopt(w->net, pair[1], &no_calls, w, &raws[i]).code, ERR_NONE);
    }
}

static void a_splice_that_is_cut_closes_both_ends(void **state)
{
    struct world   *w = *state;
    int             ours[2];
    struct net_raw *raws[2];
    char            byte;
    two_pairs(w, ours, raws);
    struct net_splice *s = net_splice(raws[0], raws[1], on_over, w);
    assert_int_equal(write(ours[0], "abc", 3), 3);
    net_splice_cut(s);
    net_run(w->net);
    assert_int_equal(w->gone, 1);
    for (int i = 0; i < 2; i++) {
        ssize_t got = recv(ours[i], &byte, 1, MSG_DONTWAIT);
        assert_true(got == 0 || (got < 0 && errno == ECONNRESET));
        close(ours[i]);
    }
}

static void one_end_that_breaks_takes_the_other_along(void **state)
{
    struct world   *w = *state;
    int             ours[2];
    struct net_raw *raws[2];
    two_pairs(w, ours, raws);
    (void)net_splice(raws[0], raws[1], on_over, w);
    net_raw_close(raws[0]);
    net_run(w->net);
    assert_int_equal(w->gone, 1);
    close(ours[0]);
    close(ours[1]);
}

static void an_end_that_came_before_the_splice_is_not_lost(void **state)
{
    struct world   *w = *state;
    int             ours[2];
    struct net_raw *raws[2];
    char            byte;
    two_pairs(w, ours, raws);
    close(ours[0]);
    for (int i = 0; i < 4; i++) uv_run(&w->net->loop, UV_RUN_NOWAIT);
    (void)net_splice(raws[0], raws[1], on_over, w);
    for (int i = 0; i < 4; i++) uv_run(&w->net->loop, UV_RUN_NOWAIT);
    assert_int_equal(recv(ours[1], &byte, 1, MSG_DONTWAIT), 0);
    close(ours[1]);
    net_run(w->net);
    assert_int_equal(w->gone, 1);
}

static void pause_at_the_first(void *ctx, struct net_raw *r, struct str bytes)
{
    struct world *w = ctx;
    w->a_to_b += bytes.len;
    w->done++;
    net_raw_pause(r, true);
}

/* More than one read of the loop is waiting when it looks. */
static void who_pauses_hears_nothing_more(void **state)
{
    static const struct net_raw_calls calls = { .on_bytes = pause_at_the_first, .on_close = nothing_closes };
    static char                       many[3 * LOOP_READ_BYTES];
    struct world                     *w    = *state;
    int                               size = sizeof many * 2, pair[2];
    struct net_raw                   *r;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    assert_int_equal(net_raw_adopt(w->net, pair[1], &calls, w, &r).code, ERR_NONE);
    assert_int_equal(send(pair[0], many, sizeof many, MSG_DONTWAIT), sizeof many);
    for (int i = 0; i < 4; i++) uv_run(&w->net->loop, UV_RUN_NOWAIT);
    assert_int_equal(w->done, 1);
    net_raw_pause(r, false);
    for (int i = 0; i < 4; i++) uv_run(&w->net->loop, UV_RUN_NOWAIT);
    assert_int_equal(w->done, 2);
    assert_true(w->a_to_b > LOOP_READ_BYTES);
    close(pair[0]);
}

static void what_is_no_socket_is_not_adopted(void **state)
{
    struct world   *w = *state;
    struct net_raw *r;
    int             pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(net_raw_adopt(w->net, pipe_ends[0], &no_calls, w, &r).code, ERR_IO);
    close(pipe_ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(a_first_head_is_handed_on_unchanged),
        world_test(a_head_that_is_not_taken_is_a_request),
        world_test(a_first_head_that_does_not_begin_is_refused),
        world_test(much_goes_through_two_layers_of_tls_unharmed),
        world_test(a_forwarded_port_pushes_back_and_closes_half_by_half),
        world_test(a_reader_of_raw_bytes_may_rest_as_long_as_he_likes),
        world_test(an_accepted_reader_of_raw_bytes_may_rest_too),
        world_test(a_splice_that_is_cut_closes_both_ends),
        world_test(one_end_that_breaks_takes_the_other_along),
        world_test(an_end_that_came_before_the_splice_is_not_lost),
        world_test(who_pauses_hears_nothing_more),
        world_test(what_is_no_socket_is_not_adopted),
    };
    return cmocka_run_group_tests_name("splice", tests, NULL, NULL);
}
