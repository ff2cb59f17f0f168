/* gateways.c: what gateways are told: their certificate, who may meet there, whom they relay, whom they are to see serve,
 * whose tickets are void.
 * A gateway that came up is told all; the others what changed in the turn. Who is gone comes first, then who is there
 * as the network is now: so the order of changes within a turn does not matter. */
#include "ionetd_int.h"

#include "sys/log.h"

#include <stdlib.h>
#include <string.h>

#define GATEWAY_CERT_DAYS 90

static struct link *link_of(struct ionetd *i, const struct gateway *g)
{
    return g && g->session ? link_find(i, g->session) : NULL;
}

/* ---- the certificate --------------------------------------------------------------------------------------------- */

static void address_of(const char *host_port, char *room, size_t size)
{
    struct str  all = str_from(host_port);
    const char *end = memrchr(all.ptr, ':', all.len);
    if (end) all.len = (size_t)(end - all.ptr);
    if (all.len > 1 && all.ptr[0] == '[') all = (struct str){ all.ptr + 1, all.len - 2 };
    if (str_copy(all, room, size).code) room[0] = 0;
}

static void send_config(struct ionetd *i, struct link *l)
{
    static struct gw_config config; /* one at a time */
    char                    wild[160], address[MESH_ENDPOINT_TEXT];
    if (!l->gw_up) return;
    struct text name = TEXT_IN(wild);
    text_add(&name, STR("*."));
    text_add(&name, str_from(i->config.domain));
    address_of(l->gw_up->tunnel, address, sizeof address);

    const char *hosts[] = { text_z(&name), i->config.domain, address };
    memset(&config, 0, sizeof config);
    struct err e =
        net_authority_sign(i->config.state_dir, str_from(l->gw_up->csr_pem), hosts, address[0] ? 3 : 2,
                           GATEWAY_CERT_DAYS, config.chain_pem, sizeof config.chain_pem);
    if (e.code) {
        log_warn("gateway.certificate", LOG_I64("session", l->session), LOG_ERR(e));
        return net_socket_close(l->socket, 1008, STR("its certificate request is refused"));
    }
    check(str_copy(str_from(i->config.domain), config.domain, sizeof config.domain).code == ERR_NONE);
    link_send(l, LINK_GW_CONFIG, &config);
}

void gateways_certify(struct ionetd *i)
{
    for (const struct gateway *g = NULL; (g = table_next(&i->network.gateways, g));) {
        struct link *l = link_of(i, g);
        if (l) send_config(i, l);
    }
}

/* ---- frames that fill and go ----------------------------------------------------------------------------------------- */

struct telling {
    struct ionetd   *ionetd;
    struct link     *link;
    struct gw_meet   meet;
    struct gw_relay  relay;
    struct gw_probe  probe;
    struct gw_revoke revoke;
};

static void flush(struct telling *t)
{
    if (t->meet.reset || t->meet.nodes_count || t->meet.gone_count) link_send(t->link, LINK_GW_MEET, &t->meet);
    if (t->relay.reset || t->relay.pairs_count || t->relay.gone_count)
        link_send(t->link, LINK_GW_RELAY, &t->relay);
    if (t->probe.reset || t->probe.nodes_count) link_send(t->link, LINK_GW_PROBE, &t->probe);
    if (t->revoke.clusters_count || t->revoke.nodes_count) link_send(t->link, LINK_GW_REVOKE, &t->revoke);
    t->meet.reset = t->relay.reset = t->probe.reset = false;
    t->meet.nodes_count = t->meet.gone_count = 0;
    t->relay.pairs_count = t->relay.gone_count = 0;
    t->probe.nodes_count = t->revoke.clusters_count = t->revoke.nodes_count = 0;
}

static bool may_meet(const struct node *x)
{
    return x && x->has_key && (x->state == NODE_PLACED || x->state == NODE_SERVING);
}

static void add_meet(struct telling *t, const struct node *x)
{
    if (!may_meet(x)) return;
    if (t->meet.nodes_count == countof(t->meet.nodes)) flush(t);
    struct gw_key *k = &t->meet.nodes[t->meet.nodes_count++];
    k->node          = x->id;
    memcpy(k->key, x->mesh_key, sizeof k->key);
}

static void add_meet_gone(struct telling *t, const struct effect *e)
{
    if (t->meet.gone_count == countof(t->meet.gone)) flush(t);
    struct gw_key *k = &t->meet.gone[t->meet.gone_count++];
    k->node          = (struct node_id){ e->subject };
    memcpy(k->key, e->key, sizeof k->key);
}

static void add_relay(struct telling *t, const struct relay *r)
{
    const struct node *a = r ? network_node(&t->ionetd->network, r->pair.a.id) : NULL;
    const struct node *b = r ? network_node(&t->ionetd->network, r->pair.b.id) : NULL;
    if (!may_meet(a) || !may_meet(b)) return;
    if (t->relay.pairs_count == countof(t->relay.pairs)) flush(t);
    struct gw_pair *p = &t->relay.pairs[t->relay.pairs_count++];
    p->slot           = r->pair.slot;
    memcpy(p->key_a, a->mesh_key, sizeof p->key_a);
    memcpy(p->key_b, b->mesh_key, sizeof p->key_b);
}

static void add_relay_gone(struct telling *t, uint32_t slot)
{
    if (t->relay.gone_count == countof(t->relay.gone)) flush(t);
    t->relay.gone[t->relay.gone_count++].slot = slot;
}

