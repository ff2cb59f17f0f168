#include "commands_int.h"
#include "ticket_int.h"

#include <signal.h>

#define QUIET_MS 1000 /* so long after the last bytes the log so far has been read */

struct logs {
    struct cli       *cli;
    struct net       *net;
    struct net_raw   *raw; /* null when it has closed */
    struct net_timer *quiet;
    bool              opened;
    uint64_t          heard_ms;
    struct err        e;
};

static void on_open(void *ctx, struct net_raw *r)
{
    struct logs *l = ctx;
    (void)r;
    l->opened   = true;
    l->heard_ms = net_now_ms(l->net);
}

static void on_bytes(void *ctx, struct net_raw *r, struct str bytes)
{
    struct logs *l = ctx;
    l->heard_ms    = net_now_ms(l->net);
    if (fwrite(bytes.ptr, 1, bytes.len, stdout) != bytes.len || fflush(stdout)) net_raw_close(r);
}

static void on_end(void *ctx, struct net_raw *r)
{
    (void)ctx;
    net_raw_end(r);
}

static void on_close(void *ctx, const char *why)
{
    struct logs *l = ctx;
    l->raw         = NULL;
    if (!l->opened) l->e = cli_fail(l->cli, ERR_IO, NULL, "the log can't be read: %s", why);
    net_stop(l->net);
}

static void on_quiet(void *ctx)
{
    struct logs *l = ctx;
    if (l->raw && l->opened && net_now_ms(l->net) - l->heard_ms >= QUIET_MS) net_raw_close(l->raw);
}

static void on_interrupt(void *ctx)
{
    struct logs *l      = ctx;
    l->cli->interrupted = true;
    l->opened           = true; /* it was not the gateway that ended it */
    net_stop(l->net);
}

static struct err run(struct logs *l, const struct ticket_wish *wish, const struct service_ticket *ticket,
                      bool follow)
{
    static const struct net_raw_calls calls = {
        .on_open = on_open, .on_bytes = on_bytes, .on_end = on_end, .on_close = on_close
    };
    TRY(net_on_signal(l->net, SIGINT, on_interrupt, l));
    if (!follow) TRY(net_timer_start(l->net, 100, 100, on_quiet, l, &l->quiet));
    TRY(ticket_join(l->cli, l->net, wish, ticket, &calls, l, &l->raw));
    net_run(l->net);
    return l->e;
}

struct err command_cluster_logs(struct cli *c)
{
    struct ticket_wish wish = { .cluster = c->operands[0], .service = "logs", .node = cli_option(c, "node") };
    struct service_ticket ticket;
    struct logs           l = { .cli = c };
    TRY(ticket_ask(c, &wish, &ticket));
    TRY(net_open(&l.net));
    struct err e = run(&l, &wish, &ticket, cli_has(c, "follow"));
    net_close(l.net);
    return e;
}
