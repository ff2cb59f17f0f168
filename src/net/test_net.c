#include "world_int.h"

#include <sys/mman.h>
#include <sys/stat.h>

static void on_request(void *ctx, struct net_request *r)
{
    (void)ctx;
    const struct net_header type = { STR("content-type"), STR("text/plain") };
    char                    room[1024];
    struct text             t = TEXT_IN(room);
    text_add(&t, net_request_method(r));
    text_add_char(&t, ' ');
    text_add(&t, net_request_path(r));
    text_add_char(&t, ' ');
    text_add(&t, net_request_query(r));
    text_add_char(&t, ' ');
    text_add(&t, net_request_host(r));
    text_add_char(&t, ' ');
    text_add_u64(&t, net_request_body(r).len);
    net_reply(r, 200, &type, 1, text_str(&t));
}

static void server_on_text(void *ctx, struct net_socket *s, struct str message)
{
    struct world *w = ctx;
    if (str_eq(message, STR("bye")))
        net_socket_close(s, 4001, STR("as you wish"));
    else
        w->err = net_socket_send(s, message);
}

static void echo_bytes(void *ctx, struct net_raw *r, struct str bytes)
{
    (void)ctx;
    net_raw_send(r, bytes);
}

static void echo_end(void *ctx, struct net_raw *r)
{
    (void)ctx;
    net_raw_end(r);
}

static const struct net_raw_calls echo_calls = { .on_bytes = echo_bytes,
                                                 .on_end   = echo_end,
                                                 .on_close = nothing_closes };

static void on_upgrade(void *ctx, struct net_request *r)
{
    static const struct net_socket_calls calls = { .on_text = server_on_text, .on_close = nothing_closes };
    if (str_eq(net_request_path(r), STR("/socket")))
        (void)net_socket_accept(r, &calls, ctx);
    else if (str_eq(net_request_path(r), STR("/raw")))
        (void)net_raw_accept(r, STR("ionet-bytes"), &echo_calls, ctx);
    else
        net_reply(r, 403, NULL, 0, STR(""));
}

static void listen_for(struct world *w)
{
    world_listen(w, (struct net_server_options){ .on_request = on_request, .on_upgrade = on_upgrade });
}

/* ---- calls ----------------------------------------------------------------------------------------- */

static void call_head(void *ctx, unsigned status, struct str content_type)
{
    struct world *w = ctx;
    w->status       = status;
    (void)content_type;
}

static void call_body(void *ctx, struct str bytes)
{
    say(ctx, bytes);
}

static void call_done(void *ctx, struct err e)
{
    struct world *w = ctx;
    w->err          = e;
    w->done++;
    net_stop(w->net);
}

static const struct net_call_calls call_calls = { call_head, call_body, call_done };

static void call(struct world *w, struct str method, struct str path, struct str body)
{
    assert_int_equal(net_call(w->net, &w->target, method, path, NULL, 0, body, &call_calls, w, NULL).code,
                     ERR_NONE);
    net_run(w->net);
    assert_int_equal(w->done, 1);
}

static void a_call_is_answered_with_the_body(void **state)
{
    struct world *w = *state;
    listen_for(w);
    call(w, STR("POST"), STR("/a/b?c=d"), STR("12345"));
    assert_int_equal(w->err.code, ERR_NONE);
    assert_int_equal(w->status, 200);
    assert_string_equal(w->said, "POST /a/b c=d localhost 5");
}

static void a_server_with_another_authority_is_refused(void **state)
{
    struct world *w = *state;
    listen_for(w);
    w->pin.sha256[31] ^= 1;
    call(w, STR("GET"), STR("/"), STR(""));
    assert_int_equal(w->err.code, ERR_IO);
    assert_string_equal(w->err.why, "the server's certificate is not from the authority that is trusted");
}

static void a_server_with_another_name_is_refused(void **state)
{
    struct world *w = *state;
    listen_for(w);
    w->target.server_name = "elsewhere";
    call(w, STR("GET"), STR("/"), STR(""));
    assert_string_equal(w->err.why, "the server's certificate is for another name");
}

static void a_server_that_is_not_there_is_told(void **state)
{
    struct world *w = *state;
    listen_for(w);
    net_server_close(w->server);
    call(w, STR("GET"), STR("/"), STR(""));
    assert_int_equal(w->err.code, ERR_IO);
}

static void a_cancelled_call_says_nothing(void **state)
{
    struct world     *w = *state;
    struct net_call  *c;
    struct net_timer *t;
    listen_for(w);
    assert_int_equal(
        net_call(w->net, &w->target, STR("GET"), STR("/"), NULL, 0, STR(""), &call_calls, w, &c).code,
        ERR_NONE);
    net_call_cancel(c);
    assert_int_equal(net_timer_start(w->net, 100, 0, stop_now, w, &t).code, ERR_NONE);
    net_run(w->net);
    assert_int_equal(w->done, 1); /* the timer alone */
    assert_int_equal(w->said_len, 0);
}

static void never_answer(void *ctx, struct net_request *r)
{
    ((struct world *)ctx)->kept = r;
}

