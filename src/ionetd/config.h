/* config.h: what ionetd is told: a file of key = value lines, and flags of the same names over it. One table says
 * which there are; --help prints it. */
#ifndef IONETD_CONFIG_H
#define IONETD_CONFIG_H

#include "base/str.h"
#include "crypto/crypto.h"

#define CONFIG_TEXT 256
#define CONFIG_IMAGES_MAX 16

struct config_image { /* what a recipe's `image:` name means */
    char name[64];
    char image[CONFIG_TEXT]; /* repository@sha256:… */
};

enum config_task { TASK_RUN, TASK_CHECK, TASK_HELP, TASK_VERSION };

struct config {
    enum config_task    task;
    char                state_dir[CONFIG_TEXT];
    char                listen[64]; /* numeric address */
    uint64_t            port;
    char                host[128]; /* how everybody reaches it */
    uint64_t            public_port;
    char                domain[128];
    char                operator_text[64];
    bool                has_operator;
    struct public_key   operator;
    char                recipes_dir[CONFIG_TEXT];
    struct config_image images[CONFIG_IMAGES_MAX];
    uint32_t            image_count;
    uint64_t            fee_basis_points;
    char                limits[16];
    uint64_t            sign_ins_per_address;
    uint64_t            requests_per_account;
    uint64_t            requests_per_address;
    uint64_t            stranger_us_per_s;
    uint64_t            machines_shared;
    char                log_level[8];
    char                user[64];
    char                sandbox[8]; /* on, strict or off */
};

/* Defaults, then the file named by --config, then the flags. `complaint` says which line or flag is at fault. */
must_check struct err config_read(struct config *c, int argc, char **argv, struct text *complaint);
void                  config_help(struct text *out);
const char           *config_image(const struct config *c, const char *name); /* null if there is none */

#endif
