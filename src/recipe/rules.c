#include "recipe_int.h"

#include <stddef.h>
#include <string.h>

#define NAME_MOST 31 /* of what a record keeps the name of */
#define TITLE_MOST 63

struct checker {
    const struct recipe    *recipe;
    struct yaml            *yaml;
    const struct complaint *complaint;
};

/* A place in the recipe as a path, "list[index].member"; without index or member where there is none. */
struct place {
    char room[96];
};

#define NO_INDEX UINT32_MAX

static struct place place_in(const char *list, uint32_t index, const char *member)
{
    struct place p;
    struct text  t = TEXT_IN(p.room);
    text_add(&t, str_from(list));
    if (index != NO_INDEX) {
        text_add_char(&t, '[');
        text_add_u64(&t, index);
        text_add_char(&t, ']');
    }
    if (member) text_add_char(&t, '.');
    text_add(&t, str_from(member));
    text_z(&t);
    return p;
}

static struct place place_of(const char *path)
{
    return place_in(path, NO_INDEX, NULL);
}

static struct err refuse(const struct checker *c, struct place place, const char *reason)
{
    struct text *t = complaint_at(c->complaint, yaml_line(c->yaml, str_from(place.room)));
    text_add(t, str_from(place.room));
    text_add_char(t, ' ');
    text_add(t, str_from(reason));
    return ERR(INVALID, "the recipe breaks a rule");
}

/* ---- kinds of text ------------------------------------------------------------------------------------ */

static bool is_name(struct str s)
{
    return s.len <= NAME_MOST && str_is_label(s);
}

static bool is_title(struct str s)
{
    return s.len <= TITLE_MOST && str_is_utf8(s);
}

static bool holds(struct str s, const char *what)
{
    struct str part = str_from(what);
    for (size_t i = 0; i + part.len <= s.len; i++)
        if (str_starts(str_skip(s, i), part)) return true;
    return false;
}

/* Absolute, and no way out of it: no "//", "/./", "/../" and no '/' at the end. */
static bool is_path(struct str s)
{
    if (s.len < 2 || s.ptr[0] != '/' || !str_is_utf8(s)) return false;
    while (s.len) {
        struct str name, rest;
        s = str_skip(s, 1);
        if (!str_split(s, '/', &name, &rest)) rest = STR("");
        if (name.len == 0 || str_eq(name, STR(".")) || str_eq(name, STR(".."))) return false;
        s = str_skip(s, name.len);
    }
    return true;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The name of a variable, in an environment or of a secret. */
static bool is_variable(struct str s)
{
    if (s.len == 0 || !is_letter(s.ptr[0])) return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_letter(s.ptr[i]) && !is_digit(s.ptr[i])) return false;
    return true;
}

static bool is_sysctl(struct str s)
{
    if (!str_starts(s, STR("net.")) || s.ptr[s.len - 1] == '.' || holds(s, "..")) return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_letter(s.ptr[i]) && !is_digit(s.ptr[i]) && s.ptr[i] != '.' && s.ptr[i] != '-') return false;
    return true;
}

/* ---- numbers ------------------------------------------------------------------------------------------ */

#define LIMIT(path, member, least, most)                   \
    {                                                      \
        path, offsetof(struct recipe, member), least, most \
    }

static const struct {
    const char *path;
    size_t      offset;
    uint32_t    least, most;
} limits[] = {
    LIMIT("nodes_max", nodes_max, 1, RECIPE_NODES_MAX),
    LIMIT("cpus_min", cpus_min, 1, 1024),
    LIMIT("memory_min_mib", memory_min_mib, 64, 1u << 24),
    LIMIT("shm_percent", shm_percent, 1, 90),
    LIMIT("user.uid", user.uid, 1, 65534), /* root's and what a user namespace has no room for are left out */
    LIMIT("user.gid", user.gid, 1, 65534),
    LIMIT("witness.every_ms", witness.every_ms, 100, 60000),
    LIMIT("witness.grace_ms", witness.grace_ms, 1000, 3600000),
    LIMIT("loss.witness_ms", loss.witness_ms, 500, 600000),
    LIMIT("loss.link_ms", loss.link_ms, 1000, 600000),
    LIMIT("ready.timeout_ms", ready.timeout_ms, 1000, 3600000),
};

