/* container.h: one container a node, run by runc or crun, fenced in.
 *
 * Always: a user namespace with 65,536 ids of its own, no capabilities, no new privileges, the seccomp list of
 * containers-common (less all that needs a capability, sockets but of the usual kinds, calls of 32 bits), a read-only
 * root, no device but null, zero, full, random, urandom, tty and the GPUs given, the network namespace of the node and
 * no other, its own pids, ipc, hostname, /etc/hosts, an empty resolv.conf, names looked up in files only, a read-only
 * view of its cgroup, no core files, limits of memory (with swap), CPU, processes and of what it may write in memory
 * and to its log.
 *
 *     netns_make → (mesh device) → container_start → on_started → … → on_ended → container_clean
 *                                   container_adopt ↗
 *
 * A container handle is valid from start or adopt until container_clean of its node is called. After that no
 * callback but clean's own comes. If the worker is killed, containers go on; container_list finds them. */
#ifndef RUNTIME_CONTAINER_H
#define RUNTIME_CONTAINER_H

#include "runtime.h"

#define CONTAINER_ARGS_MAX 128
#define CONTAINER_ENV_MAX 128
#define CONTAINER_MOUNTS_MAX 32
#define CONTAINER_EXECS_MAX 8          /* of one container at once */
#define CONTAINER_LINE_BYTES_MAX 65536 /* of exec: a witness of 2,500 nodes has lines of 40,000 */
#define CONTAINER_LINES_PER_SECOND 64  /* of exec */
#define CONTAINER_LOG_BYTES (4u << 20) /* of one container: the older half goes when it is full */
#define CONTAINER_LOG_END_BYTES 2048

enum container_mount_kind {
    CONTAINER_TMPFS, /* empty, in memory, counts to the memory limit */
    CONTAINER_BIND   /* `source` of this machine, read-only */
};

struct container_mount {
    enum container_mount_kind kind;
    const char *target; /* absolute, in the container; made in the image's root if it is not there */
    const char *source; /* bind only */
    uint64_t    bytes;  /* tmpfs only: its size */
    uint32_t    mode;   /* tmpfs only: 01777, 0755 … */
    bool        exec;   /* tmpfs only: programs in it may be run */
    bool        owned;  /* tmpfs only: by the user that the container runs as, else by its root */
};

/* Arrays end after `count`, not with null. Everything is copied, most of it into the bundle on the disk. */
struct container_spec {
    struct node_id                node;
    uint64_t                      incarnation; /* from 1 */
    const char                   *root;        /* from image_root */
    const char                   *hostname;
    const char                   *hosts; /* lines of /etc/hosts after that of localhost; may be null */
    const char *const            *args;
    size_t                        args_count;
    const char *const            *env; /* "NAME=value" */
    size_t                        env_count;
    const char                   *cwd;
    uint32_t                      uid;    /* inside; also the gid; 1 to 65,533 */
    const struct container_mount *mounts; /* besides /proc, /dev, /dev/pts, /dev/mqueue, /sys/fs/cgroup */
    size_t                        mounts_count;
    uint64_t                      memory_bytes;
    uint32_t                      cpus_milli;
    uint32_t                      processes_max;
    uint32_t                      files_max; /* open ones a process; at most what we may ourselves */
    uint64_t                      shm_bytes; /* of /dev/shm; 0: 64 MiB */
    const uint32_t               *gpus;      /* indices as machine_read counts them */
    size_t                        gpus_count;
};

struct container_end {
    bool     known;  /* else neither of the next two: its keeper was killed, or it never started */
    int      code;   /* 0 to 255 */
    int      signal; /* that ended it, or 0 */
    uint32_t oom_kills;
    bool     started;
    char     why[RUNTIME_WHY_TEXT]; /* a sentence: "ended with code 3", or what runc said */
};

struct container;

struct container_calls {
    void (*on_started)(void *ctx);                                /* may be null */
    void (*on_ended)(void *ctx, const struct container_end *end); /* once, last; also when it could not start */
};

/* ERR_CONFLICT: the node has one, is being cleaned, or has no namespace. ERR_LIMIT: a limit above. ERR_INVALID: the
 * spec. Whatever failed, container_clean is what removes the node. */
must_check struct err container_start(struct runtime *r, const struct container_spec *s,
                                      const struct container_calls *calls, void *ctx, struct container **out);

struct container_found {
    struct node_id node;
    uint64_t       incarnation; /* 0: it has only a namespace or leavings of a start */
    bool           running;
};
/* What is on the disk, this process's own and those of one before it. Returns how many. */
uint32_t container_list(struct runtime *r, struct container_found *out, uint32_t max);

/* Takes over what an earlier process started; on_started or on_ended follows. ERR_MISSING: no such incarnation. */
must_check struct err container_adopt(struct runtime *r, struct node_id node, uint64_t incarnation,
                                      const struct container_calls *calls, void *ctx, struct container **out);

/* SIGTERM to its first process, after grace_ms SIGKILL to all. on_ended follows. Again: the shorter grace holds. */
void container_stop(struct container *c, uint32_t grace_ms);

/* Ends and removes everything of a node, in whatever state: processes, cgroups, mounts, network namespace, folder.
 * What is not there is well. ERR_IO in `call`: something would not go; try again later. Any number may run. */
typedef void (*container_on_cleaned)(void *ctx, struct err e);
must_check struct err container_clean(struct runtime *r, struct node_id node, container_on_cleaned call,
                                      void *ctx);

/* The last of what it wrote, whole lines if they fit, as UTF-8 (other bytes become '?'), zero-ended. Also after
 * its end, until it is cleaned. "" if there is nothing. */
void container_log_end(struct runtime *r, struct node_id node, char out[CONTAINER_LOG_END_BYTES]);

/* For who reads a log along: where he is. Zeroed: at its start. */
struct container_log_place {
    uint64_t file;
    uint64_t offset;
};

/* The next of it from there, any bytes as they were written; 0: nothing more yet. What was dropped because the log is
 * full is skipped. */
size_t container_log_read(struct runtime *r, struct node_id node, struct container_log_place *at, char *room,
                          size_t size);

/* ---- programs inside ------------------------------------------------------------------------- */

struct container_exec;

struct container_exec_calls {
    /* A line of its standard output, without its end; may be null. Not told, since half of one may mean another
     * thing: what is longer than a line may be; and what comes beyond so many in a second. */
    void (*on_line)(void *ctx, struct str line);
    /* Once, last. code 0 to 255, or 128 + the signal, like a shell's. `e` only if it could not be run or took too
     * long; `said` is the end of its standard error, as UTF-8. */
    void (*on_done)(void *ctx, struct err e, int code, struct str said);
};

/* Runs with the container's user, fences and limits, and the container's environment with `env` added. timeout_ms 0: as
 * long as it likes. Who writes more than 1 MiB a second waits. A program that outlives the worker dies of SIGPIPE when it writes. */
must_check struct err container_exec(struct container *c, const char *const *args, size_t args_count,
                                     const char *const *env, size_t env_count, uint32_t timeout_ms,
                                     const struct container_exec_calls *calls, void *ctx,
                                     struct container_exec **out);
void                  container_exec_stop(struct container_exec *x); /* ends it; no callback comes any more */

#endif
