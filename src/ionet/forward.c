#include "commands_int.h"
#include "service_env_int.h"
#include "ticket_int.h"

#include "sys/sys.h"

#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A ticket is good for three hours. This machine's clock may say otherwise. */
#define RENEW_MS_MIN 60000
#define RENEW_MS_MAX (MS_PER_HOUR * 3 / 2)
#define RENEW_AGAIN_MS 5000
/* A gateway that lets nobody through may have moved: the next ticket says where it is. */
#define JOIN_SLOW_MS 1500
#define RENEW_APART_MS 1000

/* A local port that leads to a service: each connection is a join of its own. */
struct forward {
    struct cli           *cli;
    struct net           *net;
    struct ticket_wish    wish;
    struct service_ticket ticket;
    struct service_env    env;
    pid_t                 program; /* 0: none runs */

    struct net_timer *renewal;
    bool              asking;
    uint64_t          asked_ms;

    /* the question for the next ticket, while it is under way */
    struct api_request request;
    char               path[API_PATH_MAX];
    char               body_room[API_BODY_MAX];
    struct text        body;
    unsigned           status;
    char               answer[8192];
    size_t             answer_len;

    struct err e;
};

struct join {
    struct forward   *forward;
    struct net_raw   *local; /* null when it has closed */
    struct net_raw   *far;   /* null before and after */
    struct net_timer *slow;
};

static void on_renew(void *ctx);

/* At once, or when the program has ended that uses it. */
static void stop(struct forward *f, struct err e)
{
    f->e = e;
    if (f->program)
        kill(f->program, SIGTERM);
    else
        net_stop(f->net);
}

/* ---- one connection ------------------------------------------------------------------------------------ */

static void on_over(void *ctx, uint64_t to_service, uint64_t from_service)
{
    (void)to_service;
    (void)from_service;
    free(ctx);
}

static void join_free(struct join *j)
{
    net_timer_stop(j->slow);
    free(j);
}

/* Those that come later may be let through by another ticket. */
static void on_trouble(struct forward *f)
{
    if (f->asking || sys_boot_now_ms() - f->asked_ms < RENEW_APART_MS) return;
    net_timer_stop(f->renewal);
    on_renew(f);
}

static void on_slow(void *ctx)
{
    struct join *j = ctx;
    j->slow        = NULL;
    on_trouble(j->forward);
}

static void on_far_open(void *ctx, struct net_raw *r)
{
    struct join *j = ctx;
    net_timer_stop(j->slow);
    net_splice(j->local, r, on_over, j);
}

static void on_far_close(void *ctx, const char *why)
{
    struct join *j = ctx;
    j->far         = NULL;
    on_trouble(j->forward);
    if (j->local) {
        fprintf(stderr, "a connection was not let through: %s\n", why);
        net_raw_close(j->local);
        return;
    }
    join_free(j);
}

static void on_local_close(void *ctx, const char *why)
{
    struct join *j = ctx;
    (void)why;
    j->local = NULL;
    if (j->far)
        net_raw_close(j->far);
    else
        join_free(j);
}

static void on_accept(void *ctx, struct net_raw *local)
{
    static const struct net_raw_calls local_calls = { .on_close = on_local_close };
    static const struct net_raw_calls far_calls   = { .on_open = on_far_open, .on_close = on_far_close };
    struct forward                   *f           = ctx;
    struct join                      *j           = malloc(sizeof *j);
    check(j != NULL);
    *j = (struct join){ .forward = f, .local = local };
    net_raw_set(local, &local_calls, j);
    net_raw_pause(local, true); /* until there is someone to hear it */
    struct err e = net_timer_start(f->net, JOIN_SLOW_MS, 0, on_slow, j, &j->slow);
    if (!e.code) e = ticket_join(f->cli, f->net, &f->wish, &f->ticket, &far_calls, j, &j->far);
    if (!e.code) return;
    fprintf(stderr, "a connection was not let through: %s\n", e.why);
    net_raw_close(local);
}

/* ---- the ticket, before it expires --------------------------------------------------------------------- */

static void renew_after(struct forward *f, uint64_t ms)
{
    struct err e = net_timer_start(f->net, ms, 0, on_renew, f, &f->renewal);
    if (e.code) stop(f, e);
}

static uint64_t half_time(const struct forward *f)
{
    int64_t left = instant_since(f->ticket.expires, sys_wall_now()).ms / 2;
    if (left > RENEW_MS_MAX) return RENEW_MS_MAX;
    return left < RENEW_MS_MIN ? RENEW_MS_MIN : (uint64_t)left;
}

static void on_head(void *ctx, unsigned status, struct str content_type)
{
    struct forward *f = ctx;
    (void)content_type;
    f->status = status;
}

static void on_body(void *ctx, struct str bytes)
{
    struct forward *f = ctx;
    if (bytes.len > sizeof f->answer - f->answer_len) return; /* what is cut off can't be read below */
    memcpy(f->answer + f->answer_len, bytes.ptr, bytes.len);
    f->answer_len += bytes.len;
}

static struct err answer_take(struct forward *f)
{
    scoped_json struct json_doc doc = { 0 };
    struct json_fault           fault;
    struct service_ticket       next;
    TRY(json_parse((struct str){ f->answer, f->answer_len }, &doc, &fault));
    TRY(ticket_read_answer(doc.root, &next));
    f->ticket = next;
    return OK;
}

/* A network that does not answer, or has too much to do, is asked again, the old ticket may do until then; a refusal
 * is the end. */
