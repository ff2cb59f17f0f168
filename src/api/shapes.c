/* shapes.c: the field tables of what requests bring and answers show. */
#include "shapes_int.h"

#include "recipe/recipe.h"

#define YEAR_MS ((int64_t)366 * MS_PER_DAY)
#define FIELD_SPAN(type, member, name, least, most, seen, flags, doc) \
    FIELD_NAMED(type, name, member.ms, FIELD_KIND_I64, least, most, seen, flags, doc)
#define MUST WRITABLE
#define MAY (WRITABLE | OPTIONAL)

/* ---- requests ------------------------------------------------------------------------------------------- */

static const struct field nonce_request_fields[] = {
    FIELD_TEXT(struct nonce_request, public_key, SEEN_OWNER, MUST, "the wallet's key, base 58"),
};
const struct record_type nonce_request_type = RECORD_TYPE(
    "nonce_request", "nonce_requests", struct nonce_request, nonce_request_fields, "who wants to sign in");

static const struct field session_request_fields[] = {
    FIELD_TEXT(struct session_request, public_key, SEEN_OWNER, MUST, "the wallet's key, base 58"),
    FIELD_BYTES(struct session_request, nonce, SEEN_OWNER, MUST, "as it was given"),
    FIELD_BYTES(struct session_request, signature, SEEN_OWNER, MUST, "Ed25519 over the message"),
    FIELD_TEXT(struct session_request, name, SEEN_OWNER, MAY, "what the key is for"),
    /* At least one: who asks for none is not to get all. */
    { "scopes", FIELD_KIND_SET, FIELD_PLACE(struct session_request, scopes), 1, SCOPE_ALL, SEEN_OWNER, MAY,
      key_scope_names, NULL, 0, "what it may do; left out: all" },
    FIELD_SPAN(struct session_request, valid, "valid_ms", 1000, YEAR_MS, SEEN_OWNER, MAY, "left out: 30 days"),
};
const struct record_type session_request_type =
    RECORD_TYPE("session_request", "session_requests", struct session_request, session_request_fields,
                "the proof of a key");

static const struct field cluster_request_fields[] = {
    FIELD_NAMED(struct cluster_request, "quote", quote, FIELD_KIND_ID, 0, 0, SEEN_OWNER, MUST,
                "the quote to take"),
    FIELD_TEXT(struct cluster_request, name, SEEN_OWNER, MAY,
               "1 to 63 of a-z, 0-9 and '-'; left out: the recipe's"),
};
const struct record_type cluster_request_type =
    RECORD_TYPE("cluster_request", "cluster_requests", struct cluster_request, cluster_request_fields,
                "a cluster of a quote");

static const struct field extend_request_fields[] = {
    FIELD_SPAN(struct extend_request, duration, "duration_ms", DURATION_MS_MIN, SPAN_MS_MAX, SEEN_OWNER, MUST,
               "so much longer"),
};
const struct record_type extend_request_type =
    RECORD_TYPE("extend_request", "extend_requests", struct extend_request, extend_request_fields, "more time");

static const struct field ticket_request_fields[] = {
    FIELD_TEXT(struct ticket_request, service, SEEN_OWNER, MUST, "one of the cluster's services, or \"logs\""),
    FIELD_NAMED(struct ticket_request, "node", node, FIELD_KIND_ID, 0, 0, SEEN_OWNER, MAY,
                "left out: the head"),
    FIELD_BOOL(struct ticket_request, once, SEEN_OWNER, MAY, "good once, in a browser's address line"),
};
const struct record_type ticket_request_type = RECORD_TYPE(
    "ticket_request", "ticket_requests", struct ticket_request, ticket_request_fields, "what is to be opened");

static const struct field token_request_fields[] = {
    { "for", FIELD_KIND_ENUM, FIELD_PLACE(struct token_request, purpose), 0, TOKEN_FOR_COUNT - 1, SEEN_OWNER,
      MUST, token_for_names, NULL, 0, "what is to join" },
    FIELD_NAMED(struct token_request, "ask_micros_per_hour", ask.micros, FIELD_KIND_I64, 0, HOURLY_MICROS_MAX,
                SEEN_OWNER, MAY, "a device's price: of one GPU, or of a machine without, for an hour"),
    FIELD_SPAN(struct token_request, valid, "valid_ms", 1000, YEAR_MS, SEEN_OWNER, MAY, "left out: a day"),
};
const struct record_type token_request_type =
    RECORD_TYPE("token_request", "token_requests", struct token_request, token_request_fields, "who may join");

static const struct field grant_request_fields[] = {
    FIELD_TEXT(struct grant_request, account, SEEN_OPERATOR, MUST, "its id, or its key in base 58"),
    FIELD_MICROS(struct grant_request, amount, "amount_micros", 1, SEEN_OPERATOR, MUST, "micro-USDC"),
};
const struct record_type grant_request_type =
    RECORD_TYPE("grant_request", "grant_requests", struct grant_request, grant_request_fields, "test credit");

/* ---- answers --------------------------------------------------------------------------------------------- */

