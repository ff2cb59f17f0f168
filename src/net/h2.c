/* h2.c: a server's HTTP/2 connection, by nghttp2. Frames are made when the connection has room for them, at the end
 * of the turn; until then an answer's body waits in its stream. */
#include "server_int.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define H2_STREAMS_MAX 128
#define H2_WINDOW_BYTES (256 * 1024)
#define H2_CONNECTION_WINDOW_BYTES (1024 * 1024)
#define H2_QUEUE_BYTES (256 * 1024)           /* made frames that may wait for the socket */
#define H2_UNSENT_BYTES_MAX (8 * 1024 * 1024) /* bodies of answers that wait, all streams together */
#define H2_UNREAD_BYTES_MAX (4 * 1024 * 1024) /* bodies of requests being read, all streams together */
#define H2_ACKS_MAX 1000                      /* answers to PING and SETTINGS that a silent reader may cause */
#define H2_CONTINUATIONS_MAX 8                /* frames of one head */
#define H2_RESETS_BURST 200                   /* streams opened and reset at once ("rapid reset") … */
#define H2_RESETS_PER_S 20                    /* … and then per second */
#define H2_TICK_MS 5000

struct h2 {
    struct conn       *conn;
    struct net_server *server;
    nghttp2_session   *session;
    struct ring        streams;
    size_t             unsent;
    size_t             unread;
};

struct h2_stream {
    struct ring         ring;
    struct h2          *h2;
    int32_t             id;
    struct net_request *request; /* null once it is answered or refused */
    struct bytes        out;
    uint64_t            since_ms; /* the head began, or the answer last moved */
    bool                heading;  /* its head is not whole yet */
    bool                ended;    /* nothing is added to `out` any more */
    bool                heard;    /* the client has sent all of it */
};

static uint64_t h2_now(const struct h2 *h)
{
    return uv_now(&h->conn->net->loop);
}

/* ---- answers --------------------------------------------------------------------------------------- */

static ssize_t on_data_source(nghttp2_session *session, int32_t id, uint8_t *room, size_t size, uint32_t *flags,
                              nghttp2_data_source *source, void *user)
{
    struct h2_stream *s     = source->ptr;
    size_t            count = size < s->out.len ? size : s->out.len;
    (void)session, (void)id, (void)user;
    if (count == 0 && !s->ended) return NGHTTP2_ERR_DEFERRED;
    if (count) memcpy(room, bytes_str(&s->out).ptr, count);
    bytes_drop(&s->out, count);
    s->h2->unsent -= count;
    s->since_ms = h2_now(s->h2);
    if (s->ended && s->out.len == 0) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)count;
}

static nghttp2_nv pair(struct str name, struct str value)
{
    return (nghttp2_nv){ (uint8_t *)(uintptr_t)name.ptr, (uint8_t *)(uintptr_t)value.ptr, name.len, value.len,
                         NGHTTP2_NV_FLAG_NONE };
}

static void stream_head(struct h2_stream *s, unsigned status, const struct net_header *headers, size_t count,
                        const size_t *length, bool with_body)
{
    nghttp2_nv            nv[NET_REPLY_HEADERS_MAX + 2];
    size_t                used = 0;
    char                  status_room[8], length_room[24];
    struct text           status_text = TEXT_IN(status_room), length_text = TEXT_IN(length_room);
    nghttp2_data_provider body = { { .ptr = s }, on_data_source };
    text_add_u64(&status_text, status);
    nv[used++] = pair(STR(":status"), text_str(&status_text));
    for (size_t i = 0; i < count; i++)
        if (http_is_value(headers[i].value)) nv[used++] = pair(headers[i].name, headers[i].value);
    if (length) {
        text_add_u64(&length_text, *length);
        nv[used++] = pair(STR("content-length"), text_str(&length_text));
    }
    s->since_ms = h2_now(s->h2);
    (void)nghttp2_submit_response(s->h2->session, s->id, nv, used, with_body ? &body : NULL);
    conn_touch(s->h2->conn);
}

