/* ionet-worker: lends this machine to a network. */
#include "site.h"

#include "sys/log.h"
#include "sys/secret.h"

#include <stdio.h>

static struct err print_help(void)
{
    static char room[8192];
    struct text help = TEXT_IN(room);
    config_help(&help);
    fputs(text_z(&help), stdout);
    return OK;
}

static struct err do_task(const struct config *c)
{
    if (c->debug) log_level_set(LOG_DEBUG);
    switch (c->task) {
    case TASK_HELP: return print_help();
    case TASK_VERSION: return puts(SITE_PROGRAM) < 0 ? ERR(IO, "nothing can be printed") : OK;
    case TASK_CHECK: return check_machine(c);
    case TASK_RUN:
    case TASK_STOP_ALL: return site_run(c);
    }
    return OK;
}

int main(int argc, char **argv)
{
    scoped_secret struct config *config = NULL; /* it may hold a join token */
    char                         room[512];
    struct text                  complaint = TEXT_IN(room);
    runtime_child_main(argc, argv);
    check_print_by(log_check_failed);

    struct err e = secret_alloc(sizeof *config, &config);
    if (!e.code) e = config_read(config, argc, argv, &complaint);
    if (e.code)
        log_error("config", LOG_STR("why", text_str(&complaint)));
    else if ((e = do_task(config)).code)
        log_error("ended", LOG_ERR(e));
    return e.code ? 1 : 0;
}
