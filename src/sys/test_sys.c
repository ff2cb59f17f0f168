#include "sys.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/ionet-sys-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return sys_remove_tree(folder).code != ERR_NONE;
}

static void a_file_is_replaced_whole_and_keeps_its_rights(void **state)
{
    (void)state;
    char        room[16];
    size_t      len;
    struct stat st;
    assert_int_equal(sys_write_file(in_folder("a"), STR("one"), 0600).code, ERR_NONE);
    assert_int_equal(sys_write_file(in_folder("a"), STR("second"), 0600).code, ERR_NONE);
    assert_int_equal(sys_read_file(in_folder("a"), room, sizeof room, &len).code, ERR_NONE);
    assert_int_equal(len, 6);
    assert_memory_equal(room, "second", 6);
    assert_int_equal(stat(in_folder("a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(access(in_folder("a.new"), F_OK), -1);
}

static void reading_too_much_or_nothing_is_said(void **state)
{
    (void)state;
    char   room[4];
    size_t len = 0;
    assert_int_equal(sys_write_file(in_folder("b"), STR("abcd"), 0600).code, ERR_NONE);
    assert_int_equal(sys_read_file(in_folder("b"), room, sizeof room, &len).code, ERR_NONE);
    assert_int_equal(len, 4);
    assert_int_equal(sys_read_file(in_folder("b"), room, sizeof room - 1, &len).code, ERR_LIMIT);
    assert_int_equal(sys_read_file(in_folder("none"), room, sizeof room, &len).code, ERR_MISSING);
}

static void a_folder_is_locked_once(void **state)
{
    (void)state;
    int one, two;
    assert_int_equal(sys_lock_file(in_folder("lock"), &one).code, ERR_NONE);
    assert_int_equal(sys_lock_file(in_folder("lock"), &two).code, ERR_CONFLICT);
    sys_close(&one);
    assert_int_equal(sys_lock_file(in_folder("lock"), &two).code, ERR_NONE);
    sys_close(&two);
}

static void a_secret_is_drawn_once(void **state)
{
    (void)state;
    uint8_t a[32], b[32];
    assert_int_equal(sys_secret_file(in_folder("secret"), a).code, ERR_NONE);
    assert_int_equal(sys_secret_file(in_folder("secret"), b).code, ERR_NONE);
    assert_memory_equal(a, b, 32);
    assert_int_equal(sys_write_file(in_folder("secret"), STR("short"), 0600).code, ERR_NONE);
    assert_int_equal(sys_secret_file(in_folder("secret"), b).code, ERR_CORRUPT);
}

static unsigned mode_of(const char *name)
{
    struct stat st;
    assert_int_equal(stat(in_folder(name), &st), 0);
    return st.st_mode & 07777;
}

static void folders_are_made_on_the_way_and_the_last_gets_the_mode(void **state)
{
    (void)state;
    assert_int_equal(sys_make_dirs(in_folder("made/a/b"), 0700).code, ERR_NONE);
    assert_int_equal(mode_of("made/a"), 0755);
    assert_int_equal(mode_of("made/a/b"), 0700);
    assert_int_equal(sys_make_dirs(in_folder("made/slash//"), 0700).code, ERR_NONE);
    assert_int_equal(mode_of("made/slash"), 0700);
    assert_int_equal(sys_make_dirs(in_folder("made/a"), 0700).code, ERR_NONE);
    assert_int_equal(mode_of("made/a"), 0755);

    assert_int_equal(sys_write_file(in_folder("made/file"), STR("f"), 0600).code, ERR_NONE);
    assert_int_equal(sys_make_dirs(in_folder("made/file"), 0700).code, ERR_IO);
    assert_int_equal(sys_make_dirs(in_folder("made/file/x"), 0700).code, ERR_IO);
    assert_int_equal(sys_make_dirs("/", 0700).code, ERR_NONE);
}

static void a_tree_is_removed_without_following_links(void **state)
{
    (void)state;
    char keep[128];
    snprintf(keep, sizeof keep, "%s", in_folder("keep"));
    assert_int_equal(sys_make_dirs(in_folder("tree/x/y"), 0700).code, ERR_NONE);
    assert_int_equal(sys_write_file(keep, STR("k"), 0600).code, ERR_NONE);
    assert_int_equal(symlink(keep, in_folder("tree/x/link")), 0);
    assert_int_equal(sys_remove_tree(in_folder("tree")).code, ERR_NONE);
    assert_int_equal(access(in_folder("tree"), F_OK), -1);
    assert_int_equal(access(keep, F_OK), 0);
    assert_int_equal(sys_remove_tree(in_folder("tree")).code, ERR_NONE);
}

static void a_program_is_found_by_name_and_from_here(void **state)
{
    char name[256] = "sh", here[256], none[256] = "./there/is/none", home[256];
    (void)state;
    sys_find_program(name, sizeof name);
    assert_int_equal(name[0], '/');
    assert_int_equal(access(name, X_OK), 0);
    assert_non_null(getcwd(home, sizeof home));
    assert_int_equal(chdir("/usr"), 0);
    snprintf(here, sizeof here, "./bin/env");
    sys_find_program(here, sizeof here);
    assert_int_equal(chdir(home), 0);
    assert_string_equal(here, "/usr/bin/env");
    sys_find_program(none, sizeof none);
    assert_string_equal(none, "./there/is/none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_is_found_by_name_and_from_here),
        cmocka_unit_test(a_file_is_replaced_whole_and_keeps_its_rights),
        cmocka_unit_test(reading_too_much_or_nothing_is_said),
        cmocka_unit_test(a_folder_is_locked_once),
        cmocka_unit_test(a_secret_is_drawn_once),
        cmocka_unit_test(folders_are_made_on_the_way_and_the_last_gets_the_mode),
        cmocka_unit_test(a_tree_is_removed_without_following_links),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
