/* child.c: child processes on the loop: bounded output, a deadline, an end for the whole group. */
#include "runtime_int.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHILD_LINGER_MS 1000 /* its output may stay open in a grandchild for so long after its end */
#define CHILD_READ_BYTES 16384
#define CHILD_PACE_MS 100
#define CHILD_PACE_BYTES ((1u << 20) / (1000 / CHILD_PACE_MS)) /* a MiB a second, as a container's log */

struct child {
    struct child       *next, *prev;
    struct runtime     *r;
    struct child_order  order;
    uv_process_t        process;
    uv_pipe_t           out, err;
    uv_timer_t          timer, pacer;
    uint64_t            pace_until_ms;
    size_t              pace_bytes; /* read since then */
    unsigned            open;       /* handles that libuv still holds */
    bool                exited, out_ended, err_ended, closed;
    struct child_result result;
    char               *captured;
    size_t              captured_len;
    size_t              said_len;
    char                said[CHILD_SAID_BYTES];
    char                read[CHILD_READ_BYTES];
};

static char *child_env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
                             "LANG=C.UTF-8", NULL };

static void on_handle_closed(uv_handle_t *handle)
{
    struct child *c = handle->data;
    if (--c->open) return;

    struct runtime *r = c->r;
    if (c->next) c->next->prev = c->prev;
    *(c->prev ? &c->prev->next : &r->children) = c->next;
    free(c->captured);
    free(c);
    runtime_release(r);
}

static void child_close(struct child *c)
{
    if (c->closed) return;
    c->closed                    = true;
    uv_handle_t *const handles[] = { (uv_handle_t *)&c->process, (uv_handle_t *)&c->out, (uv_handle_t *)&c->err,
                                     (uv_handle_t *)&c->timer, (uv_handle_t *)&c->pacer };
    for (size_t i = 0; i < countof(handles); i++) uv_close(handles[i], on_handle_closed);
}

/* Tells its owner when it is over and all that it said was read. */
static void child_settle(struct child *c, bool read_all)
{
    if (c->closed || !c->exited || (!read_all && !(c->out_ended && c->err_ended))) return;

    char text[CHILD_SAID_BYTES];
    c->result.out  = (struct str){ c->captured, c->captured_len };
    c->result.said = (struct str){ text, text_from_stranger(c->said, c->said_len, text) };
    child_close(c);
    c->order.on_done(c->order.ctx, &c->result);
}

static void on_lingered(uv_timer_t *timer)
{
    child_settle(timer->data, true);
}

static void on_child_exit(uv_process_t *process, int64_t status, int signal)
{
    struct child *c = process->data;
    c->exited       = true;
    c->result.ended = signal == 0;
    c->result.code  = signal ? 128 + signal : (int)status;
    check(uv_timer_stop(&c->timer) == 0);
    child_settle(c, false);
    if (!c->closed) check(uv_timer_start(&c->timer, on_lingered, CHILD_LINGER_MS, 0) == 0);
}

static void child_kill(struct child *c)
{
    if (c->order.on_kill) c->order.on_kill(c->process.pid);
    kill(-c->process.pid, SIGKILL);
}

static void on_deadline(uv_timer_t *timer)
{
    struct child *c = timer->data;
    if (c->exited) return;
    c->result.timed_out = true;
    child_kill(c);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct child *c = handle->data;
    *buf            = uv_buf_init(c->read, sizeof c->read);
}

static void take_output(struct child *c, struct str bytes)
{
    if (c->order.on_output) {
        if (!c->result.stopped) c->order.on_output(c->order.ctx, bytes);
        return;
    }
    size_t room = c->order.out_bytes_max - c->captured_len;
    size_t take = bytes.len < room ? bytes.len : room;
    if (take) memcpy(c->captured + c->captured_len, bytes.ptr, take);
    c->captured_len += take;
}

/* Keeps the end: what is read is never more than what fits. */
static void take_said(struct child *c, struct str bytes)
{
    if (bytes.len > sizeof c->said) bytes = str_skip(bytes, bytes.len - sizeof c->said);
    size_t keep = sizeof c->said - bytes.len;
    if (c->said_len > keep) {
        memmove(c->said, c->said + c->said_len - keep, keep);
        c->said_len = keep;
    }
    memcpy(c->said + c->said_len, bytes.ptr, bytes.len);
    c->said_len += bytes.len;
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf);

static void read_on(struct child *c)
{
    if (!c->out_ended) check(uv_read_start((uv_stream_t *)&c->out, on_room, on_read) == 0);
    if (!c->err_ended) check(uv_read_start((uv_stream_t *)&c->err, on_room, on_read) == 0);
}

static void on_paced(uv_timer_t *timer)
{
    read_on(timer->data);
}

/* Who writes faster than we want to read waits until his pipe has room. */
static void pace(struct child *c, size_t len)
{
    uint64_t now_ms = sys_boot_now_ms();
    if (now_ms >= c->pace_until_ms) {
        c->pace_until_ms = now_ms + CHILD_PACE_MS;
        c->pace_bytes    = 0;
    }
    c->pace_bytes += len;
    if (c->pace_bytes < CHILD_PACE_BYTES || c->closed) return;
    uv_read_stop((uv_stream_t *)&c->out);
    uv_read_stop((uv_stream_t *)&c->err);
    check(uv_timer_start(&c->pacer, on_paced, c->pace_until_ms - now_ms, 0) == 0);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct child *c      = stream->data;
    bool          is_out = stream == (uv_stream_t *)&c->out;
    if (len > 0) {
        struct str bytes = { buf->base, (size_t)len };
        is_out ? take_output(c, bytes) : take_said(c, bytes);
        if (c->order.on_output) pace(c, bytes.len);
        return;
    }
    if (len == 0) return;
    uv_read_stop(stream);
    *(is_out ? &c->out_ended : &c->err_ended) = true;
    child_settle(c, false);
}

