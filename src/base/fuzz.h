/* fuzz.h: what fuzz targets share. A target is one file, fuzz_NAME.c, beside the parser that it tries: it gives bytes
 * to it and check()s what must then be so. Its corpus, the inputs that are tried at each `make test`, is corpus/NAME.
 *
 * Where an input is more than one text it is read from the front by these; what is not there is zero. */
#ifndef BASE_FUZZ_H
#define BASE_FUZZ_H

#include "str.h"

#define FUZZ_INPUT_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* libFuzzer's name for it; always 0 */

static inline struct str fuzz_all(const uint8_t *data, size_t size)
{
    return (struct str){ (const char *)data, size };
}

static inline uint8_t fuzz_u8(struct str *in)
{
    uint8_t byte = in->len ? (uint8_t)in->ptr[0] : 0;
    *in          = str_skip(*in, 1);
    return byte;
}

static inline uint32_t fuzz_u32(struct str *in)
{
    uint32_t n = 0;
    for (int i = 0; i < 4; i++) n = n << 8 | fuzz_u8(in);
    return n;
}

static inline uint64_t fuzz_u64(struct str *in)
{
    uint64_t high = fuzz_u32(in);
    return high << 32 | fuzz_u32(in);
}

/* Up to the next zero byte, which is dropped: texts stay texts under a fuzzer's hands. */
static inline struct str fuzz_text(struct str *in)
{
    struct str head, tail;
    str_split(*in, 0, &head, &tail);
    *in = tail;
    return head;
}

#endif
