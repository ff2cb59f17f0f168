#include "gateway_int.h"

#include "sys/log.h"
#include "sys/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEN_FRAMES_A_TURN 8 /* a thousand places in 50 ms: ionetd's queue is everybody's */

static void send_frame(struct gateway *g, enum link_kind kind, const void *message)
{
    static char room[LINK_FRAME_BYTES_MAX];
    struct text frame = TEXT_IN(room);
    if (!g->uplink.socket) return;
    link_write(kind, message, &frame);
    check(!frame.full);
    struct err e = net_socket_send(g->uplink.socket, text_str(&frame));
    if (e.code) net_socket_close(g->uplink.socket, 1008, STR("the network reads too slowly"));
}

/* ---- up ---------------------------------------------------------------------------------------------------------- */

static void place_write(const char *host, uint16_t port, char out[MESH_ENDPOINT_TEXT])
{
    int n = snprintf(out, MESH_ENDPOINT_TEXT, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
    check(n > 0 && n < MESH_ENDPOINT_TEXT);
}

static void send_up(struct gateway *g)
{
    static struct gw_up up;
    struct mesh_meet   *meet = &up.meets[0];
    up                       = (struct gw_up){ .meets_count     = 1,
                                               .relay_port_base = g->o.relay_port_base,
                                               .relay_slots     = g->o.relay_slots };
    mesh_key_public(g->meet_secrets[0], meet->key_a);
    mesh_key_public(g->meet_secrets[1], meet->key_b);
    place_write(g->o.host, g->o.meet_port_a, meet->endpoint_a);
    place_write(g->o.host, g->o.meet_port_b, meet->endpoint_b);
    check(!str_copy(str_from(g->o.host), up.relay_host, sizeof up.relay_host).code);
    uint16_t port = door_port(g->door) ? door_port(g->door) : g->o.port;
    place_write(g->o.host, port, up.tunnel);
    memcpy(up.csr_pem, g->csr_pem, sizeof up.csr_pem);
    send_frame(g, LINK_GW_UP, &up);
}

void uplink_send_seen(struct gateway *g)
{
    static struct gw_seen seen;
    if (!g->uplink.welcome) return;
    for (unsigned frames = 0; frames < SEEN_FRAMES_A_TURN && meet_take_unsent(g->meet, &seen); frames++) {
        for (uint32_t i = 0; i < seen.places_count; i++)
            log_info("meet.seen", LOG_ID("node", seen.places[i].node), LOG_TEXT("a", seen.places[i].seen_a),
                     LOG_TEXT("b", seen.places[i].seen_b));
        send_frame(g, LINK_GW_SEEN, &seen);
        keep_changed(g);
    }
}

void uplink_send_probed(struct gateway *g)
{
    static struct gw_probed probed;
    if (!g->uplink.welcome) return;
    while (probes_take_unsent(g->probes, &probed)) send_frame(g, LINK_GW_PROBED, &probed);
}

static void on_count(void *ctx)
{
    struct gateway     *g     = ctx;
    struct door_counts  door  = door_counts(g->door);
    struct relay_counts relay = relay_counts(g->relay);
    struct gw_count     now   = { door.joins, door.joined_bytes, relay.bytes };
    if (!g->uplink.welcome || memcmp(&now, &g->uplink.counted, sizeof now) == 0) return;
    log_info("count", LOG_I64("joins", door.joins), LOG_I64("live", door.live),
             LOG_I64("tunnels", door.tunnels), LOG_I64("joined_bytes", door.joined_bytes),
             LOG_I64("pairs", relay.pairs), LOG_I64("relayed_bytes", relay.bytes),
             LOG_I64("strangers", relay.strangers), LOG_I64("slow_bytes", relay.slow),
             LOG_I64("pairs_failed", relay.failed));
    g->uplink.counted = now;
    send_frame(g, LINK_GW_COUNT, &now);
}

/* ---- opening ------------------------------------------------------------------------------------------------------- */

static void on_open(void *ctx, struct net_socket *socket)
{
    struct gateway   *g = ctx;
    struct link_hello h = { .who = LINK_GATEWAY, .protocol = LINK_PROTOCOL };
    (void)socket;
    check(!str_copy(str_from(g->o.program), h.program, sizeof h.program).code);
    memcpy(h.public_key, g->public_key.bytes, sizeof h.public_key);
    memcpy(h.boot_id, g->boot_id, sizeof h.boot_id);
    memcpy(h.instance, g->instance, sizeof h.instance);
    memcpy(h.token, g->secret, sizeof h.token);
    send_frame(g, LINK_HELLO, &h);
    explicit_bzero(&h, sizeof h);
}

static void on_challenge(struct gateway *g, const struct link_challenge *c)
{
    struct signature  s = link_prove(&g->key, c->nonce);
    struct link_proof p;
    memcpy(p.signature, s.bytes, sizeof p.signature);
    send_frame(g, LINK_PROOF, &p);
}

static void on_welcome(struct gateway *g)
{
    struct uplink *u = &g->uplink;
    log_info("link.up", LOG_STR("network", str_from(g->host)), LOG_I64("epoch", g->known.epoch));
    explicit_bzero(g->secret, sizeof g->secret);
    u->welcome = true;
    u->gone_ms = 0;
    send_up(g);
    meet_all_unsent(g->meet);
    uplink_send_seen(g);
    probes_all_unsent(g->probes);
    uplink_send_probed(g);
}

static bool is_down(enum link_kind kind)
{
    return kind == LINK_GW_CONFIG || kind == LINK_GW_MEET || kind == LINK_GW_RELAY || kind == LINK_GW_PROBE ||
           kind == LINK_GW_REVOKE;
}

static void on_text(void *ctx, struct net_socket *socket, struct str text)
{
    struct gateway                *g = ctx;
    scoped_mem union link_message *m = malloc(sizeof *m);
    enum link_kind                 kind;
    check(m);
    struct err e = link_read(text, &kind, m);
    if (!e.code && (g->uplink.welcome ? !is_down(kind) : kind != LINK_CHALLENGE && kind != LINK_WELCOME))
        e = ERR(INVALID, "a frame out of its order");
    if (e.code) {
        log_warn("link.frame", LOG_ERR(e));
        net_socket_close(socket, 1002, str_from(e.why));
        return;
    }
    if (kind == LINK_CHALLENGE) {
        on_challenge(g, &m->challenge);
        return;
    }
    gateway_take(g, kind, m, false);
    if (kind == LINK_WELCOME) on_welcome(g);
}

static void on_wait_over(void *ctx)
{
    struct gateway *g = ctx;
    g->uplink.timer   = NULL;
    uplink_open(g);
}

static void open_later(struct gateway *g)
{
    struct uplink *u = &g->uplink;
    uint64_t       chance;
    sys_random(&chance, sizeof chance);
    if (!u->gone_ms) u->gone_ms = sys_boot_now_ms();
    uint32_t   wait_ms = link_wait_ms(sys_boot_now_ms() - u->gone_ms, chance);
    struct err e       = net_timer_start(g->net, wait_ms, 0, on_wait_over, g, &u->timer);
    if (e.code) gateway_fail(g, e);
}

static void on_close(void *ctx, const char *why)
{
    struct gateway *g = ctx;
    g->uplink.socket  = NULL;
    g->uplink.welcome = false;
    if (g->stopping) {
        gateway_try_end(g);
        return;
    }
    log_warn("link.down", LOG_TEXT("why", why));
    open_later(g);
}

void uplink_open(struct gateway *g)
{
    static const struct net_socket_calls calls = { on_open, on_text, on_close, LINK_PING_MS, LINK_SILENT_MS };
    struct uplink                       *u     = &g->uplink;
    struct net_target                    t     = { .host = g->host, .port = g->port, .pin = &g->pin };
    struct err                           e     = OK;
    if (!u->count_timer)
        e = net_timer_start(g->net, GATEWAY_COUNT_MS, GATEWAY_COUNT_MS, on_count, g, &u->count_timer);
    if (!e.code) e = net_socket_connect(g->net, &t, STR(LINK_PATH), &calls, g, &u->socket);
    if (!e.code) return;
    log_warn("link.open", LOG_ERR(e));
    u->socket = NULL;
    open_later(g);
}

void uplink_close(struct gateway *g)
{
    struct uplink *u = &g->uplink;
    net_timer_stop(u->timer);
    net_timer_stop(u->count_timer);
    u->timer = u->count_timer = NULL;
    if (u->socket) net_socket_close(u->socket, 1001, STR("the gateway ends"));
}
