/* config_int.h: what `ionet` keeps between calls: the network, its pin and the API key, in config.json (0600) of the
 * folder $IONET_HOME, else $XDG_CONFIG_HOME/ionet, else ~/.config/ionet. Beside it, unless another is named, the
 * wallet's key file id.json, in the form that Solana's tools write: a JSON array of 64 bytes, seed then public half. */
#ifndef IONET_CONFIG_INT_H
#define IONET_CONFIG_INT_H

#include "base/id.h"
#include "base/units.h"
#include "crypto/crypto.h"
#include "net/net.h"

#define CONFIG_PATH_MAX 512

struct config {
    char              network[160]; /* HOST:PORT; "" when logged out */
    uint8_t           pin[32];
    char              key_file[CONFIG_PATH_MAX];
    char              api_key[160];
    struct account_id account;
    struct instant    expires;
};

must_check struct err config_path(const char *name, char out[CONFIG_PATH_MAX]); /* of a file in the folder */
must_check struct err config_load(struct config *out);                          /* zeroed if there is none */
must_check struct err config_save(const struct config *k);                      /* makes the folder, 0700 */
must_check struct err config_target(const struct config *k, char host[128], struct net_pin *pin,
                                    struct net_target *out);

/* HOST:PORT or [V6]:PORT, taken apart. */
must_check struct err config_split(struct str network, char host[128], uint16_t *port);

/* Reads a key file, or makes one (0600) if there is none; *made says which. ERR_DENIED: others may read it. */
must_check struct err key_file_open(const char *path, struct sign_key *out, struct public_key *public_half,
                                    bool *made);
must_check struct err key_file_read(struct str text, struct sign_key *out, struct public_key *public_half);
void                  key_file_write(const struct sign_key *k, struct text *out);

#endif
