/* image_fetch.c: one image after the other: asked for (its size), fetched, unpacked, put in place. */
#include "container_int.h"
#include "image_int.h"
#include "inside_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MANIFEST_BYTES_MAX (4u << 20) /* what registries allow */
#define ASK_MS_MAX 60000
#define STALL_MS_MAX 180000              /* without … */
#define STALL_BYTES (uint64_t)(1u << 20) /* … so many bytes more */
#define FILES_SPARE 65536 /* of those that the disk can still hold: an image of empty ones takes no bytes */
#define LOOK_MS 500

struct image_job {
    struct image_job  *next;
    struct runtime    *r;
    struct image_calls calls;
    void              *ctx;
    char               image[ASSIGN_IMAGE_TEXT];
    struct image_name  name;
    enum image_step    step;
    struct child      *child;
    uv_timer_t        *looker;
    uint64_t           total;
    uint64_t           done;
    uint64_t           free_at_start, files_at_start;
    uint64_t           moved_ms, moved_bytes; /* when `done` last grew by enough, and to what */
    struct err         result;
    char               detail[RUNTIME_WHY_TEXT];
};

static const struct err too_large = { ERR_LIMIT, "the image is larger than this machine allows" };

static void job_begin(struct image_job *j);

/* ---- its end --------------------------------------------------------------------------------- */

static void job_over(struct image_job *j, struct err e)
{
    struct runtime    *r     = j->r;
    struct image_calls calls = j->calls;
    r->image_jobs            = j->next;
    if (r->image_jobs) job_begin(r->image_jobs);
    if (!r->closing && calls.on_done) calls.on_done(j->ctx, e, j->detail);
    free(j);
}

static void looker_closed(uv_handle_t *handle)
{
    free(handle);
}

static void looker_stop(struct image_job *j)
{
    if (j->looker) uv_close((uv_handle_t *)j->looker, looker_closed);
    j->looker = NULL;
}

/* Out of the loop's thread: trees, and waiting for the disk. */
static struct err finish(const struct image_job *j)
{
    char part[RUNTIME_PATH_TEXT], path[RUNTIME_PATH_TEXT], to[RUNTIME_PATH_TEXT], facts[ASSIGN_IMAGE_TEXT + 32];
    image_path(j->r, j->name.hex, IMAGE_PART, part);
    path_write(path, "%s/new", part);
    TRY(sys_remove_tree(path));
    TRY(folder_make_passable(path));
    path_write(path, "%s/root", part);
    TRY(image_make_harmless(path));
    path_write(to, "%s/new/rootfs", part);
    if (chmod(path, 0755) < 0 || rename(path, to) < 0) return ERR(CORRUPT, "the image has no root");

    scoped_fd int disk = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk < 0 || syncfs(disk) < 0) return ERR(IO, "the image can't be brought to the disk");
    int len = snprintf(facts, sizeof facts, "{\"image\":\"%s\"}\n", j->image); /* its letters were looked at */
    path_write(path, "%s/new/image.json", part);
    TRY(sys_write_file(path, (struct str){ facts, (size_t)len }, 0644));

    path_write(path, "%s/new", part);
    image_path(j->r, j->name.hex, "", to);
    if (rename(path, to) < 0) return ERR(IO, "the image can't be put in its place");
    return sys_remove_tree(part);
}

static void on_finish(void *ctx)
{
    struct image_job *j = ctx;
    j->result           = finish(j);
}

static void on_finished(void *ctx)
{
    struct image_job *j = ctx;
    job_over(j, j->result);
}

/* ---- looking how far it is, and that it stays within its limits ------------------------------ */

static uint64_t free_bytes(const struct runtime *r)
{
    struct statvfs disk;
    return statvfs(r->state_dir, &disk) == 0 ? (uint64_t)disk.f_bavail * disk.f_frsize : 0;
}

static uint64_t files_free(const struct runtime *r)
{
    struct statvfs disk;
    return statvfs(r->state_dir, &disk) == 0 ? (uint64_t)disk.f_ffree : 0;
}

/* For so many bytes, and any file at all where the disk has a limit of them. */
static bool has_room(const struct runtime *r, uint64_t bytes)
{
    struct statvfs disk;
    if (statvfs(r->state_dir, &disk) < 0) return false;
    bool holds_files = disk.f_files == 0 || disk.f_favail >= FILES_SPARE;
    return holds_files && free_bytes(r) >= r->disk_bytes_spare + bytes;
}