static void a_server_that_never_answers_runs_into_the_timeout(void **state)
{
    struct world *w = *state;
    world_listen(w, (struct net_server_options){ .on_request = never_answer });
    w->target.timeout_ms = 200;
    call(w, STR("GET"), STR("/"), STR(""));
    assert_int_equal(w->err.code, ERR_TIMEOUT);
    net_reply(w->kept, 200, NULL, 0, STR("")); /* the loop has stopped: nobody is there any more */
}

static void a_header_cannot_smuggle_a_second_one(void **state)
{
    struct world           *w    = *state;
    const struct net_header evil = { STR("x"), STR("a\r\nb: c") };
    struct net_call        *c;
    listen_for(w);
    assert_int_equal(
        net_call(w->net, &w->target, STR("GET"), STR("/"), &evil, 1, STR(""), &call_calls, w, &c).code,
        ERR_INVALID);
    assert_int_equal(
        net_call(w->net, &w->target, STR("GET"), STR("/ HTTP/1.1"), NULL, 0, STR(""), &call_calls, w, &c).code,
        ERR_INVALID);
}

static void a_certificate_is_made_anew_when_its_names_differ(void **state)
{
    static const char *const more[] = { "localhost", "new.test" };
    struct world            *w      = *state;
    listen_for(w);
    assert_int_equal(net_authority_issue(w->dir, "server", more, 2, 90).code, ERR_NONE);
    assert_int_equal(net_server_reload(w->server).code, ERR_NONE);
    w->target.server_name = "new.test";
    call(w, STR("GET"), STR("/"), STR(""));
    assert_int_equal(w->err.code, ERR_NONE);
    assert_string_equal(w->said, "GET /  new.test 0");
}

