/* socket.c: WebSocket (RFC 6455), both ends, by wslay. Text only, no extensions. */
#include "exchange_int.h"
#include "framing_int.h"
#include "server_int.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#define SOCKET_KEY_TEXT 24    /* 16 bytes in base 64 */
#define SOCKET_ACCEPT_TEXT 28 /* a SHA-1 in base 64 */
#define SOCKET_WHY_MAX 128
#define SOCKET_CLOSE_MS 3000 /* how long the peer's goodbye is awaited */

struct net_socket {
    struct net             *net;
    struct conn            *conn;     /* null while connecting */
    struct exchange        *exchange; /* null once connected */
    wslay_event_context_ptr frames;   /* null while nothing of a frame is held: frames_of */
    struct framing          framing;  /* of what comes in */
    bool                    is_server;
    struct net_socket_calls calls;
    void                   *ctx;
    struct str              in;    /* bytes that wslay may take now */
    struct bytes            first; /* came with the upgrade */
    struct deadline         ping;
    struct deadline         silent;
    unsigned                status;
    bool                    opened;
    bool                    goodbye; /* we have sent, or will have sent, our close frame */
    char                    key[SOCKET_KEY_TEXT + 1];
    char                    why[SOCKET_WHY_MAX]; /* what the peer said at its goodbye */
};

/* ---- frames ---------------------------------------------------------------------------------------- */

