#include "market.h"

const char *const unit_names[UNIT_COUNT] = { [UNIT_MACHINE] = "machine", [UNIT_GPU] = "gpu" };

static const struct field recipe_fields[] = {
    FIELD_TEXT(struct recipe_facts, name, SEEN_PUBLIC, COLUMN, "how a quote names it"),
    FIELD_BYTES(struct recipe_facts, hash, SEEN_PUBLIC, LIVE, "SHA-256 of its text"),
    FIELD_TEXT(struct recipe_facts, title, SEEN_PUBLIC, COLUMN, "for people"),
    FIELD_TEXT(struct recipe_facts, image, SEEN_PUBLIC, COLUMN, "OCI image by digest"),
    FIELD_ENUM(struct recipe_facts, unit, unit_names, SEEN_PUBLIC, COLUMN, "what a quantity counts"),
    FIELD_U32(struct recipe_facts, nodes_max, 1, QUANTITY_MAX, SEEN_PUBLIC, COLUMN,
              "most nodes of one cluster"),
    FIELD_U32(struct recipe_facts, cpus_min, 0, 4096, SEEN_PUBLIC, LIVE, "CPUs a device must have"),
    FIELD_U64(struct recipe_facts, memory_min, 0, RECORD_INT_MAX, SEEN_PUBLIC, LIVE,
              "bytes of memory it must have"),
    FIELD_BOOL(struct recipe_facts, egress, SEEN_PUBLIC, LIVE, "its programs reach public addresses"),
    FIELD_MS(struct recipe_facts, ready_timeout, "ready_timeout_ms", SEEN_PUBLIC, LIVE,
             "given up if not ready then"),
    FIELD_MS(struct recipe_facts, silent, "silent_ms", SEEN_PUBLIC, LIVE,
             "before a silent node is called lost"),
    FIELD_MS(struct recipe_facts, missed, "missed_ms", SEEN_PUBLIC, LIVE, "before one that is only missed is"),
    FIELD_BOOL(struct recipe_facts, keeps_state, SEEN_PUBLIC, LIVE, "another takes a lost head's place"),
    FIELD_TEXT(struct recipe_facts, state_lost, SEEN_PUBLIC, LIVE, "what is gone with a head all the same"),
};
const struct record_type recipe_facts_type =
    RECORD_TYPE("recipe", "recipes", struct recipe_facts, recipe_fields, "a kind of cluster");

static const struct field quote_fields[] = {
    FIELD_ID(struct quote, id, SEEN_OWNER, STORED | KEY | COLUMN, "its name"),
    FIELD_ID(struct quote, account, SEEN_OPERATOR, STORED, "who asked"),
    FIELD_TEXT(struct quote, recipe, SEEN_OWNER, STORED | WRITABLE | COLUMN, "kind of cluster"),
    FIELD_U32(struct quote, quantity, 1, QUANTITY_MAX, SEEN_OWNER, STORED | WRITABLE | COLUMN, "units"),
    FIELD_ENUM(struct quote, unit, unit_names, SEEN_OWNER, STORED, "what a unit is"),
    FIELD_NAMED(struct quote, "duration_ms", duration.ms, FIELD_KIND_I64, DURATION_MS_MIN, SPAN_MS_MAX,
                SEEN_OWNER, STORED | WRITABLE | COLUMN, "for how long, in ms"),
    FIELD_MICROS(struct quote, price, "price_micros_per_hour", 0, SEEN_OWNER, STORED | COLUMN,
                 "of one unit for one hour, the same for all"),
    FIELD_U32(struct quote, fee_basis_points, 0, 10000, SEEN_OWNER, STORED,
              "the network's part, inside the price"),
    FIELD_MICROS(struct quote, total, "total_micros", 0, SEEN_OWNER, STORED | COLUMN,
                 "the most that can be charged"),
    FIELD_U32(struct quote, available, 0, UINT32_MAX, SEEN_OWNER, STORED, "units on offer when it was made"),
    FIELD_MS(struct quote, made, "made_ms", SEEN_OWNER, STORED, "when"),
    FIELD_MS(struct quote, expires, "expires_ms", SEEN_OWNER, STORED | COLUMN, "it holds until then"),
    FIELD_BOOL(struct quote, taken, SEEN_OWNER, STORED, "a cluster was made of it"),
};
const struct record_type quote_type =
    RECORD_TYPE("quote", "quotes", struct quote, quote_fields, "a price that holds");

struct err market_total(struct hourly price, uint32_t quantity, struct span duration, struct money *out)
{
    struct money one   = bill_usage(price, 1, duration);
    __int128     total = (__int128)one.micros * quantity;
    if (total > MONEY_MICROS_MAX) return ERR(LIMIT, "that costs more than the network can hold");
    *out = (struct money){ (int64_t)total };
    return OK;
}

struct money market_fee(struct money charge, uint32_t fee_basis_points)
{
    return bill_share(charge, fee_basis_points);
}
