/* log.h: one event a line on standard error, key=value, the event's name first:
 *
 *     2026-03-04T05:06:07.089Z info device.ready device=7z… gpus=8
 *
 * Only programs log. Values with blanks, quotes or line ends are quoted; no secret is ever a value. What makes
 * a line longer than LOG_LINE_MAX is cut off, and all after it. */
#ifndef SYS_LOG_H
#define SYS_LOG_H

#include "base/id.h"
#include "base/str.h"

#define LOG_LINE_MAX 2048 /* bytes, its end included */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_pair {
    const char *key;
    enum { LOG_PAIR_STR, LOG_PAIR_I64, LOG_PAIR_ID } kind;
    struct str str;
    int64_t    i64;
    struct id  id;
};

#define LOG_STR(k, v)                                \
    (struct log_pair)                                \
    {                                                \
        .key = (k), .kind = LOG_PAIR_STR, .str = (v) \
    }
#define LOG_TEXT(k, v)                                       \
    (struct log_pair)                                        \
    {                                                        \
        .key = (k), .kind = LOG_PAIR_STR, .str = str_from(v) \
    }
#define LOG_I64(k, v)                                         \
    (struct log_pair)                                         \
    {                                                         \
        .key = (k), .kind = LOG_PAIR_I64, .i64 = (int64_t)(v) \
    }
#define LOG_ID(k, v)                                  \
    (struct log_pair)                                 \
    {                                                 \
        .key = (k), .kind = LOG_PAIR_ID, .id = (v).id \
    }
#define LOG_ERR(e) LOG_TEXT("error", err_name((e).code)), LOG_TEXT("why", (e).why)

void log_level_set(enum log_level least); /* default LOG_INFO */
bool log_level_by_name(const char *name); /* "debug", "info", "warn" or "error"; false: there is no such one */
void log_pairs(enum log_level level, const char *event, const struct log_pair *pairs, size_t count);

#define log_at(level, event, ...)                                                  \
    log_pairs(level, event, (const struct log_pair[]){ { 0 }, ##__VA_ARGS__ } + 1, \
              sizeof((const struct log_pair[]){ { 0 }, ##__VA_ARGS__ }) / sizeof(struct log_pair) - 1)
#define log_debug(event, ...) log_at(LOG_DEBUG, event, ##__VA_ARGS__)
#define log_info(event, ...) log_at(LOG_INFO, event, ##__VA_ARGS__)
#define log_warn(event, ...) log_at(LOG_WARN, event, ##__VA_ARGS__)
#define log_error(event, ...) log_at(LOG_ERROR, event, ##__VA_ARGS__)

void log_check_failed(const char *condition, const char *file, int line); /* for check_print_by */

#endif
