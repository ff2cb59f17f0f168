/* Tunnels: connections of ours that wait at the gateway. Its opening line names a service of the node; we
 * connect to it inside the node's namespace, answer "ok" or "no REASON", and from then on bytes pass both
 * ways. The service `logs` is answered here: what there is and then what comes, or, to who ends his side, what
 * there is and then its end. */
#include "site.h"

#include "sys/log.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TUNNEL_PATH "/.ionet/tunnel"
#define TUNNEL_PROTOCOL "ionet-bytes"
#define TUNNEL_LINE_MAX 1024
#define TUNNEL_DIAL_MS 8000 /* the gateway gives up after 10 s */
#define TUNNEL_LOGS "logs"
#define TUNNEL_LOGS_EVERY_MS 250
#define TUNNEL_LOGS_WAITING_MAX (256 * 1024)

enum tunnel_state {
    TUNNEL_DIALING,
    TUNNEL_IDLE,
    TUNNEL_CONNECTING,
    TUNNEL_JOINED,
    TUNNEL_LOGGING,
    TUNNEL_OVER
};

struct tunnel {
    struct tunnel             *next;
    struct node               *node;
    enum tunnel_state          state;
    struct net_raw            *raw; /* to the gateway; null when it is over */
    struct net_splice         *splice;
    struct net_timer          *timer; /* of logs */
    struct container_log_place place;
    bool                       is_last;                /* of logs: what there is, and no more */
    size_t                     left;                   /* of that, bytes at most */
    char                       early[TUNNEL_LINE_MAX]; /* what came: the line, and what follows it */
    size_t                     early_len;
    char                       service[64];
};

static void tunnel_free(struct tunnel *t)
{
    struct node *n = t->node;
    for (struct tunnel **at = &n->tunnels; *at; at = &(*at)->next) {
        if (*at != t) continue;
        *at = t->next;
        break;
    }
    if (t->timer) net_timer_stop(t->timer);
    free(t);
    node_release(n);
}

static void tell(struct tunnel *t, enum worker_tunnel what)
{
    struct worker_input in = { .kind = IN_TUNNEL, .ref = t->node->ref, .tunnel = what };
    if (!node_is_over(t->node)) site_step(t->node->site, &in);
}

/* A service that is down is asked for every second: it is said once, and again after it was there. */
static void note_refused(struct tunnel *t, const char *why)
{
    struct node *n = t->node;
    if (n->refused_why == why && strcmp(n->refused, t->service) == 0) return;
    n->refused_why = why;
    memcpy(n->refused, t->service, sizeof n->refused);
    log_info("tunnel.refused", LOG_ID("node", n->ref.node), LOG_TEXT("service", t->service),
             LOG_TEXT("why", why));
}

static void refuse(struct tunnel *t, const char *why)
{
    char        room[256];
    struct text line = TEXT_IN(room);
    text_add(&line, STR("no "));
    text_add(&line, str_from(why));
    text_add_char(&line, '\n');
    note_refused(t, why);
    t->state = TUNNEL_OVER;
    net_raw_pause(t->raw, false); /* to see the gateway close */
    net_raw_send(t->raw, text_str(&line));
    net_raw_end(t->raw);
}

/* ---- a service of the node --------------------------------------------------------------------------- */

/* The gateway's side closed; the service's is not there any more or not yet. */
static void on_service_bytes(void *ctx, struct net_raw *r, struct str bytes)
{
    (void)ctx, (void)r, (void)bytes;
}

static void on_service_close(void *ctx, const char *why)
{
    (void)ctx, (void)why;
}

static void on_splice_over(void *ctx, uint64_t there, uint64_t back)
{
    struct tunnel *t = ctx;
    log_debug("tunnel.over", LOG_ID("node", t->node->ref.node), LOG_TEXT("service", t->service),
              LOG_I64("in", there), LOG_I64("out", back));
    tunnel_free(t);
}

static void on_dialed(void *ctx, struct err e, int fd)
{
    static const struct net_raw_calls calls = { .on_bytes = on_service_bytes, .on_close = on_service_close };
    struct tunnel                    *t     = ctx;
    struct net_raw                   *inner;
    if (t->state != TUNNEL_CONNECTING || !t->raw) { /* closed meanwhile */
        if (fd >= 0) close(fd);
        if (!t->raw) tunnel_free(t);
        return;
    }
    if (!e.code) e = net_raw_adopt(t->node->site->net, fd, &calls, t, &inner);
    if (e.code) {
        refuse(t, e.why);
        return;
    }
    t->state = TUNNEL_JOINED;
    if (strcmp(t->node->refused, t->service) == 0) t->node->refused_why = NULL;
    net_raw_send(t->raw, STR("ok\n"));
    if (t->early_len) net_raw_send(inner, (struct str){ t->early, t->early_len });
    t->splice = net_splice(t->raw, inner, on_splice_over, t);
}

