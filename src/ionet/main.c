/* ionet: the command line of an open GPU network. */
#include "cli_int.h"
#include "terminal_int.h"

#include "sys/log.h"
#include "sys/sandbox.h"
#include "sys/secret.h"

#include <string.h>

static struct err run(struct cli *c, int argc, char **argv)
{
    bool help;
    TRY(cli_parse(c, argc, argv, &help));
    if (help) return OK;
    TRY(config_load(&c->config));
    return c->command->run(c);
}

int main(int argc, char **argv)
{
    scoped_secret struct cli *c         = NULL; /* with the API key */
    static char              *version[] = { "version" };
    bool                      asked     = argc == 2 && !strcmp(argv[1], "--version");
    check_print_by(log_check_failed);
    terminal_guard();

    struct err e = secret_alloc(sizeof *c, &c);
    if (!e.code) e = sandbox_close_memory(false); /* what `forward` starts may leave what it likes */
    if (!e.code) e = asked ? run(c, 1, version) : run(c, argc - 1, argv + 1);
    if (e.code) fprintf(stderr, "ionet: %s\n", e.why);
    if (!c) return 1;
    if (e.code && *c->hint && e.why == c->detail) fprintf(stderr, "       %s\n", c->hint);
    if (fflush(stdout) || ferror(stdout)) return 1;
    return exit_status_of(c, e);
}
