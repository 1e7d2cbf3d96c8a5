/* The vector vocabulary (vector.h) in AVX-512 F, BW, DQ, VL. */
#include "vector.h"

typedef __m512 v_f32;
typedef __mmask16 m_f32;
typedef __m512i i_f32;
typedef __m512d v_f64;
typedef __mmask8 m_f64;
typedef __m512i i_f64;

enum { LANES_f32 = 16, LANES_f64 = 8 };
#define U_f32 4
#define G_f32 4
#define U_f64 4
#define G_f64 4

INLINE v_f32 f32_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE v_f64 f64_load(const double *p) { return _mm512_loadu_pd(p); }
INLINE void f32_store(float *p, v_f32 a) { _mm512_storeu_ps(p, a); }
INLINE void f64_store(double *p, v_f64 a) { _mm512_storeu_pd(p, a); }

#define STREAM_END _mm_sfence()
INLINE void f32_stream(float *p, v_f32 a) { _mm512_stream_ps(p, a); }
INLINE void f64_stream(double *p, v_f64 a) { _mm512_stream_pd(p, a); }

INLINE __mmask16 first_lanes_f32(ptrdiff_t n) { return (__mmask16)((1u << n) - 1); }
INLINE __mmask8 first_lanes_f64(ptrdiff_t n) { return (__mmask8)((1u << n) - 1); }
INLINE v_f32 f32_load_part(const float *p, ptrdiff_t n) { return _mm512_maskz_loadu_ps(first_lanes_f32(n), p); }
INLINE v_f64 f64_load_part(const double *p, ptrdiff_t n) { return _mm512_maskz_loadu_pd(first_lanes_f64(n), p); }
INLINE void f32_store_part(float *p, v_f32 a, ptrdiff_t n) { _mm512_mask_storeu_ps(p, first_lanes_f32(n), a); }
INLINE void f64_store_part(double *p, v_f64 a, ptrdiff_t n) { _mm512_mask_storeu_pd(p, first_lanes_f64(n), a); }

INLINE v_f32 f32_set1(float c) { return _mm512_set1_ps(c); }
INLINE v_f64 f64_set1(double c) { return _mm512_set1_pd(c); }

VECTOR_OP2(f32, add, _mm512_add_ps(a, b))
VECTOR_OP2(f64, add, _mm512_add_pd(a, b))
VECTOR_OP2(f32, sub, _mm512_sub_ps(a, b))
VECTOR_OP2(f64, sub, _mm512_sub_pd(a, b))
VECTOR_OP2(f32, mul, _mm512_mul_ps(a, b))
VECTOR_OP2(f64, mul, _mm512_mul_pd(a, b))
X86_PRODUCT(f32, "vmulps")
X86_PRODUCT(f64, "vmulpd")
VECTOR_OP2(f32, div, _mm512_div_ps(a, b))
VECTOR_OP2(f64, div, _mm512_div_pd(a, b))
VECTOR_OP1(f32, sqrt, _mm512_sqrt_ps(a))
VECTOR_OP1(f64, sqrt, _mm512_sqrt_pd(a))
VECTOR_OP2(f32, min, _mm512_min_ps(a, b))
VECTOR_OP2(f64, min, _mm512_min_pd(a, b))
VECTOR_OP2(f32, max, _mm512_max_ps(a, b))
VECTOR_OP2(f64, max, _mm512_max_pd(a, b))

VECTOR_OP3(f32, fma, _mm512_fmadd_ps(a, b, c))
VECTOR_OP3(f64, fma, _mm512_fmadd_pd(a, b, c))
VECTOR_OP3(f32, fnma, _mm512_fnmadd_ps(a, b, c))
VECTOR_OP3(f64, fnma, _mm512_fnmadd_pd(a, b, c))
VECTOR_OP3(f32, mad, _mm512_fmadd_ps(a, b, c))
VECTOR_OP3(f64, mad, _mm512_fmadd_pd(a, b, c))
VECTOR_OP3(f32, nmad, _mm512_fnmadd_ps(a, b, c))
VECTOR_OP3(f64, nmad, _mm512_fnmadd_pd(a, b, c))

COMPARISON(f32, le, _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ))
COMPARISON(f64, le, _mm512_cmp_pd_mask(a, b, _CMP_LE_OQ))
COMPARISON(f32, gt, _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ))
COMPARISON(f64, gt, _mm512_cmp_pd_mask(a, b, _CMP_GT_OQ))
COMPARISON(f32, eq, _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ))
COMPARISON(f64, eq, _mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ))
COMPARISON(f32, unordered, _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q))
COMPARISON(f64, unordered, _mm512_cmp_pd_mask(a, b, _CMP_UNORD_Q))
INLINE v_f32 f32_select(m_f32 m, v_f32 a, v_f32 b) { return _mm512_mask_blend_ps(m, b, a); }
INLINE v_f64 f64_select(m_f64 m, v_f64 a, v_f64 b) { return _mm512_mask_blend_pd(m, b, a); }
INLINE int f32_all(m_f32 m) { return m == 0xffff; }
INLINE int f64_all(m_f64 m) { return m == 0xff; }

