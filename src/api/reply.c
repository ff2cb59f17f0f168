/* reply.c: answers: JSON that grows until it fits, and errors as RFC 9457 says. */
#include "api_int.h"

#include "sys/sys.h"

#include <stdlib.h>
#include <string.h>

#define REPLY_BYTES_MIN ((size_t)16 * 1024)
#define REPLY_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct text reply_build(api_writer write, const void *ctx)
{
    struct text t = { 0 };
    for (size_t cap = REPLY_BYTES_MIN; cap <= REPLY_BYTES_MAX; cap *= 8) {
        free(t.ptr);
        t = (struct text){ malloc(cap), 0, cap, false };
        check(t.ptr);
        struct json_out w = json_begin(&t);
        write(&w, ctx);
        if (!t.full) return t;
    }
    return t;
}

void reply_json(struct net_request *r, unsigned status, api_writer write, const void *ctx)
{
    static const struct net_header headers[] = {
        { { "content-type", 12 }, { "application/json", 16 } },
        { { "cache-control", 13 }, { "no-store", 8 } },
    };
    struct text t = reply_build(write, ctx);
    if (t.full) {
        reply_error(r, ERR(LIMIT, "the answer is too large: ask for less"));
    } else {
        text_add_char(&t, '\n');
        net_reply(r, status, headers, countof(headers), text_str(&t));
    }
    free(t.ptr);
}

struct record_answer {
    const struct record_type *type;
    const void               *record;
    enum field_seen           viewer;
};

static void write_record(struct json_out *w, const void *ctx)
{
    const struct record_answer *a = ctx;
    json_record(w, a->type, a->record, a->viewer);
}

void reply_record(struct net_request *r, unsigned status, const struct record_type *type, const void *record,
                  enum field_seen viewer)
{
    struct record_answer a = { type, record, viewer };
    reply_json(r, status, write_record, &a);
}

void reply_none(struct net_request *r)
{
    net_reply(r, 204, NULL, 0, STR(""));
}

void reply_text(struct net_request *r, const char *type, struct str text)
{
    struct net_header header = { STR("content-type"), str_from(type) };
    net_reply(r, 200, &header, 1, text);
}

/* ---- errors ------------------------------------------------------------------------------------------------ */

static unsigned status_of(enum err_code code)
{
    switch (code) {
    case ERR_INVALID: return 400;
    case ERR_DENIED: return 403;
    case ERR_MISSING: return 404;
    case ERR_CONFLICT:
    case ERR_CAPACITY: return 409;
    case ERR_FUNDS: return 402;
    case ERR_EXPIRED: return 410;
    case ERR_LIMIT: return 503;
    case ERR_TIMEOUT: return 504;
    case ERR_NONE:
    case ERR_IO:
    case ERR_CORRUPT:
    case ERR_CODE_COUNT: break;
    }
    return 500;
}

static const char *title_of(enum err_code code)
{
    static const char *const titles[ERR_CODE_COUNT] = {
        [ERR_INVALID]  = "The request is wrong",
        [ERR_DENIED]   = "That is not allowed",
        [ERR_MISSING]  = "There is no such thing",
        [ERR_CONFLICT] = "Its state does not allow that",
        [ERR_FUNDS]    = "The balance does not cover it",
        [ERR_CAPACITY] = "The network has not that many",
        [ERR_EXPIRED]  = "It is no longer valid",
        [ERR_LIMIT]    = "A limit is reached",
        [ERR_IO]       = "The network's machine failed",
        [ERR_CORRUPT]  = "The network's data can't be right",
        [ERR_TIMEOUT]  = "It took too long",
    };
    return titles[code] ? titles[code] : "It failed";
}

static void write_problem(struct json_out *w, const void *ctx)
{
    const struct api_problem *p = ctx;
    char                      room[64];
    struct text               type = TEXT_IN(room);
    text_add(&type, STR("about:blank#"));
    text_add(&type, str_from(err_name(p->error.code)));
    json_open_object(w);
    json_key(w, "type");
    json_str(w, text_str(&type));
    json_key(w, "title");
    json_str(w, str_from(title_of(p->error.code)));
    json_key(w, "status");
    json_i64(w, p->status ? p->status : status_of(p->error.code));
    json_key(w, "detail");
    json_str(w, str_from(p->detail && p->detail[0] ? p->detail : p->error.why));
    if (p->extra) {
        json_key(w, p->extra);
        json_i64(w, p->extra_value);
    }
    json_close_object(w);
}

void reply_problem(struct net_request *r, const struct api_problem *p)
{
    unsigned          status    = p->status ? p->status : status_of(p->error.code);
    struct net_header headers[] = {
        { STR("content-type"), STR("application/problem+json") },
        { STR("cache-control"), STR("no-store") },
        { STR(""), STR("") },
    };
    char        room[16];
    struct text retry = TEXT_IN(room);
    text_add_u64(&retry, p->retry_s ? p->retry_s : 1);
    bool has_third = true;
    if (status == 401)
        headers[2] = (struct net_header){ STR("www-authenticate"), STR("Bearer") };
    else if (status == 429 || status == 503)
        headers[2] = (struct net_header){ STR("retry-after"), text_str(&retry) };
    else if (p->allow)
        headers[2] = (struct net_header){ STR("allow"), str_from(p->allow) };
    else
        has_third = false;
    struct text t = reply_build(write_problem, p);
    text_add_char(&t, '\n');
    net_reply(r, status, headers, has_third ? 3 : 2, text_str(&t));
    free(t.ptr);
}

/* What the server has refused before it was asked of the API. */
static struct err refusal_of(unsigned status)
{
    switch (status) {
    case 405: return ERR(INVALID, "the server knows no such method");
    case 408: return ERR(TIMEOUT, "the request came too slowly");
    case 413: return ERR(LIMIT, "the body of the request is too large");
    case 431: return ERR(LIMIT, "the head of the request is too large");
    case 501: return ERR(INVALID, "the server does not speak that protocol");
    case 503: return ERR(LIMIT, "too much is sent at once on this connection");
    default: return ERR(INVALID, "the request is no well-formed HTTP");
    }
}

void api_refuse(struct net_request *r, unsigned status)
{
    reply_problem(r, &(struct api_problem){ .error  = refusal_of(status),
                                            .status = status,
                                            .allow  = status == 405 ? "GET, POST, DELETE" : NULL });
}

void reply_error(struct net_request *r, struct err e)
{
    reply_problem(r, &(struct api_problem){ .error = e });
}
