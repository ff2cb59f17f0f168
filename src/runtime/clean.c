/* clean.c: the end of a node. It is done by a thread, step by step and with a deadline for each, in whatever state the
 * node is; one at a time. What is there no more is well, so a clean that was cut short is simply done again. */
#include "container_int.h"
#include "inside_int.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#define KEEPER_MS_MAX 3000 /* for it to write down the end, once its container was killed */
#define GROUP_MS_MAX 5000  /* for what was killed to be gone */
#define OCI_MS_MAX 15000

struct clean {
    struct clean        *next;
    struct runtime      *r;
    struct node_id       node;
    container_on_cleaned call;
    void                *ctx;
    struct err           result;
    char                 name[ID_TEXT + 1];
    char                 folder[RUNTIME_PATH_TEXT];
    char                 oci_dir[RUNTIME_PATH_TEXT];
    char                 oci_state[RUNTIME_PATH_TEXT];
};

static bool wait_for_keeper(const char *folder, uint32_t timeout_ms)
{
    for (uint32_t waited = 0; keeper_lives(folder); waited += 5) {
        if (waited >= timeout_ms) return false;
        nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
    }
    return true;
}

/* Its container first, so that it ends by itself; if there is none yet, the OCI runtime with it. */
static bool end_keeper(const char *folder)
{
    if (!keeper_lives(folder)) return true;
    pid_t         keeper = process_pid_in(folder, KEEPER_FILE_PID);
    scoped_fd int fd     = process_open(keeper);
    scoped_fd int init   = process_open_child(process_pid_in(folder, KEEPER_FILE_STARTED), keeper);
    process_signal(init, SIGKILL);
    if (init >= 0 && wait_for_keeper(folder, KEEPER_MS_MAX)) return true;
    if (!keeper_lives(folder)) return true;
    process_kill_below(keeper);
    process_signal(fd, SIGKILL);
    return wait_for_keeper(folder, KEEPER_MS_MAX);
}

/* Of a namespace; more than one mount if two made it at once. */
static void let_go_of(const char *folder, const char *file)
{
    char path[RUNTIME_PATH_TEXT];
    path_write(path, "%s/%s", folder, file);
    while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0) continue;
}

static struct err clean_node(const struct clean *k)
{
    bool well = end_keeper(k->folder);
    well      = cgroup_kill(k->r->cgroup, k->name, GROUP_MS_MAX) && well;
    if (access(k->oci_state, F_OK) == 0) {
        const char *const args[] = { k->r->oci, "--root", k->oci_dir, "delete", "--force", k->name, NULL };
        child_run_blocking(args, OCI_MS_MAX); /* what it leaves is removed below */
    }
    well = cgroup_kill(k->r->cgroup, k->name, GROUP_MS_MAX) && well;
    if (!well) return ERR(IO, "a process of a node can't be ended");
    if (!cgroup_remove(k->r->cgroup, k->name, GROUP_MS_MAX))
        return ERR(IO, "a cgroup of a node can't be removed");
    TRY(sys_remove_tree(k->oci_state));
    let_go_of(k->folder, NODE_FILE_NET);
    let_go_of(k->folder, NODE_FILE_USER);
    return sys_remove_tree(k->folder);
}

static void on_clean(void *ctx)
{
    struct clean *k = ctx;
    k->result       = clean_node(k);
}

static void clean_next(struct runtime *r);

static void on_cleaned(void *ctx)
{
    struct clean     *k = ctx;
    struct runtime   *r = k->r;
    struct container *c = node_find(r, k->node);
    if (c && k->result.code)
        c->state = NODE_FOUND;
    else if (c)
        *c = (struct container){ 0 };
    r->cleans = k->next;
    clean_next(r);
    if (!r->closing && k->call) k->call(k->ctx, k->result);
    free(k);
}

static void clean_next(struct runtime *r)
{
    if (r->cleans) runtime_work(r, on_clean, on_cleaned, r->cleans);
}

struct err container_clean(struct runtime *r, struct node_id node, container_on_cleaned call, void *ctx)
{
    struct container *c = node_find(r, node);
    if (c && c->state == NODE_CLEANING) return ERR(CONFLICT, "the node is being cleaned already");
    if (c) {
        container_forget(c);
        c->state = NODE_CLEANING;
    }
    struct clean *k = runtime_alloc(sizeof *k);
    *k              = (struct clean){ .r = r, .node = node, .call = call, .ctx = ctx };
    node_name(node, k->name);
    node_path(r, node, NULL, k->folder);
    path_write(k->oci_dir, "%s/oci", r->run_dir);
    path_write(k->oci_state, "%s/oci/%s", r->run_dir, k->name);

    struct clean **at    = &r->cleans;
    bool           first = *at == NULL;
    while (*at) at = &(*at)->next;
    *at = k;
    if (first) clean_next(r);
    return OK;
}
