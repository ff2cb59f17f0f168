/* container.c: the table of nodes; starting, adopting, watching and stopping a container. */
#include "container_int.h"
#include "inside_int.h"
#include "netns.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define LOOK_MS 20 /* how often a starting container is looked at */
#define SLOT_NONE UINT32_MAX
#define TCP_PART 8 /* of a container's memory, beside it: what may wait in its TCP connections */

/* Watches one keeper. Its handles may close after the container's entry was given to another. */
struct watch {
    struct runtime   *r;
    struct container *c; /* null: nobody is to be told any more */
    uv_poll_t         ended;
    uv_timer_t        timer;
    unsigned          open;
    int               keeper; /* pidfds, or -1 */
    int               init;
    pid_t             keeper_pid;
    bool              has_poll;
    bool              stopping;
    uint64_t          kill_ms; /* when the grace is over */
};

static void watch_turn(struct watch *w);

/* ---- the table ------------------------------------------------------------------------------- */

struct container *node_find(struct runtime *r, struct node_id node)
{
    for (size_t i = 0; i < RUNTIME_NODES_MAX; i++)
        if (r->nodes[i].state != NODE_NONE && id_eq(r->nodes[i].node.id, node.id)) return &r->nodes[i];
    return NULL;
}

static struct container *node_add(struct runtime *r, struct node_id node)
{
    for (size_t i = 0; i < RUNTIME_NODES_MAX; i++) {
        struct container *c = &r->nodes[i];
        if (c->state != NODE_NONE) continue;
        *c = (struct container){ .r = r, .node = node, .state = NODE_FOUND, .slot = SLOT_NONE };
        return c;
    }
    return NULL;
}

static bool slot_is_taken(const struct runtime *r, uint32_t slot)
{
    for (size_t i = 0; i < RUNTIME_NODES_MAX; i++)
        if (r->nodes[i].state != NODE_NONE && r->nodes[i].slot == slot) return true;
    return false;
}

/* There are as many as nodes, so one is free. Written down before any of its ids is used. */
static struct err slot_take(struct container *c)
{
    uint32_t slot = 0;
    while (slot_is_taken(c->r, slot)) slot++;
    char        path[RUNTIME_PATH_TEXT], number[16];
    struct text t = TEXT_IN(number);
    text_add_u64(&t, slot);
    node_path(c->r, c->node, NULL, path);
    TRY(folder_make_passable(path));
    node_path(c->r, c->node, NODE_FILE_SLOT, path);
    TRY(sys_write_file(path, text_str(&t), 0600));
    c->slot = slot;
    return OK;
}

struct err node_prepare(struct runtime *r, struct node_id node, struct container **out)
{
    struct container *c = node_find(r, node);
    if (c && c->state == NODE_CLEANING) return ERR(CONFLICT, "the node is being cleaned");
    if (!c) c = node_add(r, node);
    if (!c) return ERR(LIMIT, "this machine holds as many nodes as it may");
    if (c->slot == SLOT_NONE) TRY(slot_take(c)); /* after a failure what there is of it waits to be cleaned */
    *out = c;
    return OK;
}

/* A folder without the number was made by a process that was killed right then: nothing used its ids. */
static struct err load_one(struct runtime *r, struct node_id node)
{
    struct container *c = node_add(r, node);
    if (!c) return ERR(LIMIT, "the folder of nodes holds more than may be held at once");
    char                path[RUNTIME_PATH_TEXT], number[16];
    size_t              len;
    uint64_t            slot;
    struct bundle_facts facts;
    node_path(r, node, NODE_FILE_SLOT, path);
    if (!sys_read_file(path, number, sizeof number, &len).code) {
        TRY(str_to_u64((struct str){ number, len }, &slot));
        if (slot >= RUNTIME_NODES_MAX) return ERR(CORRUPT, "a node has user ids that are not ours");
        c->slot = (uint32_t)slot;
    }
    if (!bundle_read(r, node, &facts).code) c->incarnation = facts.incarnation;
    return OK;
}

struct err nodes_load(struct runtime *r)
{
    char path[RUNTIME_PATH_TEXT];
    path_write(path, "%s/nodes", r->run_dir);
    DIR *folder = opendir(path);
    if (!folder) return ERR(IO, "the folder of nodes can't be read");
    struct err e = OK;
    for (const struct dirent *d; !e.code && (d = readdir(folder));) {
        struct node_id node;
        if (!id_read(str_from(d->d_name), &node.id).code) e = load_one(r, node);
    }
    closedir(folder);
    return e;
}