static void stream_answer(struct h2_stream *s, unsigned status, const struct net_header *headers, size_t count,
                          struct str body, bool is_head)
{
    bool may_have_body = status != 204 && status != 304;
    if (s->h2->unsent + body.len > H2_UNSENT_BYTES_MAX) {
        (void)nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_ENHANCE_YOUR_CALM);
        conn_touch(s->h2->conn);
        return;
    }
    s->ended = true;
    if (may_have_body && !is_head) {
        bytes_add(&s->out, body);
        s->h2->unsent += body.len;
    }
    stream_head(s, status, headers, count, may_have_body ? &body.len : NULL, s->out.len > 0);
}

/* What the request holds is no longer needed by the connection. */
static void stream_forget(struct h2_stream *s)
{
    s->h2->unread -= s->request->body_got;
    s->request = NULL;
}

static void h2_reply(struct net_request *r, unsigned status, const struct net_header *headers, size_t count,
                     struct str body)
{
    struct h2_stream *s = r->from;
    stream_answer(s, status, headers, count, body, str_eq(net_request_method(r), STR("HEAD")));
    stream_forget(s);
}

static void h2_stream_open(struct net_request *r, unsigned status, const struct net_header *headers,
                           size_t count)
{
    stream_head(r->from, status, headers, count, NULL, true);
}

static bool h2_stream_send(struct net_request *r, struct str bytes)
{
    struct h2_stream *s = r->from;
    if (s->out.len && s->out.len + bytes.len > CONN_BEHIND_MAX) return false;
    if (s->h2->unsent && s->h2->unsent + bytes.len > H2_UNSENT_BYTES_MAX) return false;
    if (str_eq(net_request_method(r), STR("HEAD"))) return true;
    if (s->out.len == 0) s->since_ms = h2_now(s->h2);
    bytes_add(&s->out, bytes);
    s->h2->unsent += bytes.len;
    (void)nghttp2_session_resume_data(s->h2->session, s->id); /* fails where it was not waiting: no harm */
    conn_touch(s->h2->conn);
    return true;
}

static void h2_stream_end(struct net_request *r)
{
    struct h2_stream *s = r->from;
    s->ended            = true;
    stream_forget(s);
    (void)nghttp2_session_resume_data(s->h2->session, s->id);
    conn_touch(s->h2->conn);
}

static const struct request_wire h2_wire = { h2_reply, h2_stream_open, h2_stream_send, h2_stream_end };

/* ---- requests -------------------------------------------------------------------------------------- */

static void stream_refuse(struct h2_stream *s, unsigned status)
{
    request_refuse(s->request, status);
    check(!s->request); /* who words refusals must not keep them */
}

static unsigned head_fault(struct net_request *r)
{
    struct str target    = head_piece(&r->head, r->target);
    struct str authority = head_find(&r->head, STR(":authority"));
    uint64_t   length;
    if (str_eq(net_request_method(r), STR("CONNECT"))) return 501;
    if (!str_starts(target, STR("/")) && !str_eq(target, STR("*"))) return 400;
    if (authority.len == 0) authority = head_find(&r->head, STR("host"));
    if (!request_take_host(r, authority)) return 400;
    struct str said = head_find(&r->head, STR("content-length"));
    if (said.len && !str_to_u64(said, &length).code && length > r->server->body_max) return 413;
    return 0;
}

