#include "run.h"

#include "ionetd_int.h"
#include "sys/log.h"
#include "sys/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const char *event, struct err e, struct text *complaint)
{
    log_error(event, LOG_STR("where", text_str(complaint)), LOG_ERR(e));
    return 1;
}

static int print_help(void)
{
    char        room[4096];
    struct text help = TEXT_IN(room);
    config_help(&help);
    check(!help.full);
    fwrite(room, 1, help.len, stdout);
    return 0;
}

static int run(struct ionetd *i, struct text *complaint)
{
    struct err e = ionetd_open(i, complaint);
    if (!e.code && i->config.task == TASK_CHECK)
        log_info("checked", LOG_I64("recipes", i->recipe_count));
    else if (!e.code)
        e = ionetd_serve(i);
    int status = e.code ? refuse("ended", e, complaint) : 0;
    ionetd_close(i);
    return status;
}

/* All its keys lie in the one struct, which is locked in memory. */
int ionetd_run(int argc, char **argv)
{
    scoped_secret struct ionetd *i = NULL;
    char                         room[1024];
    struct text                  complaint = TEXT_IN(room);
    check_print_by(log_check_failed);
    struct err e = secret_alloc(sizeof *i, &i);
    if (e.code) return refuse("ended", e, &complaint);
    e = config_read(&i->config, argc, argv, &complaint);
    if (e.code) return refuse("config.refused", e, &complaint);
    if (i->config.task == TASK_HELP) return print_help();
    if (i->config.task == TASK_VERSION) return puts("ionetd " IONETD_VERSION) < 0;
    return run(i, &complaint);
}
