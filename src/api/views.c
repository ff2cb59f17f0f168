/* views.c: what is shown of a cluster, a device, a recipe; and whose they are. */
#include "api_int.h"

#include <string.h>

/* ---- recipes ------------------------------------------------------------------------------------------------- */

/* By name: a cluster whose recipe has changed since still has these services, or none of that name. */
const struct api_recipe *recipe_of(const struct api *a, const struct cluster *c)
{
    for (size_t i = 0; i < a->o.recipe_count; i++)
        if (strcmp(a->o.recipes[i].recipe->name, c->recipe) == 0) return &a->o.recipes[i];
    return NULL;
}

/* What is too long for its field is left out: a recipe's own limits are other ones. */
static void set_text(const struct record_type *type, void *record, const char *name, const char *value)
{
    const struct field *f = record_field(type, str_from(name));
    if (value && field_set_str(f, record, str_from(value)).code)
        check(field_set_str(f, record, STR("")).code == ERR_NONE);
}

static void view_services(struct json_out *w, const struct recipe *r)
{
    json_key(w, "services");
    json_open_array(w);
    for (unsigned i = 0; r && i < r->services_count; i++) {
        const struct recipe_service *s   = &r->services[i];
        struct service_now           now = { .port = s->port, .protocol = s->protocol, .on = s->on };
        set_text(&service_now_type, &now, "name", s->name);
        set_text(&service_now_type, &now, "title", s->title);
        set_text(&service_now_type, &now, "path", s->path ? s->path : "/");
        json_record(w, &service_now_type, &now, SEEN_OWNER);
    }
    json_close_array(w);
}

void view_recipe(struct json_out *w, const struct api *a, size_t place)
{
    const struct recipe *r     = a->o.recipes[place].recipe;
    struct recipe_about  about = { "" };
    set_text(&recipe_about_type, &about, "about", r->about);
    json_open_object(w);
    json_fields(w, &recipe_facts_type, &a->o.network->config.recipes[place], SEEN_PUBLIC);
    json_fields(w, &recipe_about_type, &about, SEEN_PUBLIC);
    view_services(w, r);
    json_close_object(w);
}

/* ---- clusters ------------------------------------------------------------------------------------------------ */

static void view_node(struct json_out *w, const struct network *n, const struct node *x)
{
    const struct device *d   = network_device(n, x->device.id);
    struct node_now      now = { .charged = network_node_charged(n, x) };
    mesh_address(x->index, now.address);
    if (d) memcpy(now.device_name, d->name, sizeof now.device_name);
    json_open_object(w);
    json_fields(w, &node_type, x, SEEN_OWNER);
    json_fields(w, &node_now_type, &now, SEEN_OWNER);
    json_close_object(w);
}

void view_cluster(struct json_out *w, const struct api *a, const struct cluster *c, bool nodes)
{
    const struct network    *n   = a->o.network;
    const struct api_recipe *r   = recipe_of(a, c);
    struct cluster_now       now = { network_charged(n, c) };
    json_open_object(w);
    json_fields(w, &cluster_type, c, SEEN_OWNER);
    json_fields(w, &cluster_now_type, &now, SEEN_OWNER);
    view_services(w, r ? r->recipe : NULL);
    if (nodes) {
        json_key(w, "nodes");
        json_open_array(w);
        for (const struct node *x = NULL; (x = network_cluster_node(n, c, x));) view_node(w, n, x);
        json_close_array(w);
    }
    json_close_object(w);
}

static bool is_own(const struct api_ask *q, const struct cluster *c)
{
    return id_eq(c->owner.id, q->account->id.id);
}

/* A live one before an ended one; of the ended the last. */
static struct err cluster_named(const struct api_ask *q, struct str name, const struct cluster **out)
{
    const struct cluster *live = NULL, *ended = NULL;
    for (const struct cluster *c = NULL; (c = table_next(&q->api->o.network->clusters, c));) {
        if (!is_own(q, c) || !str_eq(name, str_from(c->name))) continue;
        if (cluster_is_live(c) && live)
            return ERR(CONFLICT, "several live clusters have this name: say which by its id");
        if (cluster_is_live(c))
            live = c;
        else if (!ended || instant_before(ended->made, c->made))
            ended = c;
    }
    *out = live ? live : ended;
    return *out ? OK : ERR(MISSING, "there is no such cluster");
}

struct err own_cluster(const struct api_ask *q, struct str id_or_name, const struct cluster **out)
{
    struct id             id;
    const struct cluster *c = id_read(id_or_name, &id).code ? NULL : network_cluster(q->api->o.network, id);
    if (!c || !is_own(q, c)) return cluster_named(q, id_or_name, out);
    *out = c;
    return OK;
}

/* ---- devices ---------------------------------------------------------------------------------------------------- */

void view_device(struct json_out *w, const struct device *d)
{
    json_record(w, &device_type, d, SEEN_OWNER);
}

const struct device *own_device(const struct api_ask *q, struct str text)
{
    struct id id;
    if (id_read(text, &id).code) return NULL;
    const struct device *d = network_device(q->api->o.network, id);
    return d && id_eq(d->owner.id, q->account->id.id) ? d : NULL;
}
