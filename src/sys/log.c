#include "log.h"

#include "sys.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"
};
static enum log_level least_level = LOG_INFO;

void log_level_set(enum log_level least)
{
    least_level = least;
}

bool log_level_by_name(const char *name)
{
    for (size_t i = 0; i < countof(level_names); i++) {
        if (strcmp(level_names[i], name) != 0) continue;
        least_level = (enum log_level)i;
        return true;
    }
    return false;
}

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) return false;
    }
    return s.len > 0;
}

static void add_quoted(struct text *t, struct str s)
{
    text_add_char(t, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '\n') {
            text_add(t, STR("\\n"));
        } else if (c < ' ' || c == 0x7f) {
            text_add(t, STR("\\x"));
            text_add_hex(t, &c, 1);
        } else {
            if (c == '"' || c == '\\') text_add_char(t, '\\');
            text_add_char(t, (char)c);
        }
    }
    text_add_char(t, '"');
}

static void add_time(struct text *t)
{
    int64_t   ms = sys_wall_now().ms;
    time_t    s  = (time_t)(ms / MS_PER_SECOND);
    struct tm parts;
    char      room[40], end[8];
    gmtime_r(&s, &parts);
    strftime(room, sizeof room, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(end, sizeof end, ".%03dZ", (int)(ms % MS_PER_SECOND));
    text_add(t, str_from(room));
    text_add(t, str_from(end));
}

void log_pairs(enum log_level level, const char *event, const struct log_pair *pairs, size_t count)
{
    if (level < least_level) return;

    char        room[LOG_LINE_MAX];
    struct text t = { room, 0, sizeof room - 1, false }; /* less the line's end */
    add_time(&t);
    text_add_char(&t, ' ');
    text_add(&t, str_from(level_names[level]));
    text_add_char(&t, ' ');
    text_add(&t, str_from(event));
    for (size_t i = 0; i < count; i++) {
        const struct log_pair *p = &pairs[i];
        text_add_char(&t, ' ');
        text_add(&t, str_from(p->key));
        text_add_char(&t, '=');
        if (p->kind == LOG_PAIR_I64)
            text_add_i64(&t, p->i64);
        else if (p->kind == LOG_PAIR_ID)
            id_write(p->id, &t);
        else if (is_plain(p->str))
            text_add(&t, p->str);
        else
            add_quoted(&t, p->str);
    }
    room[t.len]     = '\n';
    ssize_t written = write(STDERR_FILENO, room, t.len + 1);
    (void)written; /* there is nowhere else to say it */
}

void log_check_failed(const char *condition, const char *file, int line)
{
    log_error("check.failed", LOG_TEXT("condition", condition), LOG_TEXT("file", file), LOG_I64("line", line));
}
