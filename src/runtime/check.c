/* check.c: what keeps this machine from serving, found out by trying it. */
#include "container_int.h"
#include "netns.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ROOM_BYTES_LEAST (8ull << 30) /* beyond what is spared: a base image, packed and unpacked */
#define MODPROBE_MS_MAX 5000
#define TRY_MEMORY_BYTES (64ull << 20)

struct checking {
    struct runtime      *r;
    struct machine_calls calls;
    void                *ctx;
    bool                 ok;
    bool                 has_wireguard; /* in the kernel */
    struct node_id       node;          /* of the container that is tried */
    char                 root[RUNTIME_PATH_TEXT];
    char                 why[RUNTIME_WHY_TEXT]; /* it failed; "" if it did not */
};

__attribute__((format(printf, 5, 6))) static void tell(struct checking *k, const char *name, bool ok,
                                                       bool needed, const char *format, ...)
{
    struct machine_row row = { .name = name, .ok = ok, .needed = needed };
    va_list            values;
    va_start(values, format);
    vsnprintf(row.says, sizeof row.says, format, values);
    va_end(values);
    k->ok = k->ok && (ok || !needed);
    if (!k->r->closing && k->calls.on_row) k->calls.on_row(k->ctx, &row);
}

/* ---- what can be seen ------------------------------------------------------------------------ */

static void check_root(struct checking *k)
{
    bool root = geteuid() == 0;
    tell(k, "root", root, true, "%s",
         root ? "runs as root" : "start it as root, for namespaces, cgroups and mounts");
}

static void check_program(struct checking *k, const char *name, const char *needed_for)
{
    char path[RUNTIME_PATH_TEXT];
    bool found = program_find(name, path);
    if (found)
        tell(k, name, true, true, "%s", path);
    else
        tell(k, name, false, true, "install it (apt install %s): it %s", name, needed_for);
}

static void check_seccomp(struct checking *k)
{
    json_t    *list;
    struct err e = seccomp_read(&list);
    if (!e.code) json_decref(list);
    tell(k, "seccomp", !e.code, true, "%s", e.code ? e.why : "the list of containers-common");
}

static void check_user_namespaces(struct checking *k)
{
    char   text[32] = "";
    size_t len;
    bool   ok = access("/proc/self/ns/user", F_OK) == 0;
    if (!sys_read_file("/proc/sys/user/max_user_namespaces", text, sizeof text - 1, &len).code)
        ok = ok && strtoul(text, NULL, 10) > 0;
    tell(k, "user namespaces", ok, true, "%s",
         ok ? "allowed" : "allow them: sysctl user.max_user_namespaces=1024, or a kernel that has them");
}

static void check_cgroups(struct checking *k)
{
    const char *missing = cgroup_missing();
    if (missing)
        tell(k, "cgroups", false, true, "no %s controller: boot with cgroup_enable=%s", missing, missing);
    else
        tell(k, "cgroups", true, true, "memory, cpu and pids");
    bool swap = cgroup_counts_swap();
    tell(k, "swap limit", swap, false, "%s", swap ? "counted" : "swap is not counted: boot with swapaccount=1");
}

/* On a thread: to load a module may take long. */
static void find_wireguard(void *ctx)
{
    struct checking *k = ctx;
    char             path[RUNTIME_PATH_TEXT];
    k->has_wireguard = access("/sys/module/wireguard", F_OK) == 0;
    if (k->has_wireguard || !program_find("modprobe", path)) return;
    const char *const args[] = { path, "--quiet", "wireguard", NULL };
    k->has_wireguard         = child_run_blocking(args, MODPROBE_MS_MAX) == 0;
}

static void check_mesh(struct checking *k)
{
    char path[RUNTIME_PATH_TEXT];
    bool tun = access("/dev/net/tun", R_OK | W_OK) == 0, program = program_find(k->r->wireguard_go, path);
    tell(k, "tun", tun, !k->has_wireguard, "%s", tun ? "/dev/net/tun" : "load the module: modprobe tun");
    bool any = k->has_wireguard || (program && tun);
    tell(k, "wireguard", any, true, "%s",
         k->has_wireguard ? "in the kernel"
         : any            ? "by wireguard-go"
                          : "load the module (modprobe wireguard), or install wireguard-go");
}

static void check_disk(struct checking *k)
{
    struct statvfs disk;
    uint64_t       room = statvfs(k->r->state_dir, &disk) == 0 ? (uint64_t)disk.f_bavail * disk.f_frsize : 0;
    bool           ok   = room >= k->r->disk_bytes_spare + ROOM_BYTES_LEAST;
    tell(k, "disk", ok, true, "%llu GiB free%s", (unsigned long long)(room >> 30),
         ok ? "" : ": make room, or give another state folder");
}

