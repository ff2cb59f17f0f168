/* log.c: reading a container's log: its end, or along while its keeper writes it and turns it when it is full. */
#include "container_int.h"
#include "inside_int.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file of a node's folder; its number into *file, 0 if it is not there. */
static int log_file(struct runtime *r, struct node_id node, const char *name, uint64_t *file)
{
    char        path[RUNTIME_PATH_TEXT];
    struct stat st;
    node_path(r, node, name, path);
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    *file            = 0;
    if (fd < 0 || fstat(fd, &st) < 0) return -1;
    *file = st.st_ino;
    return sys_take_fd(&fd);
}

static size_t read_at(int fd, uint64_t file, struct container_log_place *at, char *room, size_t size)
{
    if (at->file != file) *at = (struct container_log_place){ .file = file };
    ssize_t got = fd < 0 ? 0 : pread(fd, room, size, (off_t)at->offset);
    if (got <= 0) return 0;
    at->offset += (uint64_t)got;
    return (size_t)got;
}

size_t container_log_read(struct runtime *r, struct node_id node, struct container_log_place *at, char *room,
                          size_t size)
{
    uint64_t older_file, newer_file;
    /* In this order: if the log is turned in between, both are the same file, and none is missed. */
    scoped_fd int newer = log_file(r, node, KEEPER_FILE_LOG, &newer_file);
    scoped_fd int older = log_file(r, node, KEEPER_FILE_LOG_OLDER, &older_file);
    if (older >= 0 && at->file != newer_file) { /* there, or at a start, or at what is gone */
        size_t got = read_at(older, older_file, at, room, size);
        if (got) return got;
    }
    return newer >= 0 ? read_at(newer, newer_file, at, room, size) : 0;
}

/* The last bytes of a file before what is already at the end of `room`; gives where they start. */
static size_t read_end_before(const char *path, char *room, size_t end)
{
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat   st;
    if (fd < 0 || fstat(fd, &st) < 0) return end;
    size_t  take = (size_t)st.st_size < end ? (size_t)st.st_size : end;
    ssize_t got  = pread(fd, room + end - take, take, st.st_size - (off_t)take);
    return got == (ssize_t)take ? end - take : end;
}

void container_log_end(struct runtime *r, struct node_id node, char out[CONTAINER_LOG_END_BYTES])
{
    char   path[RUNTIME_PATH_TEXT], room[CONTAINER_LOG_END_BYTES - 1];
    size_t start = sizeof room;
    node_path(r, node, KEEPER_FILE_LOG, path);
    start = read_end_before(path, room, start);
    node_path(r, node, KEEPER_FILE_LOG_OLDER, path);
    if (start > 0) start = read_end_before(path, room, start);

    struct str all = { room + start, sizeof room - start }, first, rest;
    if (start == 0 && str_split(all, '\n', &first, &rest) && rest.len) all = rest; /* half a line, mostly */
    out[text_from_stranger(all.ptr, all.len, out)] = 0;
}
