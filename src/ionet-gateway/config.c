#include "config.h"

#include "sys/log.h"
#include "sys/options.h"
#include "sys/sys.h"

#include <stddef.h>
#include <string.h>

#define PLACE(member) offsetof(struct config, member), sizeof(((struct config *)0)->member)

static const struct option rows[] = {
    { "config", OPTION_FILE, 0, 0, "", 0, 0, "file of lines NAME=VALUE; flags go over it" },
    { "state_dir", OPTION_TEXT, PLACE(state_dir), NULL, 0, 0,
      "folder of its keys and what it was told, made if missing" },
    { "host", OPTION_TEXT, PLACE(host), NULL, 0, 0, "numeric address by which workers and users reach it" },
    { "token", OPTION_TEXT, PLACE(token), "", 0, 0, "join token of the network, needed the first time" },
    { "listen", OPTION_TEXT, PLACE(listen), "0.0.0.0", 0, 0, "address to listen at, numeric" },
    { "port", OPTION_NUMBER, PLACE(port), "443", 1, 65535, "HTTPS port: tunnels, forwards, browsers" },
    { "meet_port_a", OPTION_NUMBER, PLACE(meet_port_a), "51820", 1, 65535, "UDP port of the meeting point" },
    { "meet_port_b", OPTION_NUMBER, PLACE(meet_port_b), "51821", 1, 65535,
      "its second one, which tells symmetric NATs" },
    { "relay_port", OPTION_NUMBER, PLACE(relay_port), "52000", 1, 65535,
      "first UDP port of the relay, two a pair" },
    { "relay_slots", OPTION_NUMBER, PLACE(relay_slots), "1000", 1, 30000, "pairs that may be relayed" },
    { "relay_mbit", OPTION_NUMBER, PLACE(relay_mbit), "0", 0, 1000000,
      "what a pair may send in a second; 0: without limit" },
    { "mesh_device", OPTION_TEXT, PLACE(mesh_device), "wireguard-go", 0, 0, "wireguard-go, or kernel" },
    { "wireguard_go", OPTION_TEXT, PLACE(wireguard_go), "wireguard-go", 0, 0,
      "the program, by path or from PATH" },
    { "device_name", OPTION_TEXT, PLACE(device_name), "ionet-meet", 0, 0,
      "of its interfaces: NAME-a and NAME-b" },
    { "log_level", OPTION_TEXT, PLACE(log_level), "info", 0, 0, "debug, info, warn or error" },
    { "sandbox", OPTION_TEXT, PLACE(sandbox), "on", 0, 0,
      "on; strict: a system call not foreseen ends it; off, for a debugger" },
    { "check", OPTION_SWITCH, PLACE(task), "", TASK_CHECK, 0,
      "check configuration, token and programs, serve nothing" },
    { "help", OPTION_QUESTION, PLACE(task), "", TASK_HELP, 0, "print this" },
    { "version", OPTION_QUESTION, PLACE(task), "", TASK_VERSION, 0, "print the version" },
};

struct err config_options(const struct config *c, struct gateway_options *out)
{
    if (!c->state_dir[0]) return ERR(INVALID, "state_dir must be given");
    if (!c->host[0]) return ERR(INVALID, "host must be given");
    if (strcmp(c->mesh_device, wg_kind_names[WG_USERSPACE]) != 0 &&
        strcmp(c->mesh_device, wg_kind_names[WG_KERNEL]) != 0)
        return ERR(INVALID, "mesh_device is wireguard-go or kernel");
    if (!sandbox_is_word(c->sandbox)) return ERR(INVALID, "sandbox is on, strict or off");
    if (!log_level_by_name(c->log_level)) return ERR(INVALID, "log_level is debug, info, warn or error");
    *out = (struct gateway_options){
        .state_dir       = c->state_dir,
        .token           = c->token,
        .listen          = c->listen,
        .host            = c->host,
        .port            = (uint16_t)c->port,
        .meet_port_a     = (uint16_t)c->meet_port_a,
        .meet_port_b     = (uint16_t)c->meet_port_b,
        .relay_port_base = (uint16_t)c->relay_port,
        .relay_slots     = (uint32_t)c->relay_slots,
        .relay_pair_mbit = (uint32_t)c->relay_mbit,
        .mesh_device     = strcmp(c->mesh_device, wg_kind_names[WG_KERNEL]) == 0 ? WG_KERNEL : WG_USERSPACE,
        .wireguard_go    = c->wireguard_go,
        .device_name     = c->device_name,
    };
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
    if (!e.code) sys_find_program(c->wireguard_go, sizeof c->wireguard_go);
    if (!e.code) return OK;
    text_add(complaint, STR(": "));
    text_add(complaint, str_from(e.why));
    return e;
}

void config_help(struct text *out)
{
    struct options o = options_of(NULL);
    text_add(out,
             STR("ionet-gateway: joins users to the services of clusters, and the nodes of a cluster to each "
                 "other.\n\n"
                 "  ionet-gateway [--config FILE] [--NAME VALUE …]\n\n"
                 "Its ports must be reachable from outside.\n\n"));
    options_help(&o, out);
}
