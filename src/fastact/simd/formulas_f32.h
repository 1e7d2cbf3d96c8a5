/* placeholder */
#include <math.h>
#define LIBM(name, body) static inline void f32_##name(const v_f32 *x, v_f32 *y) { for (int u = 0; u < U_f32; u++) { e_f32 a[LANES_f32]; f32_store(a, x[u]); for (int l = 0; l < LANES_f32; l++) { const e_f32 v = a[l]; a[l] = body; } y[u] = f32_load(a); } }
LIBM(sigmoid, 1 / (1 + exp(-(double)v)))
LIBM(tanh, tanh((double)v))
LIBM(sigmoid_derivative, exp(-fabs((double)v)) / ((1 + exp(-fabs((double)v))) * (1 + exp(-fabs((double)v)))))
LIBM(tanh_derivative, 1 / (cosh((double)v) * cosh((double)v)))
#undef LIBM
