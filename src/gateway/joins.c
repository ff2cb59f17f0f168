#include "door_int.h"
#include "refuse_int.h"

#include "base/map.h"
#include "sys/log.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

#define LINE_MAX 256    /* a worker's answer */
#define OPENING_MAX 512 /* what a worker is told */
#define REFUSALS_MAX 8

struct ring {
    struct ring *next, *prev;
};

#define owner_of(ring_ptr, type) ((type *)(void *)((char *)(ring_ptr)-offsetof(type, ring)))

struct offer {            /* a node that has dialled */
    struct id         id; /* the node's: what the map finds it by */
    struct cluster_id cluster;
    bool              is_head; /* its ticket says so */
    uint64_t          newest;  /* when it last dialled, in order of dialling */
    struct ring       idle;
    unsigned          idle_count;
    unsigned          tunnels; /* also those in use */
};

enum tunnel_state { TUNNEL_IDLE, TUNNEL_OPENING, TUNNEL_JOINED };

struct tunnel {
    struct ring       ring; /* of its offer while idle, of the joins' `busy` after */
    struct joins     *joins;
    struct offer     *offer;
    enum tunnel_state state;
    struct net_raw   *raw;
    struct join      *join;
    char              line[LINE_MAX];
    size_t            line_len;
};

enum join_state { JOIN_WAITING, JOIN_OPENING, JOIN_JOINED, JOIN_OVER };

struct join {
    struct ring         ring;
    struct joins       *joins;
    enum join_state     state;
    struct net_request *request; /* to be answered with 101 */
    struct net_raw     *raw;     /* or taken whole */
    struct tunnel      *tunnel;
    struct net_splice  *splice;
    struct net_timer   *timer;
    struct ticket       ticket;
    char                client[NET_ADDRESS_TEXT];
    struct id           refused_by[REFUSALS_MAX]; /* nodes whose worker said no */
    unsigned            refusals;
    char                refused[LINE_MAX]; /* why the last of them did */

    const struct joins_own_calls *own; /* null: a user's */
    void                         *ctx;
};

struct joins {
    struct net        *net;
    struct join_limits limits;
    struct offer       offers[DOOR_NODES_MAX];
    uint32_t           free_offers[DOOR_NODES_MAX];
    uint32_t           free_count, top;
    struct map         map;
    uint32_t          *slots;
    struct ring        joins; /* all of them */
    struct ring        busy;  /* tunnels that are opening or joined */
    uint64_t           dialled;
    uint64_t           count, live, bytes, idle;
};

/* ---- rings ------------------------------------------------------------------------------------------------------ */

static void ring_init(struct ring *r)
{
    r->next = r->prev = r;
}

static void ring_push(struct ring *head, struct ring *r)
{
    r->prev          = head->prev;
    r->next          = head;
    head->prev->next = r;
    head->prev       = r;
}

static void ring_remove(struct ring *r)
{
    r->prev->next = r->next;
    r->next->prev = r->prev;
    ring_init(r);
}

/* ---- offers --------------------------------------------------------------------------------------------------------- */

static struct offer *offer_get(struct joins *js, const struct ticket *t)
{
    uint32_t at = map_find(&js->map, t->node.id);
    if (at != MAP_NONE) return &js->offers[at];
    if (!js->free_count && js->top == DOOR_NODES_MAX) return NULL;
    at              = js->free_count ? js->free_offers[--js->free_count] : js->top++;
    struct offer *o = &js->offers[at];
    *o              = (struct offer){ .id = t->node.id };
    ring_init(&o->idle);
    map_put(&js->map, at);
    return o;
}

static void offer_let_go(struct joins *js, struct offer *o)
{
    if (--o->tunnels) return;
    map_remove(&js->map, o->id);
    memset(o, 0, sizeof *o);
    js->free_offers[js->free_count++] = (uint32_t)(o - js->offers);
}

