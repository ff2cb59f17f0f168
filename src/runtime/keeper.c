/* keeper.c: the small process that stays with a container, so that its output and its end are not lost when the
 * worker is. It is the subreaper below which the OCI runtime leaves the container's first process. */
#include "inside_int.h"
#include "runtime_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS_MAX 60000 /* for the OCI runtime to have started it */
#define DRAIN_MS_MAX 1000  /* of what is still in the pipe at the end */
#define LOG_BYTES_PER_SECOND (1u << 20)
#define ORPHANS_MAX 32

extern char **environ;

struct ended {
    pid_t pid;
    int   status;
};

struct keeper {
    const char  *folder, *oci, *oci_state, *name;
    int          output; /* what the container writes */
    int          children;
    int          log;
    uint64_t     log_bytes;
    uint64_t     budget; /* bytes that may be read until `refill_ms` */
    uint64_t     refill_ms;
    pid_t        oci_pid;
    bool         oci_ended;
    int          oci_status;
    pid_t        init;
    struct ended orphans[ORPHANS_MAX]; /* that ended before we knew which one is the container's first */
    size_t       orphans_count;
    bool         ended;
    int          status;
    bool         output_ended;
};

/* A keeper that can't go on ends; the worker sees that, and cleans up. */
static void must(bool so)
{
    if (!so) _exit(1);
}

static void file_path(const struct keeper *k, const char *name, char out[RUNTIME_PATH_TEXT])
{
    path_write(out, "%s/%s", k->folder, name);
}

__attribute__((format(printf, 3, 4))) static void write_fact(const struct keeper *k, const char *name,
                                                             const char *format, ...)
{
    char    path[RUNTIME_PATH_TEXT], line[128];
    va_list values;
    va_start(values, format);
    int len = vsnprintf(line, sizeof line, format, values);
    va_end(values);
    must(len > 0 && (size_t)len < sizeof line);
    file_path(k, name, path);
    must(sys_write_file(path, (struct str){ line, (size_t)len }, 0600).code == ERR_NONE);
}

/* ---- the log --------------------------------------------------------------------------------- */

static void log_open(struct keeper *k)
{
    char path[RUNTIME_PATH_TEXT];
    file_path(k, KEEPER_FILE_LOG, path);
    k->log       = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    k->log_bytes = 0;
    must(k->log >= 0);
}

static void log_turn(struct keeper *k)
{
    char path[RUNTIME_PATH_TEXT], older[RUNTIME_PATH_TEXT];
    file_path(k, KEEPER_FILE_LOG, path);
    file_path(k, KEEPER_FILE_LOG_OLDER, older);
    close(k->log);
    must(rename(path, older) == 0);
    log_open(k);
}

/* A full disk loses the output, not the container. */
static void log_add(struct keeper *k, const char *bytes, size_t len)
{
    if (k->log_bytes + len > CONTAINER_LOG_BYTES / 2) log_turn(k);
    ssize_t written = write(k->log, bytes, len);
    if (written > 0) k->log_bytes += (uint64_t)written;
}

static void read_output(struct keeper *k)
{
    static char room[16384];
    ssize_t     len = read(k->output, room, sizeof room);
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (len <= 0) {
        k->output_ended = true;
        return;
    }
    log_add(k, room, (size_t)len);
    k->budget -= (uint64_t)len < k->budget ? (uint64_t)len : k->budget;
}

/* ---- processes ------------------------------------------------------------------------------- */

/* Started with no signal blocked or ignored, its output to our pipe, in a group of its own. */
static void start_oci(struct keeper *k, int output)
{
    char log[RUNTIME_PATH_TEXT], pid_file[RUNTIME_PATH_TEXT];
    file_path(k, KEEPER_FILE_OCI_LOG, log);
    file_path(k, "pid", pid_file);
    const char *args[] = { k->oci,         "--root",     k->oci_state, "--log",    log,
                           "--log-format", "json",       "run",        "--detach", "--bundle",
                           k->folder,      "--pid-file", pid_file,     k->name,    NULL };

    posix_spawn_file_actions_t files;
    posix_spawnattr_t          how;
    sigset_t                   none, all;
    sigemptyset(&none);
    sigfillset(&all);
    must(posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&how) == 0);
    scoped_fd int input = process_no_input();
    must(input >= 0 && posix_spawn_file_actions_adddup2(&files, input, 0) == 0);
    must(posix_spawn_file_actions_adddup2(&files, output, 1) == 0);
    must(posix_spawn_file_actions_adddup2(&files, output, 2) == 0);
    must(posix_spawnattr_setflags(&how,
                                  POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) == 0);
    must(posix_spawnattr_setsigmask(&how, &none) == 0 && posix_spawnattr_setsigdefault(&how, &all) == 0);
    must(posix_spawn(&k->oci_pid, k->oci, &files, &how, (char **)args, environ) == 0);
}

