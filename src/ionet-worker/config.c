#include "config.h"

#include "sys/sys.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX 16384

struct option {
    const char *name;
    enum { OPTION_TEXT, OPTION_NUMBER } kind;
    size_t      offset;
    size_t      size;
    const char *initial;
    uint64_t    least, most;
    const char *doc;
};

#define TEXT_OPTION(member, initial, doc)                                                                     \
    {                                                                                                         \
        #member, OPTION_TEXT, offsetof(struct config, member), sizeof(((struct config *)0)->member), initial, \
            0, 0, doc                                                                                         \
    }
#define NUMBER_OPTION(member, initial, least, most, doc)                                                     \
    {                                                                                                        \
        #member, OPTION_NUMBER, offsetof(struct config, member), sizeof(uint64_t), initial, least, most, doc \
    }

static const struct option options[] = {
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
    NUMBER_OPTION(processes_max, "4096", 16, 1000000, "processes of one node at most"),
    NUMBER_OPTION(debug, "0", 0, 1, "1: log more"),
};

static const struct {
    const char      *flag;
    enum config_task task;
    const char      *doc;
} tasks[] = {
    { "--help", TASK_HELP, "print this" },
    { "--version", TASK_VERSION, "print the version" },
    { "--check", TASK_CHECK, "look whether this machine can serve, and say what is missing" },
    { "--stop-all", TASK_STOP_ALL, "end all nodes of this state folder and remove them, then end" },
};

static void say(struct text *complaint, const char *where, struct str what, const char *why)
{
    complaint->len = 0;
    text_add(complaint, str_from(where));
    text_add(complaint, STR(": "));
    text_add(complaint, what);
    text_add(complaint, STR(": "));
    text_add(complaint, str_from(why));
}

static struct err option_set(struct config *c, struct str name, struct str value)
{
    for (size_t i = 0; i < countof(options); i++) {
        const struct option *o = &options[i];
        if (!str_eq(name, str_from(o->name))) continue;
        char *member = (char *)c + o->offset;
        if (o->kind == OPTION_TEXT) {
            if (!str_is_utf8(value)) return ERR(INVALID, "the value holds control characters");
            return str_copy(value, member, o->size).code ? ERR(INVALID, "the value is too long") : OK;
        }
        uint64_t n;
        if (str_to_u64(value, &n).code) return ERR(INVALID, "the value is no number");
        if (n < o->least || n > o->most) return ERR(INVALID, "the value is out of range");
        memcpy(member, &n, sizeof n);
        return OK;
    }
    return ERR(INVALID, "there is no such option");
}

static void set_initial(struct config *c)
{
    memset(c, 0, sizeof *c);
    for (size_t i = 0; i < countof(options); i++)
        check(!option_set(c, str_from(options[i].name), str_from(options[i].initial)).code);
}

static struct err read_lines(struct config *c, struct str content, struct text *complaint)
{
    while (content.len) {
        struct str line, name, value;
        str_split(content, '\n', &line, &content);
        line = str_trim(line);
        if (!line.len || line.ptr[0] == '#') continue;
        struct err e = ERR(INVALID, "a line is KEY=VALUE");
        if (str_split(line, '=', &name, &value)) e = option_set(c, str_trim(name), str_trim(value));
        if (e.code) {
            say(complaint, c->file, line, e.why);
            return e;
        }
    }
    return OK;
}

static struct err read_file(struct config *c, bool must_exist, struct text *complaint)
{
    static char room[FILE_BYTES_MAX];
    size_t      len;
    struct err  e = sys_read_file(c->file, room, sizeof room, &len);
    if (e.code == ERR_MISSING && !must_exist) return OK;
    if (e.code) {
        say(complaint, c->file, STR("config"), e.why);
        return e;
    }
    return read_lines(c, (struct str){ room, len }, complaint);
}

static bool is_option(struct str name)
{
    for (size_t i = 0; i < countof(options); i++)
        if (str_eq(name, str_from(options[i].name))) return true;
    return str_eq(name, STR("config"));
}

static bool task_set(struct config *c, const char *flag)
{
    for (size_t i = 0; i < countof(tasks); i++) {
        if (strcmp(flag, tasks[i].flag) != 0) continue;
        c->task = tasks[i].task;
        return true;
    }
    return false;
}

