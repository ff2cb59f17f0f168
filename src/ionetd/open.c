/* open.c: the state folder, the keys, the recipes, the store; and the network that they make, checked. */
#include "ionetd_int.h"

#include "sys/log.h"
#include "sys/sys.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CERT_DAYS 90
#define PATH_BYTES 640

static struct err complain(struct text *complaint, struct err e, const char *what)
{
    if (e.code && complaint->len == 0) text_add(complaint, str_from(what));
    return e;
}

static const char *path_in(struct ionetd *i, const char *name, char room[PATH_BYTES])
{
    snprintf(room, PATH_BYTES, "%s/%s", i->config.state_dir, name);
    return room;
}

/* ---- keys ------------------------------------------------------------------------------------------------------ */

static struct err secret(struct ionetd *i, const char *name, uint8_t out[32])
{
    char room[PATH_BYTES];
    return sys_secret_file(path_in(i, name, room), out);
}

/* A certificate for every name by which it may be reached. */
struct err keys_issue(struct ionetd *i)
{
    const char *hosts[4] = { i->config.host };
    size_t      count    = 1;
    bool        wild     = strcmp(i->config.listen, "0.0.0.0") == 0 || strcmp(i->config.listen, "::") == 0;
    if (!wild && strcmp(i->config.listen, i->config.host) != 0) hosts[count++] = i->config.listen;
    if (strcmp(i->config.host, "localhost") != 0) hosts[count++] = "localhost";
    return net_authority_issue(i->config.state_dir, "ionetd", hosts, count, CERT_DAYS);
}

static struct err open_keys(struct ionetd *i, struct text *complaint)
{
    uint8_t seed[32];
    char    room[PATH_BYTES];
    TRY(complain(complaint, sys_make_dirs(i->config.state_dir, 0700), "state_dir"));
    TRY(complain(complaint, sys_lock_file(path_in(i, "lock", room), &i->lock),
                 "another ionetd uses this state_dir"));
    TRY(complain(complaint, net_authority_open(i->config.state_dir, &i->keys.pin), "the network's authority"));
    TRY(complain(complaint, keys_issue(i), "the server's certificate"));
    TRY(complain(complaint, secret(i, "signing.key", seed), "signing.key"));
    sign_key_from_seed(seed, &i->keys.sign, &i->keys.sign_public);
    explicit_bzero(seed, sizeof seed);
    TRY(complain(complaint, secret(i, "ids.key", i->network_config.private_ids), "ids.key"));
    TRY(complain(complaint, secret(i, "secrets.key", i->network_config.secrets), "secrets.key"));
    snprintf(i->keys.cert_path, sizeof i->keys.cert_path, "%s/ionetd.crt", i->config.state_dir);
    snprintf(i->keys.key_path, sizeof i->keys.key_path, "%s/ionetd.key", i->config.state_dir);
    return OK;
}

/* ---- recipes ------------------------------------------------------------------------------------------------------ */

static struct err set_facts(struct ionetd *i, const struct recipe *r, struct str text, struct text *complaint)
{
    struct recipe_facts *f     = &i->network_config.recipes[i->recipe_count];
    const char          *image = config_image(&i->config, r->image);
    if (!image) {
        text_add(complaint, str_from(r->name));
        text_add(complaint, STR(": add a line `image = "));
        text_add(complaint, str_from(r->image));
        text_add(complaint, STR("=REPOSITORY@sha256:HEX` to the configuration"));
        return ERR(INVALID, "a recipe's image is not configured");
    }
    for (uint32_t k = 0; k < i->recipe_count; k++)
        if (strcmp(i->network_config.recipes[k].name, r->name) == 0)
            return complain(complaint, ERR(INVALID, "two recipes have one name"), r->name);
    *f = (struct recipe_facts){
        .unit          = r->unit == RECIPE_UNIT_GPU ? UNIT_GPU : UNIT_MACHINE,
        .nodes_max     = r->nodes_max,
        .cpus_min      = r->cpus_min,
        .memory_min    = (uint64_t)r->memory_min_mib << 20,
        .egress        = r->egress != NULL,
        .ready_timeout = { r->ready.timeout_ms },
        /* A link is called gone when it was silent for LINK_SILENT_MS: that counts. */
        .silent      = { r->loss.link_ms > LINK_SILENT_MS ? r->loss.link_ms - LINK_SILENT_MS : 0 },
        .missed      = { r->loss.witness_ms },
        .keeps_state = r->state != NULL,
    };
    struct hash h = hash_sha256(text);
    memcpy(f->hash, h.bytes, sizeof f->hash);
    TRY(complain(complaint, str_copy(str_from(r->name), f->name, sizeof f->name), r->name));
    TRY(complain(complaint, str_copy(str_from(r->title), f->title, sizeof f->title), r->name));
    if (r->state)
        TRY(complain(complaint, str_copy(str_from(r->state->lost), f->state_lost, sizeof f->state_lost),
                     r->name));
    return complain(complaint, str_copy(str_from(image), f->image, sizeof f->image), r->name);
}

