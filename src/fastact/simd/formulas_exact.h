/* The first step of the exact passes: float32 results as pairs of floats, right to 2^-33 or so, and whether that decides
 * to which float the exact value rounds. exact.inc has the second step, which decides the others.
 *
 * A pair is a float and a low part, |low| half an ULP of it at most. A result y + low is sure where y stays the nearest
 * float though `low` grows by a factor of ..._SURE = 1 + 2^-k: the exact value then lies on the same side of the middle
 * between two floats. The factors rest on trying: all 2^32 inputs come out right (tools/prove_exact.py), while some results
 * are wrong at k = 8 for the sigmoid with 8 powers (none was met at 10 with 16) and for the derivatives, at 6 for tanh by
 * the exponential, and at 7.4 by 32 intervals.
 *
 * A NaN is never sure. */

#define SIGMOID_SURE (POWERS == 8 ? 0x1.018p+0f : 0x1.01p+0f)
#define SIGMOID_DERIVATIVE_SURE 0x1.02p+0f
#ifdef HAS_LOOKUP32
#define TANH_SURE 0x1.03p+0f
#else
#define TANH_SURE 0x1.06p+0f
#endif

/* Where exp(-x) is below 2^24, so that 1 + exp(-x) less 1 is exact. */
#define PAIR_LOWEST -16.0f
/* From here on exp(-x) is below 2^-34, and the results no longer change. */
#define PAIR_HIGHEST 30.0f

#ifdef HAS_PAIRS

#define U U_f32

/* exp(-x) = s*(1 - r + r*r*q + w) to 2^-34, for x between PAIR_LOWEST and PAIR_HIGHEST.
 *
 * Algorithm: Tang's (ACM TOMS 15, 1989): s = 2^n, n a multiple of 1/POWERS, r = x + n*ln(2) exactly; w makes up for what s
 * and ln(2) lack. */
INLINE void f32_exponential_parts(const v_f32 *x, v_f32 *s, v_f32 *r, v_f32 *square_q, v_f32 *w)
{
    static const float c[] = {EXP_COEFFICIENTS};
    const v_f32 round = f32_set1(0x1.8p23f / POWERS);
    v_f32 z[U], n[U], q[U];
    EACH z[u] = f32_mad(x[u], f32_set1(-LOG2_E_EXACT), round);
    EACH n[u] = f32_sub(z[u], round);
    EACH r[u] = f32_mad(n[u], f32_set1(LN_2_EXACT), x[u]);
    EACH s[u] = f32_fine_power(z[u], n[u]);
    EACH w[u] = f32_nmad(n[u], f32_set1(LN_2_REST), f32_fine_rest(z[u]));
    EACH q[u] = f32_set1(c[POWERS == 8 ? 2 : 1]);
    if (POWERS == 8)
        EACH q[u] = f32_nmad(r[u], q[u], f32_set1(c[1]));
    EACH q[u] = f32_nmad(r[u], q[u], f32_set1(c[0]));
    EACH q[u] = f32_nmad(r[u], q[u], f32_set1(0.5f));
    EACH square_q[u] = f32_mul(q[u], f32_mul(r[u], r[u]));
}

/* y + low = 1/(1 + exp(-x)), for x above PAIR_LOWEST. */
INLINE void f32_sigmoid_pair(const v_f32 *x, v_f32 *y, v_f32 *low)
{
    const v_f32 one = f32_set1(1);
    v_f32 bounded[U], s[U], r[U], square_q[U], w[U], e[U], e_low[U], d[U], d_low[U], y0[U], rest[U];
    EACH bounded[u] = f32_bounded(x[u], PAIR_LOWEST, PAIR_HIGHEST);
    f32_exponential_parts(bounded, s, r, square_q, w);
    EACH e[u] = f32_nmad(s[u], r[u], s[u]);
    EACH e_low[u] = f32_nmad(s[u], r[u], f32_sub(s[u], e[u]));
    EACH e_low[u] = f32_mad(e[u], w[u], e_low[u]);
    EACH e_low[u] = f32_mad(s[u], square_q[u], e_low[u]);
    EACH d[u] = f32_add(e[u], one);
    EACH d_low[u] = f32_sub(e[u], f32_sub(d[u], one));
    EACH d_low[u] = f32_add(d_low[u], e_low[u]);
    EACH y0[u] = f32_div(one, f32_add(d[u], d_low[u]));
    EACH rest[u] = f32_nmad(d[u], y0[u], one);
    EACH rest[u] = f32_nmad(d_low[u], y0[u], rest[u]);
    EACH y[u] = f32_mad(rest[u], y0[u], y0[u]);
    EACH low[u] = f32_mad(rest[u], y0[u], f32_sub(y0[u], y[u]));
}

