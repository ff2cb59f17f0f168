/* secret_trial.h: for tests: where in a process's memory known secrets lie. */
#ifndef SYS_SECRET_TRIAL_H
#define SYS_SECRET_TRIAL_H

#include "base/str.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A larger mapping is a sanitizer's shadow: as good as empty, and of no end. */
#define SEARCHED_MAX ((uint64_t)4 << 30)

/* AddressSanitizer makes mlock(2) do nothing. A test that looks for locked memory is in no list then, so that it isn't
 * counted among those that passed. */
#ifdef __SANITIZE_ADDRESS__
#define MEMORY_LOCKS 0
#else
#define MEMORY_LOCKS 1
#endif

struct needle {
    const char *name;
    struct str  bytes;
};

struct found {
    unsigned locked, open; /* mappings that hold one; the open ones are named on standard error */
};

__attribute__((unused)) static void search_mapping(int memory, const char *where, uint64_t from, uint64_t to,
                                                   bool locked, const struct needle *needles, size_t count,
                                                   struct found *out)
{
    char   *bytes = malloc(to - from);
    ssize_t got   = bytes ? pread(memory, bytes, to - from, (off_t)from) : -1;
    for (size_t i = 0; got > 0 && i < count; i++) {
        if (!memmem(bytes, (size_t)got, needles[i].bytes.ptr, needles[i].bytes.len)) continue;
        if (!locked) fprintf(stderr, "%s is in %s", needles[i].name, where);
        out->locked += locked;
        out->open += !locked;
    }
    if (got > 0) explicit_bzero(bytes, (size_t)got); /* it may be our own memory that is searched next */
    free(bytes);
}

/* Of a process of ours: VmFlags says `lo` of what is locked (proc(5)). */
__attribute__((unused)) static struct found secrets_in(pid_t pid, const struct needle *needles, size_t count)
{
    struct found out = { 0, 0 };
    char         path[64], line[1024], where[1024] = "";
    uint64_t     from = 0, to       = 0, begin, end;
    char         rights[8], mode[8] = "";
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%d/smaps", pid);
    FILE *maps = fopen(path, "re");
    check(maps && memory >= 0);
    while (fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx %7s", &begin, &end, rights) == 3) {
            from = begin;
            to   = end;
            memcpy(mode, rights, sizeof mode);
            memcpy(where, line, sizeof where);
        } else if (strncmp(line, "VmFlags:", 8) == 0 && mode[0] == 'r' && mode[1] == 'w' &&
                   to - from <= SEARCHED_MAX) {
            search_mapping(memory, where, from, to, strstr(line, " lo") != NULL, needles, count, &out);
        }
    }
    fclose(maps);
    close(memory);
    return out;
}

#endif
