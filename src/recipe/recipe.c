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
