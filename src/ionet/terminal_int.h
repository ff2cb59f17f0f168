/* terminal_int.h: what reaches a person's terminal. Much of what is printed comes from outside: a container's log, the
 * network's sentences, a device's name. To a terminal such text is a program: it moves, hides, renames and answers. */
#ifndef IONET_TERMINAL_INT_H
#define IONET_TERMINAL_INT_H

#include "base/str.h"

enum terminal_after { TERMINAL_PLAIN, TERMINAL_RETURN, TERMINAL_ESCAPE, TERMINAL_SEQUENCE, TERMINAL_C2 };

/* Text that comes in parts, without what a terminal would obey: its sequences are left out, other controls become '?';
 * lines, tabs and letters stay. A carriage return alone ends the line, so that nothing is written over. A byte that is no
 * part of a letter of UTF-8 becomes '?' where terminals that know other codes would obey it. */
struct terminal_text {
    enum terminal_after after; /* what came last and is not shown yet */
    unsigned            more;  /* bytes that are still to come of a letter */
};

/* What of it may be shown; `out` has room for bytes.len + 1. The number of letters written. */
size_t terminal_text_take(struct terminal_text *t, struct str bytes, char *out);

/* From here on standard output and error lose their controls where they are terminals. */
void terminal_guard(void);

void terminal_line_clear(void); /* the one on standard error */

#endif
