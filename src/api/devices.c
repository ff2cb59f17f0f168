/* devices.c: a supplier's machines, and the tokens by which machines join. */
#include "api_int.h"

#include "codec/codec.h"
#include "sys/sys.h"

#include <string.h>

#define TOKEN_VALID_MS MS_PER_DAY
#define TOKEN_SECRET_BYTES 24

/* ---- join tokens ------------------------------------------------------------------------------------------------ */

static struct err token_allowed(const struct api_ask *q)
{
    const struct token_request *b = &q->body->token;
    if (b->purpose == TOKEN_GATEWAY && (!q->is_operator || !(q->key->scopes & SCOPE_OPERATOR)))
        return ERR(DENIED, "only the network's operator may add a gateway");
    if (b->purpose == TOKEN_DEVICE && !(q->key->scopes & SCOPE_DEVICES))
        return ERR(DENIED, "the API key's scopes do not allow that");
    if (b->purpose == TOKEN_GATEWAY && b->ask.micros) return ERR(INVALID, "a gateway asks no price");
    return OK;
}

static void token_text(const struct api *a, struct str secret, struct text *out)
{
    struct join_token t = { .port = a->o.port };
    check(str_copy(str_from(a->o.host), t.host, sizeof t.host).code == ERR_NONE);
    check(str_copy(secret, t.secret, sizeof t.secret).code == ERR_NONE);
    memcpy(t.pin, a->o.pin.sha256, sizeof t.pin);
    join_token_write(&t, out);
    explicit_bzero(&t, sizeof t);
}

static void on_token(struct api_waiting *w, const struct effect *e)
{
    const struct network    *n     = w->api->o.network;
    const struct join_grant *g     = table_find(&n->grants, e->subject);
    struct token_reply       reply = { .token = "" };
    struct text              token = TEXT_IN(reply.token);
    if (!g) return reply_error(w->request, ERR(EXPIRED, "the join token has expired already"));
    token_text(w->api, str_from(w->secret), &token);
    (void)text_z(&token);
    check(!token.full);
    reply.expires = g->expires;
    reply_record(w->request, w->route->status, &token_reply_type, &reply, SEEN_OWNER);
    explicit_bzero(&reply, sizeof reply);
}

void post_join_token(struct api_ask *q)
{
    const struct token_request *b = &q->body->token;
    struct err                  e = token_allowed(q);
    if (e.code) return reply_error(q->request, e);

    uint8_t     bytes[TOKEN_SECRET_BYTES];
    char        room[64];
    struct text secret = TEXT_IN(room);
    sys_random(bytes, sizeof bytes);
    base64url_write(bytes, sizeof bytes, &secret);
    struct hash  h  = hash_sha256(text_str(&secret));
    struct input in = { .kind = INPUT_TOKEN, .account = q->account->id };
    memcpy(in.token.hash, h.bytes, sizeof in.token.hash);
    in.token.purpose  = b->purpose;
    in.token.ask      = b->ask;
    in.token.valid.ms = b->valid.ms ? b->valid.ms : TOKEN_VALID_MS;
    ask_network(q, &in, text_str(&secret), on_token);
    explicit_bzero(bytes, sizeof bytes);
    explicit_bzero(room, sizeof room);
}

/* ---- devices ---------------------------------------------------------------------------------------------------- */

static void write_device(struct json_out *w, const void *ctx)
{
    view_device(w, ctx);
}

void get_device(struct api_ask *q)
{
    const struct device *d = own_device(q, q->param);
    if (!d) return reply_error(q->request, ERR(MISSING, "there is no such device"));
    reply_json(q->request, 200, write_device, d);
}

static void view_listed(struct json_out *w, const struct api *a, const void *row)
{
    (void)a;
    view_device(w, row);
}

void get_devices(struct api_ask *q)
{
    reply_page(q, &q->api->o.network->devices, offsetof(struct device, owner), view_listed);
}

static void on_device(struct api_waiting *w, const struct effect *e)
{
    const struct device *d = network_device(w->api->o.network, e->subject);
    if (!d) return reply_error(w->request, ERR(MISSING, "there is no such device any more"));
    reply_json(w->request, w->route->status, write_device, d);
}

static void ask_of_device(struct api_ask *q, enum input_kind kind)
{
    const struct device *d = own_device(q, q->param);
    if (!d) return reply_error(q->request, ERR(MISSING, "there is no such device"));
    struct input in = { .kind = kind, .account = q->account->id, .subject = d->id.id };
    ask_network(q, &in, STR(""), on_device);
}

void delete_device(struct api_ask *q)
{
    ask_of_device(q, INPUT_RETIRE);
}

void post_release(struct api_ask *q)
{
    ask_of_device(q, INPUT_RELEASE);
}
