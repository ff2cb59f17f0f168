#include "codec/codec.h"
#include "sys/sys.h"
#include "wg_int.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The kernel's device is told and asked by `wg`, in the namespace where the interface is. One child at a time. */

#define PEER_WORDS 10
#define WORDS_BEFORE 6
#define PEER_LETTERS (BASE64_KEY_TEXT + WG_PLACE_TEXT + WG_ADDRESS_TEXT + 16)

struct command {
    char **words;
    size_t count;
    char  *letters; /* of those words that are written here */
    size_t used;
    size_t size;
};

static void say_next(struct wg_device *d);

static void word(struct command *c, const char *zero_ended)
{
    c->words[c->count++] = (char *)zero_ended;
}

static void word_written(struct command *c, struct text *t)
{
    check(!t->full);
    word(c, text_z(t));
    c->used += t->len + 1;
}

static struct text word_room(struct command *c)
{
    return (struct text){ .ptr = c->letters + c->used, .cap = c->size - c->used };
}

static void peer_words(struct command *c, const struct wg_peer *p)
{
    struct text key = word_room(c);
    word(c, "peer");
    base64_write(p->key, sizeof p->key, &key);
    word_written(c, &key);
    if (p->gone) {
        word(c, "remove");
        return;
    }
    if (p->endpoint[0]) {
        word(c, "endpoint");
        word(c, p->endpoint);
    }
    struct text seconds = word_room(c);
    word(c, "persistent-keepalive");
    text_add_u64(&seconds, p->keepalive_s);
    word_written(c, &seconds);
    struct text address = word_room(c);
    word(c, "allowed-ips");
    if (p->address[0]) {
        text_add(&address, str_from(p->address));
        text_add(&address, strchr(p->address, ':') ? STR("/128") : STR("/32"));
    }
    word_written(c, &address);
}

static struct command command_for(struct wg_device *d, const struct wg_ask *a,
                                  char netns_word[WG_PATH_TEXT + 8])
{
    struct command c = { .size = (a->count + 1) * PEER_LETTERS };
    c.words          = wg_alloc((a->count * PEER_WORDS + WORDS_BEFORE + 4) * sizeof *c.words);
    c.letters        = wg_alloc(c.size);
    if (d->state != WG_STARTING && d->netns[0]) {
        snprintf(netns_word, WG_PATH_TEXT + 8, "--net=%s", d->netns);
        word(&c, "nsenter");
        word(&c, netns_word);
    }
    word(&c, "wg");
    word(&c, a->first || a->peers ? "set" : "show");
    word(&c, d->name);
    for (size_t i = 0; a->peers && i < a->count; i++) peer_words(&c, &a->peers[i]);
    if (a->first) {
        struct text port = word_room(&c);
        word(&c, "private-key");
        word(&c, "/dev/stdin");
        word(&c, "listen-port");
        text_add_u64(&port, d->o.listen_port);
        word_written(&c, &port);
    } else if (!a->peers) {
        word(&c, "dump");
    }
    return c;
}

/* ---- the dump (wg(8)): tabs between; the first line is the device's own ------------------------------------ */

static struct err read_peer(struct str line, struct wg_seen *p)
{
    struct str field[8];
    uint64_t   n;
    for (size_t i = 0; i < countof(field); i++)
        if (str_split(line, '\t', &field[i], &line) != (i + 1 < countof(field)))
            return ERR(CORRUPT, "wg prints what is no peer");
    TRY(base64_read(field[0], p->key, sizeof p->key));
    if (!str_eq(field[2], STR("(none)"))) TRY(str_copy(field[2], p->endpoint, sizeof p->endpoint));
    TRY(str_to_u64(field[4], &n));
    if (n > UINT32_MAX) return ERR(CORRUPT, "a handshake's time can't be right");
    p->handshake_ms = n * 1000;
    TRY(str_to_u64(field[5], &p->rx_bytes));
    return str_to_u64(field[6], &p->tx_bytes);
}

struct err kernel_read_dump(struct str dump, struct wg_answer *out)
{
    struct str line, port;
    uint64_t   n;
    str_split(dump, '\n', &line, &dump);
    for (int i = 0; i < 2; i++) str_split(line, '\t', &port, &line); /* private key, public key */
    str_split(line, '\t', &port, &line);
    TRY(str_to_u64(port, &n));
    if (n > UINT16_MAX) return ERR(CORRUPT, "a port can't be right");
    out->listen_port = (uint16_t)n;
    while (dump.len) {
        str_split(dump, '\n', &line, &dump);
        struct wg_seen *p = answer_push(out);
        if (!p) return ERR(LIMIT, "a device has too many peers");
        TRY(read_peer(line, p));
    }
    return OK;
}

/* ---- one child ---------------------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct wg_device *d = handle->data;
    d->handles--;
    d->speaking = false;
    if (d->state != WG_ENDING) say_next(d);
}

/* What it printed went into a file in memory. */
static struct err read_printed(struct wg_device *d)
{
    char    part[16384];
    ssize_t got;
    if (lseek(d->printed, 0, SEEK_SET) < 0) return ERR(IO, "wg's answer can't be read");
    while ((got = read(d->printed, part, sizeof part)) > 0)
        if (!wg_take_bytes(d, part, (size_t)got)) return ERR(LIMIT, "wg prints too much");
    return got < 0 ? ERR(IO, "wg's answer can't be read") : OK;
}

