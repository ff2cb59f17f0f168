#include "cli_int.h"

#include <stdarg.h>
#include <string.h>

struct exit_status {
    enum err_code code;
    int           status;
    const char   *doc;
};

#define EXIT_UNREACHABLE 8
#define EXIT_INTERRUPTED 130 /* as a shell says of SIGINT */

static const struct exit_status exits[] = {
    { ERR_INVALID, 2, "the command or what was asked for is wrong" },
    { ERR_DENIED, 3, "not signed in, or not allowed" },
    { ERR_MISSING, 4, "there is no such thing, or it is not yours" },
    { ERR_CONFLICT, 5, "it is not in a state that allows this" },
    { ERR_CAPACITY, 6, "fewer machines are free than asked for" },
    { ERR_FUNDS, 7, "the balance does not cover it" },
    { ERR_EXPIRED, 9, "it has expired" },
    { ERR_LIMIT, 10, "too many or too much at once" },
};

int exit_status_of(const struct cli *c, struct err e)
{
    if (c->interrupted) return EXIT_INTERRUPTED;
    if (!e.code) return c->program_status;
    if (c->unreachable) return EXIT_UNREACHABLE;
    for (size_t i = 0; i < countof(exits); i++)
        if (exits[i].code == e.code) return exits[i].status;
    return 1;
}

static void exits_print(FILE *to)
{
    fprintf(to, "exit status\n   0  done\n   1  failed\n");
    for (size_t i = 0; i < countof(exits); i++) {
        if (exits[i].status == EXIT_UNREACHABLE + 1)
            fprintf(to, "  %2d  the network can't be reached\n", EXIT_UNREACHABLE);
        fprintf(to, "  %2d  %s\n", exits[i].status, exits[i].doc);
    }
    fprintf(to, " %d  interrupted by Ctrl-C\n", EXIT_INTERRUPTED);
}

struct err cli_fail(struct cli *c, enum err_code code, const char *hint, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->detail, sizeof c->detail, format, args);
    va_end(args);
    snprintf(c->hint, sizeof c->hint, "%s", hint ? hint : "");
    return (struct err){ code, c->detail };
}

/* ---- help ---------------------------------------------------------------------------------------------- */

static size_t noun_length(const char *path)
{
    return strcspn(path, " ");
}

static void help_print(FILE *to)
{
    fprintf(to, "usage: ionet NOUN VERB [OPTIONS]        ionet NOUN --help        ionet NOUN VERB --help\n\n");
    for (size_t i = 0; i < command_count; i++) {
        const char *path = commands[i].path;
        if (i && path[noun_length(path)] && strncmp(path, commands[i - 1].path, noun_length(path)))
            fputc('\n', to);
        fprintf(to, "  %-22s %s\n", path, commands[i].doc);
    }
    fprintf(to, "\nEvery command takes --help, and --json to print what the network answers as it is. "
                "Results go to\n"
                "standard output, progress and errors to standard error.\n\n");
    exits_print(to);
}

static void help_noun(const char *noun, FILE *to)
{
    fprintf(to, "usage: ionet %s VERB [OPTIONS]\n\n", noun);
    for (size_t i = 0; i < command_count; i++) {
        const char *path = commands[i].path;
        if (noun_length(path) != strlen(noun) || strncmp(path, noun, strlen(noun))) continue;
        fprintf(to, "  %-22s %s\n", path, commands[i].doc);
    }
}

static void help_command(const struct command *k, FILE *to)
{
    fprintf(to, "usage: ionet %s%s%s%s\n\n%s\n", k->path, k->option_count ? " [OPTIONS]" : "",
            *k->operands ? " " : "", k->operands, k->doc);
    if (k->more) fprintf(to, "\n%s\n", k->more);
    fputc('\n', to);
    for (size_t i = 0; i < k->option_count; i++) {
        const struct option *o = &k->options[i];
        fprintf(to, "  --%s%s%-*s %s\n", o->name, o->value ? " " : "",
                (int)(24 - strlen(o->name) - (o->value ? 1 : 0)), o->value ? o->value : "", o->doc);
    }
    fprintf(to, "  --%-24s %s\n  --%-24s %s\n", "json", "print what the network answers as it is", "help",
            "this text");
}

/* ---- parsing ------------------------------------------------------------------------------------------- */

static bool path_is(const char *path, const char *noun, const char *verb)
{
    size_t len = strlen(noun);
    if (strncmp(path, noun, len)) return false;
    return verb ? path[len] == ' ' && !strcmp(path + len + 1, verb) : !path[len];
}

static const struct command *find(const char *noun, const char *verb)
{
    for (size_t i = 0; i < command_count; i++)
        if (path_is(commands[i].path, noun, verb)) return &commands[i];
    return NULL;
}

static bool is_noun(const char *word)
{
    for (size_t i = 0; i < command_count; i++)
        if (noun_length(commands[i].path) == strlen(word) && !strncmp(commands[i].path, word, strlen(word)))
            return true;
    return false;
}

