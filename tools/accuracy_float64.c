/* Largest errors of the float64 kernels, in ULP, at every instruction set that this processor runs.
 *
 * `bash tools/sweep.sh float64 [points per set, default 400000]` builds and runs it (GCC; libquadmath comes with it).
 *
 * The reference is libquadmath's 113-bit arithmetic. An ULP is the spacing of float64 at the exact result, 2^-1074 for
 * subnormals. Points: all exponents; uniform where the function changes; the subnormal tail; N(0, 3); and the
 * neighbours of every place where the kernels change their table entry. The last set also counts the pairs of
 * neighbouring inputs whose results are in the wrong order. Exit status 1 when a bound of the contract is broken. */
#include <math.h>
#include <quadmath.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes.h"

typedef __float128 quad;

static uint64_t random_state = 1;

static uint64_t random_bits(void) /* splitmix64 */
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static double uniform(double low, double high)
{
    return low + (high - low) * ((double)(random_bits() >> 11) * 0x1p-53);
}

static double normal(void) { return 3 * sqrt(-2 * log(uniform(0x1p-60, 1))) * cos(uniform(0, 2 * M_PI)); }

static double any_exponent(void)
{
    double x;
    do {
        const uint64_t bits = random_bits();
        memcpy(&x, &bits, sizeof x);
    } while (!(fabs(x) < 1024));
    return x;
}

static double next(double x, int steps)
{
    for (; steps > 0; steps--)
        x = nextafter(x, INFINITY);
    for (; steps < 0; steps++)
        x = nextafter(x, -INFINITY);
    return x;
}

static quad exact_sigmoid(quad x, quad y) { return (void)y, 1 / (1 + expq(-x)); }
static quad exact_tanh(quad x, quad y) { return (void)y, tanhq(x); }
static quad exact_sigmoid_derivative(quad x, quad y)
{
    const quad e = expq(-fabsq(x));
    return (void)y, e / ((1 + e) * (1 + e));
}
static quad exact_tanh_derivative(quad x, quad y) { return 4 * exact_sigmoid_derivative(2 * x, y); }

/* y - y*y and 1 - y*y, exact but for the last of 113 bits. */
static quad exact_sigmoid_backward(quad dy, quad y) { return dy * (y * (1 - y)); }
static quad exact_tanh_backward(quad dy, quad y) { return dy * ((1 - y) * (1 + y)); }

typedef struct {
    enum fastact_pass pass;
    quad (*exact)(quad, quad);
    double bound_fma, bound; /* in ULP, with a fused multiply-add and without */
    double range, tail;      /* uniform points in [-range, range]; the subnormal results begin at -tail */
    double step;             /* between changes of the table entry */
    int monotone;
} subject;

static const subject subjects[] = {
    {FASTACT_sigmoid, exact_sigmoid, 1, 2, 40, 708, M_LN2 / 4, 1},
    {FASTACT_tanh, exact_tanh, 1, 2, 20, 0, M_LN2 / 8, 1},
    {FASTACT_sigmoid_derivative, exact_sigmoid_derivative, 2, 4, 40, 708, M_LN2 / 4, 0},
    {FASTACT_tanh_derivative, exact_tanh_derivative, 2, 4, 20, 354, M_LN2 / 8, 0},
    {FASTACT_sigmoid_backward, exact_sigmoid_backward, 2, 2, 1, 0, 0, 0},
    {FASTACT_tanh_backward, exact_tanh_backward, 2, 2, 1, 0, 0, 0},
};

static double error_in_ulp(double got, quad exact)
{
    int exponent;
    if (fabsq(exact) >= 0x1.fffffffffffff8p1023Q)
        return isinf(got) && (got > 0) == (exact > 0) ? 0 : INFINITY;
    if (isinf(got) && fabsq(exact) >= 0x1.fffffffffffffp1023Q) /* overflow by one rounding */
        return 1;
    if (!isfinite(got))
        return INFINITY;
    frexpq(exact, &exponent);
    return (double)fabsq(scalbnq((quad)got - exact, 53 - (exponent < -1021 || exact == 0 ? -1021 : exponent)));
}

typedef struct {
    double error, a, b;
    long disorder;
} worst;

