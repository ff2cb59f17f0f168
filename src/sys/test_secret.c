#include "sandbox.h"
#include "secret.h"
#include "secret_trial.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#define WORDS "ninety-nine words that are nowhere else in this memory"

/* Written letter by letter backwards, so that the only whole copy is the one that is looked for. */
static void write_words(volatile char *to)
{
    for (size_t i = sizeof WORDS - 1; i-- > 0;) to[i] = WORDS[i];
}

__attribute__((unused)) static void a_secret_is_zero_at_first_and_lies_in_locked_memory(void **state)
{
    scoped_secret char *secret = NULL;
    char               *open   = malloc(100);
    struct needle       needle = { "it", STR(WORDS) };
    (void)state;
    assert_int_equal(secret_alloc(100, &secret).code, ERR_NONE);
    for (size_t i = 0; i < 100; i++) assert_int_equal(secret[i], 0);
    assert_int_equal((uintptr_t)secret % 16, 0);
    write_words(secret);
    struct found f = secrets_in(getpid(), &needle, 1);
    assert_int_equal(f.locked, 1);
    assert_int_equal(f.open, 0);
    write_words(open);
    assert_int_equal(secrets_in(getpid(), &needle, 1).open, 1);
    free(open);
}

static void what_was_freed_is_nowhere(void **state)
{
    char         *secret;
    struct needle needle = { "it", STR(WORDS) };
    (void)state;
    assert_int_equal(secret_alloc(100, &secret).code, ERR_NONE);
    write_words(secret);
    secret_free(secret);
    struct found f = secrets_in(getpid(), &needle, 1);
    assert_int_equal(f.locked + f.open, 0);
}

static void reading_beyond_a_secret_ends_the_program(void **state)
{
    int   status;
    pid_t child = fork();
    (void)state;
    if (child == 0) {
        volatile char *secret;
        signal(SIGSEGV, SIG_DFL);
        if (secret_alloc(16, &secret).code) _exit(0);
        _exit(secret[16]);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* As on a machine where nobody may lock memory. */
__attribute__((unused)) static void where_nothing_can_be_locked_it_says_what_to_do(void **state)
{
    int   status;
    pid_t child = fork();
    (void)state;
    if (child == 0) {
        struct rlimit       none = { 0, 0 };
        struct sandbox      s    = { .calls = SANDBOX_MACHINE, .everywhere = true };
        struct sandbox_made made;
        char               *secret;
        if (setrlimit(RLIMIT_MEMLOCK, &none) < 0 || sandbox_enter(&s, &made).code) _exit(2);
        struct err e = secret_alloc(16, &secret);
        _exit(e.code == ERR_LIMIT && strstr(e.why, "ulimit -l") ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#if MEMORY_LOCKS
        cmocka_unit_test(a_secret_is_zero_at_first_and_lies_in_locked_memory),
        cmocka_unit_test(where_nothing_can_be_locked_it_says_what_to_do),
#endif
        cmocka_unit_test(what_was_freed_is_nowhere),
        cmocka_unit_test(reading_beyond_a_secret_ends_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
