/* machine.h: what this machine is, and what keeps it from serving. */
#ifndef RUNTIME_MACHINE_H
#define RUNTIME_MACHINE_H

#include "cluster/assign.h"
#include "runtime.h"

/* CPUs this process may use and their model, memory (of the machine, or of the cgroup namespace if that has
 * less), what is free where the state folder is, OS, architecture, GPUs. Without NVIDIA's library there are no GPUs; a
 * GPU that does not answer is left out. They are counted once a runtime: container_start knows them by the same
 * numbers. The first time it takes up to some seconds, where the driver sleeps. */
void machine_read(struct runtime *r, struct device_specs *out);

/* One thing that must be so. */
struct machine_row {
    const char *name; /* "root", "runc", "cgroups" … */
    bool        ok;
    bool        needed;                 /* false: the machine serves without it, less well */
    char        says[RUNTIME_WHY_TEXT]; /* what was found; if not ok, what to do about it */
};

/* Looks at everything a node will need, by doing it: a real container of the host's /usr/bin/true with all the
 * fences is run. on_row once a row, then on_done with whether all needed ones are well. */
struct machine_calls {
    void (*on_row)(void *ctx, const struct machine_row *row);
    void (*on_done)(void *ctx, bool ok);
};
void machine_check(struct runtime *r, const struct machine_calls *calls, void *ctx);

/* What the group of a node has used. Fields that the kernel does not tell are zero. */
struct machine_usage {
    uint64_t cpu_us;
    uint64_t memory_bytes; /* without file pages that can be dropped */
    uint32_t processes;
    uint32_t oom_kills;
};

/* Of cgroup CGROUP/NODE, version 1 or 2. ERR_MISSING: there is none. */
must_check struct err machine_node_usage(struct runtime *r, struct node_id node, struct machine_usage *out);

#endif
