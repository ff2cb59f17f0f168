/* bundle.c: an OCI bundle of a container: config.json, and the few files of /etc that are its own. */
#include "container_int.h"
#include "inside_int.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CPU_PERIOD_US 100000
#define SHM_BYTES_DEFAULT (64u << 20)
#define OOM_SCORE 500 /* strangers go first when the machine itself runs out of memory */
#define CONFIG_BYTES_MAX (1u << 20)
#define TMPFS_FILES_LEAST 1024

/* ---- mount points ---------------------------------------------------------------------------- */

static int open_in_root(int root, const char *path, uint64_t flags)
{
    struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
    return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

/* One name more on the way: the folder above is there. */
static struct err make_one(int root, const char *path, bool folder)
{
    scoped_fd int there = open_in_root(root, path, O_PATH);
    if (there >= 0) return OK;
    char above[RUNTIME_PATH_TEXT];
    TRY(str_copy(str_from(path), above, sizeof above));
    char *slash           = strrchr(above, '/');
    *slash                = 0;
    scoped_fd int parent  = open_in_root(root, *above ? above : "/", O_PATH | O_DIRECTORY);
    scoped_fd int created = -1;
    if (parent < 0) return ERR(INVALID, "a mount point of a container is below something that is no folder");
    bool made =
        folder ? mkdirat(parent, slash + 1, 0755) == 0 && fchmodat(parent, slash + 1, 0755, 0) == 0
               : (created = openat(parent, slash + 1, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644)) >= 0;
    return made ? OK : ERR(IO, "a mount point of a container can't be made in its root");
}

/* runc gives what it mounts the mode of the folder below, whatever the mount's options say. The folder is hidden by
 * every container's mount, so its own mode matters to nobody. */
static struct err set_mode(const char *root, const char *target, uint32_t mode)
{
    scoped_fd int fd    = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    scoped_fd int point = fd < 0 ? -1 : open_in_root(fd, target, O_RDONLY | O_DIRECTORY);
    if (point < 0 || fchmod(point, mode) < 0) return ERR(IO, "a mount point's mode can't be set");
    return OK;
}

struct err bundle_make_point(const char *root, const char *target, bool folder)
{
    char path[RUNTIME_PATH_TEXT];
    TRY(str_copy(str_from(target), path, sizeof path));
    scoped_fd int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return ERR(MISSING, "the root of a container is not there");
    for (char *p = path + 1; *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        TRY(make_one(fd, path, true));
        *p = '/';
    }
    return make_one(fd, path, folder);
}

/* Where the kernel's own files are mounted no link of an image leads elsewhere: what the OCI runtime does there, masking
 * among it, is to hit what it means. */
static struct err refuse_links(const char *root, const char *target)
{
    struct open_how how = { .flags   = O_PATH | O_DIRECTORY | O_CLOEXEC,
                            .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS };
    scoped_fd int   fd  = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    scoped_fd int   at  = fd < 0 ? -1 : (int)syscall(SYS_openat2, fd, target, &how, sizeof how);
    return at >= 0 ? OK : ERR(INVALID, "an image has a link where the kernel's files go");
}

/* ---- mounts ---------------------------------------------------------------------------------- */

/* Folders that every container gets before its own. `data` are options besides nosuid and nodev. */
static const struct {
    const char *target, *type, *data[5];
} base_mounts[] = {
    { "/proc", "proc", { "noexec" } },
    { "/dev", "tmpfs", { "strictatime", "mode=0755", "size=65536k" } },
    { "/dev/pts", "devpts", { "noexec", "newinstance", "ptmxmode=0666", "mode=0620" } },
    { "/dev/mqueue", "mqueue", { "noexec" } },
    { "/sys/fs/cgroup", "cgroup", { "noexec", "relatime", "ro" } },
};

/* Files of /etc that are the container's own; from the node's folder. */
static const struct {
    const char *target, *name;
} base_files[] = {
    { "/etc/hosts", "hosts" },
    { "/etc/resolv.conf", "resolv.conf" },
    { "/etc/nsswitch.conf", "nsswitch.conf" },
};

static bool is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == 0);
}

