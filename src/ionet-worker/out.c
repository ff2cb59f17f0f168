/* A node's way out to public addresses: only if its recipe declares one and the machine's owner allows it. */
#include "site.h"

#include "egress/egress.h"
#include "sys/log.h"

#include <string.h>

#define OUT_PROXY "http://127.0.0.1:3128" /* EGRESS_PORT */
_Static_assert(EGRESS_PORT == 3128 && RECIPE_EGRESS_PORTS_MAX <= EGRESS_PORTS_MAX,
               "what a recipe declares fits");

#define OUT_SITE_BITS "/48" /* what a site is given of IPv6 */

/* Our router's address outside: what it forwards to is at home. */
static struct err deny_outside(const struct site *s, struct egress_rules *rules)
{
    char        room[sizeof s->outside + 4];
    struct text net = TEXT_IN(room);
    text_add(&net, str_from(s->outside));
    if (strchr(s->outside, ':')) text_add(&net, STR(OUT_SITE_BITS));
    struct err e = egress_deny(rules, text_str(&net));
    if (e.code) log_warn("egress.outside", LOG_TEXT("address", s->outside), LOG_ERR(e));
    return e;
}

static struct err rules_make(const struct node *n, struct egress_rules *rules)
{
    const struct recipe_egress *e = n->recipe->egress;
    const struct config        *c = &n->site->config;
    if (!c->egress_mbit) return ERR(DENIED, "its recipe needs a way out, and this machine's owner allows none");
    *rules = (struct egress_rules){ .mbit = e->mbit < c->egress_mbit ? e->mbit : (uint32_t)c->egress_mbit,
                                    .connections = e->connections,
                                    .ports_count = e->ports_count };
    memcpy(rules->ports, e->ports, e->ports_count * sizeof rules->ports[0]);
    TRY(egress_deny(rules, str_from(c->egress_deny)));
    return deny_outside(n->site, rules);
}

static void on_out_to_start(void *ctx, struct err e)
{
    struct node *n = ctx;
    if (!node_is_over(n)) node_start_let_out(n, e);
    node_release(n);
}

static void on_out(void *ctx, struct err e)
{
    struct node *n = ctx;
    if (e.code && !node_is_over(n)) log_warn("egress", LOG_ID("node", n->ref.node), LOG_ERR(e));
    node_release(n);
}

void node_let_out(struct node *n, bool and_start)
{
    struct egress_rules rules;
    netns_on_made       call = and_start ? on_out_to_start : on_out;
    if (!n->recipe->egress) {
        if (and_start) node_start_let_out(n, OK);
        return;
    }
    node_hold(n);
    struct err e = rules_make(n, &rules);
    if (!e.code) e = netns_let_out(n->site->runtime, n->ref.node, &rules, call, n);
    if (e.code) call(n, e);
}

/* ---- how its programs find it ------------------------------------------------------------------------ */

static bool is_set(const char *const *env, struct str name)
{
    for (; env && *env; env++)
        if (str_starts(str_from(*env), name)) return true;
    return false;
}

size_t node_out_env(const struct node *n, const char *const *given, const char *env[CONTAINER_ENV_MAX],
                    struct text *room)
{
    static const char *const proxies[] = { "http_proxy=", "HTTP_PROXY=", "https_proxy=", "HTTPS_PROXY=" };
    static const char *const others[]  = { "no_proxy=", "NO_PROXY=" };
    size_t                   count     = 0;
    for (; given && given[count]; count++) env[count] = given[count];
    if (!n->recipe->egress) return count;

    const struct assignment *a = node_assignment(n);
    char                     address[MESH_ADDRESS_TEXT], head[MESH_ADDRESS_TEXT];
    mesh_address(a->index, address);
    mesh_address(a->head_index, head);
    for (size_t i = 0; i < countof(proxies) + countof(others) && count < CONTAINER_ENV_MAX; i++) {
        bool        is_proxy = i < countof(proxies);
        struct str  name     = str_from(is_proxy ? proxies[i] : others[i - countof(proxies)]);
        const char *start    = room->ptr + room->len;
        if (is_set(given, name)) continue;
        text_add(room, name);
        text_add(room, is_proxy ? STR(OUT_PROXY) : STR("localhost,127.0.0.1,::1,10.99.0.0/16,"));
        if (!is_proxy) {
            text_add(room, str_from(address));
            text_add_char(room, ',');
            text_add(room, str_from(head));
        }
        text_add_char(room, 0);
        check(!room->full);
        env[count++] = start;
    }
    return count;
}
