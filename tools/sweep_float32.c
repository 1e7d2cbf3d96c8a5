/* All 2^32 inputs of the float32 kernels, at every instruction set that this processor runs.
 *
 * `bash tools/sweep.sh float32 [step, default 1: every input]` builds and runs it: some minutes on two cores.
 *
 * The backward passes go through all 2^32 y, each with a dy of bits that are as good as random; leaky ReLU's slope is
 * 0.3. The reference is float64 arithmetic and the C library's exp and tanh, good to 2^-26 ULP of float32. An ULP is the
 * spacing of float32 at the exact result, 2^-149 for subnormals. The mean is that of all inputs but NaN. Also counted:
 * NaNs lost or made, pairs of neighbouring inputs whose results are in the wrong order (sigmoid and tanh), and results
 * whose bits differ from the best instruction set's. Exit status 1 when a bound of the contract is broken. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "passes.h"

enum { CHUNK = 1 << 14, LEVELS = 3 };

static const float slope = 0.3f;

/* In terms of x, and of y and dy in a backward pass. */
static double sigmoid(double x, double dy)
{
    const double e = exp(-fabs(x));
    return (void)dy, (x < 0 ? e : 1) / (1 + e);
}
static double sigmoid_derivative(double x, double dy)
{
    const double e = exp(-fabs(x));
    return (void)dy, e / ((1 + e) * (1 + e));
}
static double sigmoid_backward(double y, double dy) { return dy * (y * (1 - y)); }
static double tanh_(double x, double dy) { return (void)dy, tanh(x); }
static double tanh_derivative(double x, double dy) { return 4 * sigmoid_derivative(2 * x, dy); }
static double tanh_backward(double y, double dy) { return dy * ((1 - y) * (1 + y)); }
static double relu(double x, double dy) { return (void)dy, x < 0 ? 0 : x; }
static double relu_derivative(double x, double dy) { return (void)dy, isnan(x) ? x : x > 0; }
static double relu_backward(double y, double dy) { return y <= 0 ? 0 : dy; }
static double leaky_relu(double x, double dy) { return (void)dy, x > 0 ? x : slope * x; }
static double leaky_relu_derivative(double x, double dy) { return (void)dy, isnan(x) ? x : x > 0 ? 1 : slope; }
static double leaky_relu_backward(double y, double dy) { return y > 0 ? dy : slope * dy; }

static const struct {
    enum fastact_pass pass;
    double (*exact)(double x, double dy);
    double bound;
} passes[] = {
    {FASTACT_sigmoid, sigmoid, 1},
    {FASTACT_sigmoid_derivative, sigmoid_derivative, 2},
    {FASTACT_sigmoid_backward, sigmoid_backward, 2},
    {FASTACT_tanh, tanh_, 1.36},
    {FASTACT_tanh_derivative, tanh_derivative, 2},
    {FASTACT_tanh_backward, tanh_backward, 2},
    {FASTACT_relu, relu, 0x1p-20},
    {FASTACT_relu_derivative, relu_derivative, 0x1p-20},
    {FASTACT_relu_backward, relu_backward, 0x1p-20},
    {FASTACT_leaky_relu, leaky_relu, 0.5 + 0x1p-20},
    {FASTACT_leaky_relu_derivative, leaky_relu_derivative, 0x1p-20},
    {FASTACT_leaky_relu_backward, leaky_relu_backward, 0.5 + 0x1p-20},
};

