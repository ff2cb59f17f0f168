/* HTTP/2: by hand-made frames, so that the attacks can be made too, and by curl and h2load from outside. */
#include "world_int.h"

#include <sys/stat.h>

enum {
    FRAME_DATA         = 0,
    FRAME_HEADERS      = 1,
    FRAME_RST          = 3,
    FRAME_SETTINGS     = 4,
    FRAME_PING         = 6,
    FRAME_GOAWAY       = 7,
    FRAME_CONTINUATION = 9
};
enum { FLAG_END_STREAM = 1, FLAG_END_HEADERS = 4 };

static void on_gone(void *ctx)
{
    ((struct world *)ctx)->gone++;
}

/* Twice what a reader may be behind, at once; and when that waits, no more. */
static void send_large(void *ctx)
{
    static char        large[2 << 20];
    struct net_stream *s = ctx;
    memset(large, '.', sizeof large);
    (void)net_stream_send(s, (struct str){ large, sizeof large });
    (void)net_stream_send(s, STR("more"));
    net_stream_end(s);
}

static void on_request(void *ctx, struct net_request *r)
{
    struct world *w = ctx;
    if (str_eq(net_request_path(r), STR("/large"))) {
        struct net_stream *s = net_reply_stream(r, 200, NULL, 0, on_gone, w);
        assert_int_equal(net_timer_start(w->net, 100, 0, send_large, s, NULL).code, ERR_NONE);
        return;
    }
    if (str_eq(net_request_path(r), STR("/events"))) {
        struct net_stream *s = net_reply_stream(r, 200, NULL, 0, on_gone, w);
        check(net_stream_send(s, STR("data: 1\n\n")));
        if (!net_request_query(r).len) net_stream_end(s);
        return;
    }
    char        room[256];
    struct text t = TEXT_IN(room);
    text_add(&t, net_request_method(r));
    text_add_char(&t, ' ');
    text_add(&t, net_request_host(r));
    text_add_char(&t, ' ');
    text_add_u64(&t, net_request_body(r).len);
    w->done++;
    net_reply(r, 200, NULL, 0, text_str(&t));
}

static void word_refusal(void *ctx, struct net_request *r, unsigned status)
{
    (void)ctx;
    net_reply(r, status, NULL, 0, STR("no "));
}

static void listen_for_h2(struct world *w)
{
    world_listen(
        w, (struct net_server_options){ .on_request = on_request, .on_refuse = word_refusal, .http2 = true });
}

/* ---- frames ---------------------------------------------------------------------------------------- */

static size_t put_frame(char *at, uint8_t type, uint8_t flags, uint32_t id, const char *payload, size_t len)
{
    const unsigned char head[9] = { (unsigned char)(len >> 16),
                                    (unsigned char)(len >> 8),
                                    (unsigned char)len,
                                    type,
                                    flags,
                                    (unsigned char)(id >> 24),
                                    (unsigned char)(id >> 16),
                                    (unsigned char)(id >> 8),
                                    (unsigned char)id };
    memcpy(at, head, sizeof head);
    if (len) memcpy(at + sizeof head, payload, len);
    return sizeof head + len;
}

static bool send_frame(struct line *l, uint8_t type, uint8_t flags, uint32_t id, const char *payload,
                       size_t len)
{
    static char room[32768];
    return line_send(l, room, put_frame(room, type, flags, id, payload, len));
}

/* RFC 7541, appendix A: GET, "/", https; then :authority as a literal. */
static const char get_head[] = "\x82\x84\x87\x41\x09localhost";
/* POST instead. */
static const char post_head[] = "\x83\x84\x87\x41\x09localhost";

static struct line greet(const struct world *w, int receive_bytes)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    struct line       l         = line_open(w, "h2", NULL, receive_bytes);
    check(line_send(&l, preface, sizeof preface - 1));
    check(send_frame(&l, FRAME_SETTINGS, 0, 0, NULL, 0));
    return l;
}

/* Reads to the end: the code of the goodbye, or -1 if none came. */
static int read_goodbye(struct line *l)
{
    static unsigned char all[1 << 20];
    size_t               len = line_read_all(l, (char *)all, sizeof all), at = 0;
    int                  code = -1;
    while (at + 9 <= len) {
        size_t size = (size_t)all[at] << 16 | (size_t)all[at + 1] << 8 | all[at + 2];
        if (all[at + 3] == FRAME_GOAWAY && at + 17 <= len) code = all[at + 16];
        at += 9 + size;
    }
    return code;
}

/* ---- attacks --------------------------------------------------------------------------------------- */

