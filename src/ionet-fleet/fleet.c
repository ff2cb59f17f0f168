#include "fleet_int.h"

#include "crypto/crypto.h"
#include "link/link.h"
#include "sys/sys.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_BODY "{\"for\":\"device\",\"ask_micros_per_hour\":100000}"
#define BEAT_MS 10

struct machine {
    struct fleet      *fleet;
    struct net_socket *socket;
    struct sign_key    key;
    struct link_hello  hello;
    bool               open, told, troubled;
    char               reply[1024]; /* to its wish for a join token */
    struct text        reply_text;
};

struct fleet {
    const struct fleet_options *o;
    struct net                 *net;
    struct machine             *machines;
    struct net_timer           *timer;
    uint64_t                    round; /* 0 enrols */
    uint32_t                    next, opening, open;
    uint64_t                    began_ms, reports;
    uint32_t                    reporter;
    bool                        leaving;
    struct err                  failed;
    char                        why[192];
};

static void fail(struct fleet *f, struct err e, const char *why)
{
    if (f->failed.code) return;
    f->failed = e;
    snprintf(f->why, sizeof f->why, "%s", why);
    net_stop(f->net);
}

static struct net_target target_of(const struct fleet *f)
{
    return (
        struct net_target){ .host = f->o->host, .port = f->o->port, .pin = &f->o->pin, .timeout_ms = 30000 };
}

/* ---- one link --------------------------------------------------------------------------------------------------- */

static void say(struct machine *m, enum link_kind kind, const void *message)
{
    static char room[LINK_FRAME_BYTES_MAX];
    struct text t = TEXT_IN(room);
    link_write(kind, message, &t);
    check(!t.full);
    struct err e = net_socket_send(m->socket, text_str(&t));
    if (e.code) fail(m->fleet, e, "a link reads too slowly");
}

static void on_open(void *ctx, struct net_socket *s)
{
    struct machine *m = ctx;
    m->socket         = s;
    say(m, LINK_HELLO, &m->hello);
    explicit_bzero(m->hello.token, sizeof m->hello.token);
}

static void pump(struct fleet *f);
static void on_all_open(struct fleet *f);
static void begin_round(struct fleet *f);

static void on_text(void *ctx, struct net_socket *s, struct str text)
{
    static union link_message u;
    struct machine           *m = ctx;
    struct fleet             *f = m->fleet;
    enum link_kind            kind;
    (void)s;
    struct err e = link_read(text, &kind, &u);
    if (e.code) return fail(f, e, "a frame that can't be read");
    if (kind == LINK_CHALLENGE) {
        struct signature  by = link_prove(&m->key, u.challenge.nonce);
        struct link_proof p;
        memcpy(p.signature, by.bytes, sizeof p.signature);
        say(m, LINK_PROOF, &p);
    }
    if (kind != LINK_WELCOME) return;
    m->open = true;
    f->opening--;
    f->open++;
    pump(f);
    if (f->open == f->o->links) on_all_open(f);
}

static void on_close(void *ctx, const char *why)
{
    struct machine *m = ctx;
    struct fleet   *f = m->fleet;
    m->socket         = NULL;
    m->open           = false;
    if (!f->leaving) return fail(f, ERR(IO, "a link was closed"), why);
    if (--f->open) return;
    f->leaving = false;
    if (f->round == f->o->rounds) return net_stop(f->net);
    f->round++;
    begin_round(f);
}

static void dial(struct machine *m)
{
    static const struct net_socket_calls calls = { on_open, on_text, on_close, 0, 0 };
    struct net_target                    t     = target_of(m->fleet);
    struct net_socket                   *s;
    struct err e = net_socket_connect(m->fleet->net, &t, STR(LINK_PATH), &calls, m, &s);
    if (e.code) fail(m->fleet, e, "a link can't be opened");
}

/* ---- its join token ----------------------------------------------------------------------------------------------- */

static void on_token_body(void *ctx, struct str bytes)
{
    struct machine *m = ctx;
    text_add(&m->reply_text, bytes);
}

static struct err read_token(struct machine *m)
{
    scoped_json struct json_doc doc = { 0 };
    struct json_fault           fault;
    struct join_token           token;
    TRY(json_parse(text_str(&m->reply_text), &doc, &fault));
    TRY(join_token_read(json_as_str(json_member(doc.root, "token")), &token));
    return str_copy(str_from(token.secret), m->hello.token, sizeof m->hello.token);
}

static void on_token(void *ctx, struct err e)
{
    struct machine *m = ctx;
    if (!e.code) e = read_token(m);
    if (e.code) return fail(m->fleet, e, text_z(&m->reply_text));
    dial(m);
}

