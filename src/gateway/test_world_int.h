/* test_world_int.h: what the tests of the door share: the door with real TLS on loopback, tickets, and connections of
 * workers and forwards by our own client. */
#ifndef GATEWAY_TEST_WORLD_INT_H
#define GATEWAY_TEST_WORLD_INT_H

#include "door_int.h"
#include "sys/sys.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#define DOMAIN "test.internal"
#define PATIENCE_MS 6000
#define JOIN_MS 1000
#define JOINS_A_CLUSTER 3
#define JOINS_A_USER 5

static char              folder[64];
static struct net       *net;
static struct net_pin    pin;
static struct pass      *pass;
static struct door      *door;
static struct sign_key   network_key, other_key;
static struct cluster_id cluster = { { { 1, 2, 3 } } };
static struct node_id    head    = { { { 10 } } };

static inline void on_pulse(void *ctx)
{
    (void)ctx;
}

static inline int open_world(void **state)
{
    (void)state;
    static const char *const hosts[] = { ("*." DOMAIN), DOMAIN, "127.0.0.1" };
    static char              cert[96], key[96];
    const uint8_t            seeds[3][32] = { { 1 }, { 2 }, { 3 } };
    struct public_key        network_public, other_public;
    signal(SIGPIPE, SIG_IGN); /* net_run would, but here the loop is turned by hand */
    snprintf(folder, sizeof folder, "/tmp/ionet-door-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(cert, sizeof cert, "%s/gateway.crt", folder);
    snprintf(key, sizeof key, "%s/gateway.key", folder);
    if (net_authority_open(folder, &pin).code || net_authority_issue(folder, "gateway", hosts, 3, 90).code)
        return -1;
    sign_key_from_seed(seeds[0], &network_key, &network_public);
    sign_key_from_seed(seeds[1], &other_key, &other_public);
    pass = calloc(1, sizeof *pass);
    pass_init(pass, seeds[2], (struct instant){ sys_wall_now().ms - 1000 });
    pass_set_signer(pass, network_public.bytes);
    if (net_open(&net).code || net_timer_start(net, 5, 5, on_pulse, NULL, NULL).code) return -1;
    struct door_options o = { .net       = net,
                              .pass      = pass,
                              .listen    = "127.0.0.1",
                              .cert_path = cert,
                              .key_path  = key,
                              .joins     = { JOIN_MS, JOINS_A_CLUSTER, JOINS_A_USER } };
    door_init(&o, &door);
    return door_open(door, DOMAIN).code != ERR_NONE;
}

static inline int close_world(void **state)
{
    (void)state;
    door_close(door);
    net_close(net);
    door_free(door);
    free(pass);
    return sys_remove_tree(folder).code != ERR_NONE;
}

/* ---- tickets --------------------------------------------------------------------------------------------------- */

static inline struct ticket ticket_for(enum ticket_kind kind, const char *service)
{
    struct ticket t = {
        .kind = kind, .cluster = cluster, .expires = { sys_wall_now().ms + TICKET_VALID_MS }, .user = "somebody"
    };
    sys_random(&t.serial, sizeof t.serial);
    snprintf(t.service, sizeof t.service, "%s", service);
    if (kind == TICKET_TUNNEL) t.node = head;
    return t;
}

static inline const char *written(const struct ticket *t, const struct sign_key *key)
{
    static char rooms[8][TICKET_TEXT_MAX];
    static int  at;
    struct text out = { .ptr = rooms[at++ % 8], .cap = TICKET_TEXT_MAX };
    assert_int_equal(ticket_write(t, key, &out).code, ERR_NONE);
    return text_z(&out);
}

/* ---- a connection of ours -------------------------------------------------------------------------------------- */

struct end {
    struct net_raw *raw;
    bool            open, over, ended;
    char            why[64];
    char            got[4096];
    size_t          got_len;
};

static inline void end_on_open(void *ctx, struct net_raw *r)
{
    (void)r;
    ((struct end *)ctx)->open = true;
}

static inline void end_on_bytes(void *ctx, struct net_raw *r, struct str bytes)
{
    struct end *e = ctx;
    (void)r;
    assert_true(e->got_len + bytes.len < sizeof e->got);
    memcpy(e->got + e->got_len, bytes.ptr, bytes.len);
    e->got_len += bytes.len;
    e->got[e->got_len] = 0;
}

static inline void end_on_end(void *ctx, struct net_raw *r)
{
    struct end *e = ctx;
    e->ended      = true;
    net_raw_end(r);
}

static inline void end_on_close(void *ctx, const char *why)
{
    struct end *e = ctx;
    e->over       = true;
    e->raw        = NULL;
    snprintf(e->why, sizeof e->why, "%s", why);
}

static inline void dial_as(struct end *e, const char *path, const char *ticket, const char *name)
{
    static const struct net_raw_calls calls = { end_on_open, end_on_bytes, NULL, end_on_end, end_on_close };
    char                              bearer[TICKET_TEXT_MAX + 8];
    struct net_target                 target = {
                        .host = "127.0.0.1", .port = door_port(door), .pin = &pin, .server_name = name
    };
    snprintf(bearer, sizeof bearer, "Bearer %s", ticket);
    struct net_header header = { STR("authorization"), str_from(bearer) };
    *e                       = (struct end){ 0 };
    assert_int_equal(
        net_raw_connect(net, &target, str_from(path), STR(DOOR_PROTOCOL), &header, 1, &calls, e, &e->raw).code,
        ERR_NONE);
}

static inline void turn_until(const bool *happened)
{
    uint64_t by_ms = net_now_ms(net) + PATIENCE_MS;
    while (!*happened && net_now_ms(net) < by_ms) uv_run(net_uv_loop(net), UV_RUN_ONCE);
    assert_true(*happened);
}

static inline void turn_until_got(struct end *e, const char *text)
{
    uint64_t by_ms = net_now_ms(net) + PATIENCE_MS;
    while (!strstr(e->got, text) && net_now_ms(net) < by_ms) uv_run(net_uv_loop(net), UV_RUN_ONCE);
    assert_non_null(strstr(e->got, text));
}

static inline void turn_ms(uint64_t ms)
{
    uint64_t by_ms = net_now_ms(net) + ms;
    while (net_now_ms(net) < by_ms) uv_run(net_uv_loop(net), UV_RUN_ONCE);
}

static inline void tunnel_by(struct end *e, const struct ticket *t)
{
    dial_as(e, "/.ionet/tunnel", written(t, &network_key), NULL);
    turn_until(&e->open);
}

static inline void tunnel_open(struct end *e)
{
    struct ticket t = ticket_for(TICKET_TUNNEL, "head");
    tunnel_by(e, &t);
}

static inline void join_start(struct end *e)
{
    struct ticket t = ticket_for(TICKET_JOIN, "dashboard");
    dial_as(e, "/.ionet/join?service=dashboard", written(&t, &network_key), NULL);
}

static inline void say(struct end *e, const char *text)
{
    net_raw_send(e->raw, str_from(text));
}

static inline void end_close(struct end *e)
{
    if (e->raw) net_raw_close(e->raw);
    turn_until(&e->over);
}

static inline void refused_as(const char *path, const char *ticket, const char *name, const char *status)
{
    struct end e;
    dial_as(&e, path, ticket, name);
    turn_until(&e.over);
    assert_false(e.open);
    assert_string_equal(e.why, status);
}

static inline void nothing_is_left(void)
{
    turn_ms(30);
    assert_int_equal(door_counts(door).live, 0);
    assert_int_equal(door_counts(door).tunnels, 0);
}

#endif
