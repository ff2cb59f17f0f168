/* cli_int.h: one call of `ionet`: which command, what it was given, where results go, what went wrong.
 *
 * A command is a row of a table (commands.c) and a function that returns an error or OK. Results go to standard
 * output, for people or with --json for programs; progress and errors go to standard error. The error's code
 * becomes the exit status (exit_status_of); its `why`, or the detail that cli_fail put in its place, is printed with
 * what to do next. */
#ifndef IONET_CLI_INT_H
#define IONET_CLI_INT_H

#include "base/err.h"
#include "base/str.h"
#include "config_int.h"

#include <stdio.h>

#define CLI_OPTIONS_MAX 12
#define CLI_OPERANDS_MAX 2
#define CLI_DETAIL_MAX 1024
#define CLI_PROGRAM " [-- PROGRAM…]"

struct cli;

struct option {
    const char *name;  /* without the dashes */
    const char *value; /* what --help calls its value; null: it takes none */
    const char *doc;
};

struct command {
    const char          *path;     /* "cluster create" */
    const char          *operands; /* "CLUSTER SERVICE"; "" for none; CLI_PROGRAM behind them may follow */
    const char          *doc;      /* one sentence */
    const char          *more;     /* shown by its --help; null: nothing */
    const struct option *options;
    size_t               option_count;
    struct err (*run)(struct cli *c);
};

extern const struct command commands[];
extern const size_t         command_count;

struct cli {
    const struct command *command;
    const char           *values[CLI_OPTIONS_MAX]; /* by the option's row; "" for one that takes no value */
    const char           *operands[CLI_OPERANDS_MAX];
    unsigned              operand_count;
    char                **program; /* the words behind "--", then null; null if there are none */
    bool                  json;
    struct config         config;
    bool                  interrupted;    /* by Ctrl-C */
    bool                  unreachable;    /* the error is that the network does not answer */
    int                   program_status; /* as a shell says it */
    char                  detail[CLI_DETAIL_MAX];
    char                  hint[CLI_DETAIL_MAX]; /* what to do next */
};

/* Reads `argc` words after the program's name, which end in null. help is set when the text of --help was asked for: it was printed. */
must_check struct err cli_parse(struct cli *c, int argc, char **argv, bool *help);

const char *cli_option(const struct cli *c,
                       const char       *name); /* null if it was not given; the row must exist */
bool        cli_has(const struct cli *c, const char *name);

/* An error with a sentence of its own, and what to do about it (may be null). */
__attribute__((format(printf, 4, 5))) struct err cli_fail(struct cli *c, enum err_code code, const char *hint,
                                                          const char *format, ...);

int exit_status_of(const struct cli *c, struct err e);

#endif
