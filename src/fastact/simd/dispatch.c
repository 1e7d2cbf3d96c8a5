/* The table of passes, and which instruction sets this processor can run. */
#include "passes.h"

#define PASS_INFO_ROW(name, arrays, slope) {#name, arrays, slope},
const fastact_pass_info fastact_pass_table[FASTACT_N_PASSES] = {FASTACT_PASSES(PASS_INFO_ROW)
                                                                    FASTACT_EXACT_PASSES(PASS_INFO_ROW)};

#if defined(__x86_64__)

#include <cpuid.h>

extern const fastact_isa fastact_isa_avx512, fastact_isa_avx2, fastact_isa_baseline;

/* __builtin_cpu_supports reads cpuid and, for AVX and above, whether the operating system saves the registers. */
static int runs_avx2(void)
{
    unsigned a, b, c = 0, d;
    __get_cpuid(1, &a, &b, &c, &d); /* older compilers know no "f16c" */
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && (c & bit_F16C);
}
static int runs_avx512(void)
{
    return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512cd");
}

static int available(const fastact_isa *levels[])
{
    int n = 0;
    __builtin_cpu_init();
    if (runs_avx512())
        levels[n++] = &fastact_isa_avx512;
    if (runs_avx2())
        levels[n++] = &fastact_isa_avx2;
    levels[n++] = &fastact_isa_baseline;
    return n;
}

#elif defined(__aarch64__)

extern const fastact_isa fastact_isa_neon, fastact_isa_portable;

static int available(const fastact_isa *levels[])
{
    levels[0] = &fastact_isa_neon;
    levels[1] = &fastact_isa_portable;
    return 2;
}

#else

extern const fastact_isa fastact_isa_portable;

static int available(const fastact_isa *levels[])
{
    levels[0] = &fastact_isa_portable;
    return 1;
}

#endif

const fastact_isa *fastact_isa_level(int i)
{
    const fastact_isa *levels[3];
    const int n = available(levels);
    return i >= 0 && i < n ? levels[i] : NULL;
}
