/* err.h: errors as values.
 *
 * The program is wrong  → check(): it stops, in every build.
 * The world said no     → struct err: a code and a static sentence, returned by value. A function
 * handles an error or returns it; only programs log. `why` is always static text without names or
 * secrets, fit to be shown to the user who caused it. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err_code {
    ERR_NONE,
    ERR_INVALID,  /* the request itself is wrong: 400 */
    ERR_DENIED,   /* who asks may not: 401 or 403 */
    ERR_MISSING,  /* there is no such thing, or it is not yours: 404 */
    ERR_CONFLICT, /* it is not in a state that allows this: 409 */
    ERR_FUNDS,    /* the balance does not cover it: 402 */
    ERR_CAPACITY, /* the market has not that many: 409 */
    ERR_EXPIRED,  /* it was valid once: 410 */
    ERR_LIMIT,    /* a table, message or rate is full: 413, 429 or 503 */
    ERR_IO,       /* the disk, the network or the system refused */
    ERR_CORRUPT,  /* what was stored or sent can't be right */
    ERR_TIMEOUT,  /* nothing came in time */
    ERR_CODE_COUNT
};

struct err {
    enum err_code code;
    const char   *why;
};

#define OK ((struct err){ ERR_NONE, 0 })
#define ERR(name, text) ((struct err){ ERR_##name, (text) })

#define must_check __attribute__((warn_unused_result))

/* The only macro that returns. */
#define TRY(expression)                     \
    do {                                    \
        struct err try_err_ = (expression); \
        if (try_err_.code) return try_err_; \
    } while (0)

/* "invalid", "denied", …: for logs, JSON and exit codes. Never null. */
const char *err_name(enum err_code code);

/* A promise of the program to itself. On in every build; says where, then aborts. */
#define check(condition) ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))
__attribute__((noreturn)) void check_failed(const char *condition, const char *file, int line);

/* What check_failed calls with the sentence before the program ends. The pure modules know no way
 * to print; a program sets one at its start. Default: none. */
typedef void (*check_printer)(const char *condition, const char *file, int line);
void check_print_by(check_printer printer);

#define countof(array) (sizeof(array) / sizeof((array)[0]))

#endif
