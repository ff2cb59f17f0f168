/* The state folder:
 *
 *   lock                 held while a worker runs on it   device.key     the seed of its key (0600)
 *   network.json         which network, who we are there  worker.json    what should run, what was served
 *   recipes/HEX.yaml     by hash                          keys/NODE      a node's mesh key, until its end
 *   images/, mesh/       of the modules runtime and wg */
#include "site.h"

#include "link/ticket.h"
#include "sys/log.h"
#include "sys/secret.h"
#include "sys/sys.h"
#include "json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* All its nodes, each with a witness that sees as many others as it may. */
#define STATE_BYTES_MAX (2u << 20)

static const struct field network_fields[] = {
    FIELD_TEXT(struct site_network, host, SEEN_OPERATOR, LIVE, "where the network is"),
    FIELD_U32(struct site_network, port, 1, 65535, SEEN_OPERATOR, LIVE, "its HTTPS port"),
    FIELD_BYTES(struct site_network, pin, SEEN_OPERATOR, LIVE, "SHA-256 of its authority's certificate"),
    FIELD_ID(struct site_network, device, SEEN_OPERATOR, LIVE, "what this device is called there"),
    FIELD_BYTES(struct site_network, signing_key, SEEN_OPERATOR, LIVE, "what it signs assignments with"),
};
static const struct record_type network_type = RECORD_TYPE("site_network", "site_networks", struct site_network,
                                                           network_fields, "the network of a worker");

static void state_path(const struct site *s, const char *name, char out[SITE_PATH_TEXT])
{
    int length = snprintf(out, SITE_PATH_TEXT, "%s/%s", s->config.state_dir, name);
    check(length > 0 && length < SITE_PATH_TEXT);
}

void site_mesh_dir(const struct site *s, char out[SITE_PATH_TEXT])
{
    state_path(s, "mesh", out);
}

void state_recipe_path(const struct site *s, const uint8_t hash[32], char out[SITE_PATH_TEXT])
{
    char        room[96];
    struct text name = TEXT_IN(room);
    text_add(&name, STR("recipes/"));
    text_add_hex(&name, hash, 32);
    text_add(&name, STR(".yaml"));
    state_path(s, text_z(&name), out);
}

static void key_path(const struct site *s, struct node_id node, char out[SITE_PATH_TEXT])
{
    char        room[64];
    struct text name = TEXT_IN(room);
    text_add(&name, STR("keys/"));
    id_write(node.id, &name);
    state_path(s, text_z(&name), out);
}

struct err state_mesh_key(const struct site *s, struct node_id node, uint8_t out[MESH_KEY_BYTES])
{
    char path[SITE_PATH_TEXT];
    key_path(s, node, path);
    return sys_secret_file(path, out);
}

struct err state_wipe_mesh_key(const struct site *s, struct node_id node)
{
    static const uint8_t nothing[MESH_KEY_BYTES];
    char                 path[SITE_PATH_TEXT];
    key_path(s, node, path);
    scoped_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? OK : ERR(IO, "a mesh key can't be wiped");
    TRY(sys_append_synced(fd, (struct str){ (const char *)nothing, sizeof nothing }));
    return unlink(path) < 0 ? ERR(IO, "a mesh key can't be removed") : OK;
}

struct err state_save_network(struct site *s)
{
    char        path[SITE_PATH_TEXT], room[1024];
    struct text text = TEXT_IN(room);
    state_path(s, "network.json", path);
    json_write(&network_type, &s->network, SEEN_OPERATOR, &text);
    check(!text.full);
    return sys_write_file(path, text_str(&text), 0600);
}

struct err state_save_worker(struct site *s)
{
    char path[SITE_PATH_TEXT];
    state_path(s, "worker.json", path);
    worker_save(s->worker, sys_boot_now_ms(), s->saved);
    s->saved_text.len  = 0;
    s->saved_text.full = false;
    json_write(&worker_saved_type, s->saved, SEEN_OPERATOR, &s->saved_text);
    if (s->saved_text.full) return ERR(LIMIT, "the worker's state is too large");
    return sys_write_file(path, text_str(&s->saved_text), 0600);
}

