/* Two loops that do nothing but move memory: what any pass over as many bytes can hope for. */
#ifndef FASTACT_YARDSTICKS_H
#define FASTACT_YARDSTICKS_H

#include <stddef.h>
#include <string.h>
#if defined(__x86_64__) || defined(_M_X64)
#include <emmintrin.h>
#endif

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

/* Streaming stores go past the caches, so the lines of `to` need not be read first. Where the compiler offers none, the
 * C library's own copy has to do. */
static void yardstick_stream_copy(const char *from, char *to, ptrdiff_t bytes)
{
#if defined(__x86_64__) || defined(_M_X64)
    ptrdiff_t i = (ptrdiff_t)(-(size_t)to % 64);
    if (i > bytes)
        i = bytes;
    memcpy(to, from, (size_t)i);
    for (; i + 64 <= bytes; i += 64) {
        __m128i a = _mm_loadu_si128((const __m128i *)(from + i));
        __m128i b = _mm_loadu_si128((const __m128i *)(from + i + 16));
        __m128i c = _mm_loadu_si128((const __m128i *)(from + i + 32));
        __m128i d = _mm_loadu_si128((const __m128i *)(from + i + 48));
        _mm_stream_si128((__m128i *)(to + i), a);
        _mm_stream_si128((__m128i *)(to + i + 16), b);
        _mm_stream_si128((__m128i *)(to + i + 32), c);
        _mm_stream_si128((__m128i *)(to + i + 48), d);
    }
    memcpy(to + i, from + i, (size_t)(bytes - i));
    _mm_sfence();
#else
    memcpy(to, from, (size_t)bytes);
#endif
}

#endif
