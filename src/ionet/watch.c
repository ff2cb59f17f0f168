#include "commands_int.h"
#include "terminal_int.h"

#include "human_int.h"

#include <string.h>
#include <unistd.h>

/* What entering each phase means, in the order in which they come. */
struct phase {
    const char *name;
    const char *member; /* when it was entered */
    const char *doc;
};

static const struct phase phases[] = {
    { "reserved", "reserved_ms", "the devices are ours" },
    { "images", "images_ms", "every device was told" },
    { "mesh", "mesh_ms", "all have the image" },
    { "starting", "starting_ms", "all are in the mesh" },
    { "checking", "checking_ms", "all containers run" },
    { "ready", "ready_ms", "its own check sees all alive" },
};

struct watch {
    struct cli      *cli;
    enum watch_until until;
    bool             tty;
    size_t           said;    /* phases */
    int64_t          base_ms; /* when it was reserved, by the network's clock */
    int64_t          hurt_ms; /* the last loss that was told of */
    int64_t          healed_ms;
    int64_t          head_lost_ms, head_back_ms;
    char             why[160]; /* what it waits for, as was last told */
    int64_t          last_ms;  /* the network's moment that the line drawn anew counts from */
    unsigned         ticks;    /* of 100 ms since then */
    char             state[32];
    bool             is_over;
};

static double seconds(int64_t ms)
{
    return (double)ms / 1000;
}

static void line_clear(const struct watch *w)
{
    if (w->tty) terminal_line_clear();
}

static void line_say(const struct watch *w, int64_t at_ms, const char *name, const char *doc)
{
    line_clear(w);
    fprintf(stderr, "%+7.1f s  %-9s %s\n", seconds(at_ms - w->base_ms), name, doc);
}

static void phases_say(struct watch *w, struct json_value cluster)
{
    for (; w->said < countof(phases); w->said++) {
        int64_t at = member_i64(cluster, phases[w->said].member);
        if (!at) return;
        if (!w->said) w->base_ms = at;
        line_say(w, at, phases[w->said].name, phases[w->said].doc);
        w->last_ms = at;
        w->ticks   = 0;
    }
}

/* Where the head that lives is. */
static struct str head_device(struct json_value cluster)
{
    struct json_value nodes  = json_member(cluster, "nodes");
    struct str        device = STR("");
    for (uint32_t i = 0; i < json_count(nodes); i++) {
        struct json_value n = json_at(nodes, i);
        if (str_eq(json_as_str(json_member(n, "role")), STR("head")) && !member_i64(n, "closed_ms"))
            device = json_as_str(json_member(n, "device_name"));
    }
    return device;
}

/* When it was lost, and with what; when it was back, and where. */
static void head_say(struct watch *w, struct json_value cluster)
{
    char       doc[128];
    int64_t    lost = member_i64(cluster, "head_lost_ms"), back = member_i64(cluster, "head_back_ms");
    struct str with = json_as_str(json_member(cluster, "state_lost"));
    if (lost && lost != w->head_lost_ms) {
        line_say(w, lost, "lost", "the head; what it kept is restored, but not this:");
        fprintf(stderr, "                     %.*s\n", (int)with.len, with.ptr);
        w->head_lost_ms = lost;
    }
    if (back && back != w->head_back_ms && back >= lost) {
        struct str name = head_device(cluster);
        snprintf(doc, sizeof doc, "the head is back after %.1f s, on %.*s", seconds(back - lost), (int)name.len,
                 name.ptr);
        line_say(w, back, "healing", doc);
        w->head_back_ms = back;
    }
}

/* What keeps it from healing, when that changes. */
static void why_say(struct watch *w, struct json_value cluster, int64_t at_ms)
{
    char why[sizeof w->why];
    if (str_copy(json_as_str(json_member(cluster, "why")), why, sizeof why).code) return;
    if (why[0] && strcmp(why, w->why) != 0 && !strcmp(w->state, "healing")) line_say(w, at_ms, "healing", why);
    memcpy(w->why, why, sizeof why);
}

