#include "gateway_int.h"

#include "codec/codec.h"
#include "sys/log.h"
#include "sys/sys.h"

#include <stdlib.h>
#include <string.h>

#define NETWORK_FILE_BYTES 512
#define TOLD_BYTES_MAX (64u << 20)
#define SAVE_AFTER_MS 500

/* ---- where the network is: HOST, PORT and PIN, one a line -------------------------------------------------- */

struct err keep_load_network(struct gateway *g)
{
    char       path[GATEWAY_PATH_TEXT], content[NETWORK_FILE_BYTES];
    size_t     len;
    uint64_t   port;
    struct str host, port_text, pin, rest;
    TRY(gateway_path(g, "network", path));
    TRY(sys_read_file(path, content, sizeof content, &len));
    str_split((struct str){ content, len }, '\n', &host, &rest);
    str_split(rest, '\n', &port_text, &rest);
    str_split(rest, '\n', &pin, &rest);
    TRY(str_copy(host, g->host, sizeof g->host));
    TRY(str_to_u64(port_text, &port));
    if (port == 0 || port > UINT16_MAX) return ERR(CORRUPT, "the network's port can't be right");
    g->port = (uint16_t)port;
    return hex_read(pin, g->pin.sha256, sizeof g->pin.sha256);
}

struct err keep_save_network(struct gateway *g)
{
    char        path[GATEWAY_PATH_TEXT], content[NETWORK_FILE_BYTES];
    struct text t = TEXT_IN(content);
    TRY(gateway_path(g, "network", path));
    text_add(&t, str_from(g->host));
    text_add_char(&t, '\n');
    text_add_u64(&t, g->port);
    text_add_char(&t, '\n');
    text_add_hex(&t, g->pin.sha256, sizeof g->pin.sha256);
    text_add_char(&t, '\n');
    check(!t.full);
    return sys_write_file(path, text_str(&t), 0600);
}

/* ---- what it was told: frames of the link, one a line ------------------------------------------------------- */

static void emit(void *ctx, enum link_kind kind, const void *message)
{
    struct text *t = ctx;
    if (t->cap - t->len < LINK_FRAME_BYTES_MAX + 1) {
        t->cap = t->cap * 2 + LINK_FRAME_BYTES_MAX + 1;
        t->ptr = realloc(t->ptr, t->cap);
        check(t->ptr);
    }
    struct text frame = { .ptr = t->ptr + t->len, .cap = LINK_FRAME_BYTES_MAX };
    link_write(kind, message, &frame);
    check(!frame.full);
    t->len += frame.len;
    text_add_char(t, '\n');
}

static void emit_config(struct gateway *g, struct text *t)
{
    struct gw_config c = { .domain = "" };
    size_t           len;
    memcpy(c.domain, g->domain, sizeof c.domain);
    if (!c.domain[0] || sys_read_file(g->cert_path, c.chain_pem, sizeof c.chain_pem - 1, &len).code) return;
    emit(t, LINK_GW_CONFIG, &c);
}

static struct text write_all(struct gateway *g)
{
    struct text      t = { 0 };
    struct gw_revoke r = { .clusters_count = 0 };
    if (!id_is_none(g->known.id)) emit(&t, LINK_WELCOME, &g->known);
    emit_config(g, &t);
    meet_write(g->meet, emit, &t);
    probes_write(g->probes, emit, &t);
    uint64_t count = g->pass.revoked_count, first = count > PASS_REVOKED_MAX ? count - PASS_REVOKED_MAX : 0;
    for (uint64_t i = first; i < count; i++) {
        r.clusters[r.clusters_count++].cluster = g->pass.revoked[i % PASS_REVOKED_MAX];
        if (r.clusters_count < countof(r.clusters) && i + 1 < count) continue;
        emit(&t, LINK_GW_REVOKE, &r);
        r.clusters_count = 0;
    }
    count = g->pass.replaced_count, first = count > PASS_REVOKED_MAX ? count - PASS_REVOKED_MAX : 0;
    for (uint64_t i = first; i < count; i++) {
        r.nodes[r.nodes_count++].node = g->pass.replaced[i % PASS_REVOKED_MAX];
        if (r.nodes_count < countof(r.nodes) && i + 1 < count) continue;
        emit(&t, LINK_GW_REVOKE, &r);
        r.nodes_count = 0;
    }
    return t;
}

void keep_load(struct gateway *g)
{
    char             path[GATEWAY_PATH_TEXT];
    scoped_mem char *content         = malloc(TOLD_BYTES_MAX); /* pages that are not read into cost nothing */
    scoped_mem union link_message *m = malloc(sizeof *m);
    size_t                         len, frames = 0;
    check(content && m);
    struct err e = gateway_path(g, "told", path);
    if (!e.code) e = sys_read_file(path, content, TOLD_BYTES_MAX, &len);
    if (e.code == ERR_MISSING) return;
    struct str rest = { content, e.code ? 0 : len }, line;
    while (!e.code && rest.len) {
        enum link_kind kind;
        str_split(rest, '\n', &line, &rest);
        e = link_read(line, &kind, m);
        if (e.code) break;
        gateway_take(g, kind, m, true);
        frames++;
    }
    /* What can't be read ionetd tells again. */
    if (e.code) log_error("keep.load", LOG_ERR(e));
    log_info("keep.loaded", LOG_I64("frames", frames), LOG_I64("nodes", meet_count(g->meet)));
}

static void save(struct keep *k)
{
    char path[GATEWAY_PATH_TEXT];
    k->err = gateway_path(k->gateway, "told", path);
    if (!k->err.code) k->err = sys_write_file(path, text_str(&k->content), 0600);
}

static void on_work(uv_work_t *work)
{
    save(work->data);
}

static void saved(struct keep *k)
{
    free(k->content.ptr);
    k->content = (struct text){ 0 };
    if (k->err.code) log_error("keep.save", LOG_ERR(k->err));
}

static void save_here(struct keep *k)
{
    k->content = write_all(k->gateway);
    save(k);
    saved(k);
}

static void on_saved(uv_work_t *work, int status)
{
    struct keep *k = work->data;
    (void)status;
    k->working = false;
    saved(k);
    if (k->again) save_here(k);
    if (k->gateway->stopping) gateway_try_end(k->gateway);
}

static void on_timer(void *ctx)
{
    struct keep *k = ctx;
    k->timer       = NULL;
    if (k->working) {
        keep_changed(k->gateway);
        return;
    }
    k->content   = write_all(k->gateway);
    k->working   = true;
    k->work.data = k;
    check(uv_queue_work(net_uv_loop(k->gateway->net), &k->work, on_work, on_saved) == 0);
}

void keep_changed(struct gateway *g)
{
    struct keep *k = &g->keep;
    if (k->timer || g->stopping) return;
    struct err e = net_timer_start(g->net, SAVE_AFTER_MS, 0, on_timer, k, &k->timer);
    if (e.code) log_error("keep.save", LOG_ERR(e));
}

bool keep_is_idle(const struct gateway *g)
{
    return !g->keep.working;
}

void keep_finish(struct gateway *g)
{
    struct keep *k = &g->keep;
    if (!k->timer) return;
    net_timer_stop(k->timer);
    k->timer = NULL;
    if (k->working)
        k->again = true; /* the pool still reads what it was given */
    else
        save_here(k);
}