static bool may_serve(const struct offer *o, const struct join *j)
{
    if (!o->tunnels || !id_eq(o->cluster.id, j->ticket.cluster.id)) return false;
    if (id_is_none(j->ticket.node.id) ? !o->is_head : !id_eq(j->ticket.node.id, o->id)) return false;
    for (unsigned i = 0; i < j->refusals; i++)
        if (id_eq(j->refused_by[i], o->id)) return false;
    return true;
}

/* The next node to try for this join: the one that is named; else the cluster's head, of which the one that dialled
 * last is the living one. */
static struct offer *offer_choose(struct joins *js, const struct join *j)
{
    struct offer *best = NULL;
    if (!id_is_none(j->ticket.node.id)) {
        uint32_t at = map_find(&js->map, j->ticket.node.id);
        if (at != MAP_NONE && may_serve(&js->offers[at], j)) best = &js->offers[at];
    }
    for (uint32_t i = 0; i < js->top && id_is_none(j->ticket.node.id); i++) {
        struct offer *o = &js->offers[i];
        if (may_serve(o, j) && (!best || o->newest > best->newest)) best = o;
    }
    return best && best->idle_count ? best : NULL;
}

/* ---- joining ---------------------------------------------------------------------------------------------------------- */

static void join_free(struct join *j)
{
    net_timer_stop(j->timer);
    ring_remove(&j->ring);
    if (!j->own) j->joins->live--;
    free(j);
}

static void let_tunnel_go(struct join *j)
{
    if (!j->tunnel) return;
    j->tunnel->join = NULL;
    net_raw_close(j->tunnel->raw);
}

static void own_over(struct join *j, const char *why)
{
    j->own->on_over(j->ctx, why);
    let_tunnel_go(j);
    join_free(j);
}

static void join_refuse(struct join *j, unsigned status, const char *why)
{
    j->state = JOIN_OVER;
    if (j->own) {
        own_over(j, why);
        return;
    }
    log_info("join.refused", LOG_ID("cluster", j->ticket.cluster), LOG_TEXT("service", j->ticket.service),
             LOG_TEXT("client", j->client), LOG_I64("status", status), LOG_TEXT("why", why));
    if (j->request) net_reply(j->request, status, NULL, 0, str_from(why));
    if (j->raw) refuse_raw(j->joins->net, j->raw, status, str_from(why));
    let_tunnel_go(j);
    join_free(j);
}

static void on_timeout(void *ctx)
{
    struct join *j = ctx;
    j->timer       = NULL;
    if (j->refusals)
        join_refuse(j, 502, j->refused);
    else
        join_refuse(j, 503, "the service did not answer in time");
}

static void opening_write(const struct join *j, struct text *out)
{
    struct json_out w = json_begin(out);
    json_open_object(&w);
    json_key(&w, "service");
    json_str(&w, str_from(j->ticket.service));
    json_key(&w, "user");
    json_str(&w, str_from(j->ticket.user));
    json_key(&w, "client");
    json_str(&w, str_from(j->client));
    json_close_object(&w);
    text_add_char(out, '\n');
    check(!out->full);
}

/* Takes a tunnel for it, if one waits. */
static void join_try(struct joins *js, struct join *j)
{
    char          room[OPENING_MAX];
    struct text   opening = TEXT_IN(room);
    struct offer *o       = offer_choose(js, j);
    if (!o) return;
    struct tunnel *t = owner_of(o->idle.next, struct tunnel);
    ring_remove(&t->ring);
    ring_push(&js->busy, &t->ring);
    o->idle_count--;
    js->idle--;
    t->state  = TUNNEL_OPENING;
    t->join   = j;
    j->tunnel = t;
    j->state  = JOIN_OPENING;
    opening_write(j, &opening);
    net_raw_send(t->raw, text_str(&opening));
}

/* Those who wait for this node, while it has a tunnel. Others' waiting costs nothing: to choose is dear. */
static void try_waiting(struct joins *js, const struct offer *o)
{
    for (struct ring *r = js->joins.next, *next; r != &js->joins && o->idle_count; r = next) {
        struct join *j = owner_of(r, struct join);
        next           = r->next;
        if (j->state == JOIN_WAITING && may_serve(o, j)) join_try(js, j);
    }
}