static void connect_service(struct tunnel *t)
{
    const struct node           *n    = t->node;
    const struct assignment     *a    = node_assignment(n);
    enum recipe_role             role = a->role == NODE_HEAD ? RECIPE_HEAD : RECIPE_WORKER;
    const struct recipe_service *s    = recipe_service(n->recipe, str_from(t->service));
    char                         address[MESH_ADDRESS_TEXT];
    if (!s || !recipe_is_on(s->on, role)) {
        refuse(t, "there is no such service on this node");
        return;
    }
    mesh_address(a->index, address);
    t->state = TUNNEL_CONNECTING;
    net_raw_pause(t->raw, true);
    struct err e = netns_dial(n->site->runtime, n->ref.node, address, s->port, TUNNEL_DIAL_MS, on_dialed, t);
    if (e.code) refuse(t, e.why);
}

/* ---- logs -------------------------------------------------------------------------------------------- */

static void end_logs(struct tunnel *t)
{
    net_timer_stop(t->timer);
    t->timer = NULL;
    t->state = TUNNEL_OVER;
    net_raw_end(t->raw);
}

/* As fast as the reader reads. */
static void on_logs_turn(void *ctx)
{
    static char    room[32768];
    struct tunnel *t = ctx;
    while (t->state == TUNNEL_LOGGING && net_raw_waiting(t->raw) < TUNNEL_LOGS_WAITING_MAX) {
        size_t most = t->is_last && t->left < sizeof room ? t->left : sizeof room;
        size_t got  = container_log_read(t->node->site->runtime, t->node->ref.node, &t->place, room, most);
        if (got) net_raw_send(t->raw, (struct str){ room, got });
        if (t->is_last) t->left -= got;
        if (t->is_last && !got) end_logs(t);
        if (!got) return;
    }
}

/* A container may write faster than its reader reads: no more is sent than a log can hold. */
static void finish_logs(struct tunnel *t)
{
    t->is_last = true;
    t->left    = CONTAINER_LOG_BYTES;
    on_logs_turn(t);
}

static void serve_logs(struct tunnel *t)
{
    t->state     = TUNNEL_LOGGING;
    struct err e = net_timer_start(t->node->site->net, 0, TUNNEL_LOGS_EVERY_MS, on_logs_turn, t, &t->timer);
    if (e.code)
        refuse(t, e.why);
    else
        net_raw_send(t->raw, STR("ok\n"));
}

/* ---- the gateway's side ------------------------------------------------------------------------------ */

static void on_open(void *ctx, struct net_raw *r)
{
    struct tunnel *t = ctx;
    (void)r;
    t->state = TUNNEL_IDLE;
    tell(t, TUNNEL_OPEN);
}

static struct err read_line(struct tunnel *t, struct str line)
{
    scoped_json struct json_doc doc = { { NULL } };
    struct json_fault           fault;
    TRY(json_parse(line, &doc, &fault));
    TRY(str_copy(json_as_str(json_member(doc.root, "service")), t->service, sizeof t->service));
    struct str user = json_as_str(json_member(doc.root, "user"));
    if (!str_eq(user, STR(TICKET_NETWORK))) /* which comes every second */
        log_info("tunnel.opened", LOG_ID("node", t->node->ref.node), LOG_TEXT("service", t->service),
                 LOG_STR("user", user));
    return OK;
}

static void take_line(struct tunnel *t)
{
    struct str line, rest;
    struct str all = { t->early, t->early_len };
    if (!str_split(all, '\n', &line, &rest)) {
        if (t->early_len == sizeof t->early) net_raw_close(t->raw);
        return;
    }
    tell(t, TUNNEL_TAKEN);
    if (node_is_over(t->node)) return; /* by that step: its tunnels are being closed */
    t->state     = TUNNEL_CONNECTING;
    struct err e = read_line(t, line);
    memmove(t->early, rest.ptr, rest.len);
    t->early_len = rest.len;
    if (e.code)
        refuse(t, "the opening line can't be read");
    else if (strcmp(t->service, TUNNEL_LOGS) == 0)
        serve_logs(t);
    else
        connect_service(t);
}

