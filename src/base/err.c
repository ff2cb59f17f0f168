#include "err.h"

static const char *const names[ERR_CODE_COUNT] = {
    [ERR_NONE] = "ok",           [ERR_INVALID] = "invalid",
    [ERR_DENIED] = "denied",     [ERR_MISSING] = "missing",
    [ERR_CONFLICT] = "conflict", [ERR_FUNDS] = "funds",
    [ERR_CAPACITY] = "capacity", [ERR_EXPIRED] = "expired",
    [ERR_LIMIT] = "limit",       [ERR_IO] = "io",
    [ERR_CORRUPT] = "corrupt",   [ERR_TIMEOUT] = "timeout",
};

static check_printer printer_now;

const char *err_name(enum err_code code)
{
    return (unsigned)code < ERR_CODE_COUNT ? names[code] : "unknown";
}

void check_print_by(check_printer printer)
{
    printer_now = printer;
}

void check_failed(const char *condition, const char *file, int line)
{
    if (printer_now) printer_now(condition, file, line);
    __builtin_trap();
}
