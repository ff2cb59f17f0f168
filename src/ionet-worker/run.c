/* One run of the worker: from its state folder to its last saved state. */
#include "site.h"

#include "sys/log.h"
#include "sys/secret.h"
#include "sys/sys.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

void site_runtime_options(const struct config *c, struct runtime_options *out)
{
    *out = (struct runtime_options){ .state_dir        = c->state_dir,
                                     .run_dir          = c->run_dir,
                                     .cgroup           = c->cgroup,
                                     .oci              = c->oci[0] ? c->oci : NULL,
                                     .wireguard_go     = c->wireguard_go,
                                     .plain_registries = c->plain_registries == 1,
                                     .image_bytes_max  = c->image_gib_max << 30,
                                     .disk_bytes_spare = c->disk_gib_spare << 30,
                                     .uid_base         = (uint32_t)c->uid_base };
}

static void on_signal(void *ctx)
{
    site_stop(ctx);
}

static void on_patience_over(void *ctx)
{
    struct site *s = ctx;
    s->result      = ERR(TIMEOUT, "some nodes would not go");
    site_stop(s);
}

/* A supplier may keep a part of the machine for himself, and his network. */
static void lend_at_most(struct device_specs *specs, const struct config *c)
{
    uint64_t bytes = c->lend_memory_mib << 20;
    specs->egress  = c->egress_mbit > 0;
    if (c->lend_cpus && c->lend_cpus < specs->cpus) specs->cpus = (uint32_t)c->lend_cpus;
    if (bytes && bytes < specs->memory_bytes) specs->memory_bytes = bytes;
}

static struct err begin(struct site *s)
{
    struct runtime_options options;
    struct net_timer      *patience;
    site_runtime_options(&s->config, &options);
    TRY(net_open(&s->net));
    TRY(net_on_signal(s->net, SIGTERM, on_signal, s));
    TRY(net_on_signal(s->net, SIGINT, on_signal, s));
    TRY(runtime_open(s->net, &options, &s->runtime));
    machine_read(s->runtime, &s->specs);
    lend_at_most(&s->specs, &s->config);
    s->stop_all = s->config.task == TASK_STOP_ALL;
    TRY(site_begin(s));
    if (!s->stop_all) {
        check(!str_copy(STR("it looks whether it can serve"), s->trouble, sizeof s->trouble).code);
        check_begin(s);
        uplink_open(s);
        return OK;
    }
    TRY(net_timer_start(s->net, SITE_STOP_ALL_MS, 0, on_patience_over, s, &patience));
    site_step(s, &(struct worker_input){ .kind = IN_STOP_ALL });
    return OK;
}

struct err site_run(const struct config *config)
{
    struct site *s; /* with its keys, so for good, as what its callbacks may still see */
    TRY(secret_alloc(sizeof *s, &s));
    s->config = *config;
    TRY(state_open(s)); /* one worker a folder; its key, its network, what ran */
    if (!s->config.name[0]) (void)gethostname(s->config.name, sizeof s->config.name - 1);

    TRY(begin(s)); /* what a worker before this one left is adopted or removed */
    log_info("ready", LOG_TEXT("host", s->network.host), LOG_I64("port", s->network.port),
             LOG_I64("gpus", s->specs.gpus_count), LOG_I64("cpus", s->specs.cpus),
             LOG_TEXT("oci", runtime_oci(s->runtime)));
    net_run(s->net); /* until a signal, or until all is gone that should go */
    net_close(s->net);
    struct err result = s->result;
    state_close(s);
    secret_free(s);
    return result;
}