bool nodes_use(struct runtime *r, const char *root)
{
    for (size_t i = 0; i < RUNTIME_NODES_MAX; i++) {
        struct bundle_facts facts;
        if (r->nodes[i].state != NODE_NONE && bundle_read(r, r->nodes[i].node, &facts).code == ERR_NONE &&
            strcmp(facts.root, root) == 0)
            return true;
    }
    return false;
}

/* ---- its watch ------------------------------------------------------------------------------- */

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;
    if (--w->open) return;
    sys_close(&w->keeper);
    sys_close(&w->init);
    runtime_release(w->r);
    free(w);
}

static void watch_close(struct watch *w)
{
    w->c = NULL;
    if (w->has_poll) uv_close((uv_handle_t *)&w->ended, on_watch_closed);
    uv_close((uv_handle_t *)&w->timer, on_watch_closed);
}

void container_forget(struct container *c)
{
    execs_stop(c);
    out_stop(c);
    if (c->watch) watch_close(c->watch);
    c->watch = NULL;
    c->calls = (struct container_calls){ 0 };
}

static void on_look(uv_timer_t *timer)
{
    watch_turn(timer->data);
}

static void on_keeper_ended(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    check(uv_poll_stop(poll) == 0);
    watch_turn(poll->data);
}

static struct watch *watch_open(struct container *c)
{
    struct watch *w = runtime_alloc(sizeof *w);
    w->r            = c->r;
    w->c            = c;
    w->keeper       = -1;
    w->init         = -1;
    w->open         = 1;
    w->timer.data   = w;
    runtime_hold(c->r);
    check(uv_timer_init(c->r->loop, &w->timer) == 0);
    check(uv_timer_start(&w->timer, on_look, 0, LOOK_MS) == 0);
    c->watch = w;
    return w;
}

/* Finds the keeper, and its end by a descriptor. It lives if it holds the lock after we have that. */
static void find_keeper(struct watch *w, const char *folder)
{
    w->keeper_pid = process_pid_in(folder, KEEPER_FILE_PID);
    w->keeper     = process_open(w->keeper_pid);
    if (w->keeper < 0) return;
    if (!keeper_lives(folder)) {
        sys_close(&w->keeper);
        return;
    }
    w->ended.data = w;
    if (uv_poll_init(w->r->loop, &w->ended, w->keeper)) return; /* the timer goes on looking */
    w->has_poll = true;
    w->open++;
    check(uv_poll_start(&w->ended, UV_READABLE, on_keeper_ended) == 0);
}

static void find_init(struct watch *w, const char *folder)
{
    pid_t pid = process_pid_in(folder, KEEPER_FILE_STARTED);
    if (pid > 1) w->init = process_open_child(pid, w->keeper_pid);
}

/* ---- its end --------------------------------------------------------------------------------- */

/* What the OCI runtime wrote to its log last: {"level":"error","msg":"…"}. */
static void oci_sentence(const char *folder, char out[RUNTIME_WHY_TEXT])
{
    char   path[RUNTIME_PATH_TEXT], text[16384];
    size_t len;
    path_write(path, "%s/%s", folder, KEEPER_FILE_OCI_LOG);
    struct str rest = { text, 0 }, line;
    if (!sys_read_file(path, text, sizeof text, &len).code) rest.len = len;
    while (rest.len) {
        str_split(rest, '\n', &line, &rest);
        scoped_json json_t *row  = json_loadb(line.ptr, line.len, 0, NULL);
        const char         *said = json_string_value(json_object_get(row, "msg"));
        if (said) child_sentence(str_from(said), out);
    }
}

static void end_sentence(struct container_end *end, const char *folder)
{
    int room = (int)sizeof end->why;
    if (!end->known) {
        snprintf(end->why, (size_t)room, "what watched over the container was killed");
    } else if (!end->started) {
        snprintf(end->why, (size_t)room, "the container could not be started");
        oci_sentence(folder, end->why);
        end->known = false;
    } else if (end->oom_kills) {
        snprintf(end->why, (size_t)room, "ended with code %d: out of memory, %u of its processes were killed",
                 end->signal ? 128 + end->signal : end->code, end->oom_kills);
    } else if (end->signal) {
        snprintf(end->why, (size_t)room, "was ended by signal %d", end->signal);
    } else {
        snprintf(end->why, (size_t)room, "ended with code %d", end->code);
    }
}