static void stream_ask(struct h2_stream *s)
{
    const struct net_server_options *o = &s->h2->server->options;
    s->request->state                  = REQUEST_ASKED;
    o->on_request(o->ctx, s->request);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h = user;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    struct h2_stream *s = loop_alloc(sizeof *s);
    s->h2               = h;
    s->id               = frame->hd.stream_id;
    s->request          = request_create(h->server, h->conn, &h2_wire, s);
    s->heading          = true;
    s->since_ms         = h2_now(h);
    if (ring_is_empty(&h->streams)) conn_deadline(h->conn, H2_TICK_MS);
    ring_push(&h->streams, &s->ring);
    return nghttp2_session_set_stream_user_data(session, s->id, s);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)flags, (void)user;
    if (!s || !s->heading || !s->request) return 0; /* trailers say nothing that is asked for */
    struct head *head = &s->request->head;
    struct str   n = { (const char *)name, name_len }, v = { (const char *)value, value_len };
    bool         room;
    if (str_eq(n, STR(":method")))
        room = head_append(head, &s->request->method, v);
    else if (str_eq(n, STR(":path")))
        room = head_append(head, &s->request->target, v);
    else
        room = head_begin_field(head) && head_append(head, &head->fields[head->count - 1].name, n) &&
               head_append(head, &head->fields[head->count - 1].value, v);
    if (!room) stream_refuse(s, 431);
    return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)user;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!s) return 0;
    s->heard = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (s->heading) {
        s->heading     = false;
        unsigned fault = s->request ? head_fault(s->request) : 0;
        if (fault) stream_refuse(s, fault);
        if (s->request) s->request->body_since_ms = h2_now(s->h2);
    }
    if (s->heard && s->request && s->request->state == REQUEST_READING) stream_ask(s);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t len,
                   void *user)
{
    struct h2        *h = user;
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    (void)flags;
    if (!s || !s->request || s->request->state != REQUEST_READING) return 0;
    struct net_request *r = s->request;
    if (len > h->server->body_max - r->body_got) {
        stream_refuse(s, 413);
    } else if (h->unread + len > H2_UNREAD_BYTES_MAX) {
        stream_refuse(s, 503);
    } else {
        bytes_add(&r->body, (struct str){ (const char *)bytes, len });
        r->body_got += len;
        h->unread += len;
    }
    return 0;
}

static void stream_free(struct h2_stream *s)
{
    ring_remove(&s->ring);
    s->h2->unsent -= s->out.len;
    bytes_free(&s->out);
    free(s);
}

static void stream_gone(struct h2_stream *s)
{
    struct net_request *r = s->request;
    if (!r) return;
    stream_forget(s);
    request_gone(r);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct h2        *h = user;
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    (void)code;
    if (!s) return 0;
    (void)nghttp2_session_set_stream_user_data(session, id, NULL);
    stream_gone(s);
    stream_free(s);
    if (ring_is_empty(&h->streams)) conn_deadline(h->conn, HTTP_KEEP_ALIVE_MS);
    return 0;
}

/* ---- the connection -------------------------------------------------------------------------------- */

static void h2_pull(struct h2 *h)
{
    struct bytes gathered = { 0 };
    while (!h->conn->closing && conn_waiting(h->conn) < H2_QUEUE_BYTES) {
        const uint8_t *frame;
        ssize_t        len = nghttp2_session_mem_send(h->session, &frame);
        if (len < 0) {
            conn_close(h->conn, "HTTP/2 could not be sent");
            break;
        }
        if (len > 0) bytes_add(&gathered, (struct str){ (const char *)frame, (size_t)len });
        if (len > 0 && gathered.len < LOOP_PLAIN_BYTES) continue; /* small frames share a TLS record */
        conn_write(h->conn, bytes_str(&gathered));
        bytes_free(&gathered);
        if (len == 0) break;
    }
    bytes_free(&gathered);
    if (h->conn->closing) return;
    if (!nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session))
        conn_finish(h->conn, "HTTP/2 is over");
}

static void h2_on_bytes(void *owner, struct str bytes)
{
    struct h2 *h = owner;
    /* A goodbye for what broke the rules is already queued; without one there is nothing to say. */
    if (nghttp2_session_mem_recv(h->session, (const uint8_t *)bytes.ptr, bytes.len) >= 0) {
        conn_touch(h->conn);
    } else if (h->conn->writing) { /* who does not read would not hear it */
        conn_close(h->conn, "the peer broke the rules of HTTP/2");
    } else {
        h2_pull(h);
        conn_finish(h->conn, "the peer broke the rules of HTTP/2");
    }
}

