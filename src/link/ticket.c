#include "ticket.h"

#include "codec/codec.h"
#include "json/json.h"

#include <string.h>

#define TICKET_JSON_MAX 384
#define JOIN_SECRET_BYTES 24

static const char *const kind_names[TICKET_KIND_COUNT] = { "tunnel", "join", "once" };

static const struct field ticket_fields[] = {
    FIELD_ENUM(struct ticket, kind, kind_names, SEEN_OPERATOR, LIVE, "what it opens"),
    FIELD_ID(struct ticket, serial, SEEN_OPERATOR, LIVE, "unlike any other's"),
    FIELD_ID(struct ticket, cluster, SEEN_OPERATOR, LIVE, "whose services"),
    FIELD_ID(struct ticket, node, SEEN_OPERATOR, OPTIONAL, "which node, or the head"),
    FIELD_TEXT(struct ticket, service, SEEN_OPERATOR, OPTIONAL, "which service"),
    FIELD_TEXT(struct ticket, user, SEEN_OPERATOR, OPTIONAL, "for whom"),
    FIELD_MS(struct ticket, expires, "expires_ms", SEEN_OPERATOR, LIVE, "void from then on"),
};
const struct record_type ticket_type =
    RECORD_TYPE("ticket", "tickets", struct ticket, ticket_fields, "who may open what at a gateway");

struct err ticket_write(const struct ticket *t, const struct sign_key *key, struct text *out)
{
    char        room[TICKET_JSON_MAX];
    struct text json = TEXT_IN(room);
    json_write(&ticket_type, t, SEEN_OPERATOR, &json);
    if (json.full) return ERR(LIMIT, "a ticket says too much");

    struct signature s = sign(key, STR(TICKET_DOMAIN), text_str(&json));
    base64url_write((const uint8_t *)json.ptr, json.len, out);
    text_add_char(out, '.');
    base64url_write(s.bytes, sizeof s.bytes, out);
    return out->full ? ERR(LIMIT, "a ticket is too long") : OK;
}

struct err ticket_read(struct str text, struct public_key signer, struct instant now, struct ticket *out)
{
    struct str       said, signed_by;
    uint8_t          json[TICKET_JSON_MAX];
    struct signature s;
    size_t           json_len, signature_len;
    if (!str_split(text, '.', &said, &signed_by)) return ERR(DENIED, "this is no ticket");
    if (base64url_read(said, json, sizeof json, &json_len).code) return ERR(DENIED, "this is no ticket");
    if (base64url_read(signed_by, s.bytes, sizeof s.bytes, &signature_len).code ||
        signature_len != sizeof s.bytes)
        return ERR(DENIED, "this is no ticket");

    struct str what = { (const char *)json, json_len };
    if (!sign_verify(signer, STR(TICKET_DOMAIN), what, s))
        return ERR(DENIED, "the ticket is not signed by the network");

    struct ticket     t = { 0 };
    struct json_fault fault;
    TRY(json_read(what, &ticket_type, JSON_PEER, &t, &fault));
    if (!instant_before(now, t.expires)) return ERR(EXPIRED, "the ticket has expired");
    *out = t;
    return OK;
}

/* ---- join tokens ------------------------------------------------------------------------------------- */

/* Splits s at the last `at`. */
static bool split_last(struct str s, char at, struct str *head, struct str *tail)
{
    for (size_t i = s.len; i > 0; i--) {
        if (s.ptr[i - 1] != at) continue;
        *head = (struct str){ s.ptr, i - 1 };
        *tail = str_skip(s, i);
        return true;
    }
    return false;
}

/* "host:port"; an IPv6 address stands in brackets, which are not part of it. */
static struct err place_read(struct str place, struct join_token *t)
{
    struct str host, port;
    uint64_t   number;
    if (!split_last(place, ':', &host, &port)) return ERR(INVALID, "a join token names no port");
    if (str_to_u64(port, &number).code || number == 0 || number > UINT16_MAX)
        return ERR(INVALID, "a join token's port is 1 to 65535");
    if (str_starts(host, STR("[")) && str_ends(host, STR("]")))
        host = (struct str){ host.ptr + 1, host.len - 2 };
    bool has_bracket = host.len && (memchr(host.ptr, '[', host.len) || memchr(host.ptr, ']', host.len));
    if (host.len == 0 || has_bracket || !str_is_utf8(host)) return ERR(INVALID, "a join token names no host");
    if (str_copy(host, t->host, sizeof t->host).code) return ERR(INVALID, "a join token's host is too long");
    t->port = (uint16_t)number;
    return OK;
}

struct err join_token_read(struct str text, struct join_token *out)
{
    struct join_token t = { .port = 0 };
    struct str        place_and_pin, place, pin, secret;
    uint8_t           raw[JOIN_SECRET_BYTES];
    size_t            raw_len;
    if (!split_last(text, '.', &place_and_pin, &secret) || !split_last(place_and_pin, '.', &place, &pin))
        return ERR(INVALID, "a join token is HOST:PORT.PIN.SECRET");
    TRY(place_read(place, &t));
    if (hex_read(pin, t.pin, sizeof t.pin).code) return ERR(INVALID, "a join token's pin is 64 hex letters");
    if (base64url_read(secret, raw, sizeof raw, &raw_len).code || raw_len != sizeof raw)
        return ERR(INVALID, "a join token's secret is cut off or mistyped");
    TRY(str_copy(secret, t.secret, sizeof t.secret));
    *out = t;
    return OK;
}

void join_token_write(const struct join_token *t, struct text *out)
{
    bool brackets = strchr(t->host, ':') != NULL;
    if (brackets) text_add_char(out, '[');
    text_add(out, str_from(t->host));
    if (brackets) text_add_char(out, ']');
    text_add_char(out, ':');
    text_add_u64(out, t->port);
    text_add_char(out, '.');
    text_add_hex(out, t->pin, sizeof t->pin);
    text_add_char(out, '.');
    text_add(out, str_from(t->secret));
}
