#include "recipe_int.h"

#include <cyaml/cyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MOST 1024

static const cyaml_schema_value_t text_entry = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, TEXT_MOST) };

/* libcyaml takes any word for true; these are the two that are meant. */
static const cyaml_strval_t bools[]     = { { "false", false }, { "true", true } };
static const cyaml_strval_t units[]     = { { "machine", RECIPE_UNIT_MACHINE }, { "gpu", RECIPE_UNIT_GPU } };
static const cyaml_strval_t places[]    = { { "head", RECIPE_ON_HEAD },
                                            { "worker", RECIPE_ON_WORKER },
                                            { "any", RECIPE_ON_ANY } };
static const cyaml_strval_t protocols[] = { { "http", RECIPE_HTTP }, { "tcp", RECIPE_TCP } };
static const cyaml_strval_t owners[]    = { { "root", RECIPE_OWNER_ROOT }, { "user", RECIPE_OWNER_USER } };

#define TEXT(type, member) \
    CYAML_FIELD_STRING_PTR(#member, CYAML_FLAG_POINTER, struct type, member, 1, TEXT_MOST)
#define WORD(type, member, table) \
    CYAML_FIELD_ENUM(#member, CYAML_FLAG_STRICT, struct type, member, table, CYAML_ARRAY_LEN(table))
#define NUMBER(type, member) CYAML_FIELD_UINT(#member, CYAML_FLAG_DEFAULT, struct type, member)
#define TEXTS(type, member, flags, least, most) \
    CYAML_FIELD_SEQUENCE(#member, CYAML_FLAG_POINTER | (flags), struct type, member, &text_entry, least, most)
#define OPTIONAL CYAML_FLAG_OPTIONAL

static const cyaml_schema_field_t user_fields[] = {
    TEXT(recipe_user, name), NUMBER(recipe_user, uid), NUMBER(recipe_user, gid),
    TEXT(recipe_user, home), CYAML_FIELD_END,
};

static const cyaml_schema_field_t tmpfs_fields[] = {
    TEXT(recipe_tmpfs, path),        NUMBER(recipe_tmpfs, size_mib),    NUMBER(recipe_tmpfs, mode),
    WORD(recipe_tmpfs, exec, bools), WORD(recipe_tmpfs, owner, owners), CYAML_FIELD_END,
};
static const cyaml_schema_value_t tmpfs_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct recipe_tmpfs, tmpfs_fields),
};

static const cyaml_schema_value_t port_entry      = { CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, uint16_t) };
static const cyaml_schema_field_t egress_fields[] = {
    NUMBER(recipe_egress, mbit),
    NUMBER(recipe_egress, connections),
    CYAML_FIELD_SEQUENCE("ports", CYAML_FLAG_POINTER, struct recipe_egress, ports, &port_entry, 1,
                         RECIPE_EGRESS_PORTS_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t state_fields[] = {
    TEXTS(recipe_state, copy, 0, 1, RECIPE_ARGS_MAX),
    TEXT(recipe_state, lost),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t part_fields[] = {
    TEXTS(recipe_part, command, 0, 1, RECIPE_ARGS_MAX),
    TEXTS(recipe_part, env, OPTIONAL, 0, RECIPE_ENV_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t witness_fields[] = {
    TEXTS(recipe_witness, command, 0, 1, RECIPE_ARGS_MAX),
    WORD(recipe_witness, on, places),
    NUMBER(recipe_witness, every_ms),
    NUMBER(recipe_witness, grace_ms),
    TEXT(recipe_witness, through),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t service_fields[] = {
    TEXT(recipe_service, name),
    TEXT(recipe_service, title),
    NUMBER(recipe_service, port),
    WORD(recipe_service, on, places),
    WORD(recipe_service, protocol, protocols),
    CYAML_FIELD_STRING_PTR("path", CYAML_FLAG_POINTER | OPTIONAL, struct recipe_service, path, 1, TEXT_MOST),
    TEXTS(recipe_service, env, OPTIONAL, 0, RECIPE_SERVICE_ENV_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t service_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct recipe_service, service_fields),
};

static const cyaml_schema_field_t loss_fields[] = {
    NUMBER(recipe_loss, witness_ms),
    NUMBER(recipe_loss, link_ms),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t ready_fields[] = {
    NUMBER(recipe_ready, timeout_ms),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t recipe_fields[] = {
    TEXT(recipe, name),
    TEXT(recipe, title),
    TEXT(recipe, about),
    TEXT(recipe, image),
    WORD(recipe, unit, units),
    NUMBER(recipe, nodes_max),
    NUMBER(recipe, cpus_min),
    NUMBER(recipe, memory_min_mib),
    NUMBER(recipe, shm_percent),
    CYAML_FIELD_MAPPING("user", CYAML_FLAG_DEFAULT, struct recipe, user, user_fields),
    CYAML_FIELD_SEQUENCE("tmpfs", CYAML_FLAG_POINTER | OPTIONAL, struct recipe, tmpfs, &tmpfs_entry, 0,
                         RECIPE_TMPFS_MAX),
    CYAML_FIELD_MAPPING_PTR("egress", CYAML_FLAG_POINTER | OPTIONAL, struct recipe, egress, egress_fields),
    CYAML_FIELD_MAPPING_PTR("state", CYAML_FLAG_POINTER | OPTIONAL, struct recipe, state, state_fields),
    TEXTS(recipe, sysctls, OPTIONAL, 0, RECIPE_SYSCTLS_MAX),
    TEXTS(recipe, env, OPTIONAL, 0, RECIPE_ENV_MAX),
    TEXTS(recipe, secrets, OPTIONAL, 0, RECIPE_SECRETS_MAX),
    CYAML_FIELD_MAPPING("head", CYAML_FLAG_DEFAULT, struct recipe, head, part_fields),
    CYAML_FIELD_MAPPING("worker", CYAML_FLAG_DEFAULT, struct recipe, worker, part_fields),
    CYAML_FIELD_MAPPING("witness", CYAML_FLAG_DEFAULT, struct recipe, witness, witness_fields),
    CYAML_FIELD_SEQUENCE("services", CYAML_FLAG_POINTER, struct recipe, services, &service_entry, 1,
                         RECIPE_SERVICES_MAX),
    CYAML_FIELD_MAPPING("loss", CYAML_FLAG_DEFAULT, struct recipe, loss, loss_fields),
    CYAML_FIELD_MAPPING("ready", CYAML_FLAG_DEFAULT, struct recipe, ready, ready_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t recipe_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct recipe, recipe_fields),
};

/* ---- what libcyaml says about a mistake -------------------------------------------------------------- */

#define REASON_MOST 160
#define BACKTRACE_MOST 4

/* It tells the reason first, then a backtrace of places, the innermost first. */
struct told {
    char     reason[REASON_MOST];
    size_t   lines[BACKTRACE_MOST];
    unsigned line_count;
};

static void on_log(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    (void)level;
    struct told *told = context;
    char         said[REASON_MOST];
    (void)vsnprintf(said, sizeof said, format, arguments);
    said[strcspn(said, "\n")] = 0;
    const char *line          = strstr(said, "(line: ");
    if (line && said[0] == ' ' && told->line_count < BACKTRACE_MOST)
        told->lines[told->line_count++] = strtoul(line + strlen("(line: "), NULL, 10);
    else if (!told->reason[0])
        memcpy(told->reason, said, sizeof said);
}

/* The same in our words. What follows the beginning is the key or value at fault. */
static const struct {
    const char *theirs, *ours;
} reasons[] = {
    { "Load: Unexpected key: ", "there is no such key: " },
    { "Load: Missing required mapping field: ", "a key is missing: " },
    { "Load: Invalid ENUM value: ", "none of the words allowed here: " },
    { "Load: Invalid UINT value: ", "no number that fits here: " },
    { "Load: Invalid uint64_t value: ", "no number that fits here: " },
    { "Load: STRING length < ", "a text is shorter than " },
    { "Load: STRING length > ", "a text is longer than " },
    { "Load: Expecting ", "expected " },
    { "Load: Insufficient entries ", "too few entries " },
    { "Load: Excessive entries ", "too many entries " },
    { "Load: ", "" },
    { "", "" },
};

/* An unknown key is reported where the one before it ended, a missing one where its mapping ended. */
static size_t line_told(struct yaml *y, const struct told *told, cyaml_err_t code, struct str detail)
{
    size_t near = told->line_count ? told->lines[0] : 1;
    if (code == CYAML_ERR_INVALID_KEY) return yaml_key_line(y, detail, near);
    if (code == CYAML_ERR_MAPPING_FIELD_MISSING) return told->line_count > 1 ? told->lines[1] : 1;
    return near;
}

static void complain(struct yaml *y, const struct told *told, cyaml_err_t code, const struct complaint *c)
{
    size_t i = 0;
    while (!str_starts(str_from(told->reason), str_from(reasons[i].theirs))) i++;
    struct str   detail = str_skip(str_from(told->reason), strlen(reasons[i].theirs));
    struct text *t      = complaint_at(c, line_told(y, told, code, detail));
    text_add(t, str_from(reasons[i].ours));
    for (size_t at = 0; at < detail.len; at++) text_add_char(t, detail.ptr[at] < ' ' ? '?' : detail.ptr[at]);
    if (!detail.len) text_add(t, str_from(cyaml_strerror(code)));
}

static const cyaml_config_t quiet = { .mem_fn = cyaml_mem };

struct err schema_load(struct yaml *y, struct str text, struct recipe **out, const struct complaint *c)
{
    struct told    told   = { .line_count = 0 };
    cyaml_config_t config = {
        .log_fn    = on_log,
        .log_ctx   = &told,
        .mem_fn    = cyaml_mem,
        .log_level = CYAML_LOG_WARNING,
        .flags     = CYAML_CFG_NO_ALIAS,
    };
    cyaml_data_t *data = NULL;
    cyaml_err_t   code =
        cyaml_load_data((const uint8_t *)text.ptr, text.len, &config, &recipe_schema, &data, NULL);
    if (code == CYAML_ERR_OOM) return ERR(LIMIT, "there is no memory for the recipe");
    if (code != CYAML_OK || !data) {
        complain(y, &told, code, c);
        return ERR(INVALID, "the recipe is not as it must be");
    }
    *out = data;
    return OK;
}

void schema_free(struct recipe *r)
{
    (void)cyaml_free(&quiet, &recipe_schema, r, 0);
}
