/* routes.c: the table of all that can be asked, and the way of a request to its handler. */
#include "api_int.h"

#include <stdlib.h>
#include <string.h>

#define READ SCOPE_READ
#define CLUSTERS SCOPE_CLUSTERS
#define DEVICES SCOPE_DEVICES
#define OPERATOR SCOPE_OPERATOR

const struct api_route api_routes[] = {
    /* method, path, scopes, body, status, answer, shape, handler, doc */
    { "GET", "/healthz", 0, NULL, 200, ANSWER_ONE, &shape_health, get_health, "Is the network there?" },
    { "GET", "/metrics", 0, NULL, 200, ANSWER_TEXT, NULL, get_metrics,
      "Counters and gauges, as Prometheus reads them" },
    { "GET", "/openapi.json", 0, NULL, 200, ANSWER_JSON, NULL, get_openapi, "This description" },

    { "POST", "/v1/session/nonce", 0, &nonce_request_type, 200, ANSWER_ONE, &shape_nonce, post_nonce,
      "Begin to sign in: a message to be signed by the wallet, good for five minutes and once" },
    { "POST", "/v1/session", 0, &session_request_type, 201, ANSWER_ONE, &shape_session, post_session,
      "Sign in with the signed message: a bearer key, shown this once" },
    { "DELETE", "/v1/session", SCOPE_ANY, NULL, 204, ANSWER_NONE, NULL, delete_session,
      "End the key that is used" },

    { "GET", "/v1/account", READ, NULL, 200, ANSWER_ONE, &shape_account, get_account,
      "The account and its money" },
    { "GET", "/v1/account/transfers", READ, NULL, 200, ANSWER_PAGE, &shape_transfer, get_transfers,
      "Every movement of the account's money, newest first" },

    { "GET", "/v1/recipes", 0, NULL, 200, ANSWER_PAGE, &shape_recipe, get_recipes,
      "Kinds of cluster on offer" },
    { "GET", "/v1/recipes/{recipe}", 0, NULL, 200, ANSWER_EITHER, &shape_recipe, get_recipe,
      "One by its name; or, by its hash in hex, the text of the recipe (text/yaml)" },
    { "POST", "/v1/quotes", CLUSTERS, &quote_type, 201, ANSWER_ONE, &shape_quote, post_quote,
      "What a cluster would cost: holds for five minutes, locks nothing" },
    { "GET", "/v1/quotes/{quote}", READ, NULL, 200, ANSWER_ONE, &shape_quote, get_quote, "A quote" },

    { "POST", "/v1/clusters", CLUSTERS, &cluster_request_type, 201, ANSWER_ONE, &shape_cluster, post_cluster,
      "Take a quote: all devices or none, paid into escrow" },
    { "GET", "/v1/clusters", READ, NULL, 200, ANSWER_PAGE, &shape_cluster, get_clusters,
      "One's clusters, newest first" },
    { "GET", "/v1/clusters/{cluster}", READ, NULL, 200, ANSWER_ONE, &shape_cluster, get_cluster,
      "A cluster by id, or by its name if that is unique among the live ones" },
    { "GET", "/v1/clusters/{cluster}/events", READ, NULL, 200, ANSWER_EVENTS, &shape_cluster,
      get_cluster_events, "The cluster at once, and again at each change: events named `cluster`" },
    { "POST", "/v1/clusters/{cluster}/extend", CLUSTERS, &extend_request_type, 200, ANSWER_ONE, &shape_cluster,
      post_extend, "Pay for more time at the same price" },
    { "POST", "/v1/clusters/{cluster}/tickets", CLUSTERS, &ticket_request_type, 201, ANSWER_ONE, &shape_ticket,
      post_ticket, "Leave to open one of its services through the gateway" },
    { "DELETE", "/v1/clusters/{cluster}", CLUSTERS, NULL, 200, ANSWER_ONE, &shape_cluster, delete_cluster,
      "End it: what was not served is refunded; watch until `ended`" },

    { "POST", "/v1/join-tokens", DEVICES | OPERATOR, &token_request_type, 201, ANSWER_ONE, &shape_token,
      post_join_token, "Let one device join one's fleet, or, as the operator, one gateway the network" },
    { "GET", "/v1/devices", READ, NULL, 200, ANSWER_PAGE, &shape_device, get_devices,
      "One's devices, newest first" },
    { "GET", "/v1/devices/events", READ, NULL, 200, ANSWER_EVENTS, &shape_device, get_device_events,
      "Each of one's devices at once, and again at each change: events named `device`" },
    { "GET", "/v1/devices/{device}", READ, NULL, 200, ANSWER_ONE, &shape_device, get_device, "A device" },
    { "DELETE", "/v1/devices/{device}", DEVICES, NULL, 200, ANSWER_ONE, &shape_device, delete_device,
      "Take it out of the network, for good" },
    { "POST", "/v1/devices/{device}/release", DEVICES, NULL, 200, ANSWER_ONE, &shape_device, post_release,
      "Believe a held device again" },

    { "POST", "/v1/grants", OPERATOR, &grant_request_type, 200, ANSWER_ONE, &shape_grant, post_grant,
      "Give test credit" },
    { "GET", "/v1/books", OPERATOR, NULL, 200, ANSWER_ONE, &shape_books, get_books,
      "All money there is: sums to zero" },

    { "GET", "/v1/link", 0, NULL, 101, ANSWER_LINK, NULL, NULL, "The WebSocket of workers and gateways" },
};
const size_t api_route_count = countof(api_routes);

