#include "cli_int.h"
#include "sheet_int.h"

#include "cluster/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WORDS_MAX 12

/* Splits at blanks and parses. What --help prints does not belong into a test's output. */
static struct err parse(struct cli *c, const char *line, bool *help)
{
    static char  room[512];
    static char *words[WORDS_MAX + 1];
    char        *rest  = NULL;
    int          count = 0;
    *c                 = (struct cli){ 0 };
    snprintf(room, sizeof room, "%s", line);
    for (char *w = strtok_r(room, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) words[count++] = w;
    words[count] = NULL;

    int out = dup(1), err = dup(2);
    fflush(NULL);
    assert_non_null(freopen("/dev/null", "w", stdout));
    assert_non_null(freopen("/dev/null", "w", stderr));
    struct err e = cli_parse(c, count, words, help);
    fflush(NULL);
    dup2(out, 1);
    dup2(err, 2);
    close(out);
    close(err);
    return e;
}

static void a_line_is_a_command_its_operands_and_its_options(void **state)
{
    struct cli c;
    bool       help;
    (void)state;
    assert_int_equal(
        parse(&c, "cluster create --recipe ray --quantity=3 --duration 1h --wait --json", &help).code,
        ERR_NONE);
    assert_false(help);
    assert_string_equal(c.command->path, "cluster create");
    assert_string_equal(cli_option(&c, "recipe"), "ray");
    assert_string_equal(cli_option(&c, "quantity"), "3");
    assert_true(cli_has(&c, "wait"));
    assert_false(cli_has(&c, "name"));
    assert_true(c.json);

    assert_int_equal(parse(&c, "cluster forward --port 8265 mine dashboard", &help).code, ERR_NONE);
    assert_string_equal(c.operands[0], "mine");
    assert_string_equal(c.operands[1], "dashboard");
    assert_string_equal(cli_option(&c, "port"), "8265");

    assert_int_equal(parse(&c, "cluster forward mine dashboard --port 1 -- ls --port 2 -- x", &help).code,
                     ERR_NONE);
    assert_int_equal(c.operand_count, 2);
    assert_string_equal(cli_option(&c, "port"), "1");
    assert_string_equal(c.program[0], "ls");
    assert_string_equal(c.program[3], "--");
    assert_string_equal(c.program[4], "x");
    assert_null(c.program[5]);

    assert_int_equal(parse(&c, "cluster show -- --odd", &help).code, ERR_NONE);
    assert_string_equal(c.operands[0], "--odd");
    assert_int_equal(parse(&c, "account", &help).code, ERR_NONE);
    assert_string_equal(c.command->path, "account");
    assert_int_equal(parse(&c, "account show", &help).code, ERR_NONE);
    assert_string_equal(c.command->path, "account show");
}

static void a_line_that_makes_no_sense_is_refused_with_status_2(void **state)
{
    static const char *const wrong[] = {
        "",
        "nothing",
        "cluster",
        "cluster dance",
        "cluster show",
        "cluster show a b",
        "cluster forward a",
        "cluster forward a b --",
        "cluster forward a -- b",
        "quote --colour red",
        "quote --recipe",
        "quote --recipe ray --recipe ray",
        "cluster create --wait=yes",
    };
    (void)state;
    for (size_t i = 0; i < countof(wrong); i++) {
        struct cli c;
        bool       help;
        struct err e = parse(&c, wrong[i], &help);
        assert_int_equal(e.code, ERR_INVALID);
        assert_false(help);
        assert_int_equal(exit_status_of(&c, e), 2);
    }
}

static void a_misused_command_is_told_where_its_use_is_described(void **state)
{
    struct cli c;
    bool       help;
    (void)state;
    assert_int_equal(parse(&c, "quote --colour red", &help).code, ERR_INVALID);
    assert_string_equal(c.detail, "`ionet quote` has no option --colour");
    assert_non_null(strstr(c.hint, "`ionet quote --help`"));
    assert_int_equal(parse(&c, "cluster show", &help).code, ERR_INVALID);
    assert_non_null(strstr(c.hint, "`ionet cluster show --help`"));
    assert_int_equal(parse(&c, "cluster forward mine dashboard ray job list", &help).code, ERR_INVALID);
    assert_non_null(strstr(c.detail, "a program to run goes behind --"));
}

static void help_is_there_at_every_level(void **state)
{
    struct cli c;
    bool       help;
    char       line[128];
    (void)state;
    assert_int_equal(parse(&c, "--help", &help).code, ERR_NONE);
    assert_true(help);
    assert_int_equal(parse(&c, "cluster --help", &help).code, ERR_NONE);
    assert_true(help);
    for (size_t i = 0; i < command_count; i++) {
        snprintf(line, sizeof line, "%s --help", commands[i].path);
        assert_int_equal(parse(&c, line, &help).code, ERR_NONE);
        assert_true(help);
        assert_ptr_equal(c.command, &commands[i]);
    }
}

static void the_table_of_commands_fits_its_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < command_count; i++) {
        assert_true(commands[i].option_count <= CLI_OPTIONS_MAX);
        assert_non_null(commands[i].run);
        for (size_t k = 0; k < i; k++) assert_string_not_equal(commands[i].path, commands[k].path);
    }
}

