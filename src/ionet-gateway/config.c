#include "config.h"

#include "sys/log.h"
#include "sys/sys.h"

#include <stddef.h>
#include <string.h>

enum option_kind { OPTION_TEXT, OPTION_NUMBER };

struct option {
    const char      *name;
    enum option_kind kind;
    size_t           offset, size;
    const char      *initial; /* null: it must be given */
    uint64_t         least, most;
    const char      *doc;
};

#define PLACE(member) offsetof(struct config, member), sizeof(((struct config *)0)->member)

static const struct option options[] = {
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
};

static const char *const levels[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"
};

static struct err set(struct config *c, struct str name, struct str value)
{
    for (size_t i = 0; i < countof(options); i++) {
        const struct option *o  = &options[i];
        char                *at = (char *)c + o->offset;
        uint64_t             n;
        if (!str_eq(name, str_from(o->name))) continue;
        if (o->kind == OPTION_TEXT) return str_copy(value, at, o->size);
        if (str_to_u64(value, &n).code || n < o->least || n > o->most)
            return ERR(INVALID, "the number is out of its range");
        memcpy(at, &n, sizeof n);
        return OK;
    }
    return ERR(INVALID, "there is no such option: see --help");
}

static struct err complain(struct text *complaint, struct err e, struct str where, uint64_t line)
{
    if (!e.code) return e;
    text_add(complaint, where);
    if (line) {
        text_add_char(complaint, ':');
        text_add_u64(complaint, line);
    }
    text_add(complaint, STR(": "));
    text_add(complaint, str_from(e.why));
    return e;
}

static struct err read_file(struct config *c, const char *path, struct text *complaint)
{
    static char room[CONFIG_FILE_MAX];
    size_t      len = 0;
    TRY(complain(complaint, sys_read_file(path, room, sizeof room, &len), str_from(path), 0));
    struct str rest = { room, len };
    for (uint64_t number = 1; rest.len; number++) {
        struct str line, name, value;
        str_split(rest, '\n', &line, &rest);
        line = str_trim(line);
        if (line.len == 0 || line.ptr[0] == '#') continue;
        bool       pair = str_split(line, '=', &name, &value);
        struct err e    = pair ? set(c, str_trim(name), str_trim(value)) : ERR(INVALID, "a line is KEY=VALUE");
        TRY(complain(complaint, e, str_from(path), number));
    }
    return OK;
}

static bool take_switch(struct config *c, struct str flag)
{
    static const struct {
        const char      *flag;
        enum config_task task;
    } switches[] = { { "--check", TASK_CHECK }, { "--help", TASK_HELP }, { "--version", TASK_VERSION } };
    for (size_t i = 0; i < countof(switches); i++) {
        if (!str_eq(flag, str_from(switches[i].flag))) continue;
        c->task = switches[i].task;
        return true;
    }
    return false;
}

/* --name=value or --name value; with `only_config` nothing but --config counts, else all but that. */
static struct err read_flags(struct config *c, int argc, char **argv, bool only_config, struct text *complaint)
{
    for (int i = 1; i < argc; i++) {
        struct str flag = str_from(argv[i]), name, value;
        if (take_switch(c, flag)) continue;
        if (!str_starts(flag, STR("--")))
            return complain(complaint, ERR(INVALID, "a flag is --NAME VALUE"), flag, 0);
        if (!str_split(str_skip(flag, 2), '=', &name, &value)) {
            if (i + 1 == argc) return complain(complaint, ERR(INVALID, "the flag has no value"), flag, 0);
            value = str_from(argv[++i]);
        }
        bool is_config = str_eq(name, STR("config"));
        if (is_config && only_config) TRY(read_file(c, value.ptr, complaint));
        if (!is_config && !only_config) TRY(complain(complaint, set(c, name, value), flag, 0));
    }
    return OK;
}

struct err config_options(const struct config *c, struct gateway_options *out)
{
    size_t level = 0;
    if (!c->state_dir[0]) return ERR(INVALID, "state_dir must be given");
    if (!c->host[0]) return ERR(INVALID, "host must be given");
    if (strcmp(c->mesh_device, wg_kind_names[WG_USERSPACE]) != 0 &&
        strcmp(c->mesh_device, wg_kind_names[WG_KERNEL]) != 0)
        return ERR(INVALID, "mesh_device is wireguard-go or kernel");
    while (level < countof(levels) && strcmp(levels[level], c->log_level) != 0) level++;
    if (level == countof(levels)) return ERR(INVALID, "log_level is debug, info, warn or error");
    log_level_set((enum log_level)level);
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

struct err config_read(struct config *c, int argc, char **argv, struct text *complaint)
{
    memset(c, 0, sizeof *c);
    for (size_t i = 0; i < countof(options); i++)
        if (options[i].initial)
            check(set(c, str_from(options[i].name), str_from(options[i].initial)).code == ERR_NONE);
    TRY(read_flags(c, argc, argv, true, complaint));
    return read_flags(c, argc, argv, false, complaint);
}

void config_help(struct text *out)
{
    text_add(
        out,
        STR("ionet-gateway: joins users to the services of clusters, and the nodes of a cluster to each "
            "other.\n\n"
            "  ionet-gateway [--config FILE] [--NAME VALUE …]\n\n"
            "The file has lines NAME=VALUE; flags go over it. The ports must be reachable from outside.\n\n"));
    for (size_t i = 0; i < countof(options); i++) {
        const struct option *o    = &options[i];
        size_t               from = out->len;
        text_add(out, STR("  --"));
        text_add(out, str_from(o->name));
        while (out->len - from < 20) text_add_char(out, ' ');
        text_add(out, str_from(o->doc));
        if (!o->initial) text_add(out, STR(" (needed)"));
        if (o->initial && o->initial[0]) {
            text_add(out, STR(" ["));
            text_add(out, str_from(o->initial));
            text_add_char(out, ']');
        }
        text_add_char(out, '\n');
    }
    text_add(out, STR("  --check           check configuration, token and programs, serve nothing\n"
                      "  --version         print the version\n"));
}
