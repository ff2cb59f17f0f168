/* The link to the network: opened again whenever it ends (link_wait_ms). */
#include "site.h"

#include "sys/log.h"
#include "sys/sys.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(WORKER_REPORT_MS == LINK_REPORT_MS && WORKER_OBSERVED_MS == LINK_OBSERVED_MS &&
                   WORKER_WITNESS_MS == LINK_WITNESS_MS,
               "the worker reports as often as the link promises");

void uplink_send(struct site *s, enum link_kind kind, const void *message)
{
    static char room[NET_FRAME_BYTES_MAX];
    struct text frame = TEXT_IN(room);
    if (!s->link) return;
    link_write(kind, message, &frame);
    check(!frame.full);
    struct err e = net_socket_send(s->link, text_str(&frame));
    if (e.code) net_socket_close(s->link, 1008, STR("the network reads too slowly"));
}

void uplink_observe(struct site *s)
{
    static struct observed o;
    if (!s->link_welcome) return;
    worker_observe(s->worker, sys_boot_now_ms(), &o);
    if (!s->specs_sent) {
        o.has_specs   = true;
        o.specs_count = 1;
        o.specs[0]    = s->specs;
        s->specs_sent = true;
    }
    if (s->trouble[0]) memcpy(o.trouble, s->trouble, sizeof o.trouble);
    if (s->save_failed)
        check(!str_copy(STR("the state folder can't be written"), o.trouble, sizeof o.trouble).code);
    uplink_send(s, LINK_OBSERVED, &o);
}

/* ---- its first frames -------------------------------------------------------------------------------- */

static void on_open(void *ctx, struct net_socket *socket)
{
    struct site      *s = ctx;
    struct link_hello h = { .who = LINK_DEVICE, .protocol = LINK_PROTOCOL, .program = SITE_PROGRAM };
    (void)socket;
    memcpy(h.public_key, s->public_key.bytes, sizeof h.public_key);
    memcpy(h.boot_id, s->boot_id, sizeof h.boot_id);
    memcpy(h.instance, s->instance, sizeof h.instance);
    if (id_is_none(s->network.device.id)) memcpy(h.token, s->secret, sizeof h.token);
    check(!str_copy(str_from(s->config.name), h.name, sizeof h.name).code);
    uplink_send(s, LINK_HELLO, &h);
    explicit_bzero(&h, sizeof h);
}

static void on_challenge(struct site *s, const struct link_challenge *c)
{
    struct signature  signed_by = link_prove(&s->key, c->nonce);
    struct link_proof p;
    memcpy(p.signature, signed_by.bytes, sizeof p.signature);
    uplink_send(s, LINK_PROOF, &p);
}

static void on_welcome(struct site *s, const struct link_welcome *w)
{
    bool known = id_eq(w->id, s->network.device.id) &&
                 memcmp(w->signing_key, s->network.signing_key, sizeof w->signing_key) == 0;
    s->network.device.id = w->id;
    memcpy(s->network.signing_key, w->signing_key, sizeof w->signing_key);
    if (!known) {
        struct err e = state_save_network(s);
        if (e.code) log_error("state.network", LOG_ERR(e));
        explicit_bzero(s->secret, sizeof s->secret);
    }
    log_info("link.up", LOG_ID("device", s->network.device), LOG_I64("epoch", w->epoch));
    s->link_welcome = true;
    s->specs_sent   = false;
    s->link_gone_ms = 0;
    bool moved      = strcmp(s->outside, w->address) != 0;
    memcpy(s->outside, w->address, sizeof s->outside);
    for (size_t i = 0; i < WORKER_NODES_MAX && moved; i++)
        if (s->nodes[i] && s->nodes[i]->container_runs) node_let_out(s->nodes[i], false);
    /* A link does not outlive the address that it came from. */
    for (size_t i = 0; i < WORKER_NODES_MAX; i++)
        if (s->nodes[i]) node_tell_inside(s->nodes[i]);
    site_step(s, &(struct worker_input){ .kind = IN_LINK_UP });
}

/* ---- the frames after them --------------------------------------------------------------------------- */

