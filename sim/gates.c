/* gates.c: the gateways: where nodes are met, what is relayed, which lone nodes are probed. */
#include "sim_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GATE_MS 1000
#define GATE_NOTES_MAX 8192
#define RELAY_SLOTS 256
#define RELAY_PORT 30000
#define PROBE_SPAN_MS 1500
#define HOST_TEXT 16

void gate_open(struct sim *s, uint32_t place)
{
    struct gate *g = &s->gates[place];
    random_bytes(s, g->key, sizeof g->key);
    g->meets  = calloc(GATE_NOTES_MAX, sizeof *g->meets);
    g->relays = calloc(RELAY_SLOTS, sizeof *g->relays);
    g->probes = calloc(GATE_NOTES_MAX, sizeof *g->probes);
    check(g->meets && g->relays && g->probes);
}

void gate_close(struct gate *g)
{
    free(g->meets);
    free(g->relays);
    free(g->probes);
}

static uint32_t place_of(const struct sim *s, const struct gate *g)
{
    return (uint32_t)(g - s->gates);
}

static void host_of(uint32_t place, char out[HOST_TEXT])
{
    snprintf(out, HOST_TEXT, "203.0.113.%u", (10 + place) % 256);
}

/* ---- the link --------------------------------------------------------------------------------------------------------------- */

static void connect_later(struct sim *s, const struct gate *g)
{
    later(s, 500 + (int64_t)below(s, 1500), EVENT_CONNECT, MACHINES_MAX + place_of(s, g), g->run, NULL);
}

void gate_connect(struct sim *s, struct gate *g)
{
    if (g->session || !g->is_up) return;
    struct link *link = s->control.up && !g->cut_network ? link_open(s, END_GATE, place_of(s, g)) : NULL;
    if (!link) return connect_later(s, g);
    struct letter *l     = letter_new(INPUT_LINK_UP, NULL, 0);
    g->session           = link->session;
    l->in.link.purpose   = TOKEN_GATEWAY;
    l->in.link.has_token = true;
    memcpy(l->in.link.public_key, g->key, sizeof g->key);
    memcpy(l->in.link.instance, g->instance, sizeof g->instance);
    memcpy(l->in.link.token_hash, g->token, sizeof g->token);
    link_send_up(s, g->session, l, false);
}

static struct letter *letter_of(const struct gate *g, enum input_kind kind)
{
    struct letter *l = letter_new(kind, NULL, 0);
    l->in.subject    = g->id;
    return l;
}

static void endpoint(uint32_t place, const char *port, char out[MESH_ENDPOINT_TEXT])
{
    char host[HOST_TEXT];
    host_of(place, host);
    snprintf(out, MESH_ENDPOINT_TEXT, "%s:%s", host, port);
}

static void say_up(struct sim *s, struct gate *g)
{
    struct letter *l            = letter_of(g, INPUT_GW_UP);
    uint32_t       place        = place_of(s, g);
    l->in.gw_up.relay_slots     = RELAY_SLOTS;
    l->in.gw_up.relay_port_base = RELAY_PORT;
    l->in.gw_up.meet.key_a[0]   = (uint8_t)(1 + place);
    l->in.gw_up.meet.key_b[0]   = (uint8_t)(101 + place);
    host_of(place, l->in.gw_up.relay_host);
    endpoint(place, "51820", l->in.gw_up.meet.endpoint_a);
    endpoint(place, "51821", l->in.gw_up.meet.endpoint_b);
    endpoint(place, "443", l->in.gw_up.tunnel);
    link_send_up(s, g->session, l, false);
}

/* ---- what it is told --------------------------------------------------------------------------------------------------------- */

static void forget_all(struct gate *g)
{
    g->meets_count = 0;
    memset(g->relays, 0, RELAY_SLOTS * sizeof *g->relays);
    for (uint32_t i = 0; i < g->probes_count; i++) g->probes[i].is_named = false;
}

