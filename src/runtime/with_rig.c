#include "with_rig_int.h"

#include <ctype.h>
#include <dirent.h>
#include <uv.h>

void rig_open_runtime(struct rig *rig)
{
    const struct runtime_options o = { .state_dir        = rig->state_dir,
                                       .run_dir          = rig->run_dir,
                                       .cgroup           = rig->cgroup,
                                       .oci              = getenv("IONET_TEST_OCI"),
                                       .plain_registries = true };
    assert_ok(net_open(&rig->net));
    assert_ok(runtime_open(rig->net, &o, &rig->r));
}

void rig_name(struct rig *rig, const char *dir)
{
    snprintf(rig->dir, sizeof rig->dir, "%s", dir);
    snprintf(rig->run_dir, sizeof rig->run_dir, "%s/run", dir);
    snprintf(rig->state_dir, sizeof rig->state_dir, "%s/state", dir);
    snprintf(rig->root, sizeof rig->root, "%s/root", dir);
    snprintf(rig->cgroup, sizeof rig->cgroup, "ionet-test-%s", dir + strlen(dir) - 6);
    for (char *c = rig->cgroup; *c; c++) *c = (char)tolower(*c);
}

void rig_open(struct rig *rig)
{
    char        dir[256];
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/ionet-runtime-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0711), 0);
    rig_name(rig, dir);
    assert_int_equal(mkdir(rig->root, 0755), 0);
    assert_int_equal(chmod(rig->root, 0755), 0); /* whatever the umask is */
    static const char *const links[] = { "bin", "lib", "lib64" };
    for (size_t i = 0; i < countof(links); i++) {
        char path[400], to[16];
        snprintf(path, sizeof path, "%s/%s", rig->root, links[i]);
        snprintf(to, sizeof to, "usr/%s", links[i]);
        assert_int_equal(symlink(to, path), 0);
    }
    rig_open_runtime(rig);
}

void rig_turn(struct rig *rig)
{
    uv_run(net_uv_loop(rig->net), UV_RUN_NOWAIT);
    usleep(1000);
}

void rig_until(struct rig *rig, const bool *so)
{
    uint64_t start = sys_boot_now_ms();
    while (!*so) {
        if (sys_boot_now_ms() - start > RIG_MS_MAX) fail_msg("it did not happen in time");
        rig_turn(rig);
    }
}

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

void rig_close_runtime(struct rig *rig)
{
    bool closed = false;
    runtime_close(rig->r, on_closed, &closed);
    rig_until(rig, &closed);
    net_close(rig->net);
    rig->r   = NULL;
    rig->net = NULL;
}

void rig_on_err(void *ctx, struct err e)
{
    struct rig_answer *a = ctx;
    a->done              = true;
    a->e                 = e;
}

struct node_id rig_node(struct rig *rig)
{
    static const struct netns_sysctl retries = { "ipv4.tcp_retries2", "6" };
    struct node_id                   node;
    struct rig_answer                made = { 0 };
    sys_random(&node, sizeof node);
    assert_ok(netns_make(rig->r, node, &retries, 1, rig_on_err, &made));
    rig_until(rig, &made.done);
    assert_ok(made.e);
    return node;
}

void rig_clean(struct rig *rig, struct node_id node)
{
    struct rig_answer cleaned = { 0 };
    assert_ok(container_clean(rig->r, node, rig_on_err, &cleaned));
    rig_until(rig, &cleaned.done);
    assert_ok(cleaned.e);
}

void rig_close(struct rig *rig)
{
    struct container_found found;
    while (container_list(rig->r, &found, 1)) rig_clean(rig, found.node);
    rig_close_runtime(rig);
    assert_ok(sys_remove_tree(rig->dir));
}

static void on_started(void *ctx)
{
    ((struct rig_run *)ctx)->started = true;
}

static void on_ended(void *ctx, const struct container_end *end)
{
    struct rig_run *run = ctx;
    assert_false(run->ended);
    run->ended = true;
    run->end   = *end;
}

const struct container_calls rig_calls = { on_started, on_ended };

static const struct container_mount mounts[] = {
    { .kind = CONTAINER_BIND, .target = "/usr", .source = "/usr" },
    { .kind = CONTAINER_TMPFS, .target = "/tmp", .bytes = 1 << 20, .mode = 01777 },
    { .kind   = CONTAINER_TMPFS,
      .target = "/home/user",
      .bytes  = 1 << 20,
      .mode   = 0700,
      .exec   = true,
      .owned  = true },
};

