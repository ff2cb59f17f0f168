#include "conn_int.h"
#include "server_int.h"
#include "tls_int.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void conn_mark(struct conn *c)
{
    if (c->closing || !ring_is_empty(&c->dirty)) return;
    ring_push(&c->net->dirty, &c->dirty);
}

/* ---- the end ------------------------------------------------------------------------------------ */

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    struct net  *n = c->net;
    ring_remove(&c->ring);
    c->calls->on_close(c->owner, c->why);
    if (c->on_gone) c->on_gone(c);
    SSL_free(c->ssl);
    bytes_free(&c->held);
    bytes_free(&c->out);
    bytes_free(&c->flight);
    free(c);
    loop_release(n);
}

void conn_close(struct conn *c, const char *why)
{
    if (c->closing) return;
    c->closing = true;
    if (!c->why) c->why = why;
    ring_remove(&c->dirty);
    deadline_clear(c->net, &c->phase);
    deadline_clear(c->net, &c->stall);
    deadline_clear(c->net, &c->rest);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void on_phase(struct deadline *d)
{
    struct conn *c = ring_owner(d, struct conn, phase);
    if (c->calls->on_deadline && !c->finishing)
        c->calls->on_deadline(c->owner);
    else
        conn_close(c, "the peer was too slow");
}

static void on_stall(struct deadline *d)
{
    struct conn *c    = ring_owner(d, struct conn, stall);
    size_t       left = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
    if (left >= c->stall_left) {
        conn_close(c, "the peer stopped reading");
        return;
    }
    c->stall_left = left;
    deadline_set(c->net, d, CONN_STALL_MS);
}

/* ---- strangers ---------------------------------------------------------------------------------- */

static int64_t cpu_us(void)
{
    struct timespec used;
    check(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0);
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

static int64_t now_us(const struct conn *c)
{
    return (int64_t)uv_now(&c->net->loop) * 1000;
}

static void conn_rest_if_due(struct conn *c)
{
    struct net_server *s    = c->server;
    uint64_t           wait = c->stranger ? strangers_wait_ms(&s->strangers, c->address, now_us(c)) : 0;
    c->resting              = wait > 0;
    if (wait)
        deadline_set(c->net, &c->rest,
                     wait < CONN_REST_MS        ? CONN_REST_MS
                     : wait < STRANGERS_SHUT_MS ? wait
                                                : STRANGERS_SHUT_MS);
    conn_mark(c);
}

static void on_rest(struct deadline *d)
{
    conn_rest_if_due(ring_owner(d, struct conn, rest));
}

void conn_charge(struct conn *c, int64_t us)
{
    struct net_server *s = c->server;
    if (!c->stranger || c->closing || s->strangers.us_per_s >= 1000000) return;
    c->put_down_us += us;
    strangers_charge(&s->strangers, c->address, now_us(c), us);
    if (!c->resting && !strangers_may(&s->strangers, c->address, now_us(c))) conn_rest_if_due(c);
}

void conn_vouch(struct conn *c, bool known)
{
    struct net_server *s = c->server;
    if (!s || c->stranger != known) return;
    c->stranger = !known;
    if (known) strangers_charge(&s->strangers, c->address, now_us(c), -c->put_down_us);
    c->put_down_us = 0;
    if (!c->resting) return;
    c->resting = false;
    deadline_clear(c->net, &c->rest);
    conn_mark(c);
}

/* Both sides have said that they are done: nothing is left to do. */
static void conn_close_if_over(struct conn *c)
{
    if (c->got_end && c->end_sent && !c->writing) conn_close(c, "ended");
}

static void conn_take_end(struct conn *c)
{
    if (c->got_end) return;
    c->got_end = true;
    uv_read_stop((uv_stream_t *)&c->tcp);
    c->reading = false;
    if (c->finishing) {
        conn_close(c, "ended");
        return;
    }
    if (c->calls->on_end) c->calls->on_end(c->owner);
    if (!c->closing) conn_close_if_over(c);
}

/* ---- bytes in -------------------------------------------------------------------------------------- */

/* A failed handshake leaves an alert to be sent: try once, then go. */
static void conn_fail_tls(struct conn *c)
{
    const char *why = tls_failure(c->ssl);
    ERR_clear_error();
    if (c->out.len && !c->writing) {
        uv_buf_t buf = uv_buf_init(c->out.ptr + c->out.start, (unsigned)c->out.len);
        (void)uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    }
    conn_close(c, why);
}

static bool conn_shake_hands(struct conn *c)
{
    ERR_clear_error();
    int done = SSL_do_handshake(c->ssl);
    int e    = SSL_get_error(c->ssl, done);
    conn_mark(c);
    if (done == 1) {
        c->ready = true;
        c->calls->on_ready(c->owner);
        return !c->closing;
    }
    if (e != SSL_ERROR_WANT_READ) conn_fail_tls(c);
    return false;
}

/* Takes what it may out of c->in. The error is asked for before anything else can be written. */
static void conn_pump(struct conn *c)
{
    if (!c->ready && !conn_shake_hands(c)) return;
    while (!c->closing && !c->paused && !c->got_end && !c->finishing) {
        size_t got = 0;
        ERR_clear_error();
        int done = SSL_read_ex(c->ssl, c->net->plain, sizeof c->net->plain, &got);
        int e    = SSL_get_error(c->ssl, done);
        if (done == 1) {
            c->calls->on_bytes(c->owner, (struct str){ c->net->plain, got });
            continue;
        }
        if (e == SSL_ERROR_ZERO_RETURN)
            conn_take_end(c);
        else if (e != SSL_ERROR_WANT_READ)
            conn_fail_tls(c);
        break;
    }
    if (!c->closing) conn_mark(c); /* TLS itself may have had to answer */
}

static void conn_feed(struct conn *c, struct str bytes)
{
    if (c->finishing) return;
    if (!c->ssl) {
        c->calls->on_bytes(c->owner, bytes);
        return;
    }
    c->in = bytes;
    conn_pump(c);
    if (c->in.len && !c->closing && !c->finishing) bytes_add(&c->held, c->in);
    c->in = STR("");
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct conn *c = handle->data;
    (void)suggested;
    *buf = uv_buf_init(c->net->input, sizeof c->net->input);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct conn *c = stream->data;
    if (got == 0 || c->closing) return;
    if (got > 0) {
        int64_t before = c->stranger ? cpu_us() : 0;
        conn_feed(c, (struct str){ buf->base, (size_t)got });
        if (c->stranger) conn_charge(c, cpu_us() - before + STRANGERS_READ_US);
        return;
    }
    /* An end without the goodbye of TLS may be an attacker's cut. */
    if (got == UV_EOF && (!c->ssl || c->finishing))
        conn_take_end(c);
    else
        conn_close(c, got == UV_EOF ? "the connection was cut" : "the connection broke");
}

static void conn_update_reading(struct conn *c)
{
    /* A finishing connection is read only for the end, once ours has gone out: closing with bytes unread would
     * make the system throw away what the peer has not read yet. */
    bool want = !c->got_end && (c->finishing ? c->end_sent : !c->paused && !c->resting && c->held.len == 0);
    if (want == c->reading) return;
    c->reading = want;
    if (!want)
        uv_read_stop((uv_stream_t *)&c->tcp);
    else if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read))
        conn_close(c, "the connection broke");
}

