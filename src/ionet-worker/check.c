/* What serving needs: told by --check in a row for each, and looked at when a worker starts, before the
 * network may take the machine for ready. */
#include "site.h"

#include "sys/log.h"

#include <stdio.h>
#include <string.h>

#define CHECK_AGAIN_MS 60000
#define CHECK_SAYS_MAX 120

struct checking {
    struct net     *net;
    struct runtime *runtime;
    bool            ok;
};

static void on_row(void *ctx, const struct machine_row *row)
{
    (void)ctx;
    printf("%-4s %-16s %s\n", row->ok ? "ok" : row->needed ? "BAD" : "--", row->name, row->says);
}

static void on_closed(void *ctx)
{
    const struct checking *c = ctx;
    net_stop(c->net);
}

static void on_done(void *ctx, bool ok)
{
    struct checking *c = ctx;
    c->ok              = ok;
    runtime_close(c->runtime, on_closed, c);
}

struct err check_machine(const struct config *c)
{
    static const struct machine_calls calls   = { on_row, on_done };
    struct checking                   checked = { .ok = false };
    struct runtime_options            options;
    site_runtime_options(c, &options);
    TRY(net_open(&checked.net));
    struct err e = runtime_open(checked.net, &options, &checked.runtime);
    if (!e.code) {
        machine_check(checked.runtime, &calls, &checked);
        net_run(checked.net);
        if (!checked.ok) e = ERR(MISSING, "this machine can't serve yet");
    }
    net_close(checked.net);
    return e;
}

/* ---- of a worker that runs --------------------------------------------------------------------------- */

static void on_row_running(void *ctx, const struct machine_row *row)
{
    struct site *s = ctx;
    if (row->ok || !row->needed) return;
    /* Room is needed for images: who holds them serves, and fetching one says itself when there is too little. */
    if (strcmp(row->name, "disk") == 0) return;
    log_warn("machine", LOG_TEXT("lacks", row->name), LOG_TEXT("says", row->says));
    if (s->found_trouble[0]) return; /* one sentence is enough: the first */
    (void)snprintf(s->found_trouble, sizeof s->found_trouble, "%s: %.*s", row->name, CHECK_SAYS_MAX, row->says);
    for (size_t len = strlen(s->found_trouble); !str_is_utf8(str_from(s->found_trouble)); len--)
        s->found_trouble[len - 1] = 0; /* it was cut within a letter */
}

static void on_again(void *ctx)
{
    check_begin(ctx);
}

static void on_done_running(void *ctx, bool ok)
{
    struct site      *s = ctx;
    struct net_timer *timer;
    if (s->stopping) return;
    memcpy(s->trouble, s->found_trouble, sizeof s->trouble);
    uplink_observe(s);
    if (ok) return;
    struct err e = net_timer_start(s->net, CHECK_AGAIN_MS, 0, on_again, s, &timer);
    if (e.code) log_error("machine.timer", LOG_ERR(e));
}

void check_begin(struct site *s)
{
    static const struct machine_calls calls = { on_row_running, on_done_running };
    if (s->stopping) return;
    s->found_trouble[0] = 0;
    machine_check(s->runtime, &calls, s);
}