static struct err read_recipe(struct ionetd *i, const char *file, struct text *complaint)
{
    char   path[PATH_BYTES];
    size_t len = 0;
    if (i->recipe_count == NETWORK_RECIPES_MAX)
        return complain(complaint, ERR(LIMIT, "too many recipes"), file);
    snprintf(path, sizeof path, "%s/%s", i->config.recipes_dir, file);

    char *text = malloc(RECIPE_BYTES_MAX);
    check(text);
    struct api_recipe *r = &i->recipes[i->recipe_count];
    struct err         e = complain(complaint, sys_read_file(path, text, RECIPE_BYTES_MAX, &len), path);
    r->text              = (struct str){ text, len };
    if (!e.code) e = complain(complaint, recipe_read(r->text, path, &r->recipe, complaint), path);
    if (!e.code) e = set_facts(i, r->recipe, r->text, complaint);
    i->recipe_count += !e.code;
    i->network_config.recipe_count = (uint32_t)i->recipe_count;
    if (e.code) {
        recipe_free(r->recipe);
        free(text);
        *r = (struct api_recipe){ 0 };
    }
    return e;
}

static int is_recipe(const struct dirent *d)
{
    return d->d_name[0] != '.' && str_ends(str_from(d->d_name), STR(".yaml"));
}

/* In the order of their names, so that every start offers the same. */
static struct err read_recipes(struct ionetd *i, struct text *complaint)
{
    struct dirent **files = NULL;
    struct err      e     = OK;
    int             count = scandir(i->config.recipes_dir, &files, is_recipe, alphasort);
    if (count < 0) return complain(complaint, ERR(MISSING, "the folder can't be read"), "recipes_dir");
    for (int k = 0; k < count; k++) {
        if (!e.code) e = read_recipe(i, files[k]->d_name, complaint);
        free(files[k]);
    }
    free(files);
    return e;
}

/* ---- the store ------------------------------------------------------------------------------------------------------ */

static void wake_store(void *ctx)
{
    struct ionetd *i = ctx;
    net_wake(i->store_waker);
}

static void on_store(void *ctx)
{
    struct ionetd *i = ctx;
    store_finish(i->store);
}

static struct err open_store(struct ionetd *i, struct text *complaint)
{
    static const char *const indexes[] = {
        "CREATE INDEX IF NOT EXISTS transfers_from ON transfers (\"from\", number)",
        "CREATE INDEX IF NOT EXISTS transfers_to ON transfers (\"to\", number)",
    };
    char                 room[PATH_BYTES];
    const char          *path    = path_in(i, "network.db", room);
    struct store_options options = {
        .path         = path,
        .types        = network_types,
        .type_count   = (uint32_t)network_type_count,
        .indexes      = indexes,
        .index_count  = countof(indexes),
        .wake         = wake_store,
        .wake_context = i,
    };
    TRY(net_waker_open(i->net, on_store, i, &i->store_waker));
    TRY(complain(complaint, store_open(&options, &i->store, complaint), path));
    return complain(complaint, store_reader_open(path, &i->reader), path);
}

struct loading {
    struct network           *network;
    const struct record_type *type;
};

static struct err load_one(void *ctx, const void *record)
{
    struct loading *l = ctx;
    return network_load(l->network, l->type, record);
}

/* Transfers are history and stay on disk; but their sums must be what the accounts hold. */
struct history {
    const struct ledger *ledger;
    int64_t             *sums; /* micros, by the account's place in its table */
    uint64_t             count;
};