/* ---- bytes out ------------------------------------------------------------------------------------- */

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct conn *c = request->data;
    if (c->closing) return;
    if (status < 0)
        conn_close(c, "the connection broke");
    else
        conn_close_if_over(c);
}

static void on_written(uv_write_t *request, int status)
{
    struct conn *c = request->data;
    c->writing     = false;
    bytes_free(&c->flight);
    if (c->closing) return;
    deadline_clear(c->net, &c->stall);
    if (status < 0)
        conn_close(c, "the connection broke");
    else
        conn_mark(c);
}

static bool conn_flush_out(struct conn *c)
{
    if (c->writing) return false;
    if (c->out.len == 0) return true;
    uv_buf_t buf  = uv_buf_init(c->out.ptr + c->out.start, (unsigned)c->out.len);
    int      sent = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        conn_close(c, "the connection broke");
        return false;
    }
    if (sent > 0) bytes_drop(&c->out, (size_t)sent);
    if (c->out.len == 0) return true;

    c->flight  = c->out;
    c->out     = (struct bytes){ 0 };
    buf        = uv_buf_init(c->flight.ptr + c->flight.start, (unsigned)c->flight.len);
    c->writing = true;
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written)) {
        c->writing = false;
        conn_close(c, "the connection broke");
        return false;
    }
    c->stall_left = c->flight.len + 1;
    if (!c->patient || c->end_asked) deadline_set(c->net, &c->stall, CONN_STALL_MS);
    return false;
}

