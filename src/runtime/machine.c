/* machine.c: what this machine is. */
#include "machine.h"
#include "container_int.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

#define FACTS_BYTES_MAX (256 * 1024) /* /proc/cpuinfo of a machine with many CPUs; its start is enough */

/* The value of the first line "KEY<blanks>SEPARATOR value" of a text. */
static struct str value_of(struct str text, const char *key, char separator)
{
    struct str line, name, value;
    while (text.len) {
        str_split(text, '\n', &line, &text);
        if (str_split(line, separator, &name, &value) && str_eq(str_trim(name), str_from(key)))
            return str_trim(value);
    }
    return STR("");
}

/* The first part of a file of the kernel's, which has no size. */
static struct str read_start(const char *path, char *room, size_t size)
{
    FILE *f = fopen(path, "re");
    if (!f) return STR("");
    size_t len = fread(room, 1, size, f);
    fclose(f);
    return (struct str){ room, len };
}

static void keep_text(struct str value, char *out, size_t size)
{
    size_t len = value.len < size - 1 ? value.len : size - 1;
    while (len && !str_is_utf8((struct str){ value.ptr, len })) len--;
    memcpy(out, len ? value.ptr : "", len);
    out[len] = 0;
}

static uint64_t read_number(const char *path)
{
    char     room[64];
    uint64_t number;
    return str_to_u64(str_trim(read_start(path, room, sizeof room)), &number).code ? UINT64_MAX : number;
}

static uint64_t memory_bytes(char *room)
{
    uint64_t   kib   = 0, limits[2];
    struct str total = value_of(read_start("/proc/meminfo", room, FACTS_BYTES_MAX), "MemTotal", ':'), number,
               unit;
    str_split(total, ' ', &number, &unit);
    if (str_to_u64(number, &kib).code) kib = 0;
    limits[0]      = read_number("/sys/fs/cgroup/memory.max");
    limits[1]      = read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    uint64_t bytes = kib * 1024;
    for (size_t i = 0; i < countof(limits); i++)
        if (limits[i] < bytes) bytes = limits[i];
    return bytes;
}

static uint32_t cpus(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
}

static void read_gpus(struct runtime *r, struct device_specs *out)
{
    const struct gpus *g = runtime_gpus(r);
    for (uint32_t i = 0; i < g->count && i < ASSIGN_GPUS_MAX; i++) {
        struct observed_gpu *to = &out->gpus[out->gpus_count++];
        keep_text(str_from(g->gpu[i].uuid), to->uuid, sizeof to->uuid);
        keep_text(str_from(g->gpu[i].name), to->chip, sizeof to->chip);
        to->memory_mib = g->gpu[i].memory_mib;
    }
}

void machine_read(struct runtime *r, struct device_specs *out)
{
    scoped_mem char *room = runtime_alloc(FACTS_BYTES_MAX);
    struct utsname   u;
    struct statvfs   disk;
    check(uname(&u) == 0);
    *out              = (struct device_specs){ 0 };
    out->cpus         = cpus();
    out->memory_bytes = memory_bytes(room);
    if (statvfs(r->state_dir, &disk) == 0) out->disk_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;

    struct str model = value_of(read_start("/proc/cpuinfo", room, FACTS_BYTES_MAX), "model name", ':');
    keep_text(model.len ? model : str_from(u.machine), out->cpu_model, sizeof out->cpu_model);
    struct str os = value_of(read_start("/etc/os-release", room, FACTS_BYTES_MAX), "PRETTY_NAME", '=');
    if (os.len >= 2 && os.ptr[0] == '"') os = (struct str){ os.ptr + 1, os.len - 2 };
    keep_text(os.len ? os : str_from(u.sysname), out->os, sizeof out->os);
    keep_text(str_from(u.machine), out->arch, sizeof out->arch);
    read_gpus(r, out);
}

struct err machine_node_usage(struct runtime *r, struct node_id node, struct machine_usage *out)
{
    char name[ID_TEXT + 1];
    bool found;
    node_name(node, name);
    struct machine_usage usage;
    cgroup_read(r->cgroup, name, &usage, &found);
    if (!found) return ERR(MISSING, "the node has no cgroup");
    *out = usage;
    return OK;
}
