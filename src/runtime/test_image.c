#include "with_rig_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

/* Images from a real registry on loopback (docker-registry), made here with umoci and pushed with skopeo. */

#define MTIME 1234567890

struct shop {
    struct rig rig;
    char       dir[300];
    pid_t      registry;
    uint16_t   port;
    char       small[ASSIGN_IMAGE_TEXT]; /* a few files */
    char       big[ASSIGN_IMAGE_TEXT];   /* three layers of some MiB of noise */
};

__attribute__((format(printf, 1, 2))) static void shell(const char *format, ...)
{
    char    command[4096];
    va_list values;
    va_start(values, format);
    int len = vsnprintf(command, sizeof command, format, values);
    va_end(values);
    assert_true(len > 0 && (size_t)len < sizeof command);
    if (system(command) != 0) fail_msg("failed: %s", command);
}

static uint16_t free_port(void)
{
    struct sockaddr_in a   = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t          len = sizeof a;
    scoped_fd int      fd  = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    return ntohs(a.sin_port);
}

static bool answers(uint16_t port)
{
    struct sockaddr_in a  = { .sin_family      = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port        = htons(port) };
    scoped_fd int      fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
}

static void start_registry(struct shop *s)
{
    s->port = free_port();
    char config[800], path[400];
    snprintf(path, sizeof path, "%s/registry.yml", s->dir);
    snprintf(config, sizeof config,
             "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: "
             "{rootdirectory: %s/registry}}\n"
             "http: {addr: '127.0.0.1:%u'}\n",
             s->dir, s->port);
    assert_ok(sys_write_file(path, str_from(config), 0600));
    s->registry = fork();
    if (s->registry == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout)) _exit(1);
        execlp("docker-registry", "docker-registry", "serve", path, (char *)NULL);
        _exit(1);
    }
    for (int i = 0; i < 500 && !answers(s->port); i++) usleep(20000);
    assert_true(answers(s->port));
}

static void push(struct shop *s, const char *tag, char out[ASSIGN_IMAGE_TEXT])
{
    char   path[400], digest[128];
    size_t len;
    snprintf(path, sizeof path, "%s/digest", s->dir);
    shell("skopeo copy -q --insecure-policy --dest-tls-verify=false --digestfile %s oci:%s/layout:%s "
          "docker://127.0.0.1:%u/%s",
          path, s->dir, tag, s->port, tag);
    assert_ok(sys_read_file(path, digest, sizeof digest - 1, &len));
    digest[len]    = 0;
    struct str hex = str_trim(str_from(digest));
    snprintf(out, ASSIGN_IMAGE_TEXT, "127.0.0.1:%u/%s@%.*s", s->port, tag, (int)hex.len, hex.ptr);
}

static void make_images(struct shop *s)
{
    const char *d = s->dir;
    shell("umoci init --layout %s/layout && umoci new --image %s/layout:small && "
          "umoci unpack --image %s/layout:small %s/b >/dev/null && cd %s/b/rootfs && mkdir -p home opt etc && "
          "ln -s usr/bin bin && ln -s usr/lib lib && ln -s usr/lib64 lib64 && echo hello > opt/said && "
          "touch -d @%d opt/said && echo secret > etc/shadow && chmod 600 etc/shadow && "
          "umoci repack --image %s/layout:small %s/b",
          d, d, d, d, d, MTIME, d, d);
    for (int i = 0; i < 3; i++)
        shell("head -c 6M /dev/urandom > %s/noise && umoci insert --image %s/layout:%s --tag big %s/noise "
              "/noise%d",
              d, d, i ? "big" : "small", d, i);
    push(s, "small", s->small);
    push(s, "big", s->big);
}

static int open_shop(void **state)
{
    static struct shop s;
    umask(022); /* of what goes into the images */
    rig_open(&s.rig);
    snprintf(s.dir, sizeof s.dir, "%s/shop", s.rig.dir);
    assert_int_equal(mkdir(s.dir, 0700), 0);
    start_registry(&s);
    make_images(&s);
    *state = &s;
    return 0;
}

static int close_shop(void **state)
{
    struct shop *s = *state;
    kill(s->registry, SIGKILL);
    waitpid(s->registry, NULL, 0);
    rig_close(&s->rig);
    return 0;
}

struct fetch {
    bool       done;
    struct err e;
    char       detail[RUNTIME_WHY_TEXT];
    bool       seen[IMAGE_STEP_COUNT];
    uint64_t   total;
};

