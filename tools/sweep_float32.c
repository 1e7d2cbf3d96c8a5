/* All 2^32 inputs of the float32 kernels, at every instruction set that this processor runs.
 *
 * Build and run from the top of the repository (GCC; some minutes on two cores):
 *     SIMD=src/fastact/simd
 *     gcc -O3 -std=gnu11 -ffp-contract=off -fopenmp -I$SIMD tools/sweep_float32.c $SIMD/target_*.c $SIMD/dispatch.c \
 *         -lm -o /tmp/sweep_float32
 *     /tmp/sweep_float32 [step, default 1: every input]
 *
 * The reference is the C library's float64 exp and tanh, good to 2^-28 ULP of float32. An ULP is the spacing of float32
 * at the exact result, 2^-149 for subnormals. Also counted: NaNs lost or made, pairs of neighbouring inputs whose
 * results are in the wrong order (forward passes), and results whose bits differ from the best instruction set's (of
 * those with a fused multiply-add). Exit status 1 when a bound of the contract is broken. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes.h"

enum { CHUNK = 1 << 16, LEVELS = 4 };

static double exact_sigmoid(double x)
{
    const double e = exp(-fabs(x));
    return (x < 0 ? e : 1) / (1 + e);
}
static double exact_sigmoid_derivative(double x)
{
    const double e = exp(-fabs(x));
    return e / ((1 + e) * (1 + e));
}
static double exact_tanh_derivative(double x) { return 4 * exact_sigmoid_derivative(2 * x); }

static const struct {
    enum fastact_pass pass;
    double (*exact)(double);
    int forward;
    double bound;
} passes[] = {
    {FASTACT_sigmoid, exact_sigmoid, 1, 1.5},
    {FASTACT_tanh, tanh, 1, 1.36},
    {FASTACT_sigmoid_derivative, exact_sigmoid_derivative, 0, 4},
    {FASTACT_tanh_derivative, exact_tanh_derivative, 0, 4},
};

typedef struct {
    double error;
    float where;
    long long nan_wrong, disorder, differ;
} findings;

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static double error_in_ulp(float y, double exact)
{
    int exponent;
    frexp(exact, &exponent);
    return fabs(y - exact) / ldexp(1, exponent - 24 < -149 ? -149 : exponent - 24);
}

static void examine(int p, const fastact_isa *isa, const fastact_isa *best, uint32_t start, uint32_t step, findings *f)
{
    static __thread float x[CHUNK], y[CHUNK], z[CHUNK];
    for (uint32_t i = 0; i < CHUNK; i++)
        x[i] = from_bits(start + i * step);
    isa->f32[passes[p].pass](x, NULL, NULL, 0, y, CHUNK);
    best->f32[passes[p].pass](x, NULL, NULL, 0, z, CHUNK);
    f->differ += memcmp(y, z, sizeof y) != 0;
    for (int i = 0; i < CHUNK; i++) {
        if (isnan(x[i]) || isnan(y[i])) {
            f->nan_wrong += isnan(x[i]) != isnan(y[i]);
            continue;
        }
        const double error = error_in_ulp(y[i], passes[p].exact(x[i]));
        if (error > f->error) {
            f->error = error;
            f->where = x[i];
        }
        /* bits grow away from zero on either side */
        if (passes[p].forward && i > 0 && fabsf(y[i]) < fabsf(y[i - 1]) && (passes[p].pass == FASTACT_tanh || x[i] > 0))
            f->disorder++;
        if (passes[p].pass == FASTACT_sigmoid && i > 0 && x[i] < 0 && y[i] > y[i - 1])
            f->disorder++;
    }
}

int main(int argc, char **argv)
{
    const uint32_t step = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : 1;
    const long long chunks = (1LL << 32) / ((long long)CHUNK * step);
    int broken = 0;
    printf("%-20s %-9s %9s  %-14s %10s %9s %s\n", "pass", "level", "max ULP", "at", "NaN wrong", "disorder",
           "chunks that differ from the best level");
    for (int p = 0; p < (int)(sizeof passes / sizeof *passes); p++)
        for (int l = 0; fastact_isa_level(l); l++) {
            const fastact_isa *isa = fastact_isa_level(l);
            findings all = {0, 0, 0, 0, 0};
#pragma omp parallel for schedule(dynamic, 16)
            for (long long c = 0; c < chunks; c++) {
                findings f = {0, 0, 0, 0, 0};
                examine(p, isa, fastact_isa_level(0), (uint32_t)(c * CHUNK * step), step, &f);
#pragma omp critical
                {
                    if (f.error > all.error) {
                        all.error = f.error;
                        all.where = f.where;
                    }
                    all.nan_wrong += f.nan_wrong;
                    all.disorder += f.disorder;
                    all.differ += f.differ;
                }
            }
            broken |= all.error >= passes[p].bound || all.nan_wrong;
            printf("%-20s %-9s %9.4f  %-14.9g %10lld %9lld %lld\n", fastact_pass_table[passes[p].pass].name, isa->name,
                   all.error, (double)all.where, all.nan_wrong, all.disorder, all.differ);
            fflush(stdout);
        }
    return broken;
}
