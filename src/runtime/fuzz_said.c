/* fuzz_said.c: what programs in containers and image tools print, and names of images. What is made of a stranger's bytes
 * is UTF-8 without controls but tabs and line ends, and never longer. */
#include "base/fuzz.h"
#include "image_int.h"

#include <stdlib.h>
#include <string.h>

static void check_shown(struct str s)
{
    struct str line;
    while (s.len) {
        size_t end = 0;
        while (end < s.len && s.ptr[end] != '\n' && s.ptr[end] != '\t') end++;
        line = (struct str){ s.ptr, end };
        check(str_is_utf8(line));
        s = str_skip(s, end + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str        in  = fuzz_all(data, size);
    char             *out = malloc(size + 1), why[RUNTIME_WHY_TEXT], name[256];
    struct image_name image;
    check(out);
    size_t len = text_from_stranger(in.ptr, in.len, out);
    check(len <= size);
    check_shown((struct str){ out, len });
    child_sentence((struct str){ out, len }, why);
    check(memchr(why, 0, sizeof why) != NULL);
    check_shown(str_from(why));
    if (!str_copy(in, name, sizeof name).code && !image_name_read(name, &image).code)
        check(strlen(image.hex) == IMAGE_HEX && str_ends(str_from(name), str_from(image.hex)));
    free(out);
    return 0;
}
