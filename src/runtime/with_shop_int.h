/* with_shop_int.h: a rig, and a real registry on loopback (docker-registry) with images, made with umoci and pushed with
 * skopeo. */
#ifndef RUNTIME_WITH_SHOP_INT_H
#define RUNTIME_WITH_SHOP_INT_H

#include "with_rig_int.h"

#define SHOP_MTIME 1234567890

struct shop {
    struct rig rig;
    char       dir[300];
    pid_t      registry;
    uint16_t   port;
    char       small[ASSIGN_IMAGE_TEXT]; /* a few files */
    char       big[ASSIGN_IMAGE_TEXT];   /* three layers of some MiB of noise */
};

int  shop_open(void **state);
int  shop_close(void **state);
void shop_push(struct shop *s, const char *tag, char out[ASSIGN_IMAGE_TEXT]); /* of the layout in its folder */

__attribute__((format(printf, 1, 2))) void shop_shell(const char *format, ...); /* which must go well */
uint16_t                                   shop_free_port(void);

struct fetch {
    bool       done;
    struct err e;
    char       detail[RUNTIME_WHY_TEXT];
    bool       seen[IMAGE_STEP_COUNT];
    uint64_t   total;
};

extern const struct image_calls shop_fetch_calls; /* into a fetch */
void                            shop_fetch(struct shop *s, const char *image, struct fetch *f);
unsigned                        shop_count_images(struct shop *s); /* folders, whole or not */
void                            shop_collect_all_but(struct shop *s, const char *keep, unsigned left);

#endif
