/* h1.c: a server's HTTP/1.1 connection. One request is in flight at a time; what the client sends ahead waits in
 * `held`. Whatever two readers could understand in two ways is refused, not mended. */
#include "server_int.h"

#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define H1_AHEAD_MAX 16384 /* pipelined bytes beyond this stop the reading */
#define H1_EXTENSIONS_MAX 1024
#define H1_UNSENT_BYTES_MAX (256 * 1024)            /* of answers: beyond, no further request is heard */
#define H1_FIRST_BYTES_MAX (2 * NET_HEAD_BYTES_MAX) /* a first head with its blanks and line ends */

struct h1 {
    struct conn        *conn;
    struct net_server  *server;
    struct net_request *request;
    llhttp_t            parser;
    struct bytes        held;
    struct bytes        first; /* the first head as it came, while it may still be taken over */
    struct str          chunk; /* what the parser is given now */
    size_t              extensions;
    unsigned            refusal; /* the status with which the request will be refused */
    bool                asking_first;
    bool                after_line; /* the last byte before the chunk that was no blank was a line's end */
    bool                in_headers;
    bool                trailing; /* fields after the body: read and dropped */
    bool                complete;
    bool                keep; /* another request may follow the answer */
    bool                running;
    bool                taken;
    bool                left; /* somebody else owns the connection; freed as soon as nothing runs */
};

static const struct request_wire h1_wire;

static struct h1 *h1_of(llhttp_t *parser)
{
    return parser->data;
}

static int h1_refuse(struct h1 *h, unsigned status)
{
    if (!h->refusal) h->refusal = status;
    return HPE_USER;
}

/* ---- what the parser tells ------------------------------------------------------------------------- */

static int on_message_begin(llhttp_t *parser)
{
    struct h1 *h  = h1_of(parser);
    h->request    = request_create(h->server, h->conn, &h1_wire, h);
    h->trailing   = false;
    h->extensions = 0;
    h->in_headers = true;
    conn_deadline(h->conn, HTTP_HEAD_MS);
    return 0;
}

static int add_to(struct h1 *h, struct piece *p, const char *at, size_t len)
{
    return head_append(&h->request->head, p, (struct str){ at, len }) ? 0 : h1_refuse(h, 431);
}

static int on_method(llhttp_t *parser, const char *at, size_t len)
{
    struct h1 *h = h1_of(parser);
    return add_to(h, &h->request->method, at, len);
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    struct h1 *h = h1_of(parser);
    return add_to(h, &h->request->target, at, len);
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct h1   *h       = h1_of(parser);
    struct head *head    = &h->request->head;
    struct piece ignored = { 0 };
    if (h->trailing) return add_to(h, &ignored, at, len);
    if (head->count == 0 || head->fields[head->count - 1].value.at != 0) {
        if (!head_begin_field(head)) return h1_refuse(h, 431);
        head->fields[head->count - 1].name  = (struct piece){ 0 };
        head->fields[head->count - 1].value = (struct piece){ 0 };
    }
    struct piece *name = &head->fields[head->count - 1].name;
    int           rc   = add_to(h, name, at, len);
    if (rc == 0) str_lower(head->text.ptr + name->at, name->len);
    return rc;
}

/* A value that goes on in the next line ("obs-fold") is read differently by different programs: refused, as
 * RFC 9112, section 5.2 allows. llhttp joins it silently, so the bytes before the value tell. */
static bool is_folded(const struct h1 *h, const char *at)
{
    while (at > h->chunk.ptr && (at[-1] == ' ' || at[-1] == '\t')) at--;
    return at > h->chunk.ptr ? at[-1] == '\n' : h->after_line;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct h1   *h       = h1_of(parser);
    struct head *head    = &h->request->head;
    struct piece ignored = { 0 };
    if (len && is_folded(h, at)) return h1_refuse(h, 400);
    if (h->trailing) return add_to(h, &ignored, at, len);
    return add_to(h, &head->fields[head->count - 1].value, at, len);
}

/* An empty value needs a place too: that a value has one says that its field is over. */
static int on_header_value_complete(llhttp_t *parser)
{
    struct h1   *h    = h1_of(parser);
    struct head *head = &h->request->head;
    if (h->trailing) return 0;
    struct piece *value = &head->fields[head->count - 1].value;
    if (value->len == 0) value->at = (uint32_t)head->text.len;
    return 0;
}

