#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SYS_PATH_MAX 4096 /* Linux's PATH_MAX */

static int64_t clock_ms(clockid_t clock)
{
    struct timespec t;
    check(clock_gettime(clock, &t) == 0);
    return (int64_t)t.tv_sec * MS_PER_SECOND + t.tv_nsec / 1000000;
}

struct instant sys_wall_now(void)
{
    return (struct instant){ clock_ms(CLOCK_REALTIME) };
}

uint64_t sys_boot_now_ms(void)
{
    return (uint64_t)clock_ms(CLOCK_BOOTTIME);
}

struct err sys_boot_id(char out[33])
{
    char   raw[64];
    size_t len, at = 0;
    TRY(sys_read_file("/proc/sys/kernel/random/boot_id", raw, sizeof raw, &len));
    for (size_t i = 0; i < len && at < 32; i++)
        if (raw[i] != '-' && raw[i] != '\n') out[at++] = raw[i];
    out[at] = 0;
    return at == 32 ? OK : ERR(IO, "the kernel gives no boot id");
}

void sys_random(void *out, size_t bytes)
{
    for (size_t got = 0; got < bytes;) {
        ssize_t n = getrandom((char *)out + got, bytes - got, 0);
        check(n > 0 || errno == EINTR);
        if (n > 0) got += (size_t)n;
    }
}

struct err sys_read_file(const char *path, char *room, size_t cap, size_t *len)
{
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? ERR(MISSING, "a file is not there") : ERR(IO, "a file can't be opened");

    size_t got = 0;
    char   beyond; /* what fills the room must end there */
    for (;;) {
        bool    is_full = got == cap;
        ssize_t n       = is_full ? read(fd, &beyond, 1) : read(fd, room + got, cap - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return ERR(IO, "a file can't be read");
        if (n == 0) break;
        if (is_full) return ERR(LIMIT, "a file is too large");
        got += (size_t)n;
    }
    *len = got;
    return OK;
}

static struct err write_all(int fd, struct str content)
{
    while (content.len) {
        ssize_t n = write(fd, content.ptr, content.len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return ERR(IO, "a file can't be written");
        content = str_skip(content, (size_t)n);
    }
    return OK;
}

static struct err sync_folder_of(const char *path)
{
    char        folder[SYS_PATH_MAX];
    const char *slash = strrchr(path, '/');
    struct str  part  = slash ? (struct str){ path, (size_t)(slash - path) + (slash == path) } : STR(".");
    TRY(str_copy(part, folder, sizeof folder));
    scoped_fd int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0) return ERR(IO, "a folder can't be synced");
    return OK;
}

struct err sys_write_file(const char *path, struct str content, unsigned mode)
{
    char temporary[SYS_PATH_MAX];
    int  length = snprintf(temporary, sizeof temporary, "%s.new", path);
    if (length < 0 || (size_t)length >= sizeof temporary) return ERR(LIMIT, "a path is too long");

    scoped_fd int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0) return ERR(IO, "a file can't be made");
    if (fchmod(fd, mode) < 0) return ERR(IO, "a file's rights can't be set");
    TRY(write_all(fd, content));
    if (fsync(fd) < 0) return ERR(IO, "a file can't be synced");
    if (rename(temporary, path) < 0) return ERR(IO, "a file can't be put in its place");
    return sync_folder_of(path);
}

struct err sys_append_synced(int fd, struct str content)
{
    TRY(write_all(fd, content));
    return fdatasync(fd) < 0 ? ERR(IO, "a file can't be synced") : OK;
}

static struct err make_dir(const char *path, unsigned mode)
{
    struct stat st;
    if (mkdir(path, mode) == 0) return OK;
    bool is_there = errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    return is_there ? OK : ERR(IO, "a folder can't be made");
}

struct err sys_make_dirs(const char *path, unsigned mode)
{
    char       part[SYS_PATH_MAX];
    struct str whole = str_from(path);
    while (whole.len > 1 && whole.ptr[whole.len - 1] == '/') whole.len--;
    TRY(str_copy(whole, part, sizeof part));
    for (char *p = part; *p; p++) {
        if (*p != '/' || p == part) continue;
        *p = 0;
        TRY(make_dir(part, 0755));
        *p = '/';
    }
    return make_dir(part, mode);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *where)
{
    (void)st;
    (void)flag;
    (void)where;
    return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

struct err sys_remove_tree(const char *path)
{
    if (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0 && errno != ENOENT)
        return ERR(IO, "a folder can't be removed");
    return OK;
}

struct err sys_lock_file(const char *path, int *out)
{
    scoped_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return ERR(IO, "the lock file can't be opened");
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) return ERR(CONFLICT, "another process already uses this folder");
    *out = sys_take_fd(&fd);
    return OK;
}

struct err sys_secret_file(const char *path, uint8_t out[32])
{
    char       room[33];
    size_t     len;
    struct err e = sys_read_file(path, room, sizeof room, &len);
    if (e.code == ERR_MISSING) {
        sys_random(out, 32);
        return sys_write_file(path, (struct str){ (const char *)out, 32 }, 0600);
    }
    if (e.code) return e;
    if (len == 32) memcpy(out, room, 32);
    explicit_bzero(room, sizeof room);
    return len == 32 ? OK : ERR(CORRUPT, "a secret file has another length");
}

void sys_find_program(char *name, size_t size)
{
    struct str folder, rest = str_from(getenv("PATH"));
    char       path[SYS_PATH_MAX];
    if (strchr(name, '/')) {
        bool fits = name[0] != '/' && realpath(name, path) && strlen(path) < size;
        if (fits) memcpy(name, path, strlen(path) + 1);
        return;
    }
    while (rest.len && !strchr(name, '/')) {
        struct text t = TEXT_IN(path);
        str_split(rest, ':', &folder, &rest);
        text_add(&t, folder);
        text_add_char(&t, '/');
        text_add(&t, str_from(name));
        if (folder.len && !access(text_z(&t), X_OK) && !t.full && !str_copy(text_str(&t), name, size).code)
            return;
    }
}

void sys_close(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

int sys_take_fd(int *fd)
{
    int taken = *fd;
    *fd       = -1;
    return taken;
}

void sys_free(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}