static struct err refuse_number(const struct checker *c, struct place place, uint32_t least, uint32_t most)
{
    char        room[48];
    struct text t = TEXT_IN(room);
    text_add(&t, STR("must be "));
    text_add_u64(&t, least);
    text_add(&t, STR(" to "));
    text_add_u64(&t, most);
    return refuse(c, place, text_z(&t));
}

/* libcyaml reads "1.5" and "12x" as far as they are numbers, and "010" as eight: the text itself must be one. */
static struct err check_number(const struct checker *c, struct place place, uint32_t n, uint32_t least,
                               uint32_t most)
{
    uint64_t written;
    bool     is_plain = !str_to_u64(yaml_scalar(c->yaml, str_from(place.room)), &written).code && written == n;
    return is_plain && n >= least && n <= most ? OK : refuse_number(c, place, least, most);
}

static struct err check_numbers(const struct checker *c)
{
    for (size_t i = 0; i < countof(limits); i++) {
        uint32_t n = *(const uint32_t *)((const char *)c->recipe + limits[i].offset);
        TRY(check_number(c, place_of(limits[i].path), n, limits[i].least, limits[i].most));
    }
    if (c->recipe->loss.witness_ms < 2 * c->recipe->witness.every_ms)
        return refuse(c, place_of("loss.witness_ms"),
                      "must be twice witness.every_ms at least: one line may be late");
    if (c->recipe->ready.timeout_ms < c->recipe->witness.grace_ms)
        return refuse(c, place_of("ready.timeout_ms"), "must be no less than witness.grace_ms");
    return OK;
}

/* ---- lists -------------------------------------------------------------------------------------------- */

/* What stands before the '='; all of it if there is none. */
static struct str name_of(const char *pair)
{
    struct str name, value;
    (void)str_split(str_from(pair), '=', &name, &value);
    return name;
}

static bool is_twin(char *const *list, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (str_eq(name_of(list[i]), name_of(list[index]))) return true;
    return false;
}

static struct err check_variables(const struct checker *c, struct place place, enum expand_for whom,
                                  struct str text)
{
    struct str bad;
    char       room[128];
    if (!str_is_utf8(text)) return refuse(c, place, "holds control characters or is not UTF-8");
    if (expand_is_known(c->recipe, whom, text, &bad)) return OK;

    struct text t = TEXT_IN(room);
    text_add(&t, STR("uses a variable that is not there: "));
    if (bad.len > 64) bad.len = 64;
    text_add(&t, bad);
    return refuse(c, place, text_z(&t));
}

static struct err check_env(const struct checker *c, const char *path, enum expand_for whom, char *const *env,
                            uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct place place = place_in(path, i, NULL);
        struct str   name, value;
        bool         is_pair = str_split(str_from(env[i]), '=', &name, &value);
        if (!is_pair || !is_variable(name)) return refuse(c, place, "must be NAME=VALUE");
        if (is_twin(env, i)) return refuse(c, place, "sets a name that is set already");
        TRY(check_variables(c, place, whom, value));
    }
    return OK;
}

static struct err check_command(const struct checker *c, const char *path, char *const *command, uint32_t count)
{
    if (!is_path(str_from(command[0]))) return refuse(c, place_in(path, 0, NULL), "must be an absolute path");
    for (uint32_t i = 0; i < count; i++)
        TRY(check_variables(c, place_in(path, i, NULL), EXPAND_FOR_NODE, str_from(command[i])));
    return OK;
}

static struct err check_sysctls(const struct checker *c)
{
    for (uint32_t i = 0; i < c->recipe->sysctls_count; i++) {
        struct place place = place_in("sysctls", i, NULL);
        struct str   name, value;
        bool         is_pair = str_split(str_from(c->recipe->sysctls[i]), '=', &name, &value);
        if (!is_pair || !is_sysctl(name) || value.len == 0 || !str_is_utf8(value))
            return refuse(c, place, "must be net.NAME=VALUE");
        if (is_twin(c->recipe->sysctls, i)) return refuse(c, place, "sets a name that is set already");
    }
    return OK;
}