static void conn_flush(struct conn *c)
{
    if (!conn_flush_out(c) || c->closing) return;
    if (c->end_asked && !c->end_sent) {
        c->end_sent = true;
        if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown)) {
            conn_close(c, "the connection broke");
            return;
        }
        if (c->finishing) deadline_set(c->net, &c->phase, CONN_LINGER_MS);
    }
    if (!c->owes_drain) return;
    c->owes_drain = false;
    if (c->calls->on_drain && !c->end_asked) c->calls->on_drain(c->owner);
}

static void conn_step(struct conn *c)
{
    if (c->touched) {
        c->touched = false;
        if (c->calls->on_turn) c->calls->on_turn(c->owner);
    }
    if (!c->closing && c->held.len && !c->paused && !c->resting && !c->finishing) {
        struct bytes held = c->held;
        c->held           = (struct bytes){ 0 };
        conn_feed(c, bytes_str(&held));
        bytes_free(&held);
    }
    if (!c->closing) conn_flush(c);
    if (!c->closing) conn_update_reading(c);
}

/* Those touched while this runs wait for the next turn, which then comes at once: a writer that is always ready
 * must not keep the others from the loop. */
bool conn_turn(struct net *n)
{
    struct ring now;
    ring_init(&now);
    while (!ring_is_empty(&n->dirty)) {
        struct ring *r = n->dirty.next;
        ring_remove(r);
        ring_push(&now, r);
    }
    while (!ring_is_empty(&now)) {
        struct conn *c = ring_owner(now.next, struct conn, dirty);
        ring_remove(&c->dirty);
        conn_step(c);
    }
    return !ring_is_empty(&n->dirty);
}

/* ---- what owners do -------------------------------------------------------------------------------- */

struct conn *conn_create(struct net *n, SSL *ssl, const struct conn_calls *calls, void *owner)
{
    struct conn *c = loop_alloc(sizeof *c);
    c->net         = n;
    c->ssl         = ssl;
    c->calls       = calls;
    c->owner       = owner;
    check(uv_tcp_init(&n->loop, &c->tcp) == 0);
    c->tcp.data = c->connect.data = c->write.data = c->shutdown.data = c;
    ring_init(&c->dirty);
    ring_push(&n->conns, &c->ring);
    deadline_init(&c->phase, on_phase);
    deadline_init(&c->stall, on_stall);
    deadline_init(&c->rest, on_rest);
    loop_hold(n);
    if (ssl) tls_attach(c);
    return c;
}

void conn_learn_peer(struct conn *c)
{
    struct sockaddr_storage from;
    int                     size = sizeof from;
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&from, &size)) return;
    if (from.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&from;
        memset(c->address + 10, 0xff, 2);
        memcpy(c->address + 12, &in->sin_addr, 4);
        (void)uv_ip4_name(in, c->peer, sizeof c->peer);
    } else if (from.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&from;
        memcpy(c->address, &in6->sin6_addr, 16);
        (void)uv_ip6_name(in6, c->peer, sizeof c->peer);
    }
}

/* How long what was sent may go unacknowledged. For Linux that is also how long a reader who lives may keep its window
 * shut, so for the patient it is looked at otherwise: conn_is_lost. */
