/* clusters.c: clusters and tickets to their services. */
#include "api_int.h"

#include "recipe/secret.h"
#include "sys/sys.h"

#include <string.h>

struct cluster_answer {
    const struct api     *api;
    const struct cluster *cluster;
};

static void write_cluster(struct json_out *w, const void *ctx)
{
    const struct cluster_answer *a = ctx;
    view_cluster(w, a->api, a->cluster, true);
}

static void on_cluster(struct api_waiting *w, const struct effect *e)
{
    struct cluster_answer a = { w->api, network_cluster(w->api->o.network, e->subject) };
    if (!a.cluster) return reply_error(w->request, ERR(MISSING, "there is no such cluster any more"));
    reply_json(w->request, w->route->status, write_cluster, &a);
}

void post_cluster(struct api_ask *q)
{
    const struct cluster_request *b  = &q->body->cluster;
    struct input                  in = { .kind = INPUT_CREATE, .account = q->account->id, .subject = b->quote };
    memcpy(in.name, b->name, sizeof in.name);
    ask_network(q, &in, STR(""), on_cluster);
}

static void view_listed(struct json_out *w, const struct api *a, const void *row)
{
    view_cluster(w, a, row, false);
}

void get_clusters(struct api_ask *q)
{
    reply_page(q, &q->api->o.network->clusters, offsetof(struct cluster, owner), view_listed);
}

void get_cluster(struct api_ask *q)
{
    struct cluster_answer a = { .api = q->api };
    struct err            e = own_cluster(q, q->param, &a.cluster);
    if (e.code) return reply_error(q->request, e);
    reply_json(q->request, 200, write_cluster, &a);
}

void post_extend(struct api_ask *q)
{
    const struct cluster *c = NULL;
    struct err            e = own_cluster(q, q->param, &c);
    if (e.code) return reply_error(q->request, e);
    struct input in = { .kind = INPUT_EXTEND, .account = q->account->id, .subject = c->id.id };
    in.duration     = q->body->extend.duration;
    ask_network(q, &in, STR(""), on_cluster);
}

void delete_cluster(struct api_ask *q)
{
    const struct cluster *c = NULL;
    struct err            e = own_cluster(q, q->param, &c);
    if (e.code) return reply_error(q->request, e);
    struct input in = { .kind = INPUT_TERMINATE, .account = q->account->id, .subject = c->id.id };
    ask_network(q, &in, STR(""), on_cluster);
}

/* ---- tickets -------------------------------------------------------------------------------------------------- */

static bool role_has(enum recipe_on on, enum node_role role)
{
    return on == RECIPE_ON_ANY || (on == RECIPE_ON_HEAD) == (role == NODE_HEAD);
}

/* A service of the recipe, or the logs that every node has; on a node that is there and has it. */
static struct err ticket_usable(const struct network *n, const struct cluster *c, const struct recipe *r,
                                const struct ticket_request *b)
{
    const struct recipe_service *s  = r ? recipe_service(r, str_from(b->service)) : NULL;
    enum recipe_on               on = s ? s->on : RECIPE_ON_ANY;
    if (!s && strcmp(b->service, "logs") != 0) return ERR(MISSING, "the cluster has no service of this name");
    if (!cluster_is_live(c)) return ERR(CONFLICT, "the cluster has ended");
    if (id_is_none(b->node))
        return on == RECIPE_ON_WORKER ? ERR(INVALID, "say on which node: the head has not this service") : OK;
    const struct node *x = network_node(n, b->node);
    if (!x || !id_eq(x->cluster.id, c->id.id)) return ERR(MISSING, "the cluster has no such node");
    if (x->state != NODE_PLACED && x->state != NODE_SERVING) return ERR(CONFLICT, "the node has ended");
    return role_has(on, x->role) ? OK : ERR(INVALID, "this node has not this service");
}

static void service_host(const struct api *a, const struct cluster *c, const char *service, struct text *out)
{
    text_add(out, str_from(service));
    text_add(out, STR("--"));
    id_write(c->id.id, out);
    text_add_char(out, '.');
    text_add(out, str_from(a->o.domain));
}

/* The service's own token: the secret of its name, or else the first that the recipe declares. */
static void service_token(const struct cluster *c, const struct recipe *r, const char *service,
                          struct text *out)
{
    unsigned at = 0;
    if (!r || r->secrets_count == 0) return;
    for (unsigned i = 0; i < r->secrets_count; i++)
        if (strcmp(r->secrets[i], service) == 0) at = i;
    recipe_secret(c->secret, str_from(r->secrets[at]), out);
}

static void service_env(const struct cluster *c, const struct recipe *r, const char *service, struct text *out)
{
    const struct recipe_service *s = r ? recipe_service(r, str_from(service)) : NULL;
    if (s) recipe_service_env(s, c->secret, out);
}

static struct err ticket_make(const struct api_ask *q, const struct cluster *c, struct ticket *t,
                              struct text *out)
{
    const struct ticket_request *b = &q->body->ticket;
    *t                             = (struct ticket){
                                    .kind    = b->once ? TICKET_ONCE : TICKET_JOIN,
                                    .cluster = c->id,
                                    .node    = { b->node },
                                    .expires = instant_add(sys_wall_now(), (struct span){ TICKET_VALID_MS }),
    };
    struct text user = TEXT_IN(t->user);
    sys_random(&t->serial, sizeof t->serial);
    id_write(q->account->id.id, &user);
    (void)text_z(&user);
    memcpy(t->service, b->service, sizeof t->service);
    return ticket_write(t, q->api->o.key, out);
}

void post_ticket(struct api_ask *q)
{
    const struct network *n = q->api->o.network;
    const struct gateway *g = network_gateway(n);
    const struct cluster *c = NULL;
    struct ticket         t;
    struct ticket_reply   reply = { .ticket = "" };
    struct err            e     = own_cluster(q, q->param, &c);
    if (e.code) return reply_error(q->request, e);
    const struct api_recipe *offered = recipe_of(q->api, c);
    const struct recipe     *r       = offered ? offered->recipe : NULL;
    e                                = ticket_usable(n, c, r, &q->body->ticket);
    if (!e.code && !g) e = ERR(CONFLICT, "no gateway is connected to the network: try again later");

    struct text ticket = TEXT_IN(reply.ticket), host = TEXT_IN(reply.host), token = TEXT_IN(reply.token),
                env = TEXT_IN(reply.env);
    if (!e.code) e = ticket_make(q, c, &t, &ticket);
    if (e.code) return reply_error(q->request, e);
    service_host(q->api, c, q->body->ticket.service, &host);
    service_token(c, r, q->body->ticket.service, &token);
    service_env(c, r, q->body->ticket.service, &env);
    (void)text_z(&ticket);
    (void)text_z(&host);
    (void)text_z(&token);
    (void)text_z(&env);
    check(!ticket.full && !host.full && !token.full && !env.full);
    memcpy(reply.gateway, g->tunnel, sizeof reply.gateway);
    reply.expires = t.expires;
    reply_record(q->request, 201, &ticket_reply_type, &reply, SEEN_OWNER);
    explicit_bzero(&reply, sizeof reply);
}
