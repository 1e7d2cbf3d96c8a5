/* The vector vocabulary (vector.h) in aarch64 NEON. */
#include "vector.h"

typedef float32x4_t v_f32;
typedef uint32x4_t m_f32, i_f32;
typedef float64x2_t v_f64;
typedef uint64x2_t m_f64, i_f64;

enum { LANES_f32 = 4, LANES_f64 = 2 };
#define U_f32 4
#define G_f32 4
#define U_f64 4
#define G_f64 4

INLINE v_f32 f32_load(const float *p) { return vld1q_f32(p); }
INLINE v_f64 f64_load(const double *p) { return vld1q_f64(p); }
INLINE void f32_store(float *p, v_f32 a) { vst1q_f32(p, a); }
INLINE void f64_store(double *p, v_f64 a) { vst1q_f64(p, a); }

INLINE v_f32 f32_load_part(const float *p, ptrdiff_t n)
{
    v_f32 a = vsetq_lane_f32(p[0], vdupq_n_f32(0), 0);
    if (n > 1)
        a = vsetq_lane_f32(p[1], a, 1);
    if (n > 2)
        a = vsetq_lane_f32(p[2], a, 2);
    return a;
}
INLINE v_f64 f64_load_part(const double *p, ptrdiff_t n)
{
    (void)n; /* always 1 */
    return vsetq_lane_f64(p[0], vdupq_n_f64(0), 0);
}
INLINE void f32_store_part(float *p, v_f32 a, ptrdiff_t n)
{
    p[0] = vgetq_lane_f32(a, 0);
    if (n > 1)
        p[1] = vgetq_lane_f32(a, 1);
    if (n > 2)
        p[2] = vgetq_lane_f32(a, 2);
}
INLINE void f64_store_part(double *p, v_f64 a, ptrdiff_t n)
{
    (void)n; /* always 1 */
    p[0] = vgetq_lane_f64(a, 0);
}

INLINE v_f32 f32_set1(float c) { return vdupq_n_f32(c); }
INLINE v_f64 f64_set1(double c) { return vdupq_n_f64(c); }

VECTOR_OP2(f32, add, vaddq_f32(a, b))
VECTOR_OP2(f64, add, vaddq_f64(a, b))
VECTOR_OP2(f32, sub, vsubq_f32(a, b))
VECTOR_OP2(f64, sub, vsubq_f64(a, b))
VECTOR_OP2(f32, mul, vmulq_f32(a, b))
VECTOR_OP2(f64, mul, vmulq_f64(a, b))
VECTOR_OP2(f32, div, vdivq_f32(a, b))
VECTOR_OP2(f64, div, vdivq_f64(a, b))
VECTOR_OP1(f32, sqrt, vsqrtq_f32(a))
VECTOR_OP1(f64, sqrt, vsqrtq_f64(a))
/* Not vminq and vmaxq: they return NaN when either is NaN, and order the zeros. */
VECTOR_OP2(f32, min, vbslq_f32(vcltq_f32(a, b), a, b))
VECTOR_OP2(f64, min, vbslq_f64(vcltq_f64(a, b), a, b))
VECTOR_OP2(f32, max, vbslq_f32(vcgtq_f32(a, b), a, b))
VECTOR_OP2(f64, max, vbslq_f64(vcgtq_f64(a, b), a, b))

/* The instruction of fnma negates a before the product: a NaN there comes out with its sign turned. */
VECTOR_OP3(f32, fma, vfmaq_f32(c, a, b))
VECTOR_OP3(f64, fma, vfmaq_f64(c, a, b))
VECTOR_OP3(f32, fnma, vfmsq_f32(c, a, b))
VECTOR_OP3(f64, fnma, vfmsq_f64(c, a, b))
VECTOR_OP3(f32, mad, vfmaq_f32(c, a, b))
VECTOR_OP3(f64, mad, vfmaq_f64(c, a, b))
VECTOR_OP3(f32, nmad, vfmsq_f32(c, a, b))
VECTOR_OP3(f64, nmad, vfmsq_f64(c, a, b))