static void on_bytes(void *ctx, struct net_raw *r, struct str bytes)
{
    struct tunnel *t = ctx;
    if (t->state != TUNNEL_IDLE && t->state != TUNNEL_CONNECTING) return; /* to logs nothing is said */
    if (bytes.len > sizeof t->early - t->early_len) {
        net_raw_close(r);
        return;
    }
    memcpy(t->early + t->early_len, bytes.ptr, bytes.len);
    t->early_len += bytes.len;
    if (t->state == TUNNEL_IDLE) take_line(t);
}

static void on_end(void *ctx, struct net_raw *r)
{
    struct tunnel *t = ctx;
    if (t->state == TUNNEL_LOGGING)
        finish_logs(t);
    else if (t->state != TUNNEL_CONNECTING)
        net_raw_close(r);
}

static void on_drain(void *ctx, struct net_raw *r)
{
    struct tunnel *t = ctx;
    (void)r;
    if (t->state == TUNNEL_LOGGING) on_logs_turn(t);
}

static void on_close(void *ctx, const char *why)
{
    struct tunnel    *t   = ctx;
    enum tunnel_state was = t->state;
    t->raw                = NULL;
    t->state              = TUNNEL_OVER;
    if (was == TUNNEL_DIALING || was == TUNNEL_IDLE)
        log_debug("tunnel.closed", LOG_ID("node", t->node->ref.node), LOG_TEXT("why", why));
    if (was == TUNNEL_DIALING) tell(t, TUNNEL_FAILED);
    if (was == TUNNEL_IDLE) tell(t, TUNNEL_LOST);
    if (was != TUNNEL_CONNECTING) tunnel_free(t); /* else the dial still has it */
}

static struct err dial(struct tunnel *t)
{
    static const struct net_raw_calls calls = {
        .on_open = on_open, .on_bytes = on_bytes, .on_drain = on_drain, .on_end = on_end, .on_close = on_close
    };
    const struct assignment *a = node_assignment(t->node);
    struct site             *s = t->node->site;
    char                     host[MESH_ENDPOINT_TEXT], room[ASSIGN_TICKET_TEXT + 16];
    struct text              bearer = TEXT_IN(room);
    struct str               place  = str_from(a->tunnel), name, port;
    uint64_t                 number;
    const char              *colon = strrchr(a->tunnel, ':');
    if (!colon) return ERR(INVALID, "the gateway's place has no port");
    name = (struct str){ place.ptr, (size_t)(colon - a->tunnel) };
    port = str_from(colon + 1);
    if (str_starts(name, STR("[")) && str_ends(name, STR("]")))
        name = (struct str){ name.ptr + 1, name.len - 2 };
    if (str_to_u64(port, &number).code || number > UINT16_MAX)
        return ERR(INVALID, "the gateway's port is no port");
    TRY(str_copy(name, host, sizeof host));
    text_add(&bearer, STR("Bearer "));
    text_add(&bearer, str_from(a->ticket));

    struct net_target target = { .host = host, .port = (uint16_t)number, .pin = &s->pin };
    struct net_header header = { STR("authorization"), text_str(&bearer) };
    return net_raw_connect(s->net, &target, STR(TUNNEL_PATH), STR(TUNNEL_PROTOCOL), &header, 1, &calls, t,
                           &t->raw);
}

void tunnel_dial(struct node *n)
{
    struct tunnel *t = calloc(1, sizeof *t);
    check(t);
    *t         = (struct tunnel){ .next = n->tunnels, .node = n };
    n->tunnels = t;
    node_hold(n);
    struct err e = dial(t);
    if (!e.code) return;
    log_warn("tunnel.dial", LOG_ID("node", n->ref.node), LOG_ERR(e));
    t->raw = NULL;
    tell(t, TUNNEL_FAILED);
    tunnel_free(t);
}

void tunnels_drop(struct node *n)
{
    for (struct tunnel *t = n->tunnels, *next; t; t = next) {
        next = t->next;
        if (t->raw && (t->state == TUNNEL_DIALING || t->state == TUNNEL_IDLE)) net_raw_close(t->raw);
    }
}

void tunnels_cut(struct node *n)
{
    for (struct tunnel *t = n->tunnels, *next; t; t = next) {
        next = t->next;
        if (t->splice)
            net_splice_cut(t->splice);
        else if (t->raw)
            net_raw_close(t->raw);
    }
}
