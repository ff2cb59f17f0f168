/* WebSocket: frames that break the rules, silence, and both ends of ours. */
#include "world_int.h"

enum { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, FIN = 0x80 };

static void server_text(void *ctx, struct net_socket *s, struct str message)
{
    struct world *w = ctx;
    w->done++;
    check(!net_socket_send(s, message).code);
}

static void server_close(void *ctx, const char *why)
{
    struct world *w = ctx;
    w->gone++;
    (void)snprintf(w->why, sizeof w->why, "%s", why);
}

static struct net_socket_calls server_calls = { .on_text = server_text, .on_close = server_close };

static void on_upgrade(void *ctx, struct net_request *r)
{
    (void)net_socket_accept(r, &server_calls, ctx);
}

static void on_request(void *ctx, struct net_request *r)
{
    (void)ctx;
    net_reply(r, 404, NULL, 0, STR(""));
}

static void listen_for_sockets(struct world *w)
{
    world_listen(w, (struct net_server_options){ .on_request = on_request, .on_upgrade = on_upgrade });
}

/* ---- a stranger's end ------------------------------------------------------------------------------ */

#define HELLO                                                                            \
    "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: "

static struct line greet(const struct world *w)
{
    static const char hello[] = HELLO "13\r\n\r\n";
    char              answer[1024];
    struct line       l = line_open(w, "http/1.1", NULL, 0);
    check(line_send(&l, hello, sizeof hello - 1));
    size_t len = line_read(&l, answer, sizeof answer);
    /* The example of RFC 6455, section 1.3. */
    check(memmem(answer, len, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28) != NULL);
    return l;
}

/* Masked by a key of zeros: the bytes stay what they are. */
static size_t put_frame(char *at, int first, bool masked, const char *payload, size_t len)
{
    size_t used = 0;
    at[used++]  = (char)first;
    if (len < 126) {
        at[used++] = (char)(len | (masked ? 0x80 : 0));
    } else {
        int bytes  = len < 65536 ? 2 : 8; /* the longer form of a short length is a fault, too */
        at[used++] = (char)((bytes == 2 ? 126 : 127) | (masked ? 0x80 : 0));
        for (int i = bytes - 1; i >= 0; i--) at[used++] = (char)(len >> (8 * i));
    }
    for (int i = 0; masked && i < 4; i++) at[used++] = 0;
    memcpy(at + used, payload, len);
    return used + len;
}

/* The code of the close frame that the server answers with: 1005 for one without, 0 if there is no such frame. */
static unsigned read_close(struct line *l)
{
    static unsigned char all[1 << 18];
    size_t               len = line_read_all(l, (char *)all, sizeof all), at = 0;
    while (at + 2 <= len) {
        size_t size = all[at + 1] & 0x7f;
        if (size == 126) size = 2 + ((size_t)all[at + 2] << 8 | all[at + 3]);
        if (all[at + 1] == 127) return 0;
        if (all[at] == (FIN | CLOSE) && size >= 2) return (unsigned)all[at + 2] << 8 | all[at + 3];
        if (all[at] == (FIN | CLOSE)) return 1005;
        at += 2 + size;
    }
    return 0;
}

struct fault {
    const char *name;
    int         first[2]; /* of up to two frames; 0: no more */
    bool        unmasked;
    const char *payload;
    size_t      filler; /* bytes instead of the payload */
    unsigned    code;
};

static const struct fault faults[] = {
    { "not UTF-8", { FIN | TEXT }, false, "\xc3\x28", 0, 1007 },
    { "half a surrogate", { FIN | TEXT }, false, "\xed\xa0\x80", 0, 1007 },
    { "cut inside a character", { FIN | TEXT }, false, "\xe2\x82", 0, 1007 },
    { "binary", { FIN | BINARY }, false, "abc", 0, 1003 },
    { "not masked", { FIN | TEXT }, true, "abc", 0, 1002 },
    { "a reserved bit", { FIN | TEXT | 0x40 }, false, "abc", 0, 1002 },
    { "an unknown kind", { FIN | 3 }, false, "abc", 0, 1002 },
    { "a continuation of nothing", { FIN | CONTINUATION }, false, "abc", 0, 1002 },
    { "text within text", { TEXT, FIN | TEXT }, false, "abc", 0, 1002 },
    { "a ping in parts", { PING }, false, "abc", 0, 1005 },
    { "a close of one byte", { FIN | CLOSE }, false, "a", 0, 1005 },
    { "too long", { FIN | TEXT }, false, "", NET_FRAME_BYTES_MAX + 1, 1009 },
    { "too long in parts", { TEXT, FIN | CONTINUATION }, false, "", NET_FRAME_BYTES_MAX / 2 + 1, 1009 },
};

