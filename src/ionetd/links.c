/* links.c: the worker link's network side: hello, challenge, proof; then frames become inputs. A link is numbered,
 * and its number is never used again. */
#include "ionetd_int.h"

#include "sys/log.h"
#include "sys/sys.h"

#include <stdlib.h>
#include <string.h>

#define CLOSE_POLICY 1008 /* RFC 6455, 7.4.1 */
#define CLOSE_LATER 4503  /* ours: the same may go well later */

/* ---- the table ------------------------------------------------------------------------------------------------ */

void links_open(struct ionetd *i)
{
    struct links *ls = &i->links;
    ls->all          = calloc(LINKS_MAX, sizeof *ls->all);
    ls->free         = calloc(LINKS_MAX, sizeof *ls->free);
    check(ls->all && ls->free);
    for (uint32_t k = 0; k < LINKS_MAX; k++) ls->free[ls->free_count++] = LINKS_MAX - 1 - k;
}

void links_close(struct ionetd *i)
{
    for (uint32_t k = 0; i->links.all && k < LINKS_MAX; k++) free(i->links.all[k].gw_up);
    free(i->links.all);
    free(i->links.free);
}

static struct link *link_take(struct ionetd *i)
{
    struct links *ls = &i->links;
    if (ls->free_count == 0) return NULL;
    uint32_t     place = ls->free[--ls->free_count];
    struct link *l     = &ls->all[place];
    *l =
        (struct link){ .ionetd = i, .session = ++ls->made * LINKS_MAX + place, .since_ms = net_now_ms(i->net) };
    ls->open++;
    if (place >= ls->top) ls->top = place + 1;
    return l;
}

static void link_give(struct link *l)
{
    struct links *ls           = &l->ionetd->links;
    ls->free[ls->free_count++] = (uint32_t)(l - ls->all);
    ls->open--;
    free(l->gw_up);
    memset(l, 0, sizeof *l);
}

static struct link *link_at(struct ionetd *i, uint64_t session)
{
    struct link *l = &i->links.all[session % LINKS_MAX];
    return l->state != LINK_FREE && l->session == session ? l : NULL;
}

struct link *link_find(struct ionetd *i, uint64_t session)
{
    struct link *l = link_at(i, session);
    return l && l->state == LINK_OPEN && l->socket ? l : NULL;
}

/* ---- leaving --------------------------------------------------------------------------------------------------- */

/* The network must hear of it; if its queue is full, links_tick tries again. */
static void say_down(struct link *l)
{
    struct input in = { .kind = INPUT_LINK_DOWN, .session = l->session, .subject = l->id };
    if (!ionetd_ask(l->ionetd, &in, NULL).code) link_give(l);
}

static void on_close(void *ctx, const char *why)
{
    struct link *l = ctx;
    l->socket      = NULL;
    if (l->state == LINK_OPEN) {
        log_info("link.down", LOG_STR("who", l->hello.who == LINK_GATEWAY ? STR("gateway") : STR("device")),
                 LOG_ID("id", (struct device_id){ l->id }), LOG_TEXT("why", why));
        say_down(l);
    } else if (l->state != LINK_ASKED) {
        link_give(l); /* one that was asked about is given back with the network's word */
    }
}

