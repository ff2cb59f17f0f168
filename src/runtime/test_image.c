#include "with_shop_int.h"

#include <sys/stat.h>

/* ---- the tests ------------------------------------------------------------------------------- */

static void an_image_is_fetched_whole_and_runs(void **state)
{
    struct shop *s = *state;
    struct fetch f;
    char         root[RUNTIME_PATH_TEXT], path[RUNTIME_PATH_TEXT + 32], log[CONTAINER_LOG_END_BYTES];
    assert_int_equal(image_root(s->rig.r, s->small, root).code, ERR_MISSING);
    shop_fetch(s, s->small, &f);
    assert_ok(f.e);
    assert_true(f.seen[IMAGE_ASKING] && f.seen[IMAGE_FETCHING] && f.seen[IMAGE_UNPACKING]);
    assert_ok(image_root(s->rig.r, s->small, root));
    struct stat st;
    snprintf(path, sizeof path, "%s/opt/said", root);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mtime, SHOP_MTIME); /* Python compares it with what it compiled */
    assert_int_equal(shop_count_images(s), 1); /* no leavings */

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
    shop_fetch(s, s->small, &f);
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
        assert_int_equal(image_fetch(s->rig.r, bad[i], &shop_fetch_calls, &f).code, ERR_INVALID);
}

static void what_the_registry_has_not_is_missing(void **state)
{
    struct shop *s = *state;
    struct fetch f;
    char         name[ASSIGN_IMAGE_TEXT];
    snprintf(name, sizeof name, "127.0.0.1:%u/small@sha256:%064d", s->port, 0);
    shop_fetch(s, name, &f);
    assert_int_equal(f.e.code, ERR_MISSING);
    assert_true(f.detail[0]);
    snprintf(name, sizeof name, "127.0.0.1:%u/nothing@sha256:%064d", s->port, 0);
    shop_fetch(s, name, &f);
    assert_int_equal(f.e.code, ERR_MISSING);
    snprintf(name, sizeof name, "127.0.0.1:%u/small@sha256:%064d", shop_free_port(), 0);
    shop_fetch(s, name, &f);
    assert_int_equal(f.e.code, ERR_IO);
}

/* Other bytes of the same length in the registry's storage, under the old digest. */
static void a_layer_that_is_not_what_its_digest_says_is_refused(void **state)
{
    struct shop *s = *state;
    struct fetch f;
    shop_shell("cd %s/registry/docker/registry/v2/blobs/sha256 && mkdir %s/kept && "
               "for b in $(find . -name data -size +1M | sort | head -1); do cp $b %s/kept/data && echo $b > "
               "%s/kept/name && "
               "dd if=/dev/urandom of=$b bs=4096 seek=20 count=1 conv=notrunc status=none; done",
               s->dir, s->dir, s->dir, s->dir);
    shop_fetch(s, s->big, &f);
    if (f.e.code != ERR_CORRUPT) fail_msg("%s: %s: %s", err_name(f.e.code), f.e.why, f.detail);
    struct wanted_image list[4];
    assert_int_equal(image_list(s->rig.r, list, countof(list)), 1);
    shop_shell("cd %s/registry/docker/registry/v2/blobs/sha256 && cp %s/kept/data $(cat %s/kept/name)", s->dir,
               s->dir, s->dir);
}

static void a_fetch_that_was_cut_short_is_gone_on_with(void **state)
{
    struct shop *s = *state;
    struct fetch f = { 0 };
    shop_collect_all_but(s, s->small, 1);
    shop_shell(
        "cd %s/registry/docker/registry/v2/blobs/sha256 && b=$(find . -name data -size +1M | sort | tail -1) "
        "&& "
        "mv $b %s/away && echo $b > %s/away.name",
        s->dir, s->dir, s->dir);
    shop_fetch(s, s->big, &f); /* two layers of three are there */
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
    shop_shell(
        "cd %s/registry/docker/registry/v2/blobs/sha256 && mv %s/away $(cat %s/away.name) && for b in $(ls "
        "%s); do "
        "[ $(stat -c %%s %s/$b) -gt 1000000 ] && mkdir -p %s/lost && mv $(echo $b | cut -c1-2)/$b/data "
        "%s/lost/$b; done; true",
        s->dir, s->dir, s->dir, part, part, s->dir, s->dir);
    shop_fetch(s, s->big, &f);
    if (f.e.code) fail_msg("%s: %s", f.e.why, f.detail);
    shop_shell("cd %s/registry/docker/registry/v2/blobs/sha256 && for b in $(ls %s/lost); do "
               "mv %s/lost/$b $(echo $b | cut -c1-2)/$b/data; done",
               s->dir, s->dir, s->dir);
    assert_int_equal(shop_count_images(s), 2);
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
    shop_collect_all_but(s, s->small, 1);
    shop_fetch(s, s->big, &f);
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
    shop_shell("mkdir %s && mount -t tmpfs -o size=1g,nr_inodes=60000,mode=0711 none %s", scarce, scarce);
    rig_close_runtime(&s->rig);
    const struct runtime_options o = { .state_dir        = scarce,
                                       .run_dir          = s->rig.run_dir,
                                       .cgroup           = s->rig.cgroup,
                                       .plain_registries = true,
                                       .disk_bytes_spare = 1u << 20 };
    assert_ok(net_open(&s->rig.net));
    assert_ok(runtime_open(s->rig.net, &o, &s->rig.r));
    shop_fetch(s, s->small, &f);
    rig_close_runtime(&s->rig);
    rig_open_runtime(&s->rig);
    shop_shell("umount %s", scarce);
    assert_int_equal(f.e.code, ERR_LIMIT);
}

static void several_are_fetched_in_turn_and_those_not_wanted_go(void **state)
{
    struct shop *s = *state;
    struct fetch a = { 0 }, b = { 0 }, c = { 0 };
    shop_collect_all_but(s, NULL, 0);
    assert_ok(image_fetch(s->rig.r, s->big, &shop_fetch_calls, &a));
    assert_ok(image_fetch(s->rig.r, s->small, &shop_fetch_calls, &b));
    assert_ok(image_fetch(s->rig.r, s->big, &shop_fetch_calls, &c));
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
    shop_collect_all_but(s, NULL, 1); /* the other is in use */
    assert_ok(image_root(s->rig.r, s->big, root));
    rig_clean(&s->rig, node);
    shop_collect_all_but(s, NULL, 0);
}

static void closing_in_the_middle_of_a_fetch_is_well(void **state)
{
    struct shop *s = *state;
    struct fetch f = { 0 }, later = { 0 };
    assert_ok(image_fetch(s->rig.r, s->big, &shop_fetch_calls, &f));
    assert_ok(image_fetch(s->rig.r, s->small, &shop_fetch_calls, &later));
    rig_until(&s->rig, &f.seen[IMAGE_FETCHING]);
    rig_close_runtime(&s->rig);
    assert_false(f.done || later.done);
    rig_open_runtime(&s->rig);
    shop_fetch(s, s->big, &f);
    assert_ok(f.e);
    shop_fetch(s, s->small, &f);
    assert_ok(f.e);
    assert_int_equal(shop_count_images(s), 2);
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
    return cmocka_run_group_tests(tests, shop_open, shop_close);
}
