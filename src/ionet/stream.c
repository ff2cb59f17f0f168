#include "api_int.h"

#include "sys/sys.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_TICK_MS 100
#define STREAM_SILENT_MS 40000 /* the network sends a comment every 15 s */
#define STREAM_AGAIN_MS 500

/* One event stream, over as many connections as it takes. */
struct stream {
    struct cli                    *cli;
    struct net                    *net;
    const char                    *path;
    const struct api_stream_calls *calls;
    void                          *ctx;
    struct net_call               *call; /* null between two connections */
    struct api_request             request;
    unsigned                       status;
    char                          *line; /* what came, up to the end of an event */
    size_t                         len, room;
    uint64_t                       heard_ms;
    uint64_t                       again_ms; /* when it is tried anew; 0 since an event came */
    bool                           was_open; /* an event has come at some time */
    bool                           over;
    struct err                     e;
};

static void on_finish(void *ctx)
{
    struct stream *s = ctx;
    net_stop(s->net);
}

/* The loop is stopped in a turn of its own, not from within the call's own callback. */
static void stream_finish(struct stream *s, struct err e)
{
    struct net_timer *soon;
    if (s->over) return;
    s->over = true;
    s->e    = e;
    if (net_timer_start(s->net, 0, 0, on_finish, s, &soon).code) net_stop(s->net);
}

/* The data lines of the event, joined; comments and event names say nothing that the data does not. */
static size_t event_data(struct str event, char *out)
{
    size_t     len = 0;
    struct str line, rest;
    for (bool more = true; more; event = rest) {
        more = str_split(event, '\n', &line, &rest);
        if (!str_starts(line, STR("data:"))) continue;
        struct str data = str_skip(line, 5);
        if (str_starts(data, STR(" "))) data = str_skip(data, 1);
        if (str_ends(data, STR("\r"))) data.len--;
        if (len) out[len++] = '\n';
        memcpy(out + len, data.ptr, data.len);
        len += data.len;
    }
    return len;
}

static void event_take(struct stream *s, struct str event)
{
    scoped_mem char            *data = malloc(event.len + 1);
    scoped_json struct json_doc doc  = { 0 };
    struct json_fault           fault;
    check(data != NULL);
    struct str text = { data, event_data(event, data) };
    if (!text.len) return;
    if (json_parse(text, &doc, &fault).code) {
        stream_finish(s, ERR(CORRUPT, "the network's event is no JSON"));
        return;
    }
    bool       enough = false;
    struct err e      = s->calls->on_event(s->ctx, doc.root, text, &enough);
    s->was_open       = true;
    s->again_ms       = 0;
    if (e.code || enough) stream_finish(s, e);
}

static void on_head(void *ctx, unsigned status, struct str content_type)
{
    struct stream *s = ctx;
    (void)content_type;
    s->status = status;
}

/* Where an empty line ends the first event in what came; 0 if none does yet. */
static size_t event_end(const struct stream *s)
{
    for (size_t i = 1; i < s->len; i++) {
        if (s->line[i] != '\n') continue;
        if (s->line[i - 1] == '\n' || (i > 1 && s->line[i - 1] == '\r' && s->line[i - 2] == '\n')) return i + 1;
    }
    return 0;
}

static void on_body(void *ctx, struct str bytes)
{
    struct stream *s = ctx;
    s->heard_ms      = net_now_ms(s->net);
    if (s->over) return;
    if (s->len + bytes.len > JSON_BYTES_MAX) {
        stream_finish(s, ERR(LIMIT, "the network's event is too long"));
        return;
    }
    if (s->len + bytes.len > s->room) {
        s->room = s->len + bytes.len + 4096;
        s->line = realloc(s->line, s->room);
        check(s->line != NULL);
    }
    memcpy(s->line + s->len, bytes.ptr, bytes.len);
    s->len += bytes.len;
    if (s->status != 200) return; /* a problem: read whole */

    for (size_t end; !s->over && (end = event_end(s));) {
        event_take(s, (struct str){ s->line, end });
        memmove(s->line, s->line + end, s->len - end);
        s->len -= end;
    }
}

/* A stream that once ran is opened again: the network may just be restarting. One that never did is an error. */
static void stream_broke(struct stream *s, struct err e)
{
    if (s->over) return;
    if (!s->was_open) {
        stream_finish(s, api_unreachable(s->cli, e));
        return;
    }
    if (!s->again_ms && s->calls->on_lost) s->calls->on_lost(s->ctx, e.why);
    s->again_ms = net_now_ms(s->net) + STREAM_AGAIN_MS;
}

static void on_done(void *ctx, struct err e)
{
    struct stream *s = ctx;
    s->call          = NULL;
    if (!e.code && s->status >= 400 && (s->status != 503 || !s->was_open)) {
        stream_finish(s, api_problem(s->cli, s->status, (struct str){ s->line, s->len }));
        return;
    }
    stream_broke(s, e.code ? e : ERR(IO, "the network ended the stream"));
}

static const struct net_call_calls stream_calls = { .on_head = on_head,
                                                    .on_body = on_body,
                                                    .on_done = on_done };

static void stream_connect(struct stream *s)
{
    s->len = s->status = 0;
    s->heard_ms        = net_now_ms(s->net);
    struct err e       = net_call(s->net, &s->request.target, STR("GET"), str_from(s->path), s->request.headers,
                                  s->request.header_count, STR(""), &stream_calls, s, &s->call);
    if (e.code) stream_broke(s, e);
}

static void on_tick(void *ctx)
{
    struct stream *s   = ctx;
    uint64_t       now = net_now_ms(s->net);
    if (s->over) return;
    if (s->calls->on_tick) s->calls->on_tick(s->ctx);
    if (s->call && now - s->heard_ms > STREAM_SILENT_MS) {
        net_call_cancel(s->call);
        s->call = NULL;
        stream_broke(s, ERR(TIMEOUT, "the network has been silent"));
    }
    if (!s->call && now >= s->again_ms) stream_connect(s);
}

static void on_interrupt(void *ctx)
{
    stream_finish(ctx, OK);
}

struct err api_stream(struct cli *c, const char *path, const struct api_stream_calls *calls, void *ctx)
{
    struct stream     s = { .cli = c, .path = path, .calls = calls, .ctx = ctx };
    struct net_timer *tick;
    TRY(api_request_init(c, false, &s.request));
    TRY(net_open(&s.net));

    struct err e = net_on_signal(s.net, SIGINT, on_interrupt, &s);
    if (!e.code) e = net_timer_start(s.net, STREAM_TICK_MS, STREAM_TICK_MS, on_tick, &s, &tick);
    if (!e.code) {
        stream_connect(&s);
        net_run(s.net);
        e = s.e;
    }
    net_close(s.net);
    free(s.line);
    return e;
}
