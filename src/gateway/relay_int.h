/* relay_int.h: a blind forwarder for pairs of nodes that can't reach each other.
 *
 * A pair has two ports: a sends to base + 2 slot, b to base + 2 slot + 1, and what comes in on one leaves from the
 * other. The relay has no keys and can read nothing; that is why it must be careful whom it serves:
 *
 *   - The place (address and port) of a side is first taken from a WireGuard handshake that comes from the address
 *     where the meeting point saw that node, with a `mac1` made for the other side's public key (WireGuard
 *     whitepaper, 5.4.4). Who does not know that key, or sits elsewhere, gets nothing out of it.
 *   - Another place is believed of a packet for a receiver index that the other side gave out in a handshake: another
 *     port of the same address (routers change ports), or the address where the meeting point sees the node now.
 *   - What is no WireGuard message is dropped; so is what comes faster than the pair may.
 *   - After RELAY_IDLE_MS, when any session is dead anyway, the places are forgotten.
 *
 * What it has learned it keeps in a file, so that sessions go on over a restart without a new handshake, which
 * WireGuard would begin only after 15 s of silence.
 *
 * It runs on a thread of its own; bulk and control must not share a loop. All calls are for one other thread: they
 * leave a note and return. */
#ifndef GATEWAY_RELAY_INT_H
#define GATEWAY_RELAY_INT_H

#include "base/err.h"
#include "base/str.h"
#include "mesh/mesh.h"

#define RELAY_SLOTS_MAX 30000
#define RELAY_IDLE_MS 180000          /* WireGuard's REJECT_AFTER_TIME */
#define RELAY_STRANGERS_PER_SECOND 64 /* packets of unknown places looked at, a side */

struct relay;

struct relay_options {
    const char *address; /* numeric, to listen on */
    uint16_t    port_base;
    uint32_t    slots;
    uint32_t    pair_mbit_per_s; /* 0: without limit */
    const char *keep_path;       /* null: nothing is kept */
};

struct relay_counts {
    uint64_t bytes;     /* forwarded */
    uint64_t strangers; /* packets refused by the rules above, joined ones as one */
    uint64_t slow;      /* bytes dropped because a pair or a socket had had enough */
    uint64_t pairs;     /* served now */
    uint64_t
        failed; /* pairs without ports now: taken, or no more descriptors; tried for again every few seconds */
};

must_check struct err relay_open(const struct relay_options *o, struct relay **out);
void                  relay_close(struct relay *r);

/* Serves the pair from now on, in place of what the slot had before. ERR_INVALID: there is no such slot. */
must_check struct err relay_set_pair(struct relay *r, uint32_t slot, const uint8_t key_a[MESH_KEY_BYTES],
                                     const uint8_t key_b[MESH_KEY_BYTES]);
void                  relay_drop_pair(struct relay *r, uint32_t slot);

/* Where a side's node was seen: "203.0.113.7:4711", of which only the address counts. "" forgets. */
void relay_set_seen(struct relay *r, uint32_t slot, bool is_b, const char *seen);

struct relay_counts relay_counts(struct relay *r);

/* ---- what is kept of a side (relay_keep.c) --------------------------------------------------------------- */

#define RELAY_GIVEN_MAX 4 /* receiver indices remembered: the sessions before, now and next */
#define RELAY_PLACE_BYTES 28

struct relay_known {
    uint32_t slot;
    bool     is_b;
    uint8_t  mac1_key[32];             /* whose it is: what was learned of another key counts for nothing */
    uint8_t  place[RELAY_PLACE_BYTES]; /* a sockaddr, as the kernel has it */
    uint32_t given[RELAY_GIVEN_MAX];
    uint32_t given_at;
};

/* One line of the file. */
void                  relay_known_write(const struct relay_known *k, struct text *out);
must_check struct err relay_known_read(struct str line, struct relay_known *out);
#define RELAY_KNOWN_LINE 256
/* Whole or not at all; not synced: what it tells of does not outlive the machine by much either. */
must_check struct err relay_known_save(const char *path, struct str content);

/* ---- what a WireGuard message is, as far as the relay sees (relay_packet.c) -------------------------- */

enum packet_kind { PACKET_NONE, PACKET_INITIATION, PACKET_RESPONSE, PACKET_COOKIE, PACKET_DATA };

#define PACKET_INITIATION_BYTES 148
#define PACKET_RESPONSE_BYTES 92
#define PACKET_COOKIE_BYTES 64
#define PACKET_DATA_BYTES_LEAST 32

enum packet_kind packet_kind(const uint8_t *bytes, size_t count); /* by its shape */
uint32_t         packet_sender(const uint8_t *bytes);             /* of an initiation or a response */
uint32_t         packet_receiver(enum packet_kind kind, const uint8_t *bytes); /* of all but an initiation */

/* The key under which a handshake to the owner of this public key is marked. */
void packet_mac1_key(const uint8_t public_key[MESH_KEY_BYTES], uint8_t out[32]);
/* Whether a handshake (initiation or response) is marked so. */
bool packet_mac1_is_right(enum packet_kind kind, const uint8_t *bytes, const uint8_t mac1_key[32]);
void packet_mac1(const uint8_t mac1_key[32], const uint8_t *bytes, size_t count, uint8_t out[16]);

#endif
