/* The first step of the exact passes: float32 results as pairs of floats, right to 2^-33 or so, and whether that decides
 * to which float the exact value rounds. exact.inc has the second step, which decides the others.
 *
 * A result is the sum of two floats, high and low, |low| an ULP of high or so. It is sure where low may be off by a part of
 * 2^-k, up or down, and their sum rounds to the same float. The margins 2^-k rest on trying: all 2^32 inputs come out right
 * (tools/prove_exact.py). The largest that some input needs are 1/1145 for the sigmoid and 1/653 for the derivatives with 16
 * powers, 1/263 and 1/151 with 8, 1/129 for tanh by 32 intervals, 1/63 by the exponential.
 *
 * A NaN is never sure. */

#define SIGMOID_MARGIN (POWERS == 8 ? 0x1.8p-8f : 0x1p-9f)
#define DERIVATIVE_MARGIN (POWERS == 8 ? 0x1p-7f : 0x1p-9f)
#define TANH_MARGIN 0x1p-7f
/* tanh by the exponential: what low may grow by, where it is half an ULP of high at most. */
#define TANH_SURE 0x1.06p+0f

/* Below, exp(-x) nears 2^24, where 1 + exp(-x) less 1 is no longer exact. For this x the sigmoid lies next to the middle
 * between two floats and is never sure: nor is it below, where this x is taken instead. */
#define PAIR_LOWEST -0x1.049fe6p+4f
/* The same for the derivatives, whose low parts are normal numbers up to here. */
#define DERIVATIVE_LOWEST -0x1.e1bf14p+5f
/* From here on exp(-x) is below 2^-34, and the results no longer change. */
#define PAIR_HIGHEST 30.0f

#ifdef HAS_PAIRS

#define U U_f32

/* exp(-x) = s*(1 - r + rest) to 2^-34, for x between DERIVATIVE_LOWEST and PAIR_HIGHEST.
 *
 * Algorithm: Tang's (ACM TOMS 15, 1989): s = 2^n, n a multiple of 1/POWERS, r = x + n*ln(2) exactly; w makes up for what s
 * and ln(2) lack: exp(-x) = s*(1 - r + r*r*q)*(1 + w), of whose terms with w two count. */
INLINE void f32_exponential_parts(const v_f32 *x, v_f32 *s, v_f32 *r, v_f32 *rest)
{
    static const float c[] = {EXP_COEFFICIENTS};
    const v_f32 round = f32_set1(0x1.8p23f / POWERS);
    v_f32 z[U], n[U], q[U], w[U];
    EACH z[u] = f32_mad(x[u], f32_set1(-LOG2_E_EXACT), round);
    EACH n[u] = f32_sub(z[u], round);
    EACH r[u] = f32_mad(n[u], f32_set1(LN_2_EXACT), x[u]);
    EACH s[u] = f32_fine_power(z[u], n[u]);
    EACH w[u] = f32_nmad(n[u], f32_set1(LN_2_REST), f32_fine_rest(z[u]));
    EACH q[u] = f32_set1(c[POWERS == 8 ? 2 : 1]); /* -q from here */
    if (POWERS == 8)
        EACH q[u] = f32_nmad(r[u], q[u], f32_set1(c[1]));
    EACH q[u] = f32_nmad(r[u], q[u], f32_set1(c[0]));
    EACH q[u] = f32_mad(r[u], q[u], f32_set1(-0.5f));
    EACH rest[u] = f32_nmad(r[u], f32_mad(r[u], q[u], w[u]), w[u]);
}

/* y + low = 1/(1 + exp(-x)), |low| an ULP of y or so, for x up to PAIR_HIGHEST. What 1 + exp(-x) loses is known from
 * either term, and exact where that is the larger: exp(-x) if x <= 0, `falling`. */