/* The tunnel was lost, or its worker said no: perhaps another has it. */
static void join_again(struct join *j)
{
    j->tunnel = NULL;
    j->state  = JOIN_WAITING;
    join_try(j->joins, j);
    if (j->state == JOIN_WAITING && j->refusals) join_refuse(j, 502, j->refused);
}

static void on_splice_over(void *ctx, uint64_t up_bytes, uint64_t down_bytes)
{
    struct join  *j  = ctx;
    struct joins *js = j->joins;
    js->bytes += up_bytes + down_bytes;
    log_info("join.over", LOG_ID("cluster", j->ticket.cluster), LOG_TEXT("service", j->ticket.service),
             LOG_I64("up_bytes", up_bytes), LOG_I64("down_bytes", down_bytes));
    ring_remove(&j->tunnel->ring);
    offer_let_go(js, j->tunnel->offer);
    free(j->tunnel);
    join_free(j);
}

static void on_client_bytes(void *ctx, struct net_raw *r, struct str bytes)
{
    (void)ctx, (void)r, (void)bytes; /* paused until it is joined */
}

static void on_client_close(void *ctx, const char *why)
{
    struct join *j = ctx;
    (void)why;
    j->raw = NULL;
    let_tunnel_go(j);
    join_free(j);
}

static const struct net_raw_calls client_calls = { .on_bytes = on_client_bytes, .on_close = on_client_close };

/* `rest`: what the service said right behind the worker's answer. */
static void join_up(struct join *j, struct str rest)
{
    struct tunnel *t = j->tunnel;
    j->state         = JOIN_JOINED;
    t->state         = TUNNEL_JOINED;
    if (j->own) {
        j->own->on_up(j->ctx, j, rest);
        return;
    }
    if (j->request) {
        struct net_request *r = j->request;
        j->request            = NULL;
        j->raw                = net_raw_accept(r, STR(DOOR_PROTOCOL), &client_calls, j);
        check(j->raw);
    }
    j->joins->count++;
    net_timer_stop(j->timer);
    j->timer = NULL;
    log_info("join.up", LOG_ID("cluster", j->ticket.cluster), LOG_TEXT("service", j->ticket.service),
             LOG_TEXT("user", j->ticket.user), LOG_TEXT("client", j->client));
    if (rest.len) net_raw_send(j->raw, rest);
    j->joins->bytes += rest.len; /* the splice counts what comes from now on */
    j->splice = net_splice(j->raw, t->raw, on_splice_over, j);
}

/* ---- a worker's side ------------------------------------------------------------------------------------------------- */

static void take_answer(struct tunnel *t, struct str line, struct str rest)
{
    struct join *j = t->join;
    if (str_eq(line, STR("ok"))) {
        join_up(j, rest);
        return;
    }
    bool       no  = str_starts(line, STR("no ")) && str_is_utf8(line);
    struct str why = no ? str_skip(line, 3) : STR("the worker's answer makes no sense");
    check(!str_copy(why, j->refused, sizeof j->refused).code);
    j->refused_by[j->refusals++] = t->offer->id;
    t->join                      = NULL;
    j->tunnel                    = NULL;
    net_raw_close(t->raw);
    if (j->refusals == REFUSALS_MAX)
        join_refuse(j, 502, j->refused);
    else
        join_again(j);
}