static void open_and_reset(struct world *w)
{
    struct line l = greet(w, 0);
    for (uint32_t i = 0; i < 2000; i++) {
        char   room[64];
        size_t len =
            put_frame(room, FRAME_HEADERS, FLAG_END_HEADERS, 1 + 2 * i, post_head, sizeof post_head - 1);
        len += put_frame(room + len, FRAME_RST, 0, 1 + 2 * i, "\0\0\0\x8", 4);
        if (!line_send(&l, room, len)) break;
    }
    w->status = read_goodbye(&l) > 0;
    line_close(&l);
}

static void rapid_resets_are_told_to_go(void **state)
{
    struct world *w = *state;
    listen_for_h2(w);
    meet(w, open_and_reset);
    assert_int_equal(w->status, true);
}

static void never_end_a_head(struct world *w)
{
    struct line l    = greet(w, 0);
    bool        open = send_frame(&l, FRAME_HEADERS, 0, 1, get_head, sizeof get_head - 1);
    int         sent = 0;
    for (; open && sent < 100000; sent++) open = send_frame(&l, FRAME_CONTINUATION, 0, 1, "\x00\x01x\x01y", 5);
    (void)read_goodbye(&l);
    w->status = SSL_get_shutdown(l.ssl) & SSL_RECEIVED_SHUTDOWN;
    line_close(&l);
}

static void a_flood_of_continuations_is_cut(void **state)
{
    struct world *w = *state;
    listen_for_h2(w);
    meet(w, never_end_a_head);
    assert_int_equal(w->status, SSL_RECEIVED_SHUTDOWN);
    assert_int_equal(w->done, 1); /* the stranger left; nobody was asked */
}

static void ping_and_never_read(struct world *w)
{
    static char many[16000];
    struct line l    = greet(w, 4096);
    bool        open = true;
    size_t      len  = 0;
    while (len + 17 <= sizeof many) len += put_frame(many + len, FRAME_PING, 0, 0, "12345678", 8);
    for (int i = 0; open && i < 2000; i++) open = line_send(&l, many, len); /* 32 MB */
    w->status = !open || read_goodbye(&l) >= 0 || (SSL_get_shutdown(l.ssl) & SSL_RECEIVED_SHUTDOWN);
    line_close(&l);
}

static void a_flood_of_pings_is_cut(void **state)
{
    struct world *w = *state;
    listen_for_h2(w);
    meet(w, ping_and_never_read);
    assert_int_equal(w->status, true);
}

/* Twice 70 fields of 200 bytes, then a small head: only that one may be asked. */
static void send_a_huge_head(struct world *w)
{
    static char head[65536];
    static char fields[16384];
    struct line l   = greet(w, 0);
    size_t      len = 0;
    char        answer[4096];
    for (int i = 0; i < 70; i++) {
        memcpy(fields + len, "\x00\x01x\x7f\x49", 5); /* a value of 200 bytes */
        memset(fields + len + 5, 'y', 200);
        len += 205;
    }
    memcpy(head, get_head, sizeof get_head - 1);
    memcpy(head + sizeof get_head - 1, fields, len);
    check(send_frame(&l, FRAME_HEADERS, FLAG_END_STREAM, 1, head, sizeof get_head - 1 + len));
    check(send_frame(&l, FRAME_CONTINUATION, FLAG_END_HEADERS, 1, fields, len));
    check(send_frame(&l, FRAME_HEADERS, FLAG_END_HEADERS | FLAG_END_STREAM, 3, get_head, sizeof get_head - 1));
    for (bool seen = false; !seen;) {
        size_t n = line_read(&l, answer, sizeof answer);
        check(n > 0);
        seen = memmem(answer, n, "GET localhost 0", 15) != NULL;
    }
    line_close(&l);
}

static void too_large_a_head_is_not_asked(void **state)
{
    struct world *w = *state;
    listen_for_h2(w);
    meet(w, send_a_huge_head);
    assert_int_equal(w->done, 2); /* one request, and the stranger left */
}

static void leave_an_event_stream(struct world *w)
{
    static const char head[] = "\x82\x04\x09/events?x\x87\x41\x09localhost";
    struct line       l      = greet(w, 0);
    char              room[4096];
    check(send_frame(&l, FRAME_HEADERS, FLAG_END_HEADERS | FLAG_END_STREAM, 1, head, sizeof head - 1));
    for (bool seen = false; !seen;) {
        size_t n = line_read(&l, room, sizeof room);
        check(n > 0);
        seen = memmem(room, n, "data: 1", 7) != NULL;
    }
    check(send_frame(&l, FRAME_RST, 0, 1, "\0\0\0\x8", 4));
    for (int i = 0; i < 100 && !w->gone; i++) (void)usleep(10000);
    w->status = (unsigned)w->gone; /* before the loop stops: that tells everybody */
    line_close(&l);
}

