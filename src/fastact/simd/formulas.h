/* The passes whose formula is the same in float32 and float64; included once with T = f32 and once with T = f64. */

#define OP(name) PASTE(T, _##name)
#define E PASTE(e_, T)
#define V PASTE(v_, T)
#define U PASTE(U_, T)
#define G PASTE(G_, T)

/* relu(x) = x < 0 ? +0 : x. One maximum, its NaN rule put to use: relu(-0.0) = -0.0, relu(NaN) = NaN.
 * Exact. y may be x. */
INLINE void OP(relu)(const V *x, V *y)
{
    EACH y[u] = OP(max)(OP(set1)(0), x[u]);
}

/* relu'(x) = 1 for x > 0, +0 for x <= 0, NaN for NaN.
 * Exact. y may be x. */
INLINE void OP(relu_derivative)(const V *x, V *y)
{
    const V zero = OP(set1)(0), one = OP(set1)(1);
    EACH y[u] = OP(select)(OP(unordered)(x[u], x[u]), x[u], OP(select)(OP(gt)(x[u], zero), one, zero));
}

/* relu_backward(dy, y) = y <= 0 ? +0 : dy. A NaN y passes dy.
 * Exact. dx may be dy or y. */
INLINE void OP(relu_backward)(const V *dy, const V *y, V *dx)
{
    const V zero = OP(set1)(0);
    EACH dx[u] = OP(select)(OP(le)(y[u], zero), zero, dy[u]);
}

/* leaky_relu(x, s) = x > 0 ? x : s*x, and relu(x) where s is 0 (s*x would be NaN at -inf, -0 below 0).
 * NaN for NaN; leaky_relu(-0.0, s) has the sign of -s for s other than 0.
 * One rounding: 0.5 ULP. y may be x or s. */
INLINE void OP(leaky_relu)(const V *x, const V *s, int s_may_be_0, V *y)
{
    const V zero = OP(set1)(0);
    V below[U];
    EACH below[u] = OP(mul)(s[u], x[u]);
    if (s_may_be_0)
        EACH below[u] = OP(select)(OP(eq)(s[u], zero), OP(max)(zero, x[u]), below[u]);
    EACH y[u] = OP(select)(OP(gt)(x[u], zero), x[u], below[u]);
}

/* leaky_relu'(x, s) = 1 for x > 0, s for x <= 0, NaN for NaN. A slope of -0.0 gives +0, as relu' does.
 * Exact. y may be x or s. */
INLINE void OP(leaky_relu_derivative)(const V *x, const V *s, int s_may_be_0, V *y)
{
    const V zero = OP(set1)(0), one = OP(set1)(1);
    V slope[U];
    EACH slope[u] = s_may_be_0 ? OP(add)(s[u], zero) : s[u];
    EACH slope[u] = OP(select)(OP(gt)(x[u], zero), one, slope[u]);
    EACH y[u] = OP(select)(OP(unordered)(x[u], x[u]), x[u], slope[u]);
}

/* leaky_relu_backward(dy, y, s) = y > 0 ? dy : s*dy, and relu_backward(dy, y) where s is 0: there a NaN y passes dy.
 * One rounding: 0.5 ULP. dx may be dy, y or s. */
INLINE void OP(leaky_relu_backward)(const V *dy, const V *y, const V *s, int s_may_be_0, V *dx)
{
    const V zero = OP(set1)(0);
    V below[U], relu[U];
    EACH below[u] = OP(mul)(s[u], dy[u]);
    if (s_may_be_0) {
        EACH relu[u] = OP(select)(OP(le)(y[u], zero), zero, dy[u]);
        EACH below[u] = OP(select)(OP(eq)(s[u], zero), relu[u], below[u]);
    }
    EACH dx[u] = OP(select)(OP(gt)(y[u], zero), dy[u], below[u]);
}

/* y = scale * C/(d + low), low some percent of d at most: a quotient in working precision and one correction, made from
 * the two parts of the denominator rather than from their rounded sum. Subnormal quotients are rounded by the division;
 * the correction then moves them only where the rounding was in doubt. */
