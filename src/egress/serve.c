/* serve.c: the proxy itself, on a libuv loop of its own. */
#include "egress_int.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define HEAD_MS_MAX 10000
#define LOOK_MS_MAX 15000 /* for its addresses */
#define DIAL_MS_MAX 8000  /* to each */
#define IDLE_MS_MAX 300000
#define PACE_MS 10
#define BURST_MS 50 /* of its rate that may pass at once */
#define BYTES_PER_MBIT_MS 125
#define FLOW_BYTES 16384
#define SOCKET_BYTES 131072 /* that wait in each, each way */
#define CANDIDATES_MAX 4
#define BACKLOG 64
#define DIALS_AT_ONCE 64    /* and then … */
#define DIALS_PER_SECOND 16 /* … a program that asks for one file after the other needs few */

/* The bytes of one direction, of all connections together. */
struct bucket {
    int64_t      bytes; /* may be below nothing by what one read took */
    uint64_t     at_ms;
    struct flow *first, **last; /* wait for more */
};

/* From one end of a connection to the other; reads no more than it has written. */
struct flow {
    struct conn   *c;
    struct bucket *bucket;
    struct flow   *next;
    uv_stream_t   *from, *to;
    bool           waits, ended;
    uv_write_t     write;
    uv_shutdown_t  shutdown;
    size_t         len;
    char           room[FLOW_BYTES];
};

struct proxy {
    uv_loop_t                  loop;
    uv_tcp_t                   listener;
    uv_timer_t                 pacer;
    const struct egress_rules *rules;
    struct bucket              up, down;
    uint32_t                   conns;
    bool                       one_waits; /* to be accepted */
    uint64_t                   dials_milli, dials_at_ms;
};

struct conn {
    struct proxy           *p;
    uv_tcp_t                near, far;
    uv_timer_t              timer;
    uv_getaddrinfo_t        lookup;
    uv_connect_t            dial;
    bool                    looks, has_far, closing;
    unsigned                open; /* handles that libuv holds */
    struct egress_request   request;
    struct sockaddr_storage candidates[CANDIDATES_MAX];
    uint32_t                candidates_count, at;
    size_t                  head_len, used; /* of `head`: in all, and of them the head itself */
    char                    head[EGRESS_HEAD_BYTES_MAX];
    struct flow             up, down;
};

static void *alloc(size_t bytes)
{
    void *memory = calloc(1, bytes);
    check(memory != NULL);
    return memory;
}

static void proxy_accept(struct proxy *p);

/* ---- its end --------------------------------------------------------------------------------- */

static void conn_settle(struct conn *c)
{
    if (c->open || c->looks) return;
    struct proxy *p = c->p;
    free(c);
    p->conns--;
    if (p->one_waits) proxy_accept(p);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    c->open--;
    if (c->closing) conn_settle(c);
}

static void bucket_leave(struct flow *f)
{
    struct flow **at = &f->bucket->first;
    while (*at != f) at = &(*at)->next;
    *at = f->next;
    if (!*at) f->bucket->last = at;
    f->waits = false;
}

static void conn_close(struct conn *c)
{
    if (c->closing) return;
    c->closing = true;
    if (c->up.waits) bucket_leave(&c->up);
    if (c->down.waits) bucket_leave(&c->down);
    uv_close((uv_handle_t *)&c->near, on_handle_closed);
    uv_close((uv_handle_t *)&c->timer, on_handle_closed);
    if (c->has_far && !uv_is_closing((uv_handle_t *)&c->far))
        uv_close((uv_handle_t *)&c->far, on_handle_closed);
    if (c->looks) uv_cancel((uv_req_t *)&c->lookup);
}

static void on_deadline(uv_timer_t *timer)
{
    conn_close(timer->data);
}

static void conn_deadline(struct conn *c, uint64_t ms)
{
    check(uv_timer_start(&c->timer, on_deadline, ms, 0) == 0);
}

/* A fresh socket takes so few bytes at once. */
static void conn_refuse(struct conn *c, const char *status, const char *why)
{
    char text[512];
    int  len = snprintf(
        text, sizeof text,
        "HTTP/1.1 %s\r\ncontent-type: text/plain\r\ncontent-length: %zu\r\nconnection: close\r\n\r\n%s\n",
        status, strlen(why) + 1, why);
    uv_buf_t buf = uv_buf_init(text, (unsigned)len);
    (void)uv_try_write((uv_stream_t *)&c->near, &buf, 1);
    conn_close(c);
}