static bool target_is_good(const char *target)
{
    size_t len = strlen(target);
    if (target[0] != '/' || len < 2 || len >= RUNTIME_PATH_TEXT || target[len - 1] == '/') return false;
    static const char *const detours[] = { "//", "/./", "/../" }, *const kernels[] = { "/proc", "/sys",
                                                                                       "/dev" };
    for (size_t i = 0; i < countof(detours); i++)
        if (strstr(target, detours[i])) return false;
    for (size_t i = 0; i < countof(kernels); i++)
        if (is_below(target, kernels[i])) return false;
    return !str_ends(str_from(target), STR("/..")) && !str_ends(str_from(target), STR("/."));
}

/* A target below an earlier mount is made in that by the OCI runtime, any other in the image's root. */
static bool is_below_any(const json_t *mounts, const char *target)
{
    size_t  i;
    json_t *m;
    json_array_foreach(mounts, i, m)
    {
        if (is_below(target, json_string_value(json_object_get(m, "destination")))) return true;
    }
    return false;
}

static struct err add_mount(const char *root, json_t *mounts, const char *target, const char *type,
                            const char *source, bool folder, json_t *options)
{
    struct err e = is_below_any(mounts, target) ? OK : bundle_make_point(root, target, folder);
    json_array_append_new(options, json_string("nosuid"));
    json_array_append_new(options, json_string("nodev"));
    json_t *m = json_pack("{s:s, s:s, s:s, s:o}", "destination", target, "type", type, "source", source,
                          "options", options);
    if (!m) return ERR(INVALID, "a mount of a container is not text");
    json_array_append_new(mounts, m);
    return e;
}

/* One that holds anything takes a page. Left to itself the kernel allows as many as half of all its pages. */
static uint64_t files_of(uint64_t bytes)
{
    uint64_t files = bytes / 4096;
    return files < TMPFS_FILES_LEAST ? TMPFS_FILES_LEAST : files;
}

static struct err add_tmpfs(const char *root, json_t *mounts, const struct container_mount *m, uint32_t uid)
{
    uint32_t owner   = m->owned ? uid : 0;
    json_t  *options = json_array();
    json_array_append_new(options, json_sprintf("size=%llu", (unsigned long long)m->bytes));
    json_array_append_new(options, json_sprintf("nr_inodes=%llu", (unsigned long long)files_of(m->bytes)));
    json_array_append_new(options, json_sprintf("mode=%04o", m->mode & 07777));
    json_array_append_new(options, json_sprintf("uid=%u", owner));
    json_array_append_new(options, json_sprintf("gid=%u", owner));
    if (!m->exec) json_array_append_new(options, json_string("noexec"));
    bool in_root = !is_below_any(mounts, m->target);
    TRY(add_mount(root, mounts, m->target, "tmpfs", "tmpfs", true, options));
    return in_root ? set_mode(root, m->target, m->mode & 07777) : OK;
}

static struct err add_bind(const char *root, json_t *mounts, const char *target, const char *source, bool exec)
{
    struct stat st;
    if (stat(source, &st) < 0) return ERR(MISSING, "what a container should see of this machine is not there");
    json_t *options = json_pack("[s, s]", S_ISDIR(st.st_mode) ? "rbind" : "bind", "ro");
    if (!exec) json_array_append_new(options, json_string("noexec"));
    return add_mount(root, mounts, target, "bind", source, S_ISDIR(st.st_mode), options);
}

static struct err write_mounts(struct runtime *r, const struct container_spec *s, json_t *mounts)
{
    for (size_t i = 0; i < countof(base_mounts); i++) {
        json_t *options = json_array();
        for (size_t j = 0; j < countof(base_mounts[i].data) && base_mounts[i].data[j]; j++)
            json_array_append_new(options, json_string(base_mounts[i].data[j]));
        bool in_root = !is_below_any(mounts, base_mounts[i].target);
        TRY(add_mount(s->root, mounts, base_mounts[i].target, base_mounts[i].type, base_mounts[i].type, true,
                      options));
        if (in_root) TRY(refuse_links(s->root, base_mounts[i].target));
    }
    struct container_mount shm = { .target = "/dev/shm",
                                   .bytes  = s->shm_bytes ? s->shm_bytes : SHM_BYTES_DEFAULT,
                                   .mode   = 01777 };
    TRY(add_tmpfs(s->root, mounts, &shm, s->uid));
    for (size_t i = 0; i < s->mounts_count; i++) {
        const struct container_mount *m = &s->mounts[i];
        if (!target_is_good(m->target)) return ERR(INVALID, "a mount point of a container is not allowed");
        if (m->kind == CONTAINER_TMPFS)
            TRY(add_tmpfs(s->root, mounts, m, s->uid));
        else
            TRY(add_bind(s->root, mounts, m->target, m->source, true));
    }
    for (size_t i = 0; i < countof(base_files); i++) {
        char source[RUNTIME_PATH_TEXT];
        node_path(r, s->node, base_files[i].name, source);
        TRY(add_bind(s->root, mounts, base_files[i].target, source, false));
    }
    return OK;
}

