#include "commands_int.h"

#include "human_int.h"

#include "codec/codec.h"
#include "sys/secret.h"
#include "sys/sys.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGE_BYTES_MAX 1024

struct err command_version(struct cli *c)
{
    (void)c;
    puts("ionet 0.1.0");
    return OK;
}

/* A wallet's key also signs money away. A transaction begins with a byte that is no letter, so a message that is
 * nothing but letters and line ends can't be one. */
static bool is_text_alone(struct str s)
{
    if (!s.len || s.len > MESSAGE_BYTES_MAX) return false;
    for (size_t i = 0; i < s.len; i++)
        if ((s.ptr[i] < ' ' || s.ptr[i] > '~') && (i == 0 || s.ptr[i] != '\n')) return false;
    return true;
}

static struct err scopes_write(struct cli *c, struct json_out *w)
{
    static const char *const names[] = { "read", "clusters", "devices", "operator" };
    struct str               rest    = str_from(cli_option(c, "scopes")), name;
    json_open_array(w);
    for (bool more = true; more;) {
        struct str tail;
        size_t     i = 0;
        more         = str_split(rest, ',', &name, &tail);
        rest         = tail;
        while (i < countof(names) && !str_eq(name, str_from(names[i]))) i++;
        if (i == countof(names))
            return cli_fail(c, ERR_INVALID, NULL,
                            "--scopes: read, clusters, devices and operator, with commas between");
        json_str(w, name);
    }
    json_close_array(w);
    return OK;
}

static struct err nonce_ask(struct cli *c, struct str wallet, struct api_reply *out)
{
    char            room[API_BODY_MAX];
    struct text     t = TEXT_IN(room);
    struct json_out w = json_begin(&t);
    json_open_object(&w);
    json_key(&w, "public_key");
    json_str(&w, wallet);
    json_close_object(&w);
    return api_call(c, "POST", "/v1/session/nonce", text_str(&t), out);
}

static struct err session_ask(struct cli *c, struct str wallet, const struct sign_key *key,
                              struct api_reply *out)
{
    scoped_reply struct api_reply nonce = { 0 };
    TRY(nonce_ask(c, wallet, &nonce));
    struct str message = json_as_str(json_member(nonce.doc.root, "message"));
    if (!is_text_alone(message))
        return cli_fail(c, ERR_DENIED, NULL, "the network asks to sign what is no plain text: refused");
    struct signature s = sign_text(key, message);

    char            room[API_BODY_MAX];
    struct text     t = TEXT_IN(room);
    struct json_out w = json_begin(&t);
    json_open_object(&w);
    json_key(&w, "public_key");
    json_str(&w, wallet);
    json_key(&w, "nonce");
    json_str(&w, json_as_str(json_member(nonce.doc.root, "nonce")));
    json_key(&w, "signature");
    json_bytes(&w, s.bytes, sizeof s.bytes);
    json_key(&w, "name");
    json_str(&w, str_from(cli_has(c, "name") ? cli_option(c, "name") : "ionet"));
    if (cli_has(c, "scopes")) {
        json_key(&w, "scopes");
        TRY(scopes_write(c, &w));
    }
    struct span valid = { 0 };
    TRY(option_duration(c, "valid", &valid));
    if (valid.ms) {
        json_key(&w, "valid_ms");
        json_i64(&w, valid.ms);
    }
    json_close_object(&w);
    if (t.full) return ERR(LIMIT, "what was given is too long");
    return api_call(c, "POST", "/v1/session", text_str(&t), out);
}

/* What was not given stays as the last login had it. */
static struct err network_choose(struct cli *c)
{
    struct config *k = &c->config;
    uint16_t       port;
    char           host[128];
    if (cli_has(c, "network")) {
        struct str network = str_from(cli_option(c, "network"));
        struct err e       = config_split(network, host, &port);
        if (e.code) return cli_fail(c, e.code, NULL, "--network %s: %s", network.ptr, e.why);
        if (!str_eq(network, str_from(k->network)) && !cli_has(c, "pin"))
            return cli_fail(c, ERR_INVALID, "its operator tells it; it is also the middle of a join token",
                            "--pin is needed: the fingerprint of the network's authority");
        TRY(str_copy(network, k->network, sizeof k->network));
    }
    if (cli_has(c, "pin") && hex_read(str_from(cli_option(c, "pin")), k->pin, sizeof k->pin).code)
        return cli_fail(c, ERR_INVALID, NULL, "--pin: 64 lower-case hex letters are needed");
    if (!*k->network)
        return cli_fail(c, ERR_INVALID, NULL, "--network HOST:PORT and --pin HEX are needed the first time");

