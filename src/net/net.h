/* net.h: one libuv loop; TLS 1.3, HTTP/1.1 and 2, server-sent events, WebSocket and raw byte streams, as a
 * server and as a client. It knows bytes and deadlines, and no rule of the network.
 *
 * Everything runs on the thread that runs the loop, in callbacks; nothing blocks. Only net_wake may be
 * called from another thread. Handles (struct net_request, net_socket, net_call …) stay valid until the
 * callback that says they are over has returned; using one after that is a mistake of the caller.
 * Memory of a borrowed struct str lasts until the callback returns.
 *
 * A server gives an address that nobody vouches for so much of its time and no more: what its connections cost is put
 * down, and beyond a burst they wait (strangers_int.h).
 *
 * Limits are below and hold from the first day: connections in all and per address, bytes of a head, a
 * body, a frame; a deadline for each phase (TLS hello, request head, body rate, keep-alive, stalled
 * reader, pong). Accepting stops before the descriptor limit. */
#ifndef NET_NET_H
#define NET_NET_H

#include "base/err.h"
#include "base/str.h"

#include <sys/socket.h>

#define NET_HEAD_BYTES_MAX 16384
#define NET_BODY_BYTES_MAX (256 * 1024)
#define NET_FRAME_BYTES_MAX 65536
#define NET_CONNECTIONS_MAX 16384
#define NET_CONNECTIONS_PER_ADDRESS_MAX 4096
#define NET_REPLY_HEADERS_MAX 32
#define NET_STRANGER_US_PER_S 5000
#define NET_ADDRESS_TEXT 64

struct net;

must_check struct err net_open(struct net **out);
void                  net_run(struct net *n);  /* until net_stop; SIGPIPE is ignored */
void                  net_stop(struct net *n); /* closes everything, then net_run returns */
void                  net_close(struct net *n);
void                 *net_uv_loop(struct net *n); /* uv_loop_t, for child processes and sockets of one's own */
uint64_t              net_now_ms(struct net *n);  /* CLOCK_BOOTTIME, fresh */

/* ---- timers, signals, waking ----------------------------------------------------------------------- */

struct net_timer;
typedef void (*net_on_timer)(void *ctx);
must_check struct err net_timer_start(struct net *n, uint64_t after_ms, uint64_t every_ms, net_on_timer call,
                                      void              *ctx,
                                      struct net_timer **out); /* every_ms 0: once, then it frees itself */
void                  net_timer_stop(struct net_timer *t);
must_check struct err net_on_signal(struct net *n, int signal, net_on_timer call, void *ctx);

struct net_waker;
must_check struct err net_waker_open(struct net *n, net_on_timer call, void *ctx, struct net_waker **out);
/* From any thread; the call follows on the loop, several wakes may become one. */
void net_wake(struct net_waker *w);

/* ---- the authority: a small CA, and pins ------------------------------------------------------------ */

/* SHA-256 of the authority's certificate (DER): what a client pins. */
struct net_pin {
    uint8_t sha256[32];
};

/* Makes DIR/authority.key and .crt (Ed25519 or P-256, 0600) unless they are there; gives the pin. */
must_check struct err net_authority_open(const char *dir, struct net_pin *out);
/* A key and a certificate by that authority for these DNS names or IP addresses (wildcards allowed), valid
 * for days; written to DIR/NAME.key and .crt (chain with the authority's), made anew when they end within 30 days
 * or the names differ. */
must_check struct err net_authority_issue(const char *dir, const char *name, const char *const *hosts,
                                          size_t count, int days);
/* The same for a key that another machine holds: `csr_pem` in, chain out (zero-ended PEM). The names come
 * from the caller, never from the request. */
must_check struct err net_authority_sign(const char *dir, struct str csr_pem, const char *const *hosts,
                                         size_t count, int days, char *chain_pem, size_t size);
/* A new key at key_path (0600, kept if there) and a request for it. */
must_check struct err net_request_make(const char *key_path, char *csr_pem, size_t size);

/* ---- server ----------------------------------------------------------------------------------------- */

struct net_server;
struct net_request; /* one request, on h1 or h2 */
struct net_stream;  /* a body that is written bit by bit (server-sent events) */
struct net_socket;  /* a WebSocket */
struct net_raw;     /* bytes after an upgrade */