static bool is_signed(const struct site *s, const struct assignment *a)
{
    char              room[512];
    struct text       text = TEXT_IN(room);
    struct public_key key;
    struct signature  signature;
    memcpy(key.bytes, s->network.signing_key, sizeof key.bytes);
    memcpy(signature.bytes, a->signature, sizeof signature.bytes);
    assignment_signed_text(a, s->network.device, &text);
    return !text.full && sign_verify(key, STR(LINK_ASSIGN_DOMAIN), text_str(&text), signature);
}

static void on_desired(struct site *s, const struct desired *d)
{
    for (uint32_t i = 0; i < d->assignments_count; i++) {
        if (is_signed(s, &d->assignments[i])) continue;
        log_error("desired.unsigned", LOG_ID("node", d->assignments[i].node));
        return;
    }
    log_info("desired", LOG_I64("epoch", d->epoch), LOG_I64("version", d->version),
             LOG_I64("nodes", d->assignments_count), LOG_I64("images", d->images_count));
    site_step(s, &(struct worker_input){ .kind = IN_DESIRED, .desired = d });
}

static void on_frame(struct site *s, enum link_kind kind, const union link_message *m)
{
    bool early = kind == LINK_CHALLENGE || kind == LINK_WELCOME;
    if (early == s->link_welcome) {
        log_warn("link.frame", LOG_TEXT("why", "a frame out of its order"));
        net_socket_close(s->link, 1002, STR("a frame out of its order"));
    } else if (kind == LINK_CHALLENGE) {
        on_challenge(s, &m->challenge);
    } else if (kind == LINK_WELCOME) {
        on_welcome(s, &m->welcome);
    } else if (kind == LINK_DESIRED) {
        on_desired(s, &m->desired);
    } else if (kind == LINK_MESH_MAP) {
        log_debug("map", LOG_ID("node", m->mesh_map.node), LOG_I64("peers", m->mesh_map.peers_count),
                  LOG_I64("gone", m->mesh_map.gone_count));
        site_step(s, &(struct worker_input){ .kind = IN_MAP, .map = &m->mesh_map });
    }
}

static void on_text(void *ctx, struct net_socket *socket, struct str text)
{
    struct site        *s = ctx;
    union link_message *m = malloc(sizeof *m); /* a step may send, and a frame may follow meanwhile */
    enum link_kind      kind;
    check(m);
    struct err e = link_read(text, &kind, m);
    if (e.code) {
        log_warn("link.frame", LOG_ERR(e));
        net_socket_close(socket, 1007, str_from(e.why));
    } else {
        on_frame(s, kind, m);
    }
    free(m);
}

/* ---- opening and closing ----------------------------------------------------------------------------- */

static void on_wait_over(void *ctx)
{
    uplink_open(ctx);
}

static void open_later(struct site *s)
{
    struct net_timer *timer;
    uint64_t          chance;
    sys_random(&chance, sizeof chance);
    if (!s->link_gone_ms) s->link_gone_ms = sys_boot_now_ms();
    uint32_t   wait_ms = link_wait_ms(sys_boot_now_ms() - s->link_gone_ms, chance);
    struct err e       = net_timer_start(s->net, wait_ms, 0, on_wait_over, s, &timer);
    if (e.code) log_error("link.timer", LOG_ERR(e));
}

static void on_close(void *ctx, const char *why)
{
    struct site *s      = ctx;
    bool         was_up = s->link_welcome;
    s->link             = NULL;
    s->link_welcome     = false;
    if (s->stopping) return;
    log_warn("link.down", LOG_TEXT("why", why));
    if (was_up) site_step(s, &(struct worker_input){ .kind = IN_LINK_DOWN });
    open_later(s);
}

void uplink_open(struct site *s)
{
    static const struct net_socket_calls calls = { on_open, on_text, on_close, LINK_PING_MS, LINK_SILENT_MS };
    struct net_target target = { .host = s->network.host, .port = (uint16_t)s->network.port, .pin = &s->pin };
    if (s->stopping) return;
    struct err e = net_socket_connect(s->net, &target, STR(LINK_PATH), &calls, s, &s->link);
    if (!e.code) return;
    log_warn("link.open", LOG_ERR(e));
    s->link = NULL;
    open_later(s);
}

void uplink_close(struct site *s)
{
    if (s->link) net_socket_close(s->link, 1001, STR("the worker ends"));
}
