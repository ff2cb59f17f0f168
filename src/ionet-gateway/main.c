/* ionet-gateway: the data plane of a network. */
#include "config.h"

#include "sys/log.h"
#include "sys/secret.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#define PROGRAM "ionet-gateway 0.1.0"

struct life {
    struct net     *net;
    struct gateway *gateway;
    struct err      why;
};

static void on_signal(void *ctx)
{
    struct life *l = ctx;
    log_info("stopping");
    gateway_stop(l->gateway);
}

static void on_over(void *ctx, struct err why)
{
    struct life *l = ctx;
    l->why         = why;
    net_stop(l->net);
}

/* Each relayed pair takes two descriptors, each joined one two more: as many as the system gives. */
static struct err raise_limits(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0) return ERR(IO, "the limit of descriptors can't be read");
    files.rlim_cur = files.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &files) < 0 ? ERR(IO, "the limit of descriptors can't be raised") : OK;
}

static struct err run(const struct config *c, struct gateway_options *o)
{
    struct life l = { 0 };
    TRY(raise_limits());
    TRY(config_give_up(c));
    TRY(net_open(&l.net));
    o->program   = PROGRAM;
    struct err e = gateway_open(l.net, o, on_over, &l, &l.gateway);
    if (!e.code) e = net_on_signal(l.net, SIGTERM, on_signal, &l);
    if (!e.code) e = net_on_signal(l.net, SIGINT, on_signal, &l);
    if (!e.code) net_run(l.net);
    net_close(l.net);
    gateway_free(l.gateway);
    return e.code ? e : l.why;
}

static struct err do_task(const struct config *c)
{
    static char            room[8192];
    struct text            help = TEXT_IN(room);
    struct gateway_options o;
    switch (c->task) {
    case TASK_HELP:
        config_help(&help);
        return fputs(text_z(&help), stdout) < 0 ? ERR(IO, "nothing can be printed") : OK;
    case TASK_VERSION: return puts(PROGRAM) < 0 ? ERR(IO, "nothing can be printed") : OK;
    case TASK_CHECK:
        TRY(config_options(c, &o));
        TRY(gateway_check(&o));
        return puts("ok") < 0 ? ERR(IO, "nothing can be printed") : OK;
    case TASK_RUN: break;
    }
    TRY(config_options(c, &o));
    return run(c, &o);
}

int main(int argc, char **argv)
{
    scoped_secret struct config *config = NULL; /* it may hold a join token */
    char                         room[512];
    struct text                  complaint = TEXT_IN(room);
    check_print_by(log_check_failed);

    struct err e = secret_alloc(sizeof *config, &config);
    if (!e.code) e = config_read(config, argc, argv, &complaint);
    if (e.code)
        log_error("config", LOG_STR("why", text_str(&complaint)));
    else if ((e = do_task(config)).code)
        log_error("ended", LOG_ERR(e));
    return e.code ? 1 : 0;
}
