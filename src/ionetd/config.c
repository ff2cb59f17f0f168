#include "config.h"

#include "codec/codec.h"
#include "sys/sys.h"

#include <stddef.h>
#include <string.h>

enum option_kind { OPTION_TEXT, OPTION_NUMBER, OPTION_IMAGE };

struct option {
    const char      *name;
    enum option_kind kind;
    size_t           offset, size;
    const char      *initial; /* null: it must be given */
    uint64_t         least, most;
    const char      *doc;
};

#define PLACE(member) offsetof(struct config, member), sizeof(((struct config *)0)->member)

static const struct option options[] = {
    { "state_dir", OPTION_TEXT, PLACE(state_dir), NULL, 0, 0,
      "folder of the store and the keys, made if missing" },
    { "host", OPTION_TEXT, PLACE(host), NULL, 0, 0, "name or address by which everybody reaches this network" },
    { "listen", OPTION_TEXT, PLACE(listen), "0.0.0.0", 0, 0, "address to listen at, numeric" },
    { "port", OPTION_NUMBER, PLACE(port), "8443", 0, 65535, "port to listen at; 0 takes any" },
    { "public_port", OPTION_NUMBER, PLACE(public_port), "0", 0, 65535, "port under `host`; 0: the same" },
    { "domain", OPTION_TEXT, PLACE(domain), "ionet.internal", 0, 0, "services get names under it" },
    { "operator", OPTION_TEXT, PLACE(operator_text), "", 0, 0, "the operator's public key, base 58" },
    { "recipes_dir", OPTION_TEXT, PLACE(recipes_dir), "recipes", 0, 0, "folder of the recipes, *.yaml" },
    { "image", OPTION_IMAGE, PLACE(images), "", 0, 0,
      "NAME=REPOSITORY@sha256:HEX, what a recipe's image is; repeats" },
    { "fee_basis_points", OPTION_NUMBER, PLACE(fee_basis_points), "25", 0, 5000,
      "the network's part of a charge" },
    { "limits", OPTION_TEXT, PLACE(limits), "full", 0, 0, "sizes of the tables: small or full" },
    { "sign_ins_per_address", OPTION_NUMBER, PLACE(sign_ins_per_address), "60", 1, 100000, "in five minutes" },
    { "log_level", OPTION_TEXT, PLACE(log_level), "info", 0, 0, "debug, info, warn or error" },
};

static struct err set_image(struct config *c, struct str value)
{
    struct str name, image;
    if (!str_split(value, '=', &name, &image) || !str_is_label(str_trim(name)))
        return ERR(INVALID, "an image is NAME=REPOSITORY@sha256:HEX");
    struct str at = str_trim(image), digest = at;
    while (digest.len && digest.ptr[0] != '@') digest = str_skip(digest, 1);
    if (!str_starts(digest, STR("@sha256:")) || digest.len != 8 + 64)
        return ERR(INVALID, "an image is named by its digest: NAME=REPOSITORY@sha256:HEX");
    if (c->image_count == CONFIG_IMAGES_MAX) return ERR(LIMIT, "too many images");
    struct config_image *i = &c->images[c->image_count++];
    TRY(str_copy(str_trim(name), i->name, sizeof i->name));
    return str_copy(at, i->image, sizeof i->image);
}

static struct err set(struct config *c, struct str name, struct str value)
{
    for (size_t i = 0; i < countof(options); i++) {
        const struct option *o  = &options[i];
        char                *at = (char *)c + o->offset;
        uint64_t             n;
        if (!str_eq(name, str_from(o->name))) continue;
        if (o->kind == OPTION_IMAGE) return set_image(c, value);
        if (o->kind == OPTION_TEXT) return str_copy(value, at, o->size);
        if (str_to_u64(value, &n).code || n < o->least || n > o->most)
            return ERR(INVALID, "the number is out of its range");
        memcpy(at, &n, sizeof n);
        return OK;
    }
    return ERR(INVALID, "there is no such option: see --help");
}

/* ---- the file ------------------------------------------------------------------------------------------------- */

static struct err complain(struct text *complaint, struct err e, struct str where, uint64_t line)
{
    if (!e.code) return e;
    text_add(complaint, where);
    if (line) {
        text_add_char(complaint, ':');
        text_add_u64(complaint, line);
    }
    return e;
}

static struct err read_lines(struct config *c, const char *path, struct str rest, struct text *complaint)
{
    for (uint64_t number = 1; rest.len; number++) {
        struct str line, name, value;
        str_split(rest, '\n', &line, &rest);
        line = str_trim(line);
        if (line.len == 0 || line.ptr[0] == '#') continue;
        bool       pair = str_split(line, '=', &name, &value);
        struct err e = pair ? set(c, str_trim(name), str_trim(value)) : ERR(INVALID, "a line is KEY = VALUE");
        TRY(complain(complaint, e, str_from(path), number));
    }
    return OK;
}

