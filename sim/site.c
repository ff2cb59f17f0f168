/* site.c: what the worker's program does on its machine, how long that takes, and how it fails. */
#include "sim_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MS 1000
#define SPOKEN_BYTES 5000 /* between two looks at the mesh */
#define LINE_TEXT 2048    /* of a witness */

struct done {
    enum worker_input_kind kind;
    struct worker_ref      ref;
    struct err             err;
    uint32_t               image;
    struct mesh_peer       peer;
};

void site_image(uint32_t image, char out[ASSIGN_IMAGE_TEXT])
{
    snprintf(out, ASSIGN_IMAGE_TEXT, "203.0.113.3:5000/image%u@sha256:%064u", image, image);
}

static uint32_t image_of(const char *name)
{
    char text[ASSIGN_IMAGE_TEXT];
    for (uint32_t i = 0; i < IMAGES; i++) {
        site_image(i, text);
        if (strcmp(text, name) == 0) return i;
    }
    check(false);
}

/* ---- what is begun --------------------------------------------------------------------------------------------------------- */

static struct err outcome(struct sim *s, const struct machine *m, enum worker_input_kind kind)
{
    if (m->disk_is_full && kind != IN_CLEANED) return ERR(IO, "the disk is full");
    if (strikes(s, s->plan.fails, 1000)) return ERR(IO, "it failed");
    if (kind != IN_CLEANED && strikes(s, s->plan.fails, 10000)) return ERR(MISSING, "it is not there");
    return OK;
}

static void begin(struct sim *s, struct machine *m, const struct worker_action *a, enum worker_input_kind kind,
                  uint64_t most_ms)
{
    struct done *d = malloc(sizeof *d);
    check(d);
    *d      = (struct done){ .kind = kind, .ref = a->ref, .err = outcome(s, m, kind) };
    d->peer = a->peer;
    if (kind == IN_IMAGE) d->image = image_of(a->image);
    if (kind == IN_RECIPE && (m->cut_network || !s->control.up))
        d->err = ERR(IO, "the network can't be reached");
    later(s, 1 + (int64_t)below(s, most_ms), EVENT_DONE, m->place, m->run, d);
}

/* 0: nobody's that is known. */
static uint32_t address_of(const struct sim *s, const struct thing_peer *p)
{
    const struct thing *t = p->other ? table_at(&s->things, p->other - 1) : NULL;
    return t ? t->index : 0;
}

static void set_peer(struct sim *s, struct thing *t, const struct mesh_peer *peer, bool remove)
{
    uint32_t at = 0;
    while (at < t->peers_count && memcmp(t->peers[at].key, peer->key, MESH_KEY_BYTES) != 0) at++;
    if (remove) {
        if (at < t->peers_count) t->peers[at] = t->peers[--t->peers_count];
        return;
    }
    if (at == THING_PEERS_MAX) return;
    struct thing_peer *p = &t->peers[at];
    if (at == t->peers_count) {
        t->peers_count++;
        *p = (struct thing_peer){ .other = 0 };
        memcpy(p->key, peer->key, sizeof p->key);
        for (struct thing *o = NULL; (o = thing_next(s, t->cluster.id, o));)
            if (o != t && memcmp(o->key, peer->key, MESH_KEY_BYTES) == 0) p->other = thing_place(s, o);
    }
    memcpy(p->endpoint, peer->endpoint, sizeof p->endpoint);
    for (uint32_t i = 0; i < t->peers_count; i++) /* an address leads to who was set there last */
        if (i != at && p->other && address_of(s, &t->peers[i]) == address_of(s, p)) t->peers[i].endpoint[0] = 0;
}

static void read_peers(struct sim *s, struct machine *m, struct thing *t)
{
    static struct worker_peer_seen seen[THING_PEERS_MAX];
    struct worker_input            in = { .kind = IN_PEERS, .ref = { { t->id }, 1 }, .peers = seen };
    for (uint32_t i = 0; i < t->peers_count; i++) {
        struct thing_peer *p = &t->peers[i];
        if (t->has_container) p->tx_bytes += SPOKEN_BYTES;
        if (p->other && things_meet(s, t, table_at(&s->things, p->other - 1))) p->rx_bytes += SPOKEN_BYTES;
        seen[i].handshake_ms = p->handshake_ms;
        seen[i].rx_bytes     = p->rx_bytes;
        seen[i].tx_bytes     = p->tx_bytes;
        memcpy(seen[i].key, p->key, sizeof seen[i].key);
        memcpy(seen[i].endpoint, p->endpoint, sizeof seen[i].endpoint);
    }
    in.peers_count = t->peers_count;
    if (!t->has_mesh) in.err = ERR(IO, "there is no device");
    machine_step(s, m, in);
}