static const char *const container_env[] = { "PATH=/usr/bin:/bin", "COLOUR=blue" };

struct container_spec rig_spec(struct rig *rig, struct node_id node, const char *script, const char **args)
{
    args[0] = "/bin/sh";
    args[1] = "-c";
    args[2] = script;
    return (struct container_spec){
        .node          = node,
        .incarnation   = 7,
        .root          = rig->root,
        .hostname      = "node-7",
        .hosts         = "10.99.0.2 other\n",
        .args          = args,
        .args_count    = 3,
        .env           = container_env,
        .env_count     = countof(container_env),
        .cwd           = "/home/user",
        .uid           = 1000,
        .mounts        = mounts,
        .mounts_count  = countof(mounts),
        .memory_bytes  = 64u << 20,
        .cpus_milli    = 1000,
        .processes_max = 64,
        .files_max     = 1024,
    };
}

void rig_start(struct rig *rig, const struct container_spec *s, struct rig_run *run)
{
    *run = (struct rig_run){ 0 };
    assert_ok(container_start(rig->r, s, &rig_calls, run, &run->c));
}

void rig_run_script(struct rig *rig, struct node_id node, const char *script, struct rig_run *run,
                    char log[CONTAINER_LOG_END_BYTES])
{
    const char           *args[3];
    struct container_spec s = rig_spec(rig, node, script, args);
    rig_start(rig, &s, run);
    rig_until(rig, &run->ended);
    container_log_end(rig->r, node, log);
}

void rig_start_script(struct rig *rig, struct node_id node, const char *script, struct rig_run *run)
{
    const char           *args[3];
    struct container_spec s = rig_spec(rig, node, script, args);
    rig_start(rig, &s, run);
    rig_until(rig, &run->started);
}

void rig_wait_log(struct rig *rig, struct node_id node, const char *part)
{
    char     log[CONTAINER_LOG_END_BYTES];
    uint64_t start = sys_boot_now_ms();
    for (;;) {
        rig_turn(rig);
        container_log_end(rig->r, node, log);
        if (strstr(log, part)) return;
        if (sys_boot_now_ms() - start > RIG_MS_MAX) fail_msg("the log has no \"%s\":\n%s", part, log);
        usleep(5000);
    }
}

pid_t rig_find_process(const char *word)
{
    DIR  *all   = opendir("/proc");
    pid_t found = 0;
    for (const struct dirent *d; !found && (d = readdir(all));) {
        char   path[300], text[4096];
        size_t len;
        snprintf(path, sizeof path, "/proc/%s/cmdline", d->d_name);
        if (atoi(d->d_name) <= 0 || sys_read_file(path, text, sizeof text - 1, &len).code) continue;
        if (memmem(text, len, word, strlen(word))) found = atoi(d->d_name);
    }
    closedir(all);
    return found;
}

static void on_line(void *ctx, struct str line)
{
    struct rig_inside *in = ctx;
    size_t             at = strlen(in->lines);
    if (at + line.len + 2 < sizeof in->lines) sprintf(in->lines + at, "%.*s|", (int)line.len, line.ptr);
    in->count++;
    in->one     = true;
    in->two     = in->count >= 2;
    in->longest = line.len > in->longest ? line.len : in->longest;
    if (in->stop_at_line) container_exec_stop(in->x);
}

static void on_inside_done(void *ctx, struct err e, int code, struct str said)
{
    struct rig_inside *in = ctx;
    assert_false(in->done);
    in->done = true;
    in->e    = e;
    in->code = code;
    assert_ok(str_copy(said, in->said, sizeof in->said));
}

const struct container_exec_calls rig_exec_calls = { on_line, on_inside_done };

void rig_exec(struct rig_run *run, const char *script, uint32_t timeout_ms, struct rig_inside *in)
{
    static const char *const env[]  = { "SHAPE=round" };
    const char *const        args[] = { "/bin/sh", "-c", script };
    *in                             = (struct rig_inside){ .stop_at_line = in->stop_at_line };
    assert_ok(container_exec(run->c, args, countof(args), env, countof(env), timeout_ms, &rig_exec_calls, in,
                             &in->x));
}

int rig_begin(void **state)
{
    static struct rig rig;
    rig_open(&rig);
    *state = &rig;
    return 0;
}

int rig_end(void **state)
{
    rig_close(*state);
    return 0;
}
