#include "sys/sys.h"
#include "wg_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMO_BYTES 1024

static struct err path_of(const char *dir, const char *name, const char *ending, char out[WG_PATH_TEXT])
{
    int n = snprintf(out, WG_PATH_TEXT, "%s/%s.%s", dir, name, ending);
    return n > 0 && n < WG_PATH_TEXT ? OK : ERR(LIMIT, "the path of a device's folder is too long");
}

/* Whole or not at all, but not synced: what it tells of does not outlive the machine either. */
static struct err replace_file(const char *path, struct str content)
{
    char fresh[WG_PATH_TEXT + 4];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    scoped_fd int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, content.ptr, content.len) != (ssize_t)content.len || rename(fresh, path) < 0)
        return ERR(IO, "a device's file can't be written");
    return OK;
}

struct err memo_write(const char *dir, const char *name, const struct wg_memo *m)
{
    char path[WG_PATH_TEXT], content[MEMO_BYTES];
    TRY(path_of(dir, name, "device", path));
    struct text t = TEXT_IN(content);
    text_add(&t, STR("kind="));
    text_add(&t, str_from(wg_kind_names[m->kind]));
    text_add(&t, STR("\npid="));
    text_add_u64(&t, (uint64_t)m->pid);
    text_add(&t, STR("\nstart_time="));
    text_add_u64(&t, m->start_time);
    text_add(&t, STR("\nwhole="));
    text_add_u64(&t, m->whole);
    text_add(&t, STR("\nfrom="));
    text_add(&t, str_from(m->from));
    text_add(&t, STR("\nnetns="));
    text_add(&t, str_from(m->netns));
    text_add_char(&t, '\n');
    if (t.full) return ERR(LIMIT, "a device's file is too long");
    return replace_file(path, text_str(&t));
}

static struct err read_line(struct wg_memo *m, struct str key, struct str value)
{
    uint64_t n = 0;
    if (str_eq(key, STR("from"))) return str_copy(value, m->from, sizeof m->from);
    if (str_eq(key, STR("netns"))) return str_copy(value, m->netns, sizeof m->netns);
    if (str_eq(key, STR("kind"))) {
        m->kind = str_eq(value, str_from(wg_kind_names[WG_KERNEL])) ? WG_KERNEL : WG_USERSPACE;
        return OK;
    }
    TRY(str_to_u64(value, &n));
    if (str_eq(key, STR("pid")) && n <= INT32_MAX) m->pid = (pid_t)n;
    if (str_eq(key, STR("start_time"))) m->start_time = n;
    if (str_eq(key, STR("whole"))) m->whole = n == 1;
    return OK;
}

struct err memo_read(const char *dir, const char *name, struct wg_memo *out)
{
    char   path[WG_PATH_TEXT], content[MEMO_BYTES];
    size_t len;
    TRY(path_of(dir, name, "device", path));
    struct err e = sys_read_file(path, content, sizeof content, &len);
    if (e.code) return e.code == ERR_LIMIT ? ERR(CORRUPT, "a device's file is too large to be one") : e;
    *out            = (struct wg_memo){ 0 };
    struct str rest = { content, len }, line, key, value;
    while (rest.len) {
        str_split(rest, '\n', &line, &rest);
        if (!str_split(line, '=', &key, &value) || read_line(out, key, value).code)
            return ERR(CORRUPT, "a device's file can't be understood");
    }
    return OK;
}

void memo_remove(const char *dir, const char *name)
{
    char path[WG_PATH_TEXT];
    if (!path_of(dir, name, "device", path).code) unlink(path);
    if (!path_of(dir, name, "log", path).code) unlink(path);
}

struct process {
    char     state;
    uint64_t threads;
    uint64_t start_time;
};

/* The third, 20th and 22nd field of /proc/PID/stat (proc(5)). The name, the second one, may hold blanks and
 * brackets, so counting starts behind its last bracket. */
static struct err process_read(pid_t pid, struct process *out)
{
    char   path[64], line[1024];
    size_t len;
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    TRY(sys_read_file(path, line, sizeof line, &len));
    const char *bracket = memrchr(line, ')', len);
    if (!bracket) return ERR(CORRUPT, "a process has no state");
    struct str rest = str_skip((struct str){ line, len }, (size_t)(bracket - line) + 2), field = { 0 };
    out->state = rest.len ? rest.ptr[0] : 'X';
    for (unsigned at = 3; at <= 20; at++) str_split(rest, ' ', &field, &rest);
    TRY(str_to_u64(field, &out->threads));
    for (unsigned at = 21; at <= 22; at++) str_split(rest, ' ', &field, &rest);
    return str_to_u64(field, &out->start_time);
}

struct err process_start_time(pid_t pid, uint64_t *out)
{
    struct process p;
    TRY(process_read(pid, &p));
    *out = p.start_time;
    return OK;
}

/* The first thread may have ended while others still hold what they all share. */
bool process_is_alive(pid_t pid, uint64_t start_time)
{
    struct process p;
    if (pid <= 0 || process_read(pid, &p).code || p.start_time != start_time) return false;
    return (p.state != 'Z' && p.state != 'X') || p.threads > 1;
}