static void on_progress(void *ctx, enum image_step step, uint64_t done, uint64_t total)
{
    struct fetch *f = ctx;
    assert_false(f->done);
    (void)done;
    f->seen[step] = true;
    f->total      = total;
}

static void on_fetched(void *ctx, struct err e, const char *detail)
{
    struct fetch *f = ctx;
    assert_false(f->done);
    f->done = true;
    f->e    = e;
    snprintf(f->detail, sizeof f->detail, "%s", detail);
}

static const struct image_calls fetch_calls = { on_progress, on_fetched };

static void fetch(struct shop *s, const char *image, struct fetch *f)
{
    *f = (struct fetch){ 0 };
    assert_ok(image_fetch(s->rig.r, image, &fetch_calls, f));
    rig_until(&s->rig, &f->done);
}

static unsigned count_files(struct shop *s)
{
    char command[400], text[64] = "";
    snprintf(command, sizeof command, "ls -A %s/images | wc -l", s->rig.state_dir);
    FILE *f = popen(command, "re");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof text, f));
    pclose(f);
    return (unsigned)strtoul(text, NULL, 10);
}

static void collect_all_but(struct shop *s, const char *keep, unsigned left)
{
    struct wanted_image wanted;
    if (keep) assert_ok(str_copy(str_from(keep), wanted.image, sizeof wanted.image));
    uint64_t start = sys_boot_now_ms();
    while (count_files(s) != left) {
        image_collect(s->rig.r, &wanted, keep ? 1 : 0);
        rig_turn(&s->rig);
        if (sys_boot_now_ms() - start > RIG_MS_MAX) fail_msg("%u are left instead of %u", count_files(s), left);
    }
}

/* ---- the tests ------------------------------------------------------------------------------- */

static void an_image_is_fetched_whole_and_runs(void **state)
{
    struct shop *s = *state;
    struct fetch f;
    char         root[RUNTIME_PATH_TEXT], path[RUNTIME_PATH_TEXT + 32], log[CONTAINER_LOG_END_BYTES];
    assert_int_equal(image_root(s->rig.r, s->small, root).code, ERR_MISSING);
    fetch(s, s->small, &f);
    assert_ok(f.e);
    assert_true(f.seen[IMAGE_ASKING] && f.seen[IMAGE_FETCHING] && f.seen[IMAGE_UNPACKING]);
    assert_ok(image_root(s->rig.r, s->small, root));
    struct stat st;
    snprintf(path, sizeof path, "%s/opt/said", root);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mtime, MTIME); /* Python compares it with what it compiled */
    assert_int_equal(count_files(s), 1);  /* no leavings */

    struct node_id        node = rig_node(&s->rig);
    struct rig_run        run;
    const char           *args[3];
    struct container_spec spec =
        rig_spec(&s->rig, node, "cat /opt/said /etc/shadow; cd /home/user && pwd", args);
    spec.root = root;
    rig_start(&s->rig, &spec, &run);
    rig_until(&s->rig, &run.ended);
    container_log_end(s->rig.r, node, log);
    assert_has(log, "hello\n");
    assert_has(log, "/etc/shadow: Permission denied");
    assert_has(log, "/home/user\n");
    rig_clean(&s->rig, node);
}

static void what_is_held_is_not_fetched_again(void **state)
{
    struct shop *s = *state;
    struct fetch f;
    fetch(s, s->small, &f);
    assert_ok(f.e);
    assert_false(f.seen[IMAGE_ASKING]);
    struct wanted_image list[4];
    assert_int_equal(image_list(s->rig.r, list, countof(list)), 1);
    assert_string_equal(list[0].image, s->small);
}

static void names_that_are_none_are_refused(void **state)
{
    struct shop             *s     = *state;
    struct fetch             f     = { 0 };
    static const char *const bad[] = {
        "",
        "small",
        "127.0.0.1:5000/small:latest",
        "127.0.0.1:5000/small@sha256:abc",
        "--help/small@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "host/../x@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "host/a b@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "host/a@sha256:000000000000000000000000000000000000000000000000000000000000000G",
        "host/a\"@sha256:0000000000000000000000000000000000000000000000000000000000000000",
    };
    for (size_t i = 0; i < countof(bad); i++)
        assert_int_equal(image_fetch(s->rig.r, bad[i], &fetch_calls, &f).code, ERR_INVALID);
}