/* Takes the flag at argv[*at], and the word after it if the flag needs one. `name` is "" for a task. */
static struct err next_flag(struct config *c, char **argv, int *at, struct str *name, struct str *value)
{
    const char *flag = argv[(*at)++];
    *name            = STR("");
    if (task_set(c, flag)) return OK;
    if (strncmp(flag, "--", 2) != 0) return ERR(INVALID, "a flag begins with --");
    if (str_split(str_from(flag + 2), '=', name, value)) return OK; /* else all of it is the name */
    if (!is_option(*name)) return ERR(INVALID, "there is no such option");
    if (!argv[*at]) return ERR(INVALID, "the option needs a value");
    *value = str_from(argv[(*at)++]);
    return OK;
}

/* The flags are walked twice: for the file's name before the file is read, for the rest after. */
static struct err read_flags(struct config *c, char **argv, bool file_only, bool *named, struct text *complaint)
{
    for (int at = 1; argv[at];) {
        const char *flag = argv[at];
        struct str  name, value = STR("");
        struct err  e = next_flag(c, argv, &at, &name, &value);
        if (!e.code && str_eq(name, STR("config"))) {
            *named = true;
            e      = str_copy(value, c->file, sizeof c->file);
        } else if (!e.code && name.len && !file_only) {
            e = option_set(c, name, value);
        }
        if (e.code) {
            say(complaint, "command line", str_from(flag), e.why);
            return e;
        }
    }
    return OK;
}

/* A name without a folder becomes the path that PATH gives it, so that all who start or look for the program
 * mean the same one. Unknown, it stays a name. */
static void find_program(char *name, size_t size)
{
    struct str folder, rest = str_from(getenv("PATH"));
    char       path[CONFIG_PATH_TEXT];
    while (rest.len && !strchr(name, '/')) {
        struct text t = TEXT_IN(path);
        str_split(rest, ':', &folder, &rest);
        text_add(&t, folder);
        text_add_char(&t, '/');
        text_add(&t, str_from(name));
        if (folder.len && !access(text_z(&t), X_OK) && !t.full && !str_copy(text_str(&t), name, size).code)
            return;
    }
}

static struct err read_token(struct config *c, struct text *complaint)
{
    char       room[sizeof c->token];
    size_t     len;
    bool       is_stdin = !strcmp(c->token_file, "-");
    struct err e        = c->token[0]
                              ? ERR(INVALID, "there is a token beside it")
                              : sys_read_file(is_stdin ? "/dev/stdin" : c->token_file, room, sizeof room, &len);
    if (!e.code) e = option_set(c, STR("token"), str_trim((struct str){ room, len }));
    explicit_bzero(room, sizeof room);
    if (e.code) say(complaint, "token_file", str_from(c->token_file), e.why);
    return e;
}

struct err config_read(struct config *c, int argc, char **argv, struct text *complaint)
{
    bool named = false;
    (void)argc;
    set_initial(c);
    strcpy(c->file, CONFIG_FILE);
    TRY(read_flags(c, argv, true, &named, complaint));
    if (c->task == TASK_HELP || c->task == TASK_VERSION) return OK;
    TRY(read_file(c, named, complaint));
    TRY(read_flags(c, argv, false, &named, complaint));
    if (c->token_file[0]) TRY(read_token(c, complaint));
    if (strcmp(c->mesh_device, "wireguard-go") != 0 && strcmp(c->mesh_device, "kernel") != 0) {
        say(complaint, "mesh_device", str_from(c->mesh_device), "wireguard-go or kernel");
        return ERR(INVALID, "the mesh device is unknown");
    }
    find_program(c->wireguard_go, sizeof c->wireguard_go);
    return OK;
}

static void help_row(struct text *out, const char *left, const char *initial, const char *doc)
{
    size_t start = out->len;
    text_add(out, STR("  "));
    text_add(out, str_from(left));
    while (out->len - start < 22 && !out->full) text_add_char(out, ' ');
    text_add(out, str_from(doc));
    if (initial && *initial) {
        text_add(out, STR(" ["));
        text_add(out, str_from(initial));
        text_add_char(out, ']');
    }
    text_add_char(out, '\n');
}

void config_help(struct text *out)
{
    text_add(out, STR("ionet-worker: lends this machine to a network. Needs root, and no inbound port.\n\n"
                      "usage: ionet-worker [--config FILE] [--OPTION VALUE …]\n\n"));
    for (size_t i = 0; i < countof(tasks); i++) help_row(out, tasks[i].flag, NULL, tasks[i].doc);
    help_row(out, "--config FILE", CONFIG_FILE, "lines of OPTION=VALUE; flags go before it");
    text_add(out, STR("\noptions:\n"));
    for (size_t i = 0; i < countof(options); i++)
        help_row(out, options[i].name, options[i].initial, options[i].doc);
    text_add(out, STR("\nSIGTERM ends the worker and leaves the nodes running; the next start adopts them.\n"));
}