/* ---- finding the route ---------------------------------------------------------------------------------- */

static bool path_fits(const char *pattern, struct str path, struct str *param)
{
    struct str p = str_from(pattern);
    *param       = STR("");
    while (p.len) {
        if (p.ptr[0] != '{') {
            if (path.len == 0 || path.ptr[0] != p.ptr[0]) return false;
            p    = str_skip(p, 1);
            path = str_skip(path, 1);
            continue;
        }
        size_t end = 0;
        while (end < path.len && path.ptr[end] != '/') end++;
        *param            = (struct str){ path.ptr, end };
        path              = str_skip(path, end);
        const char *close = memchr(p.ptr, '}', p.len);
        check(close);
        p = str_skip(p, (size_t)(close + 1 - p.ptr));
        if (param->len == 0) return false;
    }
    return path.len == 0;
}

/* The first that fits, so that /devices/events is not a device. If the path knows other methods only, `allow` has them. */
static const struct api_route *route_find(struct str method, struct str path, struct str *param,
                                          struct text *allow)
{
    const char *first = NULL;
    for (size_t i = 0; i < api_route_count; i++) {
        if (!path_fits(api_routes[i].path, path, param)) continue;
        if (str_eq(method, str_from(api_routes[i].method))) return &api_routes[i];
        if (first && strcmp(api_routes[i].path, first) != 0) continue;
        if (first) text_add(allow, STR(", "));
        first = api_routes[i].path;
        text_add(allow, str_from(api_routes[i].method));
    }
    return NULL;
}

/* ---- who asks -------------------------------------------------------------------------------------------- */

/* The key that the request shows, if it is one. */
static const struct api_key *key_shown(const struct api *a, const struct net_request *r)
{
    struct str bearer = net_request_header(r, STR("authorization"));
    if (!str_starts(bearer, STR("Bearer ")) && !str_starts(bearer, STR("bearer "))) return NULL;
    struct hash h = hash_sha256(str_trim(str_skip(bearer, 7)));
    return network_key(a->o.network, h.bytes);
}

