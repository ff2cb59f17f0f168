#include "config_int.h"

#include "sys/sys.h"
#include "json/json.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define KEY_FILE_BYTES_MAX 1024

struct err key_file_read(struct str text, struct sign_key *out, struct public_key *public_half)
{
    scoped_json struct json_doc doc = { 0 };
    struct json_fault           fault;
    if (json_parse(text, &doc, &fault).code || json_count(doc.root) != sizeof out->bytes)
        return ERR(INVALID, "the key file is no JSON array of 64 bytes");

    uint8_t bytes[64];
    for (uint32_t i = 0; i < sizeof bytes; i++) {
        int64_t n;
        if (json_as_i64(json_at(doc.root, i), &n).code || n < 0 || n > 255)
            return ERR(INVALID, "the key file is no JSON array of 64 bytes");
        bytes[i] = (uint8_t)n;
    }
    sign_key_from_seed(bytes, out, public_half);
    bool fits = !memcmp(public_half->bytes, bytes + 32, 32);
    explicit_bzero(bytes, sizeof bytes);
    if (fits) return OK;
    sign_key_wipe(out);
    return ERR(CORRUPT, "the two halves of the key file don't belong together");
}

void key_file_write(const struct sign_key *k, struct text *out)
{
    text_add_char(out, '[');
    for (size_t i = 0; i < sizeof k->bytes; i++) {
        if (i) text_add_char(out, ',');
        text_add_u64(out, k->bytes[i]);
    }
    text_add(out, STR("]\n"));
}

static struct err key_file_make(const char *path, struct sign_key *out, struct public_key *public_half)
{
    uint8_t seed[32];
    sys_random(seed, sizeof seed);
    sign_key_from_seed(seed, out, public_half);
    explicit_bzero(seed, sizeof seed);

    char        room[KEY_FILE_BYTES_MAX];
    struct text t = TEXT_IN(room);
    key_file_write(out, &t);
    struct err e = sys_write_file(path, text_str(&t), 0600);
    explicit_bzero(room, sizeof room);
    return e;
}

struct err key_file_open(const char *path, struct sign_key *out, struct public_key *public_half, bool *made)
{
    struct stat st;
    bool        is_there = stat(path, &st) == 0;
    /* A key that can't be looked at for another reason may be there: a new one would take its place, and its account. */
    if (!is_there && errno != ENOENT) return ERR(IO, "the key file can't be looked at");
    *made = !is_there;
    if (*made) return key_file_make(path, out, public_half);
    if (st.st_mode & 077) return ERR(DENIED, "others may read the key file: chmod 600 mends it");

    char   room[KEY_FILE_BYTES_MAX];
    size_t len;
    TRY(sys_read_file(path, room, sizeof room, &len));
    struct err e = key_file_read((struct str){ room, len }, out, public_half);
    explicit_bzero(room, sizeof room);
    return e;
}
