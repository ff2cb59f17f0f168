/* ionet-worker --check: a row for each thing that serving needs, and what to do where one is missing. */
#include "site.h"

#include <stdio.h>

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
