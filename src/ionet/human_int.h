/* human_int.h: lengths of time, moments and money as people write and read them.
 *
 * A duration is numbers with units, greatest first: w d h m s ("2d", "1h30m"). Money is USDC with up to six
 * decimals, the point between ("12.5"); at least two are written. */
#ifndef IONET_HUMAN_INT_H
#define IONET_HUMAN_INT_H

#include "base/str.h"
#include "base/units.h"

must_check struct err human_duration_read(struct str s, struct span *out);
void human_duration_write(struct span d, struct text *t); /* "8.4s", "1h30m", "2d4h": two units at most */
must_check struct err human_usdc_read(struct str s, struct money *out); /* not below nothing */
void                  human_usdc_write(struct money m, struct text *t);
void                  human_instant_write(struct instant at, struct text *t); /* local time; none: "-" */
void                  human_bytes_write(uint64_t bytes, struct text *t);      /* "3.8 GiB" */

#endif
