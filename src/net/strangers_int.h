/* strangers_int.h: how much of a server's time an address may take for which nobody vouches.
 *
 * What a connection costs (its handshake, every read, every answer) is put down to its address, until the caller vouches
 * for it: then it is paid back, and no more is put down. An address wears off so many microseconds a second. Beyond
 * STRANGERS_BURST_US its connections are not read until that has worn off, and new ones are refused: first by closing
 * them, and then for STRANGERS_SHUT_MS by a filter at the listening socket, so that they cost the program nothing. Where
 * the kernel does not let the program set one, closing them is all, some 20 us each.
 *
 * Addresses lie in a table of fixed size, in one of a few places each; who owes least gives way. An IPv6 address counts
 * by its first 64 bits. */
#ifndef NET_STRANGERS_INT_H
#define NET_STRANGERS_INT_H

#include <stdbool.h>
#include <stdint.h>

#define STRANGERS_WAYS 8
#define STRANGERS_SETS 512
#define STRANGERS_BURST_US 300000
#define STRANGERS_ARRIVAL_US 300 /* a handshake, put down as it begins */
#define STRANGERS_READ_US 6      /* what a read costs the system, beside our own time */
#define STRANGERS_SHUT_MS 5000
#define STRANGERS_SHUT_MAX 32 /* addresses in the filter; the newest */

struct stranger {
    uint8_t address[16];
    int64_t owes_us; /* as it was then */
    int64_t then_us;
};

struct shut_out {
    uint8_t address[16];
    int64_t until_us;
};

struct strangers {
    uint32_t        us_per_s; /* 1000000: without limit */
    uint64_t        seed;
    struct stranger sets[STRANGERS_SETS][STRANGERS_WAYS];
    struct shut_out shut[STRANGERS_SHUT_MAX]; /* the filter has those whose time is not over */
    bool            filtered;
};

void strangers_init(struct strangers *s, uint32_t us_per_s);
void strangers_charge(struct strangers *s, const uint8_t address[16], int64_t now_us,
                      int64_t us); /* below 0: back */
/* How long until it may take more; 0: it may. */
uint64_t strangers_wait_ms(struct strangers *s, const uint8_t address[16], int64_t now_us);
bool     strangers_may(struct strangers *s, const uint8_t address[16], int64_t now_us);

/* From now on, for a while, the kernel drops what comes to the listening socket from there. */
void strangers_shut_out(struct strangers *s, const uint8_t address[16], int64_t now_us, int listener);
void strangers_let_in(struct strangers *s, int64_t now_us, int listener); /* those whose time is over */

#endif