INLINE void f32_exact_sigmoid(const v_f32 *x, v_f32 *y, m_f32 *sure)
{
    v_f32 low[U];
    f32_sigmoid_pair(x, y, low);
    EACH sure[u] = f32_eq(f32_mad(low[u], f32_set1(SIGMOID_SURE), y[u]), y[u]);
    EACH sure[u] = f32_both(sure[u], f32_gt(x[u], f32_set1(PAIR_LOWEST)));
}

/* y = z*(1 - z), z = sigmoid(x), for x <= 0. */
INLINE void f32_derivative_pair(const v_f32 *x, v_f32 *y, m_f32 *sure)
{
    const v_f32 one = f32_set1(1), two = f32_set1(2);
    v_f32 z[U], z_low[U], square[U], square_rest[U], difference[U], low[U];
    f32_sigmoid_pair(x, z, z_low);
    EACH square[u] = f32_mul(z[u], z[u]);
    EACH square_rest[u] = f32_nmad(z[u], z[u], square[u]);
    EACH difference[u] = f32_sub(z[u], square[u]);
    EACH low[u] = f32_add(f32_sub(f32_sub(z[u], difference[u]), square[u]), square_rest[u]);
    EACH low[u] = f32_mad(z_low[u], f32_nmad(z[u], two, one), low[u]);
    EACH y[u] = f32_add(difference[u], low[u]);
    EACH low[u] = f32_sub(low[u], f32_sub(y[u], difference[u]));
    EACH sure[u] = f32_eq(f32_mad(low[u], f32_set1(SIGMOID_DERIVATIVE_SURE), y[u]), y[u]);
    EACH sure[u] = f32_both(sure[u], f32_gt(x[u], f32_set1(PAIR_LOWEST)));
}

INLINE void f32_exact_sigmoid_derivative(const v_f32 *x, v_f32 *y, m_f32 *sure)
{
    v_f32 a[U];
    EACH a[u] = f32_or(x[u], f32_set1(-0.0f));
    f32_derivative_pair(a, y, sure);
}

/* tanh'(x) = 4*sigmoid'(2*x) */
INLINE void f32_exact_tanh_derivative(const v_f32 *x, v_f32 *y, m_f32 *sure)
{
    v_f32 a[U];
    EACH a[u] = f32_or(f32_add(x[u], x[u]), f32_set1(-0.0f));
    f32_derivative_pair(a, y, sure);
    EACH y[u] = f32_mul(y[u], f32_set1(4));
}

#ifdef HAS_LOOKUP32

/* tanh(c + r) = c0 + c1*r + c2*r^2 + ... + c6*r^6 with the sign of x, on 32 intervals of |x|, whose number is read off the
 * bits of |x| + 5/8. c is chosen so that c0, c1 = 1 - c0^2 and c2 = -c0*c1 all lie next to floats. */
INLINE void f32_exact_tanh(const v_f32 *x, v_f32 *y, m_f32 *sure)
{
    static const float centre[] = {TANH_32_CENTRE}, base[] = {TANH_32_BASE};
    static const float c3[] = {TANH_32_C3}, c4[] = {TANH_32_C4}, c5[] = {TANH_32_C5}, c6[] = {TANH_32_C6};
    v_f32 a[U], r[U], q[U], c0[U], c1[U], sum[U], low[U];
    i_f32 k[U];
    EACH a[u] = f32_min(f32_set1(TANH_HIGHEST_F32), f32_abs(x[u]));
    EACH k[u] = f32_srl(f32_to_bits(f32_add(a[u], f32_set1(0.625f))), 20);
    EACH r[u] = f32_sub(a[u], f32_lookup32(centre, k[u]));
    EACH q[u] = f32_mad(r[u], f32_lookup32(c6, k[u]), f32_lookup32(c5, k[u]));
    EACH q[u] = f32_mad(q[u], r[u], f32_lookup32(c4, k[u]));
    EACH q[u] = f32_mad(q[u], r[u], f32_lookup32(c3, k[u]));
    EACH c0[u] = f32_lookup32(base, k[u]);
    EACH c1[u] = f32_nmad(c0[u], c0[u], f32_set1(1));
    EACH q[u] = f32_nmad(c0[u], c1[u], f32_mul(q[u], r[u]));
    EACH sum[u] = f32_mad(r[u], c1[u], c0[u]);
    EACH low[u] = f32_mad(r[u], c1[u], f32_sub(c0[u], sum[u]));
    EACH low[u] = f32_mad(f32_mul(r[u], r[u]), q[u], low[u]);
    EACH y[u] = f32_add(sum[u], low[u]);
    EACH low[u] = f32_sub(low[u], f32_sub(y[u], sum[u]));
    EACH sure[u] = f32_eq(f32_mad(low[u], f32_set1(TANH_SURE), y[u]), y[u]);
    EACH y[u] = f32_or(y[u], f32_and(x[u], f32_set1(-0.0f)));
}