static void conn_limit_silence(struct conn *c)
{
    uv_os_fd_t fd;
    unsigned   ms = c->patient ? 0 : CONN_STALL_MS;
    if (uv_fileno((const uv_handle_t *)&c->tcp, &fd) == 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

/* A peer whose cable was cut says nothing: silence is probed, and what it does not acknowledge ends it. What is no
 * TCP socket knows none of this. */
static void conn_tune(struct conn *c)
{
    (void)uv_tcp_nodelay(&c->tcp, 1);
    (void)uv_tcp_keepalive(&c->tcp, 1, CONN_PROBE_AFTER_S);
    conn_limit_silence(c);
}

void conn_start(struct conn *c)
{
    conn_tune(c);
    if (!c->peer[0]) conn_learn_peer(c);
    conn_update_reading(c);
    if (c->closing) return;
    if (!c->ssl) {
        c->ready = true;
        c->calls->on_ready(c->owner);
    } else if (!SSL_is_server(c->ssl)) {
        (void)conn_shake_hands(c);
    }
    conn_mark(c);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct conn *c = request->data;
    if (c->closing) return;
    if (status == 0)
        conn_start(c);
    else
        conn_close(c, status == UV_ECONNREFUSED ? "the server refuses connections"
                                                : "the server can't be reached");
}

void conn_connect(struct conn *c, const struct sockaddr *to)
{
    if (uv_tcp_connect(&c->connect, &c->tcp, to, on_connected)) conn_close(c, "the server can't be reached");
}

static void nobody_cares(void *owner)
{
    (void)owner;
}

static void nobody_reads(void *owner, struct str bytes)
{
    (void)owner, (void)bytes;
}

static void nobody_asks_why(void *owner, const char *why)
{
    (void)owner, (void)why;
}

void conn_abandon(struct conn *c, const char *why)
{
    static const struct conn_calls nobody = {
        .on_ready = nobody_cares, .on_bytes = nobody_reads, .on_end = nobody_cares, .on_close = nobody_asks_why
    };
    conn_own(c, &nobody, NULL);
    conn_finish(c, why);
}

void conn_own(struct conn *c, const struct conn_calls *calls, void *owner)
{
    c->calls = calls;
    c->owner = owner;
    conn_deadline(c, 0);
}

void conn_write(struct conn *c, struct str bytes)
{
    if (c->closing || c->end_asked || bytes.len == 0) return;
    if (!c->ssl) bytes_add(&c->out, bytes);
    size_t done = 0;
    ERR_clear_error();
    if (c->ssl && SSL_write_ex(c->ssl, bytes.ptr, bytes.len, &done) != 1) {
        conn_close(c, "TLS could not send");
        return;
    }
    c->owes_drain = true;
    conn_mark(c);
}

size_t conn_waiting(const struct conn *c)
{
    return c->out.len + (c->writing ? uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp) : 0);
}

/* Reading stops at once: libuv would go on filling its buffer in this same turn, and the end of the peer could overtake
 * what is held back. */
void conn_pause(struct conn *c, bool pause)
{
    c->paused = pause;
    if (pause && c->reading) {
        uv_read_stop((uv_stream_t *)&c->tcp);
        c->reading = false;
    }
    conn_mark(c);
}

void conn_be_patient(struct conn *c)
{
    c->patient = true;
    conn_limit_silence(c);
}

/* Whoever keeps his window shut acknowledges at least that it is asked about. What is no TCP socket is never lost. */
bool conn_is_lost(const struct conn *c)
{
    uv_os_fd_t      fd;
    struct tcp_info info = { .tcpi_state = 0 };
    socklen_t       size = sizeof info;
    if (uv_fileno((const uv_handle_t *)&c->tcp, &fd) || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return false;
    bool in_vain = info.tcpi_retransmits >= CONN_LOST_TRIES || info.tcpi_probes >= CONN_LOST_TRIES;
    return in_vain && info.tcpi_last_ack_recv >= CONN_LOST_MS;
}

void conn_touch(struct conn *c)
{
    c->touched = true;
    conn_mark(c);
}

void conn_deadline(struct conn *c, uint64_t after_ms)
{
    if (c->closing || c->finishing) return;
    if (after_ms)
        deadline_set(c->net, &c->phase, after_ms);
    else
        deadline_clear(c->net, &c->phase);
}

void conn_end(struct conn *c)
{
    if (c->closing || c->end_asked) return;
    if (!c->ready) {
        conn_close(c, "closed before it was open");
        return;
    }
    if (c->ssl) (void)SSL_shutdown(c->ssl);
    ERR_clear_error();
    c->end_asked = true;
    if (c->writing) deadline_set(c->net, &c->stall, CONN_STALL_MS);
    conn_mark(c);
}

void conn_finish(struct conn *c, const char *why)
{
    if (c->closing || c->finishing) return;
    c->why = why;
    conn_end(c);
    if (c->closing) return;
    deadline_clear(c->net, &c->phase);
    c->finishing = true;
    bytes_free(&c->held);
    if (c->got_end && c->end_sent)
        conn_close(c, why);
    else if (c->end_sent)
        deadline_set(c->net, &c->phase, CONN_LINGER_MS);
}

void conn_stop_all(struct net *n)
{
    for (struct ring *r = n->conns.next; r != &n->conns; r = r->next)
        conn_close(ring_owner(r, struct conn, ring), "the program is stopping");
}