static struct err check_secrets(const struct checker *c)
{
    for (uint32_t i = 0; i < c->recipe->secrets_count; i++) {
        struct place place = place_in("secrets", i, NULL);
        struct str   name  = str_from(c->recipe->secrets[i]);
        if (name.len > NAME_MOST || !is_variable(name))
            return refuse(c, place, "must be letters, digits and '_'");
        if (is_twin(c->recipe->secrets, i)) return refuse(c, place, "is there already");
    }
    return OK;
}

/* What a container gets in any case; a tmpfs over it would hide it. */
static bool is_taken(struct str path)
{
    static const char *const taken[] = { "/dev", "/proc", "/sys", "/etc", "/usr", "/bin", "/lib" };
    for (size_t i = 0; i < countof(taken); i++) {
        struct str under = str_from(taken[i]);
        if (str_starts(path, under) && (path.len == under.len || path.ptr[under.len] == '/')) return true;
    }
    return false;
}

static struct err check_mode(const struct checker *c, struct place place, uint16_t mode)
{
    struct str written  = yaml_scalar(c->yaml, str_from(place.room));
    bool       is_octal = written.len > 1 && written.ptr[0] == '0' && mode <= 01777;
    for (size_t i = 0; i < written.len; i++)
        is_octal = is_octal && written.ptr[i] >= '0' && written.ptr[i] <= '7';
    return is_octal ? OK : refuse(c, place, "must be octal, 0 to 01777 with a 0 ahead");
}

static struct err check_tmpfs(const struct checker *c)
{
    const struct recipe *r = c->recipe;
    for (uint32_t i = 0; i < r->tmpfs_count; i++) {
        struct place place = place_in("tmpfs", i, "path");
        struct str   path  = str_from(r->tmpfs[i].path);
        if (!is_path(path)) return refuse(c, place, "must be an absolute path");
        if (is_taken(path)) return refuse(c, place, "would hide what the system needs");
        for (uint32_t j = 0; j < i; j++)
            if (str_eq(str_from(r->tmpfs[j].path), path)) return refuse(c, place, "is there already");
        TRY(check_number(c, place_in("tmpfs", i, "size_mib"), r->tmpfs[i].size_mib, 1, 1u << 20));
        TRY(check_mode(c, place_in("tmpfs", i, "mode"), r->tmpfs[i].mode));
    }
    return OK;
}

/* Mail from a supplier's address would be his. */
static struct err check_egress(const struct checker *c)
{
    const struct recipe_egress *e = c->recipe->egress;
    if (!e) return OK;
    TRY(check_number(c, place_of("egress.mbit"), e->mbit, 1, 10000));
    TRY(check_number(c, place_of("egress.connections"), e->connections, 1, 512));
    for (uint32_t i = 0; i < e->ports_count; i++) {
        struct place place = place_in("egress.ports", i, NULL);
        TRY(check_number(c, place, e->ports[i], 1, 65535));
        if (e->ports[i] == 25) return refuse(c, place, "is for mail, which may not be sent");
    }
    return OK;
}

static bool do_meet(const struct recipe_service *a, const struct recipe_service *b)
{
    return a->port == b->port && (a->on == b->on || a->on == RECIPE_ON_ANY || b->on == RECIPE_ON_ANY);
}

static struct err check_service_env(const struct checker *c, uint32_t i)
{
    static const uint8_t         any[32] = { 0 }; /* all secrets are as long */
    const struct recipe_service *s       = &c->recipe->services[i];
    struct place                 place   = place_in("services", i, "env");
    char                         room[RECIPE_SERVICE_ENV_TEXT];
    struct text                  t = TEXT_IN(room);
    TRY(check_env(c, place.room, EXPAND_FOR_USER, s->env, s->env_count));
    recipe_service_env(s, any, &t);
    text_z(&t);
    return t.full ? refuse(c, place, "is longer than 1023 bytes with its secrets") : OK;
}

