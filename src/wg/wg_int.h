/* wg_int.h: what the files of this module share: a device, what waits to be said to it, and the two ways to
 * say it.
 *
 * life.c leads a device from one state to the next and is the only one that calls the caller back. A backend
 * (userspace.c, kernel.c) starts the device, speaks to it, and makes it go away; it answers through the
 * wg_on_… functions below, never from within the call that asked. iface.c knows interfaces and namespaces, uapi.c the
 * text that wireguard-go speaks, memo.c the file that outlives us. */
#ifndef WG_WG_INT_H
#define WG_WG_INT_H

#include "wg.h"

#include <net/if.h>
#include <stdio.h>
#include <sys/types.h>
#include <uv.h>

#define WG_PATH_TEXT 512
#define WG_POLL_MS 5    /* how often is looked whether a process has gone */
#define WG_TERM_MS 1000 /* a process that has not ended by then is killed */

/* Memory is either there or the program ends. Zeroed. */
void *wg_alloc(size_t bytes);

/* ---- the file NAME.device --------------------------------------------------------------------------- */

struct wg_memo {
    enum wg_kind kind;
    pid_t        pid;        /* 0: the kernel's */
    uint64_t     start_time; /* of the process, so that a number used again is not taken for it */
    bool         whole;      /* it was made to the end */
    char         from[33];   /* what it was made from */
    char         netns[WG_PATH_TEXT];
};

must_check struct err memo_write(const char *dir, const char *name, const struct wg_memo *m);
must_check struct err memo_read(const char *dir, const char *name,
                                struct wg_memo *out);                 /* ERR_MISSING, ERR_CORRUPT */
void                  memo_remove(const char *dir, const char *name); /* and the log */

bool                  process_is_alive(pid_t pid, uint64_t start_time);
must_check struct err process_start_time(pid_t pid, uint64_t *out);

/* ---- interfaces ----------------------------------------------------------------------------------------
 * These block, for milliseconds: they run on a thread of libuv's pool. */

struct iface {
    char     name[WG_NAME_TEXT];
    uint32_t mtu;
    char     address[WG_ADDRESS_TEXT]; /* "" for none */
    uint32_t prefix_bits;
    char     netns[WG_PATH_TEXT]; /* "" for ours */
    pid_t    watcher;             /* a wireguard-go to be told that its device is up; 0: none */
};

must_check struct err iface_create_kernel(const char *name); /* of WireGuard, in our namespace */
must_check struct err iface_raise(const struct iface *f); /* moves it, gives it MTU and address, sets it up */
must_check struct err iface_remove(const char *name, const char *netns); /* absent is well */

/* ---- what is said to a device ----------------------------------------------------------------------- */

struct wg_ask {
    struct wg_ask  *next;
    struct wg_peer *peers; /* to be set; null: it is a question */
    size_t          count;
    bool            first; /* sets the secret and the port instead */
    wg_on_done      done;
    wg_on_seen      seen;
    void           *ctx;
};

struct wg_answer {
    uint16_t        listen_port;
    struct wg_seen *peers;
    size_t          count;
    size_t          cap;
};

void answer_free(struct wg_answer *a);
/* Room for one more, zeroed; null when there are too many. */
struct wg_seen *answer_push(struct wg_answer *a);

/* The text of a set operation, in memory that the caller frees. */
struct text uapi_set_first(const struct wg_options *o);
struct text uapi_set_peers(const struct wg_peer *peers, size_t count);
/* Where the first whole answer in these bytes ends; 0: it has not come to its end. */
size_t                uapi_answer_end(struct str bytes, size_t looked_at);
must_check struct err uapi_read(struct str answer, struct wg_answer *out);

/* What `wg show NAME dump` prints. */
must_check struct err kernel_read_dump(struct str dump, struct wg_answer *out);

/* ---- handshakes begun anew (insist.c) -------------------------------------------------------------------- */

struct wg_insist {
    struct wg_insist *next;
    struct wg_peer    peer;
    uint64_t          again_ms;
    uint64_t          until_ms;
    uint64_t          wait_ms;
};

