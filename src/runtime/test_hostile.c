#include "with_shop_int.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

/* Images that were made to harm the machine that unpacks them, and what may be done by the programs that do. */

#define SMALL_BYTES (64u << 20)
#define SMALL_FILES 5000

/* argv: layout, tag, kind, a folder outside that must stay as it is. Layers as no honest program writes them. */
static const char maker[] =
    "import gzip, hashlib, io, json, os, sys, tarfile\n"
    "layout, tag, kind, outside = sys.argv[1:]\n"
    "def blob(data):\n"
    "  name = hashlib.sha256(data).hexdigest()\n"
    "  open(layout + '/blobs/sha256/' + name, 'wb').write(data)\n"
    "  return {'digest': 'sha256:' + name, 'size': len(data)}\n"
    "raw = io.BytesIO()\n"
    "t = tarfile.open(fileobj=raw, mode='w', format=tarfile.PAX_FORMAT)\n"
    "def add(name, data=b'', **what):\n"
    "  i = tarfile.TarInfo(name); i.size = len(data); i.mode = 0o644\n"
    "  for k, v in what.items(): setattr(i, k, v)\n"
    "  t.addfile(i, io.BytesIO(data))\n"
    "def link(name, to, how=tarfile.SYMTYPE): add(name, type=how, linkname=to)\n"
    "def folder(name, mode=0o755): add(name, type=tarfile.DIRTYPE, mode=mode)\n"
    "up = '../' * 16\n"
    "if kind == 'paths':\n"
    "  add(up + outside[1:] + '/escaped1', b'x'); add(outside + '/escaped2', b'x')\n"
    "  link('out', outside); add('out/escaped3', b'x'); link('far', up + outside[1:]); add('far/escaped4', "
    "b'x')\n"
    "  folder('a'); link('a/b', '../' + up + outside[1:]); add('a/b/escaped5', b'x'); folder('far/escaped6')\n"
    "  add('out/.wh.kept'); add('far/.wh.kept'); add(up + outside[1:] + '/.wh.kept'); add('a/b/.wh..wh..opq')\n"
    "  link('kept', outside + '/kept'); add('kept', b'overwritten'); add('said', b'hello')\n"
    "if kind == 'dot': link('.', outside); add('escaped7', b'x')\n"
    "if kind == 'hard': link('hard', up + outside[1:] + '/kept', tarfile.LNKTYPE); add('hard', "
    "b'overwritten')\n"
    "if kind == 'hard-through':\n"
    "  link('far', up + outside[1:]); link('hard', 'far/kept', tarfile.LNKTYPE); add('hard', b'overwritten')\n"
    "if kind == 'rights':\n"
    "  add('null', type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666)\n"
    "  add('disk', type=tarfile.BLKTYPE, devmajor=8, devminor=0, mode=0o666); add('pipe', "
    "type=tarfile.FIFOTYPE)\n"
    "  add('suid', b'x', mode=0o6755); folder('shared', 0o2777); folder('tmp', 0o1777)\n"
    "  add('capable', b'x', mode=0o755, pax_headers={'SCHILY.xattr.security.capability':\n"
    "    b'\\1\\0\\0\\2\\0\\x20\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0'.decode('latin1')})\n"
    "if kind == 'bytes': add('zeros', bytes(300 << 20))\n"
    "if kind == 'files':\n"
    "  for i in range(20000): add('f%d' % i)\n"
    "if kind == 'deep':\n"
    "  path = 'd' * 200\n"
    "  while len(path) < 9000: folder(path); path += '/' + 'd' * 200\n"
    "t.close()\n"
    "tar = raw.getvalue()\n"
    "layer = blob(gzip.compress(tar, 1)) | {'mediaType': 'application/vnd.oci.image.layer.v1.tar+gzip'}\n"
    "config = blob(json.dumps({'architecture': 'amd64', 'os': 'linux', 'config': {}, 'rootfs': {'type': "
    "'layers',\n"
    "  'diff_ids': ['sha256:' + hashlib.sha256(tar).hexdigest()]}}).encode())\n"
    "config['mediaType'] = 'application/vnd.oci.image.config.v1+json'\n"
    "manifest = blob(json.dumps({'schemaVersion': 2, 'mediaType': "
    "'application/vnd.oci.image.manifest.v1+json',\n"
    "  'config': config, 'layers': [layer]}).encode())\n"
    "index = json.load(open(layout + '/index.json'))\n"
    "index['manifests'] = (index['manifests'] or []) + [manifest | {'mediaType':\n"
    "  'application/vnd.oci.image.manifest.v1+json', 'annotations': {'org.opencontainers.image.ref.name': "
    "tag}}]\n"
    "json.dump(index, open(layout + '/index.json', 'w'))\n";

