/* image.c: the store of images: names, what is held, what goes. */
#include "container_int.h"
#include "image_int.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool all_of(struct str s, const char *letters)
{
    for (size_t i = 0; i < s.len; i++)
        if (!strchr(letters, s.ptr[i]) || !s.ptr[i]) return false;
    return s.len > 0;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* It becomes an argument of skopeo, so every letter is looked at. */
struct err image_name_read(const char *image, struct image_name *out)
{
    struct str       host, rest, name, digest;
    const struct err bad = ERR(INVALID, "an image's name is not HOST/NAME@sha256:DIGEST");
    if (strlen(image) >= ASSIGN_IMAGE_TEXT) return bad;
    if (!str_split(str_from(image), '/', &host, &rest) || !str_split(rest, '@', &name, &digest)) return bad;
    if (!all_of(host, LOWER UPPER ".-:[]") || host.ptr[0] == '-') return bad;
    if (!all_of(name, LOWER "._-/") || name.ptr[0] == '/' || name.ptr[0] == '.') return bad;
    if (!str_starts(digest, STR("sha256:"))) return bad;
    digest = str_skip(digest, 7);
    if (digest.len != IMAGE_HEX || !all_of(digest, "0123456789abcdef")) return bad;
    return str_copy(digest, out->hex, sizeof out->hex);
}

void image_path(const struct runtime *r, const char *hex, const char *suffix, char out[RUNTIME_PATH_TEXT])
{
    path_write(out, "%s/images/%s%s", r->state_dir, hex, suffix);
}

bool image_is_held(const struct runtime *r, const char *hex)
{
    char path[RUNTIME_PATH_TEXT];
    image_path(r, hex, "/image.json", path);
    return access(path, F_OK) == 0;
}

struct err image_root(struct runtime *r, const char *image, char out[RUNTIME_PATH_TEXT])
{
    struct image_name name;
    TRY(image_name_read(image, &name));
    if (!image_is_held(r, name.hex)) return ERR(MISSING, "the image is not held here");
    image_path(r, name.hex, "/rootfs", out);
    return OK;
}

static bool read_entry(const struct runtime *r, const char *hex, struct wanted_image *out)
{
    char path[RUNTIME_PATH_TEXT];
    if (strlen(hex) != IMAGE_HEX) return false;
    image_path(r, hex, "/image.json", path);
    scoped_json json_t *facts = json_load_file(path, 0, NULL);
    const char         *image = json_string_value(json_object_get(facts, "image"));
    return image && str_copy(str_from(image), out->image, sizeof out->image).code == ERR_NONE;
}

uint32_t image_list(struct runtime *r, struct wanted_image *out, uint32_t max)
{
    char path[RUNTIME_PATH_TEXT];
    path_write(path, "%s/images", r->state_dir);
    DIR     *folder = opendir(path);
    uint32_t count  = 0;
    for (const struct dirent *d; folder && count < max && (d = readdir(folder));)
        if (read_entry(r, d->d_name, &out[count])) count++;
    if (folder) closedir(folder);
    return count;
}

/* ---- removing -------------------------------------------------------------------------------- */

static bool is_wanted(struct runtime *r, const char *hex, const struct wanted_image *keep, uint32_t count)
{
    char root[RUNTIME_PATH_TEXT];
    for (uint32_t i = 0; i < count; i++)
        if (str_ends(str_from(keep[i].image), str_from(hex))) return true;
    image_path(r, hex, "/rootfs", root);
    return image_is_asked_for(r, hex) || nodes_use(r, root);
}

/* Out of the way at once, so that it is not used any more. False: it stays where it is. */
static bool set_aside(const struct runtime *r, const char *name, const char *hex)
{
    char from[RUNTIME_PATH_TEXT], to[RUNTIME_PATH_TEXT];
    image_path(r, name, "", from);
    image_path(r, hex, IMAGE_OLD, to);
    return rename(from, to) == 0;
}

static void on_remove(void *ctx)
{
    const struct runtime *r = ctx;
    char                  path[RUNTIME_PATH_TEXT];
    path_write(path, "%s/images", r->state_dir);
    DIR *folder = opendir(path);
    for (const struct dirent *d; folder && (d = readdir(folder));) {
        if (!str_ends(str_from(d->d_name), STR(IMAGE_OLD))) continue;
        image_path(r, d->d_name, "", path);
        if (sys_remove_tree(path).code) continue; /* the next collection tries again */
    }
    if (folder) closedir(folder);
}

static void on_removed(void *ctx)
{
    struct runtime *r = ctx;
    r->collecting     = false;
}

void image_collect(struct runtime *r, const struct wanted_image *keep, uint32_t count)
{
    if (r->collecting) return; /* what is set aside now would wait for the next one anyhow */
    char path[RUNTIME_PATH_TEXT];
    path_write(path, "%s/images", r->state_dir);
    DIR *folder = opendir(path);
    bool any    = false;
    for (const struct dirent *d; folder && (d = readdir(folder));) {
        char       hex[IMAGE_HEX + 1];
        struct str name = str_from(d->d_name);
        if (name.len < IMAGE_HEX) continue;
        memcpy(hex, name.ptr, IMAGE_HEX);
        hex[IMAGE_HEX] = 0;
        if (str_ends(name, STR(IMAGE_OLD)))
            any = true;
        else if (!is_wanted(r, hex, keep, count))
            any = set_aside(r, d->d_name, hex) || any;
    }
    if (folder) closedir(folder);
    if (!any) return;
    r->collecting = true;
    runtime_work(r, on_remove, on_removed, r);
}
