/* commands_int.h: what the rows of the table in commands.c call, and what several of them use. */
#ifndef IONET_COMMANDS_INT_H
#define IONET_COMMANDS_INT_H

#include "api_int.h"
#include "cli_int.h"
#include "sheet_int.h"

#include "cluster/cluster.h"

struct err command_version(struct cli *c);
struct err command_key(struct cli *c);
struct err command_login(struct cli *c);
struct err command_logout(struct cli *c);
struct err command_account_show(struct cli *c);
struct err command_account_transfers(struct cli *c);
struct err command_recipe_list(struct cli *c);
struct err command_recipe_show(struct cli *c);
struct err command_quote(struct cli *c);
struct err command_cluster_create(struct cli *c);
struct err command_cluster_list(struct cli *c);
struct err command_cluster_show(struct cli *c);
struct err command_cluster_watch(struct cli *c);
struct err command_cluster_extend(struct cli *c);
struct err command_cluster_terminate(struct cli *c);
struct err command_cluster_logs(struct cli *c);
struct err command_cluster_forward(struct cli *c);
struct err command_cluster_open(struct cli *c);
struct err command_device_token(struct cli *c);
struct err command_device_enroll(struct cli *c);
struct err command_device_list(struct cli *c);
struct err command_device_show(struct cli *c);
struct err command_device_watch(struct cli *c);
struct err command_device_retire(struct cli *c);
struct err command_device_release(struct cli *c);
struct err command_operator_grant(struct cli *c);
struct err command_operator_gateway_token(struct cli *c);
struct err command_operator_books(struct cli *c);

/* --json: the answer as it came, on a line. */
void print_json(struct str json);
/* GET path, by --limit and --cursor; and a word on standard error if there are more. */
must_check struct err page_ask(struct cli *c, const char *path, struct api_reply *out);
void                  page_say_more(const struct api_reply *r);
/* Both, and a table of the items between; `record` is room for one. `none` says what to do where there are none yet. */
must_check struct err print_page(struct cli *c, const char *path, const struct record_type *type, void *record,
                                 sheet_amend *amend, const char *none);

/* Options as what they mean. One that was not given leaves *out as it was; option_needed makes that an error. */
must_check struct err option_duration(struct cli *c, const char *name, struct span *out);
must_check struct err option_usdc(struct cli *c, const char *name, struct money *out);
must_check struct err option_count(struct cli *c, const char *name, int64_t least, int64_t most, int64_t *out);
must_check struct err option_needed(struct cli *c, const char *name, const char **out);

int64_t member_i64(struct json_value object, const char *name); /* 0 if it is no number */

/* Phases, live. WATCH_FOREVER ends with the cluster as well. */
enum watch_until { WATCH_READY, WATCH_ENDED, WATCH_FOREVER };
must_check struct err watch_cluster(struct cli *c, const char *name, enum watch_until until);

void                  settlement_print(struct json_value cluster,
                                       FILE             *to); /* what each node served and earned, and that it adds up */
must_check struct err quote_ask(struct cli       *c,
                                struct api_reply *out); /* from --recipe, --quantity and --duration */
void                  quote_print(struct json_value quote, FILE *to);

#endif