static void measure(const subject *s, const double *a, const double *b, long n, int neighbours, worst worsts[])
{
    quad *exact = malloc(n * sizeof *exact);
    double *got = malloc(n * sizeof *got);
    const fastact_isa *isa;
    for (long i = 0; i < n; i++)
        exact[i] = s->exact(a[i], b[i]);
    for (int level = 0; (isa = fastact_isa_level(level)); level++) {
        isa->f64[s->pass](a, b, NULL, 0, got, n);
        for (long i = 0; i < n; i++) {
            const double error = error_in_ulp(got[i], exact[i]);
            if (!(error <= worsts[level].error))
                worsts[level] = (worst){error, a[i], b[i], worsts[level].disorder};
            if (neighbours && s->monotone && i > 0 && a[i - 1] < a[i] && got[i - 1] > got[i])
                worsts[level].disorder++;
        }
    }
    free(exact);
    free(got);
}

enum { SETS = 6, NEIGHBOURS = 32 };

/* The points of one set; returns how many. */
static long fill(const subject *s, int set, double *a, double *b, long n)
{
    const int backward = fastact_pass_table[s->pass].arrays == 2;
    for (long i = 0; i < n; i++) {
        b[i] = 0;
        if (backward) { /* dy and y: any; y near 0, 1 and -1; both large; products at the edge of the subnormals */
            static const double scales[] = {1, 0x1p-40, 0x1p-520, 0x1p500, 0x1p511, 0x1p-1022};
            const double y = uniform(-2, 2) * scales[random_bits() % 6];
            a[i] = uniform(-2, 2) * scales[random_bits() % 6];
            b[i] = set < 3    ? y
                   : set == 3 ? 1 - uniform(-2, 2) * 0x1p-30
                              : next(set == 4 ? 1 : -1, (int)uniform(-99, 99));
            if (set == 0)
                do
                    a[i] = any_exponent() * uniform(1, 2), b[i] = ldexp(any_exponent(), random_bits() % 1000);
                while (!isfinite(b[i]));
            continue;
        }
        switch (set) {
        case 0: a[i] = any_exponent(); break;
        case 1: a[i] = uniform(-s->range, s->range); break;
        case 2: a[i] = -s->tail - uniform(0, s->tail ? 0.055 * s->tail : 2); break;
        case 3: a[i] = normal(); break;
        case 4: a[i] = uniform(-1, 1); break;
        default: {
            const long last = lrint((s->tail ? 1.055 * s->tail : s->range) / s->step), place = i / (2 * NEIGHBOURS);
            if (place > 2 * last)
                return i;
            const double half_way = ((double)(place - last) + (place % 2 ? 0.5 : 0.4999999)) * s->step;
            a[i] = i % (2 * NEIGHBOURS) ? next(a[i - 1], 1) : next(half_way, -NEIGHBOURS);
        }
        }
    }
    return n;
}

int main(int argc, char **argv)
{
    const long n = argc > 1 ? atol(argv[1]) : 400000;
    const long room = n > 600000 ? n : 600000;
    double *a = malloc(room * sizeof *a), *b = malloc(room * sizeof *b);
    int broken = 0;
    const fastact_isa *isa;
    for (size_t k = 0; k < sizeof subjects / sizeof *subjects; k++) {
        const subject *s = &subjects[k];
        worst worsts[8] = {{-1, 0, 0, 0}, {-1, 0, 0, 0}, {-1, 0, 0, 0}};
        long points = 0;
        for (int set = 0; set < SETS; set++) {
            const long filled = fill(s, set, a, b, set == SETS - 1 ? room : n);
            measure(s, a, b, filled, set == SETS - 1, worsts);
            points += filled;
        }
        for (int level = 0; (isa = fastact_isa_level(level)); level++) {
            const worst *w = &worsts[level];
            const double bound = strcmp(isa->name, "baseline") ? s->bound_fma : s->bound;
            printf("%-18s %-9s %.4f ULP at %a", fastact_pass_table[s->pass].name, isa->name, w->error, w->a);
            if (fastact_pass_table[s->pass].arrays == 2)
                printf(", %a", w->b);
            else
                printf(" = %.17g", w->a);
            printf(" of %ld points; %ld in the wrong order", points, w->disorder);
            puts(w->error < bound ? "" : "  TOO LARGE");
            broken |= !(w->error < bound);
        }
        fflush(stdout);
    }
    free(a);
    free(b);
    return broken;
}
