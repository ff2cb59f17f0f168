/* secret.h: memory for keys. It is locked, so that it never comes to a swap device; it is in no core file; it lies between
 * pages that can't be touched; it is zero at first and wiped when it is freed. Over libsodium's sodium_malloc.
 *
 * Each piece takes three pages or more: what belongs together is one struct. How much can be locked is limited
 * (RLIMIT_MEMLOCK, 8 MiB as a rule): root raises that for himself before he gives up his rights. */
#ifndef SYS_SECRET_H
#define SYS_SECRET_H

#include "base/err.h"

#include <stddef.h>

#define SECRET_BYTES_MAX (64u << 20) /* locked at once, if the system lets us */

/* ERR_LIMIT: it can't be locked. */
must_check struct err secret_alloc(size_t bytes, void *pointer_to_pointer);
void                  secret_free(void *p); /* null is well */

/* A pointer to such memory at the end of its scope. */
void secret_free_scoped(void *pointer_to_pointer);
#define scoped_secret __attribute__((cleanup(secret_free_scoped)))

#endif