static char outside[320]; /* a folder with one file, "kept" */

static int open_all(void **state)
{
    if (shop_open(state)) return -1;
    struct shop *s = *state;
    char         path[400];
    snprintf(outside, sizeof outside, "%s/outside", s->rig.dir);
    shop_shell("mkdir %s && echo kept > %s/kept", outside, outside);
    snprintf(path, sizeof path, "%s/maker.py", s->dir);
    assert_ok(sys_write_file(path, str_from(maker), 0600));
    return 0;
}

static void make_image(struct shop *s, const char *kind, char image[ASSIGN_IMAGE_TEXT])
{
    shop_shell("python3 %s/maker.py %s/layout %s %s %s", s->dir, s->dir, kind, kind, outside);
    shop_push(s, kind, image);
}

static void assert_outside_is_as_it_was(const struct shop *s)
{
    shop_shell("test \"$(ls %s)\" = kept && test \"$(cat %s/kept)\" = kept && test $(stat -c %%h %s/kept) = 1",
               outside, outside, outside);
    shop_shell("test -z \"$(find %s -path '*/images/*' -prune -o -name 'escaped*' -print)\"", s->rig.dir);
}

static void open_with(struct shop *s, const struct runtime_options *more)
{
    struct runtime_options o = *more;
    rig_close_runtime(&s->rig);
    o.state_dir        = s->rig.state_dir;
    o.run_dir          = s->rig.run_dir;
    o.cgroup           = s->rig.cgroup;
    o.plain_registries = true;
    assert_ok(net_open(&s->rig.net));
    assert_ok(runtime_open(s->rig.net, &o, &s->rig.r));
}

/* What is left of one that could not be unpacked: its blobs, for another try, and nothing that it unpacked to. */
static void assert_nothing_unpacked(struct shop *s)
{
    shop_shell("test -z \"$(find %s/images -maxdepth 2 -path '*.part/root')\"", s->rig.state_dir);
}

/* ---- layers that lead out -------------------------------------------------------------------- */

static void no_layer_writes_or_removes_outside_of_its_root(void **state)
{
    struct shop             *s       = *state;
    static const char *const kinds[] = { "paths", "dot", "hard", "hard-through" };
    for (size_t i = 0; i < countof(kinds); i++) {
        char         image[ASSIGN_IMAGE_TEXT];
        struct fetch f;
        make_image(s, kinds[i], image);
        shop_fetch(s, image, &f);
        if (f.e.code != ERR_NONE && f.e.code != ERR_CORRUPT)
            fail_msg("%s: %s: %s", kinds[i], f.e.why, f.detail);
        if (i == 0) assert_ok(f.e); /* what leads out leads to the same place inside */
        assert_outside_is_as_it_was(s);
    }
}

static void an_unpacked_image_has_no_device_and_no_rights_of_another(void **state)
{
    struct shop *s = *state;
    char         image[ASSIGN_IMAGE_TEXT], root[RUNTIME_PATH_TEXT], path[RUNTIME_PATH_TEXT + 16], room[64];
    struct fetch f;
    struct stat  st;
    make_image(s, "rights", image);
    shop_fetch(s, image, &f);
    if (f.e.code) fail_msg("%s: %s", f.e.why, f.detail);
    assert_ok(image_root(s->rig.r, image, root));
    shop_shell("test -z \"$(find %s -perm /6000 -o -type b -o -type c)\"", root);
    shop_shell("test -p %s/pipe && test -d %s/shared && test $(stat -c %%a %s/tmp) = 1777", root, root, root);
    snprintf(path, sizeof path, "%s/suid", root);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    snprintf(path, sizeof path, "%s/capable", root);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(lgetxattr(path, "security.capability", room, sizeof room), -1);
}

/* ---- bombs ----------------------------------------------------------------------------------- */

static void fetch_limited(struct shop *s, const char *kind, const struct runtime_options *o, enum err_code code)
{
    char         image[ASSIGN_IMAGE_TEXT];
    struct fetch f;
    make_image(s, kind, image);
    open_with(s, o);
    shop_fetch(s, image, &f);
    if (f.e.code != code) fail_msg("%s: %s: %s", err_name(f.e.code), f.e.why, f.detail);
    assert_true(f.seen[IMAGE_UNPACKING]);
    assert_nothing_unpacked(s);
    rig_close_runtime(&s->rig);
    rig_open_runtime(&s->rig);
}

static void few_bytes_that_unpack_to_many_are_stopped(void **state)
{
    fetch_limited(*state, "bytes", &(struct runtime_options){ .image_bytes_max = SMALL_BYTES }, ERR_LIMIT);
}

