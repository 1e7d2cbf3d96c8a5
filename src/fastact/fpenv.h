/* The floating-point environment around a tile: default rounding, no flush-to-zero, no traps, whatever the caller's
 * thread has set; afterwards the caller's own mode and sticky flags, as if nothing had been computed. So no call
 * ever warns, and results do not depend on what another library did to this thread. */
#ifndef FASTACT_FPENV_H
#define FASTACT_FPENV_H

#if defined(__SSE2__) || defined(_M_X64)

#include <xmmintrin.h>
typedef unsigned int fastact_fpenv;
#define FASTACT_MXCSR_CONTROL 0xFFC0u /* all but the sticky flags */
#define FASTACT_MXCSR_DEFAULT 0x1F80u

static inline fastact_fpenv fastact_fp_enter(void)
{
    fastact_fpenv saved = _mm_getcsr();
    if ((saved & FASTACT_MXCSR_CONTROL) != FASTACT_MXCSR_DEFAULT)
        _mm_setcsr(FASTACT_MXCSR_DEFAULT);
    return saved;
}

static inline void fastact_fp_leave(fastact_fpenv saved)
{
    if (_mm_getcsr() != saved)
        _mm_setcsr(saved);
}

#else

#include <fenv.h>
typedef fenv_t fastact_fpenv;

static inline fastact_fpenv fastact_fp_enter(void)
{
    fenv_t saved;
    fegetenv(&saved);
    fesetenv(FE_DFL_ENV);
    return saved;
}

static inline void fastact_fp_leave(fastact_fpenv saved)
{
    fesetenv(&saved);
}

#endif

/* The nearest float, whatever the caller's mode; volatile, since compilers move conversions past a change of mode. */
static inline float fastact_nearest_float(double value)
{
    volatile double exact = value;
    volatile float nearest;
    fastact_fpenv caller = fastact_fp_enter();
    nearest = (float)exact;
    fastact_fp_leave(caller);
    return nearest;
}

#endif