typedef struct {
    double error, sum;
    float where;
    long long numbers, nan_wrong, disorder, differ;
} findings;

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static double from_bits_64(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The bits of dy for those of y: the last steps of the hash murmur3, one to one. */
static uint32_t mixed(uint32_t bits)
{
    bits = (bits ^ bits >> 16) * 0x85ebca6b;
    bits = (bits ^ bits >> 13) * 0xc2b2ae35;
    return bits ^ bits >> 16;
}

static double clipped(double x) { return x > 0x1p128 ? 0x1p128 : x < -0x1p128 ? -0x1p128 : x; }

/* An infinity counts as 2^128, on either side. */
static double error_in_ulp(double got, double exact)
{
    uint64_t bits;
    got = clipped(got);
    exact = clipped(exact);
    memcpy(&bits, &exact, sizeof bits);
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    exponent = exponent < -126 ? -126 : exponent > 127 ? 127 : exponent;
    return fabs(got - exact) * from_bits_64((uint64_t)(1023 + 23 - exponent) << 52);
}

static void compare(enum fastact_pass pass, const float *x, const double *exact, const float *got, findings *f)
{
    for (int i = 0; i < CHUNK; i++) {
        if (isnan(exact[i]) || isnan(got[i])) {
            f->nan_wrong += isnan(exact[i]) != isnan(got[i]);
            continue;
        }
        const double error = error_in_ulp(got[i], exact[i]);
        f->sum += error;
        f->numbers++;
        if (error > f->error) {
            f->error = error;
            f->where = x[i];
        }
        /* bits grow away from zero on either side */
        if (i > 0 && pass == FASTACT_tanh)
            f->disorder += fabsf(got[i]) < fabsf(got[i - 1]);
        if (i > 0 && pass == FASTACT_sigmoid)
            f->disorder += x[i] < 0 ? got[i] > got[i - 1] : got[i] < got[i - 1];
    }
}

/* CHUNK inputs, at every level. */
static void examine(int p, uint32_t start, uint32_t step, findings f[LEVELS])
{
    static __thread float x[CHUNK], dy[CHUNK], best[CHUNK], got[CHUNK];
    static __thread double exact[CHUNK];
    const enum fastact_pass pass = passes[p].pass;
    const int backward = fastact_pass_table[pass].arrays == 2;
    for (uint32_t i = 0; i < CHUNK; i++) {
        x[i] = from_bits(start + i * step);
        dy[i] = from_bits(mixed(start + i * step));
        exact[i] = passes[p].exact(x[i], dy[i]);
    }
    for (int l = 0; fastact_isa_level(l); l++) {
        float *y = l ? got : best;
        fastact_isa_level(l)->f32[pass](backward ? dy : x, x, &slope, 0, y, CHUNK);
        compare(pass, x, exact, y, &f[l]);
        if (memcmp(y, best, sizeof best))
            for (int i = 0; i < CHUNK; i++)
                f[l].differ += memcmp(&y[i], &best[i], sizeof *y) != 0;
    }
}

static void add(const findings *f, findings *all)
{
    if (f->error > all->error) {
        all->error = f->error;
        all->where = f->where;
    }
    all->sum += f->sum;
    all->numbers += f->numbers;
    all->nan_wrong += f->nan_wrong;
    all->disorder += f->disorder;
    all->differ += f->differ;
}

int main(int argc, char **argv)
{
    const uint32_t step = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : 1;
    const long long chunks = (1LL << 32) / ((long long)CHUNK * step);
    const int n_passes = sizeof passes / sizeof *passes, terminal = isatty(STDERR_FILENO);
    int broken = 0;
    long long done = 0;
    printf("%-22s %-9s %8s  %-15s %9s %10s %9s %s\n", "pass", "level", "max ULP", "at x, or y", "mean ULP",
           "NaN wrong", "disorder", "other bits than the best level");
    for (int p = 0; p < n_passes; p++) {
        findings all[LEVELS] = {{0}};
#pragma omp parallel for schedule(dynamic, 16)
        for (long long c = 0; c < chunks; c++) {
            findings f[LEVELS] = {{0}};
            examine(p, (uint32_t)(c * CHUNK * step), step, f);
#pragma omp critical
            {
                for (int l = 0; l < LEVELS; l++)
                    add(&f[l], &all[l]);
                done++;
                if (terminal && done % 256 == 0)
                    fprintf(stderr, "\r%5.1f %%\r", 100.0 * (double)done / (double)(chunks * n_passes));
            }
        }
        for (int l = 0; fastact_isa_level(l); l++) {
            broken |= all[l].error >= passes[p].bound || all[l].nan_wrong;
            printf("%-22s %-9s %8.4f  %-15.9g %9.5f %10lld %9lld %lld\n", fastact_pass_table[passes[p].pass].name,
                   fastact_isa_level(l)->name, all[l].error, (double)all[l].where,
                   all[l].sum / (double)all[l].numbers, all[l].nan_wrong, all[l].disorder, all[l].differ);
            fflush(stdout);
        }
    }
    return broken;
}
