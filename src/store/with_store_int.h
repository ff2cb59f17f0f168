/* with_store_int.h: what the tests of the store share: two types of record, a folder with a store in it, and
 * somebody else with SQLite. */
#ifndef STORE_WITH_STORE_INT_H
#define STORE_WITH_STORE_INT_H

#include "store.h"

enum mood { MOOD_CALM, MOOD_WILD, MOOD_COUNT };

struct chip {
    char     name[12];
    uint32_t memory_mib;
    uint32_t heat;
};

struct machine {
    struct device_id  id;
    char              name[16];
    uint64_t          beats;
    struct money      ask;
    bool              held;
    enum mood         mood;
    uint8_t           key[4];
    struct cluster_id cluster;
    uint32_t          load;
    struct chip       gpus[4];
    uint32_t          gpus_count;
};

struct tally {
    uint64_t number;
    uint64_t value;
};

extern const struct record_type machine_type, tally_type;

struct loaded {
    struct machine machines[8];
    struct tally   tallies[4096];
    uint32_t       machine_count, tally_count;
};

struct outcome {
    int        calls;
    struct err result;
};

extern char store_path[96], store_said[512]; /* the store's file; the last complaint */

/* Around each test: a folder of its own, and the pipe that the waker writes a byte into. */
int with_folder(void **state);
int without_folder(void **state);
#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, with_folder, without_folder)
int renew_pipe(void); /* for a child: who was killed may have left a byte in the old one */

struct store_options store_options(void);
struct err           open_with(const struct store_options *o, struct store **out);
struct store        *opened(void);

struct machine a_machine(uint8_t number);
void           put(struct store *s, const struct record_type *type, const void *record);
void           put_tally(struct store *s, uint64_t number, uint64_t value);
void           commit(struct store *s);

struct err     keep_machine(void *context, const void *record);
struct loaded *loaded(struct store *s);
void           sql(const char *statements); /* as somebody else with SQLite would */

void on_done(void *context, struct err result);
void await_wake(void);

#endif
