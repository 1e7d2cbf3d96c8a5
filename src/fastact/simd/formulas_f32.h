/* The float32 exponential and tanh; formulas.h makes the sigmoid and the derivatives of the former. README.md tells
 * more.
 *
 * The constants are printed and checked by tools/derive_constants_f32.py. A NaN must not be the first factor of nmad
 * or fnma (vector_neon.h says why). */

#define U U_f32
#define G G_f32

/* C*exp(-x) = s*(1 - p), with C = 2^-64 in the table: s = C * 2^n, 1 - p = exp(-rho), rho = x + n*ln(2); n
 * is a multiple of 1/4. The table stands twice, since it is looked up by three bits. */
#define LOG2_E_F32 0x1.715476p+0f
#define LN_2_HIGH_F32 0x1.62e8p-1f
#define LN_2_LOW_F32 -0x1.e8082ep-16f
#define EXP_TABLE_LOG_F32 0x1.55039ap-11f
#define EXP_TABLE_F32 \
    0x1.002aa4p-64f, 0x1.f0a296p-65f, 0x1.ea4634p-65f, 0x1.eed1bp-65f, 0x1.002aa4p-64f, 0x1.f0a296p-65f, \
    0x1.ea4634p-65f, 0x1.eed1bp-65f
#define EXP_POLYNOMIAL_F32 -0x1.000008p-1f, 0x1.557244p-3f, -0x1.552052p-5f
#define ROUND_TO_QUARTERS_F32 0x1.8p21f /* adding it rounds to quarters, whose number then lies in the low bits */
#define SIGMOID_ONE_f32 0x1p-64f        /* C */
/* Beyond these the results no longer change: exp(108) is above 2^155, exp(-24) below 2^-34. */
#define SIGMOID_LOWEST_f32 -108.0f
#define SIGMOID_HIGHEST_f32 24.0f
/* Up to here C*exp(-x) is a normal number. */
#define EXP_HIGHEST_f32 42.5f

/* tanh(c + r) = c0 + r*Q(r) on eight intervals that begin at 0, 0.25, 0.5, 1, 1.5, 2.5, 3.5 and 5.5. Entry k of a table
 * belongs to interval (k + 4) mod 8. */
#define TANH_CENTRE_F32 \
    0x1.000146p+1f, 0x1.7ffe82p+1f, 0x1.27ff26p+2f, 0x1.0a22f6p+3f, 0, 0x1.80002ep-2f, 0x1.7fff76p-1f, \
    0x1.400036p+0f
#define TANH_BASE_F32 \
    0x1.ed9562p-1f, 0x1.fd77c2p-1f, 0x1.ffe6cep-1f, 0x1.fffffcp-1f, 0, 0x1.6ef566p-2f, 0x1.4531ecp-1f, \
    0x1.b2525ap-1f
#define TANH_Q0_F32 \
    0x1.215d4p-4f, 0x1.4351d2p-7f, 0x1.92fee4p-12f, 0x1.2a28ecp-22f, 0, 0x1.be3facp-1f, 0x1.31741ap-1f, \
    0x1.1f24acp-2f
#define TANH_Q1_F32 \
    -0x1.16f356p-4f, -0x1.41b8cep-7f, -0x1.9322ap-12f, -0x1.d1dfe8p-23f, 0, -0x1.3fd566p-2f, -0x1.84040ep-2f, \
    -0x1.e7288ep-3f
#define TANH_Q2_F32 \
    0x1.58eb5p-5f, 0x1.a8b63p-8f, 0x1.0d977p-12f, 0x1.b57deap-27f, -0x1.555516p-2f, -0x1.6dc00cp-3f, 0x1.567fdep-5f, \
    0x1.bba47ap-4f
#define TANH_Q3_F32 \
    -0x1.259eap-6f, -0x1.a025bep-9f, -0x1.0a9a54p-13f, -0x1.90d96ap-23f, 0, 0x1.584c7p-3f, 0x1.98bfe2p-4f, \
    -0x1.9c62p-7f
#define TANH_Q4_F32 \
    0x1.3ad3bcp-8f, 0x1.3fa652p-10f, 0x1.967a38p-15f, 0x1.0b15c4p-23f, 0x1.10e0fep-3f, 0x1.208d1ep-6f, \
    -0x1.066e3p-4f, -0x1.3ad068p-6f
#define TANH_Q5_F32 \
    0x1.b90a38p-15f, -0x1.8d141ep-12f, -0x1.3b20aap-16f, 0x1.9d1c48p-24f, 0, -0x1.1c6d94p-4f, -0x1.1b720ap-9f, \
    0x1.ee76fp-7f
#define TANH_Q6_F32 \
    -0x1.8de054p-11f, 0x1.6c1588p-14f, 0x1.d6eadap-18f, 0x1.1110fcp-25f, -0x1.a53bap-5f, 0x1.87d6eap-5f, \
    0x1.648fb4p-6f, -0x1.1d9bfcp-8f