static const struct field health_fields[] = {
    FIELD_TEXT(struct health, status, SEEN_PUBLIC, LIVE, "ok"),
    FIELD_U64(struct health, epoch, 0, RECORD_INT_MAX, SEEN_PUBLIC, LIVE,
              "grows with each start of the network"),
};
const struct record_type health_type =
    RECORD_TYPE("health", "healths", struct health, health_fields, "the network is there");

static const struct field nonce_reply_fields[] = {
    FIELD_TEXT(struct nonce_reply, public_key, SEEN_PUBLIC, LIVE, "for whom"),
    FIELD_BYTES(struct nonce_reply, nonce, SEEN_PUBLIC, LIVE, "good once"),
    FIELD_LINES(struct nonce_reply, message, SEEN_PUBLIC, LIVE, "to be signed as it is"),
    FIELD_MS(struct nonce_reply, expires, "expires_ms", SEEN_PUBLIC, LIVE, "good until then"),
};
const struct record_type nonce_reply_type =
    RECORD_TYPE("nonce", "nonces", struct nonce_reply, nonce_reply_fields, "a sign-in that is under way");

static const struct field session_reply_fields[] = {
    FIELD_TEXT(struct session_reply, key, SEEN_OWNER, LIVE, "the bearer key: shown this once"),
    FIELD_ID(struct session_reply, account, SEEN_OWNER, LIVE, "whose"),
    FIELD_BOOL(struct session_reply, operator, SEEN_OWNER, LIVE, "the network's operator"),
    FIELD_SET(struct session_reply, scopes, key_scope_names, SEEN_OWNER, LIVE, "what it may do"),
    FIELD_MS(struct session_reply, expires, "expires_ms", SEEN_OWNER, LIVE, "good until then"),
};
const struct record_type session_reply_type =
    RECORD_TYPE("session", "sessions", struct session_reply, session_reply_fields, "a new API key");

static const struct field account_now_fields[] = {
    FIELD_MICROS(struct account_now, balance, "balance_micros", 0, SEEN_OWNER, LIVE, "to spend"),
    FIELD_MICROS(struct account_now, earnings, "earnings_micros", 0, SEEN_OWNER, LIVE, "earned by lending"),
};
const struct record_type account_now_type =
    RECORD_TYPE("account_now", "accounts_now", struct account_now, account_now_fields, "an account's money");

static const char *const book_names[BOOK_COUNT] = { "balance", "earnings" };

static const struct field transfer_now_fields[] = {
    FIELD_ENUM(struct transfer_now, book, book_names, SEEN_OWNER, LIVE, "which of the account's two books"),
    FIELD_MICROS(struct transfer_now, change, "change_micros", -MONEY_MICROS_MAX, SEEN_OWNER, LIVE,
                 "what it did to that: below zero when it was taken"),
};
const struct record_type transfer_now_type =
    RECORD_TYPE("transfer_now", "transfers_now", struct transfer_now, transfer_now_fields,
                "a transfer, seen from an account");

static const struct field recipe_about_fields[] = {
    FIELD_LINES(struct recipe_about, about, SEEN_PUBLIC, LIVE, "what it is good for"),
};
const struct record_type recipe_about_type = RECORD_TYPE("recipe_about", "recipes_about", struct recipe_about,
                                                         recipe_about_fields, "a recipe for people");

static const char *const protocol_names[] = { [RECIPE_HTTP] = "http", [RECIPE_TCP] = "tcp" };
static const char *const on_names[]       = {
    [RECIPE_ON_HEAD] = "head", [RECIPE_ON_WORKER] = "worker", [RECIPE_ON_ANY] = "any"
};

static const struct field service_now_fields[] = {
    FIELD_TEXT(struct service_now, name, SEEN_PUBLIC, LIVE, "its name in tickets and host names"),
    FIELD_TEXT(struct service_now, title, SEEN_PUBLIC, LIVE, "for people"),
    FIELD_U32(struct service_now, port, 0, 65535, SEEN_PUBLIC, LIVE, "inside the cluster"),
    FIELD_ENUM(struct service_now, protocol, protocol_names, SEEN_PUBLIC, LIVE, "what it speaks"),
    FIELD_ENUM(struct service_now, on, on_names, SEEN_PUBLIC, LIVE, "which nodes have it"),
    FIELD_TEXT(struct service_now, path, SEEN_PUBLIC, LIVE, "where a browser starts"),
};
const struct record_type service_now_type = RECORD_TYPE("service", "services", struct service_now,
                                                        service_now_fields, "what can be opened in a cluster");

static const struct field cluster_now_fields[] = {
    FIELD_MICROS(struct cluster_now, charged, "charged_now_micros", 0, SEEN_OWNER, LIVE,
                 "charged up to now, what is not settled yet included"),
};
const struct record_type cluster_now_type = RECORD_TYPE("cluster_now", "clusters_now", struct cluster_now,
                                                        cluster_now_fields, "a cluster at this moment");

