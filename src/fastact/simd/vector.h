/* What the vector headers of all levels share. T stands for f32 or f64 throughout.
 *
 * Each vector_<level>.h defines the same vocabulary, for T = f32 and T = f64:
 *   e_T, v_T, m_T, i_T    one element; a vector; a comparison's mask; integer lanes as wide as the elements
 *   LANES_T               elements in a vector
 *   U_T, G_T              vectors in a block; of these, interleaved in the transcendental formulas (G divides U)
 *   T_load, T_store       whole vectors, any alignment
 *   T_stream    a whole vector, aligned, past the caches; where STREAM_END is defined, after which other threads see it
 *   T_load_part, T_store_part   the first n lanes, 0 < n < LANES_T: the others read as 0 and are not written
 *   T_set1, T_add, T_sub, T_mul, T_div
 *   T_sqrt                exact, as T_div is
 *   T_product(a, b)       a*b, whose NaN is a's where both are: compilers exchange the factors of T_mul at will
 *   T_min(a, b), T_max(a, b)    a < b ? a : b and a > b ? a : b, hence b when either is NaN or both are zeros
 *   T_fma(a, b, c), T_fnma(a, b, c)     a*b + c and c - a*b with one rounding, where a formula needs the exact product
 *   T_mad(a, b, c), T_nmad(a, b, c)     the same, rounded once or twice, whichever is faster
 *   T_le, T_gt, T_eq, T_unordered -> m_T;    T_select(m, a, b)   m ? a : b in each lane
 *   T_all(m)              whether m holds in every lane; may be 0 though it does, where a branch costs more than it saves
 *   T_abs, T_and, T_or    on the bits of the elements
 *   T_to_bits, T_from_bits    the same bits as integers, and back
 *   T_iadd, T_sll(i, n), T_srl(i, n)
 *   WIDER                 float64 vectors that hold the elements of a float32 vector
 *   f32_widen(a, w)       those vectors, each element exact; f32_narrow(w) is the vector of them, rounded to float32
 *   T_power(table, z, n)  2^n*K, n a multiple of 1/4 and z = n + ROUND_TO_QUARTERS. The table holds 2^(j/4)*K for every j,
 *                         each with j's own bits taken off: the number of quarters shifted to the exponent brings them
 *   T_number(a, c)        a, but c where it is NaN, if T_power would make another NaN of it; a <= c
 *   where HAS_HALVES is defined: f32_load_float16, f32_store_float16     a vector of halves, converted
 *                                f32_load_upper, f32_store_upper         the upper halves of the elements, the others 0
 *   where HAS_PAIRS is defined, that is, where f32_fma is fast (formulas_exact.h):
 *   f32_mask_bits(m)      a bit a lane, the first lane's the lowest
 *   POWERS                entries of the table of 2^(j/POWERS)
 *   f32_fine_power(z, n), f32_fine_rest(z)    2^n, n a multiple of 1/POWERS, z = n + 1.5*2^23/POWERS, as a float32 and
 *                         what that lacks, relatively
 *   f32_lookup32(table, i)        table[low 5 bits of i], where HAS_LOOKUP32 is defined
 *   f32_lookup8(table, i), f64_lookup4(table, i)      table[low 3 bits of i], table[low 2 bits of i]
 */
#ifndef FASTACT_VECTOR_H
#define FASTACT_VECTOR_H

#include <stddef.h>
#include <stdint.h>

#include "constants_exact.h"

typedef float e_f32;
typedef double e_f64;

#define INLINE static inline __attribute__((always_inline))

/* One statement for each of the U vectors. Interleaving hides latency; compilers do not do it by themselves. */
#define EACH _Pragma("GCC unroll 8") for (int u = 0; u < U; u++)

/* The same for the G vectors of a group; and one statement for each group of a block. A formula of two stages runs the
 * first for all groups, then the second: each stage is a shorter chain of dependent operations, so that more groups fit
 * into the processor's reorder window, and their latencies overlap. */
#define EACH_IN_GROUP _Pragma("GCC unroll 8") for (int u = 0; u < G; u++)
#define EACH_GROUP _Pragma("GCC unroll 8") for (int g = 0; g < U; g += G)

#define VECTOR_OP1(T, name, body) INLINE v_##T T##_##name(v_##T a) { return body; }
#define VECTOR_OP2(T, name, body) INLINE v_##T T##_##name(v_##T a, v_##T b) { return body; }
#define VECTOR_OP3(T, name, body) INLINE v_##T T##_##name(v_##T a, v_##T b, v_##T c) { return body; }
#define X86_PRODUCT(T, instruction)                                      \
    INLINE v_##T T##_product(v_##T a, v_##T b)                           \
    {                                                                    \
        __asm__(instruction " %1, %0, %0" : "+v"(a) : "v"(b));           \
        return a;                                                        \
    }
#define POWER_BY_SHIFT(T, entries, shift)                                                                    \
    INLINE v_##T T##_number(v_##T a, e_##T c) { return T##_min(a, T##_set1(c)); }                            \
    INLINE v_##T T##_power(const e_##T table[entries], v_##T z, v_##T n)                                     \
    {                                                                                                        \
        i_##T entry = T##_to_bits(T##_lookup##entries(table, T##_to_bits(z)));                               \
        (void)n;                                                                                             \
        return T##_from_bits(T##_iadd(entry, T##_sll(T##_to_bits(z), shift)));                               \
    }
/* f32_fine_power and f32_fine_rest by f32_lookup8. */
#define FINE_POWERS_OF_8                                                                                     \
    INLINE v_f32 f32_fine_power(v_f32 z, v_f32 n)                                                            \
    {                                                                                                        \
        static const float table[] = {POWERS_8};                                                             \
        (void)n;                                                                                             \
        return f32_from_bits(f32_iadd(f32_to_bits(f32_lookup8(table, f32_to_bits(z))),                       \
                                      f32_sll(f32_to_bits(z), 20)));                                         \
    }                                                                                                        \
    INLINE v_f32 f32_fine_rest(v_f32 z)                                                                      \
    {                                                                                                        \
        static const float table[] = {POWERS_8_REST};                                                        \
        return f32_lookup8(table, f32_to_bits(z));                                                           \
    }
#define COMPARISON(T, name, body) INLINE m_##T T##_##name(v_##T a, v_##T b) { return body; }
#define INTEGER_OP2(T, name, body) INLINE i_##T T##_##name(i_##T a, i_##T b) { return body; }
#define INTEGER_SHIFT(T, name, body) INLINE i_##T T##_##name(i_##T a, int n) { return body; }

#endif
