/* runtime.c: opening and closing, paths, work beside the loop. */
#include "container_int.h"
#include "runtime_int.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGE_BYTES_DEFAULT (64ull << 30)
#define IMAGE_FILES_DEFAULT (1u << 20)
#define IMAGE_FETCH_MS_DEFAULT (6 * 3600 * 1000)
#define IMAGE_UNPACK_MS_DEFAULT (30 * 60 * 1000)
#define SPARE_BYTES_DEFAULT (2ull << 30)
#define UID_BASE_DEFAULT 0x70000000u
#define DIR_TEXT_MAX 256 /* leaves room in RUNTIME_PATH_TEXT for all that is put behind */

void *runtime_alloc(size_t bytes)
{
    void *memory = calloc(1, bytes);
    check(memory != NULL);
    return memory;
}

void runtime_hold(struct runtime *r)
{
    r->holds++;
}

void runtime_release(struct runtime *r)
{
    check(r->holds > 0);
    if (--r->holds || !r->closing) return;
    runtime_on_closed call = r->on_closed;
    void             *ctx  = r->on_closed_ctx;
    free(r);
    call(ctx);
}

const struct gpus *runtime_gpus(struct runtime *r)
{
    if (!r->gpus_known) gpus_read(&r->gpus);
    r->gpus_known = true;
    return &r->gpus;
}

/* ---- paths ----------------------------------------------------------------------------------- */

void path_write(char out[RUNTIME_PATH_TEXT], const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int len = vsnprintf(out, RUNTIME_PATH_TEXT, format, values);
    va_end(values);
    check(len > 0 && len < RUNTIME_PATH_TEXT);
}

void node_name(struct node_id node, char out[ID_TEXT + 1])
{
    struct text t = { out, 0, ID_TEXT + 1, false };
    id_write(node.id, &t);
    text_z(&t);
}

void node_path(const struct runtime *r, struct node_id node, const char *file, char out[RUNTIME_PATH_TEXT])
{
    char name[ID_TEXT + 1];
    node_name(node, name);
    path_write(out, "%s/nodes/%s%s%s", r->run_dir, name, file ? "/" : "", file ? file : "");
}

/* ---- work ------------------------------------------------------------------------------------ */

struct work {
    uv_work_t       request;
    struct runtime *r;
    runtime_call    work, after;
    void           *ctx;
};

static void on_work(uv_work_t *request)
{
    struct work *w = request->data;
    w->work(w->ctx);
}

static void on_worked(uv_work_t *request, int status)
{
    (void)status; /* never cancelled */
    struct work *w = request->data;
    w->after(w->ctx);
    runtime_release(w->r);
    free(w);
}

void runtime_work(struct runtime *r, runtime_call work, runtime_call after, void *ctx)
{
    struct work *w  = runtime_alloc(sizeof *w);
    *w              = (struct work){ .r = r, .work = work, .after = after, .ctx = ctx };
    w->request.data = w;
    runtime_hold(r);
    check(uv_queue_work(r->loop, &w->request, on_work, on_worked) == 0);
}

struct soon {
    uv_timer_t      timer;
    struct runtime *r;
    runtime_call    call;
    void           *ctx;
};

static void on_soon_closed(uv_handle_t *handle)
{
    struct soon *s = handle->data;
    runtime_release(s->r);
    free(s);
}

static void on_soon(uv_timer_t *timer)
{
    struct soon *s = timer->data;
    uv_close((uv_handle_t *)timer, on_soon_closed);
    s->call(s->ctx);
}

