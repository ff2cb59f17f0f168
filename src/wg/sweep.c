#include "wg_int.h"

#include <dirent.h>
#include <string.h>

static struct err sweep_one(const char *dir, const char *name)
{
    struct wg_memo memo;
    struct err     e = memo_read(dir, name, &memo);
    if (!e.code) e = memo.kind == WG_KERNEL ? kernel_end(name, &memo) : userspace_end(name, &memo);
    if (e.code && e.code != ERR_CORRUPT) return e;
    memo_remove(dir, name);
    return OK;
}

struct err wg_sweep(const char *dir, bool (*wanted)(void *ctx, struct str name), void *ctx)
{
    DIR       *folder = opendir(dir);
    struct err worst  = OK;
    if (!folder) return OK; /* nothing was ever made here */
    for (struct dirent *entry; (entry = readdir(folder));) {
        char       name[WG_NAME_TEXT];
        struct str file = str_from(entry->d_name), ending = STR(".device");
        if (!str_ends(file, ending)) continue;
        if (str_copy((struct str){ file.ptr, file.len - ending.len }, name, sizeof name).code) continue;
        if (wanted && wanted(ctx, str_from(name))) continue;
        struct err e = sweep_one(dir, name);
        if (e.code) worst = e;
    }
    closedir(folder);
    return worst;
}
