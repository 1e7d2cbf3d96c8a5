/* x86-64 with AVX2, FMA and F16C. */
#include "passes.h"

#if defined(__x86_64__)

/* System headers come before the target is set: what they define must stay callable from everywhere. */
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c")
#endif

#define ISA avx2
#include "vector_avx2.h"
#define TRANSCENDENTAL_GRAIN 65536, 16384
#define OTHER_GRAIN 262144, 131072
#include "isa.inc"

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
