/* fuzz_recipe.c: recipes in YAML. What is refused is refused with its line and a reason; what is taken expands, for
 * either role, into commands that a container can be started with. */
#include "base/fuzz.h"
#include "recipe.h"

#include <stdlib.h>
#include <string.h>

static void expands(const struct recipe *r, enum recipe_role role)
{
    static char        memory[512 * 1024];
    struct arena       arena = ARENA_IN(memory, sizeof memory);
    struct recipe_run  run;
    struct recipe_vars vars = { .address      = STR("fd00::2"),
                                .head         = STR("fd00::1"),
                                .cluster      = STR("0123456789abcdef"),
                                .index        = 1,
                                .nodes        = 2,
                                .cpus_milli   = 1500,
                                .gpus         = 1,
                                .memory_bytes = 1ull << 32 };
    for (unsigned i = 0; i < r->secrets_count; i++) vars.secrets[i] = STR("5ec4e7");
    if (recipe_expand(r, role, &vars, &arena, &run).code) return;

    check(run.argv[0] && run.argv[0][0] == '/');
    for (unsigned i = 0; run.env[i]; i++) check(strchr(run.env[i], '=') != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t secret[32] = { 1 };
    char                 room[512];
    struct text          complaint = TEXT_IN(room);
    struct recipe       *r;
    if (recipe_read(fuzz_all(data, size), "a.yaml", &r, &complaint).code) {
        check(size > RECIPE_BYTES_MAX || str_starts(text_str(&complaint), STR("a.yaml:")));
        check(str_is_utf8(text_str(&complaint)));
        return 0;
    }
    expands(r, RECIPE_HEAD);
    expands(r, RECIPE_WORKER);
    for (unsigned i = 0; i < r->services_count; i++) {
        char        lines[RECIPE_SERVICE_ENV_TEXT];
        struct text env = TEXT_IN(lines);
        recipe_service_env(&r->services[i], secret, &env);
        check(!env.full);
        check(recipe_service(r, str_from(r->services[i].name)) == &r->services[i]);
    }
    recipe_free(r);
    return 0;
}
