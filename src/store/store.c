#include "store_int.h"

#include "sys/sys.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOOL_WAIT_MS \
    5000 /* while somebody's tool (a backup, sqlite3) holds the file; our own kind is locked out */

enum commit_state { COMMIT_NONE, COMMIT_ASKED, COMMIT_DONE, COMMIT_STOP };

struct store {
    struct store_options   options;
    sqlite3               *db;
    int                    lock;
    struct type_statements statements[STORE_TYPES_MAX];
    sqlite3_stmt          *begin, *commit, *rollback;

    struct batch filling;    /* the loop's */
    struct batch committing; /* the thread's while a commit is asked */
    struct err   failure;    /* the first; everything after is refused with it */
    store_done   done;
    void        *done_context;

    bool              has_thread;
    pthread_t         thread;
    pthread_mutex_t   mutex; /* guards what follows */
    pthread_cond_t    changed;
    enum commit_state state;
    struct err        result;
};

struct err store_err(int sqlite_code)
{
    switch (sqlite_code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return OK;
    case SQLITE_FULL: return ERR(IO, "the store's disk is full");
    case SQLITE_IOERR: return ERR(IO, "the store's disk refuses");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN: return ERR(IO, "the store's file can't be opened or written");
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return ERR(CONFLICT, "another process holds the store");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return ERR(CORRUPT, "the store's file is damaged or none of ours");
    case SQLITE_NOMEM: return ERR(LIMIT, "there is no memory for the store");
    case SQLITE_CONSTRAINT: return ERR(CORRUPT, "the store refuses a row");
    default: return ERR(IO, "the store's engine refuses");
    }
}

struct err store_run(sqlite3_stmt *s)
{
    (void)sqlite3_step(s);
    return store_err(sqlite3_reset(s));
}

/* ---- a commit, on whichever thread ------------------------------------------------------------------ */

static struct err write_changes(struct store *s)
{
    const struct batch *b = &s->committing;
    for (uint32_t i = 0; i < b->count; i++) {
        const struct change          *c          = &b->changes[i];
        const struct record_type     *type       = s->options.types[c->type];
        const struct type_statements *statements = &s->statements[c->type];
        const void                   *record     = b->bytes + c->at;
        TRY(c->is_deletion ? rows_delete(statements, type, record) : rows_put(statements, type, record));
    }
    return OK;
}

static struct err write_batch(struct store *s)
{
    if (s->committing.count == 0) return OK;
    TRY(store_run(s->begin));
    struct err e = write_changes(s);
    if (!e.code) e = store_run(s->commit);
    if (e.code && !sqlite3_get_autocommit(s->db))
        (void)store_run(s->rollback).code; /* the first error is the one to tell */
    return e;
}

static void *commit_thread(void *argument)
{
    struct store *s = argument;
    pthread_mutex_lock(&s->mutex);
    for (;;) {
        while (s->state != COMMIT_ASKED && s->state != COMMIT_STOP) pthread_cond_wait(&s->changed, &s->mutex);
        if (s->state == COMMIT_STOP) break;
        pthread_mutex_unlock(&s->mutex);
        struct err result = write_batch(s);
        pthread_mutex_lock(&s->mutex);
        s->result = result;
        s->state  = COMMIT_DONE;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->mutex);
        s->options.wake(s->options.wake_context);
        pthread_mutex_lock(&s->mutex);
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

/* Signals are for the loop's thread. */
static struct err start_thread(struct store *s)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&s->thread, NULL, commit_thread, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) return ERR(IO, "no thread can be started");
    s->has_thread = true;
    return OK;
}

static enum commit_state state_of(const struct store *s)
{
    struct store *unlocked = (struct store *)(uintptr_t)s; /* only its mutex is touched */
    pthread_mutex_lock(&unlocked->mutex);
    enum commit_state state = s->state;
    pthread_mutex_unlock(&unlocked->mutex);
    return state;
}

/* ---- open and close ----------------------------------------------------------------------------------- */

static struct err prepare_all(struct store *s)
{
    TRY(store_err(sqlite3_prepare_v2(s->db, "BEGIN IMMEDIATE", -1, &s->begin, NULL)));
    TRY(store_err(sqlite3_prepare_v2(s->db, "COMMIT", -1, &s->commit, NULL)));
    TRY(store_err(sqlite3_prepare_v2(s->db, "ROLLBACK", -1, &s->rollback, NULL)));
    for (uint32_t i = 0; i < s->options.type_count; i++)
        TRY(rows_prepare(s->db, s->options.types[i], &s->statements[i]));
    return OK;
}

static struct err quick_check(struct store *s, struct text *complaint)
{
    sqlite3_stmt *statement = NULL;
    TRY(store_err(sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &statement, NULL)));
    bool       is_row = sqlite3_step(statement) == SQLITE_ROW;
    struct str answer = is_row ? str_from((const char *)sqlite3_column_text(statement, 0)) : STR("no answer");
    bool       fine   = str_eq(answer, STR("ok"));
    if (!fine) text_add(complaint, answer);
    sqlite3_finalize(statement);
    return fine ? OK : ERR(CORRUPT, "the store's file is damaged or none of ours");
}