/* The same words whether there is no such name, it is none of a public address, or nothing answers there. */
static void conn_refuse_place(struct conn *c)
{
    conn_refuse(c, "502 Bad Gateway", "nothing that may be reached from here answers there");
}

/* ---- bytes, at their rate -------------------------------------------------------------------- */

static void bucket_fill(const struct proxy *p, struct bucket *b)
{
    uint64_t now_ms = uv_now(&p->loop);
    int64_t  a_ms = (int64_t)p->rules->mbit * BYTES_PER_MBIT_MS, most = a_ms * BURST_MS;
    uint64_t ms = now_ms - b->at_ms;
    b->bytes += ms > 1000 ? a_ms * 1000 : a_ms * (int64_t)ms;
    if (b->bytes > most) b->bytes = most;
    b->at_ms = now_ms;
}

static void flow_read(struct flow *f);

/* As many go on as the bytes may do for; who was served waits behind the others. */
static void bucket_pour(struct proxy *p, struct bucket *b)
{
    bucket_fill(p, b);
    for (int64_t left = b->bytes; b->first && left > 0; left -= FLOW_BYTES) {
        struct flow *f = b->first;
        bucket_leave(f);
        flow_read(f);
    }
}

static void on_pace(uv_timer_t *timer)
{
    struct proxy *p = timer->data;
    bucket_pour(p, &p->up);
    bucket_pour(p, &p->down);
    if (p->up.first || p->down.first) check(uv_timer_start(&p->pacer, on_pace, PACE_MS, 0) == 0);
}

static void bucket_wait(struct proxy *p, struct flow *f)
{
    f->waits         = true;
    f->next          = NULL;
    *f->bucket->last = f;
    f->bucket->last  = &f->next;
    if (!uv_is_active((uv_handle_t *)&p->pacer)) check(uv_timer_start(&p->pacer, on_pace, PACE_MS, 0) == 0);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)request, (void)status;
}

static void on_flow_end(struct flow *f)
{
    struct conn *c = f->c;
    f->ended       = true;
    if ((c->up.ended && c->down.ended) || uv_shutdown(&f->shutdown, f->to, on_shutdown) < 0) conn_close(c);
}

static void on_written(uv_write_t *request, int status)
{
    struct flow *f = request->data;
    if (f->c->closing) return;
    if (status < 0)
        conn_close(f->c);
    else
        flow_read(f);
}

static void flow_write(struct flow *f)
{
    uv_buf_t buf  = uv_buf_init(f->room, (unsigned)f->len);
    f->write.data = f;
    conn_deadline(f->c, IDLE_MS_MAX);
    if (uv_write(&f->write, f->to, &buf, 1, on_written) < 0) conn_close(f->c);
}

static void on_flow_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct conn *c = handle->data;
    struct flow *f = handle == (uv_handle_t *)c->up.from ? &c->up : &c->down;
    (void)suggested;
    *buf = uv_buf_init(f->room, sizeof f->room);
}

static void on_flow_read(uv_stream_t *from, ssize_t len, const uv_buf_t *buf)
{
    struct conn *c = from->data;
    struct flow *f = from == c->up.from ? &c->up : &c->down;
    (void)buf;
    if (len == 0) return;
    uv_read_stop(from);
    if (len > 0) {
        f->len = (size_t)len;
        f->bucket->bytes -= len;
        flow_write(f);
    } else if (len == UV_EOF) {
        on_flow_end(f);
    } else {
        conn_close(c);
    }
}

static void flow_read(struct flow *f)
{
    struct proxy *p = f->c->p;
    bucket_fill(p, f->bucket);
    if (f->bucket->bytes <= 0)
        bucket_wait(p, f);
    else if (uv_read_start(f->from, on_flow_room, on_flow_read) < 0)
        conn_close(f->c);
}

/* ---- to the far end -------------------------------------------------------------------------- */

static void conn_join(struct conn *c)
{
    struct str   head = { c->head, c->used }, rest = { c->head + c->used, c->head_len - c->used };
    struct text  t    = { c->up.room, 0, sizeof c->up.room, false };
    uv_stream_t *near = (uv_stream_t *)&c->near, *far = (uv_stream_t *)&c->far;
    if (c->request.connect) {
        static char yes[] = "HTTP/1.1 200 Connection established\r\n\r\n";
        uv_buf_t    buf   = uv_buf_init(yes, sizeof yes - 1);
        if (uv_try_write(near, &buf, 1) != (int)sizeof yes - 1) {
            conn_close(c);
            return;
        }
    } else {
        egress_request_write(head, &c->request, &t);
    }
    text_add(&t, rest);
    check(!t.full); /* there is room for twice the head */
    c->up.from = c->down.to = near;
    c->up.to = c->down.from = far;
    c->up.len               = t.len;
    conn_deadline(c, IDLE_MS_MAX);
    if (t.len)
        flow_write(&c->up);
    else
        flow_read(&c->up);
    if (!c->closing) flow_read(&c->down);
}