static void try_fault(struct world *w, const struct fault *f)
{
    static char frame[NET_FRAME_BYTES_MAX + 64], filler[NET_FRAME_BYTES_MAX + 1];
    struct line l = greet(w);
    memset(filler, 'x', sizeof filler);
    for (size_t i = 0; i < 2 && (f->first[i] || i == 0); i++) {
        size_t len = f->filler ? f->filler : strlen(f->payload);
        (void)line_send(&l, frame,
                        put_frame(frame, f->first[i], !f->unmasked, f->filler ? filler : f->payload, len));
    }
    unsigned code = read_close(&l);
    if (code != f->code) {
        char        room[16];
        struct text t = TEXT_IN(room);
        text_add_u64(&t, code);
        say(w, str_from(f->name));
        say(w, STR(": "));
        say(w, text_str(&t));
        say(w, STR("\n"));
    }
    line_close(&l);
}

static void break_every_rule(struct world *w)
{
    for (size_t i = 0; i < countof(faults); i++) try_fault(w, &faults[i]);
    (void)usleep(100000);
}

static void every_broken_rule_has_its_code(void **state)
{
    struct world *w = *state;
    listen_for_sockets(w);
    meet(w, break_every_rule);
    assert_string_equal(w->said, "");
    assert_int_equal(w->done, 1); /* the stranger left; no message was heard */
    assert_int_equal(w->gone, countof(faults));
}

static void come_with_another_version(struct world *w)
{
    static const char hello[] = HELLO "8\r\n\r\n";
    char              answer[1024];
    struct line       l = line_open(w, "http/1.1", NULL, 0);
    check(line_send(&l, hello, sizeof hello - 1));
    say(w, (struct str){ answer, line_read_all(&l, answer, sizeof answer) });
    line_close(&l);
}

static void another_version_is_refused_with_ours(void **state)
{
    struct world *w = *state;
    listen_for_sockets(w);
    meet(w, come_with_another_version);
    assert_true(
        str_starts(str_from(w->said), STR("HTTP/1.1 426 Upgrade Required\r\nsec-websocket-version: 13\r\n")));
}

/* A first message that shares the packet with the handshake, a ping between the parts of a second. */
static void talk_at_once(struct world *w)
{
    static const char hello[] = HELLO "13\r\n\r\n";
    char              all[4096], answer[4096];
    struct line       l   = line_open(w, "http/1.1", NULL, 0);
    size_t            len = sizeof hello - 1;
    memcpy(all, hello, len);
    len += put_frame(all + len, FIN | TEXT, true, "one", 3);
    len += put_frame(all + len, TEXT, true, "tw", 2);
    len += put_frame(all + len, FIN | PING, true, "p", 1);
    len += put_frame(all + len, FIN | CONTINUATION, true, "o", 1);
    len += put_frame(all + len, FIN | CLOSE, true, "\x03\xe8so long", 9);
    check(line_send(&l, all, len));
    size_t      got   = line_read_all(&l, answer, sizeof answer);
    const char *start = memmem(answer, got, "\r\n\r\n", 4);
    check(start != NULL);
    say(w, str_skip((struct str){ answer, got }, (size_t)(start + 4 - answer)));
    line_close(&l);
    (void)usleep(50000);
}

static void messages_in_one_packet_are_all_heard(void **state)
{
    struct world *w = *state;
    listen_for_sockets(w);
    meet(w, talk_at_once);
    static const char pong[] = "\x8a\x01p";
    assert_non_null(memmem(w->said, w->said_len, pong, 3));
    assert_non_null(memmem(w->said, w->said_len, "\x81\x03one", 5));
    assert_non_null(memmem(w->said, w->said_len, "\x81\x03two", 5));
    assert_string_equal(w->why, "so long");
}

/* ---- silence --------------------------------------------------------------------------------------- */

static void say_nothing(struct world *w)
{
    struct line l = greet(w);
    char        rest[256];
    size_t      got = line_read_all(&l, rest, sizeof rest);
    for (size_t i = 0; i + 1 < got; i++) w->status += rest[i] == (char)(FIN | PING);
    line_close(&l);
}

