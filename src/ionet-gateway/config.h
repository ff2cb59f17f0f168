/* config.h: what ionet-gateway is told: a file of key=value lines, and flags of the same names over it. One table
 * says which there are; --help prints it. */
#ifndef IONET_GATEWAY_CONFIG_H
#define IONET_GATEWAY_CONFIG_H

#include "base/str.h"
#include "gateway/gateway.h"
#include "sys/sandbox.h"

#define CONFIG_TEXT 320

enum config_task { TASK_RUN, TASK_CHECK, TASK_HELP, TASK_VERSION };

struct config {
    enum config_task task;
    char             state_dir[CONFIG_TEXT];
    char             token[CONFIG_TEXT];
    char             listen[64];
    char             host[64];
    uint64_t         port;
    uint64_t         meet_port_a;
    uint64_t         meet_port_b;
    uint64_t         relay_port;
    uint64_t         relay_slots;
    uint64_t         relay_mbit;
    char             mesh_device[16];
    char             wireguard_go[CONFIG_TEXT];
    char             device_name[16];
    char             log_level[8];
    char             sandbox[8]; /* on, strict or off */
};

/* Defaults, then the file named by --config, then the flags. `complaint` says which line or flag is at fault. */
must_check struct err config_read(struct config *c, int argc, char **argv, struct text *complaint);
void                  config_help(struct text *out);
/* Borrows the texts of `c`. */
must_check struct err config_options(const struct config *c, struct gateway_options *out);

/* policy.c: what it needs to serve; and giving up all else, before the first thread. The policy borrows too. */
must_check struct err config_policy(const struct config *c, struct sandbox *out);
must_check struct err config_give_up(const struct config *c);

#endif
