#include "with_shop_int.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

void shop_shell(const char *format, ...)
{
    char    command[4096];
    va_list values;
    va_start(values, format);
    int len = vsnprintf(command, sizeof command, format, values);
    va_end(values);
    assert_true(len > 0 && (size_t)len < sizeof command);
    if (system(command) != 0) fail_msg("failed: %s", command);
}

uint16_t shop_free_port(void)
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
    s->port = shop_free_port();
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

void shop_push(struct shop *s, const char *tag, char out[ASSIGN_IMAGE_TEXT])
{
    char   path[400], digest[128];
    size_t len;
    snprintf(path, sizeof path, "%s/digest", s->dir);
    shop_shell("skopeo copy -q --insecure-policy --dest-tls-verify=false --digestfile %s oci:%s/layout:%s "
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
    shop_shell(
        "umoci init --layout %s/layout && umoci new --image %s/layout:small && "
        "umoci unpack --image %s/layout:small %s/b >/dev/null && cd %s/b/rootfs && mkdir -p home opt etc && "
        "ln -s usr/bin bin && ln -s usr/lib lib && ln -s usr/lib64 lib64 && echo hello > opt/said && "
        "touch -d @%d opt/said && echo secret > etc/shadow && chmod 600 etc/shadow && "
        "umoci repack --image %s/layout:small %s/b",
        d, d, d, d, d, SHOP_MTIME, d, d);
    for (int i = 0; i < 3; i++)
        shop_shell("head -c 6M /dev/urandom > %s/noise && umoci insert --image %s/layout:%s --tag big %s/noise "
                   "/noise%d",
                   d, d, i ? "big" : "small", d, i);
    shop_push(s, "small", s->small);
    shop_push(s, "big", s->big);
}

int shop_open(void **state)
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

int shop_close(void **state)
{
    struct shop *s = *state;
    kill(s->registry, SIGKILL);
    waitpid(s->registry, NULL, 0);
    rig_close(&s->rig);
    return 0;
}

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

const struct image_calls shop_fetch_calls = { on_progress, on_fetched };

void shop_fetch(struct shop *s, const char *image, struct fetch *f)
{
    *f = (struct fetch){ 0 };
    assert_ok(image_fetch(s->rig.r, image, &shop_fetch_calls, f));
    rig_until(&s->rig, &f->done);
}

unsigned shop_count_images(struct shop *s)
{
    char command[400], text[64] = "";
    snprintf(command, sizeof command, "ls -A %s/images | wc -l", s->rig.state_dir);
    FILE *f = popen(command, "re");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof text, f));
    pclose(f);
    return (unsigned)strtoul(text, NULL, 10);
}

void shop_collect_all_but(struct shop *s, const char *keep, unsigned left)
{
    struct wanted_image wanted;
    if (keep) assert_ok(str_copy(str_from(keep), wanted.image, sizeof wanted.image));
    uint64_t start = sys_boot_now_ms();
    while (shop_count_images(s) != left) {
        image_collect(s->rig.r, &wanted, keep ? 1 : 0);
        rig_turn(&s->rig);
        if (sys_boot_now_ms() - start > RIG_MS_MAX)
            fail_msg("%u are left instead of %u", shop_count_images(s), left);
    }
}