static void ask_for_token(struct machine *m)
{
    static const struct net_call_calls calls = { NULL, on_token_body, on_token };
    char                               room[160];
    struct text                        bearer = TEXT_IN(room);
    struct net_target                  t      = target_of(m->fleet);
    struct net_call                   *call;
    m->reply_text = TEXT_IN(m->reply);
    text_add(&bearer, STR("Bearer "));
    text_add(&bearer, str_from(m->fleet->o->api_key));
    struct net_header headers[] = { { STR("authorization"), text_str(&bearer) },
                                    { STR("content-type"), STR("application/json") } };
    struct err e = net_call(m->fleet->net, &t, STR("POST"), STR("/v1/join-tokens"), headers, countof(headers),
                            STR(TOKEN_BODY), &calls, m, &call);
    if (e.code) fail(m->fleet, e, "a join token can't be asked for");
}

/* ---- all of them ---------------------------------------------------------------------------------------------------- */

static void pump(struct fleet *f)
{
    while (f->opening < f->o->at_once && f->next < f->o->links && !f->failed.code) {
        struct machine *m = &f->machines[f->next++];
        f->opening++;
        if (f->round == 0)
            ask_for_token(m);
        else
            dial(m);
    }
}

static void begin_round(struct fleet *f)
{
    f->next     = 0;
    f->began_ms = sys_boot_now_ms();
    pump(f);
}

static void leave(void *ctx)
{
    struct fleet *f = ctx;
    f->leaving      = true;
    for (uint32_t i = 0; i < f->o->links; i++) net_socket_close(f->machines[i].socket, 1000, STR("bye"));
}

static void report(struct machine *m)
{
    struct observed o = { .specs_count = m->told ? 0 : 1, .has_specs = !m->told };
    o.specs[0]        = (struct device_specs){ .cpus = 8, .memory_bytes = (uint64_t)1 << 35 };
    if ((m->troubled = !m->troubled)) memcpy(o.trouble, "busy", 5);
    m->told = true;
    say(m, LINK_OBSERVED, &o);
    m->fleet->reports++;
}

/* As many as are due by now, one after the other. */
static void on_beat(void *ctx)
{
    struct fleet *f      = ctx;
    uint64_t      for_ms = sys_boot_now_ms() - f->began_ms, due = for_ms * f->o->links / f->o->report_ms;
    while (f->reports < due && !f->failed.code) {
        report(&f->machines[f->reporter]);
        f->reporter = (f->reporter + 1) % (uint32_t)f->o->links;
    }
    if (for_ms < f->o->report_seconds * 1000) return;
    net_timer_stop(f->timer);
    printf("reports_per_s=%llu\n", (unsigned long long)(f->reports * 1000 / for_ms));
    leave(f);
}

static void on_all_open(struct fleet *f)
{
    uint64_t ms = sys_boot_now_ms() - f->began_ms + 1;
    printf("%s=%llu\n", f->round ? "links_per_s" : "enrolled_per_s",
           (unsigned long long)(f->o->links * 1000 / ms));
    fflush(stdout);
    if (f->round < f->o->rounds) return leave(f);
    printf("open=%llu\n", (unsigned long long)f->o->links);
    fflush(stdout);
    struct err e;
    f->began_ms = sys_boot_now_ms();
    if (f->o->report_seconds)
        e = net_timer_start(f->net, BEAT_MS, BEAT_MS, on_beat, f, &f->timer);
    else
        e = net_timer_start(f->net, f->o->hold_seconds * 1000 + 1, 0, leave, f, &f->timer);
    if (e.code) fail(f, e, "a timer can't be started");
}

static void make_machine(struct fleet *f, struct machine *m, uint32_t number)
{
    char              room[128];
    struct text       name = TEXT_IN(room);
    struct public_key half;
    text_add(&name, str_from(f->o->seed));
    text_add_char(&name, '-');
    text_add_u64(&name, number);
    struct hash h     = hash_sha256(text_str(&name));
    m->fleet          = f;
    m->hello.who      = LINK_DEVICE;
    m->hello.protocol = LINK_PROTOCOL;
    sign_key_from_seed(h.bytes, &m->key, &half);
    memcpy(m->hello.public_key, half.bytes, sizeof m->hello.public_key);
    memcpy(m->hello.program, "ionet-fleet", sizeof "ionet-fleet");
    check(str_copy(text_str(&name), m->hello.name, sizeof m->hello.name).code == ERR_NONE);
    snprintf(m->hello.boot_id, sizeof m->hello.boot_id, "%032x", number);
    sys_random(m->hello.instance, sizeof m->hello.instance);
}

struct err fleet_run(const struct fleet_options *o)
{
    struct fleet f = { .o = o, .round = *o->api_key ? 0 : 1 };
    if (f.round > o->rounds)
        return ERR(INVALID, "there is nothing to do: no API key to enrol with, and no rounds");
    f.machines = calloc(o->links, sizeof *f.machines);
    check(f.machines);
    for (uint32_t i = 0; i < o->links; i++) make_machine(&f, &f.machines[i], i);
    TRY(net_open(&f.net));
    begin_round(&f);
    net_run(f.net);
    net_close(f.net);
    free(f.machines);
    if (f.failed.code) fprintf(stderr, "ionet-fleet: %s\n", f.why);
    return f.failed;
}
