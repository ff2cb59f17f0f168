#include "service_env_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct service_env    env;
static struct service_ticket ticket;

static struct err fill(const char *lines, const char *token)
{
    assert_int_equal(str_copy(str_from(lines), ticket.env, sizeof ticket.env).code, ERR_NONE);
    assert_int_equal(str_copy(str_from(token), ticket.token, sizeof ticket.token).code, ERR_NONE);
    return service_env_fill(&env, &ticket, "127.0.0.1:4711");
}

static void a_services_programs_find_its_address_and_token(void **state)
{
    char  *shown = NULL;
    size_t len;
    (void)state;
    assert_int_equal(fill("A_URL=http://${address}/${address}\nA_KEY=it's $HOME\nA_MODE=\n", "t0").code,
                     ERR_NONE);
    FILE *to = open_memstream(&shown, &len);
    service_env_print(&env, to);
    fclose(to);
    assert_string_equal(shown, "export IONET_ADDRESS='127.0.0.1:4711'\n"
                               "export IONET_TOKEN='t0'\n"
                               "export A_URL='http://127.0.0.1:4711/127.0.0.1:4711'\n"
                               "export A_KEY='it'\\''s $HOME'\n"
                               "export A_MODE=''\n");
    free(shown);

    service_env_set(&env);
    assert_string_equal(getenv("A_KEY"), "it's $HOME");
    assert_int_equal(fill("", "").code, ERR_NONE);
    assert_int_equal(env.count, 1);
}

static void a_network_sets_nothing_that_a_shell_or_a_loader_goes_by(void **state)
{
    static const char *const wrong[] = {
        "PATH=/tmp\n", "LD_PRELOAD=/tmp/x\n", "PROMPT_COMMAND=x\n", "BASH_ENV=/tmp/x\n", "a_URL=x\n", "A_URL\n",
        "=x\n",        "A;x_URL=x\n",         "A_URL=x\n\nB_URL=x", "1_URL=x\n",         "_URLS=x\n",
    };
    (void)state;
    for (size_t i = 0; i < countof(wrong); i++) assert_int_equal(fill(wrong[i], "").code, ERR_DENIED);
}

static void what_is_too_much_is_refused_and_not_cut_off(void **state)
{
    char        room[sizeof ticket.env];
    struct text many = TEXT_IN(room);
    (void)state;
    for (int i = 0; i < SERVICE_ENV_MAX; i++) text_add(&many, STR("A_KEY=x\n"));
    assert_int_equal(fill(text_z(&many), "").code, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_services_programs_find_its_address_and_token),
        cmocka_unit_test(a_network_sets_nothing_that_a_shell_or_a_loader_goes_by),
        cmocka_unit_test(what_is_too_much_is_refused_and_not_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
