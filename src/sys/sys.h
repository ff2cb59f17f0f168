/* sys.h: the machine underneath: clocks, randomness, files. Everything blocks only as long as a local
 * disk does. */
#ifndef SYS_SYS_H
#define SYS_SYS_H

#include "base/str.h"
#include "base/units.h"

struct instant        sys_wall_now(void);    /* CLOCK_REALTIME */
uint64_t              sys_boot_now_ms(void); /* CLOCK_BOOTTIME: counts through suspend, starts anew at a boot */
must_check struct err sys_boot_id(char out[33]); /* 32 hex letters, another after each boot */

void sys_random(void *out, size_t bytes); /* from the kernel; ends the program if it has none */

/* A whole file of at most `cap` bytes into room of the caller's. ERR_MISSING if it is not there. */
must_check struct err sys_read_file(const char *path, char *room, size_t cap, size_t *len);
/* The new content or the old, never a part: temporary file, fsync, rename, fsync of the folder. */
must_check struct err sys_write_file(const char *path, struct str content, unsigned mode);
must_check struct err sys_append_synced(int fd, struct str content); /* write all, fdatasync */
/* As mkdir -p: `mode` is the last folder's, those above it get 0755; what is there already keeps its own. */
must_check struct err sys_make_dirs(const char *path, unsigned mode);
must_check struct err
sys_remove_tree(const char *path); /* does not follow links or cross mounts; absent is well */

/* Takes PATH as a lock for the life of this process, so that two never share a state folder. */
must_check struct err sys_lock_file(const char *path, int *fd);

/* A secret of 32 bytes kept in a file (0600), drawn if it is not there yet. */
must_check struct err sys_secret_file(const char *path, uint8_t out[32]);

/* A program's name without a folder becomes the path that PATH gives it, and one from here the whole path, so that all
 * who start it, look for it or say that it may be run mean the same one. Unknown, it stays as it is. */
void sys_find_program(char *name, size_t size);

void sys_close(int *fd); /* for scoped_fd */
#define scoped_fd __attribute__((cleanup(sys_close)))
int sys_take_fd(int *fd); /* the descriptor, out of its scope's hands */

/* A free malloc'd pointer at the end of its scope. */
void sys_free(void *pointer_to_pointer);
#define scoped_mem __attribute__((cleanup(sys_free)))

#endif