static void answer(struct wg_device *d, struct err e)
{
    struct wg_answer a = { 0 };
    d->in_len          = 0;
    if (!e.code && !d->asked->peers && !d->asked->first) e = read_printed(d);
    if (!e.code && d->in_len) e = kernel_read_dump((struct str){ d->in, d->in_len }, &a);
    wg_on_answer(d, e, &a);
    answer_free(&a);
    if (e.code) wg_on_lost(d, e);
}

static void on_child_exit(uv_process_t *process, int64_t status, int signal)
{
    struct wg_device *d = process->data;
    d->has_process      = false;
    uv_close((uv_handle_t *)&d->process, on_closed);
    if (d->asked) answer(d, status || signal ? ERR(IO, "wg refused what it was told") : OK);
    sys_close(&d->printed);
}

static struct err memory_file(int *out)
{
    scoped_fd int fd = memfd_create("wg", MFD_CLOEXEC);
    if (fd < 0) return ERR(IO, "the kernel gives no file in memory");
    *out = sys_take_fd(&fd);
    return OK;
}

static struct err key_file(const struct wg_device *d, int *out)
{
    char          letters[BASE64_KEY_TEXT];
    struct text   t  = TEXT_IN(letters);
    scoped_fd int fd = -1;
    TRY(memory_file(&fd));
    base64_write(d->o.secret, sizeof d->o.secret, &t);
    bool written = write(fd, letters, t.len) == (ssize_t)t.len;
    explicit_bzero(letters, sizeof letters);
    if (!written) return ERR(IO, "the device's key can't be handed to wg");
    *out = sys_take_fd(&fd);
    return OK;
}

static struct err child_start(struct wg_device *d, struct wg_ask *a)
{
    char          netns[WG_PATH_TEXT + 8];
    scoped_fd int input = -1;
    TRY(a->first ? key_file(d, &input) : memory_file(&input));
    sys_close(&d->printed);
    TRY(memory_file(&d->printed));
    struct command       c       = command_for(d, a, netns);
    uv_stdio_container_t stdio[] = { { .flags = UV_INHERIT_FD, .data.fd = input },
                                     { .flags = UV_INHERIT_FD, .data.fd = d->printed },
                                     { .flags = UV_IGNORE } };
    uv_process_options_t o       = { .exit_cb     = on_child_exit,
                                     .file        = c.words[0],
                                     .args        = c.words,
                                     .stdio_count = countof(stdio),
                                     .stdio       = stdio };
    int                  failed  = uv_spawn(net_uv_loop(d->net), &d->process, &o);
    d->process.data              = d;
    d->handles++;
    free(c.words);
    free(c.letters);
    if (!failed) {
        d->has_process = true;
        return OK;
    }
    uv_close((uv_handle_t *)&d->process, on_closed);
    sys_close(&d->printed);
    return ERR(MISSING, "wg or nsenter is not there");
}

static void say_next(struct wg_device *d)
{
    if (d->speaking || !d->asked) return;
    d->speaking  = true;
    struct err e = child_start(d, d->asked);
    if (e.code) wg_on_lost(d, e);
}

/* ---- the backend ------------------------------------------------------------------------------------------ */

static void create_run(struct wg_device *d)
{
    d->work_err = memo_write(d->dir, d->name, &d->memo);
    if (!d->work_err.code) d->work_err = iface_create_kernel(d->name);
}

static void create_done(struct wg_device *d)
{
    wg_on_started(d, d->work_err);
}

static void kernel_start(struct wg_device *d)
{
    wg_work(d, create_run, create_done);
}

static void kernel_find(struct wg_device *d)
{
    wg_on_started(d, OK);
}

/* One that is not whole has been moved or not. */
struct err kernel_end(const char *name, const struct wg_memo *m)
{
    struct err here = m->whole ? OK : iface_remove(name, "");
    TRY(iface_remove(name, m->netns));
    return here;
}

static void remove_run(struct wg_device *d)
{
    d->work_err = kernel_end(d->name, &d->memo);
    d->removed  = true; /* what the kernel refuses once it refuses again */
}

static void remove_done(struct wg_device *d)
{
    (void)d; /* is_gone is asked again */
}

static void kernel_halt(struct wg_device *d)
{
    if (!d->working && !d->removed) wg_work(d, remove_run, remove_done);
}

static bool kernel_is_gone(struct wg_device *d)
{
    return !d->working && (d->removed || !d->memo.from[0]);
}

static void kernel_let_go(struct wg_device *d)
{
    if (d->has_process) uv_process_kill(&d->process, SIGKILL); /* its end closes the handle */
}

const struct wg_backend kernel_backend = {
    .start   = kernel_start,
    .find    = kernel_find,
    .say     = say_next,
    .halt    = kernel_halt,
    .is_gone = kernel_is_gone,
    .let_go  = kernel_let_go,
};
