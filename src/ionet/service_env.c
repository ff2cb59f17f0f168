#include "service_env_int.h"

#include <stdlib.h>

static bool is_capital(char c)
{
    return (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9');
}

static bool may_set(struct str name)
{
    static const char *const endings[] = { "_ADDRESS", "_HOST",  "_KEY", "_MODE", "_PASSWORD",
                                           "_PORT",    "_TOKEN", "_URI", "_URL",  "_USER" };
    for (size_t i = 0; i < name.len; i++)
        if (!is_capital(name.ptr[i])) return false;
    if (!name.len || (name.ptr[0] >= '0' && name.ptr[0] <= '9')) return false;
    for (size_t i = 0; i < countof(endings); i++)
        if (str_ends(name, str_from(endings[i]))) return true;
    return false;
}

static void add(struct service_env *e, struct text *t, struct str name, struct str value, const char *address)
{
    static const struct str place = { "${address}", 10 };
    struct service_var     *v     = &e->vars[e->count++];
    v->name                       = t->ptr + t->len;
    text_add(t, name);
    text_add_char(t, '\0');
    v->value = t->ptr + t->len;
    while (value.len) {
        bool here = str_starts(value, place);
        text_add(t, here ? str_from(address) : (struct str){ value.ptr, 1 });
        value = str_skip(value, here ? place.len : 1);
    }
    text_add_char(t, '\0');
}

struct err service_env_fill(struct service_env *e, const struct service_ticket *ticket, const char *address)
{
    struct text t    = TEXT_IN(e->room);
    struct str  rest = str_from(ticket->env), line, name, value;
    e->count         = 0;
    add(e, &t, STR("IONET_ADDRESS"), str_from(address), address);
    if (*ticket->token) add(e, &t, STR("IONET_TOKEN"), str_from(ticket->token), address);
    while (rest.len) {
        (void)str_split(rest, '\n', &line, &rest);
        if (!str_split(line, '=', &name, &value) || !may_set(name))
            return ERR(DENIED, "the network would set in the environment what it may not");
        if (e->count == SERVICE_ENV_MAX) return ERR(LIMIT, "the network would set too much in the environment");
        add(e, &t, name, value, address);
    }
    return t.full ? ERR(LIMIT, "the network would set too much in the environment") : OK;
}

void service_env_print(const struct service_env *e, FILE *to)
{
    for (size_t i = 0; i < e->count; i++) {
        fprintf(to, "export %s='", e->vars[i].name);
        for (const char *at = e->vars[i].value; *at; at++) {
            if (*at == '\'')
                fputs("'\\''", to);
            else
                fputc(*at, to);
        }
        fputs("'\n", to);
    }
}

void service_env_set(const struct service_env *e)
{
    for (size_t i = 0; i < e->count; i++) check(setenv(e->vars[i].name, e->vars[i].value, 1) == 0);
}