#define TANH_INDEX_SHIFT 22         /* keeps one bit of the mantissa of |x| + 1/2, and the exponent */
#define TANH_INDEX_HIGHEST 7.25f    /* from 7.5 on the index would wrap around */
#define TANH_HIGHEST_F32 9.25f      /* tanh is 1 to within half an ULP from 9.011 on */

/* Splits C*exp(-x), for x between SIGMOID_LOWEST and `highest` or NaN, into s*(1 - p).
 *
 * Algorithm: as f64_exponential, with a polynomial of lower degree. */
INLINE void f32_exponential(e_f32 highest, const v_f32 *x, v_f32 *s, v_f32 *p)
{
    static const float table[] = {EXP_TABLE_F32}, c[] = {EXP_POLYNOMIAL_F32};
    const v_f32 round = f32_set1(ROUND_TO_QUARTERS_F32);
    v_f32 z[G], n[G], rho[G], w[G], square[G], q[G];
    EACH_IN_GROUP z[u] = f32_number(x[u], highest);
    EACH_IN_GROUP z[u] = f32_mad(z[u], f32_set1(-LOG2_E_F32), round);
    EACH_IN_GROUP n[u] = f32_sub(z[u], round);
    EACH_IN_GROUP rho[u] = f32_mad(n[u], f32_set1(LN_2_HIGH_F32), x[u]);
    EACH_IN_GROUP w[u] = f32_mad(n[u], f32_set1(LN_2_LOW_F32), f32_set1(EXP_TABLE_LOG_F32));
    EACH_IN_GROUP rho[u] = f32_add(rho[u], w[u]);
    EACH_IN_GROUP q[u] = f32_mad(rho[u], f32_set1(c[2]), f32_set1(c[1]));
    EACH_IN_GROUP s[u] = f32_power(table, z[u], n[u]);
    EACH_IN_GROUP q[u] = f32_mad(q[u], rho[u], f32_set1(c[0]));
    EACH_IN_GROUP square[u] = f32_mul(rho[u], rho[u]);
    EACH_IN_GROUP p[u] = f32_mad(square[u], q[u], rho[u]);
}

/* tanh(x), |x| cut into eight intervals; no exponential, no division.
 *
 * Algorithm: with a = |x|, the bits of a + 1/2 give the interval; r = a - c is exact, and c is chosen so that tanh(c)
 * lies within 0.004 ULP of its float32 c0: no low part is needed. The coefficients are minimax in relative error, each
 * rounded before the next is fitted (Lawson's method). Interval 0 has c = c0 = 0, and takes r itself for c0, so that
 * tiny arguments come back as they are; in all others c0 exceeds r.
 * Special values: the sign is put back as a bit, so tanh is odd and tanh(-0.0) is -0.0; infinities give +-1; NaN stays
 * NaN, its payload kept: it never reaches the index.
 * Error and where: README.md. y may be x. */
INLINE void f32_tanh(const v_f32 *x, v_f32 *y)
{
    static const float centre[] = {TANH_CENTRE_F32}, base[] = {TANH_BASE_F32};
    static const float q0[] = {TANH_Q0_F32}, q1[] = {TANH_Q1_F32}, q2[] = {TANH_Q2_F32}, q3[] = {TANH_Q3_F32};
    static const float q4[] = {TANH_Q4_F32}, q5[] = {TANH_Q5_F32}, q6[] = {TANH_Q6_F32};
    v_f32 a[U], r[U], q[U], c0[U];
    i_f32 k[U];
    EACH a[u] = f32_min(f32_set1(TANH_HIGHEST_F32), f32_abs(x[u]));
    EACH r[u] = f32_add(f32_min(a[u], f32_set1(TANH_INDEX_HIGHEST)), f32_set1(0.5f));
    EACH k[u] = f32_srl(f32_to_bits(r[u]), TANH_INDEX_SHIFT);
    EACH r[u] = f32_sub(a[u], f32_lookup8(centre, k[u]));
    EACH q[u] = f32_mad(r[u], f32_lookup8(q6, k[u]), f32_lookup8(q5, k[u]));
    EACH q[u] = f32_mad(q[u], r[u], f32_lookup8(q4, k[u]));
    EACH q[u] = f32_mad(q[u], r[u], f32_lookup8(q3, k[u]));
    EACH q[u] = f32_mad(q[u], r[u], f32_lookup8(q2, k[u]));
    EACH q[u] = f32_mad(q[u], r[u], f32_lookup8(q1, k[u]));
    EACH q[u] = f32_mad(q[u], r[u], f32_lookup8(q0, k[u]));
    EACH c0[u] = f32_max(f32_lookup8(base, k[u]), r[u]);
    EACH q[u] = f32_mad(q[u], r[u], c0[u]);
    EACH y[u] = f32_or(q[u], f32_and(x[u], f32_set1(-0.0f)));
}

#undef G
#undef U