static ssize_t on_wslay_recv(wslay_event_context_ptr frames, uint8_t *room, size_t size, int flags, void *user)
{
    struct net_socket *s = user;
    (void)flags;
    if (s->in.len == 0) {
        wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    size_t count = size < s->in.len ? size : s->in.len;
    memcpy(room, s->in.ptr, count);
    s->in = str_skip(s->in, count);
    return (ssize_t)count;
}

static ssize_t on_wslay_send(wslay_event_context_ptr frames, const uint8_t *bytes, size_t size, int flags,
                             void *user)
{
    struct net_socket *s = user;
    (void)frames, (void)flags;
    conn_write(s->conn, (struct str){ (const char *)bytes, size });
    return (ssize_t)size;
}

static int on_wslay_mask(wslay_event_context_ptr frames, uint8_t *room, size_t size, void *user)
{
    (void)frames, (void)user;
    return RAND_bytes(room, (int)size) == 1 ? 0 : -1;
}

static wslay_event_context_ptr frames_of(struct net_socket *s);

static void socket_say_goodbye(struct net_socket *s, uint16_t code, struct str reason)
{
    if (s->goodbye) return;
    s->goodbye = true;
    (void)wslay_event_queue_close(frames_of(s), code, (const uint8_t *)reason.ptr, reason.len);
    conn_deadline(s->conn, SOCKET_CLOSE_MS);
    conn_touch(s->conn);
}

static void on_wslay_message(wslay_event_context_ptr frames, const struct wslay_event_on_msg_recv_arg *m,
                             void *user)
{
    struct net_socket *s = user;
    (void)frames;
    if (m->opcode == WSLAY_CONNECTION_CLOSE) {
        struct str said = { (const char *)m->msg, m->msg_length };
        said            = str_skip(said, 2); /* the code */
        if (s->why[0] == 0 && str_copy(said, s->why, sizeof s->why).code) s->why[0] = 0;
    } else if (m->opcode == WSLAY_TEXT_FRAME && !s->goodbye) {
        s->calls.on_text(s->ctx, s, (struct str){ (const char *)m->msg, m->msg_length });
    } else if (m->opcode == WSLAY_BINARY_FRAME) {
        socket_say_goodbye(s, WSLAY_CODE_UNSUPPORTED_DATA, STR("text only"));
    }
}

static const struct wslay_event_callbacks frame_calls = {
    .recv_callback        = on_wslay_recv,
    .send_callback        = on_wslay_send,
    .genmask_callback     = on_wslay_mask,
    .on_msg_recv_callback = on_wslay_message,
};

static wslay_event_context_ptr frames_of(struct net_socket *s)
{
    if (s->frames) return s->frames;
    int rc = s->is_server ? wslay_event_context_server_init(&s->frames, &frame_calls, s)
                          : wslay_event_context_client_init(&s->frames, &frame_calls, s);
    check(rc == 0);
    wslay_event_config_set_max_recv_msg_length(s->frames, NET_FRAME_BYTES_MAX);
    return s->frames;
}

/* Thousands of connections rest most of the time. */
static void socket_rest(struct net_socket *s)
{
    if (!s->frames || s->goodbye || !framing_is_between(&s->framing) || wslay_event_want_write(s->frames))
        return;
    if (wslay_event_get_close_received(s->frames) || !wslay_event_get_read_enabled(s->frames)) return;
    wslay_event_context_free(s->frames);
    s->frames = NULL;
}

/* Everything that is said or heard ends here: what is queued goes out, and when both goodbyes are said, or the
 * peer broke the rules and was told so, the connection ends. */
static void socket_flush(struct net_socket *s)
{
    if (!s->frames) return;
    if (wslay_event_send(s->frames) != 0) {
        conn_close(s->conn, "a WebSocket frame could not be sent");
        return;
    }
    if (conn_waiting(s->conn) > CONN_BEHIND_MAX) {
        conn_close(s->conn, "the peer stopped reading");
        return;
    }
    bool said  = wslay_event_get_close_sent(s->frames) != 0,
         heard = wslay_event_get_close_received(s->frames) != 0;
    if (said && (heard || !wslay_event_get_read_enabled(s->frames)))
        conn_finish(s->conn, heard ? "the peer closed it" : "the peer broke the rules of WebSocket");
    socket_rest(s);
}

static void socket_on_bytes(void *owner, struct str bytes)
{
    struct net_socket *s = owner;
    if (s->calls.silent_ms) deadline_set(s->net, &s->silent, s->calls.silent_ms);
    s->in = bytes;
    framing_take(&s->framing, bytes);
    while (s->in.len && !s->conn->closing && !s->conn->finishing && wslay_event_get_read_enabled(frames_of(s)))
        if (wslay_event_recv(s->frames) != 0) break;
    s->in = STR("");
    if (!s->conn->closing) socket_flush(s);
}

static void socket_on_turn(void *owner)
{
    struct net_socket *s = owner;
    if (s->first.len) {
        struct bytes first = s->first;
        s->first           = (struct bytes){ 0 };
        socket_on_bytes(s, bytes_str(&first));
        bytes_free(&first);
        if (!s->conn->closing) conn_pause(s->conn, false);
    } else {
        socket_flush(s);
    }
}

static void socket_on_end(void *owner)
{
    struct net_socket *s = owner;
    conn_finish(s->conn, s->goodbye ? "closed" : "the peer left without a goodbye");
}

static void socket_over(struct net_socket *s, const char *why)
{
    deadline_clear(s->net, &s->ping);
    deadline_clear(s->net, &s->silent);
    if (s->calls.on_close) s->calls.on_close(s->ctx, s->why[0] ? s->why : why);
    if (s->frames) wslay_event_context_free(s->frames);
    bytes_free(&s->first);
    free(s);
}

static void socket_on_close(void *owner, const char *why)
{
    socket_over(owner, why);
}

static const struct conn_calls socket_conn_calls = {
    .on_bytes = socket_on_bytes,
    .on_end   = socket_on_end,
    .on_turn  = socket_on_turn,
    .on_close = socket_on_close,
};

static void on_ping_due(struct deadline *d)
{
    struct net_socket     *s    = ring_owner(d, struct net_socket, ping);
    struct wslay_event_msg ping = { .opcode = WSLAY_PING };
    if (s->goodbye) return;
    (void)wslay_event_queue_msg(frames_of(s), &ping);
    conn_touch(s->conn);
    deadline_set(s->net, d, s->calls.ping_ms);
}

static void on_silence(struct deadline *d)
{
    conn_close(ring_owner(d, struct net_socket, silent)->conn, "nothing was heard from the peer");
}

static struct net_socket *socket_create(struct net *n, const struct net_socket_calls *calls, void *ctx)
{
    struct net_socket *s = loop_alloc(sizeof *s);
    s->net               = n;
    s->calls             = *calls;
    s->ctx               = ctx;
    deadline_init(&s->ping, on_ping_due);
    deadline_init(&s->silent, on_silence);
    return s;
}

static void socket_attach(struct net_socket *s, struct conn *c, struct bytes first, bool server)
{
    s->conn      = c;
    s->first     = first;
    s->is_server = server;
    conn_own(c, &socket_conn_calls, s);
    if (s->calls.ping_ms) deadline_set(s->net, &s->ping, s->calls.ping_ms);
    if (s->calls.silent_ms) deadline_set(s->net, &s->silent, s->calls.silent_ms);
    /* What came behind the upgrade is heard first, but not before the caller has had the socket in hand. */
    conn_pause(c, first.len != 0);
    if (first.len) conn_touch(c);
}

/* ---- the handshake --------------------------------------------------------------------------------- */

/* RFC 6455, section 4.2.2. */
static void accept_of(struct str key, char out[SOCKET_ACCEPT_TEXT + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char     both[SOCKET_KEY_TEXT + sizeof guid], digest[SHA_DIGEST_LENGTH];
    check(key.len == SOCKET_KEY_TEXT);
    memcpy(both, key.ptr, key.len);
    memcpy(both + key.len, guid, sizeof guid - 1);
    SHA1(both, key.len + sizeof guid - 1, digest);
    check(EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest) == SOCKET_ACCEPT_TEXT);
}

static unsigned handshake_fault(const struct net_request *r)
{
    struct str key = net_request_header(r, STR("sec-websocket-key"));
    if (!http_has_token(net_request_header(r, STR("upgrade")), STR("websocket"))) return 400;
    if (!str_eq(net_request_method(r), STR("GET"))) return 400;
    if (!str_eq(net_request_header(r, STR("sec-websocket-version")), STR("13"))) return 426;
    unsigned char decoded[SOCKET_KEY_TEXT];
    if (key.len != SOCKET_KEY_TEXT || !str_ends(key, STR("==")) ||
        EVP_DecodeBlock(decoded, (const unsigned char *)key.ptr, (int)key.len) != 18)
        return 400;
    return 0;
}

void net_socket_vouch(struct net_socket *s)
{
    if (s->conn) conn_vouch(s->conn, true);
}

struct net_socket *net_socket_accept(struct net_request *r, const struct net_socket_calls *calls, void *ctx)
{
    char     accept[SOCKET_ACCEPT_TEXT + 1];
    unsigned fault = handshake_fault(r);
    check(r->state == REQUEST_ASKED);
    if (fault || !r->wire) {
        const struct net_header version = { STR("sec-websocket-version"), STR("13") };
        net_reply(r, fault ? fault : 400, &version, fault == 426, STR(""));
        return NULL;
    }
    accept_of(net_request_header(r, STR("sec-websocket-key")), accept);
    struct bytes       first;
    struct net_socket *s      = socket_create(r->conn->net, calls, ctx);
    struct conn       *c      = h1_leave(r, &first);
    struct bytes       answer = { 0 };
    bytes_add(&answer, STR("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
                           "sec-websocket-accept: "));
    bytes_add(&answer, (struct str){ accept, SOCKET_ACCEPT_TEXT });
    bytes_add(&answer, STR("\r\n\r\n"));
    conn_write(c, bytes_str(&answer));
    bytes_free(&answer);
    s->opened = true;
    socket_attach(s, c, first, true);
    return s;
}

static void on_head(void *owner, unsigned status, const struct head *head)
{
    (void)head;
    ((struct net_socket *)owner)->status = status;
}

static bool on_upgrade(void *owner, const struct head *head, struct conn *c, struct str rest)
{
    struct net_socket *s = owner;
    char               accept[SOCKET_ACCEPT_TEXT + 1];
    accept_of((struct str){ s->key, SOCKET_KEY_TEXT }, accept);
    if (!str_eq(head_find(head, STR("sec-websocket-accept")), str_from(accept))) return false;
    if (head_find(head, STR("sec-websocket-extensions")).len) return false; /* none was offered */

    struct bytes first = { 0 };
    bytes_add(&first, rest);
    s->exchange = NULL;
    s->opened   = true;
    socket_attach(s, c, first, false);
    if (s->calls.on_open) s->calls.on_open(s->ctx, s);
    return true;
}

static void on_done(void *owner, struct err e)
{
    struct net_socket *s = owner;
    if (s->status) (void)snprintf(s->why, sizeof s->why, "status %u", s->status);
    socket_over(s, e.why ? e.why : "the server did not upgrade");
}

static const struct exchange_calls socket_exchange_calls = { .on_head    = on_head,
                                                             .on_upgrade = on_upgrade,
                                                             .on_done    = on_done };

struct err net_socket_connect(struct net *n, const struct net_target *t, struct str path,
                              const struct net_socket_calls *calls, void *ctx, struct net_socket **out)
{
    struct net_socket *s = socket_create(n, calls, ctx);
    unsigned char      nonce[16];
    check(RAND_bytes(nonce, sizeof nonce) == 1);
    check(EVP_EncodeBlock((unsigned char *)s->key, nonce, sizeof nonce) == SOCKET_KEY_TEXT);
    const struct net_header headers[] = {
        { STR("sec-websocket-key"), { s->key, SOCKET_KEY_TEXT } },
        { STR("sec-websocket-version"), STR("13") },
    };
    struct exchange_request q = { STR("GET"), path, STR("websocket"), headers, countof(headers), STR("") };
    struct err              e = exchange_open(n, t, &q, &socket_exchange_calls, s, &s->exchange);
    if (e.code) {
        free(s);
        return e;
    }
    *out = s;
    return OK;
}

/* ---- both ------------------------------------------------------------------------------------------ */

struct err net_socket_send(struct net_socket *s, struct str text)
{
    if (!s->opened || s->goodbye || s->conn->closing || s->conn->end_asked)
        return ERR(CONFLICT, "the WebSocket is not open");
    if (text.len > NET_FRAME_BYTES_MAX) return ERR(LIMIT, "a message is too long");
    if (conn_waiting(s->conn) + text.len > CONN_BEHIND_MAX) return ERR(LIMIT, "the peer reads too slowly");
    struct wslay_event_msg m = { WSLAY_TEXT_FRAME, (const uint8_t *)text.ptr, text.len };
    if (wslay_event_queue_msg(frames_of(s), &m) != 0) return ERR(CONFLICT, "the WebSocket is not open");
    if (wslay_event_send(s->frames) != 0) return ERR(IO, "a WebSocket frame could not be sent");
    return OK;
}

void net_socket_close(struct net_socket *s, uint16_t code, struct str reason)
{
    if (s->opened)
        socket_say_goodbye(s, code, reason.len <= 123 ? reason : STR(""));
    else
        exchange_fail_soon(s->exchange, "closed");
}

struct str net_socket_peer(const struct net_socket *s)
{
    return s->conn ? str_from(s->conn->peer) : STR("");
}
