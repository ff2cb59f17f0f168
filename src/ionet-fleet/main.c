/* ionet-fleet: loads a network with the links of many workers. For developers. */
#include "fleet_int.h"

#include "sys/log.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    static struct fleet_options o;
    char                        room[4096];
    struct text                 text = TEXT_IN(room);
    check_print_by(log_check_failed);
    struct err e = fleet_options_read(&o, argc, argv, &text);
    if (e.code) {
        log_error("options", LOG_ERR(e), LOG_STR("at", text_str(&text)));
        return 2;
    }
    if (o.task == TASK_HELP) {
        text = TEXT_IN(room);
        fleet_options_help(&text);
        return fputs(text_z(&text), stdout) < 0;
    }
    e = fleet_run(&o);
    if (e.code) log_error("ended", LOG_ERR(e));
    return e.code ? 1 : 0;
}