static bool is_help(const char *word)
{
    return !strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help");
}

static const struct option *option_find(const struct command *k, const char *name, size_t len)
{
    for (size_t i = 0; i < k->option_count; i++)
        if (strlen(k->options[i].name) == len && !strncmp(k->options[i].name, name, len)) return &k->options[i];
    return NULL;
}

/* An error of the line, and where to read how it should be. */
__attribute__((format(printf, 2, 3))) static struct err misused(struct cli *c, const char *format, ...)
{
    char    detail[CLI_DETAIL_MAX], hint[64];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    snprintf(hint, sizeof hint, "`ionet %s --help` says how it is used", c->command->path);
    return cli_fail(c, ERR_INVALID, hint, "%s", detail);
}

/* One "--name", "--name VALUE" or "--name=VALUE"; *used says how many words it took. */
static struct err option_take(struct cli *c, int left, char **words, int *used)
{
    const char *name   = words[0] + 2;
    size_t      len    = strcspn(name, "=");
    const char *inside = name[len] ? name + len + 1 : NULL;
    *used              = 1;
    if (!strcmp(name, "json")) {
        c->json = true;
        return OK;
    }
    const struct option *o = option_find(c->command, name, len);
    if (!o) return misused(c, "`ionet %s` has no option --%.*s", c->command->path, (int)len, name);

    const char **value = &c->values[o - c->command->options];
    if (*value) return cli_fail(c, ERR_INVALID, NULL, "--%s is given twice", o->name);
    if (!o->value && inside) return cli_fail(c, ERR_INVALID, NULL, "--%s takes no value", o->name);
    if (!o->value) {
        *value = "";
        return OK;
    }
    if (!inside && left < 2) return cli_fail(c, ERR_INVALID, NULL, "--%s needs a value: %s", o->name, o->value);
    if (!inside) *used = 2;
    *value = inside ? inside : words[1];
    return OK;
}

static unsigned operands_wanted(const char *text)
{
    unsigned count = 0;
    for (const char *at = text; *at && *at != '['; at += strspn(at, " ")) {
        count++;
        at += strcspn(at, " ");
    }
    return count;
}

static struct err program_take(struct cli *c, char **words)
{
    if (!*words) return misused(c, "a program is missing behind --");
    c->program = words;
    return OK;
}

static struct err rest_take(struct cli *c, int argc, char **argv, bool *help)
{
    unsigned wanted        = operands_wanted(c->command->operands);
    bool     takes_program = strstr(c->command->operands, CLI_PROGRAM);
    bool     only_operands = false;
    for (int i = 0, used; i < argc; i += used) {
        used = 1;
        if (takes_program && !strcmp(argv[i], "--")) {
            TRY(program_take(c, argv + i + 1));
            break;
        }
        if (!only_operands && !strcmp(argv[i], "--"))
            only_operands = true;
        else if (!only_operands && (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")))
            *help = true;
        else if (!only_operands && !strncmp(argv[i], "--", 2))
            TRY(option_take(c, argc - i, argv + i, &used));
        else if (c->operand_count == wanted)
            return takes_program
                       ? misused(c, "\"%s\" is one word too many: a program to run goes behind --", argv[i])
                       : misused(c, "`ionet %s` can't do anything with \"%s\"", c->command->path, argv[i]);
        else
            c->operands[c->operand_count++] = argv[i];
    }
    if (*help) {
        help_command(c->command, stdout);
        return OK;
    }
    if (c->operand_count < wanted)
        return misused(c, "it is `ionet %s %s`", c->command->path, c->command->operands);
    return OK;
}

struct err cli_parse(struct cli *c, int argc, char **argv, bool *help)
{
    *help = false;
    if (argc < 1) {
        help_print(stderr);
        return cli_fail(c, ERR_INVALID, NULL, "a command is missing");
    }
    if (is_help(argv[0])) {
        *help = true;
        help_print(stdout);
        return OK;
    }
    if (argc > 1 && (c->command = find(argv[0], argv[1]))) return rest_take(c, argc - 2, argv + 2, help);
    if ((c->command = find(argv[0], NULL))) return rest_take(c, argc - 1, argv + 1, help);
    if (!is_noun(argv[0]))
        return cli_fail(c, ERR_INVALID, "`ionet --help` lists the commands", "there is no command \"%s\"",
                        argv[0]);
    *help = argc > 1 && is_help(argv[1]);
    help_noun(argv[0], *help ? stdout : stderr);
    if (*help) return OK;
    return argc > 1 ? cli_fail(c, ERR_INVALID, NULL, "there is no command \"%s %s\"", argv[0], argv[1])
                    : cli_fail(c, ERR_INVALID, NULL, "a verb is missing");
}

const char *cli_option(const struct cli *c, const char *name)
{
    const struct option *o = option_find(c->command, name, strlen(name));
    check(o != NULL);
    return c->values[o - c->command->options];
}

bool cli_has(const struct cli *c, const char *name)
{
    return cli_option(c, name) != NULL;
}
