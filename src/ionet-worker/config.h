/* config.h: what the worker is told: a file of NAME=VALUE lines, and flags of the same names over it. One table says
 * which there are; --help prints it. */
#ifndef IONET_WORKER_CONFIG_H
#define IONET_WORKER_CONFIG_H

#include "base/err.h"
#include "base/str.h"

#define CONFIG_PATH_TEXT 256
#define CONFIG_FILE "/etc/ionet/worker.conf"

enum config_task { TASK_RUN, TASK_HELP, TASK_VERSION, TASK_CHECK, TASK_STOP_ALL };

struct config {
    enum config_task task;
    char             token[320];
    char             token_file[CONFIG_PATH_TEXT]; /* what it holds is in token by the end of config_read */
    char             name[64];
    char             state_dir[CONFIG_PATH_TEXT];
    char             run_dir[CONFIG_PATH_TEXT];
    char             cgroup[64];
    char             oci[CONFIG_PATH_TEXT];
    char             mesh_device[16];
    char             wireguard_go[CONFIG_PATH_TEXT];
    uint64_t         mesh_port; /* of the first slot, the others follow; 0: any */
    uint64_t         plain_registries;
    uint64_t         image_gib_max;
    uint64_t         disk_gib_spare;
    uint64_t         lend_cpus;       /* 0: all */
    uint64_t         lend_memory_mib; /* 0: all */
    uint64_t         uid_base;
    uint64_t         egress_mbit; /* 0: no way out for anybody */
    char             egress_deny[512];
    uint64_t         processes_max;
    uint64_t         debug;
};

/* Defaults, then the file (CONFIG_FILE, if it is there, or the one that --config names), then the flags. On an error
 * `complaint` says what is wrong and where, without the value at fault. */
must_check struct err config_read(struct config *c, int argc, char **argv, struct text *complaint);
void                  config_help(struct text *out);

#endif
