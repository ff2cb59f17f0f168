#include "config.h"

#include "egress/egress.h"

#include "sys/options.h"
#include "sys/sys.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_OPTION(member, initial, doc)                                                                     \
    {                                                                                                         \
        #member, OPTION_TEXT, offsetof(struct config, member), sizeof(((struct config *)0)->member), initial, \
            0, 0, doc                                                                                         \
    }
#define NUMBER_OPTION(member, initial, least, most, doc)                                                     \
    {                                                                                                        \
        #member, OPTION_NUMBER, offsetof(struct config, member), sizeof(uint64_t), initial, least, most, doc \
    }

#define TASK_OPTION(name, kind, task_value, doc)                                                    \
    {                                                                                               \
        name, kind, offsetof(struct config, task), sizeof(enum config_task), "", task_value, 0, doc \
    }

static const struct option rows[] = {
    { "config", OPTION_FILE, 0, 0, CONFIG_FILE, 0, 0, "file of lines NAME=VALUE; flags go over it" },
    TEXT_OPTION(token, "",
                "join token from the network's operator, needed once; others here can read it from `ps`"),
    TEXT_OPTION(token_file, "", "a file that holds it instead; - for standard input"),
    TEXT_OPTION(name, "", "what this device would like to be called; the host's name if empty"),
    TEXT_OPTION(state_dir, "/var/lib/ionet-worker", "keys, images, what runs; kept"),
    TEXT_OPTION(run_dir, "/run/ionet", "what a reboot may forget; on a tmpfs"),
    TEXT_OPTION(cgroup, "ionet", "parent of the nodes' control groups"),
    TEXT_OPTION(oci, "", "runc or crun, a name or a path; the first that is there if empty"),
    TEXT_OPTION(mesh_device, "wireguard-go", "wireguard-go or kernel"),
    TEXT_OPTION(wireguard_go, "wireguard-go", "where that program is"),
    NUMBER_OPTION(mesh_port, "0", 0, 65000, "UDP port of the first node's mesh; the next ones follow; 0: any"),
    NUMBER_OPTION(plain_registries, "0", 0, 1,
                  "1: images may come over plain HTTP (they are checked by digest)"),
    NUMBER_OPTION(image_gib_max, "64", 1, 4096, "GiB of one image at most"),
    NUMBER_OPTION(disk_gib_spare, "2", 0, 4096, "GiB of the disk that images leave free"),
    NUMBER_OPTION(lend_cpus, "0", 0, 4096, "CPUs to lend at most; 0: all there are"),
    NUMBER_OPTION(lend_memory_mib, "0", 0, 1 << 30, "MiB of memory to lend at most; 0: all there is"),
    NUMBER_OPTION(uid_base, "0", 0, 4000000000, "first of a million user ids for containers; 0: a free range"),
    NUMBER_OPTION(
        egress_mbit, "0", 0, EGRESS_MBIT_MAX,
        "Mbit/s at most by which a node may reach public addresses, if its recipe declares that; 0: none may"),
    TEXT_OPTION(egress_deny, "",
                "public addresses that are yours and none may reach: 198.51.100.0/24,2001:db8::/32"),
    NUMBER_OPTION(processes_max, "4096", 16, 1000000, "processes of one node at most"),
    NUMBER_OPTION(debug, "0", 0, 1, "1: log more"),
    TASK_OPTION("check", OPTION_SWITCH, TASK_CHECK,
                "look whether this machine can serve, and say what is missing"),
    TASK_OPTION("stop-all", OPTION_SWITCH, TASK_STOP_ALL,
                "end all nodes of this state folder and remove them, then end"),
    TASK_OPTION("help", OPTION_QUESTION, TASK_HELP, "print this"),
    TASK_OPTION("version", OPTION_QUESTION, TASK_VERSION, "print the version"),
};

static struct err read_token(struct config *c)
{
    char   room[sizeof c->token];
    size_t len;
    bool   is_stdin = !strcmp(c->token_file, "-");
    if (c->token[0]) return ERR(INVALID, "there is a token beside it");
    struct err e = sys_read_file(is_stdin ? "/dev/stdin" : c->token_file, room, sizeof room, &len);
    if (!e.code) e = str_copy(str_trim((struct str){ room, len }), c->token, sizeof c->token);
    explicit_bzero(room, sizeof room);
    return e;
}

static struct err check_all(struct config *c, struct text *complaint)
{
    if (c->token_file[0]) TRY(options_complain(complaint, read_token(c), STR("token_file"), 0));
    if (strcmp(c->mesh_device, "wireguard-go") != 0 && strcmp(c->mesh_device, "kernel") != 0)
        return options_complain(complaint, ERR(INVALID, "it is wireguard-go or kernel"), STR("mesh_device"), 0);
    struct egress_rules rules = { 0 };
    TRY(options_complain(complaint, egress_deny(&rules, str_from(c->egress_deny)), STR("egress_deny"), 0));
    sys_find_program(c->wireguard_go, sizeof c->wireguard_go);
    if (strchr(c->oci, '/'))
        sys_find_program(c->oci, sizeof c->oci); /* it is also started from other folders */
    return OK;
}

static struct options options_of(struct config *c)
{
    return (struct options){ .rows = rows, .count = countof(rows), .config = c };
}

struct err config_read(struct config *c, int argc, char **argv, struct text *complaint)
{
    struct options o = options_of(c);
    memset(c, 0, sizeof *c);
    struct err e = options_read(&o, argc, argv, complaint);
    if (!e.code && c->task != TASK_HELP && c->task != TASK_VERSION) e = check_all(c, complaint);
    if (!e.code) return OK;
    text_add(complaint, STR(": "));
    text_add(complaint, str_from(e.why));
    return e;
}

void config_help(struct text *out)
{
    struct options o = options_of(NULL);
    text_add(out, STR("ionet-worker: lends this machine to a network. Needs root, and no inbound port.\n\n"
                      "  ionet-worker [--config FILE] [--NAME VALUE …]\n\n"));
    options_help(&o, out);
    text_add(out, STR("\nSIGTERM ends the worker and leaves the nodes running; the next start adopts them.\n"));
}
