/* image_int.h: names and folders of images. */
#ifndef RUNTIME_IMAGE_INT_H
#define RUNTIME_IMAGE_INT_H

#include "runtime_int.h"

#define IMAGE_HEX 64
#define IMAGE_PART ".part" /* STATE/images/HEX.part: being fetched: layout/, root/, new/ */
#define IMAGE_OLD ".old"   /* being removed */

struct image_name {
    char hex[IMAGE_HEX + 1];
};

/* ERR_INVALID unless it is "HOST[:PORT]/NAME@sha256:HEX". */
must_check struct err image_name_read(const char *image, struct image_name *out);
void image_path(const struct runtime *r, const char *hex, const char *suffix, char out[RUNTIME_PATH_TEXT]);
bool image_is_held(const struct runtime *r, const char *hex);
bool image_is_asked_for(const struct runtime *r, const char *hex); /* by a fetch that waits or works */

/* For threads: an unpacked root lies on this machine's disk, where its other users pass (image_root.c). Devices go from
 * it; what would run with its owner's rights, or rights of its own, loses them. Inside a container neither means anything. */
must_check struct err image_make_harmless(const char *root);

#endif
