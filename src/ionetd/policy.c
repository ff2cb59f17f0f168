/* policy.c: what ionetd still needs once its port, its folder and its keys are open: that folder, and who calls it. It
 * connects to nobody and starts nothing. */
#include "ionetd_int.h"

#include "sys/log.h"

#include <string.h>

void ionetd_policy(const struct config *c, struct sandbox *out)
{
    *out = (struct sandbox){
        .calls  = SANDBOX_FILES | SANDBOX_SERVE,
        .strict = strcmp(c->sandbox, "strict") == 0,
        .user   = c->user,
        .paths  = { { c->state_dir, SANDBOX_WRITE } },
    };
}

struct err ionetd_give_up(struct ionetd *i)
{
    struct sandbox      policy;
    struct sandbox_made made;
    if (strcmp(i->config.sandbox, "off") == 0) return OK;
    ionetd_policy(&i->config, &policy);
    TRY(sandbox_enter(&policy, &made));
    if (!made.landlock)
        log_warn("sandbox.files", LOG_TEXT("why", "this kernel has no landlock: any file can be opened"));
    log_info("sandbox", LOG_I64("landlock", made.landlock), LOG_I64("uid", made.uid));
    return OK;
}
