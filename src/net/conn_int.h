/* conn_int.h: one connection: a descriptor, with TLS or without, and what waits to go out.
 *
 * It has one owner at a time (a server's HTTP, a WebSocket, raw bytes, a client's exchange), which gets its calls.
 * Writing never calls back: bytes are gathered and flushed at the end of the turn. A connection ends by
 * conn_close (at once) or conn_finish (after what waits has gone out); either way on_close is the last call,
 * from the loop, and the connection is freed after it. */
#ifndef NET_CONN_INT_H
#define NET_CONN_INT_H

#include "loop_int.h"

#include <openssl/ssl.h>

#define CONN_STALL_MS 30000           /* what is to be sent must move in that time */
#define CONN_LOST_MS 20000            /* a patient one's peer that acknowledges nothing for so long, */
#define CONN_LOST_TRIES 3             /* not even what was sent again so often, is gone */
#define CONN_PROBE_AFTER_S 15         /* of silence; libuv then probes ten times, each second */
#define CONN_REST_MS 100              /* how long a stranger who took too much is not read, at least */
#define CONN_LINGER_MS 2000           /* how long the end of the peer is awaited after our last byte */
#define CONN_BEHIND_MAX (1024 * 1024) /* a reader further behind is cut, where nothing holds the writer back */

struct conn;

struct conn_calls {
    void (*on_ready)(void *owner);                   /* TLS is up, or there is none */
    void (*on_bytes)(void *owner, struct str bytes); /* must take all; conn_pause holds back the next ones */
    void (*on_end)(void *owner);                     /* the peer has sent all it wanted */
    void (*on_drain)(void *owner);                   /* nothing waits any more */
    void (*on_turn)(void *owner);                    /* asked for by conn_touch */
    void (*on_deadline)(void *owner);                /* null: the connection is closed */
    void (*on_close)(void *owner, const char *why);
};

struct conn {
    struct ring              ring;
    struct ring              dirty;
    struct net              *net;
    uv_tcp_t                 tcp;
    uv_connect_t             connect;
    uv_write_t               write;
    uv_shutdown_t            shutdown;
    SSL                     *ssl; /* null: plain */
    const struct conn_calls *calls;
    void                    *owner;
    struct str               in;     /* bytes from the wire that TLS has not taken yet */
    struct bytes             held;   /* the same, kept while reading is paused */
    struct bytes             out;    /* to be written */
    struct bytes             flight; /* being written */
    struct deadline          phase;
    struct deadline          stall;
    struct deadline          rest;       /* a stranger who took too much is read again then */
    size_t                   stall_left; /* bytes that waited when the stall was last looked at */
    const char              *why;
    char                     peer[NET_ADDRESS_TEXT];
    uint8_t                  address[16]; /* the peer's, as IPv6 */
    void (*on_gone)(struct conn *c);      /* the server's count */
    void   *server;
    int64_t put_down_us; /* to its address, as a stranger's */
    bool    stranger;    /* a server's, and nobody vouches for it */
    bool    resting;
    bool    counted; /* in the caps */
    bool    ready;
    bool    reading;
    bool    paused;
    bool    touched; /* on_turn is due */
    bool    writing; /* flight is with libuv */
    bool    owes_drain;
    bool    got_end;   /* the peer's */
    bool    end_asked; /* ours, after what waits */
    bool    end_sent;  /* close_notify and FIN are on their way */
    bool    finishing; /* what comes is dropped; closes when the peer has ended */
    bool    patient;   /* what waits may wait without limit: a splice pushes back instead */
    bool    closing;
};

struct conn *conn_create(struct net *n, SSL *ssl, const struct conn_calls *calls, void *owner);
void         conn_start(struct conn *c);      /* c->tcp is connected: by uv_accept, uv_tcp_open */
void         conn_learn_peer(struct conn *c); /* before conn_start, where it matters */
void         conn_connect(struct conn *c, const struct sockaddr *to); /* then starts it, or closes it */
void         conn_abandon(struct conn *c, const char *why);           /* finishes it, and nobody is told */
void         conn_own(struct conn *c, const struct conn_calls *calls, void *owner);

void   conn_vouch(struct conn *c, bool known);
void   conn_charge(struct conn *c, int64_t us); /* if it is a stranger's */
void   conn_write(struct conn *c, struct str bytes);
size_t conn_waiting(const struct conn *c);
void   conn_pause(struct conn *c, bool pause);
void   conn_be_patient(struct conn *c);
bool   conn_is_lost(const struct conn *c);
void   conn_touch(struct conn *c);
void   conn_deadline(struct conn *c, uint64_t after_ms); /* 0: none */
void   conn_end(struct conn *c);                         /* a half-close, after what waits */
void   conn_finish(struct conn *c, const char *why);
void   conn_close(struct conn *c, const char *why);

bool conn_turn(struct net *n); /* true: there is more to do, at once */
void conn_stop_all(struct net *n);

#endif
