#include "exchange_int.h"
#include "tls_int.h"

#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXCHANGE_TIMEOUT_MS 10000
#define HOST_BYTES_MAX 256

struct exchange {
    struct ring                  ring;
    struct net                  *net;
    const struct exchange_calls *calls;
    void                        *owner;
    uv_getaddrinfo_t             lookup;
    struct addrinfo             *found;
    struct addrinfo             *next;
    struct conn                 *conn;
    struct deadline              deadline;
    uint32_t                     timeout_ms;
    struct net_pin               pin;
    bool                         pinned;
    bool                         plain;
    char                         host[HOST_BYTES_MAX];
    char                         name[HOST_BYTES_MAX];
    char                         protocol[32]; /* "" for none */
    uint16_t                     port;
    bool                         is_head;
    bool                         looking; /* the lookup is with libuv, which keeps the exchange alive */
    bool                         parsing; /* so does a parser that runs in it */
    bool                         over;
    bool                         got_status;
    bool                         upgraded;
    bool                         complete;
    bool                         lasting; /* the body has no length: it may take as long as it likes */
    struct bytes                 request;
    llhttp_t                     parser;
    struct head                  head;
    const char                  *failure;
};

static const struct conn_calls exchange_conn_calls;

static void exchange_free(struct exchange *x)
{
    struct net *n = x->net;
    if (x->found) uv_freeaddrinfo(x->found);
    bytes_free(&x->request);
    head_free(&x->head);
    free(x);
    loop_release(n);
}

/* Lets go of everything; the memory stays while libuv still looks up the name. */
static void exchange_leave(struct exchange *x)
{
    x->over = true;
    ring_remove(&x->ring);
    deadline_clear(x->net, &x->deadline);
    if (x->looking)
        (void)uv_cancel((uv_req_t *)&x->lookup);
    else if (!x->parsing)
        exchange_free(x);
}

static void exchange_finish(struct exchange *x, struct err e)
{
    if (x->over) return;
    const struct exchange_calls *calls = x->calls;
    void                        *owner = x->owner;
    if (x->conn) conn_abandon(x->conn, e.code ? e.why : "answered");
    exchange_leave(x);
    calls->on_done(owner, e);
}

void exchange_drop(struct exchange *x)
{
    if (x->conn) conn_abandon(x->conn, "no longer wanted");
    exchange_leave(x);
}

static void on_deadline(struct deadline *d)
{
    struct exchange *x = ring_owner(d, struct exchange, deadline);
    if (x->failure)
        exchange_finish(x, (struct err){ ERR_IO, x->failure });
    else
        exchange_finish(x, ERR(TIMEOUT, "the server did not answer in time"));
}

void exchange_fail_soon(struct exchange *x, const char *why)
{
    if (x->conn) conn_abandon(x->conn, why);
    x->conn    = NULL;
    x->failure = why;
    deadline_set(x->net, &x->deadline, 0);
}

void exchange_stop_all(struct net *n)
{
    while (!ring_is_empty(&n->exchanges))
        exchange_finish(ring_owner(n->exchanges.next, struct exchange, ring),
                        ERR(IO, "the program is stopping"));
}

/* ---- the answer ------------------------------------------------------------------------------------ */

static int add_to(struct exchange *x, struct piece *p, const char *at, size_t len)
{
    if (head_append(&x->head, p, (struct str){ at, len })) return 0;
    x->failure = "the server's answer has too large a head";
    return HPE_USER;
}

static int on_message_begin(llhttp_t *parser)
{
    struct exchange *x = parser->data;
    head_free(&x->head);
    memset(&x->head, 0, sizeof x->head);
    x->got_status = false;
    /* A first byte, so that no piece lies at 0: that says "not there yet". */
    bytes_add(&x->head.text, STR(" "));
    return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct exchange *x       = parser->data;
    struct head     *head    = &x->head;
    struct piece     ignored = { 0 };
    if (x->got_status) return add_to(x, &ignored, at, len); /* a trailer */
    if (head->count == 0 || head->fields[head->count - 1].value.at != 0) {
        if (!head_begin_field(head)) return HPE_USER;
    }
    struct piece *name = &head->fields[head->count - 1].name;
    int           rc   = add_to(x, name, at, len);
    if (rc == 0) str_lower(head->text.ptr + name->at, name->len);
    return rc;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct exchange *x       = parser->data;
    struct piece     ignored = { 0 };
    if (x->got_status) return add_to(x, &ignored, at, len);
    return add_to(x, &x->head.fields[x->head.count - 1].value, at, len);
}

