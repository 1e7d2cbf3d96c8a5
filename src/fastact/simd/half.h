/* float16 and bfloat16 <-> float32, rounded to nearest, ties to even. NaN payloads keep their upper bits and are quiet,
 * as the processors' own conversions make them. */
#ifndef FASTACT_HALF_H
#define FASTACT_HALF_H

#include <stdint.h>
#include <string.h>

static inline float fastact_float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t fastact_float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float fastact_half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t magnitude = (uint32_t)(half & 0x7fffu) << 13;
    if (magnitude > 0x7c00u << 13) /* NaN */
        return fastact_float_from_bits(sign | magnitude | 0x7fc00000u);
    if (magnitude == 0x7c00u << 13) /* infinity */
        return fastact_float_from_bits(sign | 0x7f800000u);
    if (magnitude >= 0x0400u << 13)
        return fastact_float_from_bits(sign | (magnitude + (112u << 23)));
    /* a subnormal: its bits are a multiple of 2^-24, and the subtraction is exact */
    float value = fastact_float_from_bits((113u << 23) | magnitude) - fastact_float_from_bits(113u << 23);
    return fastact_float_from_bits(sign | fastact_float_bits(value));
}

static inline uint16_t fastact_float_to_half(float value)
{
    uint32_t bits = fastact_float_bits(value);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u) /* NaN */
        return sign | (uint16_t)(0x7e00u | (bits >> 13 & 0x03ffu));
    if (bits >= 0x477ff000u) /* 65520 and more */
        return sign | 0x7c00u;
    if (bits < 113u << 23) /* adding 1/2 puts the unit of a subnormal half, 2^-24, at the last place of the sum */
        return sign | (uint16_t)(fastact_float_bits(fastact_float_from_bits(bits) + 0.5f) - (126u << 23));
    bits += 0x0fffu + (bits >> 13 & 1u);
    return sign | (uint16_t)((bits - (112u << 23)) >> 13);
}

/* bfloat16 is the upper half of a float32 */
static inline float fastact_bfloat_to_float(uint16_t bfloat)
{
    return fastact_float_from_bits((uint32_t)bfloat << 16);
}

static inline uint16_t fastact_float_to_bfloat(float value)
{
    uint32_t bits = fastact_float_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) /* NaN */
        return (uint16_t)(bits >> 16 | 0x0040u);
    bits += 0x7fffu + (bits >> 16 & 1u);
    return (uint16_t)(bits >> 16);
}

#endif
