/* What strangers send to an HTTP/1.1 server, whole and byte by byte. */
#include "world_int.h"

struct shape {
    const char *name;
    const char *sent;
    const char *answer; /* how it starts; "" for none */
    size_t      filler; /* '%' in `sent` stands for so many letters */
};

#define GOOD "HTTP/1.1 200 OK\r\n"
#define BAD "HTTP/1.1 400 Bad Request\r\n"
#define HOST "Host: localhost\r\n"

static const struct shape shapes[] = {
    { "a plain request", "GET / HTTP/1.1\r\n" HOST "\r\n", GOOD, 0 },
    { "1.0 needs no host", "GET / HTTP/1.0\r\n\r\n", GOOD, 0 },
    { "an empty value", "GET / HTTP/1.1\r\nA:\r\n" HOST "B:   \r\n\r\n", GOOD, 0 },
    { "a chunked body", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      GOOD, 0 },
    { "a trailer",
      "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nHost: x\r\n\r\n", GOOD,
      0 },
    { "a long head", "GET / HTTP/1.1\r\n" HOST "A: %\r\n\r\n", GOOD, 15000 },
    { "length and chunks",
      "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD, 0 },
    { "chunks and length",
      "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", BAD, 0 },
    { "two lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", BAD, 0 },
    { "two equal lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", BAD,
      0 },
    { "a length with a sign", "POST / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\nabc", BAD, 0 },
    { "a length list", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\nabc", BAD, 0 },
    { "a folded value", "GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", BAD, 0 },
    { "a folded first value", "GET / HTTP/1.1\r\n" HOST "A:\r\n\tc\r\n\r\n", BAD, 0 },
    { "chunked is not last", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, gzip\r\n\r\n", BAD, 0 },
    { "chunked twice over", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", BAD, 0 },
    { "chunks in 1.0", "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD, 0 },
    { "a blank before the colon", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
      BAD, 0 },
    { "lines without CR",
      "GET / HTTP/1.1\n"
      "Host: localhost\n\n",
      BAD, 0 },
    { "a CR inside a value", "GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n", BAD, 0 },
    { "no host", "GET / HTTP/1.1\r\n\r\n", BAD, 0 },
    { "two hosts", "GET / HTTP/1.1\r\n" HOST "Host: b\r\n\r\n", BAD, 0 },
    { "a host that is two", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", BAD, 0 },
    { "a host with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", BAD, 0 },
    { "a whole URL", "GET http://localhost/ HTTP/1.1\r\n" HOST "\r\n", BAD, 0 },
    { "no proxy", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "HTTP/1.1 501 ", 0 },
    { "a method of another protocol", "QUERY / HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 405 ", 0 },
    { "a control in a value", "GET / HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n", BAD, 0 },
    { "a chunk that ends in a bare LF",
      "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n", BAD, 0 },
    { "a blank before the first name", "GET / HTTP/1.1\r\n A: b\r\n" HOST "\r\n", BAD, 0 },
    { "chunked in two fields",
      "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
      BAD, 0 },
    { "chunked after another coding",
      "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", BAD, 0 },
    { "no HTTP at all", "\x16\x03\x01", BAD, 0 },
    { "HTTP/2 unasked", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD, 0 },
    { "an unknown upgrade", "GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n",
      "HTTP/1.1 501 ", 0 },
    { "an upgrade with a length",
      "POST / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\nx", BAD, 0 },
    { "an upgrade with chunks",
      "POST / HTTP/1.1\r\n" HOST
      "Connection: upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      BAD, 0 },
    { "a chunk's size that is none", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nx\r\n", BAD,
      0 },
    { "endless chunk extensions",
      "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1;a=%\r\nx\r\n0\r\n\r\n", BAD, 2000 },
    { "too large a body", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n", "HTTP/1.1 413 ", 0 },
    { "too large chunks", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3e9\r\n%\r\n",
      "HTTP/1.1 413 ", 1001 },
    { "too large a head", "GET / HTTP/1.1\r\n" HOST "A: %\r\n\r\n", "HTTP/1.1 431 ", 17000 },
    { "a target without an end", "GET /%", "HTTP/1.1 431 ", 40000 },
};

static void on_request(void *ctx, struct net_request *r)
{
    (void)ctx;
    const struct net_header evil = { STR("x-evil"), STR("a\r\nx-more: b") };
    char                    room[64];
    struct text             t = TEXT_IN(room);
    text_add_u64(&t, net_request_body(r).len);
    text_add_char(&t, ' ');
    text_add(&t, net_request_path(r));
    net_reply(r, 200, &evil, 1, text_str(&t));
}

static struct str shape_fill(const struct shape *s)
{
    static char room[65536];
    struct text t = TEXT_IN(room);
    for (const char *p = s->sent; *p; p++)
        for (size_t n = *p == '%' ? s->filler : 1; n > 0; n--) text_add_char(&t, *p == '%' ? 'a' : *p);
    check(!t.full);
    return text_str(&t);
}

static void try_shape(struct world *w, const struct shape *s, size_t step)
{
    struct line l   = line_open(w, "http/1.1", NULL, 0);
    struct str  all = shape_fill(s);
    char        answer[4096];
    while (all.len) {
        size_t len = all.len < step ? all.len : step;
        if (!line_send(&l, all.ptr, len)) break;
        all = str_skip(all, len);
    }
    size_t     got  = line_read(&l, answer, sizeof answer);
    struct str here = { answer, got };
    if (!str_starts(here, str_from(s->answer))) {
        say(w, str_from(s->name));
        say(w, STR(": "));
        say(w, here);
        say(w, STR("\n"));
    }
    line_close(&l);
}

static void send_shapes_whole(struct world *w)
{
    for (size_t i = 0; i < countof(shapes); i++) try_shape(w, &shapes[i], SIZE_MAX);
}

static void send_shapes_by_bytes(struct world *w)
{
    for (size_t i = 0; i < countof(shapes); i++)
        if (shapes[i].filler == 0) try_shape(w, &shapes[i], 1);
}

static void every_shape_gets_its_answer(void **state)
{
    struct world *w = *state;
    world_listen(w, (struct net_server_options){ .on_request = on_request, .body_max = 1000 });
    meet(w, send_shapes_whole);
    assert_string_equal(w->said, "");
}

static void every_shape_gets_its_answer_byte_by_byte(void **state)
{
    struct world *w = *state;
    world_listen(w, (struct net_server_options){ .on_request = on_request, .body_max = 1000 });
    meet(w, send_shapes_by_bytes);
    assert_string_equal(w->said, "");
}

static void word_refusal(void *ctx, struct net_request *r, unsigned status)
{
    const struct net_header type = { STR("x-status"), status == 413 ? STR("large") : STR("other") };
    (void)ctx;
    net_reply(r, status, &type, 1, STR("no"));
}

static void be_refused_twice(struct world *w)
{
    static const char *const faults[] = { "POST / HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n",
                                          "\x16\x03\x01" };
    char                     all[4096];
    for (size_t i = 0; i < countof(faults); i++) {
        struct line l = line_open(w, "http/1.1", NULL, 0);
        check(line_send(&l, faults[i], strlen(faults[i])));
        say(w, (struct str){ all, line_read_all(&l, all, sizeof all) });
        line_close(&l);
    }
}

static void refusals_have_the_words_of_the_program(void **state)
{
    struct world *w = *state;
    world_listen(w, (struct net_server_options){
                        .on_request = on_request, .on_refuse = word_refusal, .body_max = 1000 });
    meet(w, be_refused_twice);
    assert_string_equal(w->said, "HTTP/1.1 413 Content Too Large\r\nx-status: large\r\nconnection: close\r\n"
                                 "content-length: 2\r\n\r\nno" BAD
                                 "x-status: other\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno");
}

static void send_three_ahead(struct world *w)
{
    static const char three[] = "POST /1 HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab"
                                "HEAD /2 HTTP/1.1\r\n" HOST "\r\n"
                                "GET /3 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
    char              all[4096];
    struct line       l = line_open(w, "http/1.1", NULL, 0);
    check(line_send(&l, three, sizeof three - 1));
    say(w, (struct str){ all, line_read_all(&l, all, sizeof all) });
    line_close(&l);
}

static void requests_sent_ahead_are_answered_in_order(void **state)
{
    struct world *w = *state;
    world_listen(w, (struct net_server_options){ .on_request = on_request });
    meet(w, send_three_ahead);
    assert_string_equal(w->said, GOOD "content-length: 4\r\n\r\n2 /1" GOOD "content-length: 4\r\n\r\n" GOOD
                                      "connection: close\r\ncontent-length: 4\r\n\r\n0 /3");
}

/* ---- who asks much and reads nothing ---------------------------------------------------------------- */

#define MANY_REQUESTS 1000
#define LARGE_ANSWER_BYTES 65536

static void answer_at_length(void *ctx, struct net_request *r)
{
    static char   large[LARGE_ANSWER_BYTES];
    struct world *w = ctx;
    w->done++;
    net_reply(r, 200, NULL, 0, (struct str){ large, sizeof large });
}

/* The requests fit into a few packets, their answers take 64 MB. */
static void ask_and_read_late(struct world *w)
{
    static const char get[] = "GET / HTTP/1.1\r\n" HOST "\r\n";
    static char       all[MANY_REQUESTS * (sizeof get - 1)], room[LARGE_ANSWER_BYTES];
    struct line       l = line_open(w, "http/1.1", NULL, 4096);
    for (size_t i = 0; i < MANY_REQUESTS; i++) memcpy(all + i * (sizeof get - 1), get, sizeof get - 1);
    check(line_send(&l, all, sizeof all));
    (void)usleep(300000);
    w->status = (unsigned)w->done;
    for (uint64_t got = 0, n; got < (uint64_t)MANY_REQUESTS * LARGE_ANSWER_BYTES; got += n) {
        n = line_read(&l, room, sizeof room);
        check(n > 0);
    }
    line_close(&l);
}

static void who_does_not_read_is_not_answered_without_end(void **state)
{
    struct world *w = *state;
    world_listen(w, (struct net_server_options){ .on_request = answer_at_length });
    meet(w, ask_and_read_late);
    assert_in_range(w->status, 1, 200);
    assert_int_equal(w->done, MANY_REQUESTS + 1); /* all in the end; and the stranger left */
}

/* ---- an event stream, and readers who leave -------------------------------------------------------- */

static void on_gone(void *ctx)
{
    ((struct world *)ctx)->gone++;
}

static void stream_request(void *ctx, struct net_request *r)
{
    const struct net_header type = { STR("content-type"), STR("text/event-stream") };
    struct net_stream      *s    = net_reply_stream(r, 200, &type, 1, on_gone, ctx);
    check(net_stream_send(s, STR("data: 1\n\n")));
    check(net_stream_send(s, STR("data: 2\n\n")));
    net_stream_end(s);
}

static void read_a_stream(struct world *w)
{
    static const char get[] = "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
    char              all[4096];
    struct line       l = line_open(w, "http/1.1", NULL, 0);
    check(line_send(&l, get, sizeof get - 1));
    say(w, (struct str){ all, line_read_all(&l, all, sizeof all) });
    line_close(&l);
}

static void an_event_stream_comes_in_chunks(void **state)
{
    struct world *w = *state;
    world_listen(w, (struct net_server_options){ .on_request = stream_request });
    meet(w, read_a_stream);
    assert_string_equal(w->said, GOOD "content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                                      "9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n");
    assert_int_equal(w->gone, 0);
}

static void keep_request(void *ctx, struct net_request *r)
{
    struct world *w = ctx;
    w->kept         = r;
    net_request_set_ctx(r, w, on_gone);
}

static void keep_request_without_asking(void *ctx, struct net_request *r)
{
    ((struct world *)ctx)->kept = r;
}

static void leave_at_once(struct world *w)
{
    static const char get[] = "GET / HTTP/1.1\r\n" HOST "\r\n";
    struct line       l     = line_open(w, "http/1.1", NULL, 0);
    check(line_send(&l, get, sizeof get - 1));
    (void)usleep(50000);
    line_close(&l);
    (void)usleep(50000);
}

/* The news must come while the loop runs: a loop that stops tells everybody. */
static void leave_and_see(struct world *w)
{
    leave_at_once(w);
    for (int i = 0; i < 100 && !w->gone; i++) (void)usleep(10000);
    w->status = (unsigned)w->gone;
}

static void a_client_who_leaves_before_the_answer_is_told(void **state)
{
    struct world *w = *state;
    world_listen(w, (struct net_server_options){ .on_request = keep_request });
    meet(w, leave_and_see);
    assert_int_equal(w->status, 1);
    assert_int_equal(w->gone, 1);
}

static void an_answer_to_nobody_is_dropped(void **state)
{
    struct world *w = *state;
    world_listen(w, (struct net_server_options){ .on_request = keep_request_without_asking });
    meet(w, leave_at_once);
    assert_non_null(w->kept);
    assert_int_equal(net_request_peer(w->kept).len, 0);
    net_reply(w->kept, 200, NULL, 0, STR("late"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(every_shape_gets_its_answer),
        world_test(every_shape_gets_its_answer_byte_by_byte),
        world_test(refusals_have_the_words_of_the_program),
        world_test(requests_sent_ahead_are_answered_in_order),
        world_test(who_does_not_read_is_not_answered_without_end),
        world_test(an_event_stream_comes_in_chunks),
        world_test(a_client_who_leaves_before_the_answer_is_told),
        world_test(an_answer_to_nobody_is_dropped),
    };
    return cmocka_run_group_tests_name("h1", tests, NULL, NULL);
}