struct net_server_options {
    const char *address; /* numeric; "0.0.0.0" or "::" for all */
    uint16_t    port;    /* 0 takes any: net_server_port */
    const char *cert_path;
    const char *key_path;
    bool        http2; /* offer h2 by ALPN; the gateway does not */
    bool        plain; /* no TLS: only for loopback in tests */
    /* A whole request with its body (up to body_max); answer now or later, exactly once. */
    void (*on_request)(void *ctx, struct net_request *r);
    /* Instead of on_request, as soon as the head is there, for requests with `Upgrade:` (h1 only): answer with
     * net_socket_accept, net_raw_accept or net_reply. Null: upgrades are refused. */
    void (*on_upgrade)(void *ctx, struct net_request *r);
    /* h1 only, if set: asked on each connection's first head, before its body is read. True takes the whole
     * connection over as raw bytes (net_raw_take), the head's bytes included and unchanged: the gateway's splice. */
    bool (*on_first_head)(void *ctx, struct net_request *r);
    /* A request that the server refuses by itself (400, 405, 408, 413, 431, 501, 503): answer it with that status, at once,
     * by net_reply. What it lends may be there in part. Null: the answer has no body. */
    void (*on_refuse)(void *ctx, struct net_request *r, unsigned status);
    void    *ctx;
    uint32_t body_max; /* 0: NET_BODY_BYTES_MAX */
    uint32_t
        stranger_us_per_s; /* of an address that nobody vouches for. 0: NET_STRANGER_US_PER_S; 1000000: no limit */
};

must_check struct err net_listen(struct net *n, const struct net_server_options *o, struct net_server **out);
uint16_t              net_server_port(const struct net_server *s);
must_check struct err net_server_reload(struct net_server *s); /* the certificate, from its path */
void                  net_server_close(struct net_server *s);  /* stops listening, ends its connections */

/* What a request lends lasts until it is answered, but for its peer and SNI, which go with the client. */
struct str net_request_method(const struct net_request *r);
struct str net_request_path(const struct net_request *r);  /* as sent, without the query */
struct str net_request_query(const struct net_request *r); /* without '?' */
struct str net_request_header(const struct net_request *r,
                              struct str                lower_name);     /* "" if none; first of several */
struct str net_request_host(const struct net_request *r); /* authority, without the port, lower case */
struct str net_request_sni(const struct net_request *r);
struct str net_request_body(const struct net_request *r);
struct str net_request_peer(const struct net_request *r); /* the address as text, without the port */
/* Whether who asks on this connection is known: then it counts no longer, or again, as a stranger's. */
void net_request_vouch(struct net_request *r, bool known);
void net_request_set_ctx(struct net_request *r, void *ctx,
                         void (*on_gone)(void *ctx)); /* the client left before the answer */

struct net_header {
    struct str name; /* lower case */
    struct str value;
};

/* With {"connection", "close"} among the headers the connection ends with it (HTTP/1.1). */
void net_reply(struct net_request *r, unsigned status, const struct net_header *headers, size_t count,
               struct str body);
/* Sends the head now; the body follows by net_stream_send until net_stream_end. on_gone: the reader left. */
struct net_stream *net_reply_stream(struct net_request *r, unsigned status, const struct net_header *headers,
                                    size_t count, void (*on_gone)(void *ctx), void *ctx);
/* All or nothing. False: the reader is too far behind. Where nothing else waits, bytes of any length are taken. */
bool net_stream_send(struct net_stream *s, struct str bytes);
void net_stream_end(struct net_stream *s);

/* ---- WebSocket, both ends --------------------------------------------------------------------------- */

struct net_socket_calls {
    void (*on_open)(void *ctx, struct net_socket *s); /* client only */
    void (*on_text)(void *ctx, struct net_socket *s,
                    struct str message);          /* whole, UTF-8, at most NET_FRAME_BYTES_MAX */
    void (*on_close)(void *ctx, const char *why); /* exactly once, last; also when opening failed */
    uint32_t ping_ms;                             /* sends a ping that often; 0: never */
    uint32_t silent_ms;                           /* closes when nothing at all came for so long; 0: never */
};

/* Null: it was no WebSocket request and was refused, or the client has left; on_close is not called then. */
struct net_socket    *net_socket_accept(struct net_request *r, const struct net_socket_calls *calls, void *ctx);
must_check struct err net_socket_send(struct net_socket *s,
                                      struct str         text); /* ERR_LIMIT: the peer reads too slowly */
void       net_socket_close(struct net_socket *s, uint16_t code, struct str reason); /* on_close follows */
void       net_socket_vouch(struct net_socket *s);                                   /* as net_request_vouch */
struct str net_socket_peer(const struct net_socket *s);                              /* address without port */

