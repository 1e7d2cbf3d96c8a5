/* aarch64, which always has NEON. */
#include "passes.h"

#if defined(__aarch64__)

#include <arm_neon.h>

#define ISA neon
#include "vector_neon.h"
#include "isa.inc"

#endif