static void what_the_registry_has_not_is_missing(void **state)
{
    struct shop *s = *state;
    struct fetch f;
    char         name[ASSIGN_IMAGE_TEXT];
    snprintf(name, sizeof name, "127.0.0.1:%u/small@sha256:%064d", s->port, 0);
    fetch(s, name, &f);
    assert_int_equal(f.e.code, ERR_MISSING);
    assert_true(f.detail[0]);
    snprintf(name, sizeof name, "127.0.0.1:%u/nothing@sha256:%064d", s->port, 0);
    fetch(s, name, &f);
    assert_int_equal(f.e.code, ERR_MISSING);
    snprintf(name, sizeof name, "127.0.0.1:%u/small@sha256:%064d", free_port(), 0);
    fetch(s, name, &f);
    assert_int_equal(f.e.code, ERR_IO);
}

/* Other bytes of the same length in the registry's storage, under the old digest. */
static void a_layer_that_is_not_what_its_digest_says_is_refused(void **state)
{
    struct shop *s = *state;
    struct fetch f;
    shell("cd %s/registry/docker/registry/v2/blobs/sha256 && mkdir %s/kept && "
          "for b in $(find . -name data -size +1M | sort | head -1); do cp $b %s/kept/data && echo $b > "
          "%s/kept/name && "
          "dd if=/dev/urandom of=$b bs=4096 seek=20 count=1 conv=notrunc status=none; done",
          s->dir, s->dir, s->dir, s->dir);
    fetch(s, s->big, &f);
    if (f.e.code != ERR_CORRUPT) fail_msg("%s: %s: %s", err_name(f.e.code), f.e.why, f.detail);
    struct wanted_image list[4];
    assert_int_equal(image_list(s->rig.r, list, countof(list)), 1);
    shell("cd %s/registry/docker/registry/v2/blobs/sha256 && cp %s/kept/data $(cat %s/kept/name)", s->dir,
          s->dir, s->dir);
}

static void a_fetch_that_was_cut_short_is_gone_on_with(void **state)
{
    struct shop *s = *state;
    struct fetch f = { 0 };
    collect_all_but(s, s->small, 1);
    shell("cd %s/registry/docker/registry/v2/blobs/sha256 && b=$(find . -name data -size +1M | sort | tail -1) "
          "&& "
          "mv $b %s/away && echo $b > %s/away.name",
          s->dir, s->dir, s->dir);
    fetch(s, s->big, &f); /* two layers of three are there */
    assert_int_not_equal(f.e.code, ERR_NONE);
    char     part[RUNTIME_PATH_TEXT];
    unsigned blobs = 0;
    snprintf(part, sizeof part, "%s/images/%s.part/layout/blobs/sha256", s->rig.state_dir,
             strchr(s->big, '@') + 8);
    char command[700], text[32] = "";
    snprintf(command, sizeof command, "find %s -size +1M | wc -l", part);
    FILE *p = popen(command, "re");
    assert_non_null(fgets(text, sizeof text, p));
    pclose(p);
    blobs = (unsigned)strtoul(text, NULL, 10);
    assert_in_range(blobs, 1, 2);

    /* What is there is taken from there: the registry has lost it in the meantime. */
    shell("cd %s/registry/docker/registry/v2/blobs/sha256 && mv %s/away $(cat %s/away.name) && for b in $(ls "
          "%s); do "
          "[ $(stat -c %%s %s/$b) -gt 1000000 ] && mkdir -p %s/lost && mv $(echo $b | cut -c1-2)/$b/data "
          "%s/lost/$b; done; true",
          s->dir, s->dir, s->dir, part, part, s->dir, s->dir);
    fetch(s, s->big, &f);
    if (f.e.code) fail_msg("%s: %s", f.e.why, f.detail);
    shell("cd %s/registry/docker/registry/v2/blobs/sha256 && for b in $(ls %s/lost); do "
          "mv %s/lost/$b $(echo $b | cut -c1-2)/$b/data; done",
          s->dir, s->dir, s->dir);
    assert_int_equal(count_files(s), 2);
}

static void what_is_too_large_is_not_fetched(void **state)
{
    struct shop *s = *state;
    struct fetch f;
    rig_close_runtime(&s->rig);
    const struct runtime_options o = { .state_dir        = s->rig.state_dir,
                                       .run_dir          = s->rig.run_dir,
                                       .cgroup           = s->rig.cgroup,
                                       .plain_registries = true,
                                       .image_bytes_max  = 8u << 20 };
    assert_ok(net_open(&s->rig.net));
    assert_ok(runtime_open(s->rig.net, &o, &s->rig.r));
    collect_all_but(s, s->small, 1);
    fetch(s, s->big, &f);
    assert_int_equal(f.e.code, ERR_LIMIT);
    assert_false(f.seen[IMAGE_FETCHING]);
    rig_close_runtime(&s->rig);
    rig_open_runtime(&s->rig);
}

