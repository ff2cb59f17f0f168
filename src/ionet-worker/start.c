/* A node's container, from its recipe and its assignment; and in it the witness, and who copies the head's state. */
#include "site.h"

#include "recipe/secret.h"
#include "sys/log.h"
#include "sys/sys.h"

#include <stdio.h>
#include <string.h>

#define START_ARENA_BYTES 65536
#define START_FILES_MAX 20000
#define START_OUT_TEXT 1024 /* variables of a way out */
#define START_MIB ((uint64_t)1 << 20)
#define START_LINE_LEAST_MS 100 /* a line of a witness sooner than this after the one before is not heard */

/* What a recipe's words stand for on this node. */
struct words {
    char               address[MESH_ADDRESS_TEXT], head[MESH_ADDRESS_TEXT], standby[MESH_ADDRESS_TEXT];
    char               cluster[ID_TEXT];
    char               secrets[RECIPE_SECRETS_MAX][RECIPE_SECRET_TEXT];
    char               room[START_ARENA_BYTES];
    struct recipe_vars vars;
    struct arena       arena;
    struct recipe_run  run;
};

static struct err words_make(const struct node *n, struct words *w)
{
    const struct assignment *a  = node_assignment(n);
    struct text              id = TEXT_IN(w->cluster);
    mesh_address(a->index, w->address);
    mesh_address(a->head_index, w->head);
    w->standby[0] = 0;
    if (a->restores) mesh_address(a->restores, w->standby);
    id_write(a->cluster.id, &id);
    w->vars = (struct recipe_vars){ .address      = str_from(w->address),
                                    .head         = str_from(w->head),
                                    .cluster      = text_str(&id),
                                    .standby      = str_from(w->standby),
                                    .index        = a->index,
                                    .nodes        = a->nodes,
                                    .cpus_milli   = a->cpus_milli,
                                    .gpus         = a->gpus_count,
                                    .memory_bytes = a->memory_bytes };
    for (unsigned i = 0; i < n->recipe->secrets_count; i++) {
        struct text secret = TEXT_IN(w->secrets[i]);
        recipe_secret(a->secret, str_from(n->recipe->secrets[i]), &secret);
        w->vars.secrets[i] = text_str(&secret);
    }
    w->arena = ARENA_IN(w->room, sizeof w->room);
    return recipe_expand(n->recipe, a->role == NODE_HEAD ? RECIPE_HEAD : RECIPE_WORKER, &w->vars, &w->arena,
                         &w->run);
}

static size_t length_of(const char *const *list)
{
    size_t count = 0;
    while (list && list[count]) count++;
    return count;
}

static size_t mounts_make(const struct recipe *r, struct container_mount *mounts)
{
    size_t count = 0;
    for (unsigned i = 0; i < r->tmpfs_count && count < CONTAINER_MOUNTS_MAX; i++) {
        const struct recipe_tmpfs *t = &r->tmpfs[i];
        mounts[count++]              = (struct container_mount){ .kind   = CONTAINER_TMPFS,
                                                                 .target = t->path,
                                                                 .bytes  = t->size_mib * START_MIB,
                                                                 .mode   = t->mode,
                                                                 .exec   = t->exec,
                                                                 .owned  = t->owner == RECIPE_OWNER_USER };
    }
    return count;
}

static struct err start(struct node *n, struct words *w)
{
    const struct assignment *a = node_assignment(n);
    const struct recipe     *r = n->recipe;
    struct container_mount   mounts[CONTAINER_MOUNTS_MAX];
    uint32_t                 gpus[ASSIGN_GPUS_MAX];
    char                     root[RUNTIME_PATH_TEXT], hostname[32], hosts[64], out[START_OUT_TEXT];
    const char              *env[CONTAINER_ENV_MAX];
    struct text              more = TEXT_IN(out);
    TRY(image_root(n->site->runtime, a->image, root));
    TRY(words_make(n, w));
    snprintf(hostname, sizeof hostname, "node-%u", a->index);
    snprintf(hosts, sizeof hosts, "%s %s\n", w->address, hostname);
    for (uint32_t i = 0; i < a->gpus_count; i++) gpus[i] = a->gpus[i].index;