static void tunnel_on_bytes(void *ctx, struct net_raw *r, struct str bytes)
{
    struct tunnel *t = ctx;
    struct str     line, rest;
    struct join   *j = t->join;
    if (t->state == TUNNEL_JOINED && j) { /* of our own: a user's is spliced */
        j->own->on_bytes(j->ctx, j, bytes);
        return;
    }
    if (t->state != TUNNEL_OPENING || !j) {
        net_raw_close(r); /* it was not asked */
        return;
    }
    size_t room = sizeof t->line - t->line_len, count = bytes.len < room ? bytes.len : room;
    memcpy(t->line + t->line_len, bytes.ptr, count);
    t->line_len += count;
    if (!str_split((struct str){ t->line, t->line_len }, '\n', &line, &rest)) {
        if (t->line_len == sizeof t->line) take_answer(t, STR(""), STR(""));
        return;
    }
    take_answer(t, line, str_skip(bytes, count - rest.len));
}

static void tunnel_on_end(void *ctx, struct net_raw *r)
{
    (void)ctx;
    net_raw_close(r);
}

static void tunnel_on_close(void *ctx, const char *why)
{
    struct tunnel *t  = ctx;
    struct joins  *js = t->joins;
    struct join   *j  = t->join;
    (void)why;
    if (t->state == TUNNEL_IDLE) {
        t->offer->idle_count--;
        js->idle--;
    }
    ring_remove(&t->ring);
    offer_let_go(js, t->offer);
    free(t);
    if (!j) return;
    j->tunnel = NULL;
    if (j->state == JOIN_JOINED)
        join_refuse(j, 502, "the service closed the connection");
    else
        join_again(j);
}

void joins_add_tunnel(struct joins *js, struct net_request *r, const struct ticket *ticket)
{
    static const struct net_raw_calls calls = { .on_bytes = tunnel_on_bytes,
                                                .on_end   = tunnel_on_end,
                                                .on_close = tunnel_on_close };
    struct offer                     *o     = offer_get(js, ticket);
    if (!o || o->idle_count == GATEWAY_TUNNELS_A_NODE_MAX) {
        net_reply(r, 429, NULL, 0, STR("enough tunnels of this node wait"));
        return;
    }
    struct tunnel *t = calloc(1, sizeof *t);
    check(t);
    *t     = (struct tunnel){ .joins = js, .offer = o };
    t->raw = net_raw_accept(r, STR(DOOR_PROTOCOL), &calls, t);
    o->tunnels++;
    if (!t->raw) {
        free(t);
        offer_let_go(js, o);
        return;
    }
    o->cluster = ticket->cluster;
    o->is_head = strcmp(ticket->service, TICKET_HEAD) == 0;
    o->newest  = ++js->dialled;
    o->idle_count++;
    js->idle++;
    ring_push(&o->idle, &t->ring);
    log_debug("tunnel.up", LOG_ID("node", ticket->node), LOG_I64("idle", o->idle_count));
    try_waiting(js, o);
}

/* ---- a user's side ----------------------------------------------------------------------------------------------------- */

static void on_request_gone(void *ctx)
{
    struct join *j = ctx;
    j->request     = NULL;
    on_client_close(j, "the client left");
}

/* Among a few thousand counting costs less than one of them cost to open. */
static struct err check_share(const struct joins *js, const struct join *j)
{
    uint32_t clusters = 0, users = 0;
    for (const struct ring *r = js->joins.next; r != &js->joins; r = r->next) {
        const struct join *o = owner_of(r, const struct join);
        if (o->own) continue;
        clusters += id_eq(o->ticket.cluster.id, j->ticket.cluster.id);
        users += strcmp(o->ticket.user, j->ticket.user) == 0;
    }
    if (clusters > js->limits.a_cluster) return ERR(LIMIT, "too many connections are joined to this cluster");
    if (users > js->limits.a_user) return ERR(LIMIT, "this account has too many connections joined here");
    return js->live > DOOR_JOINS_MAX ? ERR(LIMIT, "too many connections are joined here") : OK;
}

