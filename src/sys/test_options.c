#include "options.h"
#include "sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGS_MAX 8

enum task { TASK_RUN, TASK_CHECK, TASK_HELP };

struct config {
    enum task task;
    char      name[8];
    uint64_t  port;
    char      pets[64]; /* a comma behind each */
};

#define PLACE(member) offsetof(struct config, member), sizeof(((struct config *)0)->member)

static char file[64];

static const struct option rows[] = {
    { "config", OPTION_FILE, 0, 0, file, 0, 0, "lines" },
    { "name", OPTION_TEXT, PLACE(name), NULL, 0, 0, "its name" },
    { "port", OPTION_NUMBER, PLACE(port), "80", 1, 99, "its port" },
    { "pet", OPTION_SPECIAL, 0, 0, "", 0, 0, "one more" },
    { "check", OPTION_SWITCH, PLACE(task), "", TASK_CHECK, 0, "look" },
    { "help", OPTION_QUESTION, PLACE(task), "", TASK_HELP, 0, "this" },
};

static struct err add_pet(void *config, struct str value)
{
    struct config *c = config;
    struct text    t = { c->pets, strlen(c->pets), sizeof c->pets, false };
    if (str_eq(value, STR("wolf"))) return ERR(INVALID, "that is no pet");
    text_add(&t, value);
    text_add_char(&t, ',');
    text_z(&t);
    return OK;
}

static int make_file(void **state)
{
    (void)state;
    snprintf(file, sizeof file, "/tmp/ionet-options-XXXXXX");
    int fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(file);
}

static char said[256];

/* `flags` are words between blanks; the file holds `lines`. */
static struct err read_all(const char *lines, const char *flags, struct config *c)
{
    static char    words[512];
    char          *args[ARGS_MAX + 2] = { "program" };
    int            count              = 1;
    struct text    t                  = TEXT_IN(said);
    struct options o = { .rows = rows, .count = countof(rows), .config = c, .set_special = add_pet };
    *c               = (struct config){ .task = TASK_RUN };
    assert_int_equal(sys_write_file(file, str_from(lines), 0600).code, ERR_NONE);
    snprintf(words, sizeof words, "%s", flags);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
        assert_true(count <= ARGS_MAX);
        args[count++] = word;
    }
    struct err e = options_read(&o, count, args, &t);
    text_z(&t);
    return e;
}

static void flags_go_over_the_file_and_the_file_over_what_is_usual(void **state)
{
    (void)state;
    struct config c;
    assert_int_equal(read_all("", "", &c).code, ERR_NONE);
    assert_string_equal(c.name, "");
    assert_int_equal(c.port, 80);
    assert_int_equal(read_all("# a comment\n\n name = box \r\nport=7\npet=cat\n", "--pet=dog", &c).code,
                     ERR_NONE);
    assert_string_equal(c.name, "box");
    assert_int_equal(c.port, 7);
    assert_string_equal(c.pets, "cat,dog,");
    assert_int_equal(read_all("name=box\nport=7", "--port 8 --name=a=b --check", &c).code, ERR_NONE);
    assert_string_equal(c.name, "a=b");
    assert_int_equal(c.port, 8);
    assert_int_equal(c.task, TASK_CHECK);
}

static void the_usual_file_need_not_be_there_but_the_named_one(void **state)
{
    (void)state;
    struct config c;
    char          was[sizeof file];
    memcpy(was, file, sizeof file);
    assert_int_equal(read_all("port=5\n", "--config /nowhere/at-all", &c).code, ERR_MISSING);
    assert_string_equal(said, "/nowhere/at-all");
    snprintf(file, sizeof file, "/nowhere/at-all");
    struct text    t      = TEXT_IN(said);
    struct options o      = { .rows = rows, .count = countof(rows), .config = &c, .set_special = add_pet };
    char          *none[] = { "program" }, *named[] = { "program", "--config", was };
    assert_int_equal(options_read(&o, 1, none, &t).code, ERR_NONE);
    assert_int_equal(c.port, 80);
    assert_int_equal(options_read(&o, 3, named, &t).code, ERR_NONE);
    assert_int_equal(c.port, 5);
    memcpy(file, was, sizeof file);
}

static void a_question_is_answered_without_reading_the_rest(void **state)
{
    (void)state;
    struct config c;
    assert_int_equal(read_all("nonsense\n", "--check --config /nowhere --port 100 --help --moon", &c).code,
                     ERR_NONE);
    assert_int_equal(c.task, TASK_HELP);
}

static void a_mistake_is_refused_with_its_place_and_no_value(void **state)
{
    (void)state;
    static const struct {
        const char *lines, *flags, *place, *why;
    } mistakes[] = {
        { "", "--moon 1", "--moon", "there is no such option: see --help" },
        { "", "--moon=1", "--moon", "there is no such option: see --help" },
        { "", "--port 1 box", "argument:3", "a flag is --NAME VALUE" },
        { "", "--name", "--name", "the flag has no value" },
        { "", "--check=1", "--check", "the flag takes no value" },
        { "", "--port 0", "--port", "the number is out of its range" },
        { "", "--port=100", "--port", "the number is out of its range" },
        { "", "--port -1", "--port", "the value is no number" },
        { "", "--name=12345678", "--name", "the value is too long" },
        { "", "--name=\x1b", "--name", "the value holds control characters or is not UTF-8" },
        { "", "--pet wolf", "--pet", "that is no pet" },
        { "port=1\nname\n", "", "FILE:2", "a line is NAME=VALUE" },
        { "a=b\n", "", "FILE:1", "there is no such option: see --help" },
        { "\n# x\npet=wolf", "", "FILE:3", "that is no pet" },
        { "check=1\n", "", "FILE:1", "that is a flag, not for a file" },
        { "config=x\n", "", "FILE:1", "that is a flag, not for a file" },
        { "help=x\n", "", "FILE:1", "that is a flag, not for a file" },
    };
    for (size_t i = 0; i < countof(mistakes); i++) {
        struct config c;
        struct str    place   = str_from(mistakes[i].place);
        bool          of_file = str_starts(place, STR("FILE"));
        char          expected[96];
        snprintf(expected, sizeof expected, "%s%s", of_file ? file : "", place.ptr + (of_file ? 4 : 0));
        struct err e = read_all(mistakes[i].lines, mistakes[i].flags, &c);
        assert_int_equal(e.code, ERR_INVALID);
        assert_string_equal(e.why, mistakes[i].why);
        assert_string_equal(said, expected);
    }
}

static void help_is_a_line_a_row(void **state)
{
    (void)state;
    char           room[512], expected[512];
    struct text    t = TEXT_IN(room);
    struct options o = { .rows = rows, .count = countof(rows) };
    options_help(&o, &t);
    snprintf(expected, sizeof expected,
             "  --config  lines [%s]\n  --name    its name (needed)\n  --port    its port [80]\n"
             "  --pet     one more\n  --check   look\n  --help    this\n",
             file);
    assert_string_equal(text_z(&t), expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_go_over_the_file_and_the_file_over_what_is_usual),
        cmocka_unit_test(the_usual_file_need_not_be_there_but_the_named_one),
        cmocka_unit_test(a_question_is_answered_without_reading_the_rest),
        cmocka_unit_test(a_mistake_is_refused_with_its_place_and_no_value),
        cmocka_unit_test(help_is_a_line_a_row),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