VECTOR_OP2(f32, and, _mm512_and_ps(a, b))
VECTOR_OP2(f64, and, _mm512_and_pd(a, b))
VECTOR_OP2(f32, or, _mm512_or_ps(a, b))
VECTOR_OP2(f64, or, _mm512_or_pd(a, b))
VECTOR_OP1(f32, abs, _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a))
VECTOR_OP1(f64, abs, _mm512_andnot_pd(_mm512_set1_pd(-0.0), a))

INLINE i_f32 f32_to_bits(v_f32 a) { return _mm512_castps_si512(a); }
INLINE i_f64 f64_to_bits(v_f64 a) { return _mm512_castpd_si512(a); }
INLINE v_f32 f32_from_bits(i_f32 a) { return _mm512_castsi512_ps(a); }
INLINE v_f64 f64_from_bits(i_f64 a) { return _mm512_castsi512_pd(a); }

INTEGER_OP2(f32, iadd, _mm512_add_epi32(a, b))
INTEGER_OP2(f64, iadd, _mm512_add_epi64(a, b))
INTEGER_SHIFT(f32, sll, _mm512_slli_epi32(a, (unsigned)n))
INTEGER_SHIFT(f64, sll, _mm512_slli_epi64(a, (unsigned)n))
INTEGER_SHIFT(f32, srl, _mm512_srli_epi32(a, (unsigned)n))
INTEGER_SHIFT(f64, srl, _mm512_srli_epi64(a, (unsigned)n))

enum { WIDER = 2 };
INLINE void f32_widen(v_f32 a, v_f64 *w)
{
    w[0] = _mm512_cvtps_pd(_mm512_castps512_ps256(a));
    w[1] = _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1));
}
INLINE v_f32 f32_narrow(const v_f64 *w)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(w[0])), _mm512_cvtpd_ps(w[1]), 1);
}

/* The permute looks at four bits of the index: the table lies in both halves. */
INLINE v_f32 f32_lookup8(const float table[8], i_f32 i)
{
    return _mm512_permutexvar_ps(i, _mm512_broadcast_f32x8(_mm256_loadu_ps(table)));
}
INLINE v_f64 f64_lookup4(const double table[4], i_f64 i)
{
    return _mm512_permutexvar_pd(i, _mm512_broadcast_f64x4(_mm256_loadu_pd(table)));
}

/* scalef adds the integer below n to the exponent, and passes the NaN of n on. It takes the entries with j's bits. */
INLINE v_f32 f32_number(v_f32 a, float c) { (void)c; return a; }
INLINE v_f64 f64_number(v_f64 a, double c) { (void)c; return a; }
INLINE v_f32 f32_power(const float table[8], v_f32 z, v_f32 n)
{
    const i_f32 j = _mm512_set_epi32(3, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1, 0);
    const i_f32 entries = f32_iadd(_mm512_castps_si512(_mm512_broadcast_f32x8(_mm256_loadu_ps(table))), f32_sll(j, 21));
    return _mm512_scalef_ps(_mm512_castsi512_ps(_mm512_permutexvar_epi32(f32_to_bits(z), entries)), n);
}
INLINE v_f64 f64_power(const double table[4], v_f64 z, v_f64 n)
{
    const i_f64 j = _mm512_set_epi64(3, 2, 1, 0, 3, 2, 1, 0);
    const i_f64 entries = f64_iadd(_mm512_castpd_si512(_mm512_broadcast_f64x4(_mm256_loadu_pd(table))), f64_sll(j, 50));
    return _mm512_scalef_pd(_mm512_castsi512_pd(_mm512_permutexvar_epi64(f64_to_bits(z), entries)), n);
}

#define HAS_HALVES
INLINE v_f32 f32_load_float16(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
INLINE void f32_store_float16(uint16_t *p, v_f32 a)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
INLINE v_f32 f32_load_upper(const uint16_t *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}
INLINE void f32_store_upper(uint16_t *p, v_f32 a)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(f32_to_bits(a), 16)));
}

INLINE uint32_t f32_mask_bits(m_f32 m) { return m; }
INLINE v_f32 f32_fine_power(v_f32 z, v_f32 n)
{
    static const float table[] = {POWERS_16};
    return _mm512_scalef_ps(_mm512_permutexvar_ps(f32_to_bits(z), _mm512_loadu_ps(table)), n);
}
INLINE v_f32 f32_fine_rest(v_f32 z)
{
    static const float table[] = {POWERS_16_REST};
    return _mm512_permutexvar_ps(f32_to_bits(z), _mm512_loadu_ps(table));
}
INLINE v_f32 f32_lookup32(const float table[32], i_f32 i)
{
    return _mm512_permutex2var_ps(_mm512_loadu_ps(table), i, _mm512_loadu_ps(table + 16));
}
#define HAS_PAIRS
#define EXP_COEFFICIENTS EXP_16
#define HAS_LOOKUP32
enum { POWERS = 16 };