static void files_without_bytes_are_counted(void **state)
{
    fetch_limited(*state, "files", &(struct runtime_options){ .image_files_max = SMALL_FILES }, ERR_LIMIT);
}

static void folders_deeper_than_paths_may_be_are_refused(void **state)
{
    fetch_limited(*state, "deep", &(struct runtime_options){ .image_files_max = SMALL_FILES }, ERR_CORRUPT);
}

static void unpacking_has_a_deadline(void **state)
{
    fetch_limited(*state, "bytes", &(struct runtime_options){ .image_unpack_ms_max = 20 }, ERR_TIMEOUT);
}

static void fetching_has_a_deadline(void **state)
{
    struct shop *s = *state;
    struct fetch f;
    open_with(s, &(struct runtime_options){ .image_fetch_ms_max = 1 });
    shop_fetch(s, s->big, &f);
    assert_int_equal(f.e.code, ERR_TIMEOUT);
    assert_string_equal(f.e.why, "the image takes too long to come from its registry");
    rig_close_runtime(&s->rig);
    rig_open_runtime(&s->rig);
}

/* ---- the programs that read images ----------------------------------------------------------- */

/* A shell in their place; gives what it says. */
static void run_confined(const struct shop *s, const char *network, const char *script, char said[4096])
{
    char folder[400], size[] = "1000000";
    int  pair[2];
    snprintf(folder, sizeof folder, "%s/theirs", s->dir);
    shop_shell("mkdir -p %s", folder);
    assert_int_equal(pipe(pair), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(pair[1], 1) < 0 || dup2(pair[1], 2) < 0) _exit(126);
        execl("/proc/self/exe", "ionet-confined", folder, network, size, "/bin/sh", "-c", script, (char *)NULL);
        _exit(127);
    }
    close(pair[1]);
    size_t  len = 0;
    ssize_t got;
    while ((got = read(pair[0], said + len, 4095 - len)) > 0) len += (size_t)got;
    said[len] = 0;
    close(pair[0]);
    waitpid(pid, NULL, 0);
}

static void who_reads_images_writes_into_their_folder_and_nowhere_else(void **state)
{
    struct shop *s = *state;
    char         said[4096], script[1024];
    snprintf(
        script, sizeof script,
        "for d in / /etc /tmp /root /dev/shm /run %s %s; do touch $d/x 2>/dev/null && echo wrote $d; done; "
        "echo y > y && echo mine $(cat $TMPDIR/y); mknod d c 1 3 && head -c 1 d 2>&1; cp /bin/sh s; ./s -c : "
        "2>&1; "
        "mount -o remount,rw / 2>&1 | head -c 40; umount $PWD 2>/dev/null || echo stays; "
        "head -c 2000000 /dev/zero > big; echo big $(stat -c %%s big); grep CapEff /proc/self/status",
        s->rig.dir, outside);
    run_confined(s, "alone", script, said);
    assert_lacks(said, "wrote");
    assert_has(said, "mine y\n");
    assert_has(said, "'d' for reading: Permission denied");
    assert_has(said, "./s: Permission denied");
    assert_has(said, "stays\n");
    assert_has(said, "big 1000000\n");
    assert_has(said, "CapEff:\t000000008800001b\n"); /* of files; none of the machine */
    assert_outside_is_as_it_was(s);
}

static void who_unpacks_images_reaches_nobody(void **state)
{
    struct shop *s = *state;
    char         said[4096], script[256];
    snprintf(script, sizeof script,
             "grep -c : /proc/net/dev; curl -s -m 3 http://127.0.0.1:%u/v2/ && echo reached", s->port);
    run_confined(s, "alone", script, said);
    assert_string_equal(said, "1\n");
    run_confined(s, "network", script, said);
    assert_has(said, "reached\n");
}

int main(int argc, char **argv)
{
    runtime_child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_layer_writes_or_removes_outside_of_its_root),
        cmocka_unit_test(an_unpacked_image_has_no_device_and_no_rights_of_another),
        cmocka_unit_test(few_bytes_that_unpack_to_many_are_stopped),
        cmocka_unit_test(files_without_bytes_are_counted),
        cmocka_unit_test(folders_deeper_than_paths_may_be_are_refused),
        cmocka_unit_test(unpacking_has_a_deadline),
        cmocka_unit_test(fetching_has_a_deadline),
        cmocka_unit_test(who_reads_images_writes_into_their_folder_and_nowhere_else),
        cmocka_unit_test(who_unpacks_images_reaches_nobody),
    };
    return cmocka_run_group_tests(tests, open_all, shop_close);
}
