#include "runtime_int.h"
#include "with_shop_int.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

/* What a GPU adds to a container, where an image would lead it elsewhere (CVE-2024-0132: the machine's libraries bound along
 * an image's links). No GPU is here: its device files are made in a /dev of this test's own, of devices that do nothing,
 * and its libraries are files with their names. */

static const struct {
    const char *name;
    unsigned    minor; /* of memory's devices: null, zero … */
} devices[] = {
    { "null", 3 },    { "zero", 5 },    { "full", 7 },      { "random", 8 },
    { "urandom", 9 }, { "nvidia0", 3 }, { "nvidiactl", 5 }, { "nvidia-uvm", 7 },
};

static int begin(void **state)
{
    static struct rig rig;
    umask(022); /* of the images */
    rig_open(&rig);
    assert_int_equal(unshare(CLONE_NEWNS), 0);
    assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    assert_int_equal(mount("none", "/dev", "tmpfs", 0, "mode=0755"), 0);
    for (size_t i = 0; i < countof(devices); i++) {
        char path[64];
        snprintf(path, sizeof path, "/dev/%s", devices[i].name);
        assert_int_equal(mknod(path, S_IFCHR | 0666, makedev(1, devices[i].minor)), 0);
        assert_int_equal(chmod(path, 0666), 0);
    }
    assert_int_equal(mknod("/dev/tty", S_IFCHR | 0666, makedev(5, 0)), 0);
    shop_shell("mkdir %s/libs && echo cuda > %s/libs/libcuda.so.1 && echo ml > %s/libs/libnvidia-ml.so.550 && "
               "ln -s libnvidia-ml.so.550 %s/libs/libnvidia-ml.so.1 && echo of the machine > %s/canary",
               rig.dir, rig.dir, rig.dir, rig.dir, rig.dir);
    rig.r->gpus       = (struct gpus){ .count = 1 };
    rig.r->gpus_known = true;
    snprintf(rig.r->gpus.library_dir, sizeof rig.r->gpus.library_dir, "%s", rig.dir);
    strcat(rig.r->gpus.library_dir, "/libs");
    *state = &rig;
    return 0;
}

/* A container with the GPU, of an image in which `link` leads to `to`. True: it started, and ended well. */
static bool run_with_gpu(struct rig *rig, const char *link, const char *to, const char *script,
                         char log[CONTAINER_LOG_END_BYTES])
{
    static const struct container_mount mounts[] = {
        { .kind = CONTAINER_BIND, .target = "/usr/bin", .source = "/usr/bin" },
        { .kind = CONTAINER_BIND, .target = "/usr/lib", .source = "/usr/lib" },
        { .kind = CONTAINER_BIND, .target = "/usr/lib64", .source = "/usr/lib64" },
        { .kind = CONTAINER_TMPFS, .target = "/home/user", .bytes = 1 << 20, .mode = 0755, .owned = true },
    };
    struct node_id node = rig_node(rig);
    struct rig_run run  = { 0 };
    const char    *args[3];
    const uint32_t first = 0;
    char           root[400];
    snprintf(root, sizeof root, "%s/gpu-root", rig->dir);
    shop_shell("rm -rf %s && mkdir -p %s/usr/local %s/home/user %s/etc && ln -s usr/bin usr/lib usr/lib64 %s/",
               root, root, root, root, root);
    if (link) shop_shell("mkdir -p $(dirname %s/%s) && ln -s %s %s/%s", root, link, to, root, link);
    struct container_spec s = rig_spec(rig, node, script, args);
    s.root                  = root;
    s.mounts                = mounts;
    s.mounts_count          = countof(mounts);
    s.gpus                  = &first;
    s.gpus_count            = 1;
    log[0]                  = 0;
    bool well               = false;
    if (!container_start(rig->r, &s, &rig_calls, &run, &run.c).code) {
        rig_until(rig, &run.ended);
        container_log_end(rig->r, node, log);
        well = run.end.started && !run.end.code && !run.end.signal;
    }
    rig_clean(rig, node);
    return well;
}

static void it_gets_its_device_and_libraries_to_read(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    if (!run_with_gpu(
            *state, NULL, NULL,
            "cd /usr/local/nvidia/lib64 && cat libcuda.so.1 libnvidia-ml.so.1; echo $LD_LIBRARY_PATH; "
            "(echo x > libcuda.so.1; rm libcuda.so.1; touch mine; ln -s / there) 2>/dev/null; ls; "
            "test -c /dev/nvidia0 && head -c 1 /dev/nvidiactl | wc -c",
            log))
        fail_msg("%s", log);
    assert_string_equal(log, "cuda\nml\n/usr/local/nvidia/lib64\nlibcuda.so.1\nlibnvidia-ml.so.1\n1\n");
}

/* Wherever they lead, what is bound are the libraries, inside; or it does not start. */
static void an_images_links_lead_its_libraries_nowhere_outside(void **state)
{
    struct rig *rig = *state;
    char        up[400], script[600];
    snprintf(up, sizeof up, "../../../../../../../../../../..%s", rig->dir);
    snprintf(script, sizeof script,
             "cat /usr/local/nvidia/canary /usr/local/nvidia/lib64/canary %s/canary 2>/dev/null; cat "
             "/usr/local/nvidia/lib64/libcuda.so.1; echo there",
             rig->dir);
    const struct {
        const char *link, *to;
    } rows[] = {
        { "usr/local/nvidia", up },
        { "usr/local/nvidia", rig->dir },
        { "usr/local/nvidia", "/" },
        { "usr/local/nvidia", "/etc" },
        { "usr/local/nvidia", "/proc/self" },
        { "usr/local/nvidia", "/proc/1/root" },
        { "usr/local/nvidia/lib64", rig->dir },
        { "usr/local/nvidia/lib64/libcuda.so.1", "/proc/sys/kernel/core_pattern" },
        { "usr/local", up },
    };
    unsigned started = 0;
    for (size_t i = 0; i < countof(rows); i++) {
        char log[CONTAINER_LOG_END_BYTES];
        started += run_with_gpu(rig, rows[i].link, rows[i].to, script, log);
        assert_lacks(log, "of the machine");
        if (strstr(log, "there") && !strstr(log, "cuda\nthere"))
            fail_msg("%s -> %s: %s", rows[i].link, rows[i].to, log);
    }
    assert_true(started >= 3);
    shop_shell(
        "test \"$(ls %s/libs | tr '\\n' ' ')\" = 'libcuda.so.1 libnvidia-ml.so.1 libnvidia-ml.so.550 ' && "
        "test \"$(cat %s/libs/libcuda.so.1)\" = cuda && test ! -e %s/lib64",
        rig->dir, rig->dir, rig->dir);
}

int main(int argc, char **argv)
{
    runtime_child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_gets_its_device_and_libraries_to_read),
        cmocka_unit_test(an_images_links_lead_its_libraries_nowhere_outside),
    };
    return cmocka_run_group_tests(tests, begin, rig_end);
}