bool api_admits(struct api *a, struct net_request *r)
{
    const struct api_key *key = key_shown(a, r);
    uint64_t              now = net_now_ms(a->o.net), account;
    if (key) memcpy(&account, &key->account, sizeof account);
    bool may =
        key ? rates_take(a->accounts, account, a->o.requests_an_account, now)
            : rates_take(a->addresses, rates_address(net_request_peer(r)), a->o.requests_an_address, now);
    /* Who asks too often is a stranger again, however well he is known: his connection is then read no faster. */
    net_request_vouch(r, key && may);
    if (may) return true;
    struct err e = key ? ERR(LIMIT, "this account asks too often: wait a moment")
                       : ERR(LIMIT, "this address asks too often without a key: wait a moment");
    reply_problem(r, &(struct api_problem){ .error = e, .status = 429 });
    return false;
}

static struct err authenticate(struct api_ask *q)
{
    if (net_request_header(q->request, STR("authorization")).len == 0)
        return ERR(DENIED, "this needs an API key: send `Authorization: Bearer KEY`");
    q->key     = key_shown(q->api, q->request);
    q->account = q->key ? network_account(q->api->o.network, q->key->account) : NULL;
    if (!q->account) return ERR(DENIED, "the API key is not known, has expired or was ended: sign in again");

    const struct api_options *o = &q->api->o;
    q->is_operator =
        o->has_operator && memcmp(q->account->public_key, o->operator.bytes, CRYPTO_KEY_BYTES) == 0;
    return OK;
}

/* The operator's scope counts only for who is the operator now. */
static struct err authorize(const struct api_ask *q)
{
    uint32_t has = q->key->scopes;
    if (!q->is_operator) has &= ~(uint32_t)SCOPE_OPERATOR;
    if (has & q->route->scopes) return OK;
    return q->route->scopes == SCOPE_OPERATOR ? ERR(DENIED, "only the network's operator may do that")
                                              : ERR(DENIED, "the API key's scopes do not allow that");
}

static bool let_in(struct api_ask *q)
{
    if (q->route->scopes == 0) return true;
    struct err e = authenticate(q);
    if (e.code) {
        reply_problem(q->request, &(struct api_problem){ .error = e, .status = 401 });
        return false;
    }
    e = authorize(q);
    if (e.code) reply_error(q->request, e);
    return e.code == ERR_NONE;
}

/* ---- what is asked ---------------------------------------------------------------------------------------- */

static bool read_body(struct api_ask *q)
{
    struct json_fault fault = { "" };
    if (!q->route->body) return true;
    struct err e = json_read(net_request_body(q->request), q->route->body, JSON_REQUEST, q->body, &fault);
    if (!e.code) return true;
    char        room[320];
    struct text detail = TEXT_IN(room);
    text_add(&detail, str_from(e.why));
    if (fault.detail[0]) text_add(&detail, STR(": "));
    text_add(&detail, str_from(fault.detail));
    unsigned status = e.code == ERR_LIMIT ? 413 : 400;
    reply_problem(q->request, &(struct api_problem){ .error = e, .status = status, .detail = text_z(&detail) });
    return false;
}

void api_dispatch(struct api *a, struct net_request *r)
{
    static union api_body body; /* one at a time: handlers do not wait */
    char                  room[64];
    struct text           allow = TEXT_IN(room);
    struct api_ask        q     = { .api = a, .request = r, .body = &body };
    q.route                     = route_find(net_request_method(r), net_request_path(r), &q.param, &allow);
    if (!q.route && allow.len)
        return reply_problem(r, &(struct api_problem){ .error  = ERR(INVALID, "this path knows another method"),
                                                       .status = 405,
                                                       .allow  = text_z(&allow) });
    if (!q.route) return reply_error(r, ERR(MISSING, "there is nothing at this path: see /openapi.json"));
    if (!q.route->handle)
        return reply_problem(
            r, &(struct api_problem){ .error = ERR(INVALID, "this path is a WebSocket's"), .status = 426 });
    memset(&body, 0, sizeof body);
    if (let_in(&q) && read_body(&q)) q.route->handle(&q);
}