/* The OCI runtime is done: the container's first process is ours, or there is none. */
static void on_oci_ended(struct keeper *k, int status)
{
    char   path[RUNTIME_PATH_TEXT], text[32] = "";
    size_t len    = 0;
    k->oci_ended  = true;
    k->oci_status = status;
    file_path(k, "pid", path);
    if (status != 0 || sys_read_file(path, text, sizeof text - 1, &len).code) {
        k->ended = true;
        return;
    }
    k->init = (pid_t)strtol(text, NULL, 10);
    must(k->init > 1);
    write_fact(k, KEEPER_FILE_STARTED, "%d\n", (int)k->init);
    for (size_t i = 0; i < k->orphans_count; i++) {
        if (k->orphans[i].pid != k->init) continue;
        k->ended  = true;
        k->status = k->orphans[i].status;
    }
}

static void reap(struct keeper *k)
{
    struct signalfd_siginfo info;
    while (read(k->children, &info, sizeof info) > 0) continue;
    int   status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == k->oci_pid && !k->oci_ended) {
            on_oci_ended(k, status);
        } else if (k->init && pid == k->init) {
            k->ended  = true;
            k->status = status;
        } else if (!k->init && k->orphans_count < ORPHANS_MAX) {
            k->orphans[k->orphans_count++] = (struct ended){ pid, status };
        }
    }
}

/* ---- its life -------------------------------------------------------------------------------- */

static void turn(struct keeper *k, bool free_rate)
{
    uint64_t now = sys_boot_now_ms();
    if (now >= k->refill_ms) {
        k->budget    = LOG_BYTES_PER_SECOND / 10;
        k->refill_ms = now + 100;
    }
    bool          may_read = !k->output_ended && (free_rate || k->budget > 0);
    struct pollfd polls[]  = { { k->children, POLLIN, 0 }, { may_read ? k->output : -1, POLLIN, 0 } };
    int           wait_ms  = may_read || k->output_ended ? 1000 : (int)(k->refill_ms - now);
    if (poll(polls, countof(polls), free_rate ? 50 : wait_ms) <= 0) return;
    if (polls[0].revents) reap(k);
    if (polls[1].revents) read_output(k);
}

static void prepare(struct keeper *k)
{
    sigset_t blocked;
    sigemptyset(&blocked);
    const int signals[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGPIPE };
    for (size_t i = 0; i < countof(signals); i++) sigaddset(&blocked, signals[i]);
    must(sigprocmask(SIG_SETMASK, &blocked, NULL) == 0);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    k->children = signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK);
    must(k->children >= 0);
    must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    must(prctl(PR_SET_NAME, CHILD_KEEPER) == 0);
    must(fcntl(KEEPER_LOCK_FD, F_SETFD, FD_CLOEXEC) == 0);
    must(chdir("/") == 0);
    umask(022); /* what a node's files are set to by whoever started the worker must not matter */
}

void keeper_main(char **argv)
{
    static struct keeper k;
    k.folder    = argv[1];
    k.oci       = argv[2];
    k.oci_state = argv[3];
    k.name      = argv[4];
    prepare(&k);
    write_fact(&k, KEEPER_FILE_PID, "%d\n", (int)getpid());
    log_open(&k);

    int pair[2];
    must(pipe2(pair, O_CLOEXEC) == 0);
    k.output = pair[0];
    must(fcntl(k.output, F_SETFL, O_NONBLOCK) == 0);
    start_oci(&k, pair[1]);
    close(pair[1]);

    uint64_t start = sys_boot_now_ms();
    while (!k.ended) {
        turn(&k, false);
        if (!k.oci_ended && sys_boot_now_ms() - start > START_MS_MAX) kill(-k.oci_pid, SIGKILL);
    }
    uint64_t end = sys_boot_now_ms();
    while (!k.output_ended && sys_boot_now_ms() - end < DRAIN_MS_MAX) turn(&k, true);

    int  signal = k.init && WIFSIGNALED(k.status) ? WTERMSIG(k.status) : 0;
    bool exited = k.init && WIFEXITED(k.status);
    write_fact(&k, KEEPER_FILE_END, "started %d code %d signal %d\n", k.init ? 1 : 0,
               exited ? WEXITSTATUS(k.status) : 0, signal);
    _exit(0);
}