static void losses_say(struct watch *w, struct json_value cluster)
{
    int64_t hurt = member_i64(cluster, "hurt_ms"), healed = member_i64(cluster, "healed_ms");
    head_say(w, cluster);
    why_say(w, cluster, hurt);
    if (hurt && hurt != w->hurt_ms) {
        if (hurt != member_i64(cluster, "head_lost_ms"))
            line_say(w, hurt, "healing", "a node was lost; another takes its place");
        w->hurt_ms = w->last_ms = hurt;
        w->ticks                = 0;
    }
    if (healed && healed != w->healed_ms && healed >= hurt) {
        char doc[64];
        snprintf(doc, sizeof doc, "healed in %.1f s", seconds(healed - hurt));
        line_say(w, healed, "ready", doc);
        w->healed_ms = healed;
    }
}

static struct err failure(struct watch *w, struct json_value cluster)
{
    struct str why = json_as_str(json_member(cluster, "why"));
    struct str log = json_as_str(json_member(cluster, "log_end"));
    if (log.len) fprintf(stderr, "the end of its log:\n%.*s\n", (int)log.len, log.ptr);
    return cli_fail(w->cli, ERR_IO, "what was not served was refunded", "the cluster has ended: %.*s",
                    (int)why.len, why.ptr);
}

/* The end, as the one who waits for `until` sees it. */
static struct err conclude(struct watch *w, struct json_value cluster, struct str text)
{
    bool failed = !strcmp(w->state, "failed");
    w->is_over  = true;
    line_clear(w);
    if (w->cli->json && w->until != WATCH_FOREVER) print_json(text);
    if (w->until == WATCH_READY && (failed || !strcmp(w->state, "ended") || !strcmp(w->state, "ending")))
        return failure(w, cluster);
    if (w->until == WATCH_READY) {
        if (!w->cli->json) printf("ready in %.1f s\n", seconds(member_i64(cluster, "ready_ms") - w->base_ms));
        return OK;
    }
    if (!w->cli->json) settlement_print(cluster, stdout);
    return failed && w->until == WATCH_FOREVER ? failure(w, cluster) : OK;
}

static struct err on_event(void *ctx, struct json_value cluster, struct str text, bool *enough)
{
    struct watch *w     = ctx;
    struct str    state = json_as_str(json_member(cluster, "state"));
    TRY(str_copy(state, w->state, sizeof w->state));
    if (w->cli->json && w->until == WATCH_FOREVER)
        print_json(text);
    else {
        phases_say(w, cluster);
        if (w->until != WATCH_ENDED) losses_say(w, cluster);
    }
    bool ended = !strcmp(w->state, "ended") || !strcmp(w->state, "failed");
    bool ready = !strcmp(w->state, "ready");
    bool never = !strcmp(w->state, "ending") && !member_i64(cluster, "ready_ms");
    *enough    = ended || (w->until == WATCH_READY && (ready || (never && !w->cli->json)));
    if (!*enough) return OK;
    return conclude(w, cluster, text);
}

static void on_tick(void *ctx)
{
    struct watch *w = ctx;
    w->ticks++;
    if (!w->tty || w->is_over || !w->base_ms || (w->cli->json && w->until == WATCH_FOREVER)) return;
    if (!strcmp(w->state, "ready")) return;
    int64_t now = w->last_ms + (int64_t)w->ticks * 100;
    terminal_line_clear();
    fprintf(stderr, "%+7.1f s  %s …", seconds(now - w->base_ms), w->state);
}

static void on_lost(void *ctx, const char *why)
{
    struct watch *w = ctx;
    line_clear(w);
    fprintf(stderr, "the network can't be reached (%s); the cluster goes on, trying again\n", why);
}

static const struct api_stream_calls watch_calls = { .on_event = on_event,
                                                     .on_tick  = on_tick,
                                                     .on_lost  = on_lost };

struct err watch_cluster(struct cli *c, const char *name, enum watch_until until)
{
    char         path[API_PATH_MAX];
    struct watch w = { .cli = c, .until = until, .tty = isatty(STDERR_FILENO) };
    if (until == WATCH_ENDED) w.said = countof(phases); /* how it came to be is known */
    TRY(api_path(c, "/v1/clusters/", name, "/events", path));
    struct err e = api_stream(c, path, &watch_calls, &w);
    line_clear(&w);
    if (e.code || w.is_over) return e;
    c->interrupted = true;
    if (until == WATCH_READY)
        fprintf(stderr, "no longer watching; the cluster goes on: `ionet cluster terminate %s` ends it\n",
                name);
    return OK;
}