static void conn_dial(struct conn *c);

static void on_far_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    c->open--;
    c->has_far = false;
    if (c->closing)
        conn_settle(c);
    else
        conn_dial(c);
}

static void on_dialed(uv_connect_t *dial, int status)
{
    struct conn *c = dial->handle->data;
    if (c->closing || uv_is_closing((uv_handle_t *)&c->far)) return;
    if (status < 0)
        uv_close((uv_handle_t *)&c->far, on_far_closed);
    else
        conn_join(c);
}

static void on_dial_deadline(uv_timer_t *timer)
{
    struct conn *c = timer->data;
    if (c->has_far && !uv_is_closing((uv_handle_t *)&c->far)) uv_close((uv_handle_t *)&c->far, on_far_closed);
}

static void limit_buffers(uv_handle_t *handle)
{
    int size = SOCKET_BYTES, same = SOCKET_BYTES;
    (void)uv_send_buffer_size(handle, &size);
    (void)uv_recv_buffer_size(handle, &same);
}

/* The next of its addresses, each of which was looked at. */
static void conn_dial(struct conn *c)
{
    if (c->at == c->candidates_count) {
        conn_refuse_place(c);
        return;
    }
    const struct sockaddr *to = (const struct sockaddr *)&c->candidates[c->at++];
    if (uv_tcp_init_ex(&c->p->loop, &c->far, to->sa_family) < 0) {
        conn_dial(c);
        return;
    }
    c->far.data = c;
    c->has_far  = true;
    c->open++;
    limit_buffers((uv_handle_t *)&c->far);
    check(uv_timer_start(&c->timer, on_dial_deadline, DIAL_MS_MAX, 0) == 0);
    if (uv_tcp_connect(&c->dial, &c->far, to, on_dialed) < 0) uv_close((uv_handle_t *)&c->far, on_far_closed);
}

/* ---- where it is ----------------------------------------------------------------------------- */

static void take_candidate(struct conn *c, const struct sockaddr *found, socklen_t len)
{
    struct in6_addr a;
    if (c->candidates_count == CANDIDATES_MAX || len > sizeof c->candidates[0]) return;
    if (!address_of(found, &a) || !egress_may_reach(c->p->rules, &a) || address_is_near(&a)) return;
    struct sockaddr_storage *to = &c->candidates[c->candidates_count++];
    memcpy(to, found, len);
    if (found->sa_family == AF_INET)
        ((struct sockaddr_in *)(void *)to)->sin_port = htons(c->request.port);
    else
        ((struct sockaddr_in6 *)(void *)to)->sin6_port = htons(c->request.port);
}

static void on_looked(uv_getaddrinfo_t *lookup, int status, struct addrinfo *all)
{
    struct conn *c = lookup->data;
    c->looks       = false;
    if (c->closing) {
        uv_freeaddrinfo(all);
        conn_settle(c);
        return;
    }
    for (const struct addrinfo *a = status == 0 ? all : NULL; a; a = a->ai_next)
        take_candidate(c, a->ai_addr, a->ai_addrlen);
    uv_freeaddrinfo(all);
    conn_dial(c);
}

/* Every way to write an address is the resolver's to read ("0x7f.1", "2130706433"): what it means is looked at after.
 * A name is asked for as it is: with a dot at its end nothing of the machine's own domain is put behind it. */
static void conn_look(struct conn *c)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST },
                    *all;
    char   name[EGRESS_HOST_TEXT + 1];
    size_t len = strlen(c->request.host);
    memcpy(name, c->request.host, len + 1);
    if (getaddrinfo(name, NULL, &hints, &all) == 0) {
        for (const struct addrinfo *a = all; a; a = a->ai_next) take_candidate(c, a->ai_addr, a->ai_addrlen);
        freeaddrinfo(all);
        conn_dial(c);
        return;
    }
    if (egress_host_is_local(name)) {
        conn_refuse_place(c);
        return;
    }
    if (name[len - 1] != '.') memcpy(name + len, ".", 2);
    hints.ai_flags = 0;
    conn_deadline(c, LOOK_MS_MAX);
    c->lookup.data = c;
    c->looks       = uv_getaddrinfo(&c->p->loop, &c->lookup, on_looked, name, NULL, &hints) == 0;
    if (!c->looks) conn_refuse_place(c);
}