/* ---- opening ----------------------------------------------------------------------------------------- */

/* A record from a file; ERR_MISSING if there is none. */
static struct err load(struct site *s, const char *name, const struct record_type *type, void *record)
{
    char              path[SITE_PATH_TEXT];
    size_t            len;
    struct json_fault fault = { "" };
    state_path(s, name, path);
    TRY(sys_read_file(path, s->saved_text.ptr, s->saved_text.cap, &len));
    struct err e = json_read((struct str){ s->saved_text.ptr, len }, type, JSON_PEER, record, &fault);
    if (e.code)
        log_error("state.damaged", LOG_TEXT("file", path), LOG_TEXT("why", e.why),
                  LOG_TEXT("at", fault.detail));
    return e;
}

/* What a token adds to what is known: another place of the same network, or the first one. */
static struct err take_token(struct site *s, bool known)
{
    struct join_token t;
    TRY(join_token_read(str_from(s->config.token), &t));
    if (known && memcmp(t.pin, s->network.pin, sizeof t.pin) != 0)
        return ERR(CONFLICT, "this state folder belongs to another network than the token");
    memcpy(s->network.host, t.host, sizeof s->network.host);
    memcpy(s->network.pin, t.pin, sizeof s->network.pin);
    memcpy(s->secret, t.secret, sizeof s->secret);
    s->network.port = t.port;
    return OK;
}

static struct err open_network(struct site *s)
{
    struct err e = load(s, "network.json", &network_type, &s->network);
    if (e.code && e.code != ERR_MISSING) return e;
    if (s->config.token[0])
        TRY(take_token(s, !e.code));
    else if (e.code)
        return ERR(MISSING, "this device belongs to no network yet: give it a join token");
    memcpy(s->pin.sha256, s->network.pin, sizeof s->pin.sha256);
    return OK;
}

static struct err open_key(struct site *s)
{
    char    path[SITE_PATH_TEXT];
    uint8_t seed[32];
    state_path(s, "device.key", path);
    TRY(sys_secret_file(path, seed));
    sign_key_from_seed(seed, &s->key, &s->public_key);
    explicit_bzero(seed, sizeof seed);
    return OK;
}

struct err state_open(struct site *s)
{
    char path[SITE_PATH_TEXT];
    s->saved_text = (struct text){ NULL, 0, STATE_BYTES_MAX, false };
    TRY(secret_alloc(sizeof *s->saved, &s->saved)); /* assignments hold their clusters' secrets */
    TRY(secret_alloc(sizeof *s->worker, &s->worker));
    TRY(secret_alloc(STATE_BYTES_MAX, &s->saved_text.ptr));

    state_path(s, "recipes", path);
    TRY(sys_make_dirs(path, 0711));
    state_path(s, "keys", path);
    TRY(sys_make_dirs(path, 0700));
    state_path(s, "lock", path);
    TRY(sys_lock_file(path, &s->lock_fd));
    TRY(open_key(s));
    if (s->config.task == TASK_RUN) TRY(open_network(s));
    TRY(sys_boot_id(s->boot_id));
    sys_random(s->instance, sizeof s->instance);
    struct err e = load(s, "worker.json", &worker_saved_type, s->saved);
    if (!e.code) return OK;
    memset(s->saved, 0, sizeof *s->saved);
    /* All is to end, remembered or not. */
    return e.code == ERR_MISSING || s->config.task == TASK_STOP_ALL ? OK : e;
}

void state_close(struct site *s)
{
    secret_free(s->saved);
    secret_free(s->worker);
    secret_free(s->saved_text.ptr);
    sys_close(&s->lock_fd);
}