static void read_end(const struct container *c, const char *folder, struct container_end *end)
{
    char   path[RUNTIME_PATH_TEXT], text[128], name[ID_TEXT + 1];
    size_t len;
    int    started;
    *end = (struct container_end){ 0 };
    path_write(path, "%s/%s", folder, KEEPER_FILE_END);
    if (!sys_read_file(path, text, sizeof text - 1, &len).code) {
        text[len]    = 0;
        end->known   = sscanf(text, "started %d code %d signal %d", &started, &end->code, &end->signal) == 3;
        end->started = end->known && started;
    } else {
        end->started = process_pid_in(folder, KEEPER_FILE_STARTED) > 0;
    }
    struct machine_usage usage;
    bool                 found;
    node_name(c->node, name);
    cgroup_read(c->r->cgroup, name, &usage, &found);
    end->oom_kills = usage.oom_kills;
    end_sentence(end, folder);
}

static void on_over(struct watch *w, const char *folder)
{
    struct container    *c = w->c;
    struct container_end end;
    process_signal(w->init, SIGKILL); /* lives on only if its keeper was killed */
    read_end(c, folder, &end);
    if (c->state == NODE_STARTING && end.started && c->calls.on_started) c->calls.on_started(c->ctx);
    if (w->c != c) return; /* he had enough of it */
    execs_stop(c);
    c->state = NODE_ENDED;
    c->watch = NULL;
    watch_close(w);
    struct container_calls calls = c->calls;
    if (!c->r->closing && calls.on_ended) calls.on_ended(c->ctx, &end);
}

/* One look at how far it is. A keeper that ends is told by its descriptor; everything else by its files. */
static void watch_turn(struct watch *w)
{
    struct container *c = w->c;
    if (!c) return;
    char folder[RUNTIME_PATH_TEXT];
    node_path(w->r, c->node, NULL, folder);
    if (w->keeper < 0) find_keeper(w, folder);
    if (w->keeper < 0 ? !keeper_lives(folder) : process_has_ended(w->keeper)) {
        on_over(w, folder);
        return;
    }
    if (w->init < 0 && w->keeper >= 0) find_init(w, folder);
    bool news = c->state == NODE_STARTING && w->init >= 0;
    if (news) c->state = NODE_RUNNING;
    if (news && w->stopping) process_signal(w->init, SIGTERM);
    if (w->stopping && sys_boot_now_ms() >= w->kill_ms) process_signal(w->init, SIGKILL);
    if (c->state == NODE_RUNNING && !w->stopping && w->has_poll) check(uv_timer_stop(&w->timer) == 0);
    if (news && c->calls.on_started) c->calls.on_started(c->ctx);
}

void container_stop(struct container *c, uint32_t grace_ms)
{
    struct watch *w = c->watch;
    if (!w) return; /* ended already */
    uint64_t at = sys_boot_now_ms() + grace_ms;
    if (w->stopping && at >= w->kill_ms) return;
    w->kill_ms = at;
    if (!w->stopping) process_signal(w->init, SIGTERM);
    w->stopping = true;
    check(uv_timer_start(&w->timer, on_look, 0, LOOK_MS) == 0);
}

/* ---- its start ------------------------------------------------------------------------------- */

/* A keeper as our child: only to be reaped. */
struct keeper_child {
    uv_process_t         process; /* first */
    struct runtime      *r;
    struct keeper_child *next, *prev;
};

static void keeper_let_go(struct keeper_child *k)
{
    if (k->next) k->next->prev = k->prev;
    *(k->prev ? &k->prev->next : &k->r->keepers) = k->next;
    uv_close((uv_handle_t *)&k->process, (uv_close_cb)free);
}

void nodes_close(struct runtime *r)
{
    bool any = false;
    for (size_t i = 0; i < RUNTIME_NODES_MAX; i++) {
        any = any || r->nodes[i].state != NODE_NONE;
        if (r->nodes[i].state != NODE_NONE) container_forget(&r->nodes[i]);
    }
    while (r->keepers) keeper_let_go(r->keepers);
    if (!any) cgroup_remove_parent(r->cgroup);
}