COMPARISON(f32, le, vcleq_f32(a, b))
COMPARISON(f64, le, vcleq_f64(a, b))
COMPARISON(f32, gt, vcgtq_f32(a, b))
COMPARISON(f64, gt, vcgtq_f64(a, b))
COMPARISON(f32, eq, vceqq_f32(a, b))
COMPARISON(f64, eq, vceqq_f64(a, b))
COMPARISON(f32, unordered, vmvnq_u32(vandq_u32(vceqq_f32(a, a), vceqq_f32(b, b))))
COMPARISON(f64, unordered, veorq_u64(vandq_u64(vceqq_f64(a, a), vceqq_f64(b, b)), vdupq_n_u64(~0ull)))
INLINE v_f32 f32_select(m_f32 m, v_f32 a, v_f32 b) { return vbslq_f32(m, a, b); }
INLINE v_f64 f64_select(m_f64 m, v_f64 a, v_f64 b) { return vbslq_f64(m, a, b); }
INLINE int f32_all(m_f32 m) { return vminvq_u32(m) != 0; }
INLINE int f64_all(m_f64 m) { return vminvq_u32(vreinterpretq_u32_u64(m)) != 0; }
VECTOR_OP2(f32, product, f32_select(f32_unordered(a, a), f32_add(a, a), f32_mul(a, b))) /* a + a is a quiet NaN */
VECTOR_OP2(f64, product, f64_select(f64_unordered(a, a), f64_add(a, a), f64_mul(a, b)))

INLINE i_f32 f32_to_bits(v_f32 a) { return vreinterpretq_u32_f32(a); }
INLINE i_f64 f64_to_bits(v_f64 a) { return vreinterpretq_u64_f64(a); }
INLINE v_f32 f32_from_bits(i_f32 a) { return vreinterpretq_f32_u32(a); }
INLINE v_f64 f64_from_bits(i_f64 a) { return vreinterpretq_f64_u64(a); }

VECTOR_OP2(f32, and, f32_from_bits(vandq_u32(f32_to_bits(a), f32_to_bits(b))))
VECTOR_OP2(f64, and, f64_from_bits(vandq_u64(f64_to_bits(a), f64_to_bits(b))))
VECTOR_OP2(f32, or, f32_from_bits(vorrq_u32(f32_to_bits(a), f32_to_bits(b))))
VECTOR_OP2(f64, or, f64_from_bits(vorrq_u64(f64_to_bits(a), f64_to_bits(b))))
VECTOR_OP1(f32, abs, vabsq_f32(a))
VECTOR_OP1(f64, abs, vabsq_f64(a))

INTEGER_OP2(f32, iadd, vaddq_u32(a, b))
INTEGER_OP2(f64, iadd, vaddq_u64(a, b))
INTEGER_SHIFT(f32, sll, vshlq_u32(a, vdupq_n_s32(n)))
INTEGER_SHIFT(f64, sll, vshlq_u64(a, vdupq_n_s64(n)))
INTEGER_SHIFT(f32, srl, vshlq_u32(a, vdupq_n_s32(-n)))
INTEGER_SHIFT(f64, srl, vshlq_u64(a, vdupq_n_s64(-n)))

enum { WIDER = 2 };
INLINE void f32_widen(v_f32 a, v_f64 *w)
{
    w[0] = vcvt_f64_f32(vget_low_f32(a));
    w[1] = vcvt_high_f64_f32(a);
}
INLINE v_f32 f32_narrow(const v_f64 *w) { return vcvt_high_f32_f64(vcvt_f32_f64(w[0]), w[1]); }

/* The table's 32 bytes in two registers, each index made into the numbers of its four bytes. */
INLINE v_f32 f32_lookup8(const float table[8], i_f32 i)
{
    const uint8x16x2_t bytes = {{vreinterpretq_u8_f32(vld1q_f32(table)), vreinterpretq_u8_f32(vld1q_f32(table + 4))}};
    const uint32x4_t low_3_bits = vandq_u32(i, vdupq_n_u32(7));
    const uint32x4_t byte_numbers = vmlaq_u32(vdupq_n_u32(0x03020100), low_3_bits, vdupq_n_u32(0x04040404));
    return vreinterpretq_f32_u8(vqtbl2q_u8(bytes, vreinterpretq_u8_u32(byte_numbers)));
}
INLINE v_f64 f64_lookup4(const double table[4], i_f64 i)
{
    return vcombine_f64(vld1_f64(table + (vgetq_lane_u64(i, 0) & 3)), vld1_f64(table + (vgetq_lane_u64(i, 1) & 3)));
}

POWER_BY_SHIFT(f32, 8, 21)
POWER_BY_SHIFT(f64, 4, 50)

#define HAS_HALVES
INLINE v_f32 f32_load_float16(const uint16_t *p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
INLINE void f32_store_float16(uint16_t *p, v_f32 a) { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(a))); }
INLINE v_f32 f32_load_upper(const uint16_t *p) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16)); }
INLINE void f32_store_upper(uint16_t *p, v_f32 a) { vst1_u16(p, vshrn_n_u32(vreinterpretq_u32_f32(a), 16)); }

INLINE uint32_t f32_mask_bits(m_f32 m)
{
    static const uint32_t lane_bits[] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(m, vld1q_u32(lane_bits)));
}
FINE_POWERS_OF_8
#define HAS_PAIRS
#define EXP_COEFFICIENTS EXP_8
enum { POWERS = 8 };