static const struct recipe *recipe_of(const struct ionetd *i, const struct cluster *c)
{
    for (size_t k = 0; k < i->recipe_count; k++)
        if (strcmp(i->recipes[k].recipe->name, c->recipe) == 0) return i->recipes[k].recipe;
    return NULL;
}

/* By the service that its recipe names; a recipe that is no longer offered names none, and the node goes unseen. */
static void add_probe(struct telling *t, const struct node *x)
{
    const struct network *n = &t->ionetd->network;
    if (!x || !network_is_probed(n, x)) return;
    const struct recipe *r = recipe_of(t->ionetd, network_cluster(n, x->cluster.id));
    if (!r) return;
    const struct recipe_service *s = recipe_service(r, str_from(r->witness.through));
    if (t->probe.nodes_count == countof(t->probe.nodes)) flush(t);
    struct gw_probed_service *p = &t->probe.nodes[t->probe.nodes_count++];
    *p = (struct gw_probed_service){ .node = x->id, .cluster = x->cluster, .http = s->protocol == RECIPE_HTTP };
    check(!str_copy(str_from(s->name), p->service, sizeof p->service).code);
    if (p->http) check(!str_copy(s->path ? str_from(s->path) : STR("/"), p->path, sizeof p->path).code);
}

static void add_revoke(struct telling *t, struct id cluster)
{
    if (t->revoke.clusters_count == countof(t->revoke.clusters)) flush(t);
    t->revoke.clusters[t->revoke.clusters_count++].cluster.id = cluster;
}

static void add_revoke_node(struct telling *t, struct id node)
{
    if (t->revoke.nodes_count == countof(t->revoke.nodes)) flush(t);
    t->revoke.nodes[t->revoke.nodes_count++].node.id = node;
}

/* ---- all, or what changed ------------------------------------------------------------------------------------------------ */

/* Tickets of clusters that ended while it was away, and of nodes that were replaced: those of the last hours may not have
 * run out by themselves. */
static void add_revoked(struct telling *t)
{
    const struct network *n   = &t->ionetd->network;
    struct instant        now = network_now(n);
    for (const struct cluster *c = NULL; (c = table_next(&n->clusters, c));) {
        bool recent = instant_since(now, c->ended).ms < LEASE_MS;
        if (c->state == CLUSTER_ENDING || (!cluster_is_live(c) && recent)) add_revoke(t, c->id.id);
    }
    for (const struct node *x = NULL; (x = table_next(&n->nodes, x));)
        if (x->closed.ms && instant_since(now, x->closed).ms < LEASE_MS &&
            cluster_is_live(network_cluster(n, x->cluster.id)))
            add_revoke_node(t, x->id.id);
}

static void tell_all(struct telling *t)
{
    const struct network *n = &t->ionetd->network;
    t->meet.reset           = true;
    t->relay.reset          = true;
    t->probe.reset          = true;
    for (const struct node *x = NULL; (x = table_next(&n->nodes, x));) {
        add_meet(t, x);
        add_probe(t, x);
    }
    for (const struct relay *r = NULL; (r = table_next(&n->relays, r));) add_relay(t, r);
    add_revoked(t);
    flush(t);
}

static void tell_changes(struct telling *t, const struct effect *held, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        if (held[k].kind == EFFECT_MEET_GONE) add_meet_gone(t, &held[k]);
        if (held[k].kind == EFFECT_RELAY_GONE) add_relay_gone(t, (uint32_t)held[k].count);
    }
    flush(t);
    for (size_t k = 0; k < count; k++) {
        if (held[k].kind == EFFECT_MEET) add_meet(t, network_node(&t->ionetd->network, held[k].subject));
        if (held[k].kind == EFFECT_RELAY) add_relay(t, table_find(&t->ionetd->network.relays, held[k].subject));
        if (held[k].kind == EFFECT_PROBE) add_probe(t, network_node(&t->ionetd->network, held[k].subject));
        if (held[k].kind == EFFECT_REVOKE) add_revoke(t, held[k].subject);
        if (held[k].kind == EFFECT_REVOKE_NODE) add_revoke_node(t, held[k].subject);
    }
    flush(t);
}

static bool is_for_gateways(enum effect_kind kind)
{
    return kind == EFFECT_MEET || kind == EFFECT_MEET_GONE || kind == EFFECT_RELAY ||
           kind == EFFECT_RELAY_GONE || kind == EFFECT_PROBE || kind == EFFECT_REVOKE ||
           kind == EFFECT_REVOKE_NODE || kind == EFFECT_GATEWAY_ALL;
}

static bool came_up(const struct gateway *g, const struct effect *held, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (held[k].kind == EFFECT_GATEWAY_ALL && id_eq(held[k].subject, g->id.id)) return true;
    return false;
}

void gateways_tell(struct ionetd *i, const struct effect *held, size_t count)
{
    static struct telling t; /* one at a time */
    size_t                many = 0;
    for (size_t k = 0; k < count; k++) many += is_for_gateways(held[k].kind);
    if (many == 0) return;
    for (const struct gateway *g = NULL; (g = table_next(&i->network.gateways, g));) {
        struct link *l = link_of(i, g);
        if (!l || !l->gw_up) continue;
        t.ionetd = i;
        t.link   = l;
        if (came_up(g, held, count)) {
            send_config(i, l);
            if (l->socket) tell_all(&t);
        } else {
            tell_changes(&t, held, count);
        }
    }
}