void insist_take(struct wg_device *d, const struct wg_peer *peers, size_t count); /* what was just asked for */
void insist_free(struct wg_device *d);

/* To be said once the device is ready. */
void wg_ask(struct wg_device *d, struct wg_ask like);

/* ---- a device ------------------------------------------------------------------------------------------- */

enum wg_state {
    WG_CLEARING, /* what an earlier run left half made is going */
    WG_ADOPTING, /* an earlier run's is asked whether it answers */
    WG_STARTING, /* it comes to life and is given its secret */
    WG_RAISING,  /* its interface is moved and set up */
    WG_BINDING,  /* its port is awaited */
    WG_READY,
    WG_ENDING,
    WG_STATE_COUNT
};

struct wg_backend {
    void (*start)(struct wg_device *d); /* → wg_on_started */
    void (*find)(struct wg_device *d);  /* an earlier run's, by its memo → wg_on_started */
    void (*say)(struct wg_device *d);   /* d->asked has grown → wg_on_answer, in order */
    void (*halt)(struct wg_device *d);  /* ends it; may be called again */
    bool (*is_gone)(struct wg_device *d);
    void (*let_go)(struct wg_device *d); /* closes its handles on the loop → d->handles becomes 0 */
};
extern const struct wg_backend userspace_backend, kernel_backend;

struct wg_device {
    struct net              *net;
    struct wg_options        o; /* but for its texts, which are these */
    char                     program[WG_PATH_TEXT];
    char                     dir[WG_PATH_TEXT];
    char                     name[WG_NAME_TEXT];
    char                     address[WG_ADDRESS_TEXT];
    char                     netns[WG_PATH_TEXT];
    const struct wg_backend *backend;
    const struct wg_calls   *calls;
    void                    *ctx;
    enum wg_state            state;
    bool                     leaving;
    bool                     adopted;
    bool                     closing; /* let_go was called, its handles are going */
    struct err               why;
    struct wg_memo           memo;
    struct net_timer        *timer;
    char                     from[33];
    uint64_t                 made_by_ms;
    uint64_t                 answer_by_ms;
    uint64_t                 halted_ms; /* when it was first told to end; 0: never */
    bool                     ask_port;
    uint16_t                 listen_port;

    struct wg_insist *insists;
    struct net_timer *insist_timer;
    bool              insist_reading;

    struct wg_ask *asked; /* to be said, in order, one at a time */
    struct wg_ask *held;  /* of the caller, until it is ready */

    unsigned     handles; /* of libuv's, not yet closed; and work not yet back */
    uv_pipe_t    pipe;    /* to wireguard-go */
    uv_connect_t connect;
    int          printed; /* what wg printed; -1: none */
    uv_process_t process;
    uv_work_t    work;
    struct err   work_err;
    void (*work_run)(struct wg_device *d);
    void (*work_done)(struct wg_device *d);
    bool   has_pipe, has_process, has_socket, working;
    bool   removed;  /* the kernel's interface */
    bool   speaking; /* the first of `asked` was said and awaits its answer */
    char  *in;
    size_t in_len;
    size_t in_cap;
    size_t looked_at;
};

void wg_on_started(struct wg_device *d, struct err e);
/* To the first of `asked`, which goes with it. */
void wg_on_answer(struct wg_device *d, struct err e, const struct wg_answer *a);
void wg_on_lost(struct wg_device *d, struct err why); /* it has died, or makes no sense any more */

/* These block, until it has ended (killed after WG_TERM_MS) and what is left of it is removed. */
must_check struct err userspace_end(const char *name, const struct wg_memo *m);
must_check struct err kernel_end(const char *name, const struct wg_memo *m);

/* Runs `run` on the pool, then `done` on the loop, unless the device has ended meanwhile. */
void wg_work(struct wg_device *d, void (*run)(struct wg_device *d), void (*done)(struct wg_device *d));

/* More of what came in; false: too much. */
bool wg_take_bytes(struct wg_device *d, const char *bytes, size_t count);

#endif
