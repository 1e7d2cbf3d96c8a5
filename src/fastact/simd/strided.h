/* Elements from anywhere into a block and back; steps are in bytes. */
#ifndef FASTACT_STRIDED_H
#define FASTACT_STRIDED_H

#include <stddef.h>
#include "half.h"

/* S is what the operand holds, E what the block holds. Four elements at a time, all counted from one pointer, cost one
 * addition a step instead of one an element; every second element has a loop in which the step is a constant, of which
 * compilers make shuffles. */
#define FASTACT_GATHER(name, S, E, converted)                                                                      \
    static inline void name(const char *restrict source, ptrdiff_t step, E *restrict block, ptrdiff_t n)           \
    {                                                                                                              \
        ptrdiff_t i = 0;                                                                                           \
        if (step == 2 * sizeof(S))                                                                                 \
            for (; i < n; i++)                                                                                     \
                block[i] = converted(((const S *)source)[2 * i]);                                                  \
        for (; i + 4 <= n; i += 4, source += 4 * step) {                                                           \
            block[i] = converted(*(const S *)source);                                                              \
            block[i + 1] = converted(*(const S *)(source + step));                                                 \
            block[i + 2] = converted(*(const S *)(source + 2 * step));                                             \
            block[i + 3] = converted(*(const S *)(source + 3 * step));                                             \
        }                                                                                                          \
        for (; i < n; i++, source += step)                                                                         \
            block[i] = converted(*(const S *)source);                                                              \
    }

#define FASTACT_SCATTER(name, E, S, converted)                                                                     \
    static inline void name(const E *restrict block, char *restrict target, ptrdiff_t step, ptrdiff_t n)           \
    {                                                                                                              \
        ptrdiff_t i = 0;                                                                                           \
        for (; i + 4 <= n; i += 4, target += 4 * step) {                                                           \
            *(S *)target = converted(block[i]);                                                                    \
            *(S *)(target + step) = converted(block[i + 1]);                                                       \
            *(S *)(target + 2 * step) = converted(block[i + 2]);                                                   \
            *(S *)(target + 3 * step) = converted(block[i + 3]);                                                   \
        }                                                                                                          \
        for (; i < n; i++, target += step)                                                                         \
            *(S *)target = converted(block[i]);                                                                    \
    }

FASTACT_GATHER(fastact_gather_float32, float, float, )
FASTACT_GATHER(fastact_gather_float64, double, double, )
FASTACT_GATHER(fastact_gather_float16, uint16_t, float, fastact_half_to_float)
FASTACT_GATHER(fastact_gather_bfloat16, uint16_t, float, fastact_bfloat_to_float)
FASTACT_SCATTER(fastact_scatter_float32, float, float, )
FASTACT_SCATTER(fastact_scatter_float64, double, double, )
FASTACT_SCATTER(fastact_scatter_float16, float, uint16_t, fastact_float_to_half)
FASTACT_SCATTER(fastact_scatter_bfloat16, float, uint16_t, fastact_float_to_bfloat)

#endif
