/* The table of activations and the interface between the Cython layer and the tile functions.
 *
 * A pass is one row of FASTACT_PASSES: X(name, arrays, slope) where `arrays` is the number of arrays it reads
 * (1: x; 2: dy and y) and `slope` says whether it takes negative_slope. The enum, the
 * tables of tile functions and the ufuncs are made from this list.
 */
#ifndef FASTACT_PASSES_H
#define FASTACT_PASSES_H

#include <stddef.h>
#include <stdint.h>

#define FASTACT_PASSES(X)         \
    X(sigmoid, 1, 0)              \
    X(sigmoid_derivative, 1, 0)   \
    X(sigmoid_backward, 2, 0)     \
    X(tanh, 1, 0)                 \
    X(tanh_derivative, 1, 0)      \
    X(tanh_backward, 2, 0)        \
    X(relu, 1, 0)                 \
    X(relu_derivative, 1, 0)      \
    X(relu_backward, 2, 0)        \
    X(leaky_relu, 1, 1)           \
    X(leaky_relu_derivative, 1, 1) \
    X(leaky_relu_backward, 2, 1)

/* The passes of fastact.exact, correctly rounded: for float32, float16 and bfloat16 (exact.inc). */
#define FASTACT_EXACT_PASSES(X)       \
    X(exact_sigmoid, 1, 0)            \
    X(exact_sigmoid_derivative, 1, 0) \
    X(exact_tanh, 1, 0)               \
    X(exact_tanh_derivative, 1, 0)

#define FASTACT_ENUM_ROW(name, arrays, slope) FASTACT_##name,
enum fastact_pass { FASTACT_PASSES(FASTACT_ENUM_ROW) FASTACT_EXACT_PASSES(FASTACT_ENUM_ROW) FASTACT_N_PASSES };
#undef FASTACT_ENUM_ROW

/* A tile function applies one pass to n contiguous elements.
 *   a           x, or dy in a backward pass
 *   b           y in a backward pass, else not read
 *   slope       negative_slope: one value (slope_step 0) or one an element (slope_step 1); not read by the others
 *   out         may be exactly a, b or slope; otherwise it overlaps none of them
 * An element's result depends on its own inputs alone: not on n, on its place or on any alignment. */
typedef void (*fastact_tile_f32)(const float *a, const float *b, const float *slope, ptrdiff_t slope_step,
                                 float *out, ptrdiff_t n);
typedef void (*fastact_tile_f64)(const double *a, const double *b, const double *slope, ptrdiff_t slope_step,
                                 double *out, ptrdiff_t n);

/* The same for arrays of float16 or bfloat16, computed in float32. */
typedef void (*fastact_tile_half)(const uint16_t *a, const uint16_t *b, const uint16_t *slope, ptrdiff_t slope_step,
                                  uint16_t *out, ptrdiff_t n);

/* The optimisers of fastact.nn, whose formulas are in fused.inc. */
#define FASTACT_UPDATES(X) X(sgd) X(adagrad) X(rmsprop) X(adam)

#define FASTACT_ENUM_ROW(name) FASTACT_UPDATE_##name,
enum fastact_update { FASTACT_UPDATES(FASTACT_ENUM_ROW) FASTACT_N_UPDATES };
#undef FASTACT_ENUM_ROW

/* The numbers in an optimiser's formula; each reads its own, and all the first three. */
typedef struct {
    double rate, clip_scale, clip_value; /* no clipping: 1 and infinity */
    double weight_decay, momentum, epsilon, rho, beta_1, beta_2, root_correction, kept;
    int nesterov;
} fastact_update_settings;

/* The fused passes of fastact.nn (fused.inc) over C-contiguous rows, and over n elements of a parameter w, its gradient
 * g and what the optimiser keeps, of which none overlap. A NULL activation or backward pass is the identity's. */
#define FASTACT_FUSED(T, E)                                                                                          \
    typedef struct {                                                                                                 \
        void (*bias_activation)(fastact_tile_##T activation, const E *b, const E *slope, ptrdiff_t slope_step, E *z, \
                                ptrdiff_t rows, ptrdiff_t columns);                                                  \
        void (*backward_bias)(fastact_tile_##T backward, const E *dy, const E *y, const E *slope,                    \
                              ptrdiff_t slope_step, E *dz, E *db, ptrdiff_t rows, ptrdiff_t columns);                \
        double (*softmax_cross_entropy)(const E *y, const ptrdiff_t *labels, const E *share, ptrdiff_t share_step,   \
                                        E *dy, ptrdiff_t rows, ptrdiff_t columns);                                   \
        ptrdiff_t (*hits)(const E *y, const ptrdiff_t *labels, ptrdiff_t rows, ptrdiff_t columns);                   \
        double (*elementwise_loss)(fastact_tile_##T sigmoid, const E *y, const E *t, const E *share,                 \
                                   ptrdiff_t share_step, E *dy, ptrdiff_t rows, ptrdiff_t columns);                  \
        ptrdiff_t (*binary_hits)(const E *y, const E *t, ptrdiff_t n);                                               \
        int (*all_finite)(const E *a, ptrdiff_t n);                                                                  \
        void (*update[FASTACT_N_UPDATES])(const fastact_update_settings *settings, E *w, const E *g, E *slot_1,      \
                                          E *slot_2, ptrdiff_t n);                                                   \
    } fastact_fused_##T;
FASTACT_FUSED(f32, float)
FASTACT_FUSED(f64, double)
#undef FASTACT_FUSED

typedef struct {
    const char *name; /* "baseline", "avx2", "avx512", "neon" or "portable" */
    /* Fewest elements worth a thread of their own, for float32 and float64: of the forward passes and derivatives of
     * sigmoid and tanh, and of all others. */
    ptrdiff_t transcendental_grain[2], other_grain[2];
    fastact_tile_f32 f32[FASTACT_N_PASSES];
    fastact_tile_f64 f64[FASTACT_N_PASSES]; /* NULL for the exact passes */
    /* What is computed of floats that were halves, and is to be rounded to halves: f32, but that the exact passes leave
     * no tie that was none (rounded to odd). */
    fastact_tile_f32 of_halves[FASTACT_N_PASSES];
    /* The same with stores past the caches, where the level has them: out starts at a multiple of 64 bytes, and is none
     * of the inputs. */
    fastact_tile_f32 streamed_f32[FASTACT_N_PASSES];
    fastact_tile_f64 streamed_f64[FASTACT_N_PASSES];
    fastact_tile_half float16[FASTACT_N_PASSES], bfloat16[FASTACT_N_PASSES]; /* NULL where the level has none */
    /* n halves, one after the other, as float32; and back, rounded to nearest, ties to even */
    void (*from_float16)(const uint16_t *halves, float *floats, ptrdiff_t n);
    void (*to_float16)(const float *floats, uint16_t *halves, ptrdiff_t n);
    void (*from_bfloat16)(const uint16_t *halves, float *floats, ptrdiff_t n);
    void (*to_bfloat16)(const float *floats, uint16_t *halves, ptrdiff_t n);
    fastact_fused_f32 fused_f32;
    fastact_fused_f64 fused_f64;
} fastact_isa;

typedef struct {
    const char *name;
    int arrays;
    int slope;
} fastact_pass_info;

extern const fastact_pass_info fastact_pass_table[FASTACT_N_PASSES];

/* The instruction sets compiled in AND runnable on this processor, best first: index 0 is the default.
 * NULL when i is past the last. */
const fastact_isa *fastact_isa_level(int i);

#endif
