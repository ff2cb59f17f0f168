/* fuzz_options.c: options files and flags. What is taken is within its row's limits; a complaint names a place and never
 * a value. What stands before the first zero byte is the file, the rest are flags. */
#include "base/fuzz.h"
#include "options.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FLAGS_MAX 8

struct config {
    char     text[16];
    uint64_t number;
    enum { DRY_NOT, DRY } dry;
    unsigned specials;
};

static struct err set_special(void *config, struct str value)
{
    struct config *c = config;
    c->specials++;
    return value.len ? OK : ERR(INVALID, "nothing is special");
}

static const struct option rows[] = {
    { "config", OPTION_FILE, 0, 0, "", 0, 0, "the file" },
    { "text", OPTION_TEXT, offsetof(struct config, text), sizeof(((struct config *)0)->text), "a", 0, 0,
      "a text" },
    { "number", OPTION_NUMBER, offsetof(struct config, number), sizeof(uint64_t), "7", 1, 70000, "a number" },
    { "special", OPTION_SPECIAL, 0, 0, NULL, 0, 0, "anything" },
    { "dry", OPTION_SWITCH, offsetof(struct config, dry), sizeof(int), NULL, DRY, 0, "a switch" },
};

/* The file is one in memory, always the same. */
static void write_file(struct str content, char path[64])
{
    static int fd = -1;
    if (fd < 0) fd = memfd_create("options", 0);
    check(fd >= 0 && ftruncate(fd, 0) == 0);
    check(pwrite(fd, content.ptr, content.len, 0) == (ssize_t)content.len);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config  c  = { .number = 0 };
    struct options o  = { rows, countof(rows), &c, set_special };
    struct str     in = fuzz_all(data, size), file = fuzz_text(&in);
    char           path[64], room[256], flags[FLAGS_MAX][64];
    char          *argv[FLAGS_MAX + 4] = { "program", "--config", path };
    int            argc                = 3;
    struct text    complaint           = TEXT_IN(room);
    write_file(file, path);
    for (int i = 0; i < FLAGS_MAX && in.len; i++) {
        if (str_copy(fuzz_text(&in), flags[i], sizeof flags[i]).code) continue;
        if (!strstr(flags[i], "--config")) argv[argc++] = flags[i]; /* no file but ours is opened */
    }
    if (options_read(&o, argc, argv, &complaint).code) {
        check(str_starts(text_str(&complaint), str_from(path)) || str_starts(text_str(&complaint), STR("--")) ||
              str_starts(text_str(&complaint), STR("argument:")));
        return 0;
    }
    check(c.number >= 1 && c.number <= 70000 && (c.dry == DRY || c.dry == DRY_NOT));
    check(memchr(c.text, 0, sizeof c.text) && str_is_utf8(str_from(c.text)));
    return 0;
}
