/* exec.c: programs run inside a container by the OCI runtime, with its user, fences and limits. */
#include "container_int.h"

#include <stdlib.h>
#include <string.h>

#define ARGS_BEFORE 16

struct container_exec {
    struct container_exec      *next;
    struct container           *c; /* null once it was stopped */
    struct runtime             *r;
    struct child               *child;
    struct container_exec_calls calls;
    void                       *ctx;
    size_t                      line_len;
    char                        line[CONTAINER_LINE_BYTES_MAX];
};

static void exec_unlink(struct container_exec *x)
{
    if (!x->c) return;
    struct container_exec **at = &x->c->execs;
    while (*at != x) at = &(*at)->next;
    *at = x->next;
    x->c->execs_count--;
    x->c = NULL;
}

static void tell_line(struct container_exec *x)
{
    struct str line = { x->line, x->line_len };
    if (line.len && line.ptr[line.len - 1] == '\r') line.len--;
    x->line_len = 0;
    if (x->c && !x->r->closing && x->calls.on_line) x->calls.on_line(x->ctx, line);
}

static void on_output(void *ctx, struct str bytes)
{
    struct container_exec *x = ctx;
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.ptr[i] == '\n') {
            tell_line(x);
            continue;
        }
        if (x->line_len == sizeof x->line) tell_line(x);
        x->line[x->line_len++] = bytes.ptr[i];
    }
}

static void on_exec_done(void *ctx, const struct child_result *result)
{
    struct container_exec *x    = ctx;
    bool                   told = x->c && !x->r->closing;
    if (x->line_len && told) tell_line(x);
    told = told && x->c; /* it may have been stopped by the line */
    exec_unlink(x);
    struct err e = result->timed_out ? ERR(TIMEOUT, "a program in the container took too long") : OK;
    if (told) x->calls.on_done(x->ctx, e, result->code, result->said);
    free(x);
}

static size_t exec_args(const struct container *c, const char *const *args, size_t args_count, const char *const *env,
                        size_t env_count, const char *state, const char *name, const char **out)
{
    const char *const before[] = { c->r->oci, "--root", state, "exec" };
    size_t            at       = 0;
    for (size_t i = 0; i < countof(before); i++) out[at++] = before[i];
    for (size_t i = 0; i < env_count; i++) {
        out[at++] = "--env";
        out[at++] = env[i];
    }
    out[at++] = name;
    for (size_t i = 0; i < args_count; i++) out[at++] = args[i];
    out[at] = NULL;
    return at;
}

struct err container_exec(struct container *c, const char *const *args, size_t args_count, const char *const *env,
                          size_t env_count, uint32_t timeout_ms, const struct container_exec_calls *calls, void *ctx,
                          struct container_exec **out)
{
    if (c->state != NODE_RUNNING) return ERR(CONFLICT, "the container does not run");
    if (c->execs_count >= CONTAINER_EXECS_MAX) return ERR(LIMIT, "too many programs run in the container");
    if (!args_count || args_count > CONTAINER_ARGS_MAX || env_count > CONTAINER_ENV_MAX)
        return ERR(LIMIT, "a program in a container has too many arguments or variables");

    char        state[RUNTIME_PATH_TEXT], name[ID_TEXT + 1];
    const char *all[ARGS_BEFORE + CONTAINER_ARGS_MAX + 2 * CONTAINER_ENV_MAX];
    path_write(state, "%s/oci", c->r->run_dir);
    node_name(c->node, name);
    exec_args(c, args, args_count, env, env_count, state, name, all);

    struct container_exec *x       = runtime_alloc(sizeof *x);
    *x                             = (struct container_exec){ .c = c, .r = c->r, .calls = *calls, .ctx = ctx };
    const struct child_order order = {
        .file       = c->r->oci,
        .args       = all,
        .timeout_ms = timeout_ms,
        .extra_fd   = -1,
        .on_output  = on_output,
        .on_kill    = process_kill_below,
        .on_done    = on_exec_done,
        .ctx        = x,
    };
    struct err e = child_start(c->r, &order, &x->child);
    if (e.code) {
        free(x);
        return e;
    }
    x->next  = c->execs;
    c->execs = x;
    c->execs_count++;
    *out = x;
    return OK;
}

void container_exec_stop(struct container_exec *x)
{
    if (!x->c) return;
    exec_unlink(x);
    child_stop(x->child);
}

void execs_stop(struct container *c)
{
    while (c->execs) container_exec_stop(c->execs);
}