static int on_header_value_complete(llhttp_t *parser)
{
    struct exchange *x = parser->data;
    if (x->got_status) return 0;
    struct piece *value = &x->head.fields[x->head.count - 1].value;
    if (value->len == 0) value->at = (uint32_t)x->head.text.len;
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct exchange *x      = parser->data;
    unsigned         status = parser->status_code;
    if (status == 101) {
        bool asked = x->protocol[0] && http_same(head_find(&x->head, STR("upgrade")), str_from(x->protocol));
        if (!asked) {
            x->failure = "the server changed to a protocol nobody asked for";
            return HPE_USER;
        }
        x->upgraded = true;
        return 2;
    }
    if (status < 200) return 1;
    x->got_status = true;
    x->lasting    = !(parser->flags & F_CONTENT_LENGTH);
    if (x->lasting)
        deadline_clear(x->net, &x->deadline);
    else
        deadline_set(x->net, &x->deadline, x->timeout_ms);
    if (x->calls->on_head) x->calls->on_head(x->owner, status, &x->head);
    return x->is_head ? 1 : 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct exchange *x = parser->data;
    if (x->over) return HPE_USER;
    if (!x->lasting) deadline_set(x->net, &x->deadline, x->timeout_ms);
    if (x->calls->on_body) x->calls->on_body(x->owner, (struct str){ at, len });
    return x->over ? HPE_USER : 0;
}

static int on_message_complete(llhttp_t *parser)
{
    struct exchange *x = parser->data;
    if (!x->got_status) return 0; /* 100 and its like come before the answer */
    x->complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin         = on_message_begin,
    .on_header_field          = on_header_field,
    .on_header_value          = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete      = on_headers_complete,
    .on_body                  = on_body,
    .on_message_complete      = on_message_complete,
};

static void exchange_upgrade(struct exchange *x, struct str rest)
{
    struct conn *c = x->conn;
    ring_remove(&x->ring); /* the new owner may stop the loop, which ends all that is still in the ring */
    if (!x->calls->on_upgrade(x->owner, &x->head, c, rest)) {
        exchange_finish(x, ERR(CORRUPT, "the server's handshake is wrong"));
        return;
    }
    x->conn = NULL;
    exchange_leave(x);
}

static void on_bytes(void *owner, struct str bytes)
{
    struct exchange *x = owner;
    x->parsing         = true; /* a callback may drop the exchange */
    llhttp_errno_t e   = llhttp_execute(&x->parser, bytes.ptr, bytes.len);
    x->parsing         = false;
    if (x->over) {
        exchange_free(x);
    } else if (e == HPE_PAUSED_UPGRADE && x->upgraded) {
        size_t used = (size_t)(llhttp_get_error_pos(&x->parser) - bytes.ptr);
        exchange_upgrade(x, str_skip(bytes, used));
    } else if (x->complete) {
        exchange_finish(x, OK);
    } else if (e != HPE_OK) {
        exchange_finish(
            x, (struct err){ ERR_CORRUPT, x->failure ? x->failure : "the server's answer can't be read" });
    }
}

static void on_end(void *owner)
{
    struct exchange *x = owner;
    x->parsing         = true;
    llhttp_errno_t e   = llhttp_finish(&x->parser); /* a body without a length ends here */
    x->parsing         = false;
    if (x->over)
        exchange_free(x);
    else if (x->complete)
        exchange_finish(x, OK);
    else
        exchange_finish(
            x, ERR(IO, e == HPE_OK ? "the server closed without an answer" : "the server's answer was cut"));
}

/* ---- getting there --------------------------------------------------------------------------------- */

static void on_ready(void *owner)
{
    struct exchange *x = owner;
    conn_write(x->conn, bytes_str(&x->request));
    bytes_free(&x->request);
    if (x->found) uv_freeaddrinfo(x->found); /* there will be no second address */
    x->found = x->next = NULL;
}

static void exchange_dial(struct exchange *x)
{
    struct addrinfo *to  = x->next;
    SSL             *ssl = NULL;
    struct err       e   = x->plain ? OK : tls_client(x->name, x->pinned ? &x->pin : NULL, &ssl);
    if (e.code) {
        exchange_finish(x, e);
        return;
    }
    x->next = to->ai_next;
    x->conn = conn_create(x->net, ssl, &exchange_conn_calls, x);
    conn_connect(x->conn, to->ai_addr);
}

static void on_close(void *owner, const char *why)
{
    struct exchange *x = owner;
    x->conn            = NULL;
    if (x->next && !x->net->stopping)
        exchange_dial(x);
    else
        exchange_finish(x, (struct err){ ERR_IO, why });
}

static const struct conn_calls exchange_conn_calls = {
    .on_ready = on_ready,
    .on_bytes = on_bytes,
    .on_end   = on_end,
    .on_close = on_close,
};

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct exchange *x = request->data;
    x->looking         = false;
    x->found = x->next = found;
    if (x->over)
        exchange_free(x);
    else if (x->failure)
        return; /* given up already, and about to be told */
    else if (status || !found)
        exchange_finish(x, ERR(IO, "the server's name is not known"));
    else
        exchange_dial(x);
}

/* ---- the request ----------------------------------------------------------------------------------- */