#else

/* tanh(x) = N/(2 - N) with the sign of x, N = 1 - exp(-2*|x|), as pairs of floats.
 *
 * N loses accuracy towards 0, where its low part is not small against it: up to 1/8 the odd polynomial's are taken. */
INLINE void f32_exact_tanh(const v_f32 *x, v_f32 *y, m_f32 *sure)
{
    static const float c[] = {TANH_NEAR_0};
    const v_f32 one = f32_set1(1), two = f32_set1(2), half = f32_set1(0.5f);
    v_f32 a[U], s[U], r[U], square_q[U], w[U], part[U], n[U], n_low[U], d[U], d_low[U], y0[U], rest[U], low[U];
    EACH a[u] = f32_abs(f32_add(x[u], x[u]));
    EACH a[u] = f32_min(f32_set1(PAIR_HIGHEST), a[u]);
    f32_exponential_parts(a, s, r, square_q, w);
    EACH part[u] = f32_sub(one, s[u]);
    EACH n[u] = f32_mad(s[u], r[u], part[u]);
    EACH n_low[u] = f32_mad(s[u], r[u], f32_sub(part[u], n[u]));
    EACH n_low[u] = f32_add(n_low[u], f32_sub(f32_sub(one, part[u]), s[u]));
    EACH w[u] = f32_nmad(w[u], r[u], w[u]);
    EACH n_low[u] = f32_nmad(s[u], f32_add(square_q[u], w[u]), n_low[u]);
    EACH d[u] = f32_sub(two, n[u]);
    EACH d_low[u] = f32_sub(f32_sub(f32_sub(two, d[u]), n[u]), n_low[u]);
    EACH y0[u] = f32_div(f32_add(n[u], n_low[u]), f32_add(d[u], d_low[u]));
    EACH rest[u] = f32_nmad(y0[u], d[u], n[u]);
    EACH rest[u] = f32_add(rest[u], f32_nmad(y0[u], d_low[u], n_low[u]));
    EACH rest[u] = f32_mul(rest[u], f32_mad(y0[u], half, half)); /* 1/(2 - N) is (1 + y)/2 */
    EACH a[u] = f32_abs(x[u]);
    EACH r[u] = f32_mul(a[u], a[u]);
    EACH low[u] = f32_mad(r[u], f32_set1(c[3]), f32_set1(c[2]));
    EACH low[u] = f32_mad(r[u], low[u], f32_set1(c[1]));
    EACH low[u] = f32_mad(r[u], low[u], f32_set1(c[0]));
    EACH low[u] = f32_mul(f32_mul(r[u], a[u]), low[u]);
    EACH rest[u] = f32_select(f32_gt(f32_set1(0.125f), a[u]), low[u], rest[u]);
    EACH y0[u] = f32_select(f32_gt(f32_set1(0.125f), a[u]), a[u], y0[u]);
    EACH y[u] = f32_add(y0[u], rest[u]);
    EACH low[u] = f32_sub(rest[u], f32_sub(y[u], y0[u]));
    EACH sure[u] = f32_eq(f32_mad(low[u], f32_set1(TANH_SURE), y[u]), y[u]);
    EACH y[u] = f32_or(y[u], f32_and(x[u], f32_set1(-0.0f)));
}

#endif
#undef U
#endif
