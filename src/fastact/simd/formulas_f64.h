/* The float64 exponential, of which formulas.h makes the sigmoid and the derivatives; and tanh. README.md tells more.
 *
 * The constants are printed and checked by tools/derive_constants_f64.py. A NaN must not be the first factor of nmad
 * or fnma (vector_neon.h says why). */

#define U U_f64
#define G G_f64

/* C*exp(-x) = s*(1 - p), with C = 2^-100 in the table: s = C * 2^n, 1 - p = exp(-rho), rho = x + n*ln(2);
 * n is a multiple of 1/4. */
#define LOG2_E 0x1.71547652b82fep+0
#define LN_2_HIGH 0x1.62e42fefa4p-1
#define LN_2_LOW -0x1.8432a1b0e2634p-43
#define EXP_TABLE_LOG 0x1.1cc6b7fec3368p-31
#define EXP_TABLE 0x1.00000002398d7p-100, 0x1.f06fe0a5c0c23p-101, 0x1.ea09e66b1934dp-101, 0x1.ee89f9996b196p-101
#define EXP_POLYNOMIAL \
    -0x1.0000000000006p-1, 0x1.5555555557e65p-3, -0x1.5555555541bd2p-5, 0x1.111110a19765ep-7, \
    -0x1.6c16c381fa864p-10, 0x1.a030c55e60f77p-13, -0x1.a000b18d657dcp-16

/* (1 - exp(-2a))/2 = (1 - s)/2 + s*(1 - exp(-2*rho))/2, s = 2^n, rho = a + n*ln(2)/2. */
#define TWICE_LOG2_E 0x1.71547652b82fep+1
#define HALF_LN_2_HIGH 0x1.62e42fefa4p-2
#define HALF_LN_2_LOW -0x1.8432a1b0e2634p-44
#define EXP2_TABLE 0x1p+0, 0x1.f06fe0a5c0c23p-1, 0x1.ea09e66b1934dp-1, 0x1.ee89f9996b196p-1
#define EXP2_TABLE_LOG 0, 0x1.1cc6b7fec3368p-32, 0x1.1cc6b7fec3368p-32, 0x1.1cc6b7fec3368p-32
#define EXP2_POLYNOMIAL \
    -0x1.fffffffffffffp-1, 0x1.5555555555555p-1, -0x1.555555555740ep-2, 0x1.111111111293fp-3, \
    -0x1.6c16c0f8e6a42p-5, 0x1.a01a011ecc35fp-7, -0x1.a02dfe795741ep-9, 0x1.71efcc3f0f8ddp-11

/* Adding it rounds to quarters, whose number then lies in the low bits. */
#define ROUND_TO_QUARTERS 0x1.8p50

#define SIGMOID_ONE_f64 0x1p-100 /* C */

/* Beyond these the results no longer change: exp(748) is above 2^1079, exp(-64) and exp(-2*20) below 2^-57. */
#define SIGMOID_LOWEST_f64 -748.0
#define SIGMOID_HIGHEST_f64 64.0
#define TANH_HIGHEST 20.0
/* Up to here C*exp(-x) is a normal number, and exp(-x) squared from it on is 0. */
#define EXP_HIGHEST_f64 373.0

/* Splits C*exp(-x), for x between SIGMOID_LOWEST and `highest` or NaN, into s*(1 - p).
 *
 * Algorithm: Tang's table-driven exponential (ACM TOMS 15, 1989) with four entries, which every instruction set looks
 * up in registers. The entries are 2^(j/4) times a number just above 1, chosen so that they all are nearly float64
 * numbers; its logarithm goes into rho. T_power tells the rest.
 * NaN: s is finite or the same NaN as p, so that its payload is the same on every instruction set. */
INLINE void f64_exponential(e_f64 highest, const v_f64 *x, v_f64 *s, v_f64 *p)
{
    static const double table[] = {EXP_TABLE}, c[] = {EXP_POLYNOMIAL};
    const v_f64 round = f64_set1(ROUND_TO_QUARTERS);
    v_f64 z[G], n[G], rho[G], w[G], square[G], pair[G], q[G];
    EACH_IN_GROUP z[u] = f64_number(x[u], highest);
    EACH_IN_GROUP z[u] = f64_mad(z[u], f64_set1(-LOG2_E), round);
    EACH_IN_GROUP n[u] = f64_sub(z[u], round);
    EACH_IN_GROUP rho[u] = f64_mad(n[u], f64_set1(LN_2_HIGH), x[u]);
    EACH_IN_GROUP w[u] = f64_mad(n[u], f64_set1(LN_2_LOW), f64_set1(EXP_TABLE_LOG));
    EACH_IN_GROUP rho[u] = f64_add(rho[u], w[u]);
    EACH_IN_GROUP square[u] = f64_mul(rho[u], rho[u]);
    EACH_IN_GROUP q[u] = f64_mad(rho[u], f64_set1(c[5]), f64_set1(c[4]));
    EACH_IN_GROUP pair[u] = f64_mad(rho[u], f64_set1(c[3]), f64_set1(c[2]));
    EACH_IN_GROUP q[u] = f64_mad(square[u], f64_set1(c[6]), q[u]);
    EACH_IN_GROUP s[u] = f64_power(table, z[u], n[u]);
    EACH_IN_GROUP q[u] = f64_mad(q[u], square[u], pair[u]);
    EACH_IN_GROUP pair[u] = f64_mad(rho[u], f64_set1(c[1]), f64_set1(c[0]));
    EACH_IN_GROUP q[u] = f64_mad(q[u], square[u], pair[u]);
    EACH_IN_GROUP p[u] = f64_mad(square[u], q[u], rho[u]);
}

