#include "commands_int.h"

#include "human_int.h"
#include "sheet_int.h"

#include "codec/codec.h"
#include "ledger/ledger.h"
#include "market/market.h"

static void line_usdc(const char *name, struct json_value object, const char *member)
{
    char        room[40];
    struct text t = TEXT_IN(room);
    human_usdc_write((struct money){ member_i64(object, member) }, &t);
    printf("%-10s %s USDC\n", name, text_z(&t));
}

static void line_str(const char *name, struct str value)
{
    if (value.len) printf("%-10s %.*s\n", name, (int)value.len, value.ptr);
}

struct err command_account_show(struct cli *c)
{
    scoped_reply struct api_reply r = { 0 };
    TRY(api_call(c, "GET", "/v1/account", STR(""), &r));
    if (c->json) {
        print_json((struct str){ r.body, r.len });
        return OK;
    }
    uint8_t     wallet[32];
    char        room[BASE58_KEY_TEXT_MAX + 1];
    struct text t = TEXT_IN(room);
    line_str("account", json_as_str(json_member(r.doc.root, "id")));
    if (!hex_read(json_as_str(json_member(r.doc.root, "public_key")), wallet, sizeof wallet).code) {
        base58_write(wallet, sizeof wallet, &t);
        line_str("wallet", text_str(&t));
    }
    line_usdc("balance", r.doc.root, "balance_micros");
    line_usdc("earnings", r.doc.root, "earnings_micros");
    return OK;
}

struct err command_account_transfers(struct cli *c)
{
    scoped_reply struct api_reply r = { 0 };
    TRY(page_ask(c, "/v1/account/transfers", &r));
    if (c->json) {
        print_json((struct str){ r.body, r.len });
        return OK;
    }
    static const char *const  headings[] = { "NUMBER", "AT", "CAUSE", "OF", "BOOK", "CHANGE USDC" };
    scoped_sheet struct sheet s;
    sheet_init(&s, countof(headings));
    for (size_t i = 0; i < countof(headings); i++) sheet_add(&s, str_from(headings[i]));
    struct json_value items = json_member(r.doc.root, "items");
    for (uint32_t i = 0; i < json_count(items); i++) {
        struct json_value x = json_at(items, i);
        sheet_add_i64(&s, member_i64(x, "number"));
        sheet_add_instant(&s, member_i64(x, "at_ms"));
        sheet_add(&s, json_as_str(json_member(x, "cause")));
        sheet_add(&s, json_as_str(json_member(x, "subject")));
        sheet_add(&s, json_as_str(json_member(x, "book")));
        sheet_add_usdc(&s, member_i64(x, "change_micros"));
    }
    sheet_print(&s, stdout);
    page_say_more(&r);
    return OK;
}

/* ---- recipes and quotes --------------------------------------------------------------------------------- */

struct err command_recipe_list(struct cli *c)
{
    struct recipe_facts facts;
    return print_page(c, "/v1/recipes", &recipe_facts_type, &facts, NULL, "the network's operator adds them");
}

struct err command_recipe_show(struct cli *c)
{
    char                          path[API_PATH_MAX];
    scoped_reply struct api_reply r     = { 0 };
    struct recipe_facts           facts = { 0 };
    struct json_fault             fault;
    TRY(api_path(c, "/v1/recipes/", c->operands[0], "", path));
    TRY(api_call(c, "GET", path, STR(""), &r));
    if (c->json) {
        print_json((struct str){ r.body, r.len });
        return OK;
    }
    TRY(json_read_value(r.doc.root, &recipe_facts_type, JSON_VIEW, &facts, &fault));
    sheet_record(&recipe_facts_type, &facts, stdout);
    struct str about = json_as_str(json_member(r.doc.root, "about"));
    if (about.len) printf("\n%.*s\n", (int)about.len, about.ptr);

    struct json_value services = json_member(r.doc.root, "services");
    if (json_count(services)) puts("\nservices");
    for (uint32_t i = 0; i < json_count(services); i++) {
        struct str name  = json_as_str(json_member(json_at(services, i), "name"));
        struct str title = json_as_str(json_member(json_at(services, i), "title"));
        printf("  %-12.*s %.*s\n", (int)name.len, name.ptr, (int)title.len, title.ptr);
    }
    return OK;
}

struct err quote_ask(struct cli *c, struct api_reply *out)
{
    const char *recipe, *quantity, *duration;
    struct span span  = { 0 };
    int64_t     count = 0;
    TRY(option_needed(c, "recipe", &recipe));
    TRY(option_needed(c, "quantity", &quantity));
    TRY(option_needed(c, "duration", &duration));
    TRY(option_count(c, "quantity", 1, QUANTITY_MAX, &count));
    TRY(option_duration(c, "duration", &span));

    char            room[API_BODY_MAX];
    struct text     t = TEXT_IN(room);
    struct json_out w = json_begin(&t);
    json_open_object(&w);
    json_key(&w, "recipe");
    json_str(&w, str_from(recipe));
    json_key(&w, "quantity");
    json_i64(&w, count);
    json_key(&w, "duration_ms");
    json_i64(&w, span.ms);
    json_close_object(&w);
    if (t.full) return ERR(LIMIT, "what was given is too long");
    return api_call(c, "POST", "/v1/quotes", text_str(&t), out);
}

void quote_print(struct json_value quote, FILE *to)
{
    char        price_room[40], total_room[40], span_room[40];
    struct text price = TEXT_IN(price_room), total = TEXT_IN(total_room), span = TEXT_IN(span_room);
    struct str  id = json_as_str(json_member(quote, "id")), recipe = json_as_str(json_member(quote, "recipe"));
    struct str  unit     = json_as_str(json_member(quote, "unit"));
    long long   quantity = (long long)member_i64(quote, "quantity");
    human_usdc_write((struct money){ member_i64(quote, "price_micros_per_hour") }, &price);
    human_usdc_write((struct money){ member_i64(quote, "total_micros") }, &total);
    human_duration_write((struct span){ member_i64(quote, "duration_ms") }, &span);
    fprintf(to,
            "quote %.*s: %.*s on %lld %.*s%s for %s at %s USDC an hour each: at most %s USDC, by the time "
            "served\n",
            (int)id.len, id.ptr, (int)recipe.len, recipe.ptr, quantity, (int)unit.len, unit.ptr,
            quantity == 1 ? "" : "s", text_z(&span), text_z(&price), text_z(&total));
}

struct err command_quote(struct cli *c)
{
    scoped_reply struct api_reply r = { 0 };
    TRY(quote_ask(c, &r));
    if (c->json) {
        print_json((struct str){ r.body, r.len });
        return OK;
    }
    quote_print(r.doc.root, stdout);
    struct str id = json_as_str(json_member(r.doc.root, "id"));
    printf("it holds for 5 minutes: ionet cluster create --quote %.*s\n", (int)id.len, id.ptr);
    return OK;
}
