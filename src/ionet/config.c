#include "config_int.h"

#include "record/record.h"
#include "sys/sys.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_BYTES_MAX 8192

static const struct field config_fields[] = {
    FIELD_TEXT(struct config, network, SEEN_NOBODY, OPTIONAL, "HOST:PORT"),
    FIELD_BYTES(struct config, pin, SEEN_NOBODY, OPTIONAL, "SHA-256 of its authority's certificate"),
    FIELD_TEXT(struct config, key_file, SEEN_NOBODY, OPTIONAL, "the wallet's"),
    FIELD_TEXT(struct config, api_key, SEEN_NOBODY, OPTIONAL, "bearer key"),
    FIELD_ID(struct config, account, SEEN_NOBODY, OPTIONAL, "whose key it is"),
    FIELD_MS(struct config, expires, "expires_ms", SEEN_NOBODY, OPTIONAL, "when the key ends"),
};
static const struct record_type config_type =
    RECORD_TYPE("config", "configs", struct config, config_fields, "what ionet keeps between calls");

static struct err folder_path(char out[CONFIG_PATH_MAX])
{
    const char *own  = getenv("IONET_HOME");
    const char *xdg  = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    int         len;
    if (own && *own)
        len = snprintf(out, CONFIG_PATH_MAX, "%s", own);
    else if (xdg && *xdg)
        len = snprintf(out, CONFIG_PATH_MAX, "%s/ionet", xdg);
    else if (home && *home)
        len = snprintf(out, CONFIG_PATH_MAX, "%s/.config/ionet", home);
    else
        return ERR(INVALID, "neither IONET_HOME nor HOME is set: there is no place to keep the configuration");
    return len < CONFIG_PATH_MAX ? OK : ERR(LIMIT, "the path of the configuration is too long");
}

struct err config_path(const char *name, char out[CONFIG_PATH_MAX])
{
    char folder[CONFIG_PATH_MAX];
    TRY(folder_path(folder));
    int len = snprintf(out, CONFIG_PATH_MAX, "%s/%s", folder, name);
    return len < CONFIG_PATH_MAX ? OK : ERR(LIMIT, "the path of the configuration is too long");
}

struct err config_load(struct config *out)
{
    *out = (struct config){ 0 };
    char path[CONFIG_PATH_MAX];
    TRY(config_path("config.json", path));

    char       room[CONFIG_BYTES_MAX];
    size_t     len;
    struct err e = sys_read_file(path, room, sizeof room, &len);
    if (e.code == ERR_MISSING) return OK;
    TRY(e);

    struct json_fault fault;
    e = json_read((struct str){ room, len }, &config_type, JSON_PEER, out, &fault);
    if (e.code) return ERR(CORRUPT, "config.json can't be read: delete it, and `ionet login` writes it anew");
    return OK;
}

struct err config_save(const struct config *k)
{
    char folder[CONFIG_PATH_MAX], path[CONFIG_PATH_MAX], room[CONFIG_BYTES_MAX];
    TRY(folder_path(folder));
    TRY(config_path("config.json", path));
    TRY(sys_make_dirs(folder, 0700));

    struct text t = TEXT_IN(room);
    json_write(&config_type, k, SEEN_NOBODY, &t);
    text_add_char(&t, '\n');
    if (t.full) return ERR(LIMIT, "the configuration is too long");
    return sys_write_file(path, text_str(&t), 0600);
}

struct err config_split(struct str network, char host[128], uint16_t *port)
{
    struct str name, number;
    if (str_starts(network, STR("["))) {
        if (!str_split(str_skip(network, 1), ']', &name, &number) || !str_starts(number, STR(":")))
            return ERR(INVALID, "a network is named HOST:PORT");
        number = str_skip(number, 1);
    } else if (!str_split(network, ':', &name, &number)) {
        return ERR(INVALID, "a network is named HOST:PORT");
    }
    uint64_t n;
    if (!name.len || str_to_u64(number, &n).code || n < 1 || n > 65535)
        return ERR(INVALID, "a network is named HOST:PORT, PORT from 1 to 65535");
    TRY(str_copy(name, host, 128));
    *port = (uint16_t)n;
    return OK;
}

struct err config_target(const struct config *k, char host[128], struct net_pin *pin, struct net_target *out)
{
    *out = (struct net_target){ .host = host, .pin = pin };
    memcpy(pin->sha256, k->pin, sizeof pin->sha256);
    return config_split(str_from(k->network), host, &out->port);
}
