#include "commands_int.h"

#include "human_int.h"
#include "sheet_int.h"

void print_json(struct str json)
{
    json = str_trim(json);
    printf("%.*s\n", (int)json.len, json.ptr);
    fflush(stdout);
}

struct err page_ask(struct cli *c, const char *path, struct api_reply *out)
{
    char        room[API_PATH_MAX];
    struct text t     = TEXT_IN(room);
    int64_t     limit = 50;
    TRY(option_count(c, "limit", 1, 200, &limit));
    text_add(&t, str_from(path));
    text_add(&t, STR("?limit="));
    text_add_i64(&t, limit);
    if (cli_has(c, "cursor")) api_path_add(&t, "&cursor=", cli_option(c, "cursor"));
    text_z(&t);
    if (t.full) return cli_fail(c, ERR_INVALID, NULL, "--cursor: no page has so long a mark");
    return api_call(c, "GET", room, STR(""), out);
}

void page_say_more(const struct api_reply *r)
{
    struct str next = json_as_str(json_member(r->doc.root, "next"));
    if (next.len) fprintf(stderr, "there are more: --cursor %.*s\n", (int)next.len, next.ptr);
}

struct err print_page(struct cli *c, const char *path, const struct record_type *type, void *record,
                      sheet_amend *amend, const char *none)
{
    scoped_reply struct api_reply r = { 0 };
    TRY(page_ask(c, path, &r));
    if (c->json) {
        print_json((struct str){ r.body, r.len });
        return OK;
    }
    struct json_value items = json_member(r.doc.root, "items");
    TRY(sheet_items(items, type, record, amend, stdout));
    if (!json_count(items) && !cli_has(c, "cursor")) fprintf(stderr, "none yet: %s\n", none);
    page_say_more(&r);
    return OK;
}

struct err option_duration(struct cli *c, const char *name, struct span *out)
{
    if (!cli_has(c, name)) return OK;
    struct err e = human_duration_read(str_from(cli_option(c, name)), out);
    return e.code ? cli_fail(c, e.code, NULL, "--%s %s: %s", name, cli_option(c, name), e.why) : OK;
}

struct err option_usdc(struct cli *c, const char *name, struct money *out)
{
    if (!cli_has(c, name)) return OK;
    struct err e = human_usdc_read(str_from(cli_option(c, name)), out);
    return e.code ? cli_fail(c, e.code, NULL, "--%s %s: %s", name, cli_option(c, name), e.why) : OK;
}

struct err option_count(struct cli *c, const char *name, int64_t least, int64_t most, int64_t *out)
{
    if (!cli_has(c, name)) return OK;
    uint64_t   n;
    struct err e = str_to_u64(str_from(cli_option(c, name)), &n);
    if (e.code || n < (uint64_t)least || n > (uint64_t)most)
        return cli_fail(c, ERR_INVALID, NULL, "--%s %s: a whole number from %lld to %lld is needed", name,
                        cli_option(c, name), (long long)least, (long long)most);
    *out = (int64_t)n;
    return OK;
}

struct err option_needed(struct cli *c, const char *name, const char **out)
{
    *out = cli_option(c, name);
    if (*out) return OK;
    return cli_fail(c, ERR_INVALID, NULL, "--%s is needed; `ionet %s --help` says more", name,
                    c->command->path);
}

int64_t member_i64(struct json_value object, const char *name)
{
    int64_t n;
    return json_as_i64(json_member(object, name), &n).code ? 0 : n;
}
