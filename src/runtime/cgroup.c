/* cgroup.c: the control groups of nodes, version 1, 2 or both at once: every hierarchy is a folder in /sys/fs/cgroup,
 * or that itself. */
#include "container_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define CGROUPS "/sys/fs/cgroup"
#define TCP_LIMIT "memory.kmem.tcp.limit_in_bytes"
#define HIERARCHIES_MAX 24
#define FACT_BYTES_MAX 8192
#define WAIT_MS 5

struct hierarchies {
    char   path[HIERARCHIES_MAX][64];
    size_t count;
};

static bool is_unified(void)
{
    struct statfs fs;
    return statfs(CGROUPS, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static void hierarchies_read(struct hierarchies *h)
{
    h->count = 0;
    if (is_unified()) {
        snprintf(h->path[h->count++], sizeof h->path[0], "%s", CGROUPS);
        return;
    }
    DIR *folder = opendir(CGROUPS);
    if (!folder) return;
    for (const struct dirent *e; (e = readdir(folder)) && h->count < HIERARCHIES_MAX;) {
        /* Links such as cpu → cpu,cpuacct name a folder a second time. */
        if (e->d_name[0] == '.' || e->d_type != DT_DIR) continue;
        int len = snprintf(h->path[h->count], sizeof h->path[0], "%s/%s", CGROUPS, e->d_name);
        if (len > 0 && (size_t)len < sizeof h->path[0]) h->count++;
    }
    closedir(folder);
}

bool cgroup_counts_swap(void)
{
    return is_unified() || access(CGROUPS "/memory/memory.memsw.limit_in_bytes", F_OK) == 0;
}

const char *cgroup_missing(void)
{
    static const char *const needed[] = { "memory", "cpu", "pids" };
    char                     all[512] = "";
    size_t                   len      = 0;
    if (is_unified() && sys_read_file(CGROUPS "/cgroup.controllers", all, sizeof all - 1, &len).code)
        return needed[0];
    all[len] = 0;
    for (size_t i = 0; i < countof(needed); i++) {
        char path[RUNTIME_PATH_TEXT];
        path_write(path, "%s/%s", CGROUPS, needed[i]);
        if (is_unified() ? !strstr(all, needed[i]) : access(path, F_OK) < 0) return needed[i];
    }
    return NULL;
}

/* A socket that is made before the limit is never counted, and OCI runtimes set none: so the group is made here, before
 * the container is. */
struct err cgroup_limit_tcp(const char *group, const char *name, uint64_t bytes)
{
    char path[RUNTIME_PATH_TEXT], number[24];
    int  len = snprintf(number, sizeof number, "%llu", (unsigned long long)bytes);
    if (access(CGROUPS "/memory/" TCP_LIMIT, F_OK) < 0) return OK; /* there it counts as memory */
    path_write(path, CGROUPS "/memory/%s/%s", group, name);
    TRY(sys_make_dirs(path, 0755));
    path_write(path, CGROUPS "/memory/%s/%s/" TCP_LIMIT, group, name);
    scoped_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, number, (size_t)len) == len ? OK
                                                            : ERR(IO, "a container's TCP can't be limited");
}

/* ---- what it used ---------------------------------------------------------------------------- */

/* The text of the first of these files that is there; false if none is. */
static bool fact_text(const char *const *controllers, const char *group, const char *name, const char *file,
                      char room[FACT_BYTES_MAX])
{
    for (; *controllers; controllers++) {
        char   path[RUNTIME_PATH_TEXT];
        size_t len;
        path_write(path, CGROUPS "%s/%s/%s/%s", *controllers, group, name, file);
        if (sys_read_file(path, room, FACT_BYTES_MAX - 1, &len).code) continue;
        room[len] = 0;
        return true;
    }
    return false;
}

/* The number behind `key`, or, without a key, the whole text's. */
static uint64_t fact_number(const char *text, const char *key)
{
    struct str rest = str_from(text), line, name, value;
    while (rest.len) {
        str_split(rest, '\n', &line, &rest);
        uint64_t number;
        if (!key)
            value = line;
        else if (!str_split(line, ' ', &name, &value) || !str_eq(name, str_from(key)))
            continue;
        return str_to_u64(str_trim(value), &number).code ? 0 : number;
    }
    return 0;
}

static const char *const in_memory[]  = { "", "/memory", NULL };
static const char *const in_cpu[]     = { "/cpuacct", "/cpu,cpuacct", "/cpu", NULL };
static const char *const in_unified[] = { "", NULL };
static const char *const in_pids[]    = { "", "/pids", NULL };

static void read_memory(const char *group, const char *name, char *text, struct machine_usage *out)
{
    uint64_t all = 0, droppable = 0;
    if (fact_text(in_memory, group, name, "memory.current", text) ||
        fact_text(in_memory, group, name, "memory.usage_in_bytes", text))
        all = fact_number(text, NULL);
    if (fact_text(in_memory, group, name, "memory.stat", text))
        droppable = fact_number(text, is_unified() ? "inactive_file" : "total_inactive_file");
    out->memory_bytes = all > droppable ? all - droppable : 0;
    if (fact_text(in_memory, group, name, "memory.events", text) ||
        fact_text(in_memory, group, name, "memory.oom_control", text))
        out->oom_kills = (uint32_t)fact_number(text, "oom_kill");
}

void cgroup_read(const char *group, const char *name, struct machine_usage *out, bool *found)
{
    char text[FACT_BYTES_MAX];
    *out = (struct machine_usage){ 0 };
    read_memory(group, name, text, out);
    if (is_unified() && fact_text(in_unified, group, name, "cpu.stat", text))
        out->cpu_us = fact_number(text, "usage_usec");
    else if (fact_text(in_cpu, group, name, "cpuacct.usage", text))
        out->cpu_us = fact_number(text, NULL) / 1000;
    *found = fact_text(in_pids, group, name, "pids.current", text);
    if (*found) out->processes = (uint32_t)fact_number(text, NULL);
}

/* ---- its end --------------------------------------------------------------------------------- */

/* Containers make groups below theirs if they can, so a group is a tree. Calls `each` on the deepest first. */
typedef bool (*on_group)(const char *path);

static bool walk(const char *path, on_group each)
{
    DIR *folder = opendir(path);
    if (!folder) return true;
    bool well = true;
    for (const struct dirent *e; (e = readdir(folder));) {
        if (e->d_type != DT_DIR || e->d_name[0] == '.') continue;
        char below[RUNTIME_PATH_TEXT];
        if (strlen(path) + strlen(e->d_name) + 2 > sizeof below) continue;
        path_write(below, "%s/%s", path, e->d_name);
        well = walk(below, each) && well;
    }
    closedir(folder);
    return each(path) && well;
}

/* True if nothing was in it, or it is not there. */
static bool kill_all(const char *path)
{
    char procs[RUNTIME_PATH_TEXT];
    if (strlen(path) + 16 > sizeof procs) return false;
    path_write(procs, "%s/cgroup.procs", path);
    FILE *list = fopen(procs, "re");
    if (!list) return errno == ENOENT;
    int  pid;
    bool empty = true;
    while (fscanf(list, "%d", &pid) == 1) {
        empty = false;
        if (pid > 1) kill(pid, SIGKILL); /* it is in the group at this moment */
    }
    fclose(list);
    return empty;
}

static bool remove_group(const char *path)
{
    return rmdir(path) == 0 || errno == ENOENT;
}

static bool until(const char *group, const char *name, on_group each, uint32_t timeout_ms)
{
    struct hierarchies h;
    hierarchies_read(&h);
    for (uint32_t waited = 0;; waited += WAIT_MS) {
        bool well = true;
        for (size_t i = 0; i < h.count; i++) {
            char path[RUNTIME_PATH_TEXT];
            path_write(path, "%s/%s/%s", h.path[i], group, name);
            well = walk(path, each) && well;
        }
        if (well || waited >= timeout_ms) return well;
        nanosleep(&(struct timespec){ 0, WAIT_MS * 1000000 }, NULL);
    }
}

bool cgroup_kill(const char *group, const char *name, uint32_t timeout_ms)
{
    return until(group, name, kill_all, timeout_ms);
}

bool cgroup_remove(const char *group, const char *name, uint32_t timeout_ms)
{
    return until(group, name, remove_group, timeout_ms);
}

void cgroup_remove_parent(const char *group)
{
    struct hierarchies h;
    hierarchies_read(&h);
    for (size_t i = 0; i < h.count; i++) {
        char path[RUNTIME_PATH_TEXT];
        path_write(path, "%s/%s", h.path[i], group);
        rmdir(path); /* stays if it is in use */
    }
}
