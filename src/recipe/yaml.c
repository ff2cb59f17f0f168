#include "recipe_int.h"

struct text *complaint_at(const struct complaint *c, size_t line)
{
    text_add(c->text, str_from(c->file_name));
    text_add_char(c->text, ':');
    text_add_u64(c->text, line);
    text_add(c->text, STR(": "));
    return c->text;
}

static struct err not_plain(void)
{
    return ERR(INVALID, "the recipe is no plain YAML");
}

static struct str scalar_of(const yaml_node_t *n)
{
    if (n->type != YAML_SCALAR_NODE) return STR("");
    return (struct str){ (const char *)n->data.scalar.value, n->data.scalar.length };
}

/* A pair's key; null past the last. */
static yaml_node_t *key_at(struct yaml *y, const yaml_node_t *mapping, size_t i)
{
    const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start + i;
    return pair < mapping->data.mapping.pairs.top ? yaml_document_get_node(&y->document, pair->key) : NULL;
}

static yaml_node_t *value_at(struct yaml *y, const yaml_node_t *mapping, size_t i)
{
    return yaml_document_get_node(&y->document, mapping->data.mapping.pairs.start[i].value);
}

static struct err refuse_twins(struct yaml *y, const yaml_node_t *mapping, const struct complaint *c)
{
    const yaml_node_t *key, *earlier;
    for (size_t i = 0; (key = key_at(y, mapping, i)); i++) {
        for (size_t j = 0; j < i && (earlier = key_at(y, mapping, j)); j++) {
            if (!str_eq(scalar_of(key), scalar_of(earlier))) continue;
            struct text *t = complaint_at(c, key->start_mark.line + 1);
            text_add(t, STR("a key stands twice: "));
            text_add(t, scalar_of(key));
            return not_plain();
        }
    }
    return OK;
}

/* Nodes are numbered from 1 to the document's last. */
static struct err refuse_all_twins(struct yaml *y, const struct complaint *c)
{
    yaml_node_t *n;
    for (int i = 1; (n = yaml_document_get_node(&y->document, i)); i++)
        if (n->type == YAML_MAPPING_NODE) TRY(refuse_twins(y, n, c));
    return OK;
}

static struct err load_failed(const yaml_parser_t *parser, const struct complaint *c)
{
    struct text *t = complaint_at(c, parser->problem_mark.line + 1);
    text_add(t, str_from(parser->problem ? parser->problem : "no YAML"));
    return not_plain();
}

static struct err refuse_second(yaml_parser_t *parser, const struct complaint *c)
{
    yaml_document_t second;
    if (!yaml_parser_load(parser, &second)) return load_failed(parser, c);
    const yaml_node_t *root    = yaml_document_get_root_node(&second);
    bool               is_more = root != NULL;
    if (is_more) text_add(complaint_at(c, root->start_mark.line + 1), STR("a second document"));
    yaml_document_delete(&second);
    return is_more ? not_plain() : OK;
}

static struct err load(struct yaml *y, yaml_parser_t *parser, const struct complaint *c)
{
    if (!yaml_parser_load(parser, &y->document)) return load_failed(parser, c);
    y->is_loaded = true;
    if (!yaml_document_get_root_node(&y->document)) {
        text_add(complaint_at(c, 1), STR("the file is empty"));
        return not_plain();
    }
    TRY(refuse_second(parser, c));
    return refuse_all_twins(y, c);
}

struct err yaml_load(struct yaml *y, struct str text, const struct complaint *c)
{
    yaml_parser_t parser;
    *y = (struct yaml){ .is_loaded = false };
    if (!yaml_parser_initialize(&parser)) return ERR(LIMIT, "there is no memory for the recipe");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.ptr, text.len);
    struct err e = load(y, &parser, c);
    yaml_parser_delete(&parser);
    return e;
}

void yaml_free(struct yaml *y)
{
    if (y->is_loaded) yaml_document_delete(&y->document);
    y->is_loaded = false;
}

/* ---- lines -------------------------------------------------------------------------------------------- */

/* The next step of a path: a name, or the number in brackets. */
static struct str next_step(struct str *path)
{
    size_t start = path->len && (path->ptr[0] == '.' || path->ptr[0] == '[') ? 1 : 0, end = start;
    while (end < path->len && path->ptr[end] != '.' && path->ptr[end] != '[' && path->ptr[end] != ']') end++;
    struct str step = { path->ptr + start, end - start };
    if (end < path->len && path->ptr[end] == ']') end++;
    *path = str_skip(*path, end);
    return step;
}

static yaml_node_t *member(struct yaml *y, const yaml_node_t *mapping, struct str name, size_t *line)
{
    const yaml_node_t *key;
    for (size_t i = 0; (key = key_at(y, mapping, i)); i++) {
        if (!str_eq(scalar_of(key), name)) continue;
        *line = key->start_mark.line + 1;
        return value_at(y, mapping, i);
    }
    return NULL;
}

static yaml_node_t *item(struct yaml *y, const yaml_node_t *sequence, struct str number, size_t *line)
{
    uint64_t index;
    size_t   count = (size_t)(sequence->data.sequence.items.top - sequence->data.sequence.items.start);
    if (str_to_u64(number, &index).code || index >= count) return NULL;
    yaml_node_t *n = yaml_document_get_node(&y->document, sequence->data.sequence.items.start[index]);
    *line          = n->start_mark.line + 1;
    return n;
}

/* As far as the path leads; null where it ends early. */
static const yaml_node_t *walk(struct yaml *y, struct str path, size_t *line)
{
    const yaml_node_t *n = yaml_document_get_root_node(&y->document);
    *line                = n->start_mark.line + 1;
    while (n && path.len) {
        struct str step = next_step(&path);
        if (n->type == YAML_MAPPING_NODE)
            n = member(y, n, step, line);
        else
            n = n->type == YAML_SEQUENCE_NODE ? item(y, n, step, line) : NULL;
    }
    return n;
}

size_t yaml_line(struct yaml *y, struct str path)
{
    size_t line;
    (void)walk(y, path, &line);
    return line;
}

struct str yaml_scalar(struct yaml *y, struct str path)
{
    size_t             line;
    const yaml_node_t *n = walk(y, path, &line);
    return n ? scalar_of(n) : STR("");
}

size_t yaml_key_line(struct yaml *y, struct str key, size_t from)
{
    size_t       found = SIZE_MAX;
    yaml_node_t *n;
    for (int i = 1; (n = yaml_document_get_node(&y->document, i)); i++) {
        size_t line = SIZE_MAX;
        if (n->type != YAML_MAPPING_NODE || !member(y, n, key, &line)) continue;
        if (line >= from && line < found) found = line;
    }
    return found == SIZE_MAX ? from : found;
}