static bool may_dial(struct proxy *p)
{
    uint64_t now_ms = uv_now(&p->loop), most = DIALS_AT_ONCE * 1000;
    p->dials_milli += (now_ms - p->dials_at_ms) * DIALS_PER_SECOND;
    p->dials_at_ms = now_ms;
    if (p->dials_milli > most) p->dials_milli = most;
    if (p->dials_milli < 1000) return false;
    p->dials_milli -= 1000;
    return true;
}

static bool port_is_allowed(const struct egress_rules *rules, uint16_t port)
{
    for (uint32_t i = 0; i < rules->ports_count; i++)
        if (rules->ports[i] == port) return true;
    return false;
}

static void conn_begin(struct conn *c)
{
    if (egress_request_read((struct str){ c->head, c->used }, &c->request).code)
        conn_refuse(c, "400 Bad Request", "this is a proxy: CONNECT HOST:PORT, or GET http://HOST/");
    else if (!port_is_allowed(c->p->rules, c->request.port))
        conn_refuse(c, "403 Forbidden", "that port may not be reached from here");
    else if (!may_dial(c->p))
        conn_refuse(c, "429 Too Many Requests", "too many connections were begun: wait a second");
    else
        conn_look(c);
}

/* ---- the near end ---------------------------------------------------------------------------- */

static void on_head_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct conn *c = handle->data;
    (void)suggested;
    *buf = uv_buf_init(c->head + c->head_len, (unsigned)(sizeof c->head - c->head_len));
}

static void on_head(uv_stream_t *near, ssize_t len, const uv_buf_t *buf)
{
    struct conn *c = near->data;
    (void)buf;
    if (len == 0) return;
    if (len < 0) {
        conn_close(c);
        return;
    }
    c->head_len += (size_t)len;
    const char *end = memmem(c->head, c->head_len, "\r\n\r\n", 4);
    if (!end && c->head_len < sizeof c->head) return;
    uv_read_stop(near);
    c->used = end ? (size_t)(end - c->head) + 4 : 0;
    conn_begin(c);
}

static void proxy_accept(struct proxy *p)
{
    p->one_waits = p->conns >= p->rules->connections;
    if (p->one_waits) return;
    struct conn *c = alloc(sizeof *c);
    c->p           = p;
    c->open        = 2;
    c->up          = (struct flow){ .c = c, .bucket = &p->up };
    c->down        = (struct flow){ .c = c, .bucket = &p->down };
    c->near.data = c->timer.data = c;
    p->conns++;
    check(uv_tcp_init(&p->loop, &c->near) == 0 && uv_timer_init(&p->loop, &c->timer) == 0);
    conn_deadline(c, HEAD_MS_MAX);
    if (uv_accept((uv_stream_t *)&p->listener, (uv_stream_t *)&c->near) < 0 ||
        uv_read_start((uv_stream_t *)&c->near, on_head_room, on_head) < 0) {
        conn_close(c);
        return;
    }
    limit_buffers((uv_handle_t *)&c->near);
}

static void on_connection(uv_stream_t *listener, int status)
{
    if (status == 0) proxy_accept(listener->data);
}

void egress_serve(int listener, const struct egress_rules *rules)
{
    static struct proxy p;
    p.rules     = rules;
    p.up.last   = &p.up.first;
    p.down.last = &p.down.first;
    check(uv_loop_init(&p.loop) == 0);
    check(uv_tcp_init(&p.loop, &p.listener) == 0 && uv_timer_init(&p.loop, &p.pacer) == 0);
    p.listener.data = p.pacer.data = &p;
    p.up.at_ms = p.down.at_ms = p.dials_at_ms = uv_now(&p.loop);
    p.dials_milli                             = DIALS_AT_ONCE * 1000;
    check(uv_tcp_open(&p.listener, listener) == 0);
    check(uv_listen((uv_stream_t *)&p.listener, BACKLOG, on_connection) == 0);
    uv_run(&p.loop, UV_RUN_DEFAULT);
    check_failed("it serves until it is ended", __FILE__, __LINE__);
}
