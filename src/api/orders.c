/* orders.c: recipes and quotes, what a customer looks at before he takes one. */
#include "api_int.h"

#include "codec/codec.h"

#include <string.h>

/* ---- recipes ------------------------------------------------------------------------------------------------- */

static void write_recipes(struct json_out *w, const void *ctx)
{
    const struct api *a = ctx;
    json_open_object(w);
    json_key(w, "items");
    json_open_array(w);
    for (size_t i = 0; i < a->o.recipe_count; i++) view_recipe(w, a, i);
    json_close_array(w);
    page_next(w, UINT64_MAX);
    json_close_object(w);
}

void get_recipes(struct api_ask *q)
{
    reply_json(q->request, 200, write_recipes, q->api);
}

struct recipe_answer {
    const struct api *api;
    size_t            place;
};

static void write_recipe(struct json_out *w, const void *ctx)
{
    const struct recipe_answer *r = ctx;
    view_recipe(w, r->api, r->place);
}

void get_recipe(struct api_ask *q)
{
    const struct network_config *config = &q->api->o.network->config;
    uint8_t                      hash[CRYPTO_HASH_BYTES];
    bool                         is_hash = !hex_read(q->param, hash, sizeof hash).code;
    for (size_t i = 0; i < q->api->o.recipe_count; i++) {
        struct recipe_answer answer = { q->api, i };
        if (is_hash && memcmp(config->recipes[i].hash, hash, sizeof hash) == 0)
            return reply_text(q->request, "text/yaml", q->api->o.recipes[i].text);
        if (str_eq(q->param, str_from(config->recipes[i].name)))
            return reply_json(q->request, 200, write_recipe, &answer);
    }
    reply_error(q->request, ERR(MISSING, "there is no such recipe"));
}

/* ---- quotes --------------------------------------------------------------------------------------------------- */

static void on_quoted(struct api_waiting *w, const struct effect *e)
{
    const struct quote *quote = network_quote(w->api->o.network, e->subject);
    if (!quote) return reply_error(w->request, ERR(EXPIRED, "the quote has expired already"));
    reply_record(w->request, w->route->status, &quote_type, quote, SEEN_OWNER);
}

void post_quote(struct api_ask *q)
{
    const struct quote *b  = &q->body->quote;
    struct input        in = { .kind = INPUT_QUOTE, .account = q->account->id };
    memcpy(in.quote.recipe, b->recipe, sizeof in.quote.recipe);
    in.quote.quantity = b->quantity;
    in.quote.duration = b->duration;
    ask_network(q, &in, STR(""), on_quoted);
}

void get_quote(struct api_ask *q)
{
    struct id           id;
    const struct quote *quote = id_read(q->param, &id).code ? NULL : network_quote(q->api->o.network, id);
    if (!quote || !id_eq(quote->account.id, q->account->id.id))
        return reply_error(q->request, ERR(MISSING, "there is no such quote"));
    reply_record(q->request, 200, &quote_type, quote, SEEN_OWNER);
}