INLINE void f32_sigmoid_pair(int falling, const v_f32 *x, v_f32 *y, v_f32 *low)
{
    const v_f32 one = f32_set1(1);
    v_f32 bounded[U], s[U], r[U], e[U], e_low[U], d[U], d_low[U], rest[U];
    EACH bounded[u] = f32_max(f32_set1(falling ? DERIVATIVE_LOWEST : PAIR_LOWEST), x[u]);
    f32_exponential_parts(bounded, s, r, rest);
    EACH e[u] = f32_nmad(s[u], r[u], s[u]);
    EACH e_low[u] = f32_nmad(s[u], r[u], f32_sub(s[u], e[u]));
    EACH e_low[u] = f32_mad(s[u], rest[u], e_low[u]);
    EACH d[u] = f32_add(e[u], one);
    EACH d_low[u] = falling ? f32_sub(one, f32_sub(d[u], e[u])) : f32_sub(e[u], f32_sub(d[u], one));
    EACH d_low[u] = f32_add(d_low[u], e_low[u]);
    EACH y[u] = f32_div(one, f32_add(d[u], d_low[u]));
    EACH rest[u] = f32_nmad(d[u], y[u], one);
    EACH rest[u] = f32_nmad(d_low[u], y[u], rest[u]);
    EACH low[u] = f32_mul(rest[u], y[u]);
}

/* y = high + low, |low| an ULP of high or so, and whether low right to a part `margin` of it decides y. */
INLINE void f32_rounded(float margin, const v_f32 *high, const v_f32 *low, v_f32 *y, m_f32 *sure)
{
    EACH y[u] = f32_mad(low[u], f32_set1(1 + margin), high[u]);
    EACH sure[u] = f32_eq(y[u], f32_mad(low[u], f32_set1(1 - margin), high[u]));
}

INLINE void f32_exact_sigmoid(const v_f32 *x, v_f32 *y, m_f32 *sure)
{
    v_f32 bounded[U], high[U], low[U];
    EACH bounded[u] = f32_min(f32_set1(PAIR_HIGHEST), x[u]);
    f32_sigmoid_pair(0, bounded, high, low);
    f32_rounded(SIGMOID_MARGIN, high, low, y, sure);
}

/* y = z*(1 - z), z = sigmoid(x), for x <= 0: z <= 1/2, so that z less the rounded product is exact. */
INLINE void f32_derivative_pair(const v_f32 *x, v_f32 *y, m_f32 *sure)
{
    const v_f32 one = f32_set1(1), two = f32_set1(2);
    v_f32 z[U], z_low[U], product[U], low[U];
    f32_sigmoid_pair(1, x, z, z_low);
    EACH product[u] = f32_nmad(z[u], z[u], z[u]);
    EACH low[u] = f32_nmad(z[u], z[u], f32_sub(z[u], product[u]));
    EACH low[u] = f32_mad(z_low[u], f32_nmad(z[u], two, one), low[u]);
    f32_rounded(DERIVATIVE_MARGIN, product, low, y, sure);
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
    v_f32 a[U], r[U], q[U], c0[U], c1[U], slope[U], rest[U], high[U], low[U];
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
    EACH slope[u] = f32_mad(r[u], q[u], c1[u]);
    EACH rest[u] = f32_mad(r[u], q[u], f32_sub(c1[u], slope[u]));
    EACH high[u] = f32_mad(r[u], slope[u], c0[u]);
    EACH low[u] = f32_mad(r[u], slope[u], f32_sub(c0[u], high[u]));
    EACH low[u] = f32_mad(r[u], rest[u], low[u]);
    f32_rounded(TANH_MARGIN, high, low, y, sure);
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
    v_f32 a[U], s[U], r[U], part[U], n[U], n_low[U], d[U], d_low[U], y0[U], rest[U], low[U];
    EACH a[u] = f32_abs(f32_add(x[u], x[u]));
    EACH a[u] = f32_min(f32_set1(PAIR_HIGHEST), a[u]);
    f32_exponential_parts(a, s, r, rest);
    EACH part[u] = f32_sub(one, s[u]);
    EACH n[u] = f32_mad(s[u], r[u], part[u]);
    EACH n_low[u] = f32_mad(s[u], r[u], f32_sub(part[u], n[u]));
    EACH n_low[u] = f32_add(n_low[u], f32_sub(f32_sub(one, part[u]), s[u]));
    EACH n_low[u] = f32_nmad(s[u], rest[u], n_low[u]);
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