/* ---- the rest of config.json ----------------------------------------------------------------- */

json_t *bundle_strings(const char *const *list, size_t count)
{
    json_t *out = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(out, json_string(list[i]));
    if (json_array_size(out) == count) return out; /* what is no UTF-8 is left out */
    json_decref(out);
    return NULL;
}

static json_t *process(const struct container_spec *s)
{
    struct rlimit files;
    check(getrlimit(RLIMIT_NOFILE, &files) == 0);
    json_int_t most = s->files_max < files.rlim_max ? s->files_max : (json_int_t)files.rlim_max;
    return json_pack("{s:b, s:{s:i, s:i}, s:o, s:o, s:s, s:b, s:i, s:{s:[], s:[], s:[], s:[], s:[]},"
                     " s:[{s:s, s:I, s:I}, {s:s, s:i, s:i}]}",
                     "terminal", 0, "user", "uid", (int)s->uid, "gid", (int)s->uid, "args",
                     bundle_strings(s->args, s->args_count), "env", bundle_strings(s->env, s->env_count), "cwd",
                     s->cwd, "noNewPrivileges", 1, "oomScoreAdj", OOM_SCORE, "capabilities", "bounding",
                     "effective", "inheritable", "permitted", "ambient", "rlimits", "type", "RLIMIT_NOFILE",
                     "hard", most, "soft", most, "type", "RLIMIT_CORE", "hard", 0, "soft", 0);
}

static json_t *resources(const struct container_spec *s)
{
    json_int_t memory = (json_int_t)s->memory_bytes;
    json_t    *limit  = json_pack("{s:I}", "limit", memory);
    if (cgroup_counts_swap()) json_object_set_new(limit, "swap", json_integer(memory));
    return json_pack("{s:[{s:b, s:s}], s:o, s:{s:I}, s:{s:I, s:i, s:I}}", "devices", "allow", 0, "access",
                     "rwm", "memory", limit, "pids", "limit", (json_int_t)s->processes_max, "cpu", "shares",
                     (json_int_t)(s->cpus_milli * 1024ull / 1000 < 2 ? 2 : s->cpus_milli * 1024ull / 1000),
                     "period", CPU_PERIOD_US, "quota", (json_int_t)s->cpus_milli * (CPU_PERIOD_US / 1000));
}

static struct err write_linux(struct runtime *r, const struct container_spec *s, uint32_t slot, json_t **out)
{
    json_t *seccomp;
    TRY(seccomp_read(&seccomp));
    char user[RUNTIME_PATH_TEXT], net[RUNTIME_PATH_TEXT], group[RUNTIME_PATH_TEXT], name[ID_TEXT + 1];
    node_path(r, s->node, NODE_FILE_USER, user);
    node_path(r, s->node, NODE_FILE_NET, net);
    node_name(s->node, name);
    path_write(group, "/%s/%s", r->cgroup, name);
    json_t *ids = json_pack("[{s:i, s:I, s:i}]", "containerID", 0, "hostID",
                            (json_int_t)r->uid_base + (json_int_t)slot * NETNS_IDS, "size", NETNS_IDS);
    *out        = json_pack("{s:s, s:[{s:s},{s:s},{s:s},{s:s},{s:s},{s:s,s:s},{s:s,s:s}], s:O, s:o, s:o, s:o, "
                                   "s:[s,s,s,s,s,s,s,s,s,s,s],"
                                   " s:[s,s,s,s,s]}",
                            "cgroupsPath", group, "namespaces", "type", "pid", "type", "ipc", "type", "uts", "type",
                            "mount", "type", "cgroup", "type", "user", "path", user, "type", "network", "path", net,
                            "uidMappings", ids, "gidMappings", ids, "resources", resources(s), "seccomp", seccomp,
                            "maskedPaths", "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
                            "/proc/latency_stats", "/proc/pressure", "/proc/timer_list", "/proc/timer_stats",
                            "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "readonlyPaths", "/proc/bus",
                            "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger");
    return *out ? OK : ERR(INVALID, "the limits of a container can't be written");
}