INLINE void OP(quotient)(E scale, const V *d, const V *low, V *y)
{
    const E c = scale * PASTE(SIGMOID_ONE_, T);
    const V numerator = OP(set1)(c), inverse = OP(set1)(1 / c);
    V sum[G], residual[G], y0[G];
    EACH_IN_GROUP sum[u] = OP(add)(d[u], low[u]);
    EACH_IN_GROUP y0[u] = OP(div)(numerator, sum[u]);
    EACH_IN_GROUP residual[u] = OP(fnma)(d[u], y0[u], numerator);
    EACH_IN_GROUP residual[u] = OP(nmad)(low[u], y0[u], residual[u]);
    EACH_IN_GROUP y[u] = OP(mul)(y0[u], inverse);
    EACH_IN_GROUP y[u] = OP(mad)(residual[u], y[u], y0[u]);
}

/* d + low = C + C*exp(-x), the denominator of sigmoid. */
INLINE void OP(sigmoid_denominator)(const V *x, V *d, V *low)
{
    const V one = OP(set1)(PASTE(SIGMOID_ONE_, T));
    V clamped[G], s[G], p[G];
    EACH_IN_GROUP clamped[u] = OP(max)(OP(set1)(PASTE(SIGMOID_LOWEST_, T)), x[u]);
    EACH_IN_GROUP clamped[u] = OP(min)(OP(set1)(PASTE(SIGMOID_HIGHEST_, T)), clamped[u]);
    OP(exponential)(PASTE(SIGMOID_HIGHEST_, T), clamped, s, p);
    EACH_IN_GROUP d[u] = OP(add)(s[u], one);
    EACH_IN_GROUP low[u] = OP(add)(OP(sub)(OP(max)(s[u], one), d[u]), OP(min)(s[u], one));
    EACH_IN_GROUP low[u] = OP(nmad)(s[u], p[u], low[u]);
}

/* exp(-x) for x >= 0 or NaN, as exp(-x/2) squared, which reaches further: to the subnormals in float64, and in float32,
 * whose C leaves less room, to exp(-85), past which it is 0. NaN stays NaN. y may be x. */
INLINE void OP(falling_exponential)(const V *x, V *y)
{
    const V half = OP(set1)((E)0.5), highest = OP(set1)(PASTE(EXP_HIGHEST_, T));
    const V inverse = OP(set1)(1 / PASTE(SIGMOID_ONE_, T));
    V a[G], s[G], p[G];
    EACH_IN_GROUP a[u] = OP(min)(highest, OP(mul)(x[u], half));
    OP(exponential)(PASTE(EXP_HIGHEST_, T), a, s, p);
    EACH_IN_GROUP s[u] = OP(mul)(OP(nmad)(s[u], p[u], s[u]), inverse);
    EACH_IN_GROUP s[u] = OP(mul)(s[u], s[u]);
    EACH_IN_GROUP y[u] = OP(select)(OP(le)(highest, a[u]), OP(set1)(0), s[u]);
}

/* sigmoid(x) = 1/(1 + exp(-x)), computed as C/(C + C*exp(-x))
 *
 * Algorithm: C is so small that the denominator stays finite as far as the quotient has
 * bits, which makes the division underflow gradually. What the sum in the denominator loses goes into the correction.
 * Special values: sigmoid(-inf) = +0, sigmoid(+inf) = 1; NaN keeps its payload and sign.
 * Largest error: see README.md.
 * y may be x. */
INLINE void OP(sigmoid)(const V *x, V *y)
{
    V d[U], low[U];
    EACH_GROUP OP(sigmoid_denominator)(x + g, d + g, low + g);
    EACH_GROUP OP(quotient)(1, d + g, low + g, y + g);
}

/* The same for x <= 0 or NaN, where s is never less than C. */
INLINE void OP(tail_denominator)(const V *x, V *d, V *low)
{
    const V one = OP(set1)(PASTE(SIGMOID_ONE_, T));
    V clamped[G], s[G], p[G];
    EACH_IN_GROUP clamped[u] = OP(max)(OP(set1)(PASTE(SIGMOID_LOWEST_, T)), x[u]);
    OP(exponential)(PASTE(SIGMOID_HIGHEST_, T), clamped, s, p);
    EACH_IN_GROUP d[u] = OP(add)(s[u], one);
    EACH_IN_GROUP low[u] = OP(add)(OP(sub)(s[u], d[u]), one);
    EACH_IN_GROUP low[u] = OP(nmad)(s[u], p[u], low[u]);
}

