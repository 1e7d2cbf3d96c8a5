/* The vector vocabulary (vector.h) in AVX2 and FMA. */
#include "vector.h"

typedef __m256 v_f32, m_f32;
typedef __m256i i_f32;
typedef __m256d v_f64, m_f64;
typedef __m256i i_f64;

enum { LANES_f32 = 8, LANES_f64 = 4 };
#define U_f32 4
#define G_f32 4
#define U_f64 4
#define G_f64 2

INLINE v_f32 f32_load(const float *p) { return _mm256_loadu_ps(p); }
INLINE v_f64 f64_load(const double *p) { return _mm256_loadu_pd(p); }
INLINE void f32_store(float *p, v_f32 a) { _mm256_storeu_ps(p, a); }
INLINE void f64_store(double *p, v_f64 a) { _mm256_storeu_pd(p, a); }

#define STREAM_END _mm_sfence()
INLINE void f32_stream(float *p, v_f32 a) { _mm256_stream_ps(p, a); }
INLINE void f64_stream(double *p, v_f64 a) { _mm256_stream_pd(p, a); }

INLINE __m256i first_lanes_f32(ptrdiff_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE __m256i first_lanes_f64(ptrdiff_t n)
{
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
INLINE v_f32 f32_load_part(const float *p, ptrdiff_t n) { return _mm256_maskload_ps(p, first_lanes_f32(n)); }
INLINE v_f64 f64_load_part(const double *p, ptrdiff_t n) { return _mm256_maskload_pd(p, first_lanes_f64(n)); }
INLINE void f32_store_part(float *p, v_f32 a, ptrdiff_t n) { _mm256_maskstore_ps(p, first_lanes_f32(n), a); }
INLINE void f64_store_part(double *p, v_f64 a, ptrdiff_t n) { _mm256_maskstore_pd(p, first_lanes_f64(n), a); }

INLINE v_f32 f32_set1(float c) { return _mm256_set1_ps(c); }
INLINE v_f64 f64_set1(double c) { return _mm256_set1_pd(c); }

VECTOR_OP2(f32, add, _mm256_add_ps(a, b))
VECTOR_OP2(f64, add, _mm256_add_pd(a, b))
VECTOR_OP2(f32, sub, _mm256_sub_ps(a, b))
VECTOR_OP2(f64, sub, _mm256_sub_pd(a, b))
VECTOR_OP2(f32, mul, _mm256_mul_ps(a, b))
VECTOR_OP2(f64, mul, _mm256_mul_pd(a, b))
X86_PRODUCT(f32, "vmulps")
X86_PRODUCT(f64, "vmulpd")
VECTOR_OP2(f32, div, _mm256_div_ps(a, b))
VECTOR_OP2(f64, div, _mm256_div_pd(a, b))
VECTOR_OP1(f32, sqrt, _mm256_sqrt_ps(a))
VECTOR_OP1(f64, sqrt, _mm256_sqrt_pd(a))
VECTOR_OP2(f32, min, _mm256_min_ps(a, b))
VECTOR_OP2(f64, min, _mm256_min_pd(a, b))
VECTOR_OP2(f32, max, _mm256_max_ps(a, b))
VECTOR_OP2(f64, max, _mm256_max_pd(a, b))

VECTOR_OP3(f32, fma, _mm256_fmadd_ps(a, b, c))
VECTOR_OP3(f64, fma, _mm256_fmadd_pd(a, b, c))
VECTOR_OP3(f32, fnma, _mm256_fnmadd_ps(a, b, c))
VECTOR_OP3(f64, fnma, _mm256_fnmadd_pd(a, b, c))
VECTOR_OP3(f32, mad, _mm256_fmadd_ps(a, b, c))
VECTOR_OP3(f64, mad, _mm256_fmadd_pd(a, b, c))
VECTOR_OP3(f32, nmad, _mm256_fnmadd_ps(a, b, c))
VECTOR_OP3(f64, nmad, _mm256_fnmadd_pd(a, b, c))

COMPARISON(f32, le, _mm256_cmp_ps(a, b, _CMP_LE_OQ))
COMPARISON(f64, le, _mm256_cmp_pd(a, b, _CMP_LE_OQ))
COMPARISON(f32, gt, _mm256_cmp_ps(a, b, _CMP_GT_OQ))
COMPARISON(f64, gt, _mm256_cmp_pd(a, b, _CMP_GT_OQ))
COMPARISON(f32, eq, _mm256_cmp_ps(a, b, _CMP_EQ_OQ))
COMPARISON(f64, eq, _mm256_cmp_pd(a, b, _CMP_EQ_OQ))
COMPARISON(f32, unordered, _mm256_cmp_ps(a, b, _CMP_UNORD_Q))
COMPARISON(f64, unordered, _mm256_cmp_pd(a, b, _CMP_UNORD_Q))
INLINE v_f32 f32_select(m_f32 m, v_f32 a, v_f32 b) { return _mm256_blendv_ps(b, a, m); }
INLINE v_f64 f64_select(m_f64 m, v_f64 a, v_f64 b) { return _mm256_blendv_pd(b, a, m); }
INLINE int f32_all(m_f32 m) { return _mm256_movemask_ps(m) == 0xff; }
INLINE int f64_all(m_f64 m) { return _mm256_movemask_pd(m) == 0xf; }

VECTOR_OP2(f32, and, _mm256_and_ps(a, b))
VECTOR_OP2(f64, and, _mm256_and_pd(a, b))
VECTOR_OP2(f32, or, _mm256_or_ps(a, b))
VECTOR_OP2(f64, or, _mm256_or_pd(a, b))
VECTOR_OP1(f32, abs, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a))
VECTOR_OP1(f64, abs, _mm256_andnot_pd(_mm256_set1_pd(-0.0), a))

INLINE i_f32 f32_to_bits(v_f32 a) { return _mm256_castps_si256(a); }
INLINE i_f64 f64_to_bits(v_f64 a) { return _mm256_castpd_si256(a); }
INLINE v_f32 f32_from_bits(i_f32 a) { return _mm256_castsi256_ps(a); }
INLINE v_f64 f64_from_bits(i_f64 a) { return _mm256_castsi256_pd(a); }

INTEGER_OP2(f32, iadd, _mm256_add_epi32(a, b))
INTEGER_OP2(f64, iadd, _mm256_add_epi64(a, b))
INTEGER_SHIFT(f32, sll, _mm256_slli_epi32(a, n))
INTEGER_SHIFT(f64, sll, _mm256_slli_epi64(a, n))
INTEGER_SHIFT(f32, srl, _mm256_srli_epi32(a, n))
INTEGER_SHIFT(f64, srl, _mm256_srli_epi64(a, n))

enum { WIDER = 2 };
INLINE void f32_widen(v_f32 a, v_f64 *w)
{
    w[0] = _mm256_cvtps_pd(_mm256_castps256_ps128(a));
    w[1] = _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1));
}
INLINE v_f32 f32_narrow(const v_f64 *w)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(w[0])), _mm256_cvtpd_ps(w[1]), 1);
}

