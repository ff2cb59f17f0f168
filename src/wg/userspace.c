#include "sys/sys.h"
#include "wg_int.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SOCKET_DIR "/var/run/wireguard" /* wireguard-go knows no other */
#define SOCKET_BACKLOG 8
#define SOCKET_TEXT 64
#define LISTENER_FD 3

struct said {
    uv_write_t write;
    char      *bytes;
    size_t     len;
};

static void on_closed(uv_handle_t *handle)
{
    struct wg_device *d = handle->data;
    d->handles--;
}

static void socket_path(const char *name, char out[SOCKET_TEXT])
{
    snprintf(out, SOCKET_TEXT, SOCKET_DIR "/%s.sock", name);
}

/* ---- talking ------------------------------------------------------------------------------------------- */

static void on_said(uv_write_t *write, int status)
{
    (void)status; /* what breaks is seen by the reader */
    struct said *s = write->data;
    explicit_bzero(s->bytes, s->len); /* the first holds the device's key */
    free(s->bytes);
    free(s);
}

static void say_one(struct wg_device *d, const struct wg_ask *a)
{
    struct said *s = wg_alloc(sizeof *s);
    struct text  t;
    if (a->first)
        t = uapi_set_first(&d->o);
    else if (a->peers)
        t = uapi_set_peers(a->peers, a->count);
    else
        t = (struct text){ .ptr = strdup("get=1\n\n"), .len = 7 };
    check(t.ptr);
    s->bytes       = t.ptr;
    s->len         = t.len;
    s->write.data  = s;
    uv_buf_t bytes = uv_buf_init(t.ptr, (unsigned)t.len);
    if (uv_write(&s->write, (uv_stream_t *)&d->pipe, &bytes, 1, on_said)) on_said(&s->write, 0);
}

/* One at a time: wireguard-go reads ahead, and what follows a set operation too early is lost. */
static void userspace_say(struct wg_device *d)
{
    if (!d->asked || d->speaking) return;
    d->speaking = true;
    say_one(d, d->asked);
}

static void read_answers(struct wg_device *d)
{
    size_t end;
    while (d->state != WG_ENDING && d->asked &&
           (end = uapi_answer_end((struct str){ d->in, d->in_len }, d->looked_at))) {
        struct wg_answer answer = { 0 };
        struct err       e      = uapi_read((struct str){ d->in, end }, &answer);
        d->in_len -= end;
        memmove(d->in, d->in + end, d->in_len);
        explicit_bzero(d->in + d->in_len, end); /* it holds the device's key */
        d->looked_at = 0;
        d->speaking  = false;
        wg_on_answer(d, e, &answer);
        answer_free(&answer);
        /* After a refusal it takes the rest of what was said for something else. */
        if (e.code) wg_on_lost(d, e);
        if (d->state != WG_ENDING) userspace_say(d);
    }
    d->looked_at = d->in_len;
}

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
    (void)handle;
    *out = uv_buf_init(wg_alloc(wanted), (unsigned)wanted);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *room)
{
    struct wg_device *d     = stream->data;
    scoped_mem char  *bytes = room->base;
    if (got == 0) return;
    if (got < 0)
        wg_on_lost(d, ERR(IO, "wireguard-go has ended"));
    else if (!wg_take_bytes(d, bytes, (size_t)got))
        wg_on_lost(d, ERR(LIMIT, "wireguard-go says more than it can mean"));
    else
        read_answers(d);
    if (got > 0) explicit_bzero(bytes, (size_t)got);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct wg_device *d = connect->data;
    if (status == UV_ECANCELED) return;
    if (status || uv_read_start((uv_stream_t *)&d->pipe, on_room, on_read))
        wg_on_lost(d, ERR(IO, "wireguard-go can't be spoken to"));
    else
        wg_on_started(d, OK);
}

static void userspace_find(struct wg_device *d)
{
    char path[SOCKET_TEXT];
    socket_path(d->name, path);
    check(uv_pipe_init(net_uv_loop(d->net), &d->pipe, 0) == 0);
    d->pipe.data    = d;
    d->connect.data = d;
    d->has_pipe     = true;
    d->handles++;
    uv_pipe_connect(&d->connect, &d->pipe, path, on_connected);
}

/* ---- starting and ending --------------------------------------------------------------------------------- */

/* The socket is made here and handed over, so that it can be spoken to at once: the kernel holds what is said
 * until wireguard-go listens. */
static struct err listener_make(const struct wg_device *d, int *out)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    socket_path(d->name, at.sun_path);
    TRY(sys_make_dirs(SOCKET_DIR, 0755));
    /* Whoever is too busy to answer is there too. */
    scoped_fd int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe >= 0 && (connect(probe, (const void *)&at, sizeof at) == 0 || errno == EAGAIN))
        return ERR(CONFLICT, "another program has a device of that name");
    unlink(at.sun_path);
    scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || fchmod(fd, 0600) < 0 || bind(fd, (const void *)&at, sizeof at) < 0 ||
        listen(fd, SOCKET_BACKLOG) < 0)
        return ERR(IO, "the socket for wireguard-go can't be made");
    *out = sys_take_fd(&fd);
    return OK;
}

