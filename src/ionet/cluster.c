#include "commands_int.h"

#include "human_int.h"
#include "sheet_int.h"

#include <string.h>

static void member_print(const char *name, struct json_value object, const char *member, FILE *to)
{
    struct str s = json_as_str(json_member(object, member));
    if (s.len) fprintf(to, "%-10s %.*s\n", name, (int)s.len, s.ptr);
}

static void nodes_print(struct json_value nodes, FILE *to)
{
    static const char *const  headings[] = { "NODE",  "ROLE",  "ADDRESS", "DEVICE",
                                             "STATE", "PHASE", "SERVED",  "CHARGED USDC" };
    scoped_sheet struct sheet s;
    sheet_init(&s, countof(headings));
    for (size_t i = 0; i < countof(headings); i++) sheet_add(&s, str_from(headings[i]));
    for (uint32_t i = 0; i < json_count(nodes); i++) {
        struct json_value n    = json_at(nodes, i);
        struct node       node = { 0 };
        struct json_fault fault;
        if (json_read_value(n, &node_type, JSON_VIEW, &node, &fault).code)
            continue; /* a newer network's kind */
        sheet_add(&s, json_as_str(json_member(n, "id")));
        sheet_add(&s, json_as_str(json_member(n, "role")));
        sheet_add(&s, json_as_str(json_member(n, "address")));
        sheet_add(&s, json_as_str(json_member(n, "device_name")));
        sheet_add(&s, node.lost ? STR("lost") : json_as_str(json_member(n, "state")));
        sheet_add(&s, node.closed.ms ? STR("-") : json_as_str(json_member(n, "phase")));
        sheet_add_duration(&s, (int64_t)node.served_ms);
        sheet_add_usdc(&s, json_is_there(json_member(n, "charged_now_micros"))
                               ? member_i64(n, "charged_now_micros")
                               : node.charged.micros);
    }
    sheet_print(&s, to);
}

/* Of a head that was lost: when, whether and when another was in its place (the node whose role it is), and what is gone. */
static void head_print(struct json_value cluster, FILE *to)
{
    char        lost_room[40];
    struct text lost    = TEXT_IN(lost_room);
    int64_t     lost_ms = member_i64(cluster, "head_lost_ms"), back_ms = member_i64(cluster, "head_back_ms");
    if (!lost_ms) return;
    human_instant_write((struct instant){ lost_ms }, &lost);
    fprintf(to, "%-10s lost %s", "head", text_z(&lost));
    if (back_ms >= lost_ms)
        fprintf(to, ", on another machine %.1f s later", (double)(back_ms - lost_ms) / 1000);
    fputc('\n', to);
    member_print("lost head", cluster, "state_lost", to);
}

static void cluster_print(struct json_value cluster, FILE *to)
{
    char        made_room[40], ends_room[40], charged_room[40], escrow_room[40];
    struct text made = TEXT_IN(made_room), ends = TEXT_IN(ends_room);
    struct text charged = TEXT_IN(charged_room), escrow = TEXT_IN(escrow_room);
    int64_t     ready = member_i64(cluster, "ready_ms"), reserved = member_i64(cluster, "reserved_ms");
    int64_t     ended = member_i64(cluster, "ended_ms");
    human_instant_write((struct instant){ reserved }, &made);
    human_instant_write((struct instant){ ended ? ended : member_i64(cluster, "ends_ms") }, &ends);
    human_usdc_write((struct money){ member_i64(cluster, "charged_now_micros") }, &charged);
    human_usdc_write((struct money){ member_i64(cluster, "escrow_micros") }, &escrow);

    member_print("cluster", cluster, "id", to);
    member_print("name", cluster, "name", to);
    member_print("recipe", cluster, "recipe", to);
    member_print("state", cluster, "state", to);
    member_print("why", cluster, "why", to);
    head_print(cluster, to);
    fprintf(to, "%-10s %s\n", "made", text_z(&made));
    if (ready) fprintf(to, "%-10s %.1f s\n", "ready in", (double)(ready - reserved) / 1000);
    fprintf(to, "%-10s %s\n", ended ? "ended" : "paid until", text_z(&ends));
    fprintf(to, "%-10s %s of %s USDC%s\n\n", "charged", text_z(&charged), text_z(&escrow),
            ended ? ", the rest was refunded" : "");
    nodes_print(json_member(cluster, "nodes"), to);

    struct json_value services = json_member(cluster, "services");
    if (json_count(services) && !ended) fputs("\nservices: ionet cluster forward CLUSTER SERVICE\n", to);
    for (uint32_t i = 0; i < json_count(services) && !ended; i++) {
        struct str name  = json_as_str(json_member(json_at(services, i), "name"));
        struct str title = json_as_str(json_member(json_at(services, i), "title"));
        fprintf(to, "  %-12.*s %.*s\n", (int)name.len, name.ptr, (int)title.len, title.ptr);
    }
    struct str log = json_as_str(json_member(cluster, "log_end"));
    if (log.len) fprintf(to, "\nthe end of its log\n%.*s\n", (int)log.len, log.ptr);
}