static void a_disk_that_runs_out_of_files_takes_no_image(void **state)
{
    struct shop *s = *state;
    struct fetch f;
    char         scarce[400];
    snprintf(scarce, sizeof scarce, "%s/scarce", s->rig.dir);
    shell("mkdir %s && mount -t tmpfs -o size=1g,nr_inodes=60000,mode=0711 none %s", scarce, scarce);
    rig_close_runtime(&s->rig);
    const struct runtime_options o = { .state_dir        = scarce,
                                       .run_dir          = s->rig.run_dir,
                                       .cgroup           = s->rig.cgroup,
                                       .plain_registries = true,
                                       .disk_bytes_spare = 1u << 20 };
    assert_ok(net_open(&s->rig.net));
    assert_ok(runtime_open(s->rig.net, &o, &s->rig.r));
    fetch(s, s->small, &f);
    rig_close_runtime(&s->rig);
    rig_open_runtime(&s->rig);
    shell("umount %s", scarce);
    assert_int_equal(f.e.code, ERR_LIMIT);
}

static void several_are_fetched_in_turn_and_those_not_wanted_go(void **state)
{
    struct shop *s = *state;
    struct fetch a = { 0 }, b = { 0 }, c = { 0 };
    collect_all_but(s, NULL, 0);
    assert_ok(image_fetch(s->rig.r, s->big, &fetch_calls, &a));
    assert_ok(image_fetch(s->rig.r, s->small, &fetch_calls, &b));
    assert_ok(image_fetch(s->rig.r, s->big, &fetch_calls, &c));
    image_collect(s->rig.r, NULL, 0); /* takes nothing from those that are on their way */
    rig_until(&s->rig, &c.done);
    assert_true(a.done && b.done);
    assert_ok(a.e);
    assert_ok(b.e);
    assert_ok(c.e);
    assert_true(a.seen[IMAGE_FETCHING] && !c.seen[IMAGE_FETCHING]);

    char root[RUNTIME_PATH_TEXT];
    assert_ok(image_root(s->rig.r, s->big, root));
    struct node_id        node = rig_node(&s->rig);
    struct rig_run        run;
    const char           *args[3];
    struct container_spec spec = rig_spec(&s->rig, node, "sleep 1000", args);
    spec.root                  = root;
    rig_start(&s->rig, &spec, &run);
    rig_until(&s->rig, &run.started);
    collect_all_but(s, NULL, 1); /* the other is in use */
    assert_ok(image_root(s->rig.r, s->big, root));
    rig_clean(&s->rig, node);
    collect_all_but(s, NULL, 0);
}

static void closing_in_the_middle_of_a_fetch_is_well(void **state)
{
    struct shop *s = *state;
    struct fetch f = { 0 }, later = { 0 };
    assert_ok(image_fetch(s->rig.r, s->big, &fetch_calls, &f));
    assert_ok(image_fetch(s->rig.r, s->small, &fetch_calls, &later));
    rig_until(&s->rig, &f.seen[IMAGE_FETCHING]);
    rig_close_runtime(&s->rig);
    assert_false(f.done || later.done);
    rig_open_runtime(&s->rig);
    fetch(s, s->big, &f);
    assert_ok(f.e);
    fetch(s, s->small, &f);
    assert_ok(f.e);
    assert_int_equal(count_files(s), 2);
}

int main(int argc, char **argv)
{
    runtime_child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_is_fetched_whole_and_runs),
        cmocka_unit_test(what_is_held_is_not_fetched_again),
        cmocka_unit_test(names_that_are_none_are_refused),
        cmocka_unit_test(what_the_registry_has_not_is_missing),
        cmocka_unit_test(a_layer_that_is_not_what_its_digest_says_is_refused),
        cmocka_unit_test(a_fetch_that_was_cut_short_is_gone_on_with),
        cmocka_unit_test(what_is_too_large_is_not_fetched),
        cmocka_unit_test(a_disk_that_runs_out_of_files_takes_no_image),
        cmocka_unit_test(several_are_fetched_in_turn_and_those_not_wanted_go),
        cmocka_unit_test(closing_in_the_middle_of_a_fetch_is_well),
    };
    return cmocka_run_group_tests(tests, open_shop, close_shop);
}
