#include "options.h"

#include "sys.h"

#include <string.h>

static const struct option *row_find(const struct options *o, struct str name)
{
    for (size_t i = 0; i < o->count; i++)
        if (str_eq(name, str_from(o->rows[i].name))) return &o->rows[i];
    return NULL;
}

static bool is_switch(const struct option *row)
{
    return row->kind == OPTION_SWITCH || row->kind == OPTION_QUESTION;
}

static struct err set_text(const struct option *row, struct str value, char *member)
{
    if (!str_is_utf8(value)) return ERR(INVALID, "the value holds control characters or is not UTF-8");
    return str_copy(value, member, row->size).code ? ERR(INVALID, "the value is too long") : OK;
}

static struct err set_number(const struct option *row, struct str value, char *member)
{
    uint64_t n;
    if (str_to_u64(value, &n).code) return ERR(INVALID, "the value is no number");
    if (n < row->least || n > row->most) return ERR(INVALID, "the number is out of its range");
    memcpy(member, &n, sizeof n);
    return OK;
}

static struct err set(const struct options *o, const struct option *row, struct str value)
{
    char    *member = (char *)o->config + row->offset;
    unsigned word   = (unsigned)row->least;
    switch (row->kind) {
    case OPTION_TEXT: return set_text(row, value, member);
    case OPTION_NUMBER: return set_number(row, value, member);
    case OPTION_SPECIAL: return o->set_special(o->config, value);
    case OPTION_SWITCH:
    case OPTION_QUESTION: memcpy(member, &word, sizeof word); break;
    case OPTION_FILE: break; /* it was read before */
    }
    return OK;
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

/* ---- the file ------------------------------------------------------------------------------------------ */

static struct err read_line(const struct options *o, struct str line)
{
    struct str name, value;
    if (!str_split(line, '=', &name, &value)) return ERR(INVALID, "a line is NAME=VALUE");
    const struct option *row = row_find(o, str_trim(name));
    if (!row) return ERR(INVALID, "there is no such option: see --help");
    if (is_switch(row) || row->kind == OPTION_FILE) return ERR(INVALID, "that is a flag, not for a file");
    return set(o, row, str_trim(value));
}

static struct err read_file(const struct options *o, const char *path, bool must_exist, struct text *complaint)
{
    static char room[OPTIONS_FILE_MAX];
    size_t      len = 0;
    struct err  e   = sys_read_file(path, room, sizeof room, &len);
    if (e.code == ERR_MISSING && !must_exist) return OK;
    TRY(options_complain(complaint, e, str_from(path), 0));
    struct str rest = { room, len }, line;
    for (uint64_t number = 1; rest.len; number++) {
        str_split(rest, '\n', &line, &rest);
        line = str_trim(line);
        if (line.len == 0 || line.ptr[0] == '#') continue;
        TRY(options_complain(complaint, read_line(o, line), str_from(path), number));
    }
    return OK;
}

/* ---- the flags ----------------------------------------------------------------------------------------- */

struct flag {
    struct str           word; /* "--NAME" */
    const struct option *row;
    struct str           value;
};

/* The flag at argv[*at], and the word after it if it needs one. */
static struct err take_flag(const struct options *o, int argc, char **argv, int *at, struct flag *f)
{
    bool has_value = str_split(str_from(argv[(*at)++]), '=', &f->word, &f->value);
    f->row         = row_find(o, str_skip(f->word, 2));
    if (!f->row) return ERR(INVALID, "there is no such option: see --help");
    if (is_switch(f->row)) return has_value ? ERR(INVALID, "the flag takes no value") : OK;
    if (has_value) return OK;
    if (*at == argc) return ERR(INVALID, "the flag has no value");
    f->value = str_from(argv[(*at)++]);
    return OK;
}

static struct err next_flag(const struct options *o, int argc, char **argv, int *at, struct flag *f,
                            struct text *complaint)
{
    if (!str_starts(str_from(argv[*at]), STR("--")))
        return options_complain(complaint, ERR(INVALID, "a flag is --NAME VALUE"), STR("argument"),
                                (uint64_t)*at);
    struct err e = take_flag(o, argc, argv, at, f);
    return options_complain(complaint, e, f->word, 0);
}

/* What counts before the file is read: a question, which ends it all, and the file's path. */
static struct err look_ahead(const struct options *o, int argc, char **argv, const char **file, bool *is_asked,
                             struct text *complaint)
{
    struct flag f;
    for (int at = 1; at < argc;) {
        TRY(next_flag(o, argc, argv, &at, &f, complaint));
        if (f.row->kind == OPTION_FILE) *file = f.value.ptr;
        if (f.row->kind != OPTION_QUESTION) continue;
        *is_asked = true;
        return set(o, f.row, f.value);
    }
    return OK;
}

static struct err set_flags(const struct options *o, int argc, char **argv, struct text *complaint)
{
    struct flag f;
    for (int at = 1; at < argc;) {
        TRY(next_flag(o, argc, argv, &at, &f, complaint));
        TRY(options_complain(complaint, set(o, f.row, f.value), f.word, 0));
    }
    return OK;
}

struct err options_read(const struct options *o, int argc, char **argv, struct text *complaint)
{
    const char *named = NULL, *usual = NULL;
    bool        is_asked = false;
    for (size_t i = 0; i < o->count; i++) {
        const struct option *row = &o->rows[i];
        if (row->kind == OPTION_FILE && row->initial[0]) usual = row->initial;
        if (row->initial && (row->kind == OPTION_TEXT || row->kind == OPTION_NUMBER))
            check(set(o, row, str_from(row->initial)).code == ERR_NONE);
    }
    TRY(look_ahead(o, argc, argv, &named, &is_asked, complaint));
    if (is_asked) return OK;
    if (named)
        TRY(read_file(o, named, true, complaint));
    else if (usual)
        TRY(read_file(o, usual, false, complaint));
    return set_flags(o, argc, argv, complaint);
}

/* ---- help ---------------------------------------------------------------------------------------------- */

void options_help(const struct options *o, struct text *out)
{
    size_t longest = 0;
    for (size_t i = 0; i < o->count; i++)
        if (strlen(o->rows[i].name) > longest) longest = strlen(o->rows[i].name);
    for (size_t i = 0; i < o->count; i++) {
        const struct option *row = &o->rows[i];
        text_add(out, STR("  --"));
        text_add(out, str_from(row->name));
        for (size_t k = strlen(row->name); k < longest + 2; k++) text_add_char(out, ' ');
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
