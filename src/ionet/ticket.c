#include "ticket_int.h"

#include <string.h>

#define JOIN_TIMEOUT_MS 15000 /* the gateway waits 10 s for a tunnel */

struct err ticket_request_write(struct cli *c, const struct ticket_wish *wish, char path[API_PATH_MAX],
                                struct text *body)
{
    struct json_out w = json_begin(body);
    TRY(api_path(c, "/v1/clusters/", wish->cluster, "/tickets", path));
    json_open_object(&w);
    json_key(&w, "service");
    json_str(&w, str_from(wish->service));
    if (wish->node) {
        struct id node;
        if (id_read(str_from(wish->node), &node).code)
            return cli_fail(c, ERR_INVALID, "`ionet cluster show` lists the nodes of a cluster",
                            "--node %s: that is no node's id", wish->node);
        json_key(&w, "node");
        json_str(&w, str_from(wish->node));
    }
    if (wish->once) {
        json_key(&w, "once");
        json_bool(&w, true);
    }
    json_close_object(&w);
    return body->full ? cli_fail(c, ERR_INVALID, NULL, "no service or node has so long a name") : OK;
}

struct err ticket_read_answer(struct json_value answer, struct service_ticket *out)
{
    *out = (struct service_ticket){ 0 };
    int64_t expires;
    TRY(str_copy(json_as_str(json_member(answer, "ticket")), out->text, sizeof out->text));
    TRY(str_copy(json_as_str(json_member(answer, "gateway")), out->gateway, sizeof out->gateway));
    TRY(str_copy(json_as_str(json_member(answer, "host")), out->host, sizeof out->host));
    TRY(str_copy(json_as_str(json_member(answer, "token")), out->token, sizeof out->token));
    TRY(str_copy(json_as_str(json_member(answer, "env")), out->env, sizeof out->env));
    TRY(json_as_i64(json_member(answer, "expires_ms"), &expires));
    out->expires = (struct instant){ expires };
    return *out->text && *out->gateway ? OK : ERR(CORRUPT, "the network's ticket has no gateway");
}

struct err ticket_ask(struct cli *c, const struct ticket_wish *wish, struct service_ticket *out)
{
    char                          path[API_PATH_MAX], room[API_BODY_MAX];
    struct text                   body = TEXT_IN(room);
    scoped_reply struct api_reply r    = { 0 };
    TRY(ticket_request_write(c, wish, path, &body));
    TRY(api_call(c, "POST", path, text_str(&body), &r));
    return ticket_read_answer(r.doc.root, out);
}

struct err ticket_join(struct cli *c, struct net *n, const struct ticket_wish *wish,
                       const struct service_ticket *ticket, const struct net_raw_calls *calls, void *ctx,
                       struct net_raw **out)
{
    char              host[128], path[API_PATH_MAX], bearer[SERVICE_TICKET_MAX + 8];
    struct net_pin    pin;
    struct net_target target = { .host = host, .pin = &pin, .timeout_ms = JOIN_TIMEOUT_MS };
    struct text       p = TEXT_IN(path), b = TEXT_IN(bearer);
    memcpy(pin.sha256, c->config.pin, sizeof pin.sha256);
    TRY(config_split(str_from(ticket->gateway), host, &target.port));

    api_path_add(&p, "/.ionet/join?service=", wish->service);
    if (wish->node) api_path_add(&p, "&node=", wish->node);
    text_add(&b, STR("Bearer "));
    text_add(&b, str_from(ticket->text));
    struct net_header header = { STR("authorization"), text_str(&b) };
    return net_raw_connect(n, &target, text_str(&p), STR("ionet-bytes"), &header, 1, calls, ctx, out);
}