static struct err read_file(struct config *c, const char *path, struct text *complaint)
{
    static char room[CONFIG_FILE_MAX];
    size_t      len = 0;
    TRY(complain(complaint, sys_read_file(path, room, sizeof room, &len), str_from(path), 0));
    return read_lines(c, path, (struct str){ room, len }, complaint);
}

/* ---- the flags ---------------------------------------------------------------------------------------------------- */

static bool take_switch(struct config *c, struct str flag)
{
    if (str_eq(flag, STR("--check"))) return c->check_only = true;
    if (str_eq(flag, STR("--help"))) return c->help = true;
    if (str_eq(flag, STR("--version"))) return c->version = true;
    return false;
}

/* --name=value or --name value; with `only_config` nothing but --config counts, else all but that. */
static struct err read_flags(struct config *c, int argc, char **argv, bool only_config, struct text *complaint)
{
    for (int i = 1; i < argc; i++) {
        struct str flag = str_from(argv[i]), name, value;
        if (take_switch(c, flag)) continue;
        if (!str_starts(flag, STR("--")))
            return complain(complaint, ERR(INVALID, "a flag is --NAME VALUE"), flag, 0);
        if (!str_split(str_skip(flag, 2), '=', &name, &value)) {
            if (i + 1 == argc) return complain(complaint, ERR(INVALID, "a flag has no value"), flag, 0);
            value = str_from(argv[++i]);
        }
        bool is_config = str_eq(name, STR("config"));
        if (is_config && only_config) TRY(read_file(c, value.ptr, complaint));
        if (!is_config && !only_config) TRY(complain(complaint, set(c, name, value), flag, 0));
    }
    return OK;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------ */

static bool is_domain(struct str s)
{
    struct str label;
    if (s.len == 0 || s.len > 120) return false;
    while (s.len) {
        bool more = str_split(s, '.', &label, &s);
        if (!str_is_label(label) || (more && s.len == 0)) return false;
    }
    return true;
}

static struct err check_all(struct config *c, struct text *complaint)
{
    struct str op = str_from(c->operator_text);
    if (!c->state_dir[0]) return complain(complaint, ERR(INVALID, "it must be given"), STR("state_dir"), 0);
    if (!c->host[0]) return complain(complaint, ERR(INVALID, "it must be given"), STR("host"), 0);
    if (!is_domain(str_from(c->domain)))
        return complain(complaint, ERR(INVALID, "it is no domain name"), STR("domain"), 0);
    if (strcmp(c->limits, "small") != 0 && strcmp(c->limits, "full") != 0)
        return complain(complaint, ERR(INVALID, "it is small or full"), STR("limits"), 0);
    c->has_operator = op.len > 0;
    if (op.len && base58_read(op, c->operator.bytes, sizeof c->operator.bytes).code)
        return complain(complaint, ERR(INVALID, "it is 32 bytes in base 58"), STR("operator"), 0);
    return OK;
}

struct err config_read(struct config *c, int argc, char **argv, struct text *complaint)
{
    memset(c, 0, sizeof *c);
    for (size_t i = 0; i < countof(options); i++)
        if (options[i].initial && options[i].kind != OPTION_IMAGE)
            check(set(c, str_from(options[i].name), str_from(options[i].initial)).code == ERR_NONE);
    TRY(read_flags(c, argc, argv, true, complaint));
    TRY(read_flags(c, argc, argv, false, complaint));
    return c->help || c->version ? OK : check_all(c, complaint);
}

void config_help(struct text *out)
{
    text_add(out, STR("ionetd: one GPU network: its API, its books, its clusters.\n\n"
                      "  ionetd [--config FILE] [--NAME VALUE …]\n\n"
                      "The file has lines NAME = VALUE; flags go over it.\n\n"));
    for (size_t i = 0; i < countof(options); i++) {
        const struct option *o    = &options[i];
        size_t               from = out->len;
        text_add(out, STR("  --"));
        text_add(out, str_from(o->name));
        while (out->len - from < 26) text_add_char(out, ' ');
        text_add(out, str_from(o->doc));
        if (!o->initial) text_add(out, STR(" (needed)"));
        if (o->initial && o->initial[0]) {
            text_add(out, STR(" ["));
            text_add(out, str_from(o->initial));
            text_add_char(out, ']');
        }
        text_add_char(out, '\n');
    }
    text_add(out,
             STR("  --check                 read configuration, recipes and store, check them, serve nothing\n"
                 "  --version               print the version\n"));
}

const char *config_image(const struct config *c, const char *name)
{
    for (uint32_t i = 0; i < c->image_count; i++)
        if (strcmp(c->images[i].name, name) == 0) return c->images[i].image;
    return NULL;
}
