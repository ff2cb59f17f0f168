/* serve.c: the server, the timer, the signals. */
#include "ionetd_int.h"

#include "sys/log.h"

#include <signal.h>
#include <string.h>

static void on_request(void *ctx, struct net_request *r)
{
    struct ionetd *i = ctx;
    api_request(i->api, r);
}

static void on_refuse(void *ctx, struct net_request *r, unsigned status)
{
    (void)ctx;
    api_refuse(r, status);
}

static void on_upgrade(void *ctx, struct net_request *r)
{
    struct ionetd *i = ctx;
    if (str_eq(net_request_path(r), STR(LINK_PATH)))
        links_accept(i, r);
    else
        net_reply(r, 404, NULL, 0, STR(""));
}

/* One tick at a time: a slow disk brings no heap of them. */
static void on_tick(void *ctx)
{
    struct ionetd *i  = ctx;
    struct input   in = { .kind = INPUT_TICK };
    links_tick(i);
    if (!i->tick_waits && !ionetd_ask(i, &in, NULL).code) i->tick_waits = true;
}

/* Certificates last for months, and so may this program. */
static void on_day(void *ctx)
{
    struct ionetd *i = ctx;
    struct err     e = keys_issue(i);
    if (!e.code) e = net_server_reload(i->server);
    if (e.code) log_error("certificate.failed", LOG_ERR(e));
    gateways_certify(i);
}

/* Whoever was told something was told the truth: the turn that runs is finished first. */
static void on_stop(void *ctx)
{
    struct ionetd *i = ctx;
    log_info("stopping");
    i->stopping = true;
    if (!i->committing) net_stop(i->net);
}

static struct err ask(void *ctx, const struct input *in)
{
    return ionetd_ask(ctx, in, NULL);
}

static size_t gauges(void *ctx, struct api_gauge *room, size_t most)
{
    const struct ionetd   *i     = ctx;
    const struct api_gauge all[] = {
        { "ionet_links", "Links of workers and gateways", false, i->links.open },
        { "ionet_link_frames_total", "Frames that links sent since the start", true, i->links.frames },
        { "ionet_turns_total", "Turns since the start", true, i->turns },
        { "ionet_commits_total", "Turns that were committed since the start", true, i->commits },
        { "ionet_commit_milliseconds_total", "Time that commits took since the start", true, i->commit_ms },
        { "ionet_inputs_waiting", "Inputs that wait for their turn", false, i->queue.count },
        { "ionet_joins_total", "Connections the gateway joined since its start", true,
          i->gateway_counts.joins },
        { "ionet_joined_bytes_total", "Bytes of those", true, i->gateway_counts.joined_bytes },
        { "ionet_relayed_bytes_total", "Bytes the gateway relayed since its start", true,
          i->gateway_counts.relayed_bytes },
    };
    size_t count = countof(all) < most ? countof(all) : most;
    memcpy(room, all, count * sizeof *room);
    return count;
}

static struct err open_api(struct ionetd *i, uint16_t port)
{
    struct api_options o = {
        .network               = &i->network,
        .net                   = i->net,
        .host                  = i->config.host,
        .port                  = i->config.public_port ? (uint16_t)i->config.public_port : port,
        .pin                   = i->keys.pin,
        .domain                = i->config.domain,
        .has_operator          = i->config.has_operator,
        .operator              = i->config.operator,
        .key                   = &i->keys.sign,
        .recipes               = i->recipes,
        .recipe_count          = i->recipe_count,
        .reader                = i->reader,
        .nonces_an_address_max = (uint32_t)i->config.sign_ins_per_address,
        .requests_an_account   = (uint32_t)i->config.requests_per_account,
        .requests_an_address   = (uint32_t)i->config.requests_per_address,
        .ask                   = ask,
        .gauges                = gauges,
        .ctx                   = i,
    };
    return api_open(&o, &i->api);
}

static void log_ready(const struct ionetd *i, uint16_t port)
{
    char        room[2 * sizeof i->keys.pin.sha256];
    struct text pin = TEXT_IN(room);
    text_add_hex(&pin, i->keys.pin.sha256, sizeof i->keys.pin.sha256);
    log_info("ready", LOG_TEXT("listen", i->config.listen), LOG_I64("port", port),
             LOG_STR("pin", text_str(&pin)), LOG_I64("epoch", i->network.meta.epoch),
             LOG_I64("recipes", i->recipe_count), LOG_I64("devices", i->network.devices.live),
             LOG_I64("clusters", i->network.clusters.live));
}

/* Whoever comes before it serves waits in the kernel's queue. */
struct err ionetd_listen(struct ionetd *i)
{
    struct net_server_options o = {
        .address           = i->config.listen,
        .port              = (uint16_t)i->config.port,
        .cert_path         = i->keys.cert_path,
        .key_path          = i->keys.key_path,
        .http2             = true,
        .on_request        = on_request,
        .on_upgrade        = on_upgrade,
        .on_refuse         = on_refuse,
        .ctx               = i,
        .body_max          = API_BODY_BYTES_MAX,
        .stranger_us_per_s = (uint32_t)i->config.stranger_us_per_s,
    };
    return net_listen(i->net, &o, &i->server);
}

struct err ionetd_serve(struct ionetd *i)
{
    struct net_timer *tick = NULL, *day = NULL;
    TRY(turn_start(i));
    TRY(net_waker_open(i->net, turn_run, i, &i->turn_waker));
    TRY(net_on_signal(i->net, SIGTERM, on_stop, i));
    TRY(net_on_signal(i->net, SIGINT, on_stop, i));
    TRY(net_timer_start(i->net, NETWORK_TICK_MS, NETWORK_TICK_MS, on_tick, i, &tick));
    TRY(net_timer_start(i->net, MS_PER_DAY, MS_PER_DAY, on_day, i, &day));
    TRY(open_api(i, net_server_port(i->server)));
    log_ready(i, net_server_port(i->server));
    net_run(i->net);
    api_close(i->api);
    return i->failed ? ERR(IO, "the store refused a turn: start again") : OK;
}
