/* The vector vocabulary (vector.h) in plain C, one lane: the baseline of x86-64 and the fallback elsewhere. */
#include <math.h>
#include <string.h>

#include "vector.h"

typedef float v_f32;
typedef double v_f64;
/* A mask is all bits or none, and a selection takes bits: as a branch it would often be mispredicted, and the loops over
 * ReLU would not be vectorised. (min stays a comparison: it costs the sigmoid less so.) */
typedef uint32_t i_f32, m_f32;
typedef uint64_t i_f64, m_f64;

enum { LANES_f32 = 1, LANES_f64 = 1 };
#define U_f32 1
#define G_f32 1
#define U_f64 1
#define G_f64 1

INLINE i_f32 f32_to_bits(v_f32 a)
{
    i_f32 bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}
INLINE i_f64 f64_to_bits(v_f64 a)
{
    i_f64 bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}
INLINE v_f32 f32_from_bits(i_f32 bits)
{
    v_f32 a;
    memcpy(&a, &bits, sizeof a);
    return a;
}
INLINE v_f64 f64_from_bits(i_f64 bits)
{
    v_f64 a;
    memcpy(&a, &bits, sizeof a);
    return a;
}

/* a*b + c with one rounding, where the processor has no such instruction and libm's is a slow call.
 * float32: the product is exact in float64; rounding twice can add 2^-29 ULP.
 * float64: Dekker's product (Numer. Math. 18, 1971) and Knuth's sum keep what the roundings lose. Exact products of
 * factors beyond 2^996 overflow on the way: there a*b + c is rounded twice, and c is the smaller part by far. */
#ifdef FP_FAST_FMAF
INLINE v_f32 f32_fma(v_f32 a, v_f32 b, v_f32 c) { return fmaf(a, b, c); }
#else
INLINE v_f32 f32_fma(v_f32 a, v_f32 b, v_f32 c) { return (float)((double)a * b + c); }
#endif
#ifdef FP_FAST_FMA
INLINE v_f64 f64_fma(v_f64 a, v_f64 b, v_f64 c) { return fma(a, b, c); }
#else
INLINE v_f64 upper_half(v_f64 a)
{
    const v_f64 t = a * 0x1.0000002p27;
    return t - (t - a);
}
INLINE v_f64 f64_fma(v_f64 a, v_f64 b, v_f64 c)
{
    const v_f64 product = a * b, sum = product + c;
    if (!(fabs(a) < 0x1p990 && fabs(b) < 0x1p990 && fabs(product) < 0x1p1020))
        return sum;
    const v_f64 a1 = upper_half(a), a2 = a - a1, b1 = upper_half(b), b2 = b - b1;
    const v_f64 product_low = a2 * b2 - (((product - a1 * b1) - a2 * b1) - a1 * b2);
    const v_f64 c_seen = sum - product;
    const v_f64 sum_low = (product - (sum - c_seen)) + (c - c_seen);
    return sum + (sum_low + product_low);
}
#endif

#define DEFINE_FOR(T)                                                                                 \
    INLINE v_##T T##_load(const e_##T *p) { return *p; }                                              \
    INLINE void T##_store(e_##T *p, v_##T a) { *p = a; }                                              \
    INLINE v_##T T##_load_part(const e_##T *p, ptrdiff_t n) { return n > 0 ? *p : 0; }                \
    INLINE void T##_store_part(e_##T *p, v_##T a, ptrdiff_t n)                                        \
    {                                                                                                 \
        if (n > 0)                                                                                    \
            *p = a;                                                                                   \
    }                                                                                                 \
    INLINE v_##T T##_set1(e_##T c) { return c; }                                                      \
    VECTOR_OP2(T, add, a + b)                                                                         \
    VECTOR_OP2(T, sub, a - b)                                                                         \
    VECTOR_OP2(T, mul, a * b)                                                                         \
    VECTOR_OP2(T, div, a / b)                                                                         \
    VECTOR_OP3(T, fnma, T##_fma(-a, b, c))                                                            \
    COMPARISON(T, le, -(i_##T)(a <= b))                                                               \
    COMPARISON(T, gt, -(i_##T)(a > b))                                                                \
    COMPARISON(T, eq, -(i_##T)(a == b))                                                               \
    COMPARISON(T, unordered, -(i_##T)(a != a || b != b))                                              \
    INLINE v_##T T##_select(m_##T m, v_##T a, v_##T b)                                                \
    {                                                                                                 \
        return T##_from_bits((m & T##_to_bits(a)) | (~m & T##_to_bits(b)));                           \
    }                                                                                                 \
    VECTOR_OP2(T, product, T##_select(T##_unordered(a, a), a + a, a * b)) /* a + a is a quiet NaN */   \
    INLINE int T##_all(m_##T m) { return (void)m, 0; } /* a loop with a branch is not vectorised */     \
    VECTOR_OP2(T, and, T##_from_bits(T##_to_bits(a) & T##_to_bits(b)))                                \
    VECTOR_OP2(T, or, T##_from_bits(T##_to_bits(a) | T##_to_bits(b)))                                 \
    VECTOR_OP1(T, abs, T##_from_bits(T##_to_bits(a) & ~T##_to_bits(-(e_##T)0)))                       \
    VECTOR_OP2(T, min, a < b ? a : b)                                                                 \
    VECTOR_OP2(T, max, T##_select(-(i_##T)(a > b), a, b))                                             \
    INTEGER_OP2(T, iadd, a + b)                                                                       \
    INTEGER_SHIFT(T, sll, a << n)                                                                     \
    INTEGER_SHIFT(T, srl, a >> n)

DEFINE_FOR(f32)
DEFINE_FOR(f64)
#undef DEFINE_FOR

VECTOR_OP1(f32, sqrt, sqrtf(a))
VECTOR_OP1(f64, sqrt, sqrt(a))

#ifdef FP_FAST_FMAF
VECTOR_OP3(f32, mad, fmaf(a, b, c))
VECTOR_OP3(f32, nmad, fmaf(-a, b, c))
#else
VECTOR_OP3(f32, mad, a * b + c)
VECTOR_OP3(f32, nmad, c - a * b)
#endif
#ifdef FP_FAST_FMA
VECTOR_OP3(f64, mad, fma(a, b, c))
VECTOR_OP3(f64, nmad, fma(-a, b, c))
#else
VECTOR_OP3(f64, mad, a * b + c)
VECTOR_OP3(f64, nmad, c - a * b)
#endif

enum { WIDER = 1 };
INLINE void f32_widen(v_f32 a, v_f64 *w) { w[0] = a; }
INLINE v_f32 f32_narrow(const v_f64 *w) { return (float)w[0]; }

INLINE v_f32 f32_lookup8(const float table[8], i_f32 i) { return table[i & 7]; }
INLINE v_f64 f64_lookup4(const double table[4], i_f64 i) { return table[i & 3]; }

POWER_BY_SHIFT(f32, 8, 21)
POWER_BY_SHIFT(f64, 4, 50)
