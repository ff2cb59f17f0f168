#include "config.h"

#include "codec/codec.h"
#include "sys/log.h"
#include "sys/options.h"
#include "sys/sandbox.h"

#include <stddef.h>
#include <string.h>

#define PLACE(member) offsetof(struct config, member), sizeof(((struct config *)0)->member)

static const struct option rows[] = {
    { "config", OPTION_FILE, 0, 0, "", 0, 0, "file of lines NAME=VALUE; flags go over it" },
    { "state_dir", OPTION_TEXT, PLACE(state_dir), NULL, 0, 0,
      "folder of the store and the keys, made if missing" },
    { "host", OPTION_TEXT, PLACE(host), NULL, 0, 0, "name or address by which everybody reaches this network" },
    { "listen", OPTION_TEXT, PLACE(listen), "0.0.0.0", 0, 0, "address to listen at, numeric" },
    { "port", OPTION_NUMBER, PLACE(port), "8443", 0, 65535, "port to listen at; 0 takes any" },
    { "public_port", OPTION_NUMBER, PLACE(public_port), "0", 0, 65535, "port under `host`; 0: the same" },
    { "domain", OPTION_TEXT, PLACE(domain), "ionet.internal", 0, 0, "services get names under it" },
    { "operator", OPTION_TEXT, PLACE(operator_text), "", 0, 0, "the operator's public key, base 58" },
    { "recipes_dir", OPTION_TEXT, PLACE(recipes_dir), "recipes", 0, 0, "folder of the recipes, *.yaml" },
    { "image", OPTION_SPECIAL, PLACE(images), "", 0, 0,
      "NAME=REPOSITORY@sha256:HEX, what a recipe's image is; repeats" },
    { "fee_basis_points", OPTION_NUMBER, PLACE(fee_basis_points), "25", 0, 5000,
      "the network's part of a charge" },
    { "limits", OPTION_TEXT, PLACE(limits), "full", 0, 0, "sizes of the tables: small or full" },
    { "sign_ins_per_address", OPTION_NUMBER, PLACE(sign_ins_per_address), "60", 1, 100000, "in five minutes" },
    { "requests_per_account", OPTION_NUMBER, PLACE(requests_per_account), "100", 1, 1000000,
      "a second, and ten seconds' worth at once" },
    { "requests_per_address", OPTION_NUMBER, PLACE(requests_per_address), "50", 1, 1000000,
      "the same, of those who show no key" },
    { "stranger_us_per_s", OPTION_NUMBER, PLACE(stranger_us_per_s), "5000", 1000, 1000000,
      "time of the processor for an address without a key, in microseconds a second; 1000000: all" },
    { "machines_shared", OPTION_NUMBER, PLACE(machines_shared), "0", 0, 1,
      "1: workers may share a machine, which is promised as often then; for tests" },
    { "log_level", OPTION_TEXT, PLACE(log_level), "info", 0, 0, "debug, info, warn or error" },
    { "user", OPTION_TEXT, PLACE(user), "", 0, 0,
      "user to become when started as root; state_dir becomes his" },
    { "sandbox", OPTION_TEXT, PLACE(sandbox), "on", 0, 0,
      "on; strict: a system call not foreseen ends it; off, for a debugger" },
    { "check", OPTION_SWITCH, PLACE(task), "", TASK_CHECK, 0,
      "read configuration, recipes and store, check them, serve nothing" },
    { "help", OPTION_QUESTION, PLACE(task), "", TASK_HELP, 0, "print this" },
    { "version", OPTION_QUESTION, PLACE(task), "", TASK_VERSION, 0, "print the version" },
};

static struct err set_image(void *config, struct str value)
{
    struct config *c = config;
    struct str     name, image;
    if (!str_split(value, '=', &name, &image) || !str_is_label(str_trim(name)))
        return ERR(INVALID, "an image is NAME=REPOSITORY@sha256:HEX");
    struct str at = str_trim(image), digest = at;
    while (digest.len && digest.ptr[0] != '@') digest = str_skip(digest, 1);
    if (!str_starts(digest, STR("@sha256:")) || digest.len != 8 + 64)
        return ERR(INVALID, "an image is named by its digest: NAME=REPOSITORY@sha256:HEX");
    uint32_t place = 0; /* the later word counts: a flag's over the file's */
    while (place < c->image_count && !str_eq(str_from(c->images[place].name), str_trim(name))) place++;
    if (place == CONFIG_IMAGES_MAX) return ERR(LIMIT, "too many images");
    struct config_image *i = &c->images[place];
    TRY(str_copy(str_trim(name), i->name, sizeof i->name));
    TRY(str_copy(at, i->image, sizeof i->image));
    if (place == c->image_count) c->image_count++;
    return OK;
}

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
    if (!c->state_dir[0])
        return options_complain(complaint, ERR(INVALID, "it must be given"), STR("state_dir"), 0);
    if (!c->host[0]) return options_complain(complaint, ERR(INVALID, "it must be given"), STR("host"), 0);
    if (!is_domain(str_from(c->domain)))
        return options_complain(complaint, ERR(INVALID, "it is no domain name"), STR("domain"), 0);
    if (strcmp(c->limits, "small") != 0 && strcmp(c->limits, "full") != 0)
        return options_complain(complaint, ERR(INVALID, "it is small or full"), STR("limits"), 0);
    if (!log_level_by_name(c->log_level))
        return options_complain(complaint, ERR(INVALID, "it is debug, info, warn or error"), STR("log_level"),
                                0);
    if (!sandbox_is_word(c->sandbox))
        return options_complain(complaint, ERR(INVALID, "it is on, strict or off"), STR("sandbox"), 0);
    c->has_operator = op.len > 0;
    if (op.len && base58_read(op, c->operator.bytes, sizeof c->operator.bytes).code)
        return options_complain(complaint, ERR(INVALID, "it is 32 bytes in base 58"), STR("operator"), 0);
    return OK;
}

static struct options options_of(struct config *c)
{
    return (struct options){ .rows = rows, .count = countof(rows), .config = c, .set_special = set_image };
}

struct err config_read(struct config *c, int argc, char **argv, struct text *complaint)
{
    struct options o = options_of(c);
    memset(c, 0, sizeof *c);
    TRY(options_read(&o, argc, argv, complaint));
    return c->task == TASK_HELP || c->task == TASK_VERSION ? OK : check_all(c, complaint);
}

void config_help(struct text *out)
{
    struct options o = options_of(NULL);
    text_add(out, STR("ionetd: one GPU network: its API, its books, its clusters.\n\n"
                      "  ionetd [--config FILE] [--NAME VALUE …]\n\n"));
    options_help(&o, out);
}

const char *config_image(const struct config *c, const char *name)
{
    for (uint32_t i = 0; i < c->image_count; i++)
        if (strcmp(c->images[i].name, name) == 0) return c->images[i].image;
    return NULL;
}
