#include "recipe_int.h"
#include "secret.h"

#define EXPANDED_MOST 4096 /* one argument or NAME=VALUE, its variables filled in */

enum variable {
    VARIABLE_ADDRESS,
    VARIABLE_HEAD,
    VARIABLE_CLUSTER,
    VARIABLE_STANDBY,
    VARIABLE_INDEX,
    VARIABLE_NODES,
    VARIABLE_CPUS,
    VARIABLE_GPUS,
    VARIABLE_MEMORY,
    VARIABLE_SHM,
    VARIABLE_COUNT
};

static const char *const names[VARIABLE_COUNT] = {
    [VARIABLE_ADDRESS] = "address", [VARIABLE_HEAD] = "head",   [VARIABLE_CLUSTER] = "cluster",
    [VARIABLE_STANDBY] = "standby", [VARIABLE_INDEX] = "index", [VARIABLE_NODES] = "nodes",
    [VARIABLE_CPUS] = "cpus",       [VARIABLE_GPUS] = "gpus",   [VARIABLE_MEMORY] = "memory",
    [VARIABLE_SHM] = "shm",
};

/* The place of a name in a list, or the list's length. */
static uint32_t find(const char *const *list, uint32_t count, struct str name)
{
    uint32_t i = 0;
    while (i < count && !str_eq(str_from(list[i]), name)) i++;
    return i;
}

static struct str secret_name(struct str variable)
{
    struct str prefix = STR("secret.");
    return str_starts(variable, prefix) ? str_skip(variable, prefix.len) : STR("");
}

static uint32_t find_secret(const struct recipe *r, struct str variable)
{
    return find((const char *const *)r->secrets, r->secrets_count, secret_name(variable));
}

/* Cuts "${name}" or the characters before it from the text's start. An open "${" is a variable too, one that
 * is not known. */
static bool cut(struct str *text, struct str *piece)
{
    bool   is_variable = str_starts(*text, STR("${"));
    size_t end         = is_variable ? 2 : 1;
    if (is_variable)
        while (end < text->len && text->ptr[end] != '}') end++;
    else
        while (end < text->len && !str_starts(str_skip(*text, end), STR("${"))) end++;
    *piece = is_variable ? (struct str){ text->ptr + 2, end - 2 } : (struct str){ text->ptr, end };
    *text  = str_skip(*text, is_variable ? end + 1 : end);
    return is_variable;
}

static bool is_known(const struct recipe *r, enum expand_for whom, struct str name)
{
    if (find_secret(r, name) < r->secrets_count) return true;
    uint32_t variable = find(names, VARIABLE_COUNT, name);
    return whom == EXPAND_FOR_USER ? variable == VARIABLE_ADDRESS : variable < VARIABLE_COUNT;
}

bool expand_is_known(const struct recipe *r, enum expand_for whom, struct str text, struct str *bad)
{
    while (text.len) {
        bool is_open = str_starts(text, STR("${")) && text.ptr[text.len - 1] != '}';
        if (!cut(&text, bad)) continue;
        if (!is_known(r, whom, *bad) || (is_open && text.len == 0)) return false;
    }
    return true;
}

static uint64_t number_of(const struct recipe *r, const struct recipe_vars *v, enum variable variable)
{
    uint64_t shm = recipe_shm_bytes(r, v->memory_bytes);
    switch (variable) {
    case VARIABLE_INDEX: return v->index;
    case VARIABLE_NODES: return v->nodes;
    case VARIABLE_CPUS: return v->cpus_milli < 1000 ? 1 : v->cpus_milli / 1000;
    case VARIABLE_GPUS: return v->gpus;
    case VARIABLE_MEMORY: return v->memory_bytes - shm;
    case VARIABLE_SHM: return shm - shm / 16;
    case VARIABLE_ADDRESS:
    case VARIABLE_HEAD:
    case VARIABLE_CLUSTER:
    case VARIABLE_STANDBY:
    case VARIABLE_COUNT: break;
    }
    check_failed("the variable is a number", __FILE__, __LINE__);
}