/* The form "METHOD /path HTTP/1.1" with exactly one Host is all that is spoken here: no proxying. */
static unsigned h1_fault(struct h1 *h, llhttp_t *parser)
{
    struct net_request *r      = h->request;
    struct str          target = head_piece(&r->head, r->target);
    bool                newest = parser->http_major == 1 && parser->http_minor == 1;
    if (parser->http_major != 1) return 400;
    if (parser->method == HTTP_CONNECT) return 501;
    if (!str_starts(target, STR("/")) && !str_eq(target, STR("*"))) return 400;
    size_t hosts = head_count(&r->head, STR("host"));
    if (hosts > 1 || (newest && hosts == 0)) return 400;
    if (hosts && !request_take_host(r, head_find(&r->head, STR("host")))) return 400;
    size_t codings = head_count(&r->head, STR("transfer-encoding"));
    if (codings && (!newest || codings > 1 || !(parser->flags & F_CHUNKED))) return 400;
    if (codings && !http_same(head_find(&r->head, STR("transfer-encoding")), STR("chunked"))) return 400;
    if ((parser->flags & F_CONTENT_LENGTH) && parser->content_length > h->server->body_max) return 413;
    if (parser->upgrade && ((parser->flags & F_CHUNKED) || parser->content_length)) return 400;
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct h1          *h = h1_of(parser);
    struct net_request *r = h->request;
    h->in_headers         = false;
    h->trailing           = true;
    unsigned fault        = h1_fault(h, parser);
    if (fault) return h1_refuse(h, fault);

    if (h->asking_first) {
        r->state  = REQUEST_ASKED;
        bool took = h->server->options.on_first_head(h->server->options.ctx, r);
        check(took == h->taken);
        if (took) return HPE_USER;
        r->state        = REQUEST_READING;
        h->asking_first = false;
        bytes_free(&h->first);
    }
    if (http_same(head_find(&r->head, STR("expect")), STR("100-continue")))
        conn_write(h->conn, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    r->body_since_ms = uv_now(&h->conn->net->loop);
    conn_deadline(h->conn, HTTP_BODY_GRACE_MS);
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct h1          *h = h1_of(parser);
    struct net_request *r = h->request;
    if (len > h->server->body_max - r->body_got) return h1_refuse(h, 413);
    bytes_add(&r->body, (struct str){ at, len });
    r->body_got += len;
    return 0;
}

/* What a chunk's extension says, nobody here reads; endless ones are an attack. */
static int on_extension(llhttp_t *parser, const char *at, size_t len)
{
    struct h1 *h = h1_of(parser);
    (void)at;
    h->extensions += len;
    return h->extensions > H1_EXTENSIONS_MAX ? h1_refuse(h, 400) : 0;
}

static int on_message_complete(llhttp_t *parser)
{
    struct h1 *h = h1_of(parser);
    h->complete  = true;
    h->keep      = llhttp_should_keep_alive(parser) && !parser->upgrade;
    return HPE_PAUSED;
}

static const llhttp_settings_t h1_settings = {
    .on_message_begin         = on_message_begin,
    .on_method                = on_method,
    .on_url                   = on_url,
    .on_header_field          = on_header_field,
    .on_header_value          = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete      = on_headers_complete,
    .on_body                  = on_body,
    .on_chunk_extension_name  = on_extension,
    .on_chunk_extension_value = on_extension,
    .on_message_complete      = on_message_complete,
};

/* ---- answers --------------------------------------------------------------------------------------- */

/* An answer is gathered first: what is written in one piece takes one TLS record. */
static void add_number(struct bytes *b, const char *format, unsigned long number)
{
    char line[64];
    int  len = snprintf(line, sizeof line, format, number);
    check(len > 0 && (size_t)len < sizeof line);
    bytes_add(b, (struct str){ line, (size_t)len });
}

static void add_head(struct bytes *b, unsigned status, const struct net_header *headers, size_t count)
{
    add_number(b, "HTTP/1.1 %lu ", status);
    bytes_add(b, str_from(http_reason(status)));
    bytes_add(b, STR("\r\n"));
    for (size_t i = 0; i < count; i++) {
        /* A value that could end its line would say more than its author meant. */
        if (!http_is_value(headers[i].name) || !http_is_value(headers[i].value)) continue;
        bytes_add(b, headers[i].name);
        bytes_add(b, STR(": "));
        bytes_add(b, headers[i].value);
        bytes_add(b, STR("\r\n"));
    }
}

static void write_gathered(struct conn *c, struct bytes *b)
{
    conn_write(c, bytes_str(b));
    bytes_free(b);
}

/* The answer is out: the next request may be read, or the connection ends. */
static void h1_next(struct h1 *h)
{
    h->request  = NULL;
    h->complete = false;
    if (!h->keep) {
        conn_finish(h->conn, "answered");
        return;
    }
    conn_deadline(h->conn, HTTP_KEEP_ALIVE_MS);
    conn_pause(h->conn, false);
    if (h->held.len) conn_touch(h->conn);
}

/* Who answers may end the connection with it. */
static bool says_close(const struct net_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(headers[i].name, STR("connection")) && str_eq(headers[i].value, STR("close"))) return true;
    return false;
}

