#include "commands_int.h"

#include "human_int.h"

struct err command_operator_grant(struct cli *c)
{
    struct money amount;
    struct err   e = human_usdc_read(str_from(c->operands[1]), &amount);
    if (e.code) return cli_fail(c, e.code, NULL, "%s: %s", c->operands[1], e.why);

    char            room[API_BODY_MAX];
    struct text     t = TEXT_IN(room);
    struct json_out w = json_begin(&t);
    json_open_object(&w);
    json_key(&w, "account");
    json_str(&w, str_from(c->operands[0]));
    json_key(&w, "amount_micros");
    json_i64(&w, amount.micros);
    json_close_object(&w);
    if (t.full) return ERR(LIMIT, "what was given is too long");

    scoped_reply struct api_reply r = { 0 };
    TRY(api_call(c, "POST", "/v1/grants", text_str(&t), &r));
    if (c->json) {
        print_json((struct str){ r.body, r.len });
        return OK;
    }
    char        balance_room[40];
    struct text balance = TEXT_IN(balance_room);
    human_usdc_write((struct money){ member_i64(r.doc.root, "balance_micros") }, &balance);
    printf("balance %s USDC\n", text_z(&balance));
    return OK;
}

struct err command_operator_books(struct cli *c)
{
    static const char *const lines[][2] = {
        { "outside", "outside_micros" },   { "balances", "balances_micros" }, { "escrow", "escrow_micros" },
        { "earnings", "earnings_micros" }, { "fees", "fees_micros" },         { "sum", "sum_micros" },
    };
    scoped_reply struct api_reply r = { 0 };
    TRY(api_call(c, "GET", "/v1/books", STR(""), &r));
    if (c->json) {
        print_json((struct str){ r.body, r.len });
        return OK;
    }
    for (size_t i = 0; i < countof(lines); i++) {
        char        room[40];
        struct text t = TEXT_IN(room);
        human_usdc_write((struct money){ member_i64(r.doc.root, lines[i][1]) }, &t);
        printf("%-10s %20s USDC\n", lines[i][0], text_z(&t));
    }
    printf("%-10s %13lld\n", "transfers", (long long)member_i64(r.doc.root, "transfers"));
    return OK;
}
