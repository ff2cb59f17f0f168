/* test_rig_int.h: a runtime in a folder of its own for tests; its containers have the host's /usr for a root.
 * IONET_TEST_OCI=crun tries another OCI runtime than the first found. */
#ifndef RUNTIME_TEST_RIG_INT_H
#define RUNTIME_TEST_RIG_INT_H

#include "container.h"
#include "image.h"
#include "netns.h"
#include "sys/sys.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#define RIG_MS_MAX 60000

struct rig {
    char            dir[256];
    char            run_dir[300];
    char            state_dir[300];
    char            root[300];
    char            cgroup[64];
    struct net     *net;
    struct runtime *r;
};

#define assert_ok(expression)                                                         \
    do {                                                                              \
        struct err rig_err_ = (expression);                                           \
        if (rig_err_.code) fail_msg("%s: %s", err_name(rig_err_.code), rig_err_.why); \
    } while (0)

static inline void rig_open_runtime(struct rig *rig)
{
    const struct runtime_options o = { .state_dir        = rig->state_dir,
                                       .run_dir          = rig->run_dir,
                                       .cgroup           = rig->cgroup,
                                       .oci              = getenv("IONET_TEST_OCI"),
                                       .plain_registries = true };
    assert_ok(net_open(&rig->net));
    assert_ok(runtime_open(rig->net, &o, &rig->r));
}

static inline void rig_name(struct rig *rig, const char *dir)
{
    snprintf(rig->dir, sizeof rig->dir, "%s", dir);
    snprintf(rig->run_dir, sizeof rig->run_dir, "%s/run", dir);
    snprintf(rig->state_dir, sizeof rig->state_dir, "%s/state", dir);
    snprintf(rig->root, sizeof rig->root, "%s/root", dir);
    snprintf(rig->cgroup, sizeof rig->cgroup, "ionet-test-%s", dir + strlen(dir) - 6);
    for (char *c = rig->cgroup; *c; c++) *c = (char)tolower(*c);
}

static inline void rig_open(struct rig *rig)
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

static inline void rig_turn(struct rig *rig)
{
    uv_run(net_uv_loop(rig->net), UV_RUN_NOWAIT);
    usleep(1000);
}

/* Runs the loop until it is so; a test that waits too long has failed. */
static inline void rig_until(struct rig *rig, const bool *so)
{
    uint64_t start = sys_boot_now_ms();
    while (!*so) {
        if (sys_boot_now_ms() - start > RIG_MS_MAX) fail_msg("it did not happen in time");
        rig_turn(rig);
    }
}

static inline void rig_on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static inline void rig_close_runtime(struct rig *rig)
{
    bool closed = false;
    runtime_close(rig->r, rig_on_closed, &closed);
    rig_until(rig, &closed);
    net_close(rig->net);
    rig->r   = NULL;
    rig->net = NULL;
}

struct rig_answer {
    bool       done;
    struct err e;
    int        fd;
};

static inline void rig_on_err(void *ctx, struct err e)
{
    struct rig_answer *a = ctx;
    a->done              = true;
    a->e                 = e;
}

static inline struct node_id rig_node(struct rig *rig)
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

static inline void rig_clean(struct rig *rig, struct node_id node)
{
    struct rig_answer cleaned = { 0 };
    assert_ok(container_clean(rig->r, node, rig_on_err, &cleaned));
    rig_until(rig, &cleaned.done);
    assert_ok(cleaned.e);
}

/* A failed test leaves its nodes; they end here. */
static inline void rig_close(struct rig *rig)
{
    struct container_found found;
    while (container_list(rig->r, &found, 1)) rig_clean(rig, found.node);
    rig_close_runtime(rig);
    assert_ok(sys_remove_tree(rig->dir));
}

/* What a container did. */
struct rig_run {
    bool                 started, ended;
    struct container_end end;
    struct container    *c;
};

static inline void rig_on_started(void *ctx)
{
    ((struct rig_run *)ctx)->started = true;
}

static inline void rig_on_ended(void *ctx, const struct container_end *end)
{
    struct rig_run *run = ctx;
    assert_false(run->ended);
    run->ended = true;
    run->end   = *end;
}

static const struct container_calls rig_calls = { rig_on_started, rig_on_ended };

static const struct container_mount rig_mounts[] = {
    { .kind = CONTAINER_BIND, .target = "/usr", .source = "/usr" },
    { .kind = CONTAINER_TMPFS, .target = "/tmp", .bytes = 1 << 20, .mode = 01777 },
    { .kind   = CONTAINER_TMPFS,
      .target = "/home/user",
      .bytes  = 1 << 20,
      .mode   = 0700,
      .exec   = true,
      .owned  = true },
};

static const char *const rig_env[] = { "PATH=/usr/bin:/bin", "COLOUR=blue" };

/* A shell script in a container of the host's /usr. `args` has room for three. */
static inline struct container_spec rig_spec(struct rig *rig, struct node_id node, const char *script,
                                             const char **args)
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
        .env           = rig_env,
        .env_count     = countof(rig_env),
        .cwd           = "/home/user",
        .uid           = 1000,
        .mounts        = rig_mounts,
        .mounts_count  = countof(rig_mounts),
        .memory_bytes  = 64u << 20,
        .cpus_milli    = 1000,
        .processes_max = 64,
        .files_max     = 1024,
    };
}

static inline void rig_start(struct rig *rig, const struct container_spec *s, struct rig_run *run)
{
    *run = (struct rig_run){ 0 };
    assert_ok(container_start(rig->r, s, &rig_calls, run, &run->c));
}

/* Runs a script to its end, gives the end of its log; the node is still to be cleaned. */
static inline void rig_run_script(struct rig *rig, struct node_id node, const char *script, struct rig_run *run,
                                  char log[CONTAINER_LOG_END_BYTES])
{
    const char           *args[3];
    struct container_spec s = rig_spec(rig, node, script, args);
    rig_start(rig, &s, run);
    rig_until(rig, &run->ended);
    container_log_end(rig->r, node, log);
}

#define assert_has(text, part)                                              \
    do {                                                                    \
        if (!strstr(text, part)) fail_msg("no \"%s\" in:\n%s", part, text); \
    } while (0)
#define assert_lacks(text, part)                                        \
    do {                                                                \
        if (strstr(text, part)) fail_msg("\"%s\" in:\n%s", part, text); \
    } while (0)

#endif