/* t + low = (1 - exp(-2*|x|))/2; |t| is the larger part by far. */
INLINE void f64_tanh_numerator(const v_f64 *x, v_f64 *t, v_f64 *low)
{
    static const double table[] = {EXP2_TABLE}, logs[] = {EXP2_TABLE_LOG}, c[] = {EXP2_POLYNOMIAL};
    const v_f64 round = f64_set1(ROUND_TO_QUARTERS), half = f64_set1(0.5);
    v_f64 a[G], z[G], n[G], rho[G], r[G], w[G], square[G], pair[G], q[G], s[G], v[G];
    EACH_IN_GROUP a[u] = f64_abs(x[u]);
    EACH_IN_GROUP a[u] = f64_min(f64_set1(TANH_HIGHEST), a[u]);
    EACH_IN_GROUP z[u] = f64_number(a[u], TANH_HIGHEST);
    EACH_IN_GROUP z[u] = f64_mad(z[u], f64_set1(-TWICE_LOG2_E), round);
    EACH_IN_GROUP n[u] = f64_sub(z[u], round);
    EACH_IN_GROUP rho[u] = f64_mad(n[u], f64_set1(HALF_LN_2_HIGH), a[u]); /* exact */
    EACH_IN_GROUP w[u] = f64_lookup4(logs, f64_to_bits(z[u]));
    EACH_IN_GROUP w[u] = f64_mad(n[u], f64_set1(HALF_LN_2_LOW), w[u]);
    EACH_IN_GROUP s[u] = f64_power(table, z[u], n[u]);
    EACH_IN_GROUP r[u] = f64_add(rho[u], w[u]);
    EACH_IN_GROUP square[u] = f64_mul(r[u], r[u]);
    EACH_IN_GROUP q[u] = f64_mad(r[u], f64_set1(c[7]), f64_set1(c[6]));
    EACH_IN_GROUP pair[u] = f64_mad(r[u], f64_set1(c[5]), f64_set1(c[4]));
    EACH_IN_GROUP q[u] = f64_mad(q[u], square[u], pair[u]);
    EACH_IN_GROUP pair[u] = f64_mad(r[u], f64_set1(c[3]), f64_set1(c[2]));
    EACH_IN_GROUP q[u] = f64_mad(q[u], square[u], pair[u]);
    EACH_IN_GROUP pair[u] = f64_mad(r[u], f64_set1(c[1]), f64_set1(c[0]));
    EACH_IN_GROUP q[u] = f64_mad(q[u], square[u], pair[u]);
    EACH_IN_GROUP w[u] = f64_mad(square[u], q[u], w[u]);
    EACH_IN_GROUP v[u] = f64_nmad(s[u], half, half);
    EACH_IN_GROUP t[u] = f64_mad(s[u], rho[u], v[u]);
    EACH_IN_GROUP low[u] = f64_nmad(s[u], half, f64_sub(half, v[u]));
    EACH_IN_GROUP low[u] = f64_add(low[u], f64_sub(v[u], t[u]));
    EACH_IN_GROUP low[u] = f64_mad(s[u], rho[u], low[u]);
    EACH_IN_GROUP low[u] = f64_mad(s[u], w[u], low[u]);
}

/* y = N/(1 - N) with the sign of x, N = t + low. One correction: the remainder N - y*(1 - N) is N*(1 + y) - y, in which
 * t - y is exact, and 1/(1 - N) is 1 + y. */
INLINE void f64_tanh_quotient(const v_f64 *x, const v_f64 *t, const v_f64 *low, v_f64 *y)
{
    const v_f64 one = f64_set1(1);
    v_f64 sum[G], y0[G], remainder[G];
    EACH_IN_GROUP sum[u] = f64_add(t[u], low[u]);
    EACH_IN_GROUP y0[u] = f64_div(sum[u], f64_sub(one, sum[u]));
    EACH_IN_GROUP sum[u] = f64_add(y0[u], one);
    EACH_IN_GROUP remainder[u] = f64_mad(t[u], y0[u], f64_sub(t[u], y0[u]));
    EACH_IN_GROUP remainder[u] = f64_mad(low[u], sum[u], remainder[u]);
    EACH_IN_GROUP y0[u] = f64_mad(remainder[u], sum[u], y0[u]);
    EACH_IN_GROUP y[u] = f64_or(y0[u], f64_and(x[u], f64_set1(-0.0)));
}

/* tanh(x) = (1 - exp(-2*|x|))/(1 + exp(-2*|x|)) with the sign of x
 *
 * Algorithm: Tang's table-driven exponential as above; its leading term s*rho is added exactly, as a pair of numbers,
 * so that the numerator keeps its relative accuracy down to x = 0, where s = 1 and rho = |x|. The denominator is made
 * from the numerator alone.
 * Special values: tanh(-0.0) = -0.0, tanh(+-inf) = +-1; NaN keeps its payload and sign; tiny x, subnormals too, give x.
 * Largest error: 0.62 ULP, next to |x| = 0.046; baseline (no fma) 1.10.
 * y may be x. */
INLINE void f64_tanh(const v_f64 *x, v_f64 *y)
{
    v_f64 t[U], low[U];
    EACH_GROUP f64_tanh_numerator(x + g, t + g, low + g);
    EACH_GROUP f64_tanh_quotient(x + g, t + g, low + g, y + g);
}

#undef G
#undef U