static void send_witnessed(struct sim *s, struct machine *m, const struct worker_action *a)
{
    struct witnessed w;
    worker_witnessed(m->w, a->slot, a->from, (uint64_t)machine_clock(s, m), &w);
    if (m->lies & LIE_WITNESS) lie_witnessed(s, &w);
    struct letter *l = letter_new(INPUT_WITNESSED, &w, sizeof w);
    l->in.subject    = m->id;
    link_send_up(s, m->session, l, true);
}

static void send_silent(struct sim *s, struct machine *m, const struct worker_action *a)
{
    struct mesh_silent silent = { .node = a->ref.node };
    memcpy(silent.key, a->peer.key, sizeof silent.key);
    struct letter *l = letter_new(INPUT_SILENT, &silent, sizeof silent);
    l->in.subject    = m->id;
    link_send_up(s, m->session, l, false);
}

static void send_reached(struct sim *s, struct machine *m, const struct worker_action *a)
{
    struct mesh_reached reached = { .node = a->ref.node };
    memcpy(reached.key, a->peer.key, sizeof reached.key);
    struct letter *l = letter_new(INPUT_REACHED, &reached, sizeof reached);
    l->in.subject    = m->id;
    link_send_up(s, m->session, l, false);
}

static void start_witness(struct sim *s, struct machine *m, struct thing *t)
{
    t->has_witness = true;
    t->witness_run++;
    later(s, LINE_MS, EVENT_LINE, thing_place(s, t) - 1, m->run << 20 | t->witness_run, NULL);
}

static void find(struct sim *s, struct machine *m, struct thing *t)
{
    struct worker_input in = { .kind            = IN_FOUND,
                               .ref             = { { t->id }, 1 },
                               .found_mesh      = t->has_mesh,
                               .found_container = t->has_container };
    machine_step(s, m, in);
}

void site_drop_tunnels(struct sim *s, struct machine *m, struct thing *t)
{
    struct worker_input in = { .kind = IN_TUNNEL, .ref = { { t->id }, 1 }, .tunnel = TUNNEL_LOST };
    for (; t->tunnels && m->is_up; t->tunnels--) machine_step(s, m, in);
}

/* What takes its time, and how long at most. */
static const struct {
    enum worker_input_kind answer;
    uint64_t               most_ms;
} begun[ACT_COUNT] = {
    [ACT_TRY_PEER] = { IN_REACHED, 1000 },  [ACT_FETCH_RECIPE] = { IN_RECIPE, 300 },
    [ACT_FETCH_IMAGE] = { IN_IMAGE, 8000 }, [ACT_MAKE_MESH] = { IN_MESH, 500 },
    [ACT_CLEAN] = { IN_CLEANED, 2000 },     [ACT_START_CONTAINER] = { IN_CONTAINER, 3000 },
    [ACT_DIAL_TUNNEL] = { IN_TUNNEL, 200 }, [ACT_START_COPY] = { IN_COPY_LINE, 3000 },
};

void site_act(struct sim *s, struct machine *m, const struct worker_action *a)
{
    struct thing *t = a->kind == ACT_FETCH_IMAGE ? NULL : thing_of(s, a->ref.node.id);
    if (!t && a->kind != ACT_FETCH_IMAGE) return;
    if (begun[a->kind].most_ms) begin(s, m, a, begun[a->kind].answer, begun[a->kind].most_ms);
    if (a->kind == ACT_FIND) find(s, m, t);
    if (a->kind == ACT_CLEAN) t->clean_asked = true;
    if (a->kind == ACT_SET_MEETS) t->has_meets = true;
    if (a->kind == ACT_SET_PEER || a->kind == ACT_REMOVE_PEER || a->kind == ACT_MOVE_PEER)
        set_peer(s, t, &a->peer, a->kind == ACT_REMOVE_PEER);
    if (a->kind == ACT_READ_PEERS) read_peers(s, m, t);
    if (a->kind == ACT_START_WITNESS) start_witness(s, m, t);
    if (a->kind == ACT_STOP_WITNESS) t->has_witness = false;
    if (a->kind == ACT_STOP_COPY) t->has_copy = false;
    if (a->kind == ACT_DROP_TUNNELS) site_drop_tunnels(s, m, t);
    if (a->kind == ACT_SEND_WITNESSED) send_witnessed(s, m, a);
    if (a->kind == ACT_SEND_SILENT) send_silent(s, m, a);
    if (a->kind == ACT_SEND_REACHED) send_reached(s, m, a);
}

