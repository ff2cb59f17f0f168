#include "terminal_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *said, *shown;
} rows[] = {
    { "plain, a\ttab\nand a line\n", "plain, a\ttab\nand a line\n" },
    { "\x1b[31mred\x1b[0m, \x1b[2J\x1b[1;1Hgone", "red, gone" },
    { "\x1b]0;a title\x07", "?]0;a title?" },
    { "\x1bP+q544e\x1b\\", "?P+q544e?\\" },
    { "\x1b\x1b[31mtwice", "?twice" },
    { "\x1b[3\x1b[31mbroken", "broken" },
    { "\x1b[31\nnext", "\nnext" },
    { "a dos line\r\nthe next\r\n", "a dos line\nthe next\n" },
    { "10 %\r20 %\r\r\n", "10 %\n20 %\n\n" },
    { "\x08\x0e\x7f\x01", "????" },
    { "\xc2\x9b"
      "31mC1 \xc2\x85.",
      "?31mC1 ?." },
    { "\xc2\xa0\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc2\xa0\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
    { "\xc2\x1b[31mx\xc2\xc2\x9b", "?x??" },
};

static void a_terminal_is_shown_text_and_told_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char                 room[128];
        struct terminal_text t = { 0 };
        size_t               n = terminal_text_take(&t, str_from(rows[i].said), room);
        room[n]                = 0;
        assert_string_equal(room, rows[i].shown);
    }
}

static void it_does_not_matter_where_the_parts_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char                 room[128];
        struct terminal_text t = { 0 };
        size_t               n = 0;
        for (const char *at = rows[i].said; *at; at++)
            n += terminal_text_take(&t, (struct str){ at, 1 }, room + n);
        room[n] = 0;
        assert_string_equal(room, rows[i].shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_terminal_is_shown_text_and_told_nothing),
        cmocka_unit_test(it_does_not_matter_where_the_parts_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