static void h1_reply(struct net_request *r, unsigned status, const struct net_header *headers, size_t count,
                     struct str body)
{
    struct h1   *h             = r->from;
    struct bytes b             = { 0 };
    bool         is_head       = str_eq(net_request_method(r), STR("HEAD"));
    bool         may_have_body = status != 204 && status != 304;
    bool         closes        = says_close(headers, count);
    add_head(&b, status, headers, count);
    if (!h->keep && !closes) bytes_add(&b, STR("connection: close\r\n"));
    if (closes) h->keep = false;
    if (may_have_body) add_number(&b, "content-length: %lu\r\n", body.len);
    bytes_add(&b, STR("\r\n"));
    if (may_have_body && !is_head) bytes_add(&b, body);
    write_gathered(h->conn, &b);
    h1_next(h);
}

/* HTTP/1.0 knows no chunks: the end of the connection is the end of the body. */
static bool h1_knows_chunks(const struct h1 *h)
{
    return h->parser.http_minor >= 1;
}

static void h1_stream_open(struct net_request *r, unsigned status, const struct net_header *headers,
                           size_t count)
{
    struct h1   *h = r->from;
    struct bytes b = { 0 };
    if (!h1_knows_chunks(h)) h->keep = false;
    add_head(&b, status, headers, count);
    bytes_add(&b, h1_knows_chunks(h) ? STR("transfer-encoding: chunked\r\n\r\n")
                                     : STR("connection: close\r\n\r\n"));
    write_gathered(h->conn, &b);
}

static bool h1_stream_send(struct net_request *r, struct str bytes)
{
    struct h1   *h       = r->from;
    struct bytes b       = { 0 };
    size_t       waiting = conn_waiting(h->conn);
    if (waiting && waiting + bytes.len > CONN_BEHIND_MAX) return false;
    if (bytes.len == 0 || str_eq(net_request_method(r), STR("HEAD"))) return true;
    if (h1_knows_chunks(h)) add_number(&b, "%lx\r\n", bytes.len);
    bytes_add(&b, bytes);
    if (h1_knows_chunks(h)) bytes_add(&b, STR("\r\n"));
    write_gathered(h->conn, &b);
    return true;
}

static void h1_stream_end(struct net_request *r)
{
    struct h1 *h = r->from;
    if (h1_knows_chunks(h) && !str_eq(net_request_method(r), STR("HEAD")))
        conn_write(h->conn, STR("0\r\n\r\n"));
    h1_next(h);
}

static const struct request_wire h1_wire = { h1_reply, h1_stream_open, h1_stream_send, h1_stream_end };

static void h1_answer_refusal(struct h1 *h, unsigned status)
{
    if (!h->request) h->request = request_create(h->server, h->conn, &h1_wire, h);
    h->keep = false;
    request_refuse(h->request, status);
    check(!h->request); /* who words refusals must not keep them */
}

/* ---- running --------------------------------------------------------------------------------------- */

static void h1_dispatch(struct h1 *h)
{
    struct net_request              *r = h->request;
    const struct net_server_options *o = &h->server->options;
    check(r);
    r->state = REQUEST_ASKED;
    conn_deadline(h->conn, 0);
    if (!h->parser.upgrade)
        o->on_request(o->ctx, r);
    else if (o->on_upgrade)
        o->on_upgrade(o->ctx, r);
    else
        h1_answer_refusal(h, 501);
}

/* A word where a method belongs, but none that is known: that is not malformed. */
static bool is_strange_method(struct h1 *h, llhttp_errno_t e)
{
    const char *at = llhttp_get_error_pos(&h->parser);
    return e == HPE_INVALID_METHOD && at && *at >= 'A' && *at <= 'Z';
}

