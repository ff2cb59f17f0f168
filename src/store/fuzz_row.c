/* fuzz_row.c: a row of a store that was spoilt: values of any kind in any column. What is read is within its record's limits,
 * what is refused is complained of. */
#include "record/fuzz_record.h"
#include "store_int.h"
#include "with_store_int.h"

static int             columns;
static struct fuzz_ids ids;

/* A statement that gives back what it is given, and as many columns as a machine has. */
static sqlite3_stmt *prepare(void)
{
    static sqlite3      *db;
    static sqlite3_stmt *s;
    char                 room[128];
    struct text          sql = TEXT_IN(room);
    if (s) return s;
    for (uint32_t i = 0; i < machine_type.field_count; i++)
        columns += field_has_column(&machine_type.fields[i]);
    text_add(&sql, STR("SELECT ?1"));
    for (int i = 2; i <= columns; i++) {
        text_add(&sql, STR(", ?"));
        text_add_u64(&sql, (uint64_t)i);
    }
    check(sqlite3_open(":memory:", &db) == SQLITE_OK);
    check(sqlite3_prepare_v2(db, text_z(&sql), -1, &s, NULL) == SQLITE_OK);
    return s;
}

static void bind(sqlite3_stmt *s, int at, struct str *in)
{
    char        room[ID_TEXT];
    struct text t = TEXT_IN(room);
    struct str  part;
    int         rc = SQLITE_OK;
    switch (fuzz_u8(in) % 6) {
    case 0: rc = sqlite3_bind_null(s, at); break;
    case 1: rc = sqlite3_bind_int64(s, at, (sqlite3_int64)fuzz_u64(in)); break;
    case 2: rc = sqlite3_bind_int64(s, at, fuzz_u8(in)); break;
    case 3:
        part = fuzz_text(in);
        rc   = sqlite3_bind_text(s, at, part.ptr ? part.ptr : "", (int)part.len, SQLITE_TRANSIENT);
        break;
    case 4:
        part = fuzz_text(in);
        rc   = sqlite3_bind_blob(s, at, part.ptr ? part.ptr : "", (int)part.len, SQLITE_TRANSIENT);
        break;
    default:
        id_write(fuzz_id(in, ids), &t);
        rc = sqlite3_bind_text(s, at, t.ptr, (int)t.len, SQLITE_TRANSIENT);
        break;
    }
    check(rc == SQLITE_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct id some[] = { { { 1 } }, { { 2 } } };
    struct machine         m      = { .gpus_count = 0 };
    struct str             in     = fuzz_all(data, size);
    sqlite3_stmt          *s      = prepare();
    const struct field    *bad    = NULL;
    char                   room[256];
    struct text            complaint = TEXT_IN(room);
    ids                              = (struct fuzz_ids){ some, countof(some) };
    for (int i = 1; i <= columns; i++) bind(s, i, &in);
    check(sqlite3_step(s) == SQLITE_ROW);
    if (rows_read(s, &machine_type, &m, &complaint).code)
        check(complaint.len > 0);
    else if (record_check(&machine_type, &m, &bad).code)
        check(bad == record_key(&machine_type)); /* a key that is none: looked at once the lists are there */
    sqlite3_reset(s);
    return 0;
}
