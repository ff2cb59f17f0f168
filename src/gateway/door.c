#include "door_int.h"

#include "sys/log.h"
#include "sys/sys.h"

#include <stdlib.h>
#include <string.h>

#define QUERY_TICKET "ionet-ticket="
#define PATH_PREFIX "/.ionet/"
#define LOCATION_MAX 4096
#define COOKIE_MAX (TICKET_TEXT_MAX + 128)

struct door {
    struct door_options o;
    struct net_server  *server;
    struct joins       *joins;
    char                domain[128];
};

/* What is to be done with a request that is not for the gateway itself. */
enum way { WAY_IN, WAY_VISIT, WAY_OUT };

struct answer {
    unsigned    status;
    const char *why;
};

/* ---- reading a request -------------------------------------------------------------------------------------- */

/* "SERVICE--CLUSTER.DOMAIN". */
static bool read_host(const struct door *d, struct str host, struct wish *out)
{
    struct str domain = str_from(d->domain);
    if (!domain.len || host.len <= domain.len + 1 || !str_ends(host, domain)) return false;
    struct str label = { host.ptr, host.len - domain.len - 1 };
    if (host.ptr[label.len] != '.' || !str_is_label(label) || label.len < ID_TEXT + 3) return false;
    struct str service = { label.ptr, label.len - ID_TEXT - 2 }, cluster = str_skip(label, service.len + 2);
    if (!str_starts(str_skip(label, service.len), STR("--"))) return false;
    *out = (struct wish){ .service = service };
    return !id_read(cluster, &out->cluster.id).code;
}

static struct str bearer_of(const struct net_request *r)
{
    struct str value = net_request_header(r, STR("authorization")), scheme, ticket;
    bool       pair  = str_split(value, ' ', &scheme, &ticket);
    bool       is    = pair && (str_eq(scheme, STR("Bearer")) || str_eq(scheme, STR("bearer")));
    return is ? str_trim(ticket) : STR("");
}

static struct str cookie_of(const struct net_request *r)
{
    struct str rest = net_request_header(r, STR("cookie")), pair, name, value;
    while (rest.len) {
        str_split(rest, ';', &pair, &rest);
        if (str_split(str_trim(pair), '=', &name, &value) && str_eq(name, STR(DOOR_COOKIE))) return value;
    }
    return STR("");
}

/* The value of one parameter of the query, as it stands: none of ours needs escapes. */
static struct str parameter_of(struct str query, struct str name_and_equals)
{
    struct str part;
    while (query.len) {
        str_split(query, '&', &part, &query);
        if (str_starts(part, name_and_equals)) return str_skip(part, name_and_equals.len);
    }
    return STR("");
}

static bool host_is_pinned(const struct net_request *r)
{
    struct str sni = net_request_sni(r);
    return !sni.len || str_eq(sni, net_request_host(r));
}

/* Whether a request for a service may go in, with what ticket, or what to answer. */
static enum way find_way(struct door *d, const struct net_request *r, struct wish *w, struct ticket *t,
                         struct answer *out)
{
    struct instant now = sys_wall_now();
    if (!host_is_pinned(r)) {
        *out = (struct answer){ 421, "this connection was opened for another name" };
        return WAY_OUT;
    }
    if (!read_host(d, net_request_host(r), w)) {
        *out = (struct answer){ 404, "no service has this name" };
        return WAY_OUT;
    }
    if (str_eq(net_request_method(r), STR("GET")) && parameter_of(net_request_query(r), STR(QUERY_TICKET)).len)
        return WAY_VISIT;
    struct err e = ERR(DENIED, "a ticket is needed: open this service from the network's page");
    if (bearer_of(r).len) e = pass_join(d->o.pass, bearer_of(r), w, now, t);
    if (e.code && cookie_of(r).len) e = pass_cookie(d->o.pass, cookie_of(r), w, now, t);
    if (!e.code) return WAY_IN;
    *out = (struct answer){ e.code == ERR_EXPIRED ? 401 : 403, e.why };
    return WAY_OUT;
}