static void each_kind_of_error_has_a_status(void **state)
{
    struct cli c = { 0 };
    (void)state;
    assert_int_equal(exit_status_of(&c, OK), 0);
    assert_int_equal(exit_status_of(&c, ERR(DENIED, "")), 3);
    assert_int_equal(exit_status_of(&c, ERR(MISSING, "")), 4);
    assert_int_equal(exit_status_of(&c, ERR(CAPACITY, "")), 6);
    assert_int_equal(exit_status_of(&c, ERR(FUNDS, "")), 7);
    assert_int_equal(exit_status_of(&c, ERR(IO, "")), 1);
    c.program_status = 42;
    assert_int_equal(exit_status_of(&c, OK), 42);
    assert_int_equal(exit_status_of(&c, ERR(IO, "")), 1);
    c.unreachable = true;
    assert_int_equal(exit_status_of(&c, ERR(IO, "")), 8);
    c.interrupted = true;
    assert_int_equal(exit_status_of(&c, OK), 130);
}

static void a_table_sets_figures_to_the_right_and_counts_letters(void **state)
{
    static const char *const  cells[] = { "NAME", "N", "WHY", "é", "7", "-", "longer", "1200", "so" };
    char                     *shown   = NULL;
    size_t                    len;
    scoped_sheet struct sheet s;
    (void)state;
    sheet_init(&s, 3);
    for (size_t i = 0; i < countof(cells); i++) sheet_add(&s, str_from(cells[i]));
    FILE *to = open_memstream(&shown, &len);
    sheet_print(&s, to);
    fclose(to);
    assert_string_equal(shown, "NAME       N  WHY\n"
                               "é          7  -\n"
                               "longer  1200  so\n");
    free(shown);
}

/* The table of one cluster, as `cluster list` shows it; the caller frees it. */
static char *table_of_one(void (*complete)(struct json_value item, void *record))
{
    static const char items[] =
        "[{\"id\":\"0123456789abcdef\",\"name\":\"mine\",\"state\":\"ready\",\"recipe\":\"ray\","
        "\"quantity\":3,\"nodes_alive\":3,\"charged_micros\":1250,\"ends_ms\":0,\"newer\":[1]}]";
    struct cluster              cluster;
    scoped_json struct json_doc doc = { 0 };
    struct json_fault           fault;
    char                       *shown = NULL;
    size_t                      len;
    assert_int_equal(json_parse(str_from(items), &doc, &fault).code, ERR_NONE);
    FILE *to = open_memstream(&shown, &len);
    assert_int_equal(sheet_items(doc.root, &cluster_type, &cluster, complete, to).code, ERR_NONE);
    fclose(to);
    return shown;
}

static void a_records_columns_are_those_of_its_field_table(void **state)
{
    (void)state;
    char *shown = table_of_one(NULL);
    assert_non_null(
        strstr(shown, "ID                NAME  STATE  RECIPE  QUANTITY  NODES ALIVE  CHARGED USDC  ENDS\n"));
    assert_non_null(
        strstr(shown, "0123456789abcdef  mine  ready  ray            3            3       0.00125     -"));
    free(shown);
}

static void charged_a_micro(struct json_value item, void *record)
{
    struct cluster *k = record;
    assert_true(json_is_there(json_member(item, "newer")));
    k->charged.micros += 1;
}

static void what_an_item_says_besides_its_record_is_in_the_table(void **state)
{
    (void)state;
    char *shown = table_of_one(charged_a_micro);
    assert_non_null(strstr(shown, "  0.001251  "));
    free(shown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_a_command_its_operands_and_its_options),
        cmocka_unit_test(a_line_that_makes_no_sense_is_refused_with_status_2),
        cmocka_unit_test(a_misused_command_is_told_where_its_use_is_described),
        cmocka_unit_test(help_is_there_at_every_level),
        cmocka_unit_test(the_table_of_commands_fits_its_limits),
        cmocka_unit_test(each_kind_of_error_has_a_status),
        cmocka_unit_test(a_table_sets_figures_to_the_right_and_counts_letters),
        cmocka_unit_test(a_records_columns_are_those_of_its_field_table),
        cmocka_unit_test(what_an_item_says_besides_its_record_is_in_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
