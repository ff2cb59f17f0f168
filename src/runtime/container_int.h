/* container_int.h: what the files about containers share. */
#ifndef RUNTIME_CONTAINER_INT_H
#define RUNTIME_CONTAINER_INT_H

#include "container.h"
#include "machine.h"
#include "runtime_int.h"

#include <jansson.h>
#include <sys/types.h>

/* Jansson's values, released at the end of a scope. */
void json_release(json_t **value);
#define scoped_json __attribute__((cleanup(json_release)))

/* ---- the table of nodes (container.c) -------------------------------------------------------- */

must_check struct err nodes_load(struct runtime *r); /* what is in RUN/nodes */
void                  nodes_close(struct runtime *r);
struct container     *node_find(struct runtime *r, struct node_id node); /* null if there is none */
/* The node's entry, folder and user ids, made if they are not there; for as long as it is not cleaned. */
must_check struct err node_prepare(struct runtime *r, struct node_id node, struct container **out);
void container_forget(struct container *c); /* no callback of it any more; its handles close; the entry stays */
bool nodes_use(struct runtime *r, const char *root); /* whether a container of this root is there */

/* ---- the bundle (bundle.c) ------------------------------------------------------------------- */

/* Writes config.json and the files it binds into the node's folder, which is there and empty. */
must_check struct err bundle_write(struct runtime *r, const struct container_spec *s, uint32_t slot);

struct bundle_facts {
    uint64_t incarnation;
    char     root[RUNTIME_PATH_TEXT];
};
must_check struct err bundle_read(const struct runtime *r, struct node_id node, struct bundle_facts *out);

/* A list of texts; null if one of them is none. */
json_t *bundle_strings(const char *const *list, size_t count);

/* The file or folder `target` in the root, made if it is not there; no link leads out of the root. */
must_check struct err bundle_make_point(const char *root, const char *target, bool folder);

/* ---- seccomp (seccomp.c) --------------------------------------------------------------------- */

/* The list of containers-common as OCI wants it, less all that needs a capability or opens what a stranger should
 * not try: namespaces, mounts, keys, io_uring, sockets of rare kinds, calls of 32 bits. */
must_check struct err seccomp_read(json_t **out);

/* ---- GPUs in a container (gpu_bundle.c) ------------------------------------------------------ */

must_check struct err gpu_add(struct runtime *r, const struct container_spec *s, json_t *config);

/* ---- processes (process.c) ------------------------------------------------------------------- */

/* A descriptor of the process if it is a child of `parent` at this moment, else -1. */
int  process_open_child(pid_t pid, pid_t parent);
int  process_open(pid_t pid);
void process_signal(int pidfd, int signal);
bool process_has_ended(int pidfd);
void process_kill_below(pid_t parent); /* SIGKILL to its children, and theirs */
/* A number in a file of a node's folder; 0 if it is not there. */
pid_t process_pid_in(const char *folder, const char *file);
/* Whether the keeper of a node's folder lives. */
bool keeper_lives(const char *folder);

/* ---- cgroups (cgroup.c) ---------------------------------------------------------------------- */

bool        cgroup_counts_swap(void); /* whether a limit of swap can be set */
const char *cgroup_missing(void);     /* a controller that we need and is not there; null if none */
/* What waits in its TCP connections, where that does not count as memory (control groups of version 1). */
struct err cgroup_limit_tcp(const char *group, const char *name, uint64_t bytes);
void       cgroup_read(const char *group, const char *name, struct machine_usage *out, bool *found);
/* For threads: SIGKILL to all in it until none is left, then removes it from every hierarchy. */
bool cgroup_kill(const char *group, const char *name, uint32_t timeout_ms);
bool cgroup_remove(const char *group, const char *name, uint32_t timeout_ms);
void cgroup_remove_parent(const char *group); /* if it is empty */

/* ---- programs inside (exec.c) ---------------------------------------------------------------- */

void execs_stop(struct container *c);

/* ---- its way out (out.c) --------------------------------------------------------------------- */

void out_stop(struct container *c);

#endif