static struct err add_sum(struct history *h, struct id account, int64_t micros)
{
    const struct ledger_account *a = table_find(&h->ledger->accounts, account);
    if (!a) return ERR(CORRUPT, "a transfer names an account that is not in the books");
    int64_t *sum = &h->sums[table_place(&h->ledger->accounts, a)];
    return __builtin_add_overflow(*sum, micros, sum) ? ERR(CORRUPT, "the transfers add up beyond all measure")
                                                     : OK;
}

static struct err add_transfer(void *ctx, const void *record)
{
    struct history        *h = ctx;
    const struct transfer *t = record;
    if (t->number != ++h->count) return ERR(CORRUPT, "a transfer is missing");
    TRY(add_sum(h, t->from, -t->amount.micros));
    return add_sum(h, t->to, t->amount.micros);
}

static struct err check_history(struct ionetd *i, struct text *complaint)
{
    const struct ledger *l    = &i->network.ledger;
    scoped_mem int64_t  *sums = calloc(l->accounts.most, sizeof *sums);
    struct history       h    = { l, sums, 0 };
    check(sums);
    TRY(complain(complaint, store_load(i->store, &transfer_type, add_transfer, &h, complaint), "transfers"));
    if (h.count != i->network.meta.transfers) return ERR(CORRUPT, "the last transfers are missing");
    for (const struct ledger_account *a = NULL; (a = table_next(&l->accounts, a));)
        if (a->balance.micros != sums[table_place(&l->accounts, a)])
            return ERR(CORRUPT, "an account does not hold what was transferred to it");
    return OK;
}

static struct err load(struct ionetd *i, struct text *complaint)
{
    for (size_t k = 0; k < network_type_count; k++) {
        struct loading l = { &i->network, network_types[k] };
        if (l.type == &transfer_type) continue;
        TRY(complain(complaint, store_load(i->store, l.type, load_one, &l, complaint), l.type->plural));
    }
    TRY(complain(complaint, network_check(&i->network), "the store's records do not fit together"));
    return complain(complaint, check_history(i, complaint),
                    "the books and their transfers do not fit together");
}

static struct err make_network(struct ionetd *i)
{
    bool                         small  = strcmp(i->config.limits, "small") == 0;
    const struct network_limits *limits = small ? &network_limits_small : &network_limits_full;
    size_t                       bytes  = network_bytes(limits);
    i->network_config.fee_basis_points  = (uint32_t)i->config.fee_basis_points;
    i->network_memory                   = calloc(1, bytes);
    i->effects_memory                   = calloc(1, effects_bytes());
    i->queue.ring                       = calloc(QUEUE_MAX, sizeof *i->queue.ring);
    if (!i->network_memory || !i->effects_memory || !i->queue.ring)
        return ERR(LIMIT, "this machine has not the memory for tables of these limits: try limits = small");
    network_init(&i->network, limits, &i->network_config, i->network_memory, bytes);
    effects_init(&i->effects, i->effects_memory, effects_bytes());
    return OK;
}

struct err ionetd_open(struct ionetd *i, struct text *complaint)
{
    i->lock = -1;
    TRY(complain(complaint, net_open(&i->net), "the loop"));
    TRY(open_keys(i, complaint));
    TRY(read_recipes(i, complaint));
    TRY(complain(complaint, make_network(i), "limits"));
    if (i->config.task == TASK_RUN) TRY(complain(complaint, ionetd_listen(i), "listen, port"));
    TRY(complain(complaint, ionetd_give_up(i), "the sandbox"));
    TRY(open_store(i, complaint));
    TRY(load(i, complaint));
    links_open(i);
    return OK;
}

void ionetd_close(struct ionetd *i)
{
    store_close(i->store);
    store_reader_close(i->reader);
    for (size_t k = 0; k < i->recipe_count; k++) {
        recipe_free(i->recipes[k].recipe);
        free((char *)(uintptr_t)i->recipes[k].text.ptr);
    }
    while (i->queue.ring && queue_first(&i->queue)) queue_drop_first(&i->queue);
    links_close(i);
    free(i->queue.ring);
    free(i->held);
    free(i->network_memory);
    free(i->effects_memory);
    if (i->net) net_close(i->net);
    sign_key_wipe(&i->keys.sign);
    sys_close(&i->lock);
}
