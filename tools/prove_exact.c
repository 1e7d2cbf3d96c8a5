/* The reference of tools/prove_exact.py, which says what is done: correctly rounded values that owe nothing to the kernels,
 * and the comparison with them. */
#include <math.h>
#include <quadmath.h>
#include <stdint.h>
#include <string.h>

#include "passes.h"

/* The relative errors are below these by far: the C library's exp and tanh lie within 2 ULP, libquadmath's within 2. */
#define DOUBLE_ERROR 0x1p-48
#define QUAD_ERROR 0x1p-58q

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t to_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double in_double(enum fastact_pass pass, double x)
{
    const double e = exp(pass == FASTACT_exact_tanh_derivative ? -2 * fabs(x) : -fabs(x));
    switch (pass) {
    case FASTACT_exact_sigmoid:
        return (x < 0 ? e : 1) / (1 + e);
    case FASTACT_exact_tanh:
        return tanh(x);
    case FASTACT_exact_sigmoid_derivative:
        return e / ((1 + e) * (1 + e));
    default:
        return 4 * e / ((1 + e) * (1 + e));
    }
}

static __float128 in_quad(enum fastact_pass pass, __float128 x)
{
    const __float128 e = expq(pass == FASTACT_exact_tanh_derivative ? -2 * fabsq(x) : -fabsq(x));
    switch (pass) {
    case FASTACT_exact_sigmoid:
        return (x < 0 ? e : 1) / (1 + e);
    case FASTACT_exact_tanh:
        return tanhq(x);
    case FASTACT_exact_sigmoid_derivative:
        return e / ((1 + e) * (1 + e));
    default:
        return 4 * e / ((1 + e) * (1 + e));
    }
}

/* A NaN comes back quiet, the derivatives' with its sign set. */
static float of_nan(enum fastact_pass pass, float x)
{
    const int derivative = pass == FASTACT_exact_sigmoid_derivative || pass == FASTACT_exact_tanh_derivative;
    return from_bits(to_bits(x) | 0x00400000 | (derivative ? 0x80000000 : 0));
}

/* How far a value lies from the nearest middle between two floats, in units in the last place. */
static double from_middle(__float128 value)
{
    int exponent;
    frexpq(value, &exponent);
    const __float128 units = fabsq(ldexpq(value, -(exponent - 24 > -149 ? exponent - 24 : -149)));
    return (double)fabsq(units - floorq(units) - 0.5q);
}

/* The correctly rounded values at the n floats whose bits are `first` and following, by a float64 where it decides, else
 * by 113 bits. Returns for how many a float64 does not; which those are, and their distances from the middle. Where 113 bits
 * do not decide either, that is 0, and wanted[] holds one of the two neighbours. */
long reference(enum fastact_pass pass, uint32_t first, long n, float *wanted, uint32_t *hard, double *distance)
{
    long count = 0;
    for (long i = 0; i < n; i++) {
        const uint32_t bits = first + (uint32_t)i;
        const float x = from_bits(bits);
        const double near = in_double(pass, x);
        wanted[i] = (float)near;
        if (isnan(x))
            wanted[i] = of_nan(pass, x);
        else if ((float)(near * (1 - DOUBLE_ERROR)) != (float)(near * (1 + DOUBLE_ERROR))) {
            const __float128 nearer = in_quad(pass, x);
            const int decides = (float)(nearer * (1 - QUAD_ERROR)) == (float)(nearer * (1 + QUAD_ERROR));
            wanted[i] = (float)nearer;
            distance[count] = decides ? from_middle(nearer) : 0;
            hard[count++] = bits;
        }
    }
    return count;
}

#ifdef __x86_64__
extern const fastact_isa fastact_isa_portable; /* as other processors have it: with a fused multiply-add */
#endif

/* The levels of this processor, and then the portable C where it is no other's; NULL past the last. */
static const fastact_isa *level_at(int i)
{
    const fastact_isa *isa = fastact_isa_level(i);
#ifdef __x86_64__
    if (!isa && i > 0 && fastact_isa_level(i - 1) && __builtin_cpu_supports("fma"))
        return &fastact_isa_portable;
#endif
    return isa;
}

/* How many results of a level differ from those wanted, and the inputs of the first `most`. */
long compare(enum fastact_pass pass, int level, uint32_t first, long n, const float *wanted, float *x, float *got,
             uint32_t *wrong, long most)
{
    long count = 0;
    for (long i = 0; i < n; i++)
        x[i] = from_bits(first + (uint32_t)i);
    level_at(level)->f32[pass](x, x, x, 0, got, n);
    if (memcmp(got, wanted, (size_t)n * sizeof *got) == 0)
        return 0;
    for (long i = 0; i < n; i++)
        if (memcmp(&got[i], &wanted[i], sizeof *got) != 0 && count++ < most)
            wrong[count - 1] = first + (uint32_t)i;
    return count;
}

/* The number of a pass, or -1; the name of a level, or NULL past the last. */
int pass_number(const char *name)
{
    for (int pass = 0; pass < FASTACT_N_PASSES; pass++)
        if (strcmp(fastact_pass_table[pass].name, name) == 0)
            return pass;
    return -1;
}

const char *level_name(int level)
{
    const fastact_isa *isa = level_at(level);
    return isa ? isa->name : NULL;
}
