/* Copies past the caches: the lines of `to` are neither read first nor kept. Worth it where more is written than the
 * caches hold. Where the compiler offers no such stores, the C library's own copy has to do. */
#ifndef FASTACT_STREAM_H
#define FASTACT_STREAM_H

#include <stddef.h>
#include <string.h>
#if defined(__x86_64__) || defined(_M_X64)
#include <emmintrin.h>
#define FASTACT_HAS_STREAM 1
#else
#define FASTACT_HAS_STREAM 0
#endif

/* Other threads see what was written only after fastact_stream_end() in this one. */
static inline void fastact_stream(const void *from, void *to, ptrdiff_t bytes)
{
    const char *source = from;
    char *target = to;
    ptrdiff_t i = 0;
#if FASTACT_HAS_STREAM
    i = (ptrdiff_t)(-(size_t)target % 64);
    if (i > bytes)
        i = bytes;
    memcpy(target, source, (size_t)i);
    for (; i + 64 <= bytes; i += 64) {
        __m128i a = _mm_loadu_si128((const __m128i *)(source + i));
        __m128i b = _mm_loadu_si128((const __m128i *)(source + i + 16));
        __m128i c = _mm_loadu_si128((const __m128i *)(source + i + 32));
        __m128i d = _mm_loadu_si128((const __m128i *)(source + i + 48));
        _mm_stream_si128((__m128i *)(target + i), a);
        _mm_stream_si128((__m128i *)(target + i + 16), b);
        _mm_stream_si128((__m128i *)(target + i + 32), c);
        _mm_stream_si128((__m128i *)(target + i + 48), d);
    }
#endif
    memcpy(target + i, source + i, (size_t)(bytes - i));
}

static inline void fastact_stream_end(void)
{
#if FASTACT_HAS_STREAM
    _mm_sfence();
#endif
}

#endif