static struct err lock_store(struct store *s)
{
    char        room[STORE_PATH_MAX + 8];
    struct text path = TEXT_IN(room);
    text_add(&path, str_from(s->options.path));
    text_add(&path, STR(".lock"));
    const char *ended = text_z(&path);
    if (path.full) return ERR(INVALID, "the store's path is too long");
    struct err e = sys_lock_file(ended, &s->lock);
    return e.code == ERR_CONFLICT ? ERR(CONFLICT, "another process holds the store") : e;
}

/* Made here and not by SQLite, so that nobody else may read it; the WAL takes its mode from it. */
static struct err make_file(const char *path)
{
    scoped_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? ERR(IO, "the store's file can't be opened or written") : OK;
}

static struct err open_database(struct store *s, struct text *complaint)
{
    static const char settings[] = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
                                   "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                   "PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY";
    TRY(lock_store(s));
    TRY(make_file(s->options.path));
    TRY(store_err(
        sqlite3_open_v2(s->options.path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL)));
    TRY(store_err(sqlite3_busy_timeout(s->db, TOOL_WAIT_MS)));
    TRY(store_err(sqlite3_exec(s->db, settings, NULL, NULL, NULL)));
    TRY(quick_check(s, complaint));
    TRY(schema_open(s->db, &s->options, complaint));
    return prepare_all(s);
}

struct err store_open(const struct store_options *options, struct store **out, struct text *complaint)
{
    check(options->type_count <= STORE_TYPES_MAX && options->wake);
    for (uint32_t i = 0; i < options->type_count; i++) {
        check(record_type_is_sound(options->types[i]));
        (void)record_key(options->types[i]); /* checks that there is one */
    }
    struct store *s = calloc(1, sizeof *s);
    if (!s) return ERR(LIMIT, "there is no memory for the store");
    s->options = *options;
    s->lock    = -1;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->changed, NULL);
    struct err e = open_database(s, complaint);
    if (!e.code) e = start_thread(s);
    if (e.code)
        store_close(s);
    else
        *out = s;
    return e;
}

static void stop_thread(struct store *s)
{
    pthread_mutex_lock(&s->mutex);
    while (s->state == COMMIT_ASKED) pthread_cond_wait(&s->changed, &s->mutex);
    s->state = COMMIT_STOP;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    pthread_join(s->thread, NULL);
}

void store_close(struct store *s)
{
    if (!s) return;
    if (s->has_thread) stop_thread(s);
    for (uint32_t i = 0; i < s->options.type_count; i++) rows_finish(&s->statements[i]);
    sqlite3_finalize(s->begin);
    sqlite3_finalize(s->commit);
    sqlite3_finalize(s->rollback);
    sqlite3_close(s->db);
    sys_close(&s->lock);
    batch_free(&s->filling);
    batch_free(&s->committing);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

/* ---- the loop's side ---------------------------------------------------------------------------------- */

static uint32_t type_place(const struct store *s, const struct record_type *type)
{
    uint32_t i = 0;
    while (i < s->options.type_count && s->options.types[i] != type) i++;
    check(i < s->options.type_count);
    return i;
}

static struct err remember(struct store *s, struct err e)
{
    if (e.code && !s->failure.code) s->failure = e;
    return e;
}

struct err store_load(struct store *s, const struct record_type *type, store_each each, void *context,
                      struct text *complaint)
{
    TRY(s->failure);
    check(!store_is_busy(s) && s->filling.count == 0);
    return remember(s, rows_load(&s->statements[type_place(s, type)], type, each, context, complaint));
}

static struct err add_change(struct store *s, const struct record_type *type, const void *record,
                             bool is_deletion)
{
    const struct field *key = record_key(type);
    check(key->kind != FIELD_KIND_ID || !id_is_none(field_id(key, record)));
    TRY(s->failure);
    return remember(s, batch_put(&s->filling, s->options.types, type_place(s, type), record, is_deletion));
}

struct err store_put(struct store *s, const struct record_type *type, const void *record)
{
    return add_change(s, type, record, false);
}

struct err store_delete(struct store *s, const struct record_type *type, const void *record)
{
    return add_change(s, type, record, true);
}

static void swap_batches(struct store *s)
{
    struct batch full = s->filling;
    s->filling        = s->committing;
    s->committing     = full;
}

struct err store_commit(struct store *s, store_done done, void *context)
{
    TRY(s->failure);
    check(!store_is_busy(s));
    swap_batches(s);
    s->done         = done;
    s->done_context = context;
    pthread_mutex_lock(&s->mutex);
    s->state = COMMIT_ASKED;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    return OK;
}

bool store_is_busy(const struct store *s)
{
    return state_of(s) != COMMIT_NONE;
}

void store_finish(struct store *s)
{
    pthread_mutex_lock(&s->mutex);
    bool       is_done = s->state == COMMIT_DONE;
    struct err result  = s->result;
    if (is_done) s->state = COMMIT_NONE;
    pthread_mutex_unlock(&s->mutex);
    if (!is_done) return;

    batch_clear(&s->committing);
    result = remember(s, result);
    s->done(s->done_context, result); /* may well begin the next commit */
}

struct err store_commit_now(struct store *s)
{
    TRY(s->failure);
    check(!store_is_busy(s));
    swap_batches(s);
    struct err e = remember(s, write_batch(s));
    batch_clear(&s->committing);
    return e;
}
