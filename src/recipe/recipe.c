#include "recipe_int.h"

#define PAGE_BYTES 4096

static struct err read_plain(struct yaml *y, struct str text, struct recipe **out, const struct complaint *c)
{
    struct recipe *r = NULL;
    TRY(yaml_load(y, text, c));
    TRY(schema_load(y, text, &r, c));
    struct err e = rules_check(r, y, c);
    if (e.code)
        recipe_free(r);
    else
        *out = r;
    return e;
}

/* A complaint may quote the file, and a terminal obeys control characters: they become '?'. */
static void make_fit(struct text *complaint)
{
    for (size_t i = 0; i < complaint->len; i++) {
        char *c = complaint->ptr + i;
        if (str_is_utf8((struct str){ c, 1 })) continue;
        bool is_c1 = *c == '\xc2' && i + 1 < complaint->len && !str_is_utf8((struct str){ c, 2 });
        if (is_c1) c[1] = '?';
        if (is_c1 || (unsigned char)*c < 0x80) *c = '?';
    }
}

struct err recipe_read(struct str text, const char *file_name, struct recipe **out, struct text *complaint)
{
    struct complaint c = { file_name, complaint };
    struct yaml      y = { .is_loaded = false };
    if (text.len > RECIPE_BYTES_MAX) {
        text_add(complaint_at(&c, 1), STR("the file is larger than 65536 bytes"));
        return ERR(LIMIT, "the recipe is too large");
    }
    struct err e = read_plain(&y, text, out, &c);
    yaml_free(&y);
    if (e.code) make_fit(complaint);
    return e;
}

void recipe_free(struct recipe *r)
{
    if (r) schema_free(r);
}

const struct recipe_service *recipe_service(const struct recipe *r, struct str name)
{
    for (unsigned i = 0; i < r->services_count; i++)
        if (str_eq(str_from(r->services[i].name), name)) return &r->services[i];
    return NULL;
}

bool recipe_is_on(enum recipe_on on, enum recipe_role role)
{
    return on == RECIPE_ON_ANY || on == (role == RECIPE_HEAD ? RECIPE_ON_HEAD : RECIPE_ON_WORKER);
}

uint64_t recipe_shm_bytes(const struct recipe *r, uint64_t memory_bytes)
{
    return memory_bytes / 100 * r->shm_percent / PAGE_BYTES * PAGE_BYTES;
}