static void add_line(struct bytes *b, struct str name, struct str value)
{
    bytes_add(b, name);
    bytes_add(b, STR(": "));
    bytes_add(b, value);
    bytes_add(b, STR("\r\n"));
}

static void add_number_line(struct bytes *b, struct str name, size_t number)
{
    char        room[24];
    struct text t = TEXT_IN(room);
    text_add_u64(&t, number);
    add_line(b, name, text_str(&t));
}

static void add_host(struct bytes *b, const struct exchange *x)
{
    char        room[HOST_BYTES_MAX + 16];
    struct text t    = TEXT_IN(room);
    bool        ipv6 = strchr(x->name, ':') != NULL;
    if (ipv6) text_add_char(&t, '[');
    text_add(&t, str_from(x->name));
    if (ipv6) text_add_char(&t, ']');
    if (x->port != (x->plain ? 80 : 443)) {
        text_add_char(&t, ':');
        text_add_u64(&t, x->port);
    }
    add_line(b, STR("host"), text_str(&t));
}

static struct err exchange_write(struct exchange *x, const struct exchange_request *r)
{
    struct bytes *b = &x->request;
    if (!http_is_value(r->method) || !http_is_value(r->path) || memchr(r->path.ptr, ' ', r->path.len) ||
        !str_starts(r->path, STR("/")))
        return ERR(INVALID, "the path of a request can't be sent");
    for (size_t i = 0; i < r->count; i++)
        if (!http_is_value(r->headers[i].name) || !http_is_value(r->headers[i].value))
            return ERR(INVALID, "a header of a request can't be sent");

    bytes_add(b, r->method);
    bytes_add(b, STR(" "));
    bytes_add(b, r->path);
    bytes_add(b, STR(" HTTP/1.1\r\n"));
    add_host(b, x);
    for (size_t i = 0; i < r->count; i++) add_line(b, r->headers[i].name, r->headers[i].value);
    add_line(b, STR("connection"), r->upgrade.len ? STR("Upgrade") : STR("close"));
    if (r->upgrade.len) add_line(b, STR("upgrade"), r->upgrade);
    bool bodiless = str_eq(r->method, STR("GET")) || str_eq(r->method, STR("HEAD"));
    if (r->body.len || !bodiless) add_number_line(b, STR("content-length"), r->body.len);
    bytes_add(b, STR("\r\n"));
    bytes_add(b, r->body);
    return OK;
}

static struct err exchange_look_up(struct exchange *x)
{
    char            port[8];
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG };
    (void)snprintf(port, sizeof port, "%u", x->port);
    unsigned char address[16];
    if (uv_inet_pton(AF_INET, x->host, address) == 0 || uv_inet_pton(AF_INET6, x->host, address) == 0)
        hints.ai_flags = AI_NUMERICSERV | AI_NUMERICHOST; /* also where there is no interface but lo */
    x->lookup.data = x;
    if (uv_getaddrinfo(&x->net->loop, &x->lookup, on_found, x->host, port, &hints))
        return ERR(INVALID, "the server's name is not a host name");
    x->looking = true;
    return OK;
}

static struct err exchange_set(struct exchange *x, const struct net_target *t, const struct exchange_request *r)
{
    TRY(str_copy(str_from(t->host), x->host, sizeof x->host));
    TRY(str_copy(str_from(t->server_name ? t->server_name : t->host), x->name, sizeof x->name));
    TRY(str_copy(r->upgrade, x->protocol, sizeof x->protocol));
    if (!http_is_value(str_from(x->name)) || !x->name[0])
        return ERR(INVALID, "the server's name is not a host name");
    x->port       = t->port;
    x->plain      = t->plain;
    x->timeout_ms = t->timeout_ms ? t->timeout_ms : EXCHANGE_TIMEOUT_MS;
    x->is_head    = str_eq(r->method, STR("HEAD"));
    x->pinned     = t->pin != NULL;
    if (t->pin) x->pin = *t->pin;
    TRY(exchange_write(x, r));
    return exchange_look_up(x);
}

struct err exchange_open(struct net *n, const struct net_target *t, const struct exchange_request *r,
                         const struct exchange_calls *calls, void *owner, struct exchange **out)
{
    if (n->stopping) return ERR(IO, "the loop is stopping");
    struct exchange *x = loop_alloc(sizeof *x);
    x->net             = n;
    x->calls           = calls;
    x->owner           = owner;
    ring_init(&x->ring);
    deadline_init(&x->deadline, on_deadline);
    llhttp_init(&x->parser, HTTP_RESPONSE, &settings);
    x->parser.data = x;
    loop_hold(n);
    struct err e = exchange_set(x, t, r);
    if (e.code) {
        exchange_free(x);
        return e;
    }
    ring_push(&n->exchanges, &x->ring);
    deadline_set(n, &x->deadline, x->timeout_ms);
    *out = x;
    return OK;
}
