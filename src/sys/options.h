/* options.h: what a program is told: a file of NAME=VALUE lines, and flags of the same names over it. One table of
 * rows says which there are; --help prints it.
 *
 * A row writes into a member of the program's config struct: a text, UTF-8 without control characters, into its
 * array, zero-ended; a number into a uint64_t; a switch into an enum. What is none of these is handed to the
 * program. In the file, blank lines and those that begin with '#' count for nothing. */
#ifndef SYS_OPTIONS_H
#define SYS_OPTIONS_H

#include "base/str.h"

#define OPTIONS_FILE_MAX 65536

enum option_kind {
    OPTION_TEXT,
    OPTION_NUMBER,
    OPTION_SPECIAL,  /* given to set_special, each time it is there */
    OPTION_FILE,     /* a flag, the file's path; `initial` is the usual one, which need not be there */
    OPTION_SWITCH,   /* a flag without a value, which sets the member to `least` */
    OPTION_QUESTION, /* such a one that is answered at once, "--help": nothing else is read then */
};

struct option {
    const char      *name;
    enum option_kind kind;
    size_t           offset, size; /* of the member */
    const char      *initial;      /* null: it must be given, and the program looks whether it was */
    uint64_t         least, most;
    const char      *doc;
};

struct options {
    const struct option *rows;
    size_t               count;
    void                *config; /* the members' struct */
    struct err (*set_special)(void *config, struct str value);
};

/* Initial values, then the file, then the flags: `--NAME VALUE` or `--NAME=VALUE`. On an error `complaint` holds the
 * place at fault, "FILE:LINE" or "--NAME": values may be secrets. */
must_check struct err options_read(const struct options *o, int argc, char **argv, struct text *complaint);

/* If e is an error, adds `where`, and ":line" unless that is 0; gives e back. */
must_check struct err options_complain(struct text *complaint, struct err e, struct str where, uint64_t line);

/* A line a row. */
void options_help(const struct options *o, struct text *out);

#endif