static const struct field node_now_fields[] = {
    FIELD_TEXT(struct node_now, address, SEEN_OWNER, LIVE, "in the cluster's mesh"),
    FIELD_TEXT(struct node_now, device_name, SEEN_OWNER, LIVE, "what its supplier calls the machine"),
    FIELD_MICROS(struct node_now, charged, "charged_now_micros", 0, SEEN_OWNER, LIVE, "charged up to now"),
};
const struct record_type node_now_type =
    RECORD_TYPE("node_now", "nodes_now", struct node_now, node_now_fields, "a node at this moment");

static const struct field ticket_reply_fields[] = {
    FIELD_TEXT(struct ticket_reply, ticket, SEEN_OWNER, LIVE, "for the gateway"),
    FIELD_TEXT(struct ticket_reply, gateway, SEEN_OWNER, LIVE, "host:port to connect to"),
    FIELD_TEXT(struct ticket_reply, host, SEEN_OWNER, LIVE, "the service's name there"),
    FIELD_MS(struct ticket_reply, expires, "expires_ms", SEEN_OWNER, LIVE, "good until then"),
    FIELD_TEXT(struct ticket_reply, token, SEEN_OWNER, LIVE,
               "the service's own token; \"\" if it asks for none"),
    FIELD_LINES(
        struct ticket_reply, env, SEEN_OWNER, LIVE,
        "what the service's programs want set, NAME=VALUE a line; ${address}: HOST:PORT where they reach it"),
};
const struct record_type ticket_reply_type =
    RECORD_TYPE("ticket", "tickets", struct ticket_reply, ticket_reply_fields, "leave to open a service");

static const struct field token_reply_fields[] = {
    FIELD_TEXT(struct token_reply, token, SEEN_OWNER, LIVE, "HOST:PORT.PIN.SECRET: shown this once"),
    FIELD_MS(struct token_reply, expires, "expires_ms", SEEN_OWNER, LIVE, "good until then, and once"),
};
const struct record_type token_reply_type =
    RECORD_TYPE("join_token", "join_tokens", struct token_reply, token_reply_fields, "leave to join");

static const struct field grant_reply_fields[] = {
    FIELD_ID(struct grant_reply, account, SEEN_OPERATOR, LIVE, "who got it"),
    FIELD_MICROS(struct grant_reply, balance, "balance_micros", 0, SEEN_OPERATOR, LIVE, "now"),
};
const struct record_type grant_reply_type =
    RECORD_TYPE("grant", "grants", struct grant_reply, grant_reply_fields, "test credit that was given");

#define BOOK(member, doc) \
    FIELD_MICROS(struct books, member, #member "_micros", -MONEY_MICROS_MAX, SEEN_OPERATOR, LIVE, doc)

static const struct field books_fields[] = {
    BOOK(sum, "of all that follow: zero"),
    BOOK(escrow, "held for clusters"),
    BOOK(balances, "of all accounts"),
    BOOK(earnings, "of all suppliers"),
    BOOK(fees, "the network's"),
    BOOK(outside, "what came in, below zero"),
    FIELD_U64(struct books, transfers, 0, RECORD_INT_MAX, SEEN_OPERATOR, LIVE, "so many"),
};
const struct record_type books_type =
    RECORD_TYPE("books", "books", struct books, books_fields, "all money there is");

/* ---- shapes ------------------------------------------------------------------------------------------------ */

static const struct api_shape shape_service = { .name = "service", .parts = { &service_now_type } };
static const struct api_shape shape_node    = { .name = "node", .parts = { &node_type, &node_now_type } };

const struct api_shape shape_health   = { .name = "health", .parts = { &health_type } };
const struct api_shape shape_nonce    = { .name = "nonce", .parts = { &nonce_reply_type } };
const struct api_shape shape_session  = { .name = "session", .parts = { &session_reply_type } };
const struct api_shape shape_account  = { .name = "account", .parts = { &account_type, &account_now_type } };
const struct api_shape shape_transfer = { .name = "transfer", .parts = { &transfer_type, &transfer_now_type } };
const struct api_shape shape_quote    = { .name = "quote", .parts = { &quote_type } };
const struct api_shape shape_ticket   = { .name = "ticket", .parts = { &ticket_reply_type } };
const struct api_shape shape_token    = { .name = "join_token", .parts = { &token_reply_type } };
const struct api_shape shape_device   = { .name = "device", .parts = { &device_type } };
const struct api_shape shape_grant    = { .name = "grant", .parts = { &grant_reply_type } };
const struct api_shape shape_books    = { .name = "books", .parts = { &books_type } };
const struct api_shape shape_recipe   = { .name  = "recipe",
                                          .parts = { &recipe_facts_type, &recipe_about_type },
                                          .lists = {
                                            { "services", &shape_service, "what can be opened in it" } } };
const struct api_shape shape_cluster  = {
     .name  = "cluster",
     .parts = { &cluster_type, &cluster_now_type },
     .lists = { { "services", &shape_service, "what can be opened in it" },
                { "nodes", &shape_node, "all it ever had; not in lists of clusters" } },
};
