/* Passes over arrays from standard input, at the instruction set that the one argument names; their results go to
 * standard output. tests/test_aarch64.py compiles this for a processor that is emulated, and feeds it.
 *
 * A record is a `header` and the arrays in the machine's byte order: a; b, where the pass reads two; the slopes, where
 * it takes one: n of them if slope_step is 1, else one. Halves go the way of the ufuncs: where the level has no loop
 * for them they are computed in float32. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes.h"

enum { F32, F64, FLOAT16, BFLOAT16 };

typedef struct {
    char pass[32];
    int64_t type, n, slope_step;
} header;

static const size_t sizes[] = {4, 8, 2, 2};

static void fail(const char *message)
{
    fprintf(stderr, "run_passes: %s\n", message);
    exit(1);
}

static void *read_array(int64_t n, size_t size)
{
    void *array = malloc((size_t)n * size + 1);
    if (array == NULL || fread(array, size, (size_t)n, stdin) != (size_t)n)
        fail("a record that is not whole, or no memory");
    return array;
}

static void through_float32(const fastact_isa *isa, int pass, int type, const uint16_t *a, uint16_t *out, ptrdiff_t n)
{
    float *floats = malloc((size_t)n * sizeof *floats + 1);
    if (floats == NULL)
        fail("no memory");
    (type == FLOAT16 ? isa->from_float16 : isa->from_bfloat16)(a, floats, n);
    isa->of_halves[pass](floats, NULL, NULL, 0, floats, n);
    (type == FLOAT16 ? isa->to_float16 : isa->to_bfloat16)(floats, out, n);
    free(floats);
}

static void run(const fastact_isa *isa, const header *h)
{
    int pass = 0;
    while (pass < FASTACT_N_PASSES && strcmp(fastact_pass_table[pass].name, h->pass))
        pass++;
    if (pass == FASTACT_N_PASSES || h->type < F32 || h->type > BFLOAT16)
        fail("no such pass or type");
    const fastact_pass_info *info = &fastact_pass_table[pass];
    const size_t size = sizes[h->type];
    void *a = read_array(h->n, size), *b = info->arrays == 2 ? read_array(h->n, size) : NULL;
    void *slope = info->slope ? read_array(h->slope_step ? h->n : 1, size) : NULL;
    void *out = malloc((size_t)h->n * size + 1);
    if (out == NULL)
        fail("no memory");
    if (h->type == F32)
        isa->f32[pass](a, b, slope, h->slope_step, out, h->n);
    else if (h->type == F64)
        isa->f64[pass](a, b, slope, h->slope_step, out, h->n);
    else if ((h->type == FLOAT16 ? isa->float16 : isa->bfloat16)[pass])
        (h->type == FLOAT16 ? isa->float16 : isa->bfloat16)[pass](a, b, slope, h->slope_step, out, h->n);
    else if (info->arrays == 1 && !info->slope)
        through_float32(isa, pass, (int)h->type, a, out, h->n);
    else
        fail("this level has no loop for halves");
    if (fwrite(out, size, (size_t)h->n, stdout) != (size_t)h->n)
        fail("the results cannot be written");
    free(a), free(b), free(slope), free(out);
}

int main(int argc, char **argv)
{
    const fastact_isa *isa;
    header h;
    int i = 0;
    if (argc != 2)
        fail("one argument is wanted: the instruction set");
    while ((isa = fastact_isa_level(i++)) != NULL && strcmp(isa->name, argv[1]))
        ;
    if (isa == NULL)
        fail("no such instruction set here");
    while (fread(&h, sizeof h, 1, stdin) == 1)
        run(isa, &h);
    return fflush(stdout) ? 1 : 0;
}