/* "--" parts a service's name from its cluster's in the gateway's host names. */
static struct err check_service(const struct checker *c, uint32_t i)
{
    const struct recipe_service *s    = &c->recipe->services[i];
    struct str                   path = str_from(s->path);
    if (!is_name(str_from(s->name)) || holds(str_from(s->name), "--"))
        return refuse(c, place_in("services", i, "name"),
                      "must be a DNS label of at most 31 letters without \"--\"");
    if (!is_title(str_from(s->title)))
        return refuse(c, place_in("services", i, "title"), "must be a line of at most 63 bytes");
    TRY(check_number(c, place_in("services", i, "port"), s->port, 1, 65535));
    if (s->path && s->protocol != RECIPE_HTTP)
        return refuse(c, place_in("services", i, "path"), "is for http only");
    if (s->path && (path.ptr[0] != '/' || !str_is_utf8(path)))
        return refuse(c, place_in("services", i, "path"), "must start with '/'");
    if (path.len > RECIPE_PATH_MAX)
        return refuse(c, place_in("services", i, "path"), "must be at most 127 bytes");
    TRY(check_service_env(c, i));
    for (uint32_t j = 0; j < i; j++) {
        if (recipe_service(c->recipe, str_from(s->name)) != s)
            return refuse(c, place_in("services", i, "name"), "is there already");
        if (do_meet(s, &c->recipe->services[j]))
            return refuse(c, place_in("services", i, "port"), "is another service's already");
    }
    return OK;
}

/* Of a cluster of one node there is only the head. */
static struct err check_through(const struct checker *c)
{
    const struct recipe_service *s = recipe_service(c->recipe, str_from(c->recipe->witness.through));
    if (!s || !recipe_is_on(s->on, RECIPE_HEAD))
        return refuse(c, place_of("witness.through"), "must name a service of the head");
    return OK;
}

static struct err check_texts(const struct checker *c)
{
    const struct recipe *r = c->recipe;
    if (!is_name(str_from(r->name)))
        return refuse(c, place_of("name"), "must be a DNS label of at most 31 letters");
    if (!is_title(str_from(r->title)))
        return refuse(c, place_of("title"), "must be a line of at most 63 bytes");
    if (!str_is_utf8(str_from(r->about))) return refuse(c, place_of("about"), "must be one line of text");
    if (!is_name(str_from(r->image)))
        return refuse(c, place_of("image"), "must be a DNS label of at most 31 letters");
    if (!is_name(str_from(r->user.name)))
        return refuse(c, place_of("user.name"), "must be a DNS label of at most 31 letters");
    if (!is_path(str_from(r->user.home))) return refuse(c, place_of("user.home"), "must be an absolute path");
    return OK;
}

static struct err check_state(const struct checker *c)
{
    const struct recipe_state *s = c->recipe->state;
    if (!s) return OK;
    if (strlen(s->lost) > RECIPE_LOST_MAX || !str_is_utf8(str_from(s->lost)))
        return refuse(c, place_of("state.lost"), "must be a line of at most 159 bytes");
    return check_command(c, "state.copy", s->copy, s->copy_count);
}

struct err rules_check(const struct recipe *r, struct yaml *y, const struct complaint *complaint)
{
    struct checker c = { r, y, complaint };
    TRY(check_texts(&c));
    TRY(check_numbers(&c));
    TRY(check_tmpfs(&c));
    TRY(check_egress(&c));
    TRY(check_sysctls(&c));
    TRY(check_secrets(&c));
    TRY(check_env(&c, "env", EXPAND_FOR_NODE, r->env, r->env_count));
    TRY(check_env(&c, "head.env", EXPAND_FOR_NODE, r->head.env, r->head.env_count));
    TRY(check_env(&c, "worker.env", EXPAND_FOR_NODE, r->worker.env, r->worker.env_count));
    TRY(check_command(&c, "head.command", r->head.command, r->head.command_count));
    TRY(check_command(&c, "worker.command", r->worker.command, r->worker.command_count));
    TRY(check_command(&c, "witness.command", r->witness.command, r->witness.command_count));
    TRY(check_state(&c));
    for (uint32_t i = 0; i < r->services_count; i++) TRY(check_service(&c, i));
    return check_through(&c);
}