void settlement_print(struct json_value cluster, FILE *to)
{
    static const char *const  headings[] = { "NODE",         "DEVICE",   "SERVED MS",
                                             "CHARGED USDC", "FEE USDC", "EARNED USDC" };
    scoped_sheet struct sheet s;
    sheet_init(&s, countof(headings));
    for (size_t i = 0; i < countof(headings); i++) sheet_add(&s, str_from(headings[i]));
    struct json_value nodes = json_member(cluster, "nodes");
    for (uint32_t i = 0; i < json_count(nodes); i++) {
        struct json_value n       = json_at(nodes, i);
        int64_t           charged = member_i64(n, "charged_micros"), fee = member_i64(n, "fee_micros");
        sheet_add(&s, json_as_str(json_member(n, "id")));
        sheet_add(&s, json_as_str(json_member(n, "device_name")));
        sheet_add_i64(&s, member_i64(n, "served_ms"));
        sheet_add_usdc(&s, charged);
        sheet_add_usdc(&s, fee);
        sheet_add_usdc(&s, charged - fee);
    }
    sheet_print(&s, to);

    char        escrow_room[40], charged_room[40], refunded_room[40];
    struct text escrow = TEXT_IN(escrow_room), charged = TEXT_IN(charged_room),
                refunded = TEXT_IN(refunded_room);
    human_usdc_write((struct money){ member_i64(cluster, "escrow_micros") }, &escrow);
    human_usdc_write((struct money){ member_i64(cluster, "charged_micros") }, &charged);
    human_usdc_write((struct money){ member_i64(cluster, "refunded_micros") }, &refunded);
    fprintf(to, "escrow %s = charged %s + refunded %s\n", text_z(&escrow), text_z(&charged), text_z(&refunded));
}

/* ---- commands ------------------------------------------------------------------------------------------ */

static struct err quote_choose(struct cli *c, char id[ID_TEXT + 1])
{
    if (cli_has(c, "quote")) {
        if (cli_has(c, "recipe") || cli_has(c, "quantity") || cli_has(c, "duration"))
            return cli_fail(c, ERR_INVALID, NULL,
                            "--quote says it all: --recipe, --quantity and --duration don't go with it");
        struct id quote;
        if (id_read(str_from(cli_option(c, "quote")), &quote).code)
            return cli_fail(c, ERR_INVALID, NULL, "--quote %s: that is no quote's id", cli_option(c, "quote"));
        return str_copy(str_from(cli_option(c, "quote")), id, ID_TEXT + 1);
    }
    scoped_reply struct api_reply r = { 0 };
    TRY(quote_ask(c, &r));
    quote_print(r.doc.root, stderr);
    return str_copy(json_as_str(json_member(r.doc.root, "id")), id, ID_TEXT + 1);
}

