#include "config.h"
#include "sys/sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGS_MAX 8

static char file[64];

static int make_file(void **state)
{
    (void)state;
    snprintf(file, sizeof file, "/tmp/ionet-config-XXXXXX");
    int fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(file);
}

/* `flags` are words between blanks; FILE stands for the file, which holds `lines`. */
static struct err read_config(const char *lines, const char *flags, struct config *c, char complaint[512])
{
    static char words[512];
    char       *args[ARGS_MAX + 2] = { "ionet-worker" };
    int         count              = 1;
    struct text t                  = { complaint, 0, 512, false };
    assert_int_equal(sys_write_file(file, str_from(lines), 0600).code, ERR_NONE);
    snprintf(words, sizeof words, "%s", flags);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
        assert_true(count <= ARGS_MAX);
        args[count++] = strcmp(word, "FILE") == 0 ? file : word;
    }
    struct err e = config_read(c, count, args, &t);
    text_z(&t);
    return e;
}

static void flags_go_before_the_file_and_the_file_before_what_is_usual(void **state)
{
    (void)state;
    struct config c;
    char          complaint[512];
    struct err    e = read_config("# a comment\n\n name = box \nmesh_port=51820\nlend_cpus=2\n",
                                  "--lend_cpus 3 --config FILE --oci=crun", &c, complaint);
    assert_int_equal(e.code, ERR_NONE);
    assert_string_equal(c.name, "box");
    assert_int_equal(c.mesh_port, 51820);
    assert_int_equal(c.lend_cpus, 3);
    assert_string_equal(c.oci, "crun");
    assert_string_equal(c.mesh_device, "wireguard-go");
    assert_int_equal(c.task, TASK_RUN);
}

static void tasks_are_flags_without_a_value(void **state)
{
    (void)state;
    static const struct {
        const char      *flags;
        enum config_task task;
    } rows[] = { { "--help", TASK_HELP },
                 { "--version", TASK_VERSION },
                 { "--config FILE --check", TASK_CHECK },
                 { "--stop-all --config FILE", TASK_STOP_ALL } };
    struct config c;
    char          complaint[512];
    for (size_t i = 0; i < countof(rows); i++) {
        assert_int_equal(read_config("", rows[i].flags, &c, complaint).code, ERR_NONE);
        assert_int_equal(c.task, rows[i].task);
    }
}

static void a_mistake_is_refused_with_its_place_and_reason(void **state)
{
    (void)state;
    static const struct {
        const char *lines, *flags, *complaint;
    } rows[] = {
        { "", "--config FILE --nonsense 1", "--nonsense: there is no such option: see --help" },
        { "", "--config FILE --mesh_port 65001", "--mesh_port: the number is out of its range" },
        { "", "--config FILE --mesh_device tun", "mesh_device: it is wireguard-go or kernel" },
        { "name\n", "--config FILE", "FILE:1: a line is NAME=VALUE" },
        { "", "--config FILE --egress_deny 10.0.0.0/33",
          "egress_deny: it is no list of addresses or ADDRESS/BITS" },
        { "\nplain_registries=2\n", "--config FILE", "FILE:2: the number is out of its range" },
        { "", "--config /nowhere/at-all", "/nowhere/at-all: a file is not there" },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct config c;
        char          complaint[512], expected[512];
        const char   *rest    = rows[i].complaint;
        bool          of_file = strncmp(rest, "FILE", 4) == 0;
        snprintf(expected, sizeof expected, "%s%s", of_file ? file : "", of_file ? rest + 4 : rest);
        assert_int_not_equal(read_config(rows[i].lines, rows[i].flags, &c, complaint).code, ERR_NONE);
        assert_string_equal(complaint, expected);
    }
}

/* From a file, and from standard input: neither shows it to who looks at the machine's processes. */
static void a_token_is_read_from_where_it_lies(void **state)
{
    (void)state;
    struct config c;
    char          complaint[512], token[64] = "/tmp/ionet-token-XXXXXX", flags[128];
    int           fd = mkstemp(token), was = dup(STDIN_FILENO);
    assert_true(fd >= 0 && was >= 0);
    assert_int_equal(write(fd, " the.token\n", 11), 11);
    snprintf(flags, sizeof flags, "--config FILE --token_file %s", token);
    assert_int_equal(read_config("", flags, &c, complaint).code, ERR_NONE);
    assert_string_equal(c.token, "the.token");

    assert_int_equal(read_config("token=another\n", flags, &c, complaint).code, ERR_INVALID);
    assert_string_equal(complaint, "token_file: there is a token beside it");

    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "piped\n", 6), 6);
    close(ends[1]);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    assert_int_equal(read_config("", "--config FILE --token_file -", &c, complaint).code, ERR_NONE);
    assert_string_equal(c.token, "piped");
    dup2(was, STDIN_FILENO);
    close(was);

    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_int_equal(read_config("", flags, &c, complaint).code, ERR_LIMIT);
    close(fd);
    unlink(token);
    assert_int_equal(read_config("", flags, &c, complaint).code, ERR_MISSING);
}

static void the_mesh_program_is_the_one_that_the_path_knows(void **state)
{
    (void)state;
    struct config    c;
    char             complaint[512];
    scoped_mem char *was = strdup(getenv("PATH"));
    setenv("PATH", "/nowhere::/bin:/usr/bin", 1);
    assert_int_equal(read_config("wireguard_go=true\n", "--config FILE", &c, complaint).code, ERR_NONE);
    assert_string_equal(c.wireguard_go, "/bin/true");
    assert_int_equal(read_config("wireguard_go=no-such\n", "--config FILE", &c, complaint).code, ERR_NONE);
    assert_string_equal(c.wireguard_go, "no-such");
    assert_int_equal(read_config("wireguard_go=/x/true\n", "--config FILE", &c, complaint).code, ERR_NONE);
    assert_string_equal(c.wireguard_go, "/x/true");
    assert_int_equal(read_config("oci=src/../Makefile\n", "--config FILE", &c, complaint).code, ERR_NONE);
    assert_int_equal(c.oci[0], '/'); /* from here it means the same as from a node's folder */
    setenv("PATH", was, 1);
}

static void help_names_every_option_with_what_is_usual(void **state)
{
    (void)state;
    static char room[8192];
    struct text help = TEXT_IN(room);
    config_help(&help);
    const char *text = text_z(&help);
    assert_false(help.full);
    assert_non_null(strstr(text, "  --stop-all "));
    assert_non_null(strstr(text, "  --state_dir "));
    assert_non_null(strstr(text, "[/var/lib/ionet-worker]\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_go_before_the_file_and_the_file_before_what_is_usual),
        cmocka_unit_test(tasks_are_flags_without_a_value),
        cmocka_unit_test(a_mistake_is_refused_with_its_place_and_reason),
        cmocka_unit_test(a_token_is_read_from_where_it_lies),
        cmocka_unit_test(the_mesh_program_is_the_one_that_the_path_knows),
        cmocka_unit_test(help_names_every_option_with_what_is_usual),
    };
    return cmocka_run_group_tests_name("ionet-worker's config", tests, make_file, remove_file);
}