static void on_done(void *ctx, struct err e)
{
    struct forward *f = ctx;
    f->asking         = false;
    if (!e.code && f->status >= 400 && f->status < 500 && f->status != 429) {
        stop(f, api_problem(f->cli, f->status, (struct str){ f->answer, f->answer_len }));
        return;
    }
    if (!e.code) e = answer_take(f);
    renew_after(f, e.code ? RENEW_AGAIN_MS : half_time(f));
}

static void on_renew(void *ctx)
{
    static const struct net_call_calls calls = { .on_head = on_head, .on_body = on_body, .on_done = on_done };
    struct forward                    *f     = ctx;
    f->renewal                               = NULL;
    f->asking                                = true;
    f->asked_ms                              = sys_boot_now_ms();
    f->status                                = 0;
    f->answer_len                            = 0;
    struct err e = net_call(f->net, &f->request.target, STR("POST"), str_from(f->path), f->request.headers,
                            f->request.header_count, text_str(&f->body), &calls, f, NULL);
    if (!e.code) return;
    f->asking = false;
    renew_after(f, RENEW_AGAIN_MS);
}

/* ---- the command --------------------------------------------------------------------------------------- */

/* The terminal tells the program too, and that may not want to end. */
static void on_interrupt(void *ctx)
{
    struct forward *f = ctx;
    if (!f->program) net_stop(f->net);
}

static void on_terminate(void *ctx)
{
    stop(ctx, OK);
}

static void on_child(void *ctx)
{
    struct forward *f = ctx;
    int             status;
    if (!f->program || waitpid(f->program, &status, WNOHANG) != f->program) return;
    f->program             = 0;
    f->cli->program_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    net_stop(f->net);
}

static struct err program_start(struct forward *f)
{
    char            **words = f->cli->program;
    posix_spawnattr_t attributes;
    sigset_t          usual; /* what is ignored here would be there as well */
    service_env_set(&f->env);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    int rc = posix_spawnp(&f->program, words[0], NULL, &attributes, words, environ);
    posix_spawnattr_destroy(&attributes);
    if (!rc) return OK;
    f->program = 0;
    return cli_fail(f->cli, ERR_INVALID, NULL, "%s can't be run: %s", words[0], strerror(rc));
}

static void place_print(const struct forward *f, uint16_t port)
{
    if (f->cli->json) {
        char            room[SERVICE_ENV_ROOM * 2];
        struct text     t = TEXT_IN(room);
        struct json_out w = json_begin(&t);
        json_open_object(&w);
        json_key(&w, "address");
        json_str(&w, STR("127.0.0.1"));
        json_key(&w, "port");
        json_i64(&w, port);
        json_key(&w, "token");
        json_str(&w, str_from(f->ticket.token));
        json_key(&w, "env");
        json_open_object(&w);
        for (size_t i = 0; i < f->env.count; i++) {
            json_key(&w, f->env.vars[i].name);
            json_str(&w, str_from(f->env.vars[i].value));
        }
        json_close_object(&w);
        json_close_object(&w);
        print_json(text_str(&t));
        return;
    }
    if (cli_has(f->cli, "env"))
        service_env_print(&f->env, stdout);
    else
        printf("127.0.0.1:%u\n", port);
    fflush(stdout);
    fprintf(stderr, "leads to %s of %s until Ctrl-C%s\n", f->wish.service, f->wish.cluster,
            *f->ticket.token && !cli_has(f->cli, "env") ? "; it wants a token: --env prints it" : "");
}

static struct err run(struct forward *f, uint16_t port)
{
    struct net_listener *listener;
    char                 address[32];
    TRY(net_on_signal(f->net, SIGINT, on_interrupt, f));
    TRY(net_on_signal(f->net, SIGTERM, on_terminate, f));
    TRY(net_on_signal(f->net, SIGCHLD, on_child, f));
    struct err e = net_tcp_listen(f->net, "127.0.0.1", port, on_accept, f, &listener);
    if (e.code)
        return cli_fail(f->cli, e.code, "without --port any that is free is taken",
                        "port %u can't be had: another program may have it", port);
    port = net_listener_port(listener);
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    TRY(service_env_fill(&f->env, &f->ticket, address));
    if (f->cli->program)
        TRY(program_start(f));
    else
        place_print(f, port);
    renew_after(f, half_time(f));
    net_run(f->net);
    return f->e;
}

struct err command_cluster_forward(struct cli *c)
{
    static struct forward f;
    int64_t               port = 0;
    TRY(option_count(c, "port", 0, 65535, &port));
    f = (struct forward){
        .cli  = c,
        .wish = { .cluster = c->operands[0], .service = c->operands[1], .node = cli_option(c, "node") }
    };
    f.body = TEXT_IN(f.body_room);
    TRY(ticket_ask(c, &f.wish, &f.ticket));
    TRY(ticket_request_write(c, &f.wish, f.path, &f.body));
    TRY(api_request_init(c, true, &f.request));
    TRY(net_open(&f.net));
    struct err e = run(&f, (uint16_t)port);
    net_close(f.net);
    return e;
}

struct err command_cluster_open(struct cli *c)
{
    struct ticket_wish    wish = { .cluster = c->operands[0], .service = c->operands[1], .once = true };
    struct service_ticket ticket;
    TRY(ticket_ask(c, &wish, &ticket));
    const char *colon = strrchr(ticket.gateway, ':');
    printf(c->json ? "{\"url\":\"https://%s%s/?ionet-ticket=%s\"}\n" : "https://%s%s/?ionet-ticket=%s\n",
           ticket.host, colon ? colon : "", ticket.text);
    fprintf(stderr,
            "good once, within two minutes, for a browser that trusts the network's authority and\n"
            "finds %s at %s; `ionet cluster forward` needs neither\n",
            ticket.host, ticket.gateway);
    return OK;
}
