#include "secret.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>

#define ALIGNMENT 16 /* sodium_malloc's end is aligned: with whole such steps its beginning is */

/* Only root may go beyond the limit that was given. */
static void raise_limit(void)
{
    struct rlimit now, wanted = { SECRET_BYTES_MAX, SECRET_BYTES_MAX };
    if (getrlimit(RLIMIT_MEMLOCK, &now) < 0 || now.rlim_cur >= SECRET_BYTES_MAX) return;
    if (now.rlim_max > wanted.rlim_max) wanted.rlim_max = now.rlim_max;
    if (setrlimit(RLIMIT_MEMLOCK, &wanted) == 0) return;
    now.rlim_cur = now.rlim_max;
    (void)setrlimit(RLIMIT_MEMLOCK, &now);
}

struct err secret_alloc(size_t bytes, void *pointer_to_pointer)
{
    static bool raised;
    size_t      whole = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    check(bytes > 0 && sodium_init() >= 0);
    if (!raised) raise_limit();
    raised  = true;
    void *p = sodium_malloc(whole);
    if (!p) return ERR(LIMIT, "there is no memory for keys");
    if (sodium_mlock(p, whole) < 0) { /* sodium_malloc has tried, and says nothing */
        sodium_free(p);
        return ERR(LIMIT,
                   "memory for keys can't be locked: allow 8 MiB of it (ulimit -l 8192, LimitMEMLOCK=8M)");
    }
    memset(p, 0, whole);
    memcpy(pointer_to_pointer, &p, sizeof p);
    return OK;
}

void secret_free(void *p)
{
    sodium_free(p);
}

void secret_free_scoped(void *pointer_to_pointer)
{
    void *p;
    memcpy(&p, pointer_to_pointer, sizeof p);
    sodium_free(p);
}