INLINE v_f32 f32_lookup8(const float table[8], i_f32 i) { return _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), i); }

/* Two permutes and a blend: four loads or a gather take most of a kernel's time. */
INLINE v_f64 f64_lookup4(const double table[4], i_f64 i)
{
    const __m256d even = _mm256_setr_pd(table[0], table[2], table[0], table[2]);
    const __m256d odd = _mm256_setr_pd(table[1], table[3], table[1], table[3]);
    const __m256d bit_0 = _mm256_castsi256_pd(_mm256_slli_epi64(i, 63));
    return _mm256_blendv_pd(_mm256_permutevar_pd(even, i), _mm256_permutevar_pd(odd, i), bit_0); /* they read bit 1 */
}

POWER_BY_SHIFT(f32, 8, 21)
POWER_BY_SHIFT(f64, 4, 50)

#define HAS_HALVES
INLINE v_f32 f32_load_float16(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
INLINE void f32_store_float16(uint16_t *p, v_f32 a)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
INLINE v_f32 f32_load_upper(const uint16_t *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
INLINE void f32_store_upper(uint16_t *p, v_f32 a)
{
    const __m256i upper = _mm256_srli_epi32(f32_to_bits(a), 16);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(upper, upper), 0x08);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(packed));
}

INLINE uint32_t f32_mask_bits(m_f32 m) { return (uint32_t)_mm256_movemask_ps(m); }
FINE_POWERS_OF_8
#define HAS_PAIRS
#define EXP_COEFFICIENTS EXP_8
enum { POWERS = 8 };
