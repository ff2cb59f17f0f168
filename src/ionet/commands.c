/* commands.c: the table of what `ionet` can do. Parsing, --help and the manual read nothing else. */
#include "commands_int.h"

#define OPTIONS(table) table, countof(table)
#define NO_OPTIONS NULL, 0

static const struct option login_options[] = {
    { "network", "HOST:PORT", "where the network is; kept from the last login" },
    { "pin", "HEX", "SHA-256 of its authority's certificate, as its operator tells it" },
    { "key", "FILE", "the wallet's key file (Solana's id.json form); made if there is none" },
    { "name", "TEXT", "what the network calls this sign-in" },
    { "scopes", "LIST", "read,clusters,devices,operator: what the sign-in may do" },
    { "valid", "DURATION", "how long it is good" },
};
static const struct option key_options[] = {
    { "key", "FILE", "the wallet's key file (Solana's id.json form)" },
};
static const struct option page_options[] = {
    { "limit", "N", "how many at most, up to 200 (50)" },
    { "cursor", "TEXT", "where the page before ended" },
};
static const struct option quote_options[] = {
    { "recipe", "NAME", "kind of cluster: `ionet recipe list` shows them" },
    { "quantity", "N", "how many machines, or GPUs" },
    { "duration", "DURATION", "for how long: 90m, 1h, 2d, 1w" },
};
static const struct option create_options[] = {
    { "quote", "ID", "a quote that holds; or" },
    { "recipe", "NAME", "kind of cluster" },
    { "quantity", "N", "how many machines, or GPUs" },
    { "duration", "DURATION", "for how long: 90m, 1h, 2d, 1w" },
    { "name", "TEXT", "what to call it" },
    { "wait", NULL, "show its phases until it is ready" },
};
static const struct option watch_options[] = {
    { "ready", NULL, "only until it is ready; fails if it ends before" },
};
static const struct option extend_options[] = {
    { "duration", "DURATION", "how much longer: 90m, 1h, 2d, 1w" },
};
static const struct option terminate_options[] = {
    { "wait", NULL, "until all is settled; prints what each node served and earned" },
};
static const struct option logs_options[] = {
    { "node", "ID", "of which node; the head's if none is given" },
    { "follow", NULL, "go on until Ctrl-C" },
};
static const struct option forward_options[] = {
    { "port", "N", "the local port; any that is free if none is given" },
    { "node", "ID", "which node's; the one that the recipe says if none is given" },
    { "env", NULL, "print what a program that uses the service needs set, as shell exports" },
};
static const struct option token_options[] = {
    { "ask", "USDC", "what a unit (a machine, or a GPU) must earn an hour" },
    { "valid", "DURATION", "how long the token waits to be used" },
};
static const struct option gateway_token_options[] = {
    { "valid", "DURATION", "how long the token waits to be used" },
};

const struct command commands[] = {
    { "login", "", "Sign in to a network with a wallet's key.",
      "Signs the network's message with the key and keeps the API key it is given for it, in\n"
      "$IONET_HOME or ~/.config/ionet. The wallet's key never leaves the machine.",
      OPTIONS(login_options), command_login },
    { "key", "", "The wallet's address; makes its key file if there is none.", "Asks nobody.",
      OPTIONS(key_options), command_key },
    { "logout", "", "End this sign-in, here and at the network.", NULL, NO_OPTIONS, command_logout },
    { "account", "", "The same as `account show`.", NULL, NO_OPTIONS, command_account_show },
    { "account show", "", "The account, its balance and its earnings.", NULL, NO_OPTIONS,
      command_account_show },
    { "account transfers", "", "What moved on the account, newest first.", NULL, OPTIONS(page_options),
      command_account_transfers },
    { "recipe list", "", "The kinds of clusters that are offered.", NULL, OPTIONS(page_options),
      command_recipe_list },
    { "recipe show", "NAME", "One kind of cluster and its services.", NULL, NO_OPTIONS, command_recipe_show },
    { "quote", "", "What a cluster would cost at most; holds for five minutes.",
      "What is charged is the time that each machine really served, to the millisecond; the rest comes "
      "back.",
      OPTIONS(quote_options), command_quote },
    { "cluster create", "", "Hire machines that work as one.", "All or none: there is no charge for fewer.",
      OPTIONS(create_options), command_cluster_create },
    { "cluster list", "", "Your clusters, newest first.", NULL, OPTIONS(page_options), command_cluster_list },
    { "cluster show", "CLUSTER", "A cluster, its nodes and what they cost so far.",
      "CLUSTER is an id, or a name that no other of yours has.", NO_OPTIONS, command_cluster_show },
    { "cluster watch", "CLUSTER", "Its phases as they come, until it ends.", NULL, OPTIONS(watch_options),
      command_cluster_watch },
    { "cluster extend", "CLUSTER", "Pay for more time.", NULL, OPTIONS(extend_options),
      command_cluster_extend },
    { "cluster terminate", "CLUSTER", "End it; what was not served is refunded.", NULL,
      OPTIONS(terminate_options), command_cluster_terminate },
    { "cluster logs", "CLUSTER", "What a node's container printed.", NULL, OPTIONS(logs_options),
      command_cluster_logs },
    { "cluster forward", "CLUSTER SERVICE" CLI_PROGRAM, "A local port that leads to a service of the cluster.",
      "Runs until Ctrl-C. Each connection goes through the gateway by a ticket that is renewed in time.\n"
      "Prints the address on a line: it can be waited for.\n\n"
      "With a PROGRAM it runs that, with the service's address and token in its environment (as --env\n"
      "prints them), and ends as it does; `-- bash` is a shell for more of them.",
      OPTIONS(forward_options), command_cluster_forward },
    { "cluster open", "CLUSTER SERVICE", "An address for the browser, good once.", NULL, NO_OPTIONS,
      command_cluster_open },
    { "device token", "", "A token with which one machine joins as yours.", NULL, OPTIONS(token_options),
      command_device_token },
    { "device enroll", "", "The command to run on a machine so that it joins as yours.", NULL,
      OPTIONS(token_options), command_device_enroll },
    { "device list", "", "Your machines.", NULL, OPTIONS(page_options), command_device_list },
    { "device show", "DEVICE", "One machine.", NULL, NO_OPTIONS, command_device_show },
    { "device watch", "", "Your machines as they change.", NULL, NO_OPTIONS, command_device_watch },
    { "device retire", "DEVICE", "Take a machine out of the network for good.", NULL, NO_OPTIONS,
      command_device_retire },
    { "device release", "DEVICE", "Believe a machine again that was held.", NULL, NO_OPTIONS,
      command_device_release },
    { "operator grant", "ACCOUNT USDC", "Give an account test credit.",
      "ACCOUNT is an id or a wallet's address.", NO_OPTIONS, command_operator_grant },
    { "operator gateway-token", "", "A token with which one gateway joins.", NULL,
      OPTIONS(gateway_token_options), command_operator_gateway_token },
    { "operator books", "", "The network's books: their sum is zero.", NULL, NO_OPTIONS,
      command_operator_books },
    { "version", "", "The program's version.", NULL, NO_OPTIONS, command_version },
};
const size_t command_count = countof(commands);
