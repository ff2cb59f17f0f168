/* world_int.h: what the tests of this module share: one loop, one server with an authority in a folder of its
 * own, and strangers in threads who talk to it with blocking sockets. Every test runs the loop until something
 * stops it; a watchdog fails the test when that does not come. */
#ifndef NET_WORLD_INT_H
#define NET_WORLD_INT_H

#include "loop_int.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WORLD_WATCHDOG_MS 60000

struct world {
    struct net         *net;
    struct net_server  *server;
    struct net_pin      pin;
    struct net_target   target;
    char                dir[64];
    char                cert[PATH_MAX];
    char                key[PATH_MAX];
    char                said[65536]; /* what came back, for the asserts */
    size_t              said_len;
    unsigned            status;
    int                 done;
    int                 gone;
    struct err          err;
    char                why[128];
    struct net_raw     *raw;
    struct net_request *kept;
    uint64_t            a_to_b;
    uint64_t            b_to_a;
    void (*stranger)(struct world *w);
    struct net_waker *stranger_left;
};

static inline void say(struct world *w, struct str s)
{
    check(w->said_len + s.len < sizeof w->said);
    memcpy(w->said + w->said_len, s.ptr, s.len);
    w->said_len += s.len;
    w->said[w->said_len] = 0;
}

static inline void on_watchdog(void *ctx)
{
    (void)ctx;
    fail_msg("nothing more happens");
}

static inline void stop_now(void *ctx)
{
    struct world *w = ctx;
    w->done++;
    net_stop(w->net);
}

static inline void nothing_closes(void *ctx, const char *why)
{
    (void)ctx, (void)why;
}

static inline void world_listen(struct world *w, struct net_server_options o)
{
    o.address   = "127.0.0.1";
    o.cert_path = w->cert;
    o.key_path  = w->key;
    o.ctx       = w;
    if (!o.stranger_us_per_s) o.stranger_us_per_s = 1000000;
    assert_int_equal(net_listen(w->net, &o, &w->server).code, ERR_NONE);
    w->target = (struct net_target){
        .host = "127.0.0.1", .port = net_server_port(w->server), .server_name = "localhost", .pin = &w->pin
    };
}

static inline int make_world(void **state)
{
    static const char *const hosts[] = { "localhost", "127.0.0.1", "*.gate.test" };
    struct world            *w       = calloc(1, sizeof *w);
    assert_non_null(w);
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/test_net.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->cert, sizeof w->cert, "%s/server.crt", w->dir);
    (void)snprintf(w->key, sizeof w->key, "%s/server.key", w->dir);
    assert_int_equal(net_authority_open(w->dir, &w->pin).code, ERR_NONE);
    assert_int_equal(net_authority_issue(w->dir, "server", hosts, 3, 90).code, ERR_NONE);
    assert_int_equal(net_open(&w->net).code, ERR_NONE);
    assert_int_equal(net_timer_start(w->net, WORLD_WATCHDOG_MS, 0, on_watchdog, w, NULL).code, ERR_NONE);
    *state = w;
    return 0;
}

static inline int end_world(void **state)
{
    struct world *w       = *state;
    const char   *files[] = { "authority.key", "authority.crt", "server.key", "server.crt",
                              "other.key",     "body",          "answer" };
    char          path[PATH_MAX];
    net_close(w->net);
    for (size_t i = 0; i < countof(files); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", w->dir, files[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(w->dir), 0);
    free(w);
    return 0;
}

#define world_test(f) cmocka_unit_test_setup_teardown(f, make_world, end_world)

/* ---- strangers ------------------------------------------------------------------------------------- */

static inline void *stranger_thread(void *arg)
{
    struct world *w = arg;
    w->stranger(w);
    net_wake(w->stranger_left);
    return NULL;
}

/* Runs the loop here and the stranger in a thread; the loop stops when he is done. He uses check, not asserts:
 * those belong to the test's thread. */
static inline void meet(struct world *w, void (*stranger)(struct world *w))
{
    pthread_t thread;
    w->stranger = stranger;
    assert_int_equal(net_waker_open(w->net, stop_now, w, &w->stranger_left).code, ERR_NONE);
    assert_int_equal(pthread_create(&thread, NULL, stranger_thread, w), 0);
    net_run(w->net);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

struct line {
    int      fd;
    SSL_CTX *tls;
    SSL     *ssl; /* null: plain */
};

static inline int line_dial(const struct world *w, int receive_bytes)
{
    struct sockaddr_in to       = { .sin_family = AF_INET, .sin_port = htons(w->target.port) };
    struct timeval     patience = { .tv_sec = 30 };
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(fd >= 0);
    check(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    if (receive_bytes) check(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes) == 0);
    check(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

/* TLS without looking at the certificate. `alpn` is one protocol, or null for none; `sni` may be null. */
static inline struct line line_open(const struct world *w, const char *alpn, const char *sni, int receive_bytes)
{
    struct line l = { .fd = line_dial(w, receive_bytes) };
    l.tls         = SSL_CTX_new(TLS_client_method());
    check(l.tls != NULL);
    l.ssl = SSL_new(l.tls);
    check(l.ssl != NULL);
    if (alpn) {
        unsigned char list[32] = { (unsigned char)strlen(alpn) };
        memcpy(list + 1, alpn, list[0]);
        check(SSL_set_alpn_protos(l.ssl, list, list[0] + 1u) == 0);
    }
    if (sni) check(SSL_set_tlsext_host_name(l.ssl, sni) == 1);
    check(SSL_set_fd(l.ssl, l.fd) == 1);
    check(SSL_connect(l.ssl) == 1);
    return l;
}

static inline bool line_send(struct line *l, const void *bytes, size_t len)
{
    size_t done = 0;
    if (!l->ssl) return send(l->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
    return len == 0 || SSL_write_ex(l->ssl, bytes, len, &done) == 1;
}

/* 0: the end. */
static inline size_t line_read(struct line *l, char *room, size_t size)
{
    size_t got = 0;
    if (l->ssl) return SSL_read_ex(l->ssl, room, size, &got) == 1 ? got : 0;
    ssize_t n = recv(l->fd, room, size, 0);
    return n > 0 ? (size_t)n : 0;
}

/* All that comes until the end, or until the room is full. */
static inline size_t line_read_all(struct line *l, char *room, size_t size)
{
    size_t len = 0, got;
    while (len < size && (got = line_read(l, room + len, size - len)) > 0) len += got;
    return len;
}

static inline void line_close(struct line *l)
{
    SSL_free(l->ssl);
    SSL_CTX_free(l->tls);
    close(l->fd);
}

#endif
