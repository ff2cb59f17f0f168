/* policy.c: what the gateway still needs once it begins: its folder, sockets, ionetd by its name, and its two
 * interfaces, for which it keeps one right of root's, CAP_NET_ADMIN, and may run one program, wireguard-go (or wg, where
 * the kernel makes them). What that program needs is in the list too: a child inherits it. */
#include "config.h"

#include "sys/log.h"
#include "sys/sys.h"

#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#define SOCKETS_OF_WIREGUARD "/var/run/wireguard"
#define FIRST_FREE_PORT 1024 /* those below are root's, or who has CAP_NET_BIND_SERVICE */

struct err config_policy(const struct config *c, struct sandbox *out)
{
    static char wg[64] = "wg";
    bool        kernel = strcmp(c->mesh_device, wg_kind_names[WG_KERNEL]) == 0;
    sys_find_program(wg, sizeof wg);
    *out = (struct sandbox){
        .calls = SANDBOX_FILES | SANDBOX_SERVE | SANDBOX_SOCKETS | SANDBOX_LOCAL | SANDBOX_CHILDREN |
                 SANDBOX_DEVICES,
        .capabilities = 1ull << CAP_NET_ADMIN,
        .strict       = strcmp(c->sandbox, "strict") == 0,
        .paths        = { { c->state_dir, SANDBOX_WRITE },
                          { kernel ? wg : c->wireguard_go, SANDBOX_RUN },
                          { "/lib64/ld-linux-x86-64.so.2", SANDBOX_RUN }, /* without it no dynamic program runs */
                          { "/usr/lib", SANDBOX_READ }, /* the C library, and what finds names */
                          { "/etc/ld.so.cache", SANDBOX_READ },
                          { "/proc", SANDBOX_READ }, /* whether its programs live */
                          { SOCKETS_OF_WIREGUARD, SANDBOX_WRITE },
                          { "/dev/net/tun", SANDBOX_WRITE },
                          { "/dev/null", SANDBOX_WRITE },
                          /* Where ionetd is. One that is put in another's place later is read at the next start. */
                          { "/etc/resolv.conf", SANDBOX_READ },
                          { "/etc/hosts", SANDBOX_READ },
                          { "/etc/host.conf", SANDBOX_READ },
                          { "/etc/nsswitch.conf", SANDBOX_READ },
                          { "/etc/gai.conf", SANDBOX_READ } },
    };
    if (c->port < FIRST_FREE_PORT || c->meet_port_a < FIRST_FREE_PORT || c->meet_port_b < FIRST_FREE_PORT ||
        c->relay_port < FIRST_FREE_PORT)
        out->capabilities |= 1ull << CAP_NET_BIND_SERVICE;
    TRY(sys_make_dirs(c->state_dir, 0700));
    return sys_make_dirs(SOCKETS_OF_WIREGUARD, 0755);
}

struct err config_give_up(const struct config *c)
{
    struct sandbox      policy;
    struct sandbox_made made;
    if (strcmp(c->sandbox, "off") == 0) return OK;
    TRY(config_policy(c, &policy));
    TRY(sandbox_enter(&policy, &made));
    if (!made.landlock)
        log_warn("sandbox.files", LOG_TEXT("why", "this kernel has no landlock: any file can be opened"));
    log_info("sandbox", LOG_I64("landlock", made.landlock), LOG_I64("uid", made.uid));
    return OK;
}