static void a_certificate_that_is_good_stays(void **state)
{
    static const char *const same[] = { "localhost", "127.0.0.1", "*.gate.test" };
    static const char *const evil[] = { "localhost,DNS:evil.test" };
    struct world            *w      = *state;
    struct stat              before, after;
    assert_int_equal(stat(w->cert, &before), 0);
    assert_int_equal(net_authority_issue(w->dir, "server", same, 3, 90).code, ERR_NONE);
    assert_int_equal(stat(w->cert, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(before.st_mode & 0777, 0600);
    assert_int_equal(net_authority_issue(w->dir, "server", evil, 1, 90).code, ERR_INVALID);
}

static void a_loop_that_stops_starts_nothing(void **state)
{
    struct world     *w = *state;
    struct net_timer *t;
    struct net_call  *c;
    listen_for(w);
    net_stop(w->net);
    assert_int_equal(net_timer_start(w->net, 1, 0, stop_now, w, &t).code, ERR_IO);
    assert_int_equal(
        net_call(w->net, &w->target, STR("GET"), STR("/"), NULL, 0, STR(""), &call_calls, w, &c).code, ERR_IO);
}

/* ---- WebSocket ------------------------------------------------------------------------------------- */

static void client_on_open(void *ctx, struct net_socket *s)
{
    struct world *w = ctx;
    w->err          = net_socket_send(s, STR("hello"));
}

static void client_on_text(void *ctx, struct net_socket *s, struct str message)
{
    say(ctx, message);
    struct world *w = ctx;
    w->err          = net_socket_send(s, STR("bye"));
}

static void client_on_close(void *ctx, const char *why)
{
    struct world *w = ctx;
    w->done++;
    (void)snprintf(w->why, sizeof w->why, "%s", why);
    net_stop(w->net);
}

static const struct net_socket_calls client_calls = { client_on_open, client_on_text, client_on_close, 0, 0 };

static void a_websocket_echoes_and_closes_with_a_reason(void **state)
{
    struct world      *w = *state;
    struct net_socket *s;
    listen_for(w);
    assert_int_equal(net_socket_connect(w->net, &w->target, STR("/socket"), &client_calls, w, &s).code,
                     ERR_NONE);
    net_run(w->net);
    assert_int_equal(w->done, 1);
    assert_int_equal(w->err.code, ERR_NONE);
    assert_string_equal(w->said, "hello");
    assert_string_equal(w->why, "as you wish");
}

static void a_refused_websocket_tells_the_status(void **state)
{
    struct world      *w = *state;
    struct net_socket *s;
    listen_for(w);
    assert_int_equal(net_socket_connect(w->net, &w->target, STR("/no"), &client_calls, w, &s).code, ERR_NONE);
    net_run(w->net);
    assert_int_equal(w->done, 1);
    assert_string_equal(w->why, "status 403");
}

/* ---- raw bytes ------------------------------------------------------------------------------------- */

static void raw_on_open(void *ctx, struct net_raw *r)
{
    (void)ctx;
    net_raw_send(r, STR("some bytes"));
    net_raw_end(r);
}

static void raw_on_bytes(void *ctx, struct net_raw *r, struct str bytes)
{
    (void)r;
    say(ctx, bytes);
}

static const struct net_raw_calls raw_calls = { .on_open  = raw_on_open,
                                                .on_bytes = raw_on_bytes,
                                                .on_close = client_on_close };

static void raw_bytes_come_back_after_our_half_is_closed(void **state)
{
    struct world *w = *state;
    listen_for(w);
    assert_int_equal(
        net_raw_connect(w->net, &w->target, STR("/raw"), STR("ionet-bytes"), NULL, 0, &raw_calls, w, &w->raw)
            .code,
        ERR_NONE);
    net_run(w->net);
    assert_int_equal(w->done, 1);
    assert_string_equal(w->said, "some bytes");
    assert_string_equal(w->why, "ended");
}

/* ---- the authority --------------------------------------------------------------------------------- */

static void an_authority_stays_the_same_when_opened_again(void **state)
{
    struct world  *w = *state;
    struct net_pin again;
    assert_int_equal(net_authority_open(w->dir, &again).code, ERR_NONE);
    assert_memory_equal(again.sha256, w->pin.sha256, sizeof again.sha256);
}

static void a_request_that_wants_a_pass_phrase_is_refused_and_nobody_is_asked_for_one(void **state)
{
    struct world            *w       = *state;
    static const char *const hosts[] = { "*.gate.test" };
    static const char        csr[] =
        "-----BEGIN CERTIFICATE REQUEST-----\nProc-Type: 4,ENCRYPTED\n"
        "DEK-Info: AES-128-CBC,000102030405060708090A0B0C0D0E0F\n\n"
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v\n-----END CERTIFICATE REQUEST-----\n";
    char chain[8192];
    int  asked = memfd_create("asked", MFD_CLOEXEC), before = dup(STDERR_FILENO);
    assert_true(asked >= 0 && before >= 0 && dup2(asked, STDERR_FILENO) >= 0);
    struct err e = net_authority_sign(w->dir, str_from(csr), hosts, 1, 90, chain, sizeof chain);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    assert_int_equal(e.code, ERR_INVALID);
    assert_int_equal(lseek(asked, 0, SEEK_END), 0);
    close(before);
    close(asked);
}

static void a_request_is_signed_for_the_names_of_the_signer(void **state)
{
    struct world            *w       = *state;
    static const char *const hosts[] = { "*.gate.test" };
    char                     path[PATH_MAX], csr[4096], chain[8192];
    (void)snprintf(path, sizeof path, "%s/other.key", w->dir);
    assert_int_equal(net_request_make(path, csr, sizeof csr).code, ERR_NONE);
    assert_int_equal(net_authority_sign(w->dir, str_from(csr), hosts, 1, 90, chain, sizeof chain).code,
                     ERR_NONE);
    FILE *f = fopen(w->cert, "w");
    assert_non_null(f);
    assert_true(fputs(chain, f) >= 0);
    assert_int_equal(fclose(f), 0);
    memcpy(w->key, path, sizeof path);
    listen_for(w);
    w->target.server_name = "ray--abc.gate.test";
    call(w, STR("GET"), STR("/"), STR(""));
    assert_int_equal(w->err.code, ERR_NONE);
    assert_string_equal(w->said, "GET /  ray--abc.gate.test 0");
}

/* ---- timers and wakers ----------------------------------------------------------------------------- */

static void count(void *ctx)
{
    ((struct world *)ctx)->done++;
}

static void timers_fire_and_can_be_stopped(void **state)
{
    struct world     *w = *state;
    struct net_timer *t;
    assert_int_equal(net_timer_start(w->net, 1, 1, count, w, &t).code, ERR_NONE);
    net_timer_stop(t);
    assert_int_equal(net_timer_start(w->net, 30, 0, stop_now, w, &t).code, ERR_NONE);
    uint64_t before = net_now_ms(w->net);
    net_run(w->net);
    assert_int_equal(w->done, 1);
    assert_true(net_now_ms(w->net) - before >= 29);
}

static void a_waker_wakes_the_loop(void **state)
{
    struct world     *w = *state;
    struct net_waker *waker;
    assert_int_equal(net_waker_open(w->net, stop_now, w, &waker).code, ERR_NONE);
    net_wake(waker);
    net_run(w->net);
    assert_int_equal(w->done, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(timers_fire_and_can_be_stopped),
        world_test(a_waker_wakes_the_loop),
        world_test(an_authority_stays_the_same_when_opened_again),
        world_test(a_request_that_wants_a_pass_phrase_is_refused_and_nobody_is_asked_for_one),
        world_test(a_call_is_answered_with_the_body),
        world_test(a_server_with_another_authority_is_refused),
        world_test(a_server_with_another_name_is_refused),
        world_test(a_server_that_is_not_there_is_told),
        world_test(a_cancelled_call_says_nothing),
        world_test(a_server_that_never_answers_runs_into_the_timeout),
        world_test(a_header_cannot_smuggle_a_second_one),
        world_test(a_certificate_is_made_anew_when_its_names_differ),
        world_test(a_certificate_that_is_good_stays),
        world_test(a_loop_that_stops_starts_nothing),
        world_test(a_request_is_signed_for_the_names_of_the_signer),
        world_test(a_websocket_echoes_and_closes_with_a_reason),
        world_test(a_refused_websocket_tells_the_status),
        world_test(raw_bytes_come_back_after_our_half_is_closed),
    };
    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