/* Files of any kind that came to the disk since it began; 0 where it has no limit of them, and counts none. */
static uint64_t files_made(const struct image_job *j)
{
    uint64_t now = files_free(j->r);
    return now < j->files_at_start ? j->files_at_start - now : 0;
}

static uint64_t folder_bytes(const char *path)
{
    DIR     *folder = opendir(path);
    uint64_t bytes  = 0;
    for (const struct dirent *d; folder && (d = readdir(folder));) {
        struct stat st;
        if (fstatat(dirfd(folder), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            bytes += (uint64_t)st.st_size;
    }
    if (folder) closedir(folder);
    return bytes;
}

static uint64_t step_bytes(const struct image_job *j)
{
    char path[RUNTIME_PATH_TEXT];
    if (j->step == IMAGE_UNPACKING) { /* a look at a hundred thousand files would take too long */
        uint64_t now = free_bytes(j->r);
        return now < j->free_at_start ? j->free_at_start - now : 0;
    }
    image_path(j->r, j->name.hex, IMAGE_PART "/layout", path);
    uint64_t half_written = folder_bytes(path);
    image_path(j->r, j->name.hex, IMAGE_PART "/layout/blobs/sha256", path);
    return half_written + folder_bytes(path);
}

static void job_stop(struct image_job *j, struct err e)
{
    if (!j->result.code) j->result = e;
    child_stop(j->child);
}

static struct err check_limits(const struct image_job *j, uint64_t bytes)
{
    if (bytes > j->r->image_bytes_max) return too_large;
    if (j->step == IMAGE_UNPACKING && files_made(j) > j->r->image_files_max)
        return ERR(LIMIT, "the image has more files than this machine allows");
    return has_room(j->r, 0) ? OK : ERR(LIMIT, "the disk has no room for the image");
}

static void on_look(uv_timer_t *timer)
{
    struct image_job *j     = timer->data;
    uint64_t          bytes = step_bytes(j), now = sys_boot_now_ms();
    struct err        e = check_limits(j, bytes);
    if (bytes >= j->moved_bytes + STALL_BYTES) {
        j->moved_ms    = now;
        j->moved_bytes = bytes;
    }
    j->done = bytes;
    if (!e.code && j->step == IMAGE_FETCHING && now - j->moved_ms > STALL_MS_MAX)
        e = ERR(IO, "too little of the image comes from the registry");
    if (e.code) job_stop(j, e);
    if (!j->r->closing && j->calls.on_progress) j->calls.on_progress(j->ctx, j->step, j->done, j->total);
}

static void looker_start(struct image_job *j)
{
    looker_stop(j);
    j->looker       = runtime_alloc(sizeof *j->looker);
    j->looker->data = j;
    check(uv_timer_init(j->r->loop, j->looker) == 0);
    check(uv_timer_start(j->looker, on_look, 0, LOOK_MS) == 0);
}

/* ---- the steps ------------------------------------------------------------------------------- */

typedef void (*job_on_done)(void *ctx, const struct child_result *result);

/* Both programs are root and read what strangers made. What skopeo is asked first needs no folder. */
static void job_run(struct image_job *j, enum image_step step, const char *const *args, uint32_t timeout_ms,
                    size_t out_bytes_max, job_on_done on_done)
{
    char        folder[RUNTIME_PATH_TEXT] = "", bytes[24];
    const char *all[CHILD_ARGS_MAX]       = { CHILD_CONFINED, folder, CONFINED_WITH_NETWORK, bytes };
    size_t      count                     = 4;
    for (; *args; args++) all[count++] = *args;
    if (step != IMAGE_ASKING) image_path(j->r, j->name.hex, IMAGE_PART, folder);
    if (step == IMAGE_UNPACKING) all[2] = CONFINED_ALONE;
    snprintf(bytes, sizeof bytes, "%llu", (unsigned long long)j->r->image_bytes_max);

    j->step                        = step;
    j->done                        = 0;
    j->moved_ms                    = sys_boot_now_ms();
    j->moved_bytes                 = 0;
    j->free_at_start               = free_bytes(j->r);
    j->files_at_start              = files_free(j->r);
    const struct child_order order = { .file          = CHILD_SELF,
                                       .args          = all,
                                       .timeout_ms    = timeout_ms,
                                       .extra_fd      = -1,
                                       .out_bytes_max = out_bytes_max,
                                       .on_done       = on_done,
                                       .ctx           = j };
    struct err e = j->r->closing ? ERR(IO, "the runtime is closing") : child_start(j->r, &order, &j->child);
    if (e.code) {
        looker_stop(j);
        job_over(j, e);
        return;
    }
    looker_start(j);
}

static struct err late(const struct image_job *j)
{
    static const struct err errors[IMAGE_STEP_COUNT] = {
        [IMAGE_ASKING]    = { ERR_TIMEOUT, "the registry does not answer" },
        [IMAGE_FETCHING]  = { ERR_TIMEOUT, "the image takes too long to come from its registry" },
        [IMAGE_UNPACKING] = { ERR_TIMEOUT, "the image takes too long to unpack" },
    };
    return errors[j->step];
}

/* What was unpacked of an image that is none is in the way. */
static void on_drop_root(void *ctx)
{
    struct image_job *j = ctx;
    char              root[RUNTIME_PATH_TEXT];
    image_path(j->r, j->name.hex, IMAGE_PART "/root", root);
    if (sys_remove_tree(root).code) return; /* the next collection tries again */
}

static void on_root_dropped(void *ctx)
{
    struct image_job *j = ctx;
    job_over(j, j->result);
}

/* True: go on. Else the job is over, for the reason that we stopped it or that the program gave. */
static bool job_step_is_well(struct image_job *j, const struct child_result *result, struct err failed)
{
    looker_stop(j);
    if (!j->result.code)
        j->result = check_limits(j, step_bytes(j)); /* it may have been faster than our looks */
    if (!j->result.code && result->ended && result->code == 0) return true;
    child_sentence(result->said, j->detail);
    if (result->timed_out) failed = late(j);
    if (!j->result.code) j->result = failed;
    if (j->step == IMAGE_UNPACKING)
        runtime_work(j->r, on_drop_root, on_root_dropped, j);
    else
        job_over(j, j->result);
    return false;
}

static bool says(struct str said, const char *words)
{
    return said.len && memmem(said.ptr, said.len, words, strlen(words));
}

static void on_unpacked(void *ctx, const struct child_result *result)
{
    struct image_job *j = ctx;
    bool full           = says(result->said, "file too large") || says(result->said, "no space left on device");
    if (job_step_is_well(j, result, full ? too_large : ERR(CORRUPT, "the image can't be unpacked")))
        runtime_work(j->r, on_finish, on_finished, j);
}

static void on_room_made(void *ctx)
{
    struct image_job *j = ctx;
    if (j->result.code) {
        job_over(j, j->result);
        return;
    }
    char layout[RUNTIME_PATH_TEXT], root[RUNTIME_PATH_TEXT];
    image_path(j->r, j->name.hex, IMAGE_PART "/layout:image", layout);
    image_path(j->r, j->name.hex, IMAGE_PART "/root", root);
    /* Raw: without a bundle, for which it would read and hash every file once more. */
    const char *const args[] = { "umoci", "raw", "unpack", "--image", layout, root, NULL };
    job_run(j, IMAGE_UNPACKING, args, j->r->image_unpack_ms_max, 0, on_unpacked);
}

/* What an unpacking that was cut short left can't be gone on with. */
static void on_make_room(void *ctx)
{
    struct image_job *j = ctx;
    char              root[RUNTIME_PATH_TEXT];
    image_path(j->r, j->name.hex, IMAGE_PART "/root", root);
    j->result = sys_remove_tree(root);
}

static struct err fetch_error(struct str said)
{
    static const struct {
        const char *words;
        struct err  e;
    } known[] = {
        { "manifest unknown", { ERR_MISSING, "the registry has no such image" } },
        { "name unknown", { ERR_MISSING, "the registry has no such image" } },
        { "does not match provided manifest digest", { ERR_CORRUPT, "the registry sent another image" } },
        { "Digest did not match", { ERR_CORRUPT, "the registry sent another layer" } },
    };
    for (size_t i = 0; i < countof(known); i++)
        if (says(said, known[i].words)) return known[i].e;
    return ERR(IO, "the image can't be fetched from its registry");
}

static void on_fetched(void *ctx, const struct child_result *result)
{
    struct image_job *j = ctx;
    if (job_step_is_well(j, result, fetch_error(result->said)))
        runtime_work(j->r, on_make_room, on_room_made, j);
}

/* skopeo keeps whole blobs of an earlier try; its half-written ones have names that nobody takes up again. */
static void drop_half_written(const char *layout)
{
    DIR *folder = opendir(layout);
    for (const struct dirent *d; folder && (d = readdir(folder));)
        if (str_starts(str_from(d->d_name), STR("oci-put-blob"))) unlinkat(dirfd(folder), d->d_name, 0);
    if (folder) closedir(folder);
}

static void job_fetch(struct image_job *j)
{
    char part[RUNTIME_PATH_TEXT], from[RUNTIME_PATH_TEXT], layout[RUNTIME_PATH_TEXT],
        to[RUNTIME_PATH_TEXT + 16];
    image_path(j->r, j->name.hex, IMAGE_PART, part);
    struct err e = sys_make_dirs(part, 0700);
    if (e.code) {
        job_over(j, e);
        return;
    }
    path_write(from, "docker://%s", j->image);
    path_write(layout, "%s/layout", part);
    drop_half_written(layout);
    snprintf(to, sizeof to, "oci:%s:image", layout);
    const char *const args[] = { "skopeo",
                                 "copy",
                                 "--quiet",
                                 "--src-no-creds",
                                 j->r->plain_registries ? "--src-tls-verify=false" : "--src-tls-verify=true",
                                 "--retry-times=2",
                                 from,
                                 to,
                                 NULL };
    job_run(j, IMAGE_FETCHING, args, j->r->image_fetch_ms_max, 0, on_fetched);
}

/* The bytes of all that a manifest names; 0 if it names other manifests, one for each kind of machine. */
static uint64_t manifest_bytes(struct str text)
{
    scoped_json json_t *manifest = json_loadb(text.ptr, text.len, 0, NULL);
    uint64_t            bytes    = 0;
    size_t              i;
    json_t             *layer;
    json_array_foreach(json_object_get(manifest, "layers"), i, layer)
    {
        json_int_t size = json_integer_value(json_object_get(layer, "size"));
        if (size > 0 && bytes < INT64_MAX / 2) bytes += (uint64_t)size;
    }
    return bytes;
}

static void on_asked(void *ctx, const struct child_result *result)
{
    struct image_job *j = ctx;
    if (!job_step_is_well(j, result, fetch_error(result->said))) return;
    j->total = manifest_bytes(result->out);
    if (j->total > j->r->image_bytes_max)
        job_over(j, too_large);
    else if (!has_room(j->r, j->total))
        job_over(j, ERR(LIMIT, "the disk has no room for the image"));
    else
        job_fetch(j);
}

static void on_begin(void *ctx)
{
    struct image_job *j = ctx;
    if (j->r->closing || image_is_held(j->r, j->name.hex)) {
        job_over(j, OK);
        return;
    }
    char from[RUNTIME_PATH_TEXT];
    path_write(from, "docker://%s", j->image);
    const char *const args[] = { "skopeo",
                                 "inspect",
                                 "--raw",
                                 "--no-creds",
                                 j->r->plain_registries ? "--tls-verify=false" : "--tls-verify=true",
                                 "--retry-times=2",
                                 from,
                                 NULL };
    job_run(j, IMAGE_ASKING, args, ASK_MS_MAX, MANIFEST_BYTES_MAX, on_asked);
}

static void job_begin(struct image_job *j)
{
    runtime_soon(j->r, on_begin, j);
}

bool image_is_asked_for(const struct runtime *r, const char *hex)
{
    for (const struct image_job *j = r->image_jobs; j; j = j->next)
        if (strcmp(j->name.hex, hex) == 0) return true;
    return false;
}

struct err image_fetch(struct runtime *r, const char *image, const struct image_calls *calls, void *ctx)
{
    struct image_name name;
    TRY(image_name_read(image, &name));
    size_t             waiting = 0;
    struct image_job **at      = &r->image_jobs;
    for (; *at; at = &(*at)->next) waiting++;
    if (waiting >= IMAGE_WAITING_MAX) return ERR(LIMIT, "too many images wait to be fetched");

    struct image_job *j = runtime_alloc(sizeof *j);
    *j                  = (struct image_job){ .r = r, .calls = *calls, .ctx = ctx, .name = name };
    check(str_copy(str_from(image), j->image, sizeof j->image).code == ERR_NONE);
    *at = j;
    if (!waiting) job_begin(j);
    return OK;
}