static void child_init(struct child *c)
{
    check(uv_pipe_init(c->r->loop, &c->out, 0) == 0);
    check(uv_pipe_init(c->r->loop, &c->err, 0) == 0);
    check(uv_timer_init(c->r->loop, &c->timer) == 0);
    check(uv_timer_init(c->r->loop, &c->pacer) == 0);
    c->process.data = c->out.data = c->err.data = c->timer.data = c->pacer.data = c;
    c->open                                                                     = 5;
    c->next                                                                     = c->r->children;
    if (c->next) c->next->prev = c;
    c->r->children = c;
    runtime_hold(c->r);
}

struct err child_start(struct runtime *r, const struct child_order *order, struct child **out)
{
    struct child *c = runtime_alloc(sizeof *c);
    c->r            = r;
    c->order        = *order;
    c->captured     = order->out_bytes_max ? runtime_alloc(order->out_bytes_max) : NULL;
    child_init(c);

    scoped_fd int        input   = process_no_input();
    const uv_stdio_flags to_us   = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
    uv_stdio_container_t stdio[] = {
        { .flags = input < 0 ? UV_IGNORE : UV_INHERIT_FD, .data.fd = input },
        { .flags = to_us, .data.stream = (uv_stream_t *)&c->out },
        { .flags = to_us, .data.stream = (uv_stream_t *)&c->err },
        { .flags = UV_INHERIT_FD, .data.fd = order->extra_fd },
    };
    uv_process_options_t options = {
        .exit_cb     = on_child_exit,
        .file        = order->file,
        .args        = (char **)order->args,
        .env         = child_env,
        .flags       = UV_PROCESS_DETACHED, /* a session and group of its own */
        .stdio       = stdio,
        .stdio_count = order->extra_fd >= 0 ? 4 : 3,
    };
    int rc = uv_spawn(r->loop, &c->process, &options);
    if (rc) {
        child_close(c);
        return rc == UV_ENOENT ? ERR(MISSING, "a program that is needed is not installed")
                               : ERR(IO, "a program can't be started");
    }
    read_on(c);
    if (order->timeout_ms) check(uv_timer_start(&c->timer, on_deadline, order->timeout_ms, 0) == 0);
    if (out) *out = c;
    return OK;
}

void child_stop(struct child *c)
{
    if (c->closed) return;
    c->result.stopped = true;
    if (!c->exited) child_kill(c);
}

void children_stop(struct runtime *r)
{
    for (struct child *c = r->children; c; c = c->next) child_stop(c);
}

/* ---- what it said ---------------------------------------------------------------------------- */

/* How many bytes of a well-formed UTF-8 sequence stand at the start; 0: none do. */
static size_t sequence_at(const char *bytes, size_t len)
{
    for (size_t n = 1; n <= 4 && n <= len; n++)
        if (str_is_utf8((struct str){ bytes, n })) return n;
    return 0;
}

/* How many bytes of a terminal's colour or movement stand at the start: ESC [ parameters letter (ECMA-48). */
static size_t escape_at(const char *bytes, size_t len)
{
    if (len < 3 || bytes[0] != 0x1b || bytes[1] != '[') return 0;
    for (size_t i = 2; i < len; i++) {
        if (bytes[i] >= 0x40 && bytes[i] <= 0x7e) return i + 1;
        if (bytes[i] < 0x20 || bytes[i] > 0x3f) return 0;
    }
    return 0;
}

size_t text_from_stranger(const char *bytes, size_t len, char *out)
{
    size_t at = 0;
    for (size_t i = 0; i < len;) {
        size_t escape = escape_at(bytes + i, len - i);
        if (escape) {
            i += escape;
            continue;
        }
        bool   blank = bytes[i] == '\n' || bytes[i] == '\t';
        size_t n     = blank ? 1 : sequence_at(bytes + i, len - i);
        if (n)
            memcpy(out + at, bytes + i, n);
        else
            out[at] = '?';
        at += n ? n : 1;
        i += n ? n : 1;
    }
    return at;
}

void child_sentence(struct str said, char out[RUNTIME_WHY_TEXT])
{
    said = str_trim(said);
    for (size_t i = said.len; i > 0; i--) {
        if (said.ptr[i - 1] != '\n') continue;
        said = str_skip(said, i);
        break;
    }
    size_t len = said.len < RUNTIME_WHY_TEXT - 1 ? said.len : RUNTIME_WHY_TEXT - 1;
    while (len && !str_is_utf8((struct str){ said.ptr, len })) len--; /* not in the middle of a letter */
    memcpy(out, said.ptr ? said.ptr : "", len);
    out[len] = 0;
}

/* ---- on a thread ----------------------------------------------------------------------------- */

int child_run_blocking(const char *const *args, uint32_t timeout_ms)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t          attributes;
    check(posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&attributes) == 0);
    for (int fd = 0; fd < 3; fd++)
        check(posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0) == 0);
    check(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP) == 0);

    pid_t pid;
    int   rc = posix_spawnp(&pid, args[0], &files, &attributes, (char **)args, child_env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    if (rc) return -1;

    int status;
    for (uint32_t waited = 0;; waited += 5) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid) break;
        if (got < 0) return -1;
        if (waited >= timeout_ms) kill(-pid, SIGKILL);
        nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