void runtime_soon(struct runtime *r, runtime_call call, void *ctx)
{
    struct soon *s = runtime_alloc(sizeof *s);
    s->r           = r;
    s->call        = call;
    s->ctx         = ctx;
    s->timer.data  = s;
    runtime_hold(r);
    check(uv_timer_init(r->loop, &s->timer) == 0);
    check(uv_timer_start(&s->timer, on_soon, 0, 0) == 0);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Every folder on the way must let others pass: the root of a container is nobody here. */
static struct err check_passable(const char *dir)
{
    char part[RUNTIME_PATH_TEXT];
    TRY(str_copy(str_from(dir), part, sizeof part));
    for (;;) {
        struct stat st;
        if (stat(part, &st) < 0) return ERR(IO, "a folder of the runtime can't be looked at");
        if (!(st.st_mode & S_IXOTH))
            return ERR(DENIED, "a folder above the runtime's is closed to others: chmod o+x all on its way");
        char *slash = strrchr(part, '/');
        if (!slash || slash == part) return OK;
        *slash = 0;
    }
}

struct err folder_make_passable(const char *path)
{
    TRY(sys_make_dirs(path, 0711));
    return chmod(path, 0711) < 0 ? ERR(IO, "a folder's rights can't be set") : OK; /* whatever the umask is */
}

static struct err make_folder(char out[RUNTIME_PATH_TEXT], const char *dir, const char *const *below,
                              size_t count)
{
    if (dir[0] != '/') return ERR(INVALID, "a folder of the runtime is not an absolute path");
    TRY(str_copy(str_from(dir), out, DIR_TEXT_MAX));
    if (access(out, F_OK) < 0)
        TRY(folder_make_passable(out)); /* one that is there stays as its owner wants it */
    TRY(check_passable(out));
    for (size_t i = 0; i < count; i++) {
        char path[RUNTIME_PATH_TEXT];
        path_write(path, "%s/%s", out, below[i]);
        TRY(folder_make_passable(path));
    }
    return OK;
}

bool program_find(const char *name, char out[RUNTIME_PATH_TEXT])
{
    static const char *const folders[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                           "/usr/bin",        "/sbin",          "/bin" };
    if (strchr(name, '/')) {
        path_write(out, "%s", name);
        return access(name, X_OK) == 0;
    }
    for (size_t i = 0; i < countof(folders); i++) {
        path_write(out, "%s/%s", folders[i], name);
        if (access(out, X_OK) == 0) return true;
    }
    return false;
}

static struct err choose_oci(struct runtime *r, const char *wanted)
{
    if (wanted && strlen(wanted) >= DIR_TEXT_MAX) return ERR(INVALID, "the OCI runtime's path is too long");
    if (wanted ? program_find(wanted, r->oci) : program_find("runc", r->oci) || program_find("crun", r->oci))
        return OK;
    return ERR(MISSING, "neither runc nor crun is installed");
}

static struct err open_all(struct runtime *r, const struct runtime_options *o)
{
    static const char *const state_folders[] = { "images" };
    static const char *const run_folders[]   = { "nodes", "oci" };
    TRY(make_folder(r->state_dir, o->state_dir, state_folders, countof(state_folders)));
    TRY(make_folder(r->run_dir, o->run_dir ? o->run_dir : "/run/ionet", run_folders, countof(run_folders)));
    struct str group = str_from(o->cgroup ? o->cgroup : "ionet");
    if (!str_is_label(group)) return ERR(INVALID, "the cgroup's name is not a label");
    TRY(str_copy(group, r->cgroup, sizeof r->cgroup));
    TRY(choose_oci(r, o->oci));
    TRY(str_copy(str_from(o->wireguard_go ? o->wireguard_go : "wireguard-go"), r->wireguard_go, DIR_TEXT_MAX));
    r->plain_registries    = o->plain_registries;
    r->image_bytes_max     = o->image_bytes_max ? o->image_bytes_max : IMAGE_BYTES_DEFAULT;
    r->image_files_max     = o->image_files_max ? o->image_files_max : IMAGE_FILES_DEFAULT;
    r->image_fetch_ms_max  = o->image_fetch_ms_max ? o->image_fetch_ms_max : IMAGE_FETCH_MS_DEFAULT;
    r->image_unpack_ms_max = o->image_unpack_ms_max ? o->image_unpack_ms_max : IMAGE_UNPACK_MS_DEFAULT;
    r->disk_bytes_spare    = o->disk_bytes_spare ? o->disk_bytes_spare : SPARE_BYTES_DEFAULT;
    r->uid_base            = o->uid_base ? o->uid_base : UID_BASE_DEFAULT;
    return nodes_load(r);
}

struct err runtime_open(struct net *n, const struct runtime_options *o, struct runtime **out)
{
    struct runtime *r = runtime_alloc(sizeof *r);
    r->net            = n;
    r->loop           = net_uv_loop(n);
    struct err e      = open_all(r, o);
    if (e.code) {
        free(r);
        return e;
    }
    runtime_hold(r); /* the owner's, let go by runtime_close */
    *out = r;
    return OK;
}

static void on_closing(void *ctx)
{
    runtime_release(ctx); /* the owner's hold */
}

void runtime_close(struct runtime *r, runtime_on_closed call, void *ctx)
{
    check(!r->closing);
    r->closing       = true;
    r->on_closed     = call;
    r->on_closed_ctx = ctx;
    nodes_close(r);
    children_stop(r);
    runtime_soon(r, on_closing, r);
}

const char *runtime_oci(const struct runtime *r)
{
    const char *slash = strrchr(r->oci, '/');
    return slash ? slash + 1 : r->oci;
}