/* ---- what has been done ---------------------------------------------------------------------------------------------------- */

static void make_mesh(struct sim *s, struct thing *t)
{
    t->has_mesh    = true;
    t->peers_count = 0;
    random_bytes(s, t->key, sizeof t->key);
    snprintf(t->inside, sizeof t->inside, "192.168.1.%u:51820", t->machine + 1);
}

static bool is_about(const struct event *e, const struct machine *m, struct worker_ref ref)
{
    const struct done *d = e->what;
    return e->kind == EVENT_DONE && e->who == m->place && worker_ref_eq(d->ref, ref);
}

static void take_back(struct event *e)
{
    free(e->what);
    e->what = NULL;
    e->kind = EVENT_VOID;
}

/* Cleaning awaits what was begun for the node, and undoes it. */
static void clean(struct sim *s, struct machine *m, struct thing *t, struct worker_ref ref)
{
    for (struct event *e = NULL; (e = events_next(&s->events, e));)
        if (is_about(e, m, ref)) take_back(e);
    thing_stop(s, t);
    t->has_mesh = t->has_meets = false;
    t->peers_count             = 0;
}

/* What a head in a lost one's place begins with. */
static bool is_restored(struct sim *s, const struct thing *t)
{
    const struct node *x = network_node(&s->control.n, t->id);
    if (!x || !x->restores) return true;
    for (struct thing *o = NULL; (o = thing_next(s, t->cluster.id, o));)
        if (o->index == x->restores && o->has_copy) return true;
    return false;
}

/* Once it is whole it stays so without its head; it is lost with its program. */
static bool is_copied(struct sim *s, struct thing *t)
{
    for (struct thing *o = NULL; (o = thing_next(s, t->cluster.id, o));) {
        const struct node *x = network_node(&s->control.n, o->id);
        if (x && x->role == NODE_HEAD && o->has_container && things_meet(s, t, o)) t->has_copy = true;
    }
    t->has_copy &= t->has_container && !strikes(s, 3, 1000);
    return t->has_copy;
}

/* The deed, whether or not anybody is there to hear of it. */
static void happen(struct sim *s, struct machine *m, struct done *d)
{
    if (d->err.code) return;
    if (d->kind == IN_IMAGE) {
        m->images |= 1u << d->image;
        return;
    }
    struct thing *t = thing_of(s, d->ref.node.id);
    check(t);
    if (d->kind == IN_MESH) make_mesh(s, t);
    if (d->kind == IN_CONTAINER && !t->has_mesh)
        d->err = ERR(IO, "its mesh is gone");
    else if (d->kind == IN_CONTAINER && !is_restored(s, t))
        d->err = ERR(IO, "there is nothing to restore");
    else if (d->kind == IN_CONTAINER)
        thing_start(s, t);
    if (d->kind == IN_CLEANED) clean(s, m, t, d->ref);
}

static bool any_gate(const struct sim *s)
{
    for (uint32_t i = 0; i < s->plan.gates; i++)
        if (s->gates[i].is_up) return true;
    return false;
}

/* The place of a mesh device, the fate of a tunnel. */
static void add_details(struct sim *s, const struct machine *m, struct thing *t, struct worker_input *in)
{
    if (in->kind == IN_MESH && !in->err.code) {
        in->inside = t->inside;
        memcpy(in->key, t->key, sizeof in->key);
    }
    if (in->kind == IN_COPY_LINE) {
        in->text = STR("copied");
        if (in->err.code || !is_copied(s, t)) in->kind = IN_COPY;
    }
    if (in->kind != IN_TUNNEL) return;
    bool opens = !in->err.code && any_gate(s) && !m->cut_mesh && t->has_container;
    in->tunnel = opens ? TUNNEL_OPEN : TUNNEL_FAILED;
    t->tunnels += opens;
}

static bool is_reached(struct sim *s, const struct thing *t, const struct mesh_peer *peer)
{
    for (struct thing *o = NULL; (o = thing_next(s, t->cluster.id, o));)
        if (o != t && o->has_mesh && memcmp(o->key, peer->key, MESH_KEY_BYTES) == 0)
            return !s->machines[o->machine].cut_mesh && thing_reaches(s, t, o, peer->direct);
    return false;
}

