/* links: fuzz_core core codec */
/* Every input of tests/fuzz/corpus/core through the fuzzer's harness, which CHECKs every step: what
 * the fuzzer has once reached stays reached, without clang. Run from the root of the repository. */
#include "common/log.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CORPUS "tests/fuzz/corpus/core/*"
#define INPUT_BYTES_MAX (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void every_input_of_the_corpus_does_no_harm(void **state)
{
    uint8_t *input = malloc(INPUT_BYTES_MAX);
    glob_t files;

    assert_non_null(input);
    assert_int_equal(glob(CORPUS, 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        FILE *file = fopen(files.gl_pathv[i], "rb");
        size_t size;

        assert_non_null(file);
        size = fread(input, 1, INPUT_BYTES_MAX, file);
        fclose(file);
        LLVMFuzzerTestOneInput(input, size);
    }
    globfree(&files);
    free(input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_input_of_the_corpus_does_no_harm)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