    struct container_spec spec = {
        .node          = a->node,
        .incarnation   = a->incarnation,
        .root          = root,
        .hostname      = hostname,
        .hosts         = hosts,
        .args          = w->run.argv,
        .args_count    = length_of(w->run.argv),
        .env           = env,
        .env_count     = node_out_env(n, w->run.env, env, &more),
        .cwd           = r->user.home,
        .uid           = r->user.uid,
        .mounts        = mounts,
        .mounts_count  = mounts_make(r, mounts),
        .memory_bytes  = a->memory_bytes,
        .cpus_milli    = a->cpus_milli,
        .processes_max = (uint32_t)n->site->config.processes_max,
        .files_max     = START_FILES_MAX,
        .shm_bytes     = recipe_shm_bytes(r, a->memory_bytes),
        .gpus          = gpus,
        .gpus_count    = a->gpus_count,
    };
    return container_start(n->site->runtime, &spec, &node_container_calls, n, &n->container);
}

void node_start(struct node *n)
{
    node_let_out(n, true);
}

void node_start_let_out(struct node *n, struct err e)
{
    static struct words w;
    if (!e.code) e = start(n, &w);
    explicit_bzero(&w, sizeof w);
    if (!e.code) return;
    n->container = NULL;
    log_warn("node.start", LOG_ID("node", n->ref.node), LOG_ERR(e));
    site_tell(n->site, IN_CONTAINER, n->ref, e);
}

/* ---- the witness ------------------------------------------------------------------------------------- */

_Static_assert(WORKER_LINE_BYTES_MAX <= CONTAINER_LINE_BYTES_MAX, "a witness's longest line is told whole");

/* A tenant can reach the witness's pipe. However much is written there, it takes neither our time nor our link. */
static void on_line(void *ctx, struct str line)
{
    struct node        *n   = ctx;
    struct worker_input in  = { .kind = IN_LINE, .ref = n->ref, .text = line };
    uint64_t            now = sys_boot_now_ms();
    if (now < n->line_ms + START_LINE_LEAST_MS) return;
    n->line_ms = now;
    site_step(n->site, &in);
}

static void on_witness_done(void *ctx, struct err e, int code, struct str said)
{
    struct node *n = ctx;
    n->witness     = NULL;
    log_warn("witness.ended", LOG_ID("node", n->ref.node), LOG_I64("code", code),
             LOG_STR("said", e.code ? str_from(e.why) : said));
    site_tell(n->site, IN_WITNESS, n->ref, OK);
}

void node_start_witness(struct node *n)
{
    static const struct container_exec_calls calls = { on_line, on_witness_done };
    static struct words                      w;
    if (!n->container_runs || n->witness) return;
    struct err e = words_make(n, &w);
    if (!e.code && !w.run.witness_argv) e = ERR(INVALID, "the recipe has no witness for this role");
    if (!e.code)
        e = container_exec(n->container, w.run.witness_argv, length_of(w.run.witness_argv), NULL, 0, 0, &calls,
                           n, &n->witness);
    explicit_bzero(&w, sizeof w);
    if (e.code) on_witness_done(n, e, 0, STR(""));
}

void node_stop_witness(struct node *n)
{
    if (n->witness) container_exec_stop(n->witness);
    n->witness = NULL;
}

/* ---- who copies the head's state --------------------------------------------------------------------- */

/* A tenant's as well: see on_line. */
static void on_copy_line(void *ctx, struct str line)
{
    struct node        *n   = ctx;
    struct worker_input in  = { .kind = IN_COPY_LINE, .ref = n->ref, .text = line };
    uint64_t            now = sys_boot_now_ms();
    if (now < n->copy_line_ms + START_LINE_LEAST_MS) return;
    n->copy_line_ms = now;
    site_step(n->site, &in);
}

static void on_copy_done(void *ctx, struct err e, int code, struct str said)
{
    struct node *n = ctx;
    n->copy        = NULL;
    log_warn("copy.ended", LOG_ID("node", n->ref.node), LOG_I64("code", code),
             LOG_STR("said", e.code ? str_from(e.why) : said));
    site_tell(n->site, IN_COPY, n->ref, OK);
}

void node_start_copy(struct node *n)
{
    static const struct container_exec_calls calls = { on_copy_line, on_copy_done };
    static struct words                      w;
    if (!n->container_runs || n->copy) return;
    struct err e = words_make(n, &w);
    if (!e.code && !w.run.copy_argv) e = ERR(INVALID, "the recipe keeps no state");
    if (!e.code)
        e = container_exec(n->container, w.run.copy_argv, length_of(w.run.copy_argv), NULL, 0, 0, &calls, n,
                           &n->copy);
    explicit_bzero(&w, sizeof w);
    if (e.code)
        on_copy_done(n, e, 0, STR(""));
    else
        log_info("copy.begins", LOG_ID("node", n->ref.node));
}

void node_stop_copy(struct node *n)
{
    if (n->copy) container_exec_stop(n->copy);
    n->copy = NULL;
}