static void add_variable(const struct recipe *r, const struct recipe_vars *v, struct str name, struct text *out)
{
    uint32_t secret = find_secret(r, name);
    if (secret < r->secrets_count) {
        text_add(out, v->secrets[secret]);
        return;
    }
    enum variable variable = (enum variable)find(names, VARIABLE_COUNT, name);
    if (variable == VARIABLE_ADDRESS)
        text_add(out, v->address);
    else if (variable == VARIABLE_HEAD)
        text_add(out, v->head);
    else if (variable == VARIABLE_CLUSTER)
        text_add(out, v->cluster);
    else if (variable == VARIABLE_STANDBY)
        text_add(out, v->standby);
    else
        text_add_u64(out, number_of(r, v, variable));
}

static struct err no_room(void)
{
    return ERR(LIMIT, "a command of the recipe is too long");
}

static struct err expand(const struct recipe *r, const struct recipe_vars *v, struct str text,
                         struct arena *arena, const char **out)
{
    char        room[EXPANDED_MOST];
    struct text t = TEXT_IN(room);
    struct str  piece;
    while (text.len) {
        if (cut(&text, &piece))
            add_variable(r, v, piece, &t);
        else
            text_add(&t, piece);
    }
    struct str kept = t.full ? STR("") : arena_copy(arena, text_str(&t));
    if (t.full || !kept.ptr) return no_room();
    *out = kept.ptr;
    return OK;
}

static struct err expand_command(const struct recipe *r, const struct recipe_vars *v, char *const *command,
                                 uint32_t count, struct arena *arena, const char *const **out)
{
    const char **argv = arena_take(arena, (count + (size_t)1) * sizeof *argv);
    if (!argv) return no_room();
    for (uint32_t i = 0; i < count; i++) TRY(expand(r, v, str_from(command[i]), arena, &argv[i]));
    *out = argv;
    return OK;
}

static bool sets_name(const struct recipe_part *p, const char *pair)
{
    struct str name, other, value;
    (void)str_split(str_from(pair), '=', &name, &value);
    for (uint32_t i = 0; i < p->env_count; i++) {
        (void)str_split(str_from(p->env[i]), '=', &other, &value);
        if (str_eq(name, other)) return true;
    }
    return false;
}

static struct err expand_env(const struct recipe *r, const struct recipe_part *p, const struct recipe_vars *v,
                             struct arena *arena, const char *const **out)
{
    uint32_t     count = 0;
    const char **env   = arena_take(arena, (r->env_count + p->env_count + (size_t)1) * sizeof *env);
    if (!env) return no_room();
    for (uint32_t i = 0; i < r->env_count; i++)
        if (!sets_name(p, r->env[i])) TRY(expand(r, v, str_from(r->env[i]), arena, &env[count++]));
    for (uint32_t i = 0; i < p->env_count; i++) TRY(expand(r, v, str_from(p->env[i]), arena, &env[count++]));
    *out = env;
    return OK;
}

struct err recipe_expand(const struct recipe *r, enum recipe_role role, const struct recipe_vars *vars,
                         struct arena *arena, struct recipe_run *out)
{
    const struct recipe_part    *p   = role == RECIPE_HEAD ? &r->head : &r->worker;
    const struct recipe_witness *w   = &r->witness;
    struct recipe_run            run = { NULL, NULL, NULL, NULL };
    TRY(expand_command(r, vars, p->command, p->command_count, arena, &run.argv));
    TRY(expand_env(r, p, vars, arena, &run.env));
    if (recipe_is_on(w->on, role))
        TRY(expand_command(r, vars, w->command, w->command_count, arena, &run.witness_argv));
    if (r->state && role == RECIPE_WORKER)
        TRY(expand_command(r, vars, r->state->copy, r->state->copy_count, arena, &run.copy_argv));
    *out = run;
    return OK;
}

void recipe_service_env(const struct recipe_service *s, const uint8_t cluster_secret[32], struct text *out)
{
    for (unsigned i = 0; i < s->env_count; i++) {
        struct str text = str_from(s->env[i]), piece;
        while (text.len) {
            bool is_variable = cut(&text, &piece);
            if (!is_variable)
                text_add(out, piece);
            else if (secret_name(piece).len)
                recipe_secret(cluster_secret, secret_name(piece), out);
            else
                text_add(out, STR("${address}"));
        }
        text_add_char(out, '\n');
    }
}
