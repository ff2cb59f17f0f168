/* recipe_int.h: a recipe is read in three passes over one text: yaml.c refuses what is no plain YAML and
 * knows on which line each value stands; schema.c turns the text into structs (libcyaml); rules.c holds them
 * to what a schema can't say. */
#ifndef RECIPE_RECIPE_INT_H
#define RECIPE_RECIPE_INT_H

#include "recipe.h"

#include <yaml.h>

/* The text as a tree, for lines. */
struct yaml {
    yaml_document_t document;
    bool            is_loaded;
};

/* Where complaints about one file go. */
struct complaint {
    const char  *file_name;
    struct text *text;
};

/* Writes "file:line: " and returns the text for the reason. */
struct text *complaint_at(const struct complaint *c, size_t line);

must_check struct err yaml_load(struct yaml *y, struct str text, const struct complaint *c);
void                  yaml_free(struct yaml *y);

/* The line, from 1, of the value at a path such as "services[2].port"; of what is missing, the line of the
 * nearest thing around it. */
size_t yaml_line(struct yaml *y, struct str path);
/* The text of the scalar there; "" if there is none. */
struct str yaml_scalar(struct yaml *y, struct str path);
/* The line of the first key of that name on line `from` or after it; `from` if there is none. */
size_t yaml_key_line(struct yaml *y, struct str key, size_t from);

must_check struct err schema_load(struct yaml *y, struct str text, struct recipe **out,
                                  const struct complaint *c);
void                  schema_free(struct recipe *r);

must_check struct err rules_check(const struct recipe *r, struct yaml *y, const struct complaint *c);

/* ---- variables (expand.c) ---------------------------------------------------------------------------- */

/* Who reads a text with variables: a node's own programs, or those of a service's user. */
enum expand_for { EXPAND_FOR_NODE, EXPAND_FOR_USER };

/* Is every variable in the text one that may be used there? *bad is the first that is not. */
bool expand_is_known(const struct recipe *r, enum expand_for whom, struct str text, struct str *bad);

#endif
