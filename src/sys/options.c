#include "options.h"

#include "sys.h"

#include <string.h>

static struct err set(const struct options *o, struct str name, struct str value)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct option *row = &o->rows[i];
        char                *at  = (char *)o->config + row->offset;
        uint64_t             n;
        if (!str_eq(name, str_from(row->name))) continue;
        if (row->kind == OPTION_SPECIAL) return o->set_special(o->config, value);
        if (row->kind == OPTION_TEXT) return str_copy(value, at, row->size);
        if (str_to_u64(value, &n).code || n < row->least || n > row->most)
            return ERR(INVALID, "the number is out of its range");
        memcpy(at, &n, sizeof n);
        return OK;
    }
    return ERR(INVALID, "there is no such option: see --help");
}

struct err options_complain(struct text *complaint, struct err e, struct str where, uint64_t line)
{
    if (!e.code) return e;
    text_add(complaint, where);
    if (line) {
        text_add_char(complaint, ':');
        text_add_u64(complaint, line);
    }
    return e;
}

static struct err read_file(const struct options *o, const char *path, struct text *complaint)
{
    static char room[OPTIONS_FILE_MAX];
    size_t      len = 0;
    TRY(options_complain(complaint, sys_read_file(path, room, sizeof room, &len), str_from(path), 0));
    struct str rest = { room, len };
    for (uint64_t number = 1; rest.len; number++) {
        struct str line, name, value;
        str_split(rest, '\n', &line, &rest);
        line = str_trim(line);
        if (line.len == 0 || line.ptr[0] == '#') continue;
        bool       pair = str_split(line, '=', &name, &value);
        struct err e    = pair ? set(o, str_trim(name), str_trim(value)) : ERR(INVALID, "a line is NAME=VALUE");
        TRY(options_complain(complaint, e, str_from(path), number));
    }
    return OK;
}

/* With `only_config` nothing but --config counts, else all but that: the file comes before the flags. */
static struct err read_flags(const struct options *o, int argc, char **argv, bool only_config,
                             struct text *complaint)
{
    for (int i = 1; i < argc; i++) {
        struct str flag = str_from(argv[i]), name, value;
        if (o->take_switch(o->config, flag)) continue;
        if (!str_starts(flag, STR("--")))
            return options_complain(complaint, ERR(INVALID, "a flag is --NAME VALUE"), flag, 0);
        if (!str_split(str_skip(flag, 2), '=', &name, &value)) {
            if (i + 1 == argc)
                return options_complain(complaint, ERR(INVALID, "the flag has no value"), flag, 0);
            value = str_from(argv[++i]);
        }
        bool is_config = str_eq(name, STR("config"));
        if (is_config && only_config) TRY(read_file(o, value.ptr, complaint));
        if (!is_config && !only_config) TRY(options_complain(complaint, set(o, name, value), flag, 0));
    }
    return OK;
}

struct err options_read(const struct options *o, int argc, char **argv, struct text *complaint)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct option *row = &o->rows[i];
        if (!row->initial || row->kind == OPTION_SPECIAL) continue;
        check(set(o, str_from(row->name), str_from(row->initial)).code == ERR_NONE);
    }
    TRY(read_flags(o, argc, argv, true, complaint));
    return read_flags(o, argc, argv, false, complaint);
}

void options_help(const struct options *o, size_t column, struct text *out)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct option *row  = &o->rows[i];
        size_t               from = out->len;
        text_add(out, STR("  --"));
        text_add(out, str_from(row->name));
        while (out->len - from < column && !out->full) text_add_char(out, ' ');
        text_add(out, str_from(row->doc));
        if (!row->initial) text_add(out, STR(" (needed)"));
        if (row->initial && row->initial[0]) {
            text_add(out, STR(" ["));
            text_add(out, str_from(row->initial));
            text_add_char(out, ']');
        }
        text_add_char(out, '\n');
    }
}
