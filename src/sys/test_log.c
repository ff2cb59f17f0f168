#include "log.h"
#include "sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TIME_LETTERS 24 /* 2026-03-04T05:06:07.089Z */

/* Standard error goes into a pipe until the line is read back. */
static int line_pipe[2], stderr_was;

static int divert(void **state)
{
    (void)state;
    stderr_was = dup(STDERR_FILENO);
    return pipe(line_pipe) < 0 || dup2(line_pipe[1], STDERR_FILENO) < 0 ? -1 : close(line_pipe[1]);
}

static int restore(void **state)
{
    (void)state;
    log_level_set(LOG_INFO);
    return dup2(stderr_was, STDERR_FILENO) < 0 ? -1 : close(stderr_was) | close(line_pipe[0]);
}

/* What was logged, without the time in front; ends standard error. */
static const char *logged(void)
{
    static char room[8192];
    dup2(stderr_was, STDERR_FILENO); /* the pipe's last writer */
    size_t len = 0;
    for (ssize_t n; (n = read(line_pipe[0], room + len, sizeof room - 1 - len)) > 0;) len += (size_t)n;
    room[len] = 0;
    assert_true(len > TIME_LETTERS);
    assert_int_equal(room[10], 'T');
    assert_int_equal(room[TIME_LETTERS - 1], 'Z');
    return room + TIME_LETTERS;
}

static void an_event_is_a_line_of_pairs(void **state)
{
    (void)state;
    struct device_id id = { { { 1 } } };
    log_debug("quiet");
    log_info("device.ready", LOG_ID("device", id), LOG_I64("gpus", -8), LOG_TEXT("name", "box"));
    assert_string_equal(logged(), " info device.ready device=0400000000000000 gpus=-8 name=box\n");
}

static void what_would_break_a_line_is_quoted(void **state)
{
    (void)state;
    log_level_set(LOG_DEBUG);
    log_debug("said", LOG_TEXT("a", "two words"), LOG_TEXT("b", "x\ny\x1b\"\\"), LOG_TEXT("c", "k=v"),
              LOG_TEXT("d", ""), LOG_TEXT("e", "Zoë"));
    assert_string_equal(logged(),
                        " debug said a=\"two words\" b=\"x\\ny\\x1b\\\"\\\\\" c=\"k=v\" d=\"\" e=Zoë\n");
}

static void an_error_tells_its_name_and_why(void **state)
{
    (void)state;
    log_level_set(LOG_WARN);
    log_info("quiet");
    log_error("ended", LOG_ERR(ERR(IO, "the disk refuses")));
    assert_string_equal(logged(), " error ended error=io why=\"the disk refuses\"\n");
}

static void a_line_that_is_too_long_is_cut_and_ends(void **state)
{
    (void)state;
    static char long_text[4 * LOG_LINE_MAX];
    memset(long_text, 'x', sizeof long_text - 1);
    log_warn("long", LOG_TEXT("before", "kept"), LOG_TEXT("text", long_text), LOG_TEXT("after", "lost"));
    const char *line = logged();
    assert_true(str_starts(str_from(line), STR(" warn long before=kept")));
    assert_true(strlen(line) <= LOG_LINE_MAX);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_null(strstr(line, "lost"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_event_is_a_line_of_pairs, divert, restore),
        cmocka_unit_test_setup_teardown(what_would_break_a_line_is_quoted, divert, restore),
        cmocka_unit_test_setup_teardown(an_error_tells_its_name_and_why, divert, restore),
        cmocka_unit_test_setup_teardown(a_line_that_is_too_long_is_cut_and_ends, divert, restore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