static void take_meet(struct gate *g, const struct note *n, bool gone)
{
    for (uint32_t i = 0; i < g->meets_count; i++)
        if (id_eq(g->meets[i].node.id, n->node.id) && memcmp(g->meets[i].key, n->key_a, MESH_KEY_BYTES) == 0)
            g->meets[i--] = g->meets[--g->meets_count];
    if (gone) return;
    check(g->meets_count < GATE_NOTES_MAX);
    struct gate_meet *m = &g->meets[g->meets_count++];
    *m                  = (struct gate_meet){ .node = n->node };
    memcpy(m->key, n->key_a, sizeof m->key);
}

static void take_relay(struct sim *s, struct gate *g, const struct note *n)
{
    if (n->slot >= RELAY_SLOTS) broken(s, "relay-slots", "slot %u is beyond the relay's", n->slot);
    struct gate_relay *r = &g->relays[n->slot];
    *r                   = (struct gate_relay){ .is_used = n->kind == EFFECT_RELAY };
    memcpy(r->key_a, n->key_a, sizeof r->key_a);
    memcpy(r->key_b, n->key_b, sizeof r->key_b);
}

static void take_probe(struct gate *g, const struct note *n)
{
    for (uint32_t i = 0; i < g->probes_count; i++) {
        if (!id_eq(g->probes[i].node.id, n->node.id)) continue;
        g->probes[i].is_named = true;
        return;
    }
    check(g->probes_count < GATE_NOTES_MAX);
    g->probes[g->probes_count++] =
        (struct gate_probe){ .node = n->node, .cluster = n->cluster, .is_named = true };
}

static void take_revoke(struct gate *g, struct cluster_id cluster)
{
    for (uint32_t i = 0; i < g->probes_count; i++)
        if (id_eq(g->probes[i].cluster.id, cluster.id)) g->probes[i--] = g->probes[--g->probes_count];
}

static void take_notes(struct sim *s, struct gate *g, const struct parcel *p)
{
    bool all = false;
    for (uint32_t i = 0; i < p->notes; i++) {
        const struct note *n = &((const struct note *)p->body)[i];
        if (n->kind == EFFECT_GATEWAY_ALL) forget_all(g), all = true;
        if (n->kind == EFFECT_MEET || n->kind == EFFECT_MEET_GONE) take_meet(g, n, n->kind == EFFECT_MEET_GONE);
        if (n->kind == EFFECT_RELAY || n->kind == EFFECT_RELAY_GONE) take_relay(s, g, n);
        if (n->kind == EFFECT_PROBE) take_probe(g, n);
        if (n->kind == EFFECT_REVOKE) take_revoke(g, n->cluster);
    }
    for (uint32_t i = 0; all && i < g->probes_count; i++)
        if (!g->probes[i].is_named) g->probes[i--] = g->probes[--g->probes_count];
}

void gate_parcel(struct sim *s, struct gate *g, const struct parcel *p)
{
    if (p->session != g->session || !g->is_up) return;
    if (p->kind == PARCEL_CLOSED) {
        g->session      = 0;
        g->link_welcome = false;
        connect_later(s, g);
    }
    if (p->kind == PARCEL_WELCOME) {
        g->id           = p->subject;
        g->link_welcome = true;
        say_up(s, g);
    }
    if (p->kind == PARCEL_NOTES) take_notes(s, g, p);
}

/* ---- what it does --------------------------------------------------------------------------------------------------------------- */

/* Nodes send a packet to the meeting point every now and then: where it comes from is said once. */
static void meet(struct sim *s, struct gate *g)
{
    for (uint32_t i = 0; i < g->meets_count; i++) {
        struct gate_meet     *meet = &g->meets[i];
        const struct thing   *t    = thing_of(s, meet->node.id);
        const struct machine *m    = t ? &s->machines[t->machine] : NULL;
        if (!t || !t->has_mesh || !t->has_meets || !m->is_powered || m->cut_mesh) continue;
        if (memcmp(t->key, meet->key, MESH_KEY_BYTES) != 0 || meet->said == m->moves + 1) continue;
        struct letter *l   = letter_of(g, INPUT_GW_SEEN);
        meet->said         = m->moves + 1;
        l->in.gw_seen.node = meet->node;
        machine_address(m, false, l->in.gw_seen.seen_a);
        machine_address(m, true, l->in.gw_seen.seen_b);
        link_send_up(s, g->session, l, false);
    }
}

