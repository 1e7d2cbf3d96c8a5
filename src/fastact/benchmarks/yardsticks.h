/* Loops that do nothing but move memory: what any pass over as many bytes can hope for. */
#ifndef FASTACT_YARDSTICKS_H
#define FASTACT_YARDSTICKS_H

#include <stddef.h>

/* the widest vectors that the processor has, wherever the compiler can leave that choice to the start of the program */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#define YARDSTICK_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define YARDSTICK_CLONES
#endif

YARDSTICK_CLONES static void yardstick_scale_f32(float *x, float factor, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        x[i] *= factor;
}

YARDSTICK_CLONES static void yardstick_scale_f64(double *x, double factor, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        x[i] *= factor;
}

#endif
