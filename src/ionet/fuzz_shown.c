/* fuzz_shown.c: what reaches a person's terminal, and what a person writes for lengths of time and money. However a text
 * comes in pieces, what is shown of it is the same, and nothing that a terminal obeys. */
#include "base/fuzz.h"
#include "human_int.h"
#include "terminal_int.h"

#include <stdlib.h>
#include <string.h>

static void shown(struct str in, size_t piece)
{
    struct terminal_text whole = { .after = TERMINAL_PLAIN }, parts = whole;
    char                *once = malloc(in.len + 1), *again = malloc(2 * in.len + 2);
    check(once && again);
    size_t len = terminal_text_take(&whole, in, once), got = 0;
    check(len <= in.len + 1);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)once[i];
        check((c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t');
        check(c < 0x80 || c > 0x9f ||
              (i > 0 && (unsigned char)once[i - 1] >= 0x80)); /* U+009B is CSI, so is 9b */
    }
    while (in.len) {
        struct str part = { in.ptr, in.len < piece ? in.len : piece };
        got += terminal_text_take(&parts, part, again + got);
        in = str_skip(in, part.len);
    }
    check(got == len && memcmp(once, again, len) == 0 && whole.after == parts.after);
    free(once);
    free(again);
}

static void said(struct str in)
{
    char         room[64];
    struct text  t = TEXT_IN(room);
    struct span  d;
    struct money m, again;
    if (!human_duration_read(in, &d).code) check(d.ms >= 0 && d.ms <= SPAN_MS_MAX);
    if (human_usdc_read(in, &m).code) return;
    check(m.micros >= 0 && m.micros <= MONEY_MICROS_MAX);
    human_usdc_write(m, &t);
    check(!human_usdc_read(text_str(&t), &again).code && again.micros == m.micros);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = fuzz_all(data, size);
    said(in);
    size_t piece = (size_t)fuzz_u8(&in) % 16 + 1;
    shown(in, piece);
    return 0;
}