static void who_does_not_answer_pings_is_cut(void **state)
{
    struct world *w = *state;
    listen_for_sockets(w);
    server_calls.ping_ms   = 100;
    server_calls.silent_ms = 350;
    meet(w, say_nothing);
    server_calls.ping_ms = server_calls.silent_ms = 0;
    assert_in_range(w->status, 2, 4);
    assert_string_equal(w->why, "nothing was heard from the peer");
}

static void count_text(void *ctx, struct net_socket *s, struct str message)
{
    (void)ctx, (void)s, (void)message;
}

static void stop_when_closed(void *ctx, const char *why)
{
    struct world *w = ctx;
    (void)snprintf(w->why, sizeof w->why, "%s", why);
    net_stop(w->net);
}

static void our_client_answers_pings(void **state)
{
    struct world                        *w     = *state;
    static const struct net_socket_calls calls = { .on_text = count_text, .on_close = stop_when_closed };
    struct net_socket                   *s;
    struct net_timer                    *t;
    listen_for_sockets(w);
    server_calls.ping_ms   = 50;
    server_calls.silent_ms = 300;
    assert_int_equal(net_socket_connect(w->net, &w->target, STR("/"), &calls, w, &s).code, ERR_NONE);
    assert_int_equal(net_timer_start(w->net, 1000, 0, stop_now, w, &t).code, ERR_NONE);
    net_run(w->net);
    server_calls.ping_ms = server_calls.silent_ms = 0;
    assert_int_equal(w->done, 1); /* the timer ended it, not the silence */
}

static void send_until_full(void *ctx, struct net_socket *s)
{
    static char   big[NET_FRAME_BYTES_MAX];
    struct world *w = ctx;
    memset(big, 'x', sizeof big);
    struct err e = OK;
    for (int i = 0; i < 1000 && !e.code; i++) e = net_socket_send(s, (struct str){ big, sizeof big });
    w->err = e;
    assert_int_equal(net_socket_send(s, (struct str){ big, sizeof big + 1 }).code, ERR_LIMIT);
    net_socket_close(s, 1000, STR("enough"));
}

static void a_writer_is_told_when_the_reader_is_behind(void **state)
{
    struct world                        *w     = *state;
    static const struct net_socket_calls calls = { .on_open  = send_until_full,
                                                   .on_text  = count_text,
                                                   .on_close = stop_when_closed };
    struct net_socket                   *s;
    listen_for_sockets(w);
    assert_int_equal(net_socket_connect(w->net, &w->target, STR("/"), &calls, w, &s).code, ERR_NONE);
    net_run(w->net);
    assert_int_equal(w->err.code, ERR_LIMIT);
    assert_string_equal(w->err.why, "the peer reads too slowly");
}

static void stop_at_once(void *ctx, struct net_socket *s)
{
    (void)s;
    net_stop(((struct world *)ctx)->net);
}

static void count_close(void *ctx, const char *why)
{
    (void)why;
    ((struct world *)ctx)->done++;
}

static void the_loop_may_be_stopped_when_it_opens(void **state)
{
    struct world                        *w     = *state;
    static const struct net_socket_calls calls = { .on_open  = stop_at_once,
                                                   .on_text  = count_text,
                                                   .on_close = count_close };
    struct net_socket                   *s;
    listen_for_sockets(w);
    assert_int_equal(net_socket_connect(w->net, &w->target, STR("/"), &calls, w, &s).code, ERR_NONE);
    net_run(w->net);
    assert_int_equal(w->done, 1);
}

static void closing_before_it_is_open_is_told(void **state)
{
    struct world                        *w     = *state;
    static const struct net_socket_calls calls = { .on_text = count_text, .on_close = stop_when_closed };
    struct net_socket                   *s;
    listen_for_sockets(w);
    assert_int_equal(net_socket_connect(w->net, &w->target, STR("/"), &calls, w, &s).code, ERR_NONE);
    net_socket_close(s, 1000, STR(""));
    net_run(w->net);
    assert_string_equal(w->why, "closed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(every_broken_rule_has_its_code),
        world_test(another_version_is_refused_with_ours),
        world_test(messages_in_one_packet_are_all_heard),
        world_test(who_does_not_answer_pings_is_cut),
        world_test(our_client_answers_pings),
        world_test(a_writer_is_told_when_the_reader_is_behind),
        world_test(the_loop_may_be_stopped_when_it_opens),
        world_test(closing_before_it_is_open_is_told),
    };
    return cmocka_run_group_tests_name("socket", tests, NULL, NULL);
}
