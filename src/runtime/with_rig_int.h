/* with_rig_int.h: a runtime in a folder of its own for tests; its containers have the host's /usr for a root.
 * IONET_TEST_OCI=crun tries another OCI runtime than the first found. */
#ifndef RUNTIME_WITH_RIG_INT_H
#define RUNTIME_WITH_RIG_INT_H

#include "container.h"
#include "image.h"
#include "netns.h"
#include "sys/sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define RIG_MS_MAX 60000

struct rig {
    char            dir[256];
    char            run_dir[300];
    char            state_dir[300];
    char            root[300];
    char            cgroup[64];
    struct net     *net;
    struct runtime *r;
};

#define assert_ok(expression)                                                         \
    do {                                                                              \
        struct err rig_err_ = (expression);                                           \
        if (rig_err_.code) fail_msg("%s: %s", err_name(rig_err_.code), rig_err_.why); \
    } while (0)

/* Of a file of tests: a rig for all of them. */
int rig_begin(void **state);
int rig_end(void **state);

void rig_open(struct rig *rig);
void rig_name(struct rig *rig, const char *dir); /* the folders of one that another process opened */
void rig_open_runtime(struct rig *rig);
void rig_close_runtime(struct rig *rig);
void rig_close(struct rig *rig); /* a failed test leaves its nodes; they end here */

void rig_turn(struct rig *rig);
void rig_until(struct rig *rig, const bool *so); /* a test that waits too long has failed */

struct rig_answer {
    bool       done;
    struct err e;
    int        fd;
};

void rig_on_err(void *ctx, struct err e); /* into a rig_answer */

struct node_id rig_node(struct rig *rig); /* with its namespace */
void           rig_clean(struct rig *rig, struct node_id node);

/* What a container did. */
struct rig_run {
    bool                 started, ended;
    struct container_end end;
    struct container    *c;
};

extern const struct container_calls rig_calls; /* into a rig_run */

/* A shell script in a container of the host's /usr. `args` has room for three. */
struct container_spec rig_spec(struct rig *rig, struct node_id node, const char *script, const char **args);
void                  rig_start(struct rig *rig, const struct container_spec *s, struct rig_run *run);
/* Runs a script to its end, gives the end of its log; the node is still to be cleaned. */
void rig_run_script(struct rig *rig, struct node_id node, const char *script, struct rig_run *run,
                    char log[CONTAINER_LOG_END_BYTES]);

void rig_start_script(struct rig *rig, struct node_id node, const char *script, struct rig_run *run);
void rig_wait_log(struct rig *rig, struct node_id node, const char *part);

/* A process with this word in its arguments; 0 if there is none. */
pid_t rig_find_process(const char *word);

/* What a program inside said. */
struct rig_inside {
    char                   lines[8192];
    unsigned               count;
    bool                   one, two, done; /* lines; and its end */
    size_t                 longest;
    struct err             e;
    int                    code;
    char                   said[2100];
    struct container_exec *x;
    bool                   stop_at_line;
};

extern const struct container_exec_calls rig_exec_calls; /* into a rig_inside */

/* Runs a script inside. Of what `in` held only stop_at_line stays. */
void rig_exec(struct rig_run *run, const char *script, uint32_t timeout_ms, struct rig_inside *in);

#define assert_has(text, part)                                              \
    do {                                                                    \
        if (!strstr(text, part)) fail_msg("no \"%s\" in:\n%s", part, text); \
    } while (0)
#define assert_lacks(text, part)                                        \
    do {                                                                \
        if (strstr(text, part)) fail_msg("\"%s\" in:\n%s", part, text); \
    } while (0)

#endif