/* y = scale * sigmoid(x) for x <= 0 or NaN. */
INLINE void OP(scaled_tail)(E scale, const V *x, V *y)
{
    V d[U], low[U];
    EACH_GROUP OP(tail_denominator)(x + g, d + g, low + g);
    EACH_GROUP OP(quotient)(scale, d + g, low + g, y + g);
}

/* sigmoid'(x) = z - z*z, z = sigmoid(-|x|)
 *
 * Algorithm: z, the smaller of sigmoid(x) and 1 - sigmoid(x), keeps its relative accuracy in the tails, and so
 * does z - z*z.
 * Special values: 1/4 at 0, +0 at +-inf; NaN keeps its payload, with the sign set.
 * Largest error: see README.md.
 * y may be x. */
INLINE void OP(sigmoid_derivative)(const V *x, V *y)
{
    const V sign = OP(set1)(-0.0);
    V z[U];
    EACH z[u] = OP(or)(x[u], sign);
    OP(scaled_tail)(1, z, z);
    EACH y[u] = OP(nmad)(z[u], z[u], z[u]);
}

/* tanh'(x) = 2*z - z*z, z = 2*sigmoid(-2*|x|)
 *
 * Algorithm: as sigmoid', from twice the sigmoid because a sum is cheaper than a product.
 * Special values: 1 at 0, +0 at +-inf; NaN keeps its payload, with the sign set.
 * Largest error: see README.md.
 * y may be x. */
INLINE void OP(tanh_derivative)(const V *x, V *y)
{
    const V sign = OP(set1)(-0.0);
    V z[U];
    EACH z[u] = OP(add)(x[u], x[u]);
    EACH z[u] = OP(or)(z[u], sign);
    OP(scaled_tail)(2, z, z);
    EACH y[u] = OP(nmad)(z[u], z[u], OP(add)(z[u], z[u]));
}

/* Whether y*y is finite in every lane. The exponent of all y's bits together is that of the largest y or more, and below
 * that of 2 when every y is: what a forward pass gives costs one operation a vector. */
INLINE int OP(squares_are_finite)(const V *y)
{
    V together = y[0];
    EACH together = OP(or)(together, y[u]);
    return OP(all)(OP(le)(OP(abs)(together), OP(set1)(PASTE(SQUARE_IS_FINITE_, T))));
}

/* dx = dy * (start - y*y), start = y for sigmoid and 1 for tanh.
 *
 * Algorithm: a fused multiply-add gives the bracket with one rounding of the exact value, also where y is next to 1 and
 * it cancels; the product with dy adds one more. Where y*y would overflow, though dy may be small enough for a finite
 * result, one factor y goes to dy's side first: (dy*y)*(1 - y), 1 - y being -y there to the last bit. */
INLINE void OP(backward)(int of_sigmoid, const V *dy, const V *y, V *dx)
{
    const V one = OP(set1)(1), largest = OP(set1)(PASTE(SQUARE_IS_FINITE_, T));
    V factor[U], rest[U];
    if (OP(squares_are_finite)(y)) {
        EACH dx[u] = OP(mul)(dy[u], OP(fnma)(y[u], y[u], of_sigmoid ? y[u] : one));
        return;
    }
    EACH factor[u] = OP(select)(OP(le)(OP(abs)(y[u]), largest), y[u], one);
    EACH rest[u] = OP(select)(OP(le)(OP(abs)(y[u]), largest), one, y[u]);
    EACH factor[u] = OP(fnma)(factor[u], y[u], of_sigmoid ? factor[u] : one);
    EACH dx[u] = OP(product)(OP(product)(dy[u], rest[u]), factor[u]);
}

/* sigmoid_backward(dy, y) = dy * y*(1 - y) and tanh_backward(dy, y) = dy * (1 - y*y), for any finite dy and y.
 *
 * Algorithm: see above.
 * Special values: a NaN comes through with its payload and sign; of two, dy's.
 * Error: below 1.5 ULP of the exact value, also where that is subnormal; see README.md.
 * dx may be dy or y. */
INLINE void OP(sigmoid_backward)(const V *dy, const V *y, V *dx) { OP(backward)(1, dy, y, dx); }
INLINE void OP(tanh_backward)(const V *dy, const V *y, V *dx) { OP(backward)(0, dy, y, dx); }

#undef G
#undef U
#undef V
#undef E
#undef OP