static void on_keeper_exit(uv_process_t *process, int64_t status, int signal)
{
    (void)status;
    (void)signal;
    keeper_let_go(process->data);
}

/* The lock is taken here and handed down, so that there is no moment in which the keeper lives without it. */
static struct err start_keeper(struct runtime *r, struct node_id node, const char *folder)
{
    char path[RUNTIME_PATH_TEXT], state[RUNTIME_PATH_TEXT], name[ID_TEXT + 1];
    path_write(path, "%s/%s", folder, KEEPER_FILE_LOCK);
    path_write(state, "%s/oci", r->run_dir);
    node_name(node, name);
    scoped_fd int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0) return ERR(IO, "a container's lock can't be taken");

    const char *const    args[] = { CHILD_KEEPER, folder, r->oci, state, name, NULL };
    static char *const   env[]  = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL };
    uv_stdio_container_t stdio[] = { { .flags = UV_IGNORE },
                                     { .flags = UV_IGNORE },
                                     { .flags = UV_IGNORE },
                                     { .flags = UV_INHERIT_FD, .data.fd = lock } };
    uv_process_options_t options = { .exit_cb     = on_keeper_exit,
                                     .file        = CHILD_SELF,
                                     .args        = (char **)args,
                                     .env         = (char **)env,
                                     .flags       = UV_PROCESS_DETACHED,
                                     .stdio       = stdio,
                                     .stdio_count = 4 };
    struct keeper_child *k       = runtime_alloc(sizeof *k);
    k->r                         = r;
    k->process.data              = k;
    int rc                       = uv_spawn(r->loop, &k->process, &options);
    k->next                      = r->keepers;
    if (k->next) k->next->prev = k;
    r->keepers = k;
    uv_unref((uv_handle_t *)&k->process); /* it outlives us */
    if (rc) keeper_let_go(k);
    return rc ? ERR(IO, "a container's keeper can't be started") : OK;
}

struct err container_start(struct runtime *r, const struct container_spec *s,
                           const struct container_calls *calls, void *ctx, struct container **out)
{
    struct container *c = node_find(r, s->node);
    if (!c || !netns_is_there(r, s->node)) return ERR(CONFLICT, "the node has no network namespace yet");
    if (c->state != NODE_FOUND || c->incarnation) return ERR(CONFLICT, "the node has a container already");
    if (!s->incarnation) return ERR(INVALID, "a node's incarnations count from 1");
    char folder[RUNTIME_PATH_TEXT], name[ID_TEXT + 1];
    node_path(r, s->node, NULL, folder);
    node_name(s->node, name);
    TRY(bundle_write(r, s, c->slot));
    TRY(cgroup_limit_tcp(r->cgroup, name, s->memory_bytes / TCP_PART));
    TRY(start_keeper(r, s->node, folder));
    c->incarnation = s->incarnation;
    c->state       = NODE_STARTING;
    c->calls       = *calls;
    c->ctx         = ctx;
    watch_open(c);
    *out = c;
    return OK;
}

struct err container_adopt(struct runtime *r, struct node_id node, uint64_t incarnation,
                           const struct container_calls *calls, void *ctx, struct container **out)
{
    struct container *c = node_find(r, node);
    if (!c || c->incarnation != incarnation || !incarnation)
        return ERR(MISSING, "there is no such container to take over");
    if (c->state != NODE_FOUND) return ERR(CONFLICT, "the container is held already");
    c->state = NODE_STARTING;
    c->calls = *calls;
    c->ctx   = ctx;
    watch_open(c);
    *out = c;
    return OK;
}

/* ---- what is there --------------------------------------------------------------------------- */

uint32_t container_list(struct runtime *r, struct container_found *out, uint32_t max)
{
    uint32_t count = 0;
    for (size_t i = 0; i < RUNTIME_NODES_MAX && count < max; i++) {
        const struct container *c = &r->nodes[i];
        if (c->state == NODE_NONE || c->state == NODE_CLEANING) continue;
        char folder[RUNTIME_PATH_TEXT];
        node_path(r, c->node, NULL, folder);
        out[count++] = (struct container_found){ c->node, c->incarnation, keeper_lives(folder) };
    }
    return count;
}