static void hang_up(struct link *l, uint16_t code, struct err why)
{
    if (l->socket) net_socket_close(l->socket, code, str_from(why.why));
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

void link_send(struct link *l, enum link_kind kind, const void *message)
{
    static char frame[NET_FRAME_BYTES_MAX];
    struct text t = TEXT_IN(frame);
    if (!l->socket) return;
    link_write(kind, message, &t);
    check(!t.full);
    struct err e = net_socket_send(l->socket, text_str(&t));
    if (e.code) hang_up(l, CLOSE_LATER, ERR(LIMIT, "the link reads too slowly"));
}

/* ---- the first frames ---------------------------------------------------------------------------------------------- */

static struct err on_hello(struct link *l, const struct link_hello *hello)
{
    if (hello->protocol < LINK_PROTOCOL) return ERR(INVALID, "this program is too old for the network");
    struct link_challenge challenge;
    l->hello = *hello;
    l->state = LINK_CHALLENGED;
    sys_random(l->nonce, sizeof l->nonce);
    memcpy(challenge.nonce, l->nonce, sizeof challenge.nonce);
    link_send(l, LINK_CHALLENGE, &challenge);
    return OK;
}

/* A machine is known by its boot, of which it has one at a time. */
static struct id machine_of(const struct link_hello *hello)
{
    struct hash h = hash_sha256(str_from(hello->boot_id));
    return network_tag(h.bytes);
}

static struct err on_proof(struct link *l, const struct link_proof *proof)
{
    struct public_key who;
    struct signature  s;
    memcpy(who.bytes, l->hello.public_key, sizeof who.bytes);
    memcpy(s.bytes, proof->signature, sizeof s.bytes);
    if (!link_is_proven(who, l->nonce, s)) return ERR(DENIED, "the proof is not this key's");

    struct input in    = { .kind = INPUT_LINK_UP, .session = l->session };
    struct str   token = str_from(l->hello.token);
    struct hash  h     = hash_sha256(token);
    in.link.purpose    = l->hello.who == LINK_GATEWAY ? TOKEN_GATEWAY : TOKEN_DEVICE;
    in.link.has_token  = token.len > 0;
    memcpy(in.link.public_key, who.bytes, sizeof in.link.public_key);
    memcpy(in.link.instance, l->hello.instance, sizeof in.link.instance);
    memcpy(in.link.token_hash, h.bytes, sizeof in.link.token_hash);
    memcpy(in.link.name, l->hello.name, sizeof in.link.name);
    if (!l->ionetd->config.machines_shared) in.link.machine = machine_of(&l->hello);
    explicit_bzero(l->hello.token, sizeof l->hello.token);
    l->state     = LINK_ASKED;
    struct err e = ionetd_ask(l->ionetd, &in, NULL);
    if (e.code) l->state = LINK_CHALLENGED;
    return e;
}

/* ---- frames of an open link ------------------------------------------------------------------------------------------- */

static struct input input_of(const struct link *l, enum input_kind kind)
{
    return (struct input){ .kind = kind, .session = l->session, .subject = l->id };
}

/* The input borrows a copy that goes with it. */
static struct err ask_with(struct link *l, enum input_kind kind, const void *message, size_t size)
{
    struct input in   = input_of(l, kind);
    void        *copy = malloc(size);
    check(copy);
    memcpy(copy, message, size);
    if (kind == INPUT_OBSERVED)
        in.observed = copy;
    else if (kind == INPUT_WITNESSED)
        in.witnessed = copy;
    else if (kind == INPUT_REACHED)
        in.reached = copy;
    else
        in.silent = copy;
    return ionetd_ask(l->ionetd, &in, copy);
}

static struct err on_gw_up(struct link *l, const struct gw_up *up)
{
    if (up->meets_count != 1) return ERR(INVALID, "a gateway has one meeting point");
    if (!l->gw_up) l->gw_up = malloc(sizeof *l->gw_up);
    check(l->gw_up);
    *l->gw_up                = *up;
    struct input in          = input_of(l, INPUT_GW_UP);
    in.gw_up.meet            = up->meets[0];
    in.gw_up.relay_port_base = up->relay_port_base;
    in.gw_up.relay_slots     = up->relay_slots;
    memcpy(in.gw_up.relay_host, up->relay_host, sizeof in.gw_up.relay_host);
    memcpy(in.gw_up.tunnel, up->tunnel, sizeof in.gw_up.tunnel);
    return ionetd_ask(l->ionetd, &in, NULL);
}

static struct err on_gw_seen(struct link *l, const struct gw_seen *seen)
{
    for (uint32_t k = 0; k < seen->places_count; k++) {
        struct input in = input_of(l, INPUT_GW_SEEN);
        in.gw_seen.node = seen->places[k].node;
        memcpy(in.gw_seen.seen_a, seen->places[k].seen_a, sizeof in.gw_seen.seen_a);
        memcpy(in.gw_seen.seen_b, seen->places[k].seen_b, sizeof in.gw_seen.seen_b);
        TRY(ionetd_ask(l->ionetd, &in, NULL));
    }
    return OK;
}

static struct err on_gw_probed(struct link *l, const struct gw_probed *probed)
{
    for (uint32_t k = 0; k < probed->nodes_count; k++) {
        struct input in      = input_of(l, INPUT_GW_PROBED);
        in.gw_probed.node    = probed->nodes[k].node;
        in.gw_probed.seen_ms = probed->nodes[k].seen_ms;
        TRY(ionetd_ask(l->ionetd, &in, NULL));
    }
    return OK;
}

static struct err on_device_frame(struct link *l, enum link_kind kind, const union link_message *m)
{
    if (kind == LINK_OBSERVED) return ask_with(l, INPUT_OBSERVED, &m->observed, sizeof m->observed);
    if (kind == LINK_WITNESSED) return ask_with(l, INPUT_WITNESSED, &m->witnessed, sizeof m->witnessed);
    if (kind == LINK_MESH_SILENT) return ask_with(l, INPUT_SILENT, &m->mesh_silent, sizeof m->mesh_silent);
    if (kind == LINK_MESH_REACHED) return ask_with(l, INPUT_REACHED, &m->mesh_reached, sizeof m->mesh_reached);
    return ERR(INVALID, "a device does not say such a thing");
}

static struct err on_gateway_frame(struct link *l, enum link_kind kind, const union link_message *m)
{
    if (kind == LINK_GW_UP) return on_gw_up(l, &m->gw_up);
    if (kind == LINK_GW_SEEN) return on_gw_seen(l, &m->gw_seen);
    if (kind == LINK_GW_PROBED) return on_gw_probed(l, &m->gw_probed);
    if (kind == LINK_GW_COUNT) {
        l->ionetd->gateway_counts = m->gw_count;
        return OK;
    }
    return ERR(INVALID, "a gateway does not say such a thing");
}

static struct err on_frame(struct link *l, struct str frame)
{
    static union link_message m; /* one at a time */
    enum link_kind            kind;
    if (++l->frames > LINK_FRAMES_A_TICK) return ERR(LIMIT, "too many messages");
    l->ionetd->links.frames++;
    TRY(link_read(frame, &kind, &m));
    switch (l->state) {
    case LINK_NEW:
        return kind == LINK_HELLO ? on_hello(l, &m.hello) : ERR(INVALID, "the first message is hello");
    case LINK_CHALLENGED:
        return kind == LINK_PROOF ? on_proof(l, &m.proof) : ERR(INVALID, "the proof is awaited");
    case LINK_ASKED: return ERR(INVALID, "the welcome is awaited");
    case LINK_OPEN:
        return l->hello.who == LINK_GATEWAY ? on_gateway_frame(l, kind, &m) : on_device_frame(l, kind, &m);
    case LINK_FREE: break;
    }
    return ERR(INVALID, "the link is over");
}

static void on_text(void *ctx, struct net_socket *s, struct str message)
{
    struct link *l = ctx;
    struct err   e = on_frame(l, message);
    if (!e.code) return;
    log_warn("link.cut", LOG_I64("session", l->session), LOG_STR("peer", net_socket_peer(s)), LOG_ERR(e));
    hang_up(l, e.code == ERR_LIMIT ? CLOSE_LATER : CLOSE_POLICY, e);
}

void links_accept(struct ionetd *i, struct net_request *r)
{
    static const struct net_socket_calls calls = {
        .on_text   = on_text,
        .on_close  = on_close,
        .ping_ms   = LINK_PING_MS,
        .silent_ms = LINK_SILENT_MS,
    };
    struct link *l = link_take(i);
    if (!l) return net_reply(r, 503, NULL, 0, STR("too many links\n"));
    l->state  = LINK_NEW;
    l->socket = net_socket_accept(r, &calls, l);
    if (!l->socket) link_give(l);
}

/* ---- the network's word ---------------------------------------------------------------------------------------------------- */

static void on_welcome(struct link *l, struct id id)
{
    struct ionetd *i = l->ionetd;
    l->id            = id;
    l->state         = LINK_OPEN;
    if (!l->socket) return say_down(l); /* it left while it was let in */

    struct link_welcome w = { .epoch = i->network.meta.epoch, .id = id };
    memcpy(w.signing_key, i->keys.sign_public.bytes, sizeof w.signing_key);
    check(!str_copy(net_socket_peer(l->socket), w.address, sizeof w.address).code); /* of NET_ADDRESS_TEXT */
    link_send(l, LINK_WELCOME, &w);
    net_socket_vouch(l->socket);
    log_info("link.up", LOG_STR("who", l->hello.who == LINK_GATEWAY ? STR("gateway") : STR("device")),
             LOG_ID("id", (struct device_id){ id }), LOG_TEXT("program", l->hello.program),
             LOG_STR("peer", l->socket ? net_socket_peer(l->socket) : STR("")));
}

void link_effect(struct ionetd *i, const struct effect *e)
{
    struct link *l = link_at(i, e->session);
    if (!l) return;
    if (e->kind == EFFECT_WELCOME) return on_welcome(l, e->subject);
    if (e->kind == EFFECT_REFUSE) log_info("link.refused", LOG_I64("session", l->session), LOG_ERR(e->error));
    if (l->state == LINK_ASKED) l->state = LINK_NEW; /* the network does not know it: nothing is owed */
    if (!l->socket) return link_give(l);
    hang_up(l, e->error.code == ERR_CONFLICT || e->error.code == ERR_LIMIT ? CLOSE_LATER : CLOSE_POLICY,
            e->error);
}

void links_tick(struct ionetd *i)
{
    uint64_t now = net_now_ms(i->net);
    for (uint32_t k = 0; k < i->links.top; k++) {
        struct link *l = &i->links.all[k];
        l->frames      = 0;
        if (l->state == LINK_OPEN && !l->socket) say_down(l);
        bool unproven = l->state == LINK_NEW || l->state == LINK_CHALLENGED;
        if (unproven && now - l->since_ms > LINK_PROOF_MS)
            hang_up(l, CLOSE_POLICY, ERR(TIMEOUT, "the proof did not come in time"));
    }
}
