/* Recipes, held by the hash of their text: once in the state folder they are never asked for again. */
#include "site.h"

#include "sys/log.h"
#include "sys/sys.h"

#include <stdlib.h>
#include <string.h>

static struct err take_text(struct node *n, struct str yaml)
{
    char        room[256];
    struct text complaint = TEXT_IN(room);
    struct err  e         = recipe_read(yaml, node_assignment(n)->recipe, &n->recipe, &complaint);
    if (e.code) log_warn("recipe.refused", LOG_ID("node", n->ref.node), LOG_STR("why", text_str(&complaint)));
    return e;
}

static bool is_it(const struct node *n, struct str yaml)
{
    struct hash here = hash_sha256(yaml), there;
    memcpy(there.bytes, node_assignment(n)->recipe_hash, sizeof there.bytes);
    return hash_eq(here, there);
}

struct err recipe_load(struct node *n)
{
    char        path[SITE_PATH_TEXT];
    static char room[RECIPE_BYTES_MAX];
    size_t      len;
    if (n->recipe) return OK;
    state_recipe_path(n->site, node_assignment(n)->recipe_hash, path);
    TRY(sys_read_file(path, room, sizeof room, &len));
    struct str yaml = { room, len };
    if (!is_it(n, yaml)) return ERR(CORRUPT, "a recipe in the state folder is damaged");
    return take_text(n, yaml);
}

static void on_head(void *ctx, unsigned status, struct str content_type)
{
    struct node *n = ctx;
    (void)content_type;
    if (status != 200) n->recipe_len = SIZE_MAX;
}

static void on_body(void *ctx, struct str bytes)
{
    struct node *n = ctx;
    if (n->recipe_len > RECIPE_BYTES_MAX || bytes.len > RECIPE_BYTES_MAX - n->recipe_len) {
        n->recipe_len = SIZE_MAX;
        return;
    }
    memcpy(n->recipe_room + n->recipe_len, bytes.ptr, bytes.len);
    n->recipe_len += bytes.len;
}

static struct err take_fetched(struct node *n)
{
    char       path[SITE_PATH_TEXT];
    struct str yaml = { n->recipe_room, n->recipe_len };
    if (n->recipe_len > RECIPE_BYTES_MAX) return ERR(IO, "the network did not give the recipe");
    if (!is_it(n, yaml)) return ERR(IO, "the network gave another recipe than it named");
    TRY(take_text(n, yaml));
    state_recipe_path(n->site, node_assignment(n)->recipe_hash, path);
    return sys_write_file(path, yaml, 0644);
}

static void on_done(void *ctx, struct err e)
{
    struct node *n = ctx;
    n->recipe_call = NULL;
    if (!e.code) e = take_fetched(n);
    free(n->recipe_room);
    n->recipe_room = NULL;
    if (e.code) log_warn("recipe.fetch", LOG_ID("node", n->ref.node), LOG_ERR(e));
    site_tell(n->site, IN_RECIPE, n->ref, e);
}

void recipe_fetch(struct node *n)
{
    static const struct net_call_calls calls = { on_head, on_body, on_done };
    struct site                       *s     = n->site;
    char                               room[128];
    struct text                        path = TEXT_IN(room);
    if (!recipe_load(n).code) {
        site_tell(s, IN_RECIPE, n->ref, OK);
        return;
    }
    n->recipe_len  = 0;
    n->recipe_room = malloc(RECIPE_BYTES_MAX);
    check(n->recipe_room);
    text_add(&path, STR("/v1/recipes/"));
    text_add_hex(&path, node_assignment(n)->recipe_hash, RECIPE_HASH_BYTES);

    struct net_target target = { .host = s->network.host, .port = (uint16_t)s->network.port, .pin = &s->pin };
    struct err        e =
        net_call(s->net, &target, STR("GET"), text_str(&path), NULL, 0, STR(""), &calls, n, &n->recipe_call);
    if (e.code) on_done(n, e);
}