static void probe(struct sim *s, struct gate *g)
{
    for (uint32_t i = 0; i < g->probes_count; i++) {
        struct gate_probe *p    = &g->probes[i];
        struct thing      *t    = thing_of(s, p->node.id);
        bool               seen = t && t->has_container && t->tunnels && !s->machines[t->machine].cut_mesh;
        if (seen && p->answered_ms) {
            int64_t span_ms = s->now_ms - p->answered_ms;
            if (span_ms > PROBE_SPAN_MS) span_ms = PROBE_SPAN_MS;
            p->seen_ms += (uint64_t)span_ms;
            thing_probed(s, t, span_ms);
        }
        p->answered_ms = seen ? s->now_ms : 0;
        if (!seen || !p->seen_ms || !g->link_welcome) continue;
        struct letter *l        = letter_of(g, INPUT_GW_PROBED);
        l->in.gw_probed.node    = p->node;
        l->in.gw_probed.seen_ms = p->seen_ms;
        link_send_up(s, g->session, l, true);
    }
}

void gate_tick(struct sim *s, struct gate *g)
{
    if (g->link_welcome) meet(s, g);
    probe(s, g);
    later(s, GATE_MS, EVENT_GATE_TICK, place_of(s, g), g->run, NULL);
}

/* ---- lives ------------------------------------------------------------------------------------------------------------------------ */

void gate_start(struct sim *s, struct gate *g)
{
    if (g->is_up || !g->has_token) return;
    g->is_up = true;
    g->run++;
    random_bytes(s, g->instance, sizeof g->instance);
    gate_connect(s, g);
    later(s, GATE_MS, EVENT_GATE_TICK, place_of(s, g), g->run, NULL);
}

/* It forgets what it counted; the tunnels end. */
void gate_stop(struct sim *s, struct gate *g, int64_t down_ms)
{
    if (!g->is_up) return;
    link_drop(s, g->session, (int64_t)below(s, 3000));
    g->is_up = g->link_welcome = false;
    g->session                 = 0;
    g->run++;
    g->meets_count = g->probes_count = 0;
    memset(g->relays, 0, RELAY_SLOTS * sizeof *g->relays);
    later(s, down_ms, EVENT_GATE_START, place_of(s, g), g->run, NULL);
    for (uint32_t i = 0; i < s->things.used; i++) {
        struct thing *t = table_at(&s->things, i);
        site_drop_tunnels(s, &s->machines[t->machine], t);
    }
}

/* ---- relays ------------------------------------------------------------------------------------------------------------------------- */

static bool port_of(uint32_t place, const char *endpoint, uint32_t *slot, uint32_t *side)
{
    char     host[HOST_TEXT];
    unsigned port;
    host_of(place, host);
    size_t len = strlen(host);
    if (strncmp(endpoint, host, len) != 0 || endpoint[len] != ':') return false;
    if (sscanf(endpoint + len + 1, "%u", &port) != 1 || port < RELAY_PORT) return false;
    *slot = (port - RELAY_PORT) / 2;
    *side = (port - RELAY_PORT) % 2;
    return *slot < RELAY_SLOTS;
}

/* Each side sends to its own port of the pair's slot. */
bool gate_relays(const struct sim *s, const struct thing *from, const struct thing *to, const char *endpoint)
{
    for (uint32_t i = 0; i < s->plan.gates; i++) {
        const struct gate *g = &s->gates[i];
        uint32_t           slot, side;
        if (!g->is_up || !port_of(i, endpoint, &slot, &side)) continue;
        const struct gate_relay *r = &g->relays[slot];
        const uint8_t *key_a = side == 0 ? from->key : to->key, *key_b = side == 0 ? to->key : from->key;
        if (r->is_used && memcmp(r->key_a, key_a, MESH_KEY_BYTES) == 0 &&
            memcmp(r->key_b, key_b, MESH_KEY_BYTES) == 0)
            return true;
    }
    return false;
}
