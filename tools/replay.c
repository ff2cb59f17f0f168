/* replay.c: the main of a fuzz target that is built without a fuzzer. As a test it takes every input of its corpus:
 * for .../test/MODULE/fuzz_NAME that is src/MODULE/corpus/NAME. With arguments it takes those files instead. */
#include "base/fuzz.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char        corpus[256];
static const char *taken; /* the input that is being tried */

static void say_check(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s: %s:%d: not so: %s\n", taken, file, line, condition);
}

static void take(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s can't be read", path);
    uint8_t *bytes = malloc(FUZZ_INPUT_MAX);
    size_t   size  = fread(bytes, 1, FUZZ_INPUT_MAX, f);
    fclose(f);

    /* Where it ends is where the memory ends, so that the sanitizers see a byte too far. */
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, bytes, size);
    free(bytes);
    taken = path;
    assert_int_equal(LLVMFuzzerTestOneInput(exact, size), 0);
    free(exact);
}

static void every_input_of_the_corpus_is_taken(void **state)
{
    (void)state;
    struct dirent **names;
    int             count = scandir(corpus, &names, NULL, alphasort);
    if (count <= 2) fail_msg("there is no corpus in %s", corpus); /* . and .. */
    for (int i = 0; i < count; i++) {
        char path[sizeof corpus + sizeof names[i]->d_name];
        snprintf(path, sizeof path, "%s/%s", corpus, names[i]->d_name);
        if (names[i]->d_name[0] != '.') take(path);
        free(names[i]);
    }
    free(names);
}

/* .../test/link/fuzz_frame → src/link/corpus/frame */
static void find_corpus(const char *program)
{
    const char *name   = strstr(program, "/fuzz_");
    const char *module = name;
    if (!name) return;
    while (module > program && module[-1] != '/') module--;
    snprintf(corpus, sizeof corpus, "src/%.*s/corpus/%s", (int)(name - module), module,
             name + strlen("/fuzz_"));
}

int main(int argc, char **argv)
{
    check_print_by(say_check);
    for (int i = 1; i < argc; i++) {
        puts(argv[i]);
        take(argv[i]);
    }
    if (argc > 1) return 0;

    find_corpus(argv[0]);
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_input_of_the_corpus_is_taken) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