/* How many bytes the parser has taken: up to the end of a request at most. */
static size_t h1_parse(struct h1 *h, struct str bytes)
{
    if (h->asking_first) bytes_add(&h->first, bytes);
    h->chunk            = bytes;
    llhttp_errno_t e    = llhttp_execute(&h->parser, bytes.ptr, bytes.len);
    size_t         used = bytes.len;
    if (e == HPE_PAUSED && h->complete) {
        used = (size_t)(llhttp_get_error_pos(&h->parser) - bytes.ptr);
        if (!h->parser.upgrade) llhttp_resume(&h->parser);
    } else if (!h->taken) {
        if (e == HPE_OK && h->first.len > H1_FIRST_BYTES_MAX) (void)h1_refuse(h, 431);
        unsigned wrong = is_strange_method(h, e) ? 405 : 400;
        if (e != HPE_OK || h->refusal) h1_answer_refusal(h, h->refusal ? h->refusal : wrong);
    }
    struct str seen = { bytes.ptr, used };
    while (seen.len && (seen.ptr[seen.len - 1] == ' ' || seen.ptr[seen.len - 1] == '\t')) seen.len--;
    if (seen.len) h->after_line = seen.ptr[seen.len - 1] == '\n';
    h->chunk = STR("");
    return used;
}

static void h1_free(struct h1 *h)
{
    bytes_free(&h->held);
    bytes_free(&h->first);
    free(h);
}

/* A request waits for its answer, or answers wait for a client who asks more than he reads. */
static bool h1_is_busy(const struct h1 *h)
{
    return h->complete || conn_waiting(h->conn) > H1_UNSENT_BYTES_MAX;
}

static void h1_run(struct h1 *h)
{
    h->running = true;
    while (h->held.len && !h->left && !h1_is_busy(h) && !h->conn->finishing && !h->conn->closing) {
        struct bytes now = h->held;
        h->held          = (struct bytes){ 0 };
        size_t used      = h1_parse(h, bytes_str(&now));
        bytes_drop(&now, used);
        h->held = now;
        if (h->complete) h1_dispatch(h);
    }
    h->running = false;
    if (h->left) h1_free(h);
}

static void h1_on_bytes(void *owner, struct str bytes)
{
    struct h1 *h = owner;
    bytes_add(&h->held, bytes);
    if (!h1_is_busy(h))
        h1_run(h);
    else if (h->held.len > H1_AHEAD_MAX)
        conn_pause(h->conn, true);
}

static void h1_on_drain(void *owner)
{
    struct h1 *h = owner;
    if (h->complete || h->held.len == 0) return;
    conn_pause(h->conn, false);
    h1_run(h);
}

static void h1_on_turn(void *owner)
{
    h1_run(owner);
}

static void h1_on_deadline(void *owner)
{
    struct h1 *h = owner;
    if (!h->request) {
        conn_finish(h->conn, "idle");
    } else if (h->in_headers || request_body_is_slow(h->request, uv_now(&h->conn->net->loop))) {
        h1_answer_refusal(h, 408);
    } else {
        conn_deadline(h->conn, HTTP_BODY_GRACE_MS);
    }
}

static void h1_on_end(void *owner)
{
    struct h1 *h = owner;
    conn_finish(h->conn, "the client left");
}

static void h1_on_close(void *owner, const char *why)
{
    struct h1 *h = owner;
    (void)why;
    if (h->request) request_gone(h->request);
    h1_free(h);
}

static const struct conn_calls h1_calls = {
    .on_bytes    = h1_on_bytes,
    .on_end      = h1_on_end,
    .on_drain    = h1_on_drain,
    .on_turn     = h1_on_turn,
    .on_deadline = h1_on_deadline,
    .on_close    = h1_on_close,
};

void h1_open(struct net_server *s, struct conn *c)
{
    struct h1 *h    = loop_alloc(sizeof *h);
    h->conn         = c;
    h->server       = s;
    h->asking_first = s->options.on_first_head != NULL;
    llhttp_init(&h->parser, HTTP_REQUEST, &h1_settings);
    h->parser.data = h;
    conn_own(c, &h1_calls, h);
    conn_deadline(c, HTTP_HEAD_MS);
}

struct conn *h1_leave(struct net_request *r, struct bytes *rest)
{
    struct h1   *h = r->from;
    struct conn *c = h->conn;
    check(h->parser.upgrade);
    *rest      = h->held;
    h->held    = (struct bytes){ 0 };
    h->request = NULL;
    h->left    = true;
    request_destroy(r);
    if (!h->running) h1_free(h);
    return c;
}

struct conn *h1_take_first(struct net_request *r, struct bytes *all)
{
    struct h1 *h = r->from;
    check(h->asking_first && h->running);
    *all       = h->first;
    h->first   = (struct bytes){ 0 };
    h->request = NULL;
    h->taken   = true;
    h->left    = true;
    request_destroy(r);
    return h->conn;
}
