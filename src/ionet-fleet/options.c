#include "fleet_int.h"

#include "codec/codec.h"
#include "sys/options.h"
#include "sys/sys.h"

#include <stddef.h>
#include <string.h>

#define PLACE(member) offsetof(struct fleet_options, member), sizeof(((struct fleet_options *)0)->member)

static const struct option rows[] = {
    { "network", OPTION_TEXT, PLACE(network), NULL, 0, 0, "HOST:PORT of ionetd" },
    { "pin", OPTION_TEXT, PLACE(pin_text), NULL, 0, 0, "SHA-256 of its authority's certificate, in hex" },
    { "key_file", OPTION_TEXT, PLACE(key_file), "", 0, 0,
      "holds an API key that may make join tokens; empty: all are enrolled" },
    { "seed", OPTION_TEXT, PLACE(seed), "fleet", 0, 0,
      "of the devices' keys: the same seed is the same devices" },
    { "links", OPTION_NUMBER, PLACE(links), "1000", 1, FLEET_LINKS_MAX, "devices" },
    { "at_once", OPTION_NUMBER, PLACE(at_once), "64", 1, 1000, "links that are being opened" },
    { "rounds", OPTION_NUMBER, PLACE(rounds), "1", 0, 100, "times that all are opened and closed" },
    { "report_ms", OPTION_NUMBER, PLACE(report_ms), "1000", 10, 60000,
      "how often each device says something new" },
    { "report_seconds", OPTION_NUMBER, PLACE(report_seconds), "0", 0, 3600, "for how long, in the last round" },
    { "hold_seconds", OPTION_NUMBER, PLACE(hold_seconds), "0", 0, 3600,
      "how long they stay, in the last round" },
    { "help", OPTION_QUESTION, PLACE(task), "", TASK_HELP, 0, "print this" },
};

static const struct options all = { rows, countof(rows), NULL, NULL };

static struct err read_network(struct fleet_options *o)
{
    struct str host, port, text = str_from(o->network);
    uint64_t   number;
    if (!str_split(text, ':', &host, &port)) return ERR(INVALID, "--network is HOST:PORT");
    TRY(str_to_u64(port, &number));
    if (number == 0 || number > UINT16_MAX) return ERR(INVALID, "--network is HOST:PORT");
    o->port = (uint16_t)number;
    return str_copy(host, o->host, sizeof o->host);
}

static struct err read_key(struct fleet_options *o)
{
    size_t len;
    if (!*o->key_file) return OK;
    TRY(sys_read_file(o->key_file, o->api_key, sizeof o->api_key - 1, &len));
    o->api_key[len]     = 0;
    struct str key      = str_trim(str_from(o->api_key));
    o->api_key[key.len] = 0;
    return OK;
}

struct err fleet_options_read(struct fleet_options *o, int argc, char **argv, struct text *complaint)
{
    struct options told = all;
    told.config         = o;
    TRY(options_read(&told, argc, argv, complaint));
    if (o->task == TASK_HELP) return OK;
    TRY(options_complain(complaint, read_network(o), STR("--network"), 0));
    TRY(options_complain(complaint, hex_read(str_from(o->pin_text), o->pin.sha256, sizeof o->pin.sha256),
                         STR("--pin"), 0));
    return options_complain(complaint, read_key(o), STR("--key_file"), 0);
}

void fleet_options_help(struct text *out)
{
    text_add(out, STR("usage: ionet-fleet --network HOST:PORT --pin HEX [--NAME VALUE]…\n"));
    options_help(&all, out);
}