static struct err log_open(const struct wg_device *d, int *out)
{
    char path[WG_PATH_TEXT + 32];
    snprintf(path, sizeof path, "%s/%s.log", d->dir, d->name);
    scoped_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return ERR(IO, "a device's log can't be made");
    *out = sys_take_fd(&fd);
    return OK;
}

static void on_exit_seen(uv_process_t *process, int64_t status, int signal)
{
    (void)status, (void)signal;
    wg_on_lost(process->data, ERR(IO, "wireguard-go has ended"));
}

static struct err spawn(struct wg_device *d)
{
    scoped_fd int listener = -1, log = -1;
    TRY(log_open(d, &log));
    TRY(listener_make(d, &listener));
    d->has_socket = true;

    char                *arguments[] = { d->program, d->name, NULL };
    char                 path[4096 + 8];
    const char          *known         = getenv("PATH");
    char                *environment[] = { (char *)"WG_PROCESS_FOREGROUND=1", (char *)"LOG_LEVEL=error",
                                           (char *)"WG_UAPI_FD=3", path, NULL };
    uv_stdio_container_t stdio[]       = { { .flags = UV_IGNORE },
                                           { .flags = UV_INHERIT_FD, .data.fd = log },
                                           { .flags = UV_INHERIT_FD, .data.fd = log },
                                           [LISTENER_FD] = { .flags = UV_INHERIT_FD, .data.fd = listener } };
    snprintf(path, sizeof path, "PATH=%s",
             known ? known : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    /* A session of its own: it outlives us. */
    uv_process_options_t o      = { .exit_cb     = on_exit_seen,
                                    .file        = d->program,
                                    .args        = arguments,
                                    .env         = environment,
                                    .flags       = UV_PROCESS_DETACHED,
                                    .stdio_count = countof(stdio),
                                    .stdio       = stdio };
    int                  failed = uv_spawn(net_uv_loop(d->net), &d->process, &o);
    d->process.data             = d;
    d->has_process              = true; /* a handle also when it failed */
    d->handles++;
    if (failed)
        return failed == UV_ENOENT ? ERR(MISSING, "wireguard-go is not there")
                                   : ERR(IO, "wireguard-go can't be started");

    d->memo.pid = uv_process_get_pid(&d->process);
    TRY(process_start_time(d->memo.pid, &d->memo.start_time));
    return memo_write(d->dir, d->name, &d->memo);
}

static void userspace_start(struct wg_device *d)
{
    struct err e = spawn(d);
    if (e.code)
        wg_on_lost(d, e);
    else
        userspace_find(d);
}

static bool userspace_is_gone(struct wg_device *d)
{
    return !process_is_alive(d->memo.pid, d->memo.start_time);
}

static void userspace_halt(struct wg_device *d)
{
    uint64_t now_ms = net_now_ms(d->net);
    if (!d->halted_ms) {
        d->halted_ms = now_ms;
        kill(d->memo.pid, SIGTERM);
    } else if (now_ms - d->halted_ms > WG_TERM_MS) {
        kill(d->memo.pid, SIGKILL);
    }
}

static void userspace_let_go(struct wg_device *d)
{
    if (d->has_pipe) uv_close((uv_handle_t *)&d->pipe, on_closed);
    if (d->has_process) uv_close((uv_handle_t *)&d->process, on_closed);
    d->has_pipe = d->has_process = false;
    if (d->leaving || !(d->has_socket || d->memo.pid)) return;
    d->has_socket = false;
    char path[SOCKET_TEXT];
    socket_path(d->name, path);
    unlink(path); /* left by one that was killed */
}

struct err userspace_end(const char *name, const struct wg_memo *m)
{
    const struct timespec step      = { .tv_nsec = WG_POLL_MS * 1000000 };
    unsigned              waited_ms = 0;
    if (process_is_alive(m->pid, m->start_time)) kill(m->pid, SIGTERM);
    for (; process_is_alive(m->pid, m->start_time); waited_ms += WG_POLL_MS) {
        if (waited_ms == WG_TERM_MS) kill(m->pid, SIGKILL);
        if (waited_ms == 2 * WG_TERM_MS) return ERR(TIMEOUT, "a wireguard-go can't be ended");
        nanosleep(&step, NULL);
    }
    char path[SOCKET_TEXT];
    socket_path(name, path);
    unlink(path);
    return OK;
}

const struct wg_backend userspace_backend = {
    .start   = userspace_start,
    .find    = userspace_find,
    .say     = userspace_say,
    .halt    = userspace_halt,
    .is_gone = userspace_is_gone,
    .let_go  = userspace_let_go,
};
