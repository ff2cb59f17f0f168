#include "api_int.h"

#include "human_int.h"

#include <stdlib.h>
#include <string.h>

struct call {
    struct net *net;
    struct err  e;
    unsigned    status;
    char       *body;
    size_t      len;
    bool        too_long;
};

void api_reply_free(struct api_reply *r)
{
    json_free(&r->doc);
    free(r->body);
    *r = (struct api_reply){ 0 };
}

void api_path_add(struct text *path, const char *fixed, const char *element)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    text_add(path, str_from(fixed));
    for (; element && *element; element++) {
        uint8_t byte = (uint8_t)*element;
        if (strchr(plain, *element)) {
            text_add_char(path, *element);
            continue;
        }
        text_add_char(path, '%');
        text_add_char(path, "0123456789ABCDEF"[byte >> 4]);
        text_add_char(path, "0123456789ABCDEF"[byte & 15]);
    }
}

struct err api_path(struct cli *c, const char *before, const char *name, const char *behind,
                    char out[API_PATH_MAX])
{
    struct text t = { out, 0, API_PATH_MAX, false };
    api_path_add(&t, before, name);
    text_add(&t, str_from(behind));
    text_z(&t);
    return t.full ? cli_fail(c, ERR_INVALID, NULL, "nothing has so long a name") : OK;
}

/* ---- what an answer means ---------------------------------------------------------------------------- */

static enum err_code code_of(unsigned status, struct json_value problem)
{
    struct str type = json_as_str(json_member(problem, "type"));
    struct str about, name;
    if (str_split(type, '#', &about, &name))
        for (int code = ERR_INVALID; code < ERR_CODE_COUNT; code++)
            if (str_eq(name, str_from(err_name((enum err_code)code)))) return (enum err_code)code;

    switch (status) {
    case 401:
    case 403: return ERR_DENIED;
    case 402: return ERR_FUNDS;
    case 404: return ERR_MISSING;
    case 409: return ERR_CONFLICT;
    case 410: return ERR_EXPIRED;
    case 413:
    case 429:
    case 503: return ERR_LIMIT;
    default: return status < 500 ? ERR_INVALID : ERR_IO;
    }
}

/* Where to look for the name of what a command did not find. */
static const char *where_names_are(const struct cli *c)
{
    static const struct {
        const char *path; /* of the command, or how it begins */
        const char *doc;
    } places[] = {
        { "recipe", "`ionet recipe list` shows what is offered" },
        { "quote", "`ionet recipe list` shows what is offered" },
        { "cluster create", "`ionet recipe list` shows what is offered, `ionet quote` asks for a quote" },
        { "cluster", "`ionet cluster list` shows yours, `ionet cluster show` the nodes and services of one" },
        { "device", "`ionet device list` shows yours" },
    };
    for (size_t i = 0; i < countof(places); i++)
        if (str_starts(str_from(c->command->path), str_from(places[i].path))) return places[i].doc;
    return "";
}

static void hint_write(const struct cli *c, unsigned status, enum err_code code, struct json_value problem,
                       struct text *t)
{
    int64_t n;
    if (!json_as_i64(json_member(problem, "available"), &n).code) {
        text_add(t, n ? STR("take fewer: --quantity ") : STR("none is free now: try again later"));
        if (n) text_add_i64(t, n);
    } else if (!json_as_i64(json_member(problem, "missing_micros"), &n).code) {
        human_usdc_write((struct money){ n }, t);
        text_add(t, STR(" USDC are missing: add to the account, or take fewer machines or a shorter time"));
    } else if (status == 401) {
        text_add(t, STR("`ionet login` signs in"));
    } else if (code == ERR_MISSING) {
        text_add(t, str_from(where_names_are(c)));
    } else if (code == ERR_EXPIRED) {
        text_add(t, STR("`ionet quote` asks for a new price"));
    } else if (status == 429) {
        text_add(t, STR("wait a little and try again"));
    }
}

