/* image.h: images by digest.
 *
 * An image is named "HOST[:PORT]/NAME@sha256:HEX". It is fetched into a layout of its own under STATE/images,
 * unpacked beside, and moved into place when all is on the disk: it is whole or not there. What a kill or a
 * failure left is taken up again by the next fetch of the same digest, blob by blob. skopeo holds every blob
 * and the manifest to their digests. One is fetched at a time; others wait in order.
 *
 * The unpacked root belongs to the host's root and is shared, read-only, by all containers of it; inside a
 * container its files seem to be nobody's. What only root may read there, nobody can read. */
#ifndef RUNTIME_IMAGE_H
#define RUNTIME_IMAGE_H

#include "cluster/assign.h"
#include "runtime.h"

#define IMAGE_WAITING_MAX 16

enum image_step { IMAGE_ASKING, IMAGE_FETCHING, IMAGE_UNPACKING, IMAGE_STEP_COUNT };

struct image_calls {
    /* At each step and twice a second. Bytes on the disk of this step, and of how many (0: not known yet). */
    void (*on_progress)(void *ctx, enum image_step step, uint64_t done, uint64_t total); /* may be null */
    /* Once, last. `detail` ("" if none) is what the failing program said, for the log. */
    void (*on_done)(void *ctx, struct err e, const char *detail);
};

/* Succeeds at once (still by callback) if the image is held. Asking twice for one image is two fetches, of which
 * the second finds it there. ERR_INVALID: not a name by digest. ERR_LIMIT: too many wait. Later: ERR_IO: the
 * registry or the disk failed, try again; ERR_MISSING: the registry has none such; ERR_CORRUPT: it is not
 * what the digest says, or nothing that can be unpacked; ERR_LIMIT: too large, or no room on the disk. */
must_check struct err image_fetch(struct runtime *r, const char *image, const struct image_calls *calls,
                                  void *ctx);

/* The root of a held image, for container_spec. ERR_MISSING. By digest: from which registry does not matter. */
must_check struct err image_root(struct runtime *r, const char *image, char out[RUNTIME_PATH_TEXT]);

/* Names of held images, as they were fetched. Returns how many. */
uint32_t image_list(struct runtime *r, struct wanted_image *out, uint32_t max);

/* Removes, by libuv's threads, all that are not among `keep`, not in use by a container and not being fetched;
 * also half-fetched ones. */
void image_collect(struct runtime *r, const struct wanted_image *keep, uint32_t count);

#endif
