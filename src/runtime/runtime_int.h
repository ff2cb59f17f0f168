/* runtime_int.h: what the files of this module share: the runtime itself, work on threads, child processes.
 *
 * A runtime lives until its last handle, child and work is over (runtime_hold, runtime_release). Once it is
 * closing, everything unwinds by the same callbacks as always, and only the owner's are left out: who would call
 * him asks r->closing first. */
#ifndef RUNTIME_RUNTIME_INT_H
#define RUNTIME_RUNTIME_INT_H

#include "container.h"
#include "gpu_int.h"
#include "image.h"
#include "runtime.h"
#include "sys/sys.h"

#include <uv.h>

#define CHILD_KEEPER "ionet-keeper" /* argv[0] of this program when it is not itself */
#define CHILD_NETNS "ionet-netns"
#define CHILD_DIAL "ionet-dial"
#define CHILD_OUT "ionet-egress"
#define CHILD_CONFINED "ionet-confined"
#define CHILD_SELF "/proc/self/exe"

struct child;
struct image_job;
struct clean;
struct keeper_child;

enum container_state { NODE_NONE, NODE_FOUND, NODE_STARTING, NODE_RUNNING, NODE_ENDED, NODE_CLEANING };

struct container {
    struct runtime        *r;
    struct node_id         node;
    uint64_t               incarnation;
    enum container_state   state;
    uint32_t               slot; /* of its user ids */
    struct container_calls calls;
    void                  *ctx;
    struct watch          *watch;
    struct out            *out; /* its way out; null if it has none */
    struct container_exec *execs;
    uint32_t               execs_count;
};

struct runtime {
    struct net       *net;
    uv_loop_t        *loop;
    char              state_dir[RUNTIME_PATH_TEXT];
    char              run_dir[RUNTIME_PATH_TEXT];
    char              cgroup[64];
    char              oci[RUNTIME_PATH_TEXT];
    char              wireguard_go[RUNTIME_PATH_TEXT];
    bool              plain_registries;
    uint64_t          image_bytes_max, image_files_max;
    uint32_t          image_fetch_ms_max, image_unpack_ms_max;
    uint64_t          disk_bytes_spare;
    uint32_t          uid_base;
    size_t            holds;
    bool              closing;
    runtime_on_closed on_closed;
    void             *on_closed_ctx;

    struct child        *children;
    struct container     nodes[RUNTIME_NODES_MAX];
    unsigned             execs_begun; /* names their files */
    struct keeper_child *keepers;
    struct clean        *cleans; /* in order; the first is at work */

    struct image_job *image_jobs; /* in order; the first is at work */
    bool              collecting;

    struct gpus gpus;
    bool        gpus_known;
};

void  runtime_hold(struct runtime *r);
void  runtime_release(struct runtime *r);
void *runtime_alloc(size_t bytes); /* zeroed; the program ends if there is no memory */

/* Read when it is first asked for; one that falls out later keeps its number, so that no other is given for it. */
const struct gpus *runtime_gpus(struct runtime *r);

/* RUN/nodes/NODE and, with a file, that in it. Paths fit: runtime_open checked the folders' lengths. */
void node_path(const struct runtime *r, struct node_id node, const char *file, char out[RUNTIME_PATH_TEXT]);
void node_name(struct node_id node, char out[ID_TEXT + 1]);
__attribute__((format(printf, 2, 3))) void path_write(char out[RUNTIME_PATH_TEXT], const char *format, ...);

/* Made, and open for others to pass: for the root of a container, who is nobody here. */
must_check struct err folder_make_passable(const char *path);

/* Where a program is, as a shell of root's finds it. */
bool program_find(const char *name, char out[RUNTIME_PATH_TEXT]);

/* `work` on a thread of libuv's, then `after` on the loop. */
typedef void (*runtime_call)(void *ctx);
void runtime_work(struct runtime *r, runtime_call work, runtime_call after, void *ctx);
void runtime_soon(struct runtime *r, runtime_call call, void *ctx); /* in the loop's next turn */

/* ---- child processes ------------------------------------------------------------------------- */

#define CHILD_SAID_BYTES 2048
#define CHILD_ARGS_MAX 64

struct child_result {
    bool       ended; /* by itself; else it was killed: by us, if timed_out or stopped */
    bool       timed_out;
    bool       stopped;
    int        code; /* 128 + signal if it was killed */
    struct str out;  /* the first out_bytes_max of standard output, if there is no on_output */
    struct str said; /* the last of standard error, made text */
};

struct child_order {
    const char        *file;       /* looked for in PATH */
    const char *const *args;       /* null-ended, the first is its name */
    uint32_t           timeout_ms; /* 0: none */
    size_t             out_bytes_max;
    int                extra_fd; /* becomes its descriptor 3; -1: none. Stays the caller's */
    void (*on_output)(void      *ctx,
                      struct str bytes); /* may be null; with it, a MiB a second is read and no more */
    void (*on_kill)(pid_t pid);          /* before it is killed, for what it would leave behind; may be null */
    void (*on_done)(void *ctx, const struct child_result *result); /* once, last, also after child_stop */
    void *ctx;
};

/* In a process group of its own, with an environment of PATH, HOME and LANG, /dev/null as its input. */
must_check struct err child_start(struct runtime *r, const struct child_order *order, struct child **out);
void                  child_stop(struct child *c); /* SIGKILL to its group; on_done follows */
void                  children_stop(struct runtime *r);

/* One sentence of what a failing program said: its last line, without its own prefixes and cut to fit. */
void child_sentence(struct str said, char out[RUNTIME_WHY_TEXT]);

/* Bytes of a stranger as UTF-8: what is none becomes '?', also controls but tab and line end; a terminal's
 * colours go. Never more bytes. */
size_t text_from_stranger(const char *bytes, size_t len, char *out);

/* For threads: runs, waits at most timeout_ms (then SIGKILL to its group), gives its code as a shell's; -1 if it can't
 * be run. Nothing of its output is kept. */
int child_run_blocking(const char *const *args, uint32_t timeout_ms);

/* What a program that is given no input reads: its end. Not /dev/null, which crun gives to the container's user. -1: it can't be
 * made. */
int process_no_input(void);

#endif
