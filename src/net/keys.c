/* keys.c: TLS keys in files and in memory. OpenSSL's secure heap holds them: locked, and wiped when they go. */
#include "keys_int.h"

#include <fcntl.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAP_BYTES 131072
#define HEAP_LEAST 32 /* its smallest piece */
#define FILE_BYTES_MAX 8192

/* Decoding a key, OpenSSL frees a copy of it as any other memory (EC_PRIVATEKEY, as of 3.0): meanwhile what this thread
 * frees is wiped. */
static _Thread_local bool wiping;

static void *take(size_t bytes, const char *file, int line)
{
    (void)file, (void)line;
    return malloc(bytes);
}

static void give_back(void *p, const char *file, int line)
{
    (void)file, (void)line;
    if (p && wiping) explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

static void *take_more(void *p, size_t bytes, const char *file, int line)
{
    size_t had = p ? malloc_usable_size(p) : 0;
    if (!wiping || !p) return realloc(p, bytes);
    void *grown = malloc(bytes);
    if (!grown) return NULL;
    memcpy(grown, p, had < bytes ? had : bytes);
    give_back(p, file, line);
    return grown;
}

void keys_prepare(void)
{
    (void)CRYPTO_set_mem_functions(take, take_more, give_back); /* refused: they are set, or it is too late */
}

static bool heap_open(void)
{
    static bool is_open;
    if (!is_open) is_open = CRYPTO_secure_malloc_init(HEAP_BYTES, HEAP_LEAST) == 1; /* 2: it can't be locked */
    return is_open;
}

EVP_PKEY *key_make(void)
{
    return heap_open() ? EVP_EC_gen("P-256") : NULL;
}

BIO *key_encode(EVP_PKEY *key)
{
    BIO *bio   = key && heap_open() ? BIO_new(BIO_s_secmem()) : NULL;
    wiping     = true;
    bool whole = bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    wiping     = false;
    if (whole) return bio;
    BIO_free(bio);
    return NULL;
}

static EVP_PKEY *decode(const char *path, char *room)
{
    int     fd  = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, room, FILE_BYTES_MAX);
    if (fd >= 0) close(fd);
    BIO      *bio = len > 0 ? BIO_new_mem_buf(room, (int)len) : NULL;
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return key;
}

EVP_PKEY *key_read(const char *path)
{
    char *room    = heap_open() ? OPENSSL_secure_malloc(FILE_BYTES_MAX) : NULL;
    wiping        = true;
    EVP_PKEY *key = room ? decode(path, room) : NULL;
    wiping        = false;
    OPENSSL_secure_clear_free(room, FILE_BYTES_MAX);
    return key;
}