static struct err write_files(struct runtime *r, const struct container_spec *s)
{
    char        path[RUNTIME_PATH_TEXT], hosts[16384];
    struct text t = TEXT_IN(hosts);
    text_add(&t, STR("127.0.0.1 localhost\n"));
    if (s->hosts) text_add(&t, str_from(s->hosts));
    if (t.full) return ERR(LIMIT, "the hosts file of a container is too long");
    node_path(r, s->node, "hosts", path);
    TRY(sys_write_file(path, text_str(&t), 0644));
    node_path(r, s->node, "resolv.conf", path);
    TRY(sys_write_file(path, STR(""), 0644));
    node_path(r, s->node, "nsswitch.conf", path);
    return sys_write_file(path, STR("passwd: files\ngroup: files\nhosts: files\nservices: files\n"), 0644);
}

static struct err check_spec(const struct container_spec *s)
{
    if (!s->args_count || s->args_count > CONTAINER_ARGS_MAX || s->env_count > CONTAINER_ENV_MAX ||
        s->mounts_count > CONTAINER_MOUNTS_MAX || s->gpus_count > ASSIGN_GPUS_MAX)
        return ERR(LIMIT, "a container has too many arguments, variables, mounts or GPUs");
    if (!s->uid || s->uid > NETNS_IDS - 3 || !str_is_label(str_from(s->hostname)) || s->cwd[0] != '/')
        return ERR(INVALID, "a container's user, host name or folder is not allowed");
    if (s->memory_bytes < (4u << 20) || s->memory_bytes > INT64_MAX || s->cpus_milli < 10 ||
        !s->processes_max || !s->files_max)
        return ERR(INVALID, "a container has no room to run in");
    return OK;
}

struct err bundle_write(struct runtime *r, const struct container_spec *s, uint32_t slot)
{
    TRY(check_spec(s));
    TRY(write_files(r, s));
    char incarnation[24], path[RUNTIME_PATH_TEXT];
    snprintf(incarnation, sizeof incarnation, "%llu", (unsigned long long)s->incarnation);

    json_t *limits;
    TRY(write_linux(r, s, slot, &limits));
    scoped_json json_t *config =
        json_pack("{s:s, s:s, s:o, s:{s:s, s:b}, s:[], s:{s:s}, s:o}", "ociVersion", "1.0.2", "hostname",
                  s->hostname, "process", process(s), "root", "path", s->root, "readonly", 1, "mounts",
                  "annotations", "ionet.incarnation", incarnation, "linux", limits);
    if (!config) return ERR(INVALID, "a container's arguments or variables are not text");
    TRY(write_mounts(r, s, json_object_get(config, "mounts")));
    TRY(gpu_add(r, s, config));

    char *written = json_dumps(config, JSON_COMPACT);
    check(written != NULL);
    node_path(r, s->node, "config.json", path);
    struct err e = sys_write_file(path, str_from(written), 0600); /* the variables hold secrets */
    free(written);
    return e;
}

struct err bundle_read(const struct runtime *r, struct node_id node, struct bundle_facts *out)
{
    char path[RUNTIME_PATH_TEXT];
    node_path(r, node, "config.json", path);
    scoped_json json_t *config      = json_load_file(path, 0, NULL);
    const char         *incarnation = NULL, *root = NULL;
    if (json_unpack(config, "{s:{s:s}, s:{s:s}}", "root", "path", &root, "annotations", "ionet.incarnation",
                    &incarnation) < 0)
        return ERR(MISSING, "a node has no bundle");
    TRY(str_to_u64(str_from(incarnation), &out->incarnation));
    return str_copy(str_from(root), out->root, sizeof out->root);
}