static void check_gpus(struct checking *k)
{
    const struct gpus *g = runtime_gpus(k->r);
    if (g->count)
        tell(k, "gpus", true, false, "%u, driver %s", g->count, g->driver);
    else
        tell(k, "gpus", false, false,
             "none found: it serves CPU clusters only (NVIDIA's driver brings libnvidia-ml)");
}

/* ---- a container ----------------------------------------------------------------------------- */

/* A root of nothing but the host's /usr, in which /usr/bin/true ends with 0. */
static struct err make_root(struct checking *k)
{
    static const char *const links[] = { "bin", "lib", "lib64" };
    char                     path[RUNTIME_PATH_TEXT], to[64];
    path_write(k->root, "%s/check-root", k->r->run_dir);
    TRY(sys_make_dirs(k->root, 0755));
    /* runc opens it as the container's root, who is nobody here. */
    if (chmod(k->root, 0755) < 0) return ERR(IO, "a folder's rights can't be set");
    for (size_t i = 0; i < countof(links); i++) {
        snprintf(to, sizeof to, "usr/%s", links[i]);
        path_write(path, "%s/%s", k->root, links[i]);
        if (symlink(to, path) < 0 && access(path, F_OK) < 0) continue; /* the host may have no such folder */
    }
    return OK;
}

static void on_check_cleaned(void *ctx, struct err e)
{
    struct checking *k = ctx;
    if (e.code && !k->why[0]) snprintf(k->why, sizeof k->why, "%s", e.why);
    struct err removed = sys_remove_tree(k->root);
    if (removed.code && !k->why[0]) snprintf(k->why, sizeof k->why, "%s", removed.why);
    bool ok = !k->why[0];
    tell(k, "container", ok, true, "%s: %s", runtime_oci(k->r),
         ok ? "one was run, fenced in, and removed" : k->why);
    if (k->calls.on_done) k->calls.on_done(k->ctx, k->ok);
    free(k);
}

static void check_clean(struct checking *k)
{
    struct err e = container_clean(k->r, k->node, on_check_cleaned, k);
    check(e.code == ERR_NONE); /* the node is ours alone */
}

static void on_check_ended(void *ctx, const struct container_end *end)
{
    struct checking *k = ctx;
    if (!end->known || end->code || end->signal) snprintf(k->why, sizeof k->why, "%s", end->why);
    check_clean(k);
}

static void on_check_netns(void *ctx, struct err e)
{
    static const char *const args[] = { "/usr/bin/true" }, *const env[] = { "PATH=/usr/bin" };
    static const struct container_mount mount = { .kind = CONTAINER_BIND, .target = "/usr", .source = "/usr" };
    static const struct container_calls calls = { .on_ended = on_check_ended };
    struct checking                    *k     = ctx;
    const struct container_spec         spec  = {
                 .node          = k->node,
                 .incarnation   = 1,
                 .root          = k->root,
                 .hostname      = "check",
                 .args          = args,
                 .args_count    = 1,
                 .env           = env,
                 .env_count     = 1,
                 .cwd           = "/",
                 .uid           = 1000,
                 .mounts        = &mount,
                 .mounts_count  = 1,
                 .memory_bytes  = TRY_MEMORY_BYTES,
                 .cpus_milli    = 1000,
                 .processes_max = 16,
                 .files_max     = 64,
    };
    struct container *c;
    if (!e.code) e = container_start(k->r, &spec, &calls, k, &c);
    if (!e.code) return;
    snprintf(k->why, sizeof k->why, "%s", e.why);
    check_clean(k);
}

static void on_check(void *ctx)
{
    struct checking *k = ctx;
    if (k->r->closing) {
        free(k);
        return;
    }
    check_root(k);
    check_program(k, "skopeo", "fetches images");
    check_program(k, "umoci", "unpacks them");
    check_seccomp(k);
    check_user_namespaces(k);
    check_cgroups(k);
    check_mesh(k);
    check_disk(k);
    check_gpus(k);
    sys_random(&k->node, sizeof k->node);
    struct err e = make_root(k);
    if (!e.code) e = netns_make(k->r, k->node, NULL, 0, on_check_netns, k);
    if (!e.code) return;
    snprintf(k->why, sizeof k->why, "%s", e.why);
    check_clean(k);
}

void machine_check(struct runtime *r, const struct machine_calls *calls, void *ctx)
{
    struct checking *k = runtime_alloc(sizeof *k);
    *k                 = (struct checking){ .r = r, .calls = *calls, .ctx = ctx, .ok = true };
    runtime_work(r, find_wireguard, on_check, k);
}