/* ---- raw bytes, both ends --------------------------------------------------------------------------- */

struct net_raw_calls {
    void (*on_open)(void *ctx, struct net_raw *r); /* client only: the 101 came */
    void (*on_bytes)(void *ctx, struct net_raw *r, struct str bytes);
    void (*on_drain)(void *ctx, struct net_raw *r); /* what was to be sent is on its way */
    void (*on_end)(void *ctx, struct net_raw *r);   /* the peer sends no more; we still may */
    void (*on_close)(void *ctx, const char *why);   /* exactly once, last */
};

/* Answers the upgrade with 101 and `Upgrade: protocol`. Null: the client has left; on_close is not called then. */
struct net_raw *net_raw_accept(struct net_request *r, struct str protocol, const struct net_raw_calls *calls,
                               void *ctx);
/* Who gets raw bytes is vouched for by that.
 * Within on_first_head, which then answers true: no answer is written; on_bytes starts with the first head as it
 * came. The request is over with it. */
struct net_raw *net_raw_take(struct net_request *r, const struct net_raw_calls *calls, void *ctx);
/* A plain connected stream socket (takes the descriptor). */
must_check struct err net_raw_adopt(struct net *n, int fd, const struct net_raw_calls *calls, void *ctx,
                                    struct net_raw **out);

/* A client's end: from on_open on. Only net_raw_close may come before. */
void   net_raw_send(struct net_raw *r, struct str bytes);
size_t net_raw_waiting(const struct net_raw *r);     /* bytes not yet handed to the kernel */
void   net_raw_pause(struct net_raw *r, bool pause); /* stop or go on reading */
void   net_raw_end(struct net_raw *r);   /* sends what waits, then no more (TLS close_notify, FIN) */
void   net_raw_close(struct net_raw *r); /* at once; on_close follows */
void   net_raw_set(struct net_raw *r, const struct net_raw_calls *calls, void *ctx); /* another owner */

/* Joins two: every byte of one goes to the other, with back pressure and half-closes; when both ended, or either
 * broke, both close and on_over is called with the bytes carried each way. The old callbacks get nothing more. */
typedef void (*net_on_over)(void *ctx, uint64_t a_to_b, uint64_t b_to_a);
struct net_splice;
struct net_splice *net_splice(struct net_raw *a, struct net_raw *b, net_on_over call, void *ctx);
void               net_splice_cut(struct net_splice *s); /* ends both; on_over follows */

/* A plain TCP listener (ionet forward). on_accept owns the raw it is given (set its callbacks with net_raw_set). */
struct net_listener;
must_check struct err net_tcp_listen(struct net *n, const char *address, uint16_t port,
                                     void (*on_accept)(void *ctx, struct net_raw *r), void *ctx,
                                     struct net_listener **out);
uint16_t              net_listener_port(const struct net_listener *l);
void                  net_listener_close(struct net_listener *l);

/* ---- client ----------------------------------------------------------------------------------------- */

struct net_target {
    const char           *host; /* name or address to connect to */
    uint16_t              port;
    const char           *server_name; /* for SNI, Host and the certificate's name; null: host */
    const struct net_pin *pin;         /* the chain must end at this authority; null: the system's list */
    bool                  plain;       /* no TLS: tests only */
    uint32_t              timeout_ms;  /* to be connected and answered; 0: 10 s */
};

/* One HTTP/1.1 request on a connection of its own. */
struct net_call;
struct net_call_calls {
    void (*on_head)(void *ctx, unsigned status, struct str content_type);
    void (*on_body)(void *ctx, struct str bytes); /* as it comes (also event streams) */
    void (*on_done)(void *ctx, struct err e);     /* exactly once, last */
};
must_check struct err net_call(struct net *n, const struct net_target *t, struct str method,
                               struct str path_query, const struct net_header *headers, size_t count,
                               struct str body, const struct net_call_calls *calls, void *ctx,
                               struct net_call **out);
void                  net_call_cancel(struct net_call *c); /* no more callbacks */

must_check struct err net_socket_connect(struct net *n, const struct net_target *t, struct str path,
                                         const struct net_socket_calls *calls, void *ctx,
                                         struct net_socket **out);
/* GET path, Upgrade: protocol; other headers as given. on_open after the 101; on_close with the status otherwise. */
must_check struct err net_raw_connect(struct net *n, const struct net_target *t, struct str path,
                                      struct str protocol, const struct net_header *headers, size_t count,
                                      const struct net_raw_calls *calls, void *ctx, struct net_raw **out);

#endif