static void h2_on_turn(void *owner)
{
    h2_pull(owner);
}

static void h2_on_end(void *owner)
{
    conn_finish(((struct h2 *)owner)->conn, "the client left");
}

/* Slow bodies lose their stream. A head that does not end, or a reader whose window stays shut, can be met only by
 * ending the connection. */
static void h2_on_deadline(void *owner)
{
    struct h2 *h   = owner;
    uint64_t   now = h2_now(h);
    if (ring_is_empty(&h->streams)) {
        (void)nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
        h2_pull(h);
        conn_finish(h->conn, "idle");
        return;
    }
    for (struct ring *r = h->streams.next; r != &h->streams; r = r->next) {
        struct h2_stream *s = ring_owner(r, struct h2_stream, ring);
        if ((s->heading && now - s->since_ms > HTTP_HEAD_MS) ||
            (s->out.len && now - s->since_ms > CONN_STALL_MS)) {
            conn_close(h->conn, "the peer was too slow");
            return;
        }
        if (s->request && !s->heading && s->request->state == REQUEST_READING &&
            request_body_is_slow(s->request, now))
            stream_refuse(s, 408);
        /* Answered before the end of its request, and given the time to read that: the rest is unwanted (RFC 9113,
         * section 8.1). A reset right behind the answer makes some clients lose it. */
        if (!s->request && s->ended && s->out.len == 0 && !s->heard && now - s->since_ms > H2_TICK_MS)
            (void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
    }
    conn_deadline(h->conn, H2_TICK_MS);
    conn_touch(h->conn);
}

static void h2_on_close(void *owner, const char *why)
{
    struct h2 *h = owner;
    (void)why;
    /* First tell everybody, then free: who is told may still end another stream. */
    for (struct ring *r = h->streams.next; r != &h->streams; r = r->next)
        stream_gone(ring_owner(r, struct h2_stream, ring));
    while (!ring_is_empty(&h->streams)) stream_free(ring_owner(h->streams.next, struct h2_stream, ring));
    nghttp2_session_del(h->session);
    free(h);
}

static const struct conn_calls h2_calls = {
    .on_bytes    = h2_on_bytes,
    .on_end      = h2_on_end,
    .on_drain    = h2_on_turn,
    .on_turn     = h2_on_turn,
    .on_deadline = h2_on_deadline,
    .on_close    = h2_on_close,
};

static nghttp2_session *session_new(struct h2 *h)
{
    nghttp2_session           *session;
    nghttp2_session_callbacks *calls;
    nghttp2_option            *option;
    check(nghttp2_session_callbacks_new(&calls) == 0 && nghttp2_option_new(&option) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_stream_close);
    nghttp2_option_set_max_outbound_ack(option, H2_ACKS_MAX);
    nghttp2_option_set_max_continuations(option, H2_CONTINUATIONS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(option, H2_RESETS_BURST, H2_RESETS_PER_S);
    nghttp2_option_set_no_closed_streams(option, 1);
    check(nghttp2_session_server_new2(&session, calls, h, option) == 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(calls);
    return session;
}

void h2_open(struct net_server *s, struct conn *c)
{
    static const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW_BYTES },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, NET_HEAD_BYTES_MAX },
    };
    struct h2 *h = loop_alloc(sizeof *h);
    h->conn      = c;
    h->server    = s;
    h->session   = session_new(h);
    ring_init(&h->streams);
    conn_own(c, &h2_calls, h);
    conn_deadline(c, HTTP_KEEP_ALIVE_MS);
    check(nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, countof(settings)) == 0);
    check(nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, H2_CONNECTION_WINDOW_BYTES) ==
          0);
    conn_touch(c);
}