static void who_leaves_an_event_stream_is_noticed(void **state)
{
    struct world *w = *state;
    listen_for_h2(w);
    meet(w, leave_an_event_stream);
    assert_int_equal(w->status, 1);
    assert_int_equal(w->gone, 1);
}

/* ---- clients from outside -------------------------------------------------------------------------- */

static void on_exit_of(uv_process_t *process, int64_t status, int signal)
{
    struct world *w = process->data;
    w->status       = (unsigned)status | (unsigned)signal << 8;
    uv_close((uv_handle_t *)process, NULL);
    net_stop(w->net);
}

/* Runs a program with its output in w->said, while the loop serves it. */
static void run_outside(struct world *w, const char *command)
{
    char         path[PATH_MAX], line[4096];
    uv_process_t process = { .data = w };
    char        *argv[]  = { (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", line, NULL };
    (void)snprintf(path, sizeof path, "%s/answer", w->dir);
    (void)snprintf(line, sizeof line, "cd %s && url=https://localhost:%u && { %s; } >answer 2>&1", w->dir,
                   w->target.port, command);
    uv_process_options_t o = { .exit_cb = on_exit_of, .file = "/bin/sh", .args = argv };
    assert_int_equal(uv_spawn(net_uv_loop(w->net), &process, &o), 0);
    net_run(w->net);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    w->said_len = fread(w->said, 1, sizeof w->said - 1, f);
    assert_int_equal(fclose(f), 0);
}

static void skip_without(const char *program)
{
    if (access(program, X_OK)) skip();
}

#define CURL "curl -sS --max-time 20 --cacert authority.crt --resolve \"localhost:${url##*:}:127.0.0.1\" "

static void curl_speaks_both_versions_and_trusts_the_authority(void **state)
{
    struct world *w = *state;
    skip_without("/usr/bin/curl");
    listen_for_h2(w);
    run_outside(
        w, "head -c 200000 /dev/zero >body; " CURL
           "--http2 -w ' %{http_version}\\n' --data-binary @body $url/a && " CURL
           "--http1.1 -w ' %{http_version}\\n' -H 'Expect: 100-continue' --data-binary @body $url/b && " CURL
           "--http2 $url/events && " CURL "--http1.1 $url/events");
    assert_string_equal(w->said, "POST localhost 200000 2\nPOST localhost 200000 1.1\ndata: 1\n\ndata: 1\n\n");
    assert_int_equal(w->status, 0);
}

static void an_event_may_be_longer_than_a_reader_may_be_behind(void **state)
{
    struct world *w = *state;
    skip_without("/usr/bin/curl");
    listen_for_h2(w);
    run_outside(w, "for v in --http1.1 --http2; do " CURL
                   "$v -o /dev/null -w '%{size_download}\n' $url/large; done");
    assert_string_equal(w->said, "2097152\n2097152\n");
}

static void curl_is_told_that_a_body_is_too_large(void **state)
{
    struct world *w = *state;
    skip_without("/usr/bin/curl");
    listen_for_h2(w);
    run_outside(w, "head -c 3000000 /dev/zero >body; for v in --http1.1 --http2; do " CURL
                   "$v -w '%{http_code}\\n' --data-binary @body $url/a; done");
    assert_string_equal(w->said, "no 413\nno 413\n");
}

static void many_streams_on_few_connections_are_all_answered(void **state)
{
    struct world *w = *state;
    skip_without("/usr/bin/h2load");
    listen_for_h2(w);
    run_outside(w, "h2load -n 20000 -c 4 -m 100 $url/ | grep -o '20000 succeeded, 0 failed'");
    assert_string_equal(w->said, "20000 succeeded, 0 failed\n");
    assert_int_equal(w->done, 20000);
}

static void bodies_on_many_streams_are_all_read(void **state)
{
    struct world *w = *state;
    skip_without("/usr/bin/h2load");
    listen_for_h2(w);
    run_outside(w, "head -c 30000 /dev/zero >body; h2load -n 2000 -c 2 -m 20 -d body $url/ | grep -o '2000 "
                   "succeeded, 0 failed'");
    assert_string_equal(w->said, "2000 succeeded, 0 failed\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(rapid_resets_are_told_to_go),
        world_test(a_flood_of_continuations_is_cut),
        world_test(a_flood_of_pings_is_cut),
        world_test(too_large_a_head_is_not_asked),
        world_test(who_leaves_an_event_stream_is_noticed),
        world_test(curl_speaks_both_versions_and_trusts_the_authority),
        world_test(an_event_may_be_longer_than_a_reader_may_be_behind),
        world_test(curl_is_told_that_a_body_is_too_large),
        world_test(many_streams_on_few_connections_are_all_answered),
        world_test(bodies_on_many_streams_are_all_read),
    };
    return cmocka_run_group_tests_name("h2", tests, NULL, NULL);
}
