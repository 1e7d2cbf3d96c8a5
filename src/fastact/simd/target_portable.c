/* Every processor: "baseline" on x86-64, "portable" elsewhere. */
#include "passes.h"

#if defined(_MSC_VER)
#define __attribute__(names) /* it inlines by itself; the other levels are not for MSVC */
#endif

#if defined(__x86_64__)
#define ISA baseline
#else
#define ISA portable
#endif

#include "vector_portable.h"
#define TRANSCENDENTAL_GRAIN 16384, 16384
#define OTHER_GRAIN 65536, 32768
#include "isa.inc"
