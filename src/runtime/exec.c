/* exec.c: programs run inside a container by the OCI runtime, with its user, fences and limits. */
#include "container_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct container_exec {
    struct container_exec      *next;
    struct container           *c; /* null once it was stopped */
    struct runtime             *r;
    struct child               *child;
    struct container_exec_calls calls;
    void                       *ctx;
    uint64_t                    second_ends_ms;
    unsigned                    lines; /* of this second */
    bool                        line_is_long;
    size_t                      line_len;
    char                        line[CONTAINER_LINE_BYTES_MAX];
    char                        process[RUNTIME_PATH_TEXT]; /* the file that says what is run */
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

/* A stranger's program decides how often it says something, and each line is work for us. */
static bool is_too_often(struct container_exec *x)
{
    uint64_t now_ms = sys_boot_now_ms();
    if (now_ms >= x->second_ends_ms) {
        x->second_ends_ms = now_ms + 1000;
        x->lines          = 0;
    }
    return ++x->lines > CONTAINER_LINES_PER_SECOND;
}

static void tell_line(struct container_exec *x)
{
    struct str line  = { x->line, x->line_len };
    bool       whole = !x->line_is_long;
    if (line.len && line.ptr[line.len - 1] == '\r') line.len--;
    x->line_len     = 0;
    x->line_is_long = false;
    if (is_too_often(x) || !whole) return;
    if (x->c && !x->r->closing && x->calls.on_line) x->calls.on_line(x->ctx, line);
}

static void take_part(struct container_exec *x, struct str part)
{
    x->line_is_long = x->line_is_long || part.len > sizeof x->line - x->line_len;
    if (x->line_is_long) return;
    memcpy(x->line + x->line_len, part.ptr, part.len);
    x->line_len += part.len;
}

static void on_output(void *ctx, struct str bytes)
{
    struct container_exec *x = ctx;
    struct str             part;
    bool                   ends;
    do {
        ends = str_split(bytes, '\n', &part, &bytes);
        take_part(x, part);
        if (ends) tell_line(x);
    } while (ends);
}

static void on_exec_done(void *ctx, const struct child_result *result)
{
    struct container_exec *x    = ctx;
    bool                   told = x->c && !x->r->closing;
    if (x->line_len && told) tell_line(x);
    told = told && x->c; /* it may have been stopped by the line */
    exec_unlink(x);
    unlink(x->process);
    struct err e = result->timed_out ? ERR(TIMEOUT, "a program in the container took too long") : OK;
    if (told) x->calls.on_done(x->ctx, e, result->code, result->said);
    free(x);
}

/* The process of the container's bundle with other arguments and more variables, written out in full: what an OCI
 * runtime adds of its own to a program that is run later, user, folder and variables, differs from one to the next. */
static struct err write_process(struct container_exec *x, const char *const *args, size_t args_count,
                                const char *const *env, size_t env_count)
{
    char path[RUNTIME_PATH_TEXT];
    node_path(x->r, x->c->node, "config.json", path);
    scoped_json json_t *config    = json_load_file(path, 0, NULL);
    scoped_json json_t *arguments = bundle_strings(args, args_count), *more = bundle_strings(env, env_count);
    json_t             *process = json_object_get(config, "process");
    if (!process) return ERR(IO, "a container's bundle can't be read");
    if (!arguments || !more) return ERR(INVALID, "a program's arguments or variables are not text");
    check(json_object_set(process, "args", arguments) == 0);
    check(json_array_extend(json_object_get(process, "env"), more) == 0);

    char *text = json_dumps(process, JSON_COMPACT);
    check(text != NULL);
    struct err e = sys_write_file(x->process, str_from(text), 0600); /* the variables hold secrets */
    free(text);
    return e;
}

static struct err exec_start(struct container_exec *x, uint32_t timeout_ms)
{
    char state[RUNTIME_PATH_TEXT], name[ID_TEXT + 1];
    path_write(state, "%s/oci", x->r->run_dir);
    node_name(x->c->node, name);
    const char *const args[] = { x->r->oci, "--root", state, "exec", "--process", x->process, name, NULL };
    const struct child_order order = {
        .file       = x->r->oci,
        .args       = args,
        .timeout_ms = timeout_ms,
        .extra_fd   = -1,
        .on_output  = on_output,
        .on_kill    = process_kill_below,
        .on_done    = on_exec_done,
        .ctx        = x,
    };
    return child_start(x->r, &order, &x->child);
}

struct err container_exec(struct container *c, const char *const *args, size_t args_count,
                          const char *const *env, size_t env_count, uint32_t timeout_ms,
                          const struct container_exec_calls *calls, void *ctx, struct container_exec **out)
{
    if (c->state != NODE_RUNNING) return ERR(CONFLICT, "the container does not run");
    if (c->execs_count >= CONTAINER_EXECS_MAX) return ERR(LIMIT, "too many programs run in the container");
    if (!args_count || args_count > CONTAINER_ARGS_MAX || env_count > CONTAINER_ENV_MAX)
        return ERR(LIMIT, "a program in a container has too many arguments or variables");

    struct container_exec *x = runtime_alloc(sizeof *x);
    *x                       = (struct container_exec){ .c = c, .r = c->r, .calls = *calls, .ctx = ctx };
    char file[32];
    snprintf(file, sizeof file, "exec-%u.json", c->r->execs_begun++);
    node_path(c->r, c->node, file, x->process);
    struct err e = write_process(x, args, args_count, env, env_count);
    if (!e.code) e = exec_start(x, timeout_ms);
    if (e.code) {
        unlink(x->process);
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
