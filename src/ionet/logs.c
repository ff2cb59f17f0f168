/* logs.c: a node's log through the gateway. The worker sends what there is and then what comes; to a reader who has
 * ended his own side it sends what there is and then the end. */
#include "commands_int.h"
#include "ticket_int.h"

#include <signal.h>

struct logs {
    struct cli *cli;
    struct net *net;
    bool        follow;
    bool        opened;
    bool        over; /* its end has come, or nobody wants more */
    struct err  e;
};

static void on_open(void *ctx, struct net_raw *r)
{
    struct logs *l = ctx;
    l->opened      = true;
    if (!l->follow) net_raw_end(r);
}

static void on_bytes(void *ctx, struct net_raw *r, struct str bytes)
{
    struct logs *l = ctx;
    if (fwrite(bytes.ptr, 1, bytes.len, stdout) == bytes.len && !fflush(stdout)) return;
    l->over = true; /* whoever read it has left */
    net_raw_close(r);
}

static void on_end(void *ctx, struct net_raw *r)
{
    struct logs *l = ctx;
    l->over        = true;
    net_raw_end(r);
}

static void on_close(void *ctx, const char *why)
{
    struct logs *l = ctx;
    if (!l->opened)
        l->e = cli_fail(l->cli, ERR_IO, NULL, "the log can't be read: %s", why);
    else if (!l->over && !l->follow)
        l->e = cli_fail(l->cli, ERR_IO, NULL, "the log broke off: %s", why);
    net_stop(l->net);
}

static void on_interrupt(void *ctx)
{
    struct logs *l      = ctx;
    l->cli->interrupted = true;
    l->opened = l->over = true; /* it was not the gateway that ended it */
    net_stop(l->net);
}

static struct err run(struct logs *l, const struct ticket_wish *wish, const struct service_ticket *ticket)
{
    static const struct net_raw_calls calls = {
        .on_open = on_open, .on_bytes = on_bytes, .on_end = on_end, .on_close = on_close
    };
    struct net_raw *raw;
    TRY(net_on_signal(l->net, SIGINT, on_interrupt, l));
    TRY(ticket_join(l->cli, l->net, wish, ticket, &calls, l, &raw));
    net_run(l->net);
    return l->e;
}

struct err command_cluster_logs(struct cli *c)
{
    struct ticket_wish wish = { .cluster = c->operands[0], .service = "logs", .node = cli_option(c, "node") };
    struct service_ticket ticket;
    struct logs           l = { .cli = c, .follow = cli_has(c, "follow") };
    TRY(ticket_ask(c, &wish, &ticket));
    TRY(net_open(&l.net));
    struct err e = run(&l, &wish, &ticket);
    net_close(l.net);
    return e;
}