/* ---- answers ------------------------------------------------------------------------------------------------- */

/* Every answer of the gateway's own ends the connection, so that the next request is looked at anew. */
static void refuse(struct net_request *r, struct answer a)
{
    const struct net_header headers[] = { { STR("content-type"), STR("text/plain; charset=utf-8") },
                                          { STR("cache-control"), STR("no-store") },
                                          { STR("connection"), STR("close") } };
    log_info("door.refused", LOG_STR("host", net_request_host(r)), LOG_STR("path", net_request_path(r)),
             LOG_STR("client", net_request_peer(r)), LOG_I64("status", a.status), LOG_TEXT("why", a.why));
    net_reply(r, a.status, headers, countof(headers), str_from(a.why));
}

static void refuse_err(struct net_request *r, struct err e)
{
    refuse(r, (struct answer){ e.code == ERR_EXPIRED ? 401 : e.code == ERR_LIMIT ? 503 : 403, e.why });
}

/* Where the path begins with its first real letter. Browsers read "//host", "/\\host" and, since they leave out tabs,
 * "/<tab>/host" as another host's address. */
static struct str path_proper(struct str path)
{
    while (path.len && (path.ptr[0] == '/' || path.ptr[0] == '\\' || (unsigned char)path.ptr[0] <= ' '))
        path = str_skip(path, 1);
    return path;
}

/* The same address without the ticket. What the client sent names no other place than this. */
static struct err write_location(const struct net_request *r, struct text *out)
{
    struct str path = net_request_path(r), query = net_request_query(r), part;
    char       before = '?';
    text_add_char(out, '/');
    text_add(out, path_proper(path));
    while (query.len) {
        str_split(query, '&', &part, &query);
        if (str_starts(part, STR(QUERY_TICKET))) continue;
        text_add_char(out, before);
        text_add(out, part);
        before = '&';
    }
    return out->full ? ERR(INVALID, "the address is too long") : OK;
}

static void first_visit(struct door *d, struct net_request *r, const struct wish *w)
{
    char        place[LOCATION_MAX], cookie[COOKIE_MAX], ticket[TICKET_TEXT_MAX];
    struct text location = TEXT_IN(place), c = TEXT_IN(cookie), value = TEXT_IN(ticket);
    struct err  e = write_location(r, &location);
    if (!e.code)
        e = pass_once(d->o.pass, parameter_of(net_request_query(r), STR(QUERY_TICKET)), w, sys_wall_now(),
                      &value);
    if (e.code) {
        refuse_err(r, e);
        return;
    }
    text_add(&c, STR(DOOR_COOKIE "="));
    text_add(&c, text_str(&value));
    text_add(&c, STR("; Path=/; Secure; HttpOnly; SameSite=Lax"));
    check(!c.full);
    const struct net_header headers[] = { { STR("location"), text_str(&location) },
                                          { STR("set-cookie"), text_str(&c) },
                                          { STR("cache-control"), STR("no-store") },
                                          { STR("referrer-policy"), STR("no-referrer") },
                                          { STR("connection"), STR("close") } };
    net_reply(r, 303, headers, countof(headers), STR(""));
}

/* ---- what the server calls ---------------------------------------------------------------------------------- */

static bool is_own(const struct net_request *r)
{
    return str_starts(net_request_path(r), STR(PATH_PREFIX));
}

static bool on_first_head(void *ctx, struct net_request *r)
{
    struct door  *d = ctx;
    struct wish   w;
    struct ticket t;
    struct answer a;
    if (is_own(r) || find_way(d, r, &w, &t, &a) != WAY_IN) return false;
    joins_add(d->joins, r, &t, false);
    return true;
}