void joins_add(struct joins *js, struct net_request *r, const struct ticket *ticket, bool plain)
{
    struct join *j = calloc(1, sizeof *j);
    check(j);
    *j = (struct join){ .joins = js, .ticket = *ticket };
    (void)!str_copy(net_request_peer(r), j->client, sizeof j->client).code;
    ring_push(&js->joins, &j->ring);
    js->live++;
    if (plain) {
        j->request = r;
        net_request_set_ctx(r, j, on_request_gone);
    } else {
        j->raw = net_raw_take(r, &client_calls, j);
        net_raw_pause(j->raw, true);
    }
    struct err e = check_share(js, j);
    if (!e.code) e = net_timer_start(js->net, js->limits.wait_ms, 0, on_timeout, j, &j->timer);
    if (e.code)
        join_refuse(j, 503, e.why);
    else
        join_try(js, j);
}

/* ---- our own side -------------------------------------------------------------------------------------------------- */

struct join *joins_open(struct joins *js, const struct ticket *ticket, uint32_t within_ms,
                        const struct joins_own_calls *own, void *ctx)
{
    struct join *j = calloc(1, sizeof *j);
    check(j);
    *j = (struct join){ .joins = js, .ticket = *ticket, .own = own, .ctx = ctx };
    ring_push(&js->joins, &j->ring);
    if (net_timer_start(js->net, within_ms, 0, on_timeout, j, &j->timer).code) {
        join_free(j);
        return NULL;
    }
    join_try(js, j);
    return j;
}

void join_say(struct join *j, struct str bytes)
{
    net_raw_send(j->tunnel->raw, bytes);
}

void join_end(struct join *j, const char *why)
{
    j->state = JOIN_OVER;
    own_over(j, why);
}

void joins_cut(struct joins *js, const struct cluster_id *only)
{
    for (struct ring *r = js->joins.next, *next; r != &js->joins; r = next) {
        struct join *j = owner_of(r, struct join);
        next           = r->next;
        if (only && !id_eq(j->ticket.cluster.id, only->id)) continue;
        if (j->splice)
            net_splice_cut(j->splice);
        else
            join_refuse(j, 403, "the cluster is over");
    }
    for (uint32_t i = 0; i < js->top; i++) {
        struct offer *o = &js->offers[i];
        if (!o->tunnels || (only && !id_eq(o->cluster.id, only->id))) continue;
        for (struct ring *r = o->idle.next; r != &o->idle; r = r->next)
            net_raw_close(owner_of(r, struct tunnel)->raw);
    }
}

void joins_cut_node(struct joins *js, struct node_id node)
{
    uint32_t place = map_find(&js->map, node.id);
    if (place != MAP_NONE)
        for (struct ring *r = js->offers[place].idle.next; r != &js->offers[place].idle; r = r->next)
            net_raw_close(owner_of(r, struct tunnel)->raw);
    for (struct ring *r = js->joins.next, *next; r != &js->joins; r = next) {
        struct join *j  = owner_of(r, struct join);
        bool         at = j->tunnel && id_eq(j->tunnel->offer->id, node.id);
        next            = r->next;
        if (j->splice && at)
            net_splice_cut(j->splice);
        else if (id_eq(j->ticket.node.id, node.id))
            join_refuse(j, 403, "the node was replaced by another");
        else if (at)
            net_raw_close(j->tunnel->raw); /* it waits for another's */
    }
}

void joins_count(const struct joins *js, struct door_counts *out)
{
    *out = (struct door_counts){
        .joins = js->count, .joined_bytes = js->bytes, .live = js->live, .tunnels = js->idle
    };
}

struct joins *joins_create(struct net *n, const struct join_limits *limits)
{
    struct joins *js    = calloc(1, sizeof *js);
    uint32_t      slots = map_slots_for(DOOR_NODES_MAX);
    check(js);
    js->net    = n;
    js->limits = *limits;
    js->slots  = calloc(slots, sizeof *js->slots);
    check(js->slots);
    map_init(&js->map, js->slots, slots, js->offers, sizeof js->offers[0], offsetof(struct offer, id));
    ring_init(&js->joins);
    ring_init(&js->busy);
    return js;
}

void joins_free(struct joins *js)
{
    if (!js) return;
    free(js->slots);
    free(js);
}