    if (cli_has(c, "key")) return str_copy(str_from(cli_option(c, "key")), k->key_file, sizeof k->key_file);
    return *k->key_file ? OK : config_path("id.json", k->key_file);
}

static struct err key_open(struct cli *c, struct sign_key *key, struct public_key *public_half)
{
    bool  made;
    char  folder[CONFIG_PATH_MAX];
    char *slash;
    TRY(config_path("id.json", folder));
    if ((slash = strrchr(folder, '/'))) *slash = '\0';
    TRY(sys_make_dirs(folder, 0700));

    struct err e = key_file_open(c->config.key_file, key, public_half, &made);
    if (e.code) return cli_fail(c, e.code, NULL, "%s: %s", c->config.key_file, e.why);
    if (made) fprintf(stderr, "made a new key: %s (keep a copy: it is the account)\n", c->config.key_file);
    return OK;
}

static void wallet_write(struct public_key public_half, struct text *t)
{
    base58_write(public_half.bytes, sizeof public_half.bytes, t);
}

struct err command_key(struct cli *c)
{
    scoped_secret struct sign_key *key = NULL;
    struct public_key              public_half;
    char                           room[BASE58_KEY_TEXT_MAX + 1];
    struct text                    wallet = TEXT_IN(room);
    struct config                 *k      = &c->config;
    if (cli_has(c, "key"))
        TRY(str_copy(str_from(cli_option(c, "key")), k->key_file, sizeof k->key_file));
    else if (!*k->key_file)
        TRY(config_path("id.json", k->key_file));
    TRY(secret_alloc(sizeof *key, &key));
    TRY(key_open(c, key, &public_half));
    wallet_write(public_half, &wallet);
    puts(text_z(&wallet));
    return OK;
}

struct err command_login(struct cli *c)
{
    scoped_secret struct sign_key *key = NULL;
    struct public_key              public_half;
    char                           wallet_room[BASE58_KEY_TEXT_MAX + 1];
    struct text                    wallet = TEXT_IN(wallet_room);
    scoped_reply struct api_reply  r      = { 0 };
    TRY(network_choose(c));
    TRY(secret_alloc(sizeof *key, &key));
    TRY(key_open(c, key, &public_half));
    wallet_write(public_half, &wallet);

    c->config.api_key[0] = '\0';
    struct err e         = session_ask(c, text_str(&wallet), key, &r);
    TRY(e);

    struct json_value session = r.doc.root;
    TRY(str_copy(json_as_str(json_member(session, "key")), c->config.api_key, sizeof c->config.api_key));
    TRY(id_read(json_as_str(json_member(session, "account")), &c->config.account.id));
    c->config.expires = (struct instant){ member_i64(session, "expires_ms") };
    TRY(config_save(&c->config));
    if (c->json) {
        print_json((struct str){ r.body, r.len });
        return OK;
    }
    char        until_room[40], id_room[ID_TEXT + 1];
    struct text until = TEXT_IN(until_room), id = TEXT_IN(id_room);
    human_instant_write(c->config.expires, &until);
    id_write(c->config.account.id, &id);
    printf("signed in to %s\nwallet   %s\naccount  %s\nuntil    %s\n", c->config.network, text_z(&wallet),
           text_z(&id), text_z(&until));
    return OK;
}

struct err command_logout(struct cli *c)
{
    char path[CONFIG_PATH_MAX];
    TRY(config_path("config.json", path));
    if (*c->config.api_key) {
        /* The key is also to end at the network; if that can't be reached, it is at least forgotten here. */
        scoped_reply struct api_reply r = { 0 };
        struct err                    e = api_call(c, "DELETE", "/v1/session", STR(""), &r);
        if (e.code && e.code != ERR_DENIED)
            fprintf(stderr, "the key lives on at the network until it expires: %s\n", e.why);
        c->unreachable = false;
    }
    c->config.api_key[0] = '\0';
    c->config.account    = (struct account_id){ 0 };
    c->config.expires    = (struct instant){ 0 };
    TRY(config_save(&c->config));
    puts("signed out");
    return OK;
}