struct err api_problem(struct cli *c, unsigned status, struct str body)
{
    if (status < 400) return OK;
    scoped_json struct json_doc doc = { 0 };
    struct json_fault           fault;
    if (json_parse(body, &doc, &fault).code) doc.root.node = NULL;

    enum err_code code = code_of(status, doc.root);
    char          hint[CLI_DETAIL_MAX];
    struct text   t = TEXT_IN(hint);
    hint_write(c, status, code, doc.root, &t);

    bool keyless = status == 401 && !*c->config.api_key && strcmp(c->command->path, "login") != 0;
    if (keyless) return cli_fail(c, code, text_z(&t), "not signed in");
    struct str detail = json_as_str(json_member(doc.root, "detail"));
    if (!detail.len) detail = json_as_str(json_member(doc.root, "title"));
    if (!detail.len) return cli_fail(c, code, text_z(&t), "the network answered with status %u", status);
    return cli_fail(c, code, text_z(&t), "%.*s", (int)detail.len, detail.ptr);
}

struct err api_unreachable(struct cli *c, struct err e)
{
    bool first     = !strcmp(c->command->path, "login");
    c->unreachable = true;
    return cli_fail(c, e.code,
                    first ? "is its address right, is there a way to it, and is --pin what its operator told?"
                          : "is its address right, and is there a way to it?",
                    "the network at %s can't be reached: %s", c->config.network, e.why);
}

/* ---- one question -------------------------------------------------------------------------------------- */

struct err api_request_init(struct cli *c, bool with_body, struct api_request *out)
{
    *out = (struct api_request){ 0 };
    if (!*c->config.network)
        return cli_fail(c, ERR_DENIED, "`ionet login --network HOST:PORT --pin HEX` signs in",
                        "no network is known yet");
    TRY(config_target(&c->config, out->host, &out->pin, &out->target));

    if (with_body)
        out->headers[out->header_count++] = (struct net_header){ STR("content-type"), STR("application/json") };
    if (*c->config.api_key) {
        struct text t = TEXT_IN(out->bearer);
        text_add(&t, STR("Bearer "));
        text_add(&t, str_from(c->config.api_key));
        out->headers[out->header_count++] = (struct net_header){ STR("authorization"), text_str(&t) };
    }
    return OK;
}

static void on_head(void *ctx, unsigned status, struct str content_type)
{
    struct call *k = ctx;
    (void)content_type;
    k->status = status;
}

static void on_body(void *ctx, struct str bytes)
{
    struct call *k = ctx;
    if (k->len + bytes.len > JSON_BYTES_MAX) {
        k->too_long = true;
        return;
    }
    char *more = realloc(k->body, k->len + bytes.len + 1);
    check(more != NULL);
    memcpy(more + k->len, bytes.ptr, bytes.len);
    k->body = more;
    k->len += bytes.len;
}

static void on_done(void *ctx, struct err e)
{
    struct call *k = ctx;
    k->e           = e;
    net_stop(k->net);
}

static const struct net_call_calls call_calls = { .on_head = on_head, .on_body = on_body, .on_done = on_done };

struct err api_call(struct cli *c, const char *method, const char *path, struct str body, struct api_reply *out)
{
    struct api_request request;
    struct call        k = { .e = OK };
    TRY(api_request_init(c, body.len > 0, &request));
    TRY(net_open(&k.net));

    struct err e = net_call(k.net, &request.target, str_from(method), str_from(path), request.headers,
                            request.header_count, body, &call_calls, &k, NULL);
    if (!e.code) net_run(k.net);
    if (!e.code) e = k.e;
    net_close(k.net);

    *out = (struct api_reply){ .body = k.body, .len = k.len };
    if (e.code) return api_unreachable(c, e);
    if (k.too_long) return ERR(LIMIT, "the network's answer is too long");
    TRY(api_problem(c, k.status, (struct str){ k.body, k.len }));

    struct json_fault fault;
    if (!k.len) return OK;
    if (json_parse((struct str){ k.body, k.len }, &out->doc, &fault).code)
        return ERR(CORRUPT, "the network's answer is no JSON: is this the address of an ionet network?");
    return OK;
}
