/* id.h: names of things.
 *
 * An id is 80 bits from a keyed hash: unguessable enough that two never meet among 10^9, not a secret.
 * Its text is 16 letters of Crockford's base 32 in lower case (no i, l, o, u), so it fits a DNS label, a
 * file name and a JSON string. Each kind of thing has an id type of its own, so that they don't mix. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include "str.h"

#define ID_BYTES 10
#define ID_TEXT 16 /* letters; no ending zero */

struct id {
    uint8_t bytes[ID_BYTES];
};

struct account_id {
    struct id id;
};
struct device_id {
    struct id id;
};
struct quote_id {
    struct id id;
};
struct cluster_id {
    struct id id;
};
struct node_id {
    struct id id;
};
struct gateway_id {
    struct id id;
};

bool     id_eq(struct id a, struct id b);
int      id_cmp(struct id a, struct id b);
bool     id_is_none(struct id a); /* all zero: the id of nothing */
uint64_t id_hash(struct id a);

void                  id_write(struct id a, struct text *t);
must_check struct err id_read(struct str s, struct id *out); /* exactly ID_TEXT letters */

#endif
