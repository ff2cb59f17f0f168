/* process.c: processes by descriptor, so that a number that was given anew is never killed. */
#include "container_int.h"
#include "inside_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TREE_DEPTH_MAX 16

int process_open(pid_t pid)
{
    return pid > 1 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1; /* close-on-exec by itself */
}

/* The fourth field of /proc/PID/stat; the second is a name in brackets that may hold anything. */
static pid_t parent_of(pid_t pid)
{
    char   path[64], text[1024];
    size_t len;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (sys_read_file(path, text, sizeof text - 1, &len).code) return 0;
    text[len]         = 0;
    const char *after = strrchr(text, ')');
    int         parent;
    return after && sscanf(after, ") %*c %d", &parent) == 1 ? parent : 0;
}

int process_open_child(pid_t pid, pid_t parent)
{
    scoped_fd int fd = process_open(pid);
    if (fd < 0 || parent_of(pid) != parent || process_has_ended(fd)) return -1;
    return sys_take_fd(&fd);
}

void process_signal(int pidfd, int signal)
{
    if (pidfd >= 0) syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

bool process_has_ended(int pidfd)
{
    struct pollfd p = { pidfd, POLLIN, 0 };
    return poll(&p, 1, 0) == 1;
}

static void kill_below(pid_t parent, unsigned depth);

/* Its own children first, while it still is their parent; stopped, so that it neither makes more of them nor reaps
 * those that end, which would shift the list under its reader. */
static void kill_one(pid_t pid, pid_t parent, unsigned depth)
{
    scoped_fd int fd = process_open_child(pid, parent);
    if (fd < 0) return;
    process_signal(fd, SIGSTOP);
    if (depth < TREE_DEPTH_MAX) kill_below(pid, depth + 1);
    process_signal(fd, SIGKILL);
}

static void kill_listed(const char *path, pid_t parent, unsigned depth)
{
    FILE *list = fopen(path, "re");
    int   pid;
    while (list && fscanf(list, "%d", &pid) == 1) kill_one(pid, parent, depth);
    if (list) fclose(list);
}

/* Each thread has its own list, and programs in Go start children from any. */
static void kill_below(pid_t parent, unsigned depth)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)parent);
    DIR *tasks = opendir(path);
    for (const struct dirent *task; tasks && (task = readdir(tasks));) {
        char list[RUNTIME_PATH_TEXT];
        path_write(list, "%s/%s/children", path, task->d_name);
        kill_listed(list, parent, depth);
    }
    if (tasks) closedir(tasks);
}

void process_kill_below(pid_t parent)
{
    kill_below(parent, 0);
}

pid_t process_pid_in(const char *folder, const char *file)
{
    char   path[RUNTIME_PATH_TEXT], text[32];
    size_t len;
    path_write(path, "%s/%s", folder, file);
    if (sys_read_file(path, text, sizeof text - 1, &len).code) return 0;
    text[len] = 0;
    return (pid_t)strtol(text, NULL, 10);
}

bool keeper_lives(const char *folder)
{
    char path[RUNTIME_PATH_TEXT];
    path_write(path, "%s/%s", folder, KEEPER_FILE_LOCK);
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

int process_no_input(void)
{
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) < 0) return -1;
    close(pair[1]);
    return pair[0];
}
