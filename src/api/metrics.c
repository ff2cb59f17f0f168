/* metrics.c: health and metrics (Prometheus' text format, version 0.0.4). Anybody may ask for them, so what walks whole
 * tables is counted once a second, however many ask. */
#include "api_int.h"

#include <stdlib.h>

#define METRICS_BYTES 65536
#define GAUGES_MAX 32
#define COUNT_EVERY_MS 1000

void get_health(struct api_ask *q)
{
    struct health h = { "ok", q->api->o.network->meta.epoch };
    reply_record(q->request, 200, &health_type, &h, SEEN_PUBLIC);
}

static void add_head(struct text *t, const char *name, const char *doc, bool is_counter)
{
    text_add(t, STR("# HELP "));
    text_add(t, str_from(name));
    text_add_char(t, ' ');
    text_add(t, str_from(doc));
    text_add(t, STR("\n# TYPE "));
    text_add(t, str_from(name));
    text_add(t, is_counter ? STR(" counter\n") : STR(" gauge\n"));
}

/* name{label="value"} number */
static void add_line(struct text *t, const char *name, const char *label, const char *value, uint64_t number)
{
    text_add(t, str_from(name));
    if (label) {
        text_add_char(t, '{');
        text_add(t, str_from(label));
        text_add(t, STR("=\""));
        text_add(t, str_from(value));
        text_add(t, STR("\"}"));
    }
    text_add_char(t, ' ');
    text_add_u64(t, number);
    text_add_char(t, '\n');
}

static void add_one(struct text *t, const char *name, const char *doc, bool is_counter, uint64_t number)
{
    add_head(t, name, doc, is_counter);
    add_line(t, name, NULL, NULL, number);
}

static void add_by_state(struct text *t, const char *name, const char *doc, const char *const *states,
                         size_t count, const uint64_t *numbers)
{
    add_head(t, name, doc, false);
    for (size_t i = 0; i < count; i++) add_line(t, name, "state", states[i], numbers[i]);
}

static void add_network(struct text *t, const struct network *n)
{
    uint64_t devices[DEVICE_STATE_COUNT] = { 0 }, gpus[DEVICE_STATE_COUNT] = { 0 }, hired = 0;
    uint64_t clusters[CLUSTER_STATE_COUNT] = { 0 }, nodes[NODE_STATE_COUNT] = { 0 };
    for (const struct device *d = NULL; (d = table_next(&n->devices, d));) {
        devices[d->state]++;
        gpus[d->state] += d->gpus_count;
        hired += d->nodes_count > 0;
    }
    for (const struct cluster *c = NULL; (c = table_next(&n->clusters, c));) clusters[c->state]++;
    for (const struct node *x = NULL; (x = table_next(&n->nodes, x));) nodes[x->state]++;
    add_by_state(t, "ionet_devices", "Devices by state", device_state_names, DEVICE_STATE_COUNT, devices);
    add_by_state(t, "ionet_gpus", "GPUs by the state of their device", device_state_names, DEVICE_STATE_COUNT,
                 gpus);
    add_one(t, "ionet_devices_hired", "Devices with a live node", false, hired);
    add_by_state(t, "ionet_clusters", "Clusters by state", cluster_state_names, CLUSTER_STATE_COUNT, clusters);
    add_by_state(t, "ionet_nodes", "Nodes by state", node_state_names, NODE_STATE_COUNT, nodes);
    add_one(t, "ionet_accounts", "Accounts", false, n->accounts.live);
    add_one(t, "ionet_api_keys", "API keys", false, n->keys.live);
    add_one(t, "ionet_relayed_pairs", "Pairs of nodes that go through the relay", false, n->relays.live);
    add_one(t, "ionet_epoch", "Grows with each start of the network", false, n->meta.epoch);
    add_one(t, "ionet_inputs_total", "Inputs taken in since the network began", true, n->meta.sequence);
    add_one(t, "ionet_transfers_total", "Movements of money since the network began", true, n->meta.transfers);
}

static void add_counts(struct text *t, struct api *a)
{
    uint64_t now = net_now_ms(a->o.net);
    if (!a->counts.ptr) a->counts = (struct text){ malloc(METRICS_BYTES), 0, METRICS_BYTES, false };
    check(a->counts.ptr);
    if (!a->counts.len || now - a->counted_ms >= COUNT_EVERY_MS) {
        a->counts.len = 0;
        add_network(&a->counts, a->o.network);
        check(!a->counts.full);
        a->counted_ms = now;
    }
    text_add(t, text_str(&a->counts));
}

void get_metrics(struct api_ask *q)
{
    struct api      *a = q->api;
    struct api_gauge gauges[GAUGES_MAX];
    size_t           count = a->o.gauges ? a->o.gauges(a->o.ctx, gauges, GAUGES_MAX) : 0;
    struct text      t     = { malloc(METRICS_BYTES), 0, METRICS_BYTES, false };
    check(t.ptr);
    add_counts(&t, a);
    add_one(&t, "ionet_requests_total", "Requests to the API since its start", true, a->requests);
    add_one(&t, "ionet_event_streams", "Event streams that are open", false, a->watcher_count);
    for (size_t i = 0; i < count; i++)
        add_one(&t, gauges[i].name, gauges[i].doc, gauges[i].is_counter, gauges[i].value);
    check(!t.full);
    reply_text(q->request, "text/plain; version=0.0.4", text_str(&t));
    free(t.ptr);
}
