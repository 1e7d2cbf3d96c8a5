/* aarch64, which always has NEON. */
#include "passes.h"

#if defined(__aarch64__)

#include <arm_neon.h>
#include <math.h>

#define ISA neon
#include "vector_neon.h"
#define TRANSCENDENTAL_GRAIN 32768, 16384
#define OTHER_GRAIN 262144, 131072
#include "isa.inc"

#endif