/* What on_first_head did not take: a later request of a connection is never let in, it opens another. */
static void on_request(void *ctx, struct net_request *r)
{
    struct door  *d = ctx;
    struct wish   w;
    struct ticket t;
    struct answer a = { 421, "open another connection" };
    enum way      way;
    if (is_own(r)) {
        refuse(r, (struct answer){ 404, "there is nothing here" });
        return;
    }
    way = find_way(d, r, &w, &t, &a);
    if (way == WAY_VISIT)
        first_visit(d, r, &w);
    else
        refuse(r, a);
}

static void on_join(struct door *d, struct net_request *r)
{
    struct wish   w = { .service = parameter_of(net_request_query(r), STR("service=")) }, named;
    struct ticket t;
    struct str    node = parameter_of(net_request_query(r), STR("node="));
    struct err    e    = OK;
    if (node.len) e = id_read(node, &w.node.id);
    if (!e.code) e = pass_join(d->o.pass, bearer_of(r), &w, sys_wall_now(), &t);
    /* By a service's own name, only that service. */
    if (!e.code && read_host(d, net_request_host(r), &named))
        e = pass_join(d->o.pass, bearer_of(r), &named, sys_wall_now(), &t);
    if (e.code)
        refuse_err(r, e);
    else
        joins_add(d->joins, r, &t, true);
}

static void on_upgrade(void *ctx, struct net_request *r)
{
    struct door  *d    = ctx;
    struct str    path = net_request_path(r);
    struct ticket t;
    if (!is_own(r)) {
        on_request(d, r);
        return;
    }
    if (!host_is_pinned(r)) {
        refuse(r, (struct answer){ 421, "this connection was opened for another name" });
    } else if (!str_eq(net_request_header(r, STR("upgrade")), STR(DOOR_PROTOCOL))) {
        refuse(r, (struct answer){ 400, "only ionet-bytes is spoken here" });
    } else if (str_eq(path, STR(PATH_PREFIX "join"))) {
        on_join(d, r);
    } else if (str_eq(path, STR(PATH_PREFIX "tunnel"))) {
        struct err e = pass_tunnel(d->o.pass, bearer_of(r), sys_wall_now(), &t);
        if (e.code)
            refuse_err(r, e);
        else
            joins_add_tunnel(d->joins, r, &t);
    } else {
        refuse(r, (struct answer){ 404, "there is nothing here" });
    }
}

/* ---- the whole ------------------------------------------------------------------------------------------------- */

void door_init(const struct door_options *o, struct door **out)
{
    struct door *d = calloc(1, sizeof *d);
    check(d);
    d->o     = *o;
    d->joins = joins_create(o->net, &o->joins);
    *out     = d;
}

struct err door_open(struct door *d, const char *domain)
{
    TRY(str_copy(str_from(domain), d->domain, sizeof d->domain));
    if (d->server) return net_server_reload(d->server);
    struct net_server_options o = { .address       = d->o.listen,
                                    .port          = d->o.port,
                                    .cert_path     = d->o.cert_path,
                                    .key_path      = d->o.key_path,
                                    .on_request    = on_request,
                                    .on_upgrade    = on_upgrade,
                                    .on_first_head = on_first_head,
                                    .ctx           = d };
    TRY(net_listen(d->o.net, &o, &d->server));
    log_info("door.open", LOG_I64("port", net_server_port(d->server)), LOG_TEXT("domain", d->domain));
    return OK;
}

uint16_t door_port(const struct door *d)
{
    return d->server ? net_server_port(d->server) : 0;
}

struct joins *door_joins(struct door *d)
{
    return d->joins;
}

void door_revoke(struct door *d, struct cluster_id cluster)
{
    joins_cut(d->joins, &cluster);
}

void door_revoke_node(struct door *d, struct node_id node)
{
    joins_cut_node(d->joins, node);
}

void door_close(struct door *d)
{
    joins_cut(d->joins, NULL);
    if (d->server) net_server_close(d->server);
    d->server = NULL;
}

void door_free(struct door *d)
{
    if (!d) return;
    joins_free(d->joins);
    free(d);
}

struct door_counts door_counts(const struct door *d)
{
    struct door_counts c;
    joins_count(d->joins, &c);
    return c;
}
