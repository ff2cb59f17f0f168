/* image_root.c: what of an unpacked image could harm the machine that holds it. */
#include "image_int.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FOLDERS_OPEN_MAX 32
#define PATH_SPARE 64 /* it will be moved to folders of longer names, and must be removed from there */

static int harmless(const char *path, const struct stat *st, int flag, struct FTW *where)
{
    (void)where;
    if (flag == FTW_NS || flag == FTW_DNR || strlen(path) > PATH_MAX - PATH_SPARE) return -1;
    if (S_ISLNK(st->st_mode)) return 0;
    if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) return unlink(path);
    if (st->st_mode & (S_ISUID | S_ISGID) && chmod(path, st->st_mode & 01777) < 0) return -1;
    if (!S_ISREG(st->st_mode)) return 0;
    return lremovexattr(path, "security.capability") < 0 && errno != ENODATA && errno != ENOTSUP ? -1 : 0;
}

struct err image_make_harmless(const char *root)
{
    struct stat st;
    if (lstat(root, &st) < 0 || !S_ISDIR(st.st_mode)) return ERR(CORRUPT, "the image has no root");
    if (nftw(root, harmless, FOLDERS_OPEN_MAX, FTW_PHYS | FTW_MOUNT) != 0)
        return ERR(CORRUPT, "the image has files that can't be kept");
    return OK;
}
