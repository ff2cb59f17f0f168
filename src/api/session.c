/* session.c: signing in and out. */
#include "api_int.h"

#include "codec/codec.h"
#include "sys/sys.h"

#include <string.h>

#define KEY_VALID_MS ((int64_t)30 * MS_PER_DAY)
#define KEY_BYTES 32

static struct err read_key(const char *base58, struct public_key *out)
{
    struct err e = base58_read(str_from(base58), out->bytes, sizeof out->bytes);
    return e.code ? ERR(DENIED, "public_key: 32 bytes in base 58 are a wallet's key, this is none") : OK;
}

void post_nonce(struct api_ask *q)
{
    struct public_key  who;
    struct nonce       n;
    struct nonce_reply reply = { 0 };
    struct err         e     = read_key(q->body->nonce.public_key, &who);
    if (e.code) return reply_problem(q->request, &(struct api_problem){ .error = e, .status = 401 });
    e = nonce_make(&q->api->nonces, who, net_request_peer(q->request), q->api->o.nonces_an_address_max,
                   sys_wall_now(), &n);
    if (e.code)
        return reply_problem(q->request, &(struct api_problem){ .error = e, .status = 429, .retry_s = 60 });

    struct text message = TEXT_IN(reply.message);
    nonce_message(q->api, &n, &message);
    (void)text_z(&message);
    check(!message.full);
    memcpy(reply.public_key, q->body->nonce.public_key, sizeof reply.public_key);
    memcpy(reply.nonce, n.bytes, sizeof reply.nonce);
    reply.expires = instant_add(n.made, (struct span){ API_NONCE_MS });
    reply_record(q->request, 200, &nonce_reply_type, &reply, SEEN_OWNER);
}

/* "ionet_" and 32 random bytes; the network keeps its hash. */
static void make_key(struct text *out)
{
    uint8_t bytes[KEY_BYTES];
    sys_random(bytes, sizeof bytes);
    text_add(out, STR("ionet_"));
    base64url_write(bytes, sizeof bytes, out);
    explicit_bzero(bytes, sizeof bytes);
}

static void on_signed_in(struct api_waiting *w, const struct effect *e)
{
    struct session_reply  reply = { .account = { e->subject } };
    struct hash           h     = hash_sha256(str_from(w->secret));
    const struct api_key *k     = network_key(w->api->o.network, h.bytes);
    const struct account *who   = network_account(w->api->o.network, reply.account);
    if (!k || !who) return reply_error(w->request, ERR(EXPIRED, "the key has expired already"));
    check(str_copy(str_from(w->secret), reply.key, sizeof reply.key).code == ERR_NONE);
    reply.operator = who->operator;
    reply.scopes   = k->scopes;
    reply.expires  = k->expires;
    reply_record(w->request, w->route->status, &session_reply_type, &reply, SEEN_OWNER);
    explicit_bzero(&reply, sizeof reply);
}

static struct err prove(struct api_ask *q, struct public_key *who)
{
    const struct session_request *b = &q->body->session;
    struct nonce                  n;
    char                          room[sizeof((struct nonce_reply *)0)->message];
    struct text                   message = TEXT_IN(room);
    struct signature              s;
    TRY(nonce_use(&q->api->nonces, b->nonce, *who, sys_wall_now(), &n));
    nonce_message(q->api, &n, &message);
    memcpy(s.bytes, b->signature, sizeof s.bytes);
    return sign_text_verify(*who, text_str(&message), s) ? OK : ERR(DENIED, "the signature is not this key's");
}

void post_session(struct api_ask *q)
{
    const struct session_request *b = &q->body->session;
    const struct api_options     *o = &q->api->o;
    struct public_key             who;
    struct err                    e = read_key(b->public_key, &who);
    if (!e.code) e = prove(q, &who);
    if (e.code) return reply_problem(q->request, &(struct api_problem){ .error = e, .status = 401 });

    char        room[64];
    struct text key = TEXT_IN(room);
    make_key(&key);
    struct hash  h  = hash_sha256(text_str(&key));
    struct input in = { .kind = INPUT_SIGN_IN };
    memcpy(in.sign_in.public_key, who.bytes, sizeof in.sign_in.public_key);
    memcpy(in.sign_in.key_hash, h.bytes, sizeof in.sign_in.key_hash);
    memcpy(in.sign_in.name, b->name, sizeof in.sign_in.name);
    in.sign_in.operator = o->has_operator && public_key_eq(who, o->operator);
    in.sign_in.scopes   = b->scopes ? b->scopes : SCOPE_ALL;
    in.sign_in.valid.ms = b->valid.ms ? b->valid.ms : KEY_VALID_MS;
    ask_network(q, &in, text_str(&key), on_signed_in);
    explicit_bzero(room, sizeof room);
}

static void on_signed_out(struct api_waiting *w, const struct effect *e)
{
    (void)e;
    reply_none(w->request);
}

void delete_session(struct api_ask *q)
{
    struct input in = { .kind = INPUT_KEY_END, .account = q->account->id, .subject = q->key->id };
    ask_network(q, &in, STR(""), on_signed_out);
}