void site_done(struct sim *s, struct machine *m, const struct event *e)
{
    struct done        *d = e->what;
    struct worker_input in;
    char                image[ASSIGN_IMAGE_TEXT];
    if (e->run != m->run) return;
    happen(s, m, d);
    in              = (struct worker_input){ .kind = d->kind, .ref = d->ref, .err = d->err, .inside = "" };
    struct thing *t = d->kind == IN_IMAGE ? NULL : thing_of(s, d->ref.node.id);
    if (t) add_details(s, m, t, &in);
    if (!t) {
        site_image(d->image, image);
        in.text = str_from(image);
    }
    if (t && d->kind == IN_REACHED) {
        if (d->err.code || !is_reached(s, t, &d->peer)) return; /* nobody answers there */
        memcpy(in.key, d->peer.key, sizeof in.key);
    }
    machine_step(s, m, in);
}

void site_forget(struct sim *s, struct machine *m)
{
    for (struct event *e = NULL; (e = events_next(&s->events, e));) {
        if (e->kind != EVENT_DONE || e->who != m->place) continue;
        struct done *d = e->what;
        if (m->is_powered && d->kind != IN_TUNNEL && d->kind != IN_CLEANED && below(s, 2)) happen(s, m, d);
        take_back(e);
    }
    for (uint32_t i = 0; i < s->things.used; i++) {
        struct thing *t = table_at(&s->things, i);
        if (t->machine != m->place) continue;
        t->has_witness = t->clean_asked = false;
        t->tunnels                      = 0;
        t->line_ms                      = 0; /* the first line of the next one begins a span */
    }
}

/* ---- witnesses ------------------------------------------------------------------------------------------------------------- */

/* What really was seen: the head's word counts for the others, another's for the head; and only who was named in the line
 * before was seen from there on. */
static void count_seen(struct sim *s, const struct thing *by, struct thing *t)
{
    const struct node *nb = network_node(&s->control.n, by->id), *nt = network_node(&s->control.n, t->id);
    int64_t            span_ms = by->line_ms ? s->now_ms - by->line_ms : 0;
    bool               named   = false;
    for (uint32_t i = 0; i < by->named_count; i++) named |= by->named[i] == thing_place(s, t);
    if (!nb || !nt || !named || by == t || (nb->role != NODE_HEAD && nt->role != NODE_HEAD)) return;
    if (span_ms > WORKER_SEEN_SPAN_MS) span_ms = WORKER_SEEN_SPAN_MS;
    t->seen_ms += (uint64_t)span_ms; /* one witness comes after the other: their times don't overlap */
}

static bool sees(struct sim *s, struct thing *t, struct thing *o)
{
    return o->has_container && (o == t || things_meet(s, t, o));
}

void site_line(struct sim *s, const struct event *e)
{
    struct thing   *t = table_at(&s->things, e->who);
    struct machine *m = &s->machines[t->machine];
    char            room[LINE_TEXT], address[MESH_ADDRESS_TEXT];
    uint32_t        named[THING_PEERS_MAX], named_count = 0;
    struct text     line = TEXT_IN(room);
    if (!t->has_witness || !m->is_up || e->run != (m->run << 20 | t->witness_run)) return;
    if (strikes(s, 3, 1000)) { /* it ends, and is started again */
        t->has_witness = false;
        machine_step(s, m, (struct worker_input){ .kind = IN_WITNESS, .ref = { { t->id }, 1 } });
        return;
    }
    later(s, LINE_MS, EVENT_LINE, e->who, e->run, NULL);
    if (t->is_mute && s->is_faulty) return;
    text_add(&line, STR("alive"));
    for (struct thing *o = NULL; (o = thing_next(s, t->cluster.id, o));) {
        if (named_count == THING_PEERS_MAX || !sees(s, t, o)) continue;
        mesh_address(o->index, address);
        text_add_char(&line, ' ');
        text_add(&line, str_from(address));
        count_seen(s, t, o);
        named[named_count++] = thing_place(s, o);
    }
    t->line_ms     = s->now_ms;
    t->named_count = named_count;
    memcpy(t->named, named, named_count * sizeof named[0]);
    machine_step(s, m,
                 (struct worker_input){ .kind = IN_LINE, .ref = { { t->id }, 1 }, .text = text_str(&line) });
}