struct err command_cluster_create(struct cli *c)
{
    char            quote[ID_TEXT + 1], room[API_BODY_MAX], id[ID_TEXT + 1];
    struct text     t = TEXT_IN(room);
    struct json_out w = json_begin(&t);
    TRY(quote_choose(c, quote));
    json_open_object(&w);
    json_key(&w, "quote");
    json_str(&w, str_from(quote));
    if (cli_has(c, "name")) {
        json_key(&w, "name");
        json_str(&w, str_from(cli_option(c, "name")));
    }
    json_close_object(&w);
    if (t.full) return cli_fail(c, ERR_INVALID, NULL, "the name is too long");

    scoped_reply struct api_reply r = { 0 };
    TRY(api_call(c, "POST", "/v1/clusters", text_str(&t), &r));
    TRY(str_copy(json_as_str(json_member(r.doc.root, "id")), id, sizeof id));
    if (!c->json) printf("cluster %s\n", id);
    fflush(stdout);
    if (cli_has(c, "wait")) return watch_cluster(c, id, WATCH_READY);
    if (c->json)
        print_json((struct str){ r.body, r.len });
    else
        fprintf(stderr, "`ionet cluster watch %s` shows how it becomes ready\n", id);
    return OK;
}

/* A cluster that lives is charged in its record when it ends, and may end before what was paid for does. */
static void as_it_stands(struct json_value item, void *record)
{
    struct cluster *k = record;
    if (json_is_there(json_member(item, "charged_now_micros")))
        k->charged.micros = member_i64(item, "charged_now_micros");
    if (k->ended.ms) k->ends = k->ended;
}

struct err command_cluster_list(struct cli *c)
{
    struct cluster cluster;
    return print_page(c, "/v1/clusters", &cluster_type, &cluster, as_it_stands,
                      "`ionet quote` asks for a price, `ionet cluster create` hires");
}

struct err command_cluster_show(struct cli *c)
{
    char                          path[API_PATH_MAX];
    scoped_reply struct api_reply r = { 0 };
    TRY(api_path(c, "/v1/clusters/", c->operands[0], "", path));
    TRY(api_call(c, "GET", path, STR(""), &r));
    if (c->json)
        print_json((struct str){ r.body, r.len });
    else
        cluster_print(r.doc.root, stdout);
    return OK;
}

struct err command_cluster_watch(struct cli *c)
{
    return watch_cluster(c, c->operands[0], cli_has(c, "ready") ? WATCH_READY : WATCH_FOREVER);
}

struct err command_cluster_extend(struct cli *c)
{
    const char     *given;
    char            path[API_PATH_MAX], room[API_BODY_MAX], until_room[40];
    struct text     t = TEXT_IN(room), until = TEXT_IN(until_room);
    struct json_out w    = json_begin(&t);
    struct span     span = { 0 };
    TRY(option_needed(c, "duration", &given));
    TRY(option_duration(c, "duration", &span));
    TRY(api_path(c, "/v1/clusters/", c->operands[0], "/extend", path));
    json_open_object(&w);
    json_key(&w, "duration_ms");
    json_i64(&w, span.ms);
    json_close_object(&w);

    scoped_reply struct api_reply r = { 0 };
    TRY(api_call(c, "POST", path, text_str(&t), &r));
    if (c->json) {
        print_json((struct str){ r.body, r.len });
        return OK;
    }
    human_instant_write((struct instant){ member_i64(r.doc.root, "ends_ms") }, &until);
    printf("paid until %s\n", text_z(&until));
    return OK;
}

struct err command_cluster_terminate(struct cli *c)
{
    char                          path[API_PATH_MAX], id[ID_TEXT + 1];
    scoped_reply struct api_reply r = { 0 };
    TRY(api_path(c, "/v1/clusters/", c->operands[0], "", path));
    TRY(api_call(c, "DELETE", path, STR(""), &r));
    TRY(str_copy(json_as_str(json_member(r.doc.root, "id")), id, sizeof id));
    if (cli_has(c, "wait")) return watch_cluster(c, id, WATCH_ENDED);
    struct str state = json_as_str(json_member(r.doc.root, "state"));
    if (c->json)
        print_json((struct str){ r.body, r.len });
    else
        printf("cluster %s is %.*s\n", id, (int)state.len, state.ptr);
    return OK;
}
